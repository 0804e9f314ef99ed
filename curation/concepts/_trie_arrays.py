"""What the compiled loops of `curation.concepts.token_trie` work on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Ids = npt.NDArray[np.int32]
Ints = npt.NDArray[np.int64]
Offsets = npt.NDArray[np.signedinteger[Any]]

PADDING = 64
"""Bytes that must be readable beyond the last text or form."""

MAX_SYMBOLS = 256
"""Longest entry of a trie: a walk begins at every symbol of a text, so its depth is to be bounded."""

EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
"""Key of a free slot."""

EXACT = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
"""The hash mask that is used; tests take fewer bits, so that tokens collide."""


class Trie(NamedTuple):
    """Entries as paths of symbols; `_token_kernels` describes lines (the symbols), edges and pairs.

    places[slot]: where a long symbol's bytes begin in `pool`; a space ends them.
    """

    lines: Words
    edges: Words
    pairs: Words
    places: npt.NDArray[np.uint32]
    pool: Bytes
    hash_mask: np.uint64  # all ones; fewer make unequal tokens share keys
    depth: np.int64  # symbols of the longest entry, 0 where there is none


class Symbols(NamedTuple):
    """Strings to be cut into symbols: tokens between single spaces, or characters."""

    data: Bytes
    offsets: Offsets
    characters: bool


class Texts(NamedTuple):
    """Texts as they come, unprepared; `strip`: without white space at the ends."""

    data: Bytes
    offsets: Offsets
    strip: bool


class Batch(NamedTuple):
    """Symbols on their way: keys, their slots, (index, start, end) of long ones; state: row, next byte, start, end."""

    keys: Words
    slots: Ids
    longs: Ints
    state: Ints
