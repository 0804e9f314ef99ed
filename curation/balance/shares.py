"""Counts, thresholds and tail shares: p_e = 1 if count_e < t else t / count_e, and which t fits a share of the tail.

A *match* is one (text, entry) occurrence, so an entry with count c holds c of them. Counts above 2**53 lose their last
digits: thresholds are doubles.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from curation.errors import BalanceError

Rule = Literal["step", "interpolated"]
Floats = npt.NDArray[np.float64]


class Ladder:
    """A language's ascending cumulative share of matches over its non-zero counts.

    `counts` and `shares` hold two points per distinct count, the first and the last entry that has it: what lies
    between has the same count, so 500,000 entries shrink to some thousand points without changing any answer.
    `distinct` are the distinct counts, `tails[i]` the share of matches on counts below `distinct[i]`, and `tails[-1]`
    is 1. Raises BalanceError where no entry has a match: shares of nothing are undefined.
    """

    def __init__(self, counts: npt.ArrayLike) -> None:
        values = checked_counts(counts)
        self.distinct, entries = np.unique(values[values > 0], return_counts=True)
        if not len(self.distinct):
            raise BalanceError("no entry has a match, so its tail share is undefined: match some texts first")
        last = np.cumsum(self.distinct * entries)
        first = np.concatenate([[0.0], last[:-1]]) + self.distinct
        self.counts = np.repeat(self.distinct, 2)
        self.shares = np.stack([first, last], axis=1).ravel() / last[-1]
        self.tails = np.concatenate([[0.0], last]) / last[-1]

    def tail_shares(self, thresholds: npt.ArrayLike) -> Floats:
        """Share of matches on entries with count < t, for each t."""
        return np.asarray(self.tails[np.searchsorted(self.distinct, thresholds, side="left")])

    def thresholds(self, tail_shares: npt.ArrayLike, rule: Rule) -> Floats:
        """t >= 1 for each tail share in [0, 1]; never falls as the share rises, for either rule."""
        shares = np.asarray(tail_shares, np.float64)
        above = np.clip(np.searchsorted(self.shares, shares, side="left"), 0, len(self.shares) - 1)
        below = np.maximum(above - 1, 0)
        to_above, to_below = self.shares[above] - shares, shares - self.shares[below]
        if rule == "step":
            chosen = np.where((above > 0) & (to_below <= to_above), self.counts[below], self.counts[above])
        else:
            gap = self.shares[above] - self.shares[below]
            part = np.divide(to_below, gap, out=np.ones_like(shares), where=(above > 0) & (gap > 0))
            rise = (self.counts[above] - self.counts[below]) * np.minimum(part, 1.0)
            chosen = np.minimum(self.counts[below] + rise, self.counts[above])
        return np.asarray(np.maximum(chosen, 1.0))


def tail_share(counts: npt.ArrayLike, t: float) -> float:
    """Share of matches that fall on entries with count < t, in [0, 1].

    counts: texts per entry, zeros allowed, shape (entries,). Raises BalanceError where every count is zero.
    """
    return float(Ladder(counts).tail_shares(checked_threshold(t)))


def threshold_for_tail_share(counts: npt.ArrayLike, p: float, *, rule: Rule = "step") -> float:
    """The finite t >= 1 whose tail share comes nearest to p in [0, 1], by MetaCLIP 2's rule.

    Non-zero counts are sorted ascending and summed up, each position including itself. "step": the count at the
    position whose cumulative share is nearest to p; of two equally near ones the smaller count. "interpolated":
    linear between the two neighbouring positions, equal to a count where p is exactly its cumulative share, and the
    smallest count below the first; continuous and monotone in p. Neither is an exact inverse of `tail_share`, which
    leaves out entries with count == t. Raises BalanceError where every count is zero or p is no share.
    """
    return float(Ladder(counts).thresholds(checked_share(p), checked_rule(rule)))


def entry_probabilities(counts: npt.ArrayLike, t: float) -> Floats:
    """p_e per entry: 1 if count < t (so for count 0), else t / count. Shapes (entries,) -> (entries,)."""
    values = checked_counts(counts)
    return np.divide(checked_threshold(t), values, out=np.ones_like(values), where=(values >= t) & (values > 0))


def checked_counts(counts: npt.ArrayLike) -> Floats:
    """Counts as float64; raises BalanceError unless they are one-dimensional, finite and not negative."""
    values = np.asarray(counts)
    if values.size == 0 and values.ndim == 1:
        return np.empty(0)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise BalanceError(f"counts must be one number per entry, not {values.dtype} of shape {values.shape}")
    values = values.astype(np.float64, copy=False)
    if not (values.min() >= 0 and values.max() < np.inf):
        raise BalanceError(f"counts run from {values.min()} to {values.max()}: each must be finite and not negative")
    return values


def checked_threshold(t: float) -> float:
    """Raises BalanceError unless t >= 0 (infinite keeps everything); below 1 it means the same as in the formula."""
    if not t >= 0:
        raise BalanceError(f"t is {t}, but a threshold is a number of texts: give one of at least 1")
    return t


def checked_share(p: float) -> float:
    """Raises BalanceError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise BalanceError(f"tail share {p} is no share: give a number from 0 to 1, such as 0.06")
    return p


def checked_rule(rule: str) -> Rule:
    """Raises BalanceError unless the rule is known."""
    for known in get_args(Rule):
        if rule == known:
            return known  # type: ignore[no-any-return]
    raise BalanceError(f"unknown rule {rule!r} for other languages: use one of {', '.join(get_args(Rule))}")
