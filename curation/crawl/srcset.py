"""The candidates of a srcset attribute, as browsers read it."""

from __future__ import annotations

import re
from math import isfinite

_URL = re.compile(r"[ \t\n\f\r,]*([^ \t\n\f\r]+)")
_DESCRIPTORS = re.compile(r"(?:[^,(]++|\([^)]*+\)?)*+,?")  # a comma in parentheses ends nothing
_BLANKS = re.compile(r"[ \t\n\f\r]+")
_INTEGER = re.compile(r"[0-9]+").fullmatch
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_MAX_DESCRIPTOR_CHARS = 32


def candidates(srcset: str) -> list[tuple[str, float]]:
    """(URL as written, rank) of every valid candidate, in order; rank is the width in pixels or else the density.

    Follows "parse a srcset attribute" of the WHATWG HTML standard: commas belong to a URL unless they end it, so that
    data: URLs stay whole; no descriptor means 1x; a candidate with a descriptor that is wrong, double or in conflict is
    left out. So is one with a descriptor of more than 32 characters or an infinite density. Ranks of widths and
    densities do not compare with each other. Never raises.
    """
    found = []
    position = 0
    while match := _URL.match(srcset, position):
        url, position = match[1], match.end()
        rank: float | None = 1.0
        if url[-1] == ",":
            url = url.rstrip(",")
        elif match := _DESCRIPTORS.match(srcset, position):
            position = match.end()
            rank = _rank(match[0].removesuffix(","))
        if rank is not None and url:
            found.append((url, rank))
    return found


def _rank(descriptors: str) -> float | None:
    """Width, else density, of the text after a URL; None if it is not valid."""
    sizes: dict[str, float] = {}
    for token in _BLANKS.split(descriptors):
        if not token:
            continue
        unit, text = token[-1], token[:-1]
        valid = (_NUMBER if unit == "x" else _INTEGER)(text) if len(token) <= _MAX_DESCRIPTOR_CHARS else None
        size = float(text) if valid else -1.0
        if unit not in "whx" or unit in sizes or size < 0 or not isfinite(size) or (size == 0 and unit != "x"):
            return None
        sizes[unit] = size
    if "w" in sizes:
        return None if "x" in sizes else sizes["w"]
    return None if "h" in sizes else sizes.get("x", 1.0)
