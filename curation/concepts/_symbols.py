"""Compiled cutting of padded entries into symbols: tokens between single spaces, or characters."""

from __future__ import annotations

import numpy as np

from curation.concepts._trie_arrays import Ints, Symbols
from curation.kernels import kernel


@kernel
def character_bytes(byte: int) -> int:
    """Length of the UTF-8 character that begins with this byte."""
    if byte < 0xC0:
        return 1
    return 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4


@kernel
def symbol_end(forms: Symbols, at: int, end: int) -> int:
    if forms.characters:
        return min(at + character_bytes(forms.data[at]), end)
    while at < end and forms.data[at] != 32:
        at += 1
    return at


@kernel
def count_symbols(forms: Symbols) -> Ints:
    """Symbols of every form. No form of characters is empty; one of tokens may be, and is one empty token."""
    counts = np.zeros(len(forms.offsets) - 1, np.int64)
    for row in range(len(counts)):
        at, end = forms.offsets[row], forms.offsets[row + 1]
        while True:
            at = symbol_end(forms, at, end)
            counts[row] += 1
            if at >= end:
                break
            at += 0 if forms.characters else 1
    return counts
