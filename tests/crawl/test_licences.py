"""Names and URLs of licences; the list of SPDX that `packaging` carries says what an identifier is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from curation.crawl.licences import allowed, is_creative_commons, normalise

KINDS = st.sampled_from(["by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd"])
VERSIONS = st.sampled_from(["1.0", "2.0", "2.1", "2.5", "3.0", "4.0"])
PORTS = st.sampled_from(["au", "at", "de", "igo", "nl", "us", "fr", "uk", "jp", "es", "br", "scotland"])
SPELLINGS = {"by": "Attribution", "sa": "ShareAlike", "nc": "NonCommercial", "nd": "NoDerivatives"}


def in_spdx(identifier: str) -> bool:
    try:
        return canonicalize_license_expression(identifier) == identifier
    except InvalidLicenseExpression:
        return False


def expected(kind: str, version: str, port: str | None) -> str:
    plain = f"CC-{kind.upper()}"
    forms = [f"{plain}-{version}-{port.upper()}"] if port else []
    return next((form for form in [*forms, f"{plain}-{version}"] if in_spdx(form)), plain)


@settings(max_examples=400, deadline=None)
@given(
    KINDS,
    VERSIONS,
    st.none() | PORTS,
    st.sampled_from(["http://", "https://", "//", "", "HTTPS://www.", "https://i.", "see https://"]),
    st.sampled_from(
        ["", "/", "/deed", "/deed.de", "/deed.zh_TW", "/legalcode", "/legalcode.txt", "/rdf", "/88x31.png"]
    ),
)
def test_urls_of_creative_commons(kind: str, version: str, port: str | None, front: str, end: str) -> None:
    url = f"{front}creativecommons.org/licenses/{kind}/{version}{'/' + port if port else ''}{end}"
    assert normalise(url) == expected(kind, version, port)
    assert normalise(f" {url.upper()}\n") == expected(kind, version, port)


@settings(max_examples=400, deadline=None)
@given(
    KINDS, VERSIONS, st.booleans(), st.sampled_from(" -_"), st.sampled_from(["", " License", " licence.", " Unported"])
)
def test_names_of_creative_commons(kind: str, version: str, short: bool, between: str, end: str) -> None:
    parts = kind.split("-")
    name = f"CC {kind}" if short else f"Creative Commons {'-'.join(SPELLINGS[part] for part in parts)}"
    text = f"{name} {version}".replace(" ", between) + end
    assert normalise(text) == expected(kind, version, None)
    assert normalise(name) == f"CC-{kind.upper()}"


@settings(max_examples=300, deadline=None)
@given(KINDS, VERSIONS, st.none() | PORTS)
def test_identifiers_name_themselves(kind: str, version: str, port: str | None) -> None:
    identifier = expected(kind, version, port)
    assert normalise(identifier) == identifier
    assert normalise(f"https://spdx.org/licenses/{identifier}.html") == identifier


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("https://creativecommons.org/publicdomain/zero/1.0/deed.en", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "CC-PDM-1.0"),
        ("http://creativecommons.org/licenses/publicdomain/", "CC-PDDC"),
        ("http://creativecommons.org/licenses/by-nd-nc/1.0", "CC-BY-NC-ND-1.0"),
        ("http://creativecommons.org/licenses/sa/1.0/", "CC-SA-1.0"),
        ("https://licensebuttons.net/l/by-sa/3.0/88x31.png", "CC-BY-SA-3.0"),
        ("https://creativecommons.org/licenses/by-sa/", "CC-BY-SA"),
        ("https://creativecommons.org/licenses/by/4", "CC-BY-4.0"),
        ("cc0", "CC0-1.0"),
        ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0-1.0"),
        ("Creative Commons Zero v1.0 Universal", "CC0-1.0"),
        ("Public Domain Mark", "CC-PDM-1.0"),
        ("Public domain", "LicenseRef-PublicDomain"),
        ("Creative Commons Attribution 3.0 Unported", "CC-BY-3.0"),
        ("Attribution-ShareAlike 4.0 International (CC BY-SA 4.0)", "CC-BY-SA-4.0"),
        ("Creative Commons Attribution-Non Commercial-No Derivative Works 2.0 Generic", "CC-BY-NC-ND-2.0"),
        ("Creative Commons Attribution-Share Alike 2.0 England & Wales License", "CC-BY-SA-2.0-UK"),
        ("CC BY-SA 3.0 DE", "CC-BY-SA-3.0-DE"),
        ("CC BY 3.0 ES", "CC-BY-3.0"),
        ("Creative Commons Attribution licence (reuse allowed)", "CC-BY"),
        ("https://www.youtube.com/t/creative_commons", "CC-BY"),
        ("This work is licensed under a Creative Commons Attribution 4.0 International License.", "CC-BY-4.0"),
        ("GFDL", "GFDL-1.1-or-later"),
        ("GNU Free Documentation License, version 1.2 or later", "GFDL-1.2-or-later"),
        ("https://www.gnu.org/licenses/fdl-1.3.html", "GFDL-1.3-only"),
        ("https://www.gnu.org/copyleft/fdl.html", "GFDL-1.1-or-later"),
        ("MIT", "MIT"),
        ("https://opensource.org/licenses/MIT", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("http://www.apache.org/licenses/LICENSE-2.0.txt", "Apache-2.0"),
        ("ODbL", "ODbL-1.0"),
        ("https://opendatacommons.org/licenses/odbl/1-0/", "ODbL-1.0"),
        ("https://www.nationalarchives.gov.uk/doc/open-government-licence/version/3/", "OGL-UK-3.0"),
        ("https://www.pexels.com/license/", "LicenseRef-Pexels"),
        ("Unsplash License", "LicenseRef-Unsplash"),
        ("https://pixabay.com/service/license-summary/", "LicenseRef-Pixabay"),
    ],
)
def test_examples(text: str, identifier: str) -> None:
    assert normalise(text) == identifier
    assert normalise(identifier) == identifier
    assert identifier in {"CC-BY", "CC-BY-SA"} or in_spdx(identifier)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "\x00", "\ud800", "cc", "by", "Creative Commons", "All rights reserved", "© 2020", "Attribution"),
        *(
            "not CC BY 4.0",
            "CC BY 3.0 4.0",
            "CC BY 4.0, GFDL",
            "nicht CC BY",
            "кроме CC BY",
            "CC SA 4.0",
            "CC BY-ND-SA",
        ),
        "https://creativecommons.org/licenses/",
        "https://creativecommons.org/licenses/sampling+/1.0/",
        "https://notcreativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org/licenses/by/4.0/ https://creativecommons.org/licenses/by-nc/4.0/",
        "https://www.pexels.com/licensed-things/",
        "https://example.com/license",
        "CC BY " * 1000,
    ],
)
def test_what_names_no_licence(text: str) -> None:
    assert normalise(text) is None


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=100)
    | st.lists(st.sampled_from(["cc", "by", "sa", "4.0", "3.0", "de", "/", ":", ".", "creativecommons.org"])).map(
        " ".join
    )
)
def test_any_text_gives_an_identifier_that_stays_or_none(text: str) -> None:
    identifier = normalise(text)
    assert identifier is None or normalise(identifier) == identifier


@pytest.mark.parametrize(
    "piece", ["a.", "cc ", "creativecommons.org/licenses/by", "public domain ", "(", "1.0 ", "cc0 ", "www."]
)
def test_long_texts_take_little_time(piece: str) -> None:
    start = time.process_time()
    for size in (290, 2048, 1_000_000):
        normalise((piece * size)[:size])
        normalise("//" + (piece * size)[: size - 2])
    assert time.process_time() - start < 1


def test_families() -> None:
    by = ["CC-BY", "CC-BY-4.0", "CC-BY-3.0-DE"]
    commons = [*by, "CC-BY-SA-4.0", "CC-BY-NC", "CC0-1.0", "CC-PDM-1.0", "CC-PDDC"]
    others = ["MIT", "GFDL-1.3-only", "LicenseRef-Pexels", "LicenseRef-PublicDomain"]
    assert [name for name in commons + others if is_creative_commons(name)] == commons
    assert [name for name in commons + others if allowed(name, ["CC-BY"])] == by
    assert [name for name in commons + others if allowed(name, ["CC"])] == commons
    assert [name for name in commons + others if allowed(name, ["CC-BY-4.0", "mit"])] == ["CC-BY-4.0", "MIT"]
    assert [name for name in commons + others if allowed(name, ["CC0", "GFDL"])] == ["CC0-1.0", "GFDL-1.3-only"]
    assert not any(allowed(name, []) for name in commons + others)
