"""Licences as pages name them, to SPDX identifiers."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_CHARS = 2048
"""Longer texts name no licence; they are prose or damage."""
_MAX_NAME_CHARS = 300

# https://spdx.org/licenses, list version 3.27: versions of the six licences without a port, and all ports there are.
_VERSIONS = frozenset({"1.0", "2.0", "2.5", "3.0", "4.0"})
_PORTED = frozenset(
    f"CC-{name}-{port}"
    for name, ports in {
        "BY": "2.5-AU 3.0-AT 3.0-AU 3.0-DE 3.0-IGO 3.0-NL 3.0-US",
        "BY-NC": "3.0-DE",
        "BY-NC-ND": "3.0-DE 3.0-IGO",
        "BY-NC-SA": "2.0-DE 2.0-FR 2.0-UK 3.0-DE 3.0-IGO",
        "BY-ND": "3.0-DE",
        "BY-SA": "2.0-UK 2.1-JP 3.0-AT 3.0-DE 3.0-IGO",
    }.items()
    for port in ports.split()
)
_NAMES = frozenset({"BY", "BY-NC", "BY-NC-ND", "BY-NC-SA", "BY-ND", "BY-SA"})
_ELEMENTS = ("by", "nc", "nd", "sa")  # in the order of the identifiers; the deeds of 1.0 say nd-nc

_CC_URL = re.compile(
    r"(?<![\w-])(?:creativecommons\.org|licensebuttons\.net)/(?:licen[sc]es|publicdomain|l|p)/([a-z+-]+)"
    r"(?:/(\d(?:\.\d)?)(?!\d)(?:/([a-z]{2,8})(?![a-z.]))?)?"
)
_PUBLIC_DOMAIN = {
    "zero": "CC0-1.0",
    "mark": "CC-PDM-1.0",
    "publicdomain": "CC-PDDC",
    "certification": "CC-PDDC",
}

_URLS = (
    (r"gnu\.org/(?:copyleft|licenses)/(?:old-licenses/)?fdl(?:-(1\.[123]))?(?![\w-])", "GFDL"),
    (r"(?:opensource\.org/licenses?/mit|mit-license\.org)(?![\w-])", "MIT"),
    (r"(?:apache\.org/licenses/license-2\.0|opensource\.org/licenses?/apache-2\.0)(?![\w-])", "Apache-2.0"),
    (r"opendatacommons\.org/licenses/odbl(?![\w-])", "ODbL-1.0"),
    (r"opendatacommons\.org/licenses/by(?![\w-])", "ODC-By-1.0"),
    (r"opendatacommons\.org/licenses/pddl(?![\w-])", "PDDL-1.0"),
    (r"nationalarchives\.gov\.uk/doc/open-government-licence/version/([123])(?!\d)", "OGL-UK-{}.0"),
    (r"youtube\.com/t/creative_commons(?!\w)", "CC-BY"),
    (r"pexels\.com/(?:[a-z-]{2,6}/)?(?:photo-)?license(?![\w-])", "LicenseRef-Pexels"),
    (r"unsplash\.com/(?:[a-z-]{2,6}/)?license(?![\w-])", "LicenseRef-Unsplash"),
    (r"pixabay\.com/(?:[a-z-]{2,6}/)?service/(?:license(?:-summary)?|terms)(?![\w-])", "LicenseRef-Pixabay"),
)
_URL_PATTERNS = [(re.compile(rf"(?:(?:https?:)?//)?(?:[\w-]+\.)*?{pattern}"), spdx) for pattern, spdx in _URLS]
_SPDX_URL = re.compile(r"https?://(?:www\.)?spdx\.org/licenses/([\w.-]+?)(?:\.html|\.json)?/?")

# Names, lower case, with "license" spelt so and only letters, digits, "." and "+" left.
_WHOLE_NAMES = {
    "mit": "MIT",
    "mit license": "MIT",
    "the mit license": "MIT",
    "expat": "MIT",
    "expat license": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "odbl": "ODbL-1.0",
    "odbl 1.0": "ODbL-1.0",
    "open database license": "ODbL-1.0",
    "open data commons open database license": "ODbL-1.0",
    "open database license 1.0": "ODbL-1.0",
    "odc by 1.0": "ODC-By-1.0",
    "open data commons attribution license": "ODC-By-1.0",
    "pddl": "PDDL-1.0",
    "pddl 1.0": "PDDL-1.0",
    "ogl uk 1.0": "OGL-UK-1.0",
    "ogl uk 2.0": "OGL-UK-2.0",
    "ogl uk 3.0": "OGL-UK-3.0",
    "open government license v1.0": "OGL-UK-1.0",
    "open government license v2.0": "OGL-UK-2.0",
    "open government license v3.0": "OGL-UK-3.0",
    "pexels license": "LicenseRef-Pexels",
    "unsplash license": "LicenseRef-Unsplash",
    "pixabay license": "LicenseRef-Pixabay",
    "pixabay content license": "LicenseRef-Pixabay",
    "licenseref pexels": "LicenseRef-Pexels",
    "licenseref unsplash": "LicenseRef-Unsplash",
    "licenseref pixabay": "LicenseRef-Pixabay",
    "licenseref publicdomain": "LicenseRef-PublicDomain",
    "public domain": "LicenseRef-PublicDomain",
    "creativecommon": "CC-BY",  # what YouTube's API calls it
    "cc pddc": "CC-PDDC",
    "public domain dedication": "CC-PDDC",
    "cc pdm": "CC-PDM-1.0",
    "cc pdm 1.0": "CC-PDM-1.0",
    "public domain mark": "CC-PDM-1.0",
    "public domain mark 1.0": "CC-PDM-1.0",
    "creative commons public domain mark": "CC-PDM-1.0",
    "creative commons public domain mark 1.0": "CC-PDM-1.0",
}
_ZERO = re.compile(
    r"(?:cc0|(?:cc|creative commons) (?:cc0|zero))"
    r"(?: (?:v?1(?:\.0)?|universal|public domain dedication|license|waiver|cc0))*"
)
_GFDL = re.compile(
    r"(?:gnu fdl|gfdl|gnu free documentation license)(?: (?:version )?v?(1\.[123]))?( only| or later|\+)?"
)
_VERSION = re.compile(r"v?([1-9](?:\.\d)?)").fullmatch

_COUNTRIES = {
    "australia": "AU",
    "austria": "AT",
    "england and wales": "UK",
    "england wales": "UK",
    "france": "FR",
    "germany": "DE",
    "igo": "IGO",
    "intergovernmental organisations": "IGO",
    "intergovernmental organizations": "IGO",
    "japan": "JP",
    "netherlands": "NL",
    "united kingdom": "UK",
    "united states": "US",
}
_PORTS = frozenset(_COUNTRIES.values()) | {"BR", "CA", "CH", "CN", "ES", "IT", "KR", "NZ", "PL", "PT", "SE", "TW"}
"""Ports that are told from other words; of those SPDX does not list, the licence without its port is meant."""
_WORDS = {
    "by": "by",
    "attribution": "by",
    "nc": "nc",
    "noncommercial": "nc",
    "nd": "nd",
    "noderivs": "nd",
    "noderivatives": "nd",
    "noderivative": "nd",
    "sa": "sa",
    "sharealike": "sa",
}
_SPACED = re.compile(r"\b(non|no|share) (commercial|derivs|derivatives|derivative works|alike)\b")
_COUNTRY = re.compile(rf"\b({'|'.join(_COUNTRIES)})\b")
_FILLERS = frozenset(
    [
        *("a", "allowed", "and", "cc", "commons", "content", "creative", "generic", "international", "is", "license"),
        *("licensed", "public", "reuse", "terms", "the", "this", "under", "unported", "v", "version", "video", "work"),
        *("works", "youtube"),
    ]
)


def normalise(text: str) -> str | None:
    """The SPDX identifier of a licence's URL or name; None if it is unknown, ambiguous or prose. Never raises.

    Creative Commons: any version, language, deed or badge; a port ("CC-BY-SA-3.0-DE") only where SPDX lists it, else
    the licence without its port. Without a version, or with one that SPDX does not list, the identifier has none
    ("CC-BY"), which SPDX does not know. YouTube's "Creative Commons Attribution licence (reuse allowed)" is such.
    GFDL without a version is GFDL-1.1-or-later, as its section 10 says; with one, "-only" unless it says "or later".
    Pexels, Unsplash, Pixabay and a bare "public domain" are LicenseRef-Pexels and so on.
    """
    if len(text) > MAX_CHARS:
        return None
    text = text.strip().lower()
    if "/" in text:
        found = {_of_cc_url(match) for match in _CC_URL.finditer(text)}
        if found:
            return found.pop() if len(found) == 1 else None
        for pattern, spdx in _URL_PATTERNS:
            match = pattern.match(text)
            if match:
                return _gfdl(match[1], "") if spdx == "GFDL" else spdx.format(*match.groups())
        match = _SPDX_URL.fullmatch(text)
        text = match[1] if match else text
    return _of_name(text) if len(text) <= _MAX_NAME_CHARS else None


def is_creative_commons(identifier: str) -> bool:
    """Whether an identifier that normalise gave is one of Creative Commons: a licence, CC0 or a public domain mark."""
    return identifier.startswith(("CC-", "CC0-"))


def allowed(identifier: str, allow: Sequence[str]) -> bool:
    """Whether a list allows an identifier that normalise gave.

    An entry is an identifier, a family without its version ("CC-BY" stands for CC-BY, CC-BY-4.0 and CC-BY-3.0-DE but
    not CC-BY-SA-4.0), or "CC" for all of Creative Commons. Any letter case.
    """
    name = identifier.lower()
    for entry in allow:
        family = entry.lower()
        if family == "cc" and is_creative_commons(identifier):
            return True
        if name == family or (name.startswith(family + "-") and name[len(family) + 1 :][:1].isdigit()):
            return True
    return False


def _of_cc_url(match: re.Match[str]) -> str | None:
    kind = match[1]
    if kind in _PUBLIC_DOMAIN:
        return _PUBLIC_DOMAIN[kind]
    return _creative_commons(frozenset(kind.split("-")), match[2], match[3])


def _creative_commons(elements: frozenset[str], version: str | None, port: str | None) -> str | None:
    name = "-".join(element.upper() for element in _ELEMENTS if element in elements)
    if version and "." not in version:
        version += ".0"
    if elements == {"sa"} and version == "1.0":
        return "CC-SA-1.0"
    if name not in _NAMES or not elements.issubset(_ELEMENTS):
        return None
    ported = f"CC-{name}-{version}-{port.upper()}" if port else ""
    if ported in _PORTED:
        return ported
    return f"CC-{name}-{version}" if version in _VERSIONS else f"CC-{name}"


def _of_name(text: str) -> str | None:
    name = " ".join(re.sub(r"[^\w.+]|_|\.(?!\d)", " ", text.replace("licence", "license")).split())
    if name in _WHOLE_NAMES:
        return _WHOLE_NAMES[name]
    if _ZERO.fullmatch(name):
        return "CC0-1.0"
    match = _GFDL.fullmatch(name)
    return _gfdl(match[1], match[2]) if match else _of_cc_name(name)


def _gfdl(version: str | None, which: str | None) -> str:
    return (
        f"GFDL-{version}-{'only' if which in (None, '', ' only') else 'or-later'}" if version else "GFDL-1.1-or-later"
    )


def _of_cc_name(name: str) -> str | None:
    """Of a name made of nothing but Creative Commons' own words, so that prose about licences is not taken for one."""
    name = _SPACED.sub(r"\1\2", name)
    country = _COUNTRY.search(name)
    port = _COUNTRIES[country[1]] if country else None
    words = _COUNTRY.sub("", name, count=1).split()
    elements, versions = set(), set()
    for word in words:
        version = _VERSION(word)
        if word in _WORDS:
            elements.add(_WORDS[word])
        elif version:
            versions.add(version[1])
        elif versions and word.upper() in _PORTS:
            port = word
        elif word not in _FILLERS:
            return None
    said = "cc" in words or {"creative", "commons"}.issubset(words)
    deed = "attribution" in words and versions and {"international", "unported", "generic"}.intersection(words)
    if len(versions) > 1 or not (said or deed):
        return None
    return _creative_commons(frozenset(elements), versions.pop() if versions else None, port)
