"""Lists of what to refuse or to take: a URL, a domain or a hex digest a line; # starts a comment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import InputError
from curation.filters.files import Digest, read_lines
from curation.filters.names import Keys, name_keys
from curation.filters.urls import domain_name, normal_url

DIGESTS: Final[dict[str, tuple[int, Callable[[bytes], str]]]] = {
    "md5": (32, lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest()),
    "sha1": (40, lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest()),
    "sha256": (64, lambda data: hashlib.sha256(data).hexdigest()),
}
"""Digests of URLs: how many hex digits they have, and how they are made. media_id (24) is the candidates' own."""
MEDIA_ID: Final = "media_id"

_COMMENT = r"(^|\s)#.*$"
_LABEL = r"[\p{L}\p{M}\p{N}_-]+"
_KINDS: Final = {
    "url": r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]",
    MEDIA_ID: r"^[0-9a-fA-F]{24}$",
    **{kind: rf"^[0-9a-fA-F]{{{size}}}$" for kind, (size, _) in DIGESTS.items()},
    "domain": rf"^(?:(?:\*?\.)?{_LABEL}(?:\.{_LABEL})+|\*?\.{_LABEL})\.?$",
}
"""What lines look like, by kind. No two overlap: a URL has ://, a domain a dot, a digest neither."""
_ADVICE = {
    "url": "an absolute URL",
    "domain": "a domain",
    MEDIA_ID: "a hex digest of 24, 32, 40 or 64 digits",
}


def read_names(location: str, kinds: Collection[str], digest: Digest) -> Iterator[tuple[str, Keys]]:
    """(kind, keys of the names) of a list, block by block. Raises InputError that names the first line of no `kinds`.

    kinds: keys of DIGESTS, "url", "domain", MEDIA_ID. `digest` takes up the content.
    """
    for first, lines in read_lines(location, digest):
        yield from _names(lines, kinds, f"{location}, line", first)


def domain_keys(items: list[str], where: str) -> Keys:
    """Keys of the domains that a recipe names. Raises InputError for what is no domain."""
    found = _names(pa.array(items, pa.string()), ("domain",), f"{where}, item", 1)
    return np.concatenate([name_keys([]), *(keys for _, keys in found)])


def _names(lines: pa.StringArray, kinds: Collection[str], where: str, first: int) -> Iterator[tuple[str, Keys]]:
    if pc.any(pc.match_substring(lines, "#")).as_py():  # the regex takes longer than all the rest
        lines = pc.replace_substring_regex(lines, _COMMENT, "")
    lines = pc.utf8_trim_whitespace(lines)
    left = lines.filter(pc.not_equal(lines, ""))
    for kind, pattern in _KINDS.items():
        if kind in kinds:
            matches = pc.match_substring_regex(left, pattern)
            names = map(_NORMAL.get(kind, str.lower), left.filter(matches).to_pylist())
            yield kind, name_keys(list(names))
            left = left.filter(pc.invert(matches))
    if len(left):
        line = first + pc.index(lines, left[0]).as_py()
        wanted = " or ".join(words for kind, words in _ADVICE.items() if kind in kinds)
        raise InputError(f"{where} {line}, is {left[0].as_py()!a:.80}: give {wanted}")


def _normal_domain(item: str) -> str:
    return domain_name(item.removeprefix("*").lstrip("."))


_NORMAL: Final[dict[str, Callable[[str], str]]] = {"url": normal_url, "domain": _normal_domain}
