"""The compiled loops of `curation.balance`. Imported when first needed, so that importing the package stays cheap.

Texts come as CSR: text i holds `values[offsets[i]:offsets[i + 1]]`. Arguments are checked by the callers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from curation.kernels import kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]

_ROUNDING = 2.0**-53
_NEWTON_STEPS = 40
_BEFORE_ONE = 1.0 - _ROUNDING  # the double before 1: no t below 1 is asked for


@kernel
def keep_probabilities(offsets: Ints, values: Ids, probabilities: Floats) -> Floats:
    keep = np.empty(len(offsets) - 1, np.float64)
    for text in range(len(keep)):
        missing = 1.0
        for position in range(offsets[text], offsets[text + 1]):
            missing *= 1.0 - probabilities[values[position]]
        keep[text] = 1.0 - missing
    return keep


@kernel
def _bits(value: float) -> np.int64:
    return np.float64(value).view(np.int64)


@kernel
def _double(bits: np.int64) -> np.float64:
    return np.int64(bits).view(np.float64)


@kernel
def _keeps(counts: Floats, entries: int, u: float, t: float) -> bool:
    """The formula itself, for 1 <= t <= min(counts), in the order and rounding of `keep_probabilities`."""
    missing = 1.0
    for entry in range(entries):
        missing *= 1.0 - t / counts[entry]
    return u < 1.0 - missing


@kernel
def _estimate(counts: Floats, entries: int, u: float, highest: float) -> tuple[float, float]:
    """(t, width): where keep(t) crosses u, by Newton, and how far rounding may have moved the crossing.

    missing(t) = prod(1 - t / count) falls and is convex on [0, min count], since all its roots are counts. Newton's
    steps from the left of the crossing therefore rise towards it and never pass it. u / sum(1 / count) lies on the
    left, because keep(t) <= sum(t / count).
    """
    total = 0.0
    for entry in range(entries):
        total += 1.0 / counts[entry]
    t = u / total
    slope = total
    for _ in range(_NEWTON_STEPS):
        missing = 1.0
        slope = 0.0
        for entry in range(entries):
            inverse = 1.0 / counts[entry]
            factor = 1.0 - t * inverse
            slope = slope * factor + missing * inverse
            missing *= factor
        if not slope > 0.0:
            return t, highest
        step = (missing - (1.0 - u)) / slope
        t += step
        if t >= highest:
            return highest, highest * _ROUNDING
        if step <= t * 1e-8:  # the next error is about the square of this step, relative to t
            break
    return t, (entries + 2) * _ROUNDING * (1.0 / slope + t)


@kernel
def _smallest(counts: Floats, entries: int, u: float) -> float:
    """The smallest float64 t >= 1 with u < keep(t). Newton only says where to look: the formula decides."""
    if entries == 0:
        return np.inf
    kept = counts[0]
    for entry in range(1, entries):
        kept = min(kept, counts[entry])
    if kept <= 1.0:
        return 1.0
    lost = _BEFORE_ONE
    estimate, width = _estimate(counts, entries, u, kept)
    reach = width
    t = estimate - reach
    while t > lost and _keeps(counts, entries, u, t):
        kept = t
        reach *= 4.0
        t = kept - reach
    lost = max(lost, t)
    reach = width
    t = max(estimate, lost) + reach
    while t < kept and not _keeps(counts, entries, u, t):
        lost = t
        reach *= 4.0
        t = lost + reach
    kept = min(kept, t)
    first = _bits(lost)
    last = _bits(kept)
    while last - first > 1:  # positive doubles are ordered as their bit patterns
        middle = first + ((last - first) >> 1)  # the sum would overflow
        if _keeps(counts, entries, u, _double(middle)):
            last = middle
        else:
            first = middle
    return _double(last)


@kernel
def critical_thresholds(offsets: Ints, values: Ids, counts: Floats, u: Floats) -> Floats:
    thresholds = np.empty(len(offsets) - 1, np.float64)
    longest = 0
    for text in range(len(thresholds)):
        longest = max(longest, offsets[text + 1] - offsets[text])
    own = np.empty(longest, np.float64)
    for text in range(len(thresholds)):
        entries = offsets[text + 1] - offsets[text]
        for entry in range(entries):
            own[entry] = counts[values[offsets[text] + entry]]
        thresholds[text] = _smallest(own, entries, u[text])
    return thresholds


@kernel
def _mix(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@kernel
def _half(digits: Bytes, start: int) -> tuple[np.uint64, np.bool_]:
    """16 lower-case hex digits as a number, and whether they are that; without branches, since digits are random."""
    word = np.uint64(0)
    valid: np.bool_ = np.bool_(True)
    for place in range(start, start + 16):
        digit = np.uint64(digits[place])
        valid &= ((digit >= 48) & (digit <= 57)) | ((digit >= 97) & (digit <= 102))
        # bit 6 tells a letter from a figure; the low four bits are 0-9 for figures and 1-6 for a-f
        word = (word << np.uint64(4)) | ((digit & np.uint64(15)) + np.uint64(9) * (digit >> np.uint64(6)))
    return word, valid


@kernel
def hashes(offsets: Ints, digits: Bytes, key: np.uint64) -> tuple[Hashes, int]:
    """The hash per id, and the first row whose id is no 32 hex digits, or -1."""
    out = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(out)):
        if offsets[row + 1] - offsets[row] != 32:
            return out, row
        high, valid = _half(digits, offsets[row])
        low, also = _half(digits, offsets[row] + 16)
        if not (valid and also):
            return out, row
        out[row] = _mix(_mix(high ^ key) ^ low)
    return out, -1
