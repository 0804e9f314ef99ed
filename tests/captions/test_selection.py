"""Selection: vectorised against plain loops, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from curation.captions.selection import (
    BINS,
    cutoff_bin,
    cutoff_in,
    global_cutoff,
    lower_histogram,
    teacher_order,
    upper_histogram,
)
from curation.errors import StageError

SCORES = st.sampled_from([-1.0, -0.0, 0.0, 0.43, 0.5, 1.0, math.nan]) | st.floats(-1, 1, width=32)
ANY = st.floats(width=32)  # infinities, numbers next to 0, and NaN, too


def scores_of(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


@given(st.lists(ANY | SCORES, max_size=60), st.integers(1, 70))
def test_the_cutoff_is_the_score_at_that_place(values: list[float], top: int) -> None:
    scores = scores_of(values)
    ranked = sorted((float(score) for score in scores if not np.isnan(score)), reverse=True)
    expected = -math.inf if len(ranked) <= top else ranked[top - 1]
    assert global_cutoff(scores, top) == expected


@given(st.lists(st.lists(ANY | SCORES, max_size=12), max_size=6), st.integers(1, 40))
def test_pieces_add_up(pieces: list[list[float]], top: int) -> None:
    upper = sum((upper_histogram(scores_of(piece)) for piece in pieces), np.zeros(BINS, np.int64))
    bin_, place = cutoff_bin(upper, top)
    whole = global_cutoff(scores_of([score for piece in pieces for score in piece]), top)
    if bin_ is None:
        assert whole == -math.inf
    else:
        lower = sum((lower_histogram(scores_of(piece), bin_) for piece in pieces), np.zeros(BINS, np.int64))
        assert cutoff_in(bin_, lower, place) == whole


def test_exactly_so_many_stay_but_for_ties() -> None:
    scores = np.random.default_rng(3).permutation(np.linspace(0.2, 0.35, 100_000)).astype(np.float32)
    kept = (scores >= np.float32(global_cutoff(scores, 12_345))).sum()
    ties = (scores == np.float32(global_cutoff(scores, 12_345))).sum()
    assert 12_345 <= kept < 12_345 + ties
    tied = scores_of([0.3, 0.2, 0.2, 0.2, 0.1])
    assert (tied >= np.float32(global_cutoff(tied, 2))).sum() == 4


def test_wider_numbers_are_scores_of_four_bytes() -> None:
    wide = np.array([0.43, 0.1, 0.9, 0.4])
    assert global_cutoff(wide, 2) == float(np.float32(0.43))


def test_the_best_none() -> None:
    with pytest.raises(StageError, match="keep 1 or more"):
        global_cutoff(scores_of([0.3]), 0)


def naive_order(well: np.ndarray) -> tuple[list[int], list[float]]:
    order: list[int] = []
    shares: list[float] = []
    covered: set[int] = set()
    samples, teachers = well.shape
    while len(order) < teachers:
        gains = {
            teacher: sum(bool(well[sample, teacher]) for sample in range(samples) if sample not in covered)
            for teacher in range(teachers)
            if teacher not in order
        }
        best = max(gains, key=lambda teacher: (gains[teacher], -teacher))
        order.append(best)
        covered |= {sample for sample in range(samples) if well[sample, best]}
        shares.append(len(covered) / samples)
    return order, shares


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=8)))
def test_teachers_in_the_order_in_which_they_add_most(well: np.ndarray) -> None:
    order, shares = teacher_order(well)
    assert (order.tolist(), shares.tolist()) == naive_order(well)


def test_teachers_by_hand() -> None:
    """The second best alone (1) adds less to the best (0) than 2, which is good where 0 is not; 3 adds nothing."""
    well = np.array(
        [
            [1, 1, 0, 1],
            [1, 1, 0, 0],
            [1, 1, 0, 0],
            [1, 0, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 1, 0],
            [0, 1, 0, 0],
            [0, 0, 0, 0],
        ],
        np.bool_,
    )
    order, shares = teacher_order(well)
    assert order.tolist() == [0, 2, 1, 3]
    assert shares.tolist() == [4 / 8, 6 / 8, 7 / 8, 7 / 8]


def test_no_teachers_and_no_samples() -> None:
    assert teacher_order(np.zeros((3, 0), np.bool_))[0].tolist() == []
    order, shares = teacher_order(np.zeros((0, 2), np.bool_))
    assert order.tolist() == [0, 1]
    assert np.isnan(shares).all()
