"""From a wanted size to thresholds: the size of the selection never falls as the thresholds' one scalar rises.

Histograms say in which narrow range of scalars the size passes the target; the caller then counts exactly at a few
hundred scalars in that range, in one pass over the data, and once or twice more in the gap that remains.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from curation.balance.histogram import CriticalHistogram
from curation.balance.shares import Floats, Rule
from curation.balance.thresholds import Scale, Thresholds, scalars_of
from curation.errors import BalanceError

Keys = npt.NDArray[np.int64]
Refine = Callable[[list[dict[str, float]]], Sequence[int]]

TOLERANCE = 0.001
"""Relative distance from the target at which a selection counts as having its size."""

ROUNDS = 4
CANDIDATES = 256


@dataclass(frozen=True)
class TargetSolution:
    """Thresholds whose selection comes nearest to `target`, and what else could be had."""

    target: float
    thresholds: Thresholds
    expected_size: float
    """size at `thresholds`: an int where it was counted, an estimate where only histograms were given"""
    below: int
    above: int
    """the nearest reachable sizes found on either side of the target; both the same where it is reached exactly, or
    where the target lies outside all reachable sizes (then the smallest or the largest one)"""
    exact: bool
    """no size between `below` and `above` is reachable; False where the search stopped within TOLERANCE"""

    @property
    def reached(self) -> bool:
        """Whether the expected size lies within TOLERANCE of the target."""
        return abs(self.expected_size - self.target) <= TOLERANCE * self.target


def thresholds_for_target(
    histograms: Mapping[str, CriticalHistogram | npt.ArrayLike],
    counts: Mapping[str, npt.ArrayLike],
    target: float,
    *,
    pivot: str = "en",
    rule: Rule = "step",
    refine: Refine | None = None,
) -> TargetSolution:
    """Thresholds of all languages for a wanted number of pairs, or of media.

    histograms: language -> histogram of critical thresholds, or the critical thresholds themselves. counts: language
    -> texts per entry. The languages follow one scalar: t of the pivot where the pivot has a match, else a tail share.
    refine: exact sizes for candidate thresholds (at most CANDIDATES of them per call, ascending, at most ROUNDS
    calls); what it counts decides, so it may count media where the histograms are only near (they count a media once
    per language). Without it sizes are counted in the arrays, if every language came as one, or else estimated.
    Raises BalanceError for a target that is not positive, a language without counts, or sizes that fall as
    thresholds rise.
    """
    if not 0 < target < math.inf:
        raise BalanceError(f"the target is {target}: give the number of pairs or media to keep, at least 1")
    by_pivot = pivot in counts and bool(np.any(counts[pivot]))
    scale = Scale(counts, pivot, rule, by_pivot=by_pivot)
    pool = {lang: _histogram(values) for lang, values in histograms.items()}
    strangers = [lang for lang, histogram in pool.items() if histogram.total and lang not in scale.ladders]
    if strangers:
        raise BalanceError(f"no counts for {', '.join(sorted(strangers))}, which have texts to keep: count them first")
    top = pool[pivot].largest if pivot in pool else 1.0
    first, last = scale.span(top)
    if refine is not None:
        return _Search(scale, target, first, last, refine).solve(_bracket(scale, pool, target, first, last), ROUNDS)
    arrays = {lang: np.sort(np.asarray(v)) for lang, v in histograms.items() if not isinstance(v, CriticalHistogram)}
    if len(arrays) == len(histograms):
        search = _Search(scale, target, first, last, lambda candidates: _sizes(arrays, candidates))
        return search.solve(_bracket(scale, pool, target, first, last), None)
    return _estimated(scale, pool, target, first, last)


@dataclass
class _Search:
    """Narrows (low, high): the largest key known to be below the target and the smallest known not to be."""

    scale: Scale
    target: float
    first: int
    last: int
    refine: Refine
    sizes: dict[int, int] = field(default_factory=dict)

    def solve(self, bracket: tuple[int, int], rounds: int | None) -> TargetSolution:
        """rounds: calls of `refine` at most, stopping within TOLERANCE; None goes on until no size lies between."""
        low, high = bracket
        part = CANDIDATES // 6
        self._count(
            np.concatenate([
                np.array([self.first, low, high, self.last]),
                _between(self.first, low, part),
                self._candidates(low, high, CANDIDATES - 4 - 2 * part),
                _between(high, self.last, part),
            ])
        )
        done = 1
        while not self._settled(rounds is not None) and done != rounds:
            self._count(self._candidates(*self._ends(), CANDIDATES))
            done += 1
        return self._solution()

    def _ends(self) -> tuple[int, int]:
        below = [key for key, size in self.sizes.items() if size < self.target]
        above = [key for key, size in self.sizes.items() if size >= self.target]
        return max(below, default=self.first), min(above, default=self.last)

    def _settled(self, near_is_enough: bool) -> bool:
        low, high = self._ends()
        missing = min(abs(self.sizes[key] - self.target) for key in (low, high))
        return self._proven(low, high) or (near_is_enough and missing <= TOLERANCE * self.target)

    def _proven(self, low: int, high: int) -> bool:
        below, above = self.sizes[low], self.sizes[high]
        outside = above < self.target or below >= self.target
        return outside or above == self.target or high - low <= 1 or above - below <= 1

    def _candidates(self, low: int, high: int, number: int) -> Keys:
        """Keys strictly inside (low, high): both sides of jumps, the rest evenly."""
        jumps = self.scale.jumps(low, high)
        if len(jumps) > number // 4:
            jumps = jumps[np.linspace(0, len(jumps) - 1, number // 4).astype(np.int64)]
        sides = np.concatenate([jumps - 1, jumps])
        keys = np.concatenate([sides, _between(low, high, number - len(sides))])
        return np.asarray(keys[(keys > low) & (keys < high)])

    def _count(self, keys: Keys) -> None:
        asked = np.unique(keys)
        columns = self.scale.thresholds(scalars_of(asked))
        candidates = [{lang: float(t[place]) for lang, t in columns.items()} for place in range(len(asked))]
        sizes = [int(size) for size in self.refine(candidates)]
        if len(sizes) != len(candidates):
            raise BalanceError(f"refine gave {len(sizes)} sizes for {len(candidates)} candidates: give one each")
        self.sizes |= dict(zip(asked.tolist(), sizes, strict=True))
        ordered = [self.sizes[key] for key in sorted(self.sizes)]
        if any(after < before for before, after in pairwise(ordered)):
            raise BalanceError("refine counted fewer at higher thresholds: it must count critical thresholds <= t")

    def _solution(self) -> TargetSolution:
        low, high = self._ends()
        below, above = self.sizes[low], self.sizes[high]
        exact = self._proven(low, high)
        if above <= self.target:  # reached, or out of reach
            below = above
        if below >= self.target:
            above = below
        chosen = low if abs(below - self.target) <= abs(above - self.target) and below < above else high
        thresholds = self.scale.at(float(scalars_of(chosen)))
        return TargetSolution(self.target, thresholds, self.sizes[chosen], below, above, exact)


def _bracket(
    scale: Scale, pool: Mapping[str, CriticalHistogram], target: float, first: int, last: int
) -> tuple[int, int]:
    """Keys between which the target lies by the histograms: the size is certainly too small, certainly not."""

    def sizes(keys: Keys, *, certain: bool) -> Floats:
        total = np.zeros(len(keys))
        for lang, t in _texts(scale, pool, keys):
            total += pool[lang].size_ranges(t)[0 if certain else 1]
        return total

    too_small = _first_key(lambda keys: sizes(keys, certain=False) >= target, first, last) - 1
    large_enough = _first_key(lambda keys: sizes(keys, certain=True) >= target, first, last)
    return max(too_small, first), large_enough


def _texts(scale: Scale, pool: Mapping[str, CriticalHistogram], keys: Keys) -> list[tuple[str, Floats]]:
    """(language, t per key) of the languages that have texts to keep."""
    columns = scale.thresholds(scalars_of(keys))
    return [(lang, columns[lang]) for lang, histogram in pool.items() if histogram.total]


def _first_key(holds: Callable[[Keys], npt.NDArray[np.bool_]], first: int, last: int) -> int:
    """The smallest key in [first, last] from which on `holds` is true; `last` where it never is."""
    low, high = first - 1, last
    while high - low > 1:
        keys = np.append(_between(low, high, CANDIDATES), high)
        place = int(np.argmax(np.append(holds(keys[:-1]), True)))
        low, high = int(keys[place - 1]) if place else low, int(keys[place])
    return high


def _between(low: int, high: int, number: int) -> Keys:
    """At most `number` keys spread evenly strictly inside (low, high); all of them where they are few."""
    inside = max(high - low - 1, 0)
    if inside <= number:
        return np.arange(low + 1, low + 1 + inside, dtype=np.int64)
    step = (high - low) // (number + 1)
    return low + step * np.arange(1, number + 1, dtype=np.int64)


def _sizes(critical: Mapping[str, npt.NDArray[np.float64]], candidates: list[dict[str, float]]) -> list[int]:
    """Values <= t over all languages, per candidate; `critical` holds ascending arrays."""
    total = np.zeros(len(candidates), np.int64)
    for lang, values in critical.items():
        if len(values):
            total += np.searchsorted(values, [candidate[lang] for candidate in candidates], side="right")
    return [int(size) for size in total]


def _estimated(
    scale: Scale, pool: Mapping[str, CriticalHistogram], target: float, first: int, last: int
) -> TargetSolution:
    def sizes(keys: Keys) -> Floats:
        total = np.zeros(len(keys))
        for lang, t in _texts(scale, pool, keys):
            total += pool[lang].sizes(t)
        return total

    high = _first_key(lambda keys: sizes(keys) >= target, first, last)
    low = max(high - 1, first)
    below, above = (float(size) for size in sizes(np.array([low, high])))
    chosen, size = (low, below) if abs(below - target) <= abs(above - target) else (high, above)
    thresholds = scale.at(float(scalars_of(chosen)))
    return TargetSolution(target, thresholds, size, math.floor(below), math.ceil(above), exact=False)


def _histogram(values: CriticalHistogram | npt.ArrayLike) -> CriticalHistogram:
    return values if isinstance(values, CriticalHistogram) else CriticalHistogram.from_values(values)
