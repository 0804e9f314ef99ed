"""Tail shares, thresholds from tail shares, entry probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import Rule, entry_probabilities, tail_share, threshold_for_tail_share
from curation.errors import BalanceError

COUNTS = st.lists(st.integers(0, 10**9) | st.integers(0, 5), min_size=1, max_size=40).filter(any)
SHARES = st.floats(0, 1)
RULES: list[Rule] = ["step", "interpolated"]


@settings(deadline=None)
@given(COUNTS, st.floats(0.5, 2e9))
def test_tail_share_is_the_definition(counts: list[int], t: float) -> None:
    assert tail_share(counts, t) == sum(c for c in counts if c < t) / sum(counts)


@settings(deadline=None)
@given(COUNTS, SHARES)
def test_step_takes_the_count_at_the_nearest_cumulative_share(counts: list[int], p: float) -> None:
    ascending = sorted(c for c in counts if c > 0)
    shares = np.cumsum(ascending) / sum(ascending)
    nearest = int(np.argmin(np.abs(shares - p)))  # the first of equal ones: the smaller count
    assert threshold_for_tail_share(counts, p) == ascending[nearest]


@settings(deadline=None)
@given(COUNTS, SHARES)
def test_interpolated_lies_on_the_line_through_the_cumulative_shares(counts: list[int], p: float) -> None:
    ascending = sorted(c for c in counts if c > 0)
    shares = np.cumsum(ascending) / sum(ascending)
    assert threshold_for_tail_share(counts, p, rule="interpolated") == pytest.approx(
        np.interp(p, shares, ascending), rel=1e-9
    )
    for share, count in zip(shares, ascending, strict=True):
        assert threshold_for_tail_share(counts, share, rule="interpolated") == count


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)
@given(counts=COUNTS, p=SHARES, other=SHARES)
def test_thresholds_are_finite_at_least_one_and_never_fall_with_the_share(
    rule: Rule, counts: list[int], p: float, other: float
) -> None:
    low, high = (threshold_for_tail_share(counts, share, rule=rule) for share in sorted((p, other)))
    assert 1 <= low <= high <= max(counts)
    just_above = threshold_for_tail_share(counts, min(1.0, math.nextafter(p, 2)), rule=rule)
    assert threshold_for_tail_share(counts, p, rule=rule) <= just_above


@settings(deadline=None)
@given(COUNTS, st.floats(1, 2e9))
def test_entry_probabilities_are_the_definition(counts: list[int], t: float) -> None:
    assert entry_probabilities(counts, t).tolist() == [1.0 if c < t else t / c for c in counts]


def test_vectors_of_the_paper_rule() -> None:
    assert tail_share([1, 2, 7, 10], 5) == 0.15
    assert threshold_for_tail_share([1, 3, 6, 10], 0.15) == 3
    assert tail_share([1, 3, 6, 10], 3) == 0.05  # the strict < makes the two no exact inverse
    assert tail_share(np.array([10, 1, 0, 7, 2], np.uint64), 5) == 0.15
    assert threshold_for_tail_share([6, 0, 10, 1, 3], 0.15) == 3


def test_equally_near_shares_give_the_smaller_count() -> None:
    assert threshold_for_tail_share([1, 3, 4], 0.3125) == 1  # shares 0.125, 0.5, 1
    assert threshold_for_tail_share([1, 3, 4], np.nextafter(0.3125, 1)) == 3


def test_estimated_counts_below_one_still_give_a_threshold_of_one() -> None:
    assert threshold_for_tail_share([0.25, 0.5], 0.1) == 1  # counts weighted by survival need not be whole
    assert tail_share([0.25, 0.75], 0.5) == 0.25


def test_probability_is_one_up_to_the_threshold() -> None:
    assert entry_probabilities([0, 1, 19, 20, 40], 20).tolist() == [1, 1, 1, 1, 0.5]
    assert entry_probabilities([], 20).shape == (0,)
    assert entry_probabilities([0, 5], 0).tolist() == [1, 0]
    assert entry_probabilities([0, 5], math.inf).tolist() == [1, 1]


@pytest.mark.parametrize("counts", [[], [0, 0], np.zeros(3, np.int64)])
def test_shares_of_nothing_are_an_error(counts: list[int]) -> None:
    with pytest.raises(BalanceError, match="no entry has a match"):
        tail_share(counts, 5)
    with pytest.raises(BalanceError, match="no entry has a match"):
        threshold_for_tail_share(counts, 0.1)


@pytest.mark.parametrize("counts", [[-1, 2], [math.nan], [math.inf], [[1, 2]], ["a"], [True], 3])
def test_counts_that_are_no_counts_are_an_error(counts: object) -> None:
    for call in (tail_share, threshold_for_tail_share, entry_probabilities):
        with pytest.raises(BalanceError, match="counts"):
            call(counts, 0.5)  # type: ignore[arg-type]


def test_bad_thresholds_shares_and_rules_are_errors() -> None:
    for t in (-1, math.nan):
        with pytest.raises(BalanceError, match="threshold"):
            tail_share([1], t)
        with pytest.raises(BalanceError, match="threshold"):
            entry_probabilities([1], t)
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(BalanceError, match="no share"):
            threshold_for_tail_share([1], p)
    with pytest.raises(BalanceError, match=r"'stepp'.*step, interpolated"):
        threshold_for_tail_share([1], 0.5, rule="stepp")  # type: ignore[arg-type]
