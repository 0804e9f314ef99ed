"""Which of many perceptual hashes lie within a distance of a listed one: exact, without comparing all with all.

Two hashes that differ in `distance` of 64 bits differ little in one of their runs of bits, at least: of b runs, where
distance = b * r + a, one of the first a + 1 runs differs in r bits at most, or one of the others in r - 1 (Norouzi,
Punjani and Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012). So a hash is compared with those
alone that lie under its own runs, and under these with so many bits turned over.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from curation.media.fingerprints import FLAT, band_runs

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

MAX_DISTANCE: Final = 16
_MIN_RUNS = 3  # of fewer, a table by the value of a run would be too large: 2^22 places of 4 bytes
_PROBE_NS, _COMPARED_NS, _SCANNED_NS = 40.0, 15.0, 1.5
"""Measured on one core: looking into a table, comparing one found there, comparing one where all are compared."""
_AT_ONCE = 1 << 20  # comparisons held in memory: 32 MB


class HashIndex:
    """Perceptual hashes, FLAT ones left out: 24 bytes each, and up to 48 MB of tables.

    A question costs about 1 microsecond within 4 bits of a million evenly spread hashes, 500 within 16.
    """

    def __init__(self, hashes: Hashes, max_distance: int) -> None:
        """max_distance: bits of 64 in which a hash may differ from a listed one, 0 to MAX_DISTANCE."""
        if not 0 <= max_distance <= MAX_DISTANCE:
            raise ValueError(f"max_distance must be 0 to {MAX_DISTANCE}, not {max_distance}")
        self.hashes: Hashes = np.unique(np.asarray(hashes, np.uint64))
        self.hashes = self.hashes[self.hashes != FLAT]
        self._distance = max_distance
        runs = _best_runs(len(self.hashes), max_distance)
        self._tables = (
            [
                _Table(self.hashes, *run, radius)
                for run, radius in zip(band_runs(runs), _radii(runs, max_distance), strict=True)
                if radius >= 0
            ]
            if runs
            else []
        )

    def near(self, hashes: Hashes) -> Mask:
        """Which of (n,) hashes are within max_distance of a listed one. FLAT is near nothing."""
        values, places = np.unique(np.asarray(hashes, np.uint64), return_inverse=True)
        found = np.zeros(len(values), bool)
        if not len(self.hashes):
            return found[places]
        if self._tables:
            for table in self._tables:
                table.search(values, self._distance, found)
        else:
            step = max(1, _AT_ONCE // len(self.hashes))
            for start in range(0, len(values), step):
                apart = np.bitwise_count(values[start : start + step, None] ^ self.hashes)
                found[start : start + step] = apart.min(axis=1) <= self._distance
        found &= values != FLAT
        return found[places]

    def nearest(self, value: int) -> tuple[int, int] | None:
        """The listed hash that differs in the fewest bits, the smallest of several, and these bits; None: no list."""
        if not len(self.hashes):
            return None
        apart = np.bitwise_count(self.hashes ^ np.uint64(value))
        at = int(apart.argmin())
        return int(self.hashes[at]), int(apart[at])


class _Table:
    """The hashes by one run of their bits."""

    def __init__(self, hashes: Hashes, shift: int, width: int, radius: int) -> None:
        self._shift, self._mask = np.uint64(shift), np.uint64((1 << width) - 1)
        keys = self._keys(hashes)
        self._hashes = hashes[np.argsort(keys, kind="stable")]
        self._starts = np.zeros((1 << width) + 1, np.int32)
        np.cumsum(np.bincount(keys, minlength=1 << width), out=self._starts[1:])
        turned = [bits for many in range(radius + 1) for bits in combinations(range(width), many)]
        self._turned = np.array([sum(1 << bit for bit in bits) for bits in turned], np.int64)

    def _keys(self, hashes: Hashes) -> npt.NDArray[np.int64]:
        return (hashes >> self._shift & self._mask).astype(np.int64)

    def search(self, values: Hashes, distance: int, found: Mask) -> None:
        """Marks in `found` the values that a hash in the places of their run is near to."""
        for turned in self._turned:
            open_ = np.flatnonzero(~found)
            keys = self._keys(values[open_]) ^ turned
            starts, counts = self._starts[keys], self._starts[keys + 1] - self._starts[keys]
            some = counts > 0
            self._compare(values, distance, found, (open_[some], starts[some], counts[some]))

    def _compare(self, values: Hashes, distance: int, found: Mask, spans: tuple[Any, Any, Any]) -> None:
        """Compares values with `counts` hashes from `starts`, no more at once than memory should hold."""
        asked, starts, counts = spans
        ends = np.cumsum(counts, dtype=np.int64)
        first = 0
        while first < len(asked):
            before = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
            many = counts[first:last]
            who = np.repeat(asked[first:last], many)
            begins = np.repeat(starts[first:last] - (ends[first:last] - many - before), many)
            apart = np.bitwise_count(values[who] ^ self._hashes[begins + np.arange(len(who))])
            found[who[apart <= distance]] = True
            first = last


def _radii(runs: int, distance: int) -> list[int]:
    """Bits that may be turned over in each run; -1: the run need not be looked at."""
    whole, rest = divmod(distance, runs)
    return [whole if run <= rest else whole - 1 for run in range(runs)]


def _best_runs(hashes: int, distance: int) -> int:
    """Into how many runs hashes are best cut; 0: comparing with all is cheaper."""
    costs = {0: hashes * _SCANNED_NS}
    for runs in range(_MIN_RUNS, max(_MIN_RUNS, distance + 1) + 1):
        cost = 0.0
        for (_, width), radius in zip(band_runs(runs), _radii(runs, distance), strict=True):
            probes = sum(comb(width, bits) for bits in range(radius + 1))
            cost += probes * (_PROBE_NS + _COMPARED_NS * hashes / (1 << width))
        costs[runs] = cost
    return min(costs, key=lambda runs: costs[runs])
