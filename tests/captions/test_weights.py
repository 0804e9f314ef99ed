"""ALIP's weights: by hand, and row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.weights import momentum_mean, pair_weights, sample_weights

COSINES = st.floats(-1, 1)


def naive_mean(values: list[float], batch: int, mean: float) -> float:
    for begin in range(0, len(values), batch):
        known = [value for value in values[begin : begin + batch] if not math.isnan(value)]
        if known:
            mean = 0.99 * mean + 0.01 * sum(known) / len(known)
    return mean


@given(st.lists(COSINES | st.just(math.nan), max_size=40), st.integers(1, 9), COSINES)
def test_the_running_mean(values: list[float], batch: int, start: float) -> None:
    assert momentum_mean(values, batch, start) == pytest.approx(naive_mean(values, batch, start), abs=1e-12)


def test_the_running_mean_by_hand() -> None:
    """Batches [0.2, 0.4] and [0.6]: 0.99 * 1 + 0.01 * 0.3 = 0.993, then 0.99 * 0.993 + 0.01 * 0.6."""
    assert momentum_mean([0.2, 0.4, 0.6], 2) == pytest.approx(0.98907)
    assert momentum_mean([], 2) == 1.0
    assert momentum_mean([math.nan] * 3, 2, 0.5) == 0.5


@given(st.lists(st.tuples(COSINES, COSINES), max_size=20), COSINES, COSINES)
def test_weights_row_by_row(rows: list[tuple[float, float]], mean: float, pair_mean: float) -> None:
    text_caption, pair = [row[0] for row in rows], [row[1] for row in rows]
    samples, pairs = sample_weights(text_caption, mean), pair_weights(pair, pair_mean, text_caption, mean)
    for row, (agreement, similarity) in enumerate(rows):
        whole = float(np.exp(2 * (agreement - mean)))
        assert samples[row] == min(1, whole)
        assert pairs[row] == (np.exp(2 * (similarity - pair_mean)) if whole < 1 else 1)


def test_weights_by_hand() -> None:
    """H_tc 0.5, H_ti 0.3. Above the mean all is 1; below it exp(2 * -0.1) = 0.8187, and a pair may exceed 1."""
    text_caption = [0.6, 0.5, 0.4, 0.4]
    assert sample_weights(text_caption, 0.5) == pytest.approx([1, 1, 0.818731, 0.818731], abs=1e-6)
    found = pair_weights([0.1, 0.1, 0.1, 0.4], 0.3, text_caption, 0.5)
    assert found == pytest.approx([1, 1, 0.670320, 1.221403], abs=1e-6)


def test_what_is_missing_has_no_weight() -> None:
    missing = math.nan
    assert np.isnan(sample_weights([missing], 0.5)).all()
    assert np.isnan(pair_weights([missing, 0.2, missing], 0.3, [0.9, missing, 0.1], 0.5)).all()
