"""The probability that a text is kept, and the smallest threshold that keeps it given its draw.

    p_e = 1 if count_e < t else t / count_e        keep(t) = 1 - product over the text's entries of (1 - p_e)

A text with draw u is kept at t when u < keep(t). Its critical threshold t* is the smallest float64 t >= 1 for which
that holds, so that `t* <= t` and `u < keep(t)` agree for every t >= 1. That is exact, not up to rounding, because the
formula as evaluated never falls when t rises: IEEE operations round monotonically, so t / count does not fall, nor
does min(1, t / count); 1 - p_e lies in [0, 1] and does not rise; nor does a product of such factors taken in a fixed
order; and 1 - product does not fall. All functions here share that order (the ids' own) and these operations, and
numba is used without fastmath, which would reorder them. A smallest t therefore exists and bisection finds it.

The formula is MetaCLIP's (an entry's independent draws, arXiv:2309.16671; drawn once with the product in
arXiv:2507.22062). The ids of a text are distinct: an entry counts once per text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from curation.balance.shares import Floats, checked_counts
from curation.errors import BalanceError

if TYPE_CHECKING:
    from curation.balance._kernels import Ids, Ints

T = TypeVar("T", bound=np.generic)


def keep_probability(entry_ids: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """1 - product of (1 - probabilities[e]) over one text's entry ids; 0 for a text without entries."""
    known = np.asarray(probabilities, np.float64)
    missing = 1.0
    for factor in (1.0 - _probabilities(known[_entry_ids(entry_ids, len(known))])).tolist():
        missing *= factor
    return 1.0 - missing


def keep_probabilities(offsets: npt.ArrayLike, values: npt.ArrayLike, probabilities: npt.ArrayLike) -> Floats:
    """`keep_probability` of many texts; text i holds `values[offsets[i]:offsets[i + 1]]`.

    offsets (n + 1,) and values are those of an Arrow list column, sliced or not (`column.offsets`, `column.values`);
    probabilities (entries,) from `entry_probabilities`. Returns float64 (n,). Raises BalanceError for ids that are
    no entry and offsets that do not fit.
    """
    from curation.balance import _kernels

    known = _probabilities(probabilities)
    starts, ids = _texts(offsets, values, len(known))
    return _kernels.keep_probabilities(starts, ids, _readonly(known))


def critical_threshold(counts_of_entries: npt.ArrayLike, u: float) -> float:
    """The smallest float64 t >= 1 that keeps a text whose entries have these counts and whose draw is u in [0, 1).

    Infinite for a text without entries; 1 where an entry has count 0 or 1; never above the smallest count.
    """
    counts = checked_counts(counts_of_entries)
    return float(critical_thresholds([0, len(counts)], np.arange(len(counts)), counts, [u])[0])


def critical_thresholds(
    offsets: npt.ArrayLike, values: npt.ArrayLike, counts: npt.ArrayLike, u: npt.ArrayLike
) -> Floats:
    """`critical_threshold` of many texts, given as for `keep_probabilities`.

    counts (entries,) of the whole pool and u (n,) in [0, 1), as `sampling.uniforms` makes them. Returns float64 (n,).
    """
    from curation.balance import _kernels

    known = checked_counts(counts)
    starts, ids = _texts(offsets, values, len(known))
    draws = np.asarray(u, np.float64)
    if draws.shape != (len(starts) - 1,):
        raise BalanceError(f"{len(starts) - 1} texts need as many draws, not an array of shape {draws.shape}")
    if len(draws) and not (draws.min() >= 0 and draws.max() < 1):
        raise BalanceError(f"draws run from {draws.min()} to {draws.max()}, but must lie in [0, 1)")
    return _kernels.critical_thresholds(starts, ids, _readonly(known), _readonly(draws))


def _texts(offsets: npt.ArrayLike, values: npt.ArrayLike, entries: int) -> tuple[Ints, Ids]:
    starts = np.asarray(offsets)
    ids = np.asarray(values)
    if starts.ndim != 1 or starts.dtype.kind not in "iu" or not len(starts):
        raise BalanceError(f"offsets must be n + 1 integers, not {starts.dtype} of shape {starts.shape}")
    if starts[0] < 0 or starts[-1] > len(ids) or np.any(starts[1:] < starts[:-1]):
        raise BalanceError(f"offsets must rise from 0 or more to at most {len(ids)}, the number of values")
    used = _entry_ids(ids[starts[0] : starts[-1]], entries)
    return _readonly((starts - starts[0]).astype(np.int64, copy=False)), _readonly(used)


def _entry_ids(values: npt.ArrayLike, entries: int) -> Ids:
    ids = np.asarray(values)
    if not ids.size and ids.ndim == 1:
        return np.empty(0, np.int32)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise BalanceError(f"entry ids must be integers in one dimension, not {ids.dtype} of shape {ids.shape}")
    if ids.min() < 0 or ids.max() >= entries:
        raise BalanceError(
            f"entry ids run from {ids.min()} to {ids.max()}, but there are {entries} entries: "
            "matches and counts are of different vocabularies"
        )
    return ids.astype(np.int32, copy=False)


def _probabilities(probabilities: npt.ArrayLike) -> Floats:
    known = np.asarray(probabilities, np.float64)
    if known.ndim != 1 or (len(known) and not (known.min() >= 0 and known.max() <= 1)):
        raise BalanceError("entry probabilities must be one number in [0, 1] per entry: see entry_probabilities")
    return known


def _readonly(values: npt.NDArray[T]) -> npt.NDArray[T]:
    from curation.kernels import readonly

    return readonly(values)
