"""One threshold per language from one number: t of the pivot language (English), or a tail share for all.

MetaCLIP 2's rule: the tail share p of the pivot at its t is what every other language is given; each takes the count
whose cumulative share is nearest to p.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curation.balance.shares import Floats, Ladder, Rule, checked_counts, checked_rule, checked_share
from curation.errors import BalanceError


@dataclass(frozen=True)
class Thresholds:
    """The threshold t of every language, finite and >= 1; in texts per entry."""

    by_language: dict[str, float]
    tail_share: float
    """p: what the languages' thresholds follow from, the pivot's share of matches on entries with count < t"""
    pivot: str


def thresholds_for(
    counts: Mapping[str, npt.ArrayLike],
    *,
    pivot: str = "en",
    t: float | None = None,
    p: float | None = None,
    rule: Rule = "step",
) -> Thresholds:
    """Thresholds of all languages from exactly one of t (the pivot's) and p (a tail share for every language).

    counts: language -> texts per entry of the whole pool (one modality), zeros allowed. With t the pivot keeps t and
    the others follow p = tail_share(counts[pivot], t); with p every language, the pivot too, follows p by `rule`. A
    language without any match gets t = 1. Raises BalanceError where no language has a match, or t is given and the
    pivot has none.
    """
    if t is not None and p is None:
        if not 1 <= t < np.inf:
            raise BalanceError(f"t is {t}, but a threshold is a number of texts: give one of at least 1")
        return Scale(counts, pivot, rule, by_pivot=True).at(t)
    if p is not None and t is None:
        return Scale(counts, pivot, rule, by_pivot=False).at(checked_share(p))
    raise BalanceError("thresholds follow from one number: give exactly one of t and a tail share")


class Scale:
    """All languages' thresholds as functions of one scalar: t of the pivot if `by_pivot`, else the tail share p.

    No language's threshold falls when the scalar rises. The scalar is handled as the bit pattern of a non-negative
    double, an int64 *key* in the same order, so that between two keys there is a finite number of others and
    "no threshold in between" can be decided.
    """

    def __init__(self, counts: Mapping[str, npt.ArrayLike], pivot: str, rule: str, *, by_pivot: bool) -> None:
        self.pivot, self.rule, self.by_pivot = pivot, checked_rule(rule), by_pivot
        self.languages = sorted(counts)
        checked = {lang: checked_counts(counts[lang]) for lang in self.languages}
        self.ladders = {lang: Ladder(values) for lang, values in checked.items() if values.any()}
        if not self.ladders:
            raise BalanceError("no language has a match, so there is nothing to balance: check vocabularies and inputs")
        if by_pivot and pivot not in self.ladders:
            raise BalanceError(
                f"t is meant for {pivot!r}, which has no match here (languages: {', '.join(self.ladders)}): "
                "give a tail share instead, such as 0.06"
            )

    def thresholds(self, scalars: npt.ArrayLike) -> dict[str, Floats]:
        """language -> t per scalar, each as long as `scalars`."""
        values = np.asarray(scalars, np.float64)
        shares = self.tail_shares(values)
        found = {lang: np.ones_like(values) for lang in self.languages}
        found |= {lang: ladder.thresholds(shares, self.rule) for lang, ladder in self.ladders.items()}
        if self.by_pivot:
            found[self.pivot] = values
        return found

    def tail_shares(self, scalars: npt.ArrayLike) -> Floats:
        values = np.asarray(scalars, np.float64)
        return self.ladders[self.pivot].tail_shares(values) if self.by_pivot else values

    def at(self, scalar: float) -> Thresholds:
        by_language = {lang: float(t[0]) for lang, t in self.thresholds([scalar]).items()}
        return Thresholds(by_language, float(self.tail_shares([scalar])[0]), self.pivot)

    def span(self, highest: float) -> tuple[int, int]:
        """Keys of the scalars that give the smallest and the largest selection; `highest` is the pivot's largest t*."""
        if not self.by_pivot:
            return int(keys_of(0.0)), int(keys_of(1.0))
        beyond = np.nextafter(self.ladders[self.pivot].distinct[-1], np.inf)  # count < t for all: tail share 1
        return int(keys_of(1.0)), int(keys_of(max(beyond, highest, 1.0)))

    def jumps(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """Ascending keys k in (first, last] where a threshold other than the pivot's own t jumps from k - 1 to k.

        With a pivot, p jumps just above each of its counts. Without one, the step rule jumps halfway between two
        cumulative shares; the interpolated rule is continuous.
        """
        if self.by_pivot:
            keys = keys_of(self.ladders[self.pivot].distinct) + 1
        elif self.rule == "step":
            keys = np.unique(np.concatenate([_step_jumps(ladder) for ladder in self.ladders.values()]))
        else:
            return np.empty(0, np.int64)
        return np.asarray(keys[(keys > first) & (keys <= last)])


def keys_of(scalars: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Bit patterns of non-negative doubles: integers in the same order."""
    return np.array(scalars, np.float64).view(np.int64)


def scalars_of(keys: npt.ArrayLike) -> Floats:
    """The doubles with these bit patterns."""
    return np.array(keys, np.int64).view(np.float64)


def _step_jumps(ladder: Ladder) -> npt.NDArray[np.int64]:
    """For each but the smallest count, the first key whose share takes it: the midpoint, up to the last rounding."""
    before, after = ladder.shares[1:-1:2], ladder.shares[2::2]
    middle = keys_of((before + after) / 2)
    # t's own rounding decides which of the few doubles around the midpoint is the first that takes the larger count
    around = middle[:, None] + np.arange(-3, 4)
    shares = scalars_of(around)
    taken = shares - before[:, None] > after[:, None] - shares
    return np.asarray(around[np.arange(len(middle)), np.argmax(taken, axis=1)])
