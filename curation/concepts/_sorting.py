"""Compiled loops that put hits in order."""

from __future__ import annotations

import numpy as np

from curation.concepts._intrinsics import count_below
from curation.concepts._trie_arrays import Ids, Ints
from curation.kernels import kernel

_FEW = 64  # hits that are ranked by counting the smaller ones, sixteen at a time: no branch depends on them
_LAST = 0x7FFF_FFFF
_DIGIT = 11  # bits of a number that are sorted at a time; three digits make up an id


@kernel
def _ranked(hits: Ids, first: int, end: int, n: int, scratch: Ids) -> int:
    """Writes hits[first:end], at most _FEW, in order and each once to hits[n:...]; the end of that. n <= first."""
    size = end - first
    sorted_at = _FEW + 16
    for i in range(size):
        scratch[i] = hits[first + i]
        scratch[sorted_at + i] = -1
    for i in range(size, size + 16):
        scratch[i] = _LAST
    for i in range(size):
        smaller = 0
        for j in range(0, size, 16):
            smaller += count_below(scratch, j, scratch[i])
        scratch[sorted_at + smaller] = scratch[i]
    for i in range(sorted_at, sorted_at + size):
        hits[n] = scratch[i]
        n += int(scratch[i] >= 0)  # repeated hits have one rank and leave gaps
    return n


@kernel
def by_digits(hits: Ids, first: int, end: int, n: int) -> int:
    """As `_ranked`, for any number of hits: radix sort, in linear time."""
    values, other = hits[first:end].copy(), np.empty(end - first, np.int32)
    for shift in range(0, 31, _DIGIT):
        starts = np.zeros((1 << _DIGIT) + 1, np.int64)
        for value in values:
            starts[((value >> shift) & ((1 << _DIGIT) - 1)) + 1] += 1
        starts = np.cumsum(starts)
        for value in values:
            digit = (value >> shift) & ((1 << _DIGIT) - 1)
            other[starts[digit]] = value
            starts[digit] += 1
        values, other = other, values
    before = -1
    for value in values:
        hits[n] = value
        n += int(value != before)
        before = value
    return n


@kernel
def sort_rows(hits: Ids, counts: Ints) -> int:
    """Sorts every row's hits, drops repetitions and closes the gaps, in place; how many are left in all.

    counts[i] hits belong to row i; no hit is negative, none is 2**31 - 1.
    """
    scratch = np.empty(2 * _FEW + 16, np.int32)
    first = n = 0
    for row in range(len(counts)):
        end = first + counts[row]
        stop = _ranked(hits, first, end, n, scratch) if counts[row] <= _FEW else by_digits(hits, first, end, n)
        counts[row] = stop - n
        first, n = end, stop
    return n


@kernel
def united(left_counts: Ints, left: Ids, right_counts: Ints, right: Ids) -> Ids:
    """Merges two kernels' ids row by row; both ascend, and no id stands in both."""
    merged = np.empty(len(left) + len(right), np.int32)
    i = j = left_end = right_end = 0
    for row in range(len(left_counts)):
        left_end += left_counts[row]
        right_end += right_counts[row]
        while i < left_end or j < right_end:
            if j >= right_end or (i < left_end and left[i] < right[j]):
                merged[i + j] = left[i]
                i += 1
            else:
                merged[i + j] = right[j]
                j += 1
    return merged
