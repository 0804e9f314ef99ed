"""Targets: hit within 0.1%, or the nearest reachable sizes are truly the nearest (brute force on small pools)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from curation.balance import (
    CANDIDATES,
    ROUNDS,
    TOLERANCE,
    CriticalHistogram,
    Rule,
    TargetSolution,
    critical_thresholds,
    threshold_for_tail_share,
    thresholds_for,
    thresholds_for_target,
)
from curation.errors import BalanceError

RULES: list[Rule] = ["step", "interpolated"]
Critical = dict[str, npt.NDArray[np.float64]]
Counts = dict[str, npt.NDArray[np.int64]]


def pool(texts: dict[str, int], entries: int, seed: int) -> tuple[Critical, Counts]:
    """(critical thresholds, counts) of random long-tailed texts with up to 6 distinct entries each."""
    random = np.random.default_rng(seed)
    critical, counts = {}, {}
    for lang, number in texts.items():
        weights = 1 / np.arange(1, entries + 1) ** 1.1
        rows = [
            random.choice(entries, size, replace=False, p=weights / weights.sum())
            for size in np.minimum(random.poisson(2.5, min(number, 400)), 6)
        ]
        rows = [rows[place] for place in random.integers(0, len(rows), number)]
        values = np.concatenate([*rows, np.empty(0, np.int64)]).astype(np.int32)
        offsets = np.cumsum([0, *(len(row) for row in rows)])
        counts[lang] = np.bincount(values, minlength=entries)
        critical[lang] = critical_thresholds(offsets, values, counts[lang], random.random(number))
    return critical, counts


def size_at(critical: Critical, thresholds: dict[str, float]) -> int:
    return sum(int(np.count_nonzero(values <= thresholds[lang])) for lang, values in critical.items())


def reachable(critical: Critical, counts: Counts, rule: Rule) -> list[int]:
    """Sizes at every scalar where one could change, by the public functions alone."""
    if counts.get("en", np.zeros(1)).any():
        ends = np.unique(np.concatenate([[1.0], critical["en"], counts["en"].astype(float)]))
        scalars = [t for t in ends if 1 <= t < math.inf]
        scalars += [math.nextafter(t, math.inf) for t in scalars]
        return sorted({size_at(critical, thresholds_for(counts, t=t, rule=rule).by_language) for t in scalars})
    shares = {0.0, 1.0}
    for lang, values in critical.items():
        for t in np.unique(values[values < math.inf]):
            low, high = -1, int(np.float64(1).view(np.int64))
            while high - low > 1:  # the smallest share whose threshold is at least t
                middle = (low + high) // 2
                p = float(np.int64(middle).view(np.float64))
                enough = threshold_for_tail_share(counts[lang], p, rule=rule) >= t
                low, high = (low, middle) if enough else (middle, high)
            shares.add(float(np.int64(high).view(np.float64)))
    return sorted({size_at(critical, thresholds_for(counts, p=p, rule=rule).by_language) for p in shares})


class Refine:
    """Counts exactly, and records how often it was asked."""

    def __init__(self, critical: Critical) -> None:
        self.critical, self.calls = critical, 0

    def __call__(self, candidates: list[dict[str, float]]) -> Sequence[int]:
        self.calls += 1
        assert len(candidates) <= CANDIDATES
        return [size_at(self.critical, candidate) for candidate in candidates]


SMALL = [
    {"en": 40, "de": 25, "ja": 3, "sw": 1},
    {"en": 3, "de": 60},
    {"de": 30, "ja": 12},
    {"en": 60},
    {"sw": 1},
    {"en": 0, "de": 20},
]


def cases() -> Iterator[tuple[dict[str, int], Rule, int]]:
    for texts in SMALL:
        for rule in RULES:
            for seed in range(2):
                yield texts, rule, seed


@pytest.mark.parametrize(("texts", "rule", "seed"), list(cases()))
def test_nearest_reachable_sizes_by_brute_force(texts: dict[str, int], rule: Rule, seed: int) -> None:
    critical, counts = pool(texts, 12, seed)
    sizes = reachable(critical, counts, rule)
    assert len(sizes) > 1 or texts == {"sw": 1}
    for target in range(1, sizes[-1] + 3):
        below = max((size for size in sizes if size <= target), default=sizes[0])
        above = min((size for size in sizes if size >= target), default=sizes[-1])
        solution = thresholds_for_target(critical, counts, target, rule=rule)
        assert (solution.below, solution.above, solution.exact) == (below, above, True)
        assert abs(solution.expected_size - target) == min(abs(size - target) for size in sizes)
        assert size_at(critical, solution.thresholds.by_language) == solution.expected_size
        consistent(solution, counts, rule)


def consistent(solution: TargetSolution, counts: Counts, rule: Rule) -> None:
    found = solution.thresholds
    assert all(1 <= t < math.inf for t in found.by_language.values())
    if counts.get("en", np.zeros(1)).any():
        assert found == thresholds_for(counts, t=found.by_language["en"], rule=rule)
    else:
        assert found == thresholds_for(counts, p=found.tail_share, rule=rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pivot", ["en", "absent"])
def test_large_pools_hit_the_target_or_its_nearest_sizes_within_few_rounds(rule: Rule, pivot: str) -> None:
    critical, counts = pool({"en": 60_000, "de": 20_000, "ja": 5_000, "sw": 30}, 300, 3)
    histograms = {lang: CriticalHistogram.from_values(values) for lang, values in critical.items()}
    kept = sum(np.count_nonzero(values < math.inf) for values in critical.values())
    for target in (kept // 2, 3 * kept // 4, 9 * kept // 10, 17, kept - 1, kept, kept + 5, 2.5 * kept / 4):
        refine = Refine(critical)
        solution = thresholds_for_target(histograms, counts, target, pivot=pivot, rule=rule, refine=refine)
        truth = thresholds_for_target(critical, counts, target, pivot=pivot, rule=rule)
        assert refine.calls <= ROUNDS
        assert solution.expected_size == size_at(critical, solution.thresholds.by_language)
        assert truth.exact
        if not solution.reached:
            assert (solution.below, solution.above, solution.exact) == (truth.below, truth.above, True)
            assert abs(solution.expected_size - target) == abs(truth.expected_size - target)
        assert truth.below <= truth.expected_size <= truth.above


@pytest.mark.parametrize(
    ("texts", "pivot", "rule"),
    [
        ({"en": 60_000, "de": 20_000, "ja": 5_000, "sw": 30}, "en", "interpolated"),
        ({"en": 2_000, "de": 60_000, "ja": 3_000}, "absent", "step"),
    ],
)
def test_targets_inside_jumps_are_proven_unreachable(texts: dict[str, int], pivot: str, rule: Rule) -> None:
    critical, counts = pool(texts, 300, 3)
    histograms = {lang: CriticalHistogram.from_values(values) for lang, values in critical.items()}
    kept = sum(np.count_nonzero(values < math.inf) for values in critical.values())
    for target in range(3_000, kept, 1_009):
        solution = thresholds_for_target(histograms, counts, target, pivot=pivot, rule=rule, refine=Refine(critical))
        assert solution.reached or solution.exact


def test_the_search_ends_after_its_rounds() -> None:
    steps = np.arange(100) + np.float64(777.7).view(np.int64)
    critical = {"en": steps.view(np.float64)}  # neighbouring doubles: more rounds would be needed to part them
    refine = Refine(critical)
    histograms = {"en": CriticalHistogram.from_values(critical["en"])}
    solution = thresholds_for_target(histograms, {"en": [999]}, 40, refine=refine)
    assert refine.calls == ROUNDS
    assert (solution.below, solution.above, solution.exact, solution.reached) == (0, 100, False, False)
    assert thresholds_for_target(critical, {"en": [999]}, 40).expected_size == 40


def test_most_targets_are_reached_with_a_pivot() -> None:
    critical, counts = pool({"en": 60_000, "de": 3_000}, 300, 4)
    histograms = {lang: CriticalHistogram.from_values(values) for lang, values in critical.items()}
    smallest = thresholds_for_target(critical, counts, 1).above
    reached = [
        thresholds_for_target(histograms, counts, target, refine=Refine(critical)).reached
        for target in range(smallest, 50_000, 1_000)
    ]
    assert np.mean(reached) > 0.9


def test_media_targets_count_media_in_refine() -> None:
    critical, counts = pool({"en": 4_000, "de": 3_000}, 60, 5)
    media = {"en": np.arange(4_000) % 2_500, "de": np.arange(3_000)}  # several texts and languages per media

    def refine(candidates: list[dict[str, float]]) -> list[int]:
        return [
            len(np.unique(np.concatenate([media[lang][critical[lang] <= t] for lang, t in candidate.items()])))
            for candidate in candidates
        ]

    smallest = {lang: np.full(3_000, math.inf) for lang in media}
    for lang, ids in media.items():
        np.minimum.at(smallest[lang], ids, critical[lang])
    histograms = {lang: CriticalHistogram.from_values(values) for lang, values in smallest.items()}
    for target in (1_500, 2_000, 2_400):
        solution = thresholds_for_target(histograms, counts, target, refine=refine)
        assert [solution.expected_size] == refine([solution.thresholds.by_language])
        if not solution.reached:
            assert solution.below < target < solution.above
            assert solution.exact
            assert solution.expected_size in (solution.below, solution.above)


def test_ties_between_pairs_are_named() -> None:
    critical = {"en": np.array([1.0, 5.0, 5.0, 5.0, 5.0, 9.0, math.inf])}
    solution = thresholds_for_target(critical, {"en": [9, 9]}, 4)
    assert (solution.below, solution.above, solution.expected_size) == (1, 5, 5)
    assert solution.exact and not solution.reached
    assert 5 <= solution.thresholds.by_language["en"] < 9
    solution = thresholds_for_target(critical, {"en": [9, 9]}, 3)
    assert solution.expected_size == 1, "of two equally near sizes the smaller"


def test_targets_out_of_reach_name_the_end() -> None:
    critical, counts = pool({"en": 400, "de": 50}, 30, 6)
    kept = sum(np.count_nonzero(values < math.inf) for values in critical.values())
    for refine in (None, Refine(critical)):
        above = thresholds_for_target(critical, counts, 10 * kept, refine=refine)
        assert (above.below, above.above, above.expected_size, above.exact) == (kept, kept, kept, True)
        assert above.thresholds.tail_share == 1
        below = thresholds_for_target(critical, counts, 1, refine=refine)
        least = size_at(critical, thresholds_for(counts, t=1).by_language)
        assert (below.below, below.above, below.expected_size, below.exact) == (least, least, least, True)


def test_histograms_alone_give_an_estimate() -> None:
    critical, counts = pool({"en": 40_000, "de": 20_000}, 300, 7)
    histograms = {lang: CriticalHistogram.from_values(values) for lang, values in critical.items()}
    solution = thresholds_for_target(histograms, counts, 30_000)
    assert not solution.exact
    assert solution.expected_size == pytest.approx(size_at(critical, solution.thresholds.by_language), rel=0.01)
    assert solution.below <= solution.expected_size <= solution.above
    assert thresholds_for_target({}, counts, 10).expected_size == 0
    kept = sum(histogram.total for histogram in histograms.values())
    assert thresholds_for_target(histograms, counts, 10**9).expected_size == pytest.approx(kept, rel=0.001)
    empty = {"en": CriticalHistogram.empty()}
    assert thresholds_for_target(empty, counts, 10, refine=lambda candidates: [0] * len(candidates)).above == 0


def test_tolerance_is_a_thousandth() -> None:
    assert TOLERANCE == 0.001
    critical, counts = pool({"en": 2_000}, 60, 8)
    histograms = {"en": CriticalHistogram.from_values(critical["en"])}
    found = thresholds_for_target(histograms, counts, 1_500, refine=Refine(critical))
    assert found.reached == (abs(found.expected_size - 1_500) <= 1.5)


def test_bad_arguments_are_errors() -> None:
    critical, counts = pool({"en": 50}, 10, 9)
    for target in (0, -1, math.nan, math.inf):
        with pytest.raises(BalanceError, match="the target is"):
            thresholds_for_target(critical, counts, target)
    with pytest.raises(BalanceError, match="no counts for de"):
        thresholds_for_target({**critical, "de": [3.0]}, counts, 5)
    with pytest.raises(BalanceError, match="no language has a match"):
        thresholds_for_target({}, {"en": [0]}, 5)
    with pytest.raises(BalanceError, match="1 sizes for"):
        thresholds_for_target(critical, counts, 5, refine=lambda candidates: [1])
    with pytest.raises(BalanceError, match="fewer at higher"):
        thresholds_for_target(critical, counts, 5, refine=lambda candidates: range(len(candidates), 0, -1))
    with pytest.raises(BalanceError, match="critical thresholds"):
        thresholds_for_target({"en": [0.5]}, counts, 5)
