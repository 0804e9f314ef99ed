"""A histogram of critical thresholds on bins that are the same for every run, so that parts add up.

Bin 0 holds t* == 1 exactly, where texts of the tail gather. Bin b >= 1 holds lower(b) < t* <= upper(b): 64 bins of
equal width per octave (1.6% of t at most), up to 2**63, the largest count. Edges lie 2**46 apart in the bit pattern
of the doubles, so bins and edges are computed with integers and never disagree by rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from curation.errors import BalanceError

Counts = npt.NDArray[np.int64]

BINS_PER_OCTAVE = 64
BINS = 63 * BINS_PER_OCTAVE + 1

_SHIFT = 46  # 52 bits of mantissa per octave, less 6 for the 64 bins
_ONE = 1023 << 52  # the bit pattern of 1.0


def bin_of(values: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """The bin per critical threshold, int32 of the same shape; -1 for infinity, which belongs to no bin.

    Raises BalanceError for values below 1, above 2**63 or not a number.
    """
    thresholds = np.asarray(values, np.float64)
    finite = thresholds != np.inf
    if not np.all((thresholds >= 1.0) & ((thresholds <= 2.0**63) | ~finite)):
        raise BalanceError("critical thresholds must lie between 1 and 2**63, or be infinite: see critical_thresholds")
    steps = np.ascontiguousarray(thresholds).view(np.int64) - _ONE
    bins = (steps + ((1 << _SHIFT) - 1)) >> _SHIFT
    return np.where(finite, bins, -1).astype(np.int32)


def upper(bin: int) -> float:
    """The largest value in the bin."""
    return float(np.int64(_ONE + (_checked_bin(bin) << _SHIFT)).view(np.float64))


def lower(bin: int) -> float:
    """The bin's exclusive lower edge, the upper edge of the bin before; 1 for bin 0, which holds 1 alone."""
    return upper(max(_checked_bin(bin) - 1, 0))


@dataclass(frozen=True, eq=False)
class CriticalHistogram:
    """How many critical thresholds fall into each bin; `a + b` is the histogram of both."""

    counts: Counts
    """int64 (BINS,)"""

    @classmethod
    def empty(cls) -> CriticalHistogram:
        return cls(np.zeros(BINS, np.int64))

    @classmethod
    def from_values(cls, values: npt.ArrayLike) -> CriticalHistogram:
        """From critical thresholds (n,); infinite ones, which no threshold keeps, are left out."""
        bins = bin_of(values).ravel()
        return cls(np.bincount(bins[bins >= 0], minlength=BINS).astype(np.int64, copy=False))

    @classmethod
    def from_bins(cls, bins: npt.ArrayLike, counts: npt.ArrayLike) -> CriticalHistogram:
        """From rows of `draw_histograms`; rows of the same bin add up. Raises BalanceError for unknown bins."""
        places, numbers = np.asarray(bins, np.int64), np.asarray(counts, np.int64)
        if places.shape != numbers.shape or (places.size and not 0 <= places.min() <= places.max() < BINS):
            raise BalanceError(f"bins must be from 0 to {BINS - 1}, one per count: rebuild the histogram")
        total = np.zeros(BINS, np.int64)
        np.add.at(total, places, numbers)
        return cls(total)

    def __add__(self, other: CriticalHistogram) -> CriticalHistogram:
        return CriticalHistogram(self.counts + other.counts)

    def to_bins(self) -> tuple[npt.NDArray[np.int32], Counts]:
        """The bins that are not empty, ascending, and their counts: what `from_bins` reads."""
        bins = np.flatnonzero(self.counts)
        return bins.astype(np.int32), self.counts[bins]

    @property
    def total(self) -> int:
        return int(self._cumulative[-1])

    @property
    def largest(self) -> float:
        """Upper edge of the last bin that is not empty; 1 where all are."""
        bins = np.flatnonzero(self.counts)
        return upper(int(bins[-1])) if len(bins) else 1.0

    def size_range(self, t: float) -> tuple[int, int]:
        """(values certainly <= t, values possibly <= t)."""
        low, high = self.size_ranges([t])
        return int(low[0]), int(high[0])

    def size(self, t: float) -> float:
        """Values <= t, taking each bin's values as evenly spread."""
        return float(self.sizes([t])[0])

    def size_ranges(self, thresholds: npt.ArrayLike) -> tuple[Counts, Counts]:
        """`size_range` of many thresholds."""
        bins, part = self._places(thresholds)
        return self._cumulative[bins + (part == 1.0)], self._cumulative[bins + (part > 0.0)]

    def sizes(self, thresholds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """`size` of many thresholds."""
        bins, part = self._places(thresholds)
        below = self._cumulative[bins]
        return np.asarray(below + (self._cumulative[bins + 1] - below) * part)

    def _places(self, thresholds: npt.ArrayLike) -> tuple[Counts, npt.NDArray[np.float64]]:
        """The bin each threshold ends in, and the share in (0, 1] of its width at or below t; bin 0 and 0 for t < 1."""
        t = np.asarray(thresholds, np.float64)
        if np.any(np.isnan(t)):
            raise BalanceError("a threshold is not a number: give one of at least 1")
        steps = np.clip(t, 1.0, 2.0**63).view(np.int64) - _ONE
        bins = (steps + ((1 << _SHIFT) - 1)) >> _SHIFT
        part = 1.0 - ((bins << _SHIFT) - steps) / (1 << _SHIFT)
        return bins, np.where(t < 1.0, 0.0, part)

    @cached_property
    def _cumulative(self) -> Counts:
        """Values in all bins before each bin, and in all bins: int64 (BINS + 1,)."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64, copy=False)


def _checked_bin(bin: int) -> int:
    if not 0 <= bin < BINS:
        raise BalanceError(f"bin {bin} does not exist: bins run from 0 to {BINS - 1}")
    return bin
