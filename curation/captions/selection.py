"""Which captions stay: the best of all samples, and which captioners are worth their cost.

Scores are float32, as they are stored, and compared as such; NaN is no score.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from curation.errors import StageError

Scores = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

BINS: Final = 1 << 16
"""Of each of the two histograms that find a cutoff: the upper, then the lower half of a score's 32 bits."""


def global_cutoff(scores: Scores, top: int) -> float:
    """The score of the caption at place `top`, best first: those >= it stay, exactly `top` but for ties with it.

    -inf where there are no more than `top` scores. For scores in many pieces: `upper_histogram` of each piece, added;
    `cutoff_bin`; `lower_histogram` of each piece, added; `cutoff_in`.
    """
    bin_, left = cutoff_bin(upper_histogram(scores), top)
    return -np.inf if bin_ is None else cutoff_in(bin_, lower_histogram(scores, bin_), left)


def upper_histogram(scores: Scores) -> Counts:
    """(BINS,) scores by the upper half of their bits; the histogram of two pieces is the sum of theirs."""
    return np.bincount(_ordered_bits(scores) >> 16, minlength=BINS)


def lower_histogram(scores: Scores, bin_: int) -> Counts:
    """(BINS,) scores of one bin of `upper_histogram` by the lower half of their bits."""
    bits = _ordered_bits(scores)
    return np.bincount(bits[bits >> 16 == bin_] & (BINS - 1), minlength=BINS)


def cutoff_bin(upper: Counts, top: int) -> tuple[int | None, int]:
    """The bin that holds the score at place `top`, and that score's place in it; None: no more scores than that."""
    if top < 1:
        raise StageError(f"the best {top} captions are none: keep 1 or more")
    if upper.sum() <= top:
        return None, 0
    reached = np.cumsum(upper[::-1])
    back = int(np.searchsorted(reached, top))
    return BINS - 1 - back, top - int(reached[back] - upper[BINS - 1 - back])


def cutoff_in(bin_: int, lower: Counts, place: int) -> float:
    """The score at this place, best first, of the bin that `lower` is the histogram of."""
    low = BINS - 1 - int(np.searchsorted(np.cumsum(lower[::-1]), place))
    bits = bin_ << 16 | low
    pattern = bits & 0x7FFFFFFF if bits >> 31 else ~bits & 0xFFFFFFFF
    return float(np.array(pattern, np.uint32).view(np.float32))


def teacher_order(well: npt.NDArray[np.bool_]) -> tuple[Counts, npt.NDArray[np.float64]]:
    """All teachers in the order in which they add most, and the share of samples captioned well up to each (Panda-70M).

    well: (samples, teachers), whether a teacher's caption is good. First the best one, then again and again the one
    best on the samples that none before captioned well; of equals the first. Panda-70M: 30.8 % by the best of 31,
    76.8 % by 8, 84.7 % by all. Shares are NaN where there are no samples.
    """
    samples, teachers = well.shape
    order, covered = np.empty(teachers, np.int64), np.empty(teachers, np.int64)
    open_, waiting, reached = well, np.ones(teachers, np.bool_), 0
    for step in range(teachers):
        gains = np.where(waiting, open_.sum(axis=0), -1)
        order[step] = best = int(gains.argmax())
        reached += int(gains[best])
        covered[step] = reached
        waiting[best], open_ = False, open_[~open_[:, best]]
    return order, covered / samples if samples else np.full(teachers, np.nan)


def _ordered_bits(scores: Scores) -> Counts:
    """Of the scores that are some: their bits as numbers in the order of the scores."""
    plain = np.asarray(scores, np.float32)
    bits = plain[~np.isnan(plain)].view(np.uint32).astype(np.int64)
    return np.where(bits >> 31, ~bits & 0xFFFFFFFF, bits | 0x80000000)
