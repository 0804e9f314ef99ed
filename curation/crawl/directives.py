"""Robots directives and text-and-data-mining reservations, as pages and HTTP headers state them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MAX_DIRECTIVES = 64
MAX_DIRECTIVE_CHARS = 100

_AFTER = "unavailable_after"
_VALUED = frozenset({_AFTER, "max-snippet", "max-image-preview", "max-video-preview"})
_BARE = frozenset(
    [
        *("all", "none", "index", "noindex", "follow", "nofollow", "noarchive", "nocache", "nosnippet"),
        *("noimageindex", "notranslate", "noai", "noimageai", "indexifembedded", "nositelinkssearchbox"),
        *("noodp", "noydir"),
    ]
)
_DATE_PART = re.compile(r"\d|[a-z]{3,9}\.? \d").match  # what can follow a comma within a date: 25 jun 2010; jun 25


def robots_directives(values: Iterable[str], *, header: bool) -> list[str]:
    """Distinct directives of a page, lower case, sorted: at most 64, of 1 to 100 characters each.

    values: contents of <meta name=robots> (header=False) or values of X-Robots-Tag headers (header=True).
    White space becomes single; a directive with a value is "max-snippet: 20". In a header "otherbot: noindex, nofollow"
    gives "otherbot: nofollow" and "otherbot: noindex": the agent stays in front of all that is meant for it ("*" is
    everyone and is left out). Commas within the date of unavailable_after are part of it. Known directives between
    blanks or semicolons instead of commas ("noindex nofollow") are told apart.
    Directives that are too long are left out; of too many the shortest are kept, as the known ones are short.
    """
    found = {directive for value in values for directive in _directives(value, header)}
    if len(found) > MAX_DIRECTIVES:
        return sorted(sorted(found, key=lambda directive: (len(directive), directive))[:MAX_DIRECTIVES])
    return sorted(found)


def tdm_reserved(value: str) -> bool:
    """Whether a tdm-reservation (header, meta or tdmrep.json) reserves the rights: only "1" does (W3C TDMRep)."""
    return value.strip() == "1"


def _directives(value: str, header: bool) -> Iterator[str]:
    prefix = ""
    for part in _parts(value.lower()):
        name, colon, rest = (piece.strip() for piece in part.partition(":"))
        text = part
        if header and colon and name not in _VALUED and " " not in name:
            prefix, text = ("" if name in ("", "*") else name + ": "), rest
            name, colon, rest = (piece.strip() for piece in text.partition(":"))
        words = text.replace(";", " ").split()
        for directive in words if _BARE.issuperset(words) else [f"{name}: {rest}" if colon and name else text]:
            if directive and len(prefix) + len(directive) <= MAX_DIRECTIVE_CHARS:
                yield prefix + directive


def _parts(value: str) -> Iterator[str]:
    """What stands between commas, other than those within a date."""
    held = ""
    for part in value.split(","):
        text = " ".join(part.split())
        if _AFTER in held and _DATE_PART(text):
            if len(held) <= MAX_DIRECTIVE_CHARS:  # longer is left out anyway
                held += ", " + text
            continue
        if held:
            yield held
        held = text
    yield held
