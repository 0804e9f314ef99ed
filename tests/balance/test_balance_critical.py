"""Keep probabilities and critical thresholds: `t* <= t` is the formula, bit for bit."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import (
    critical_threshold,
    critical_thresholds,
    entry_probabilities,
    keep_probabilities,
    keep_probability,
    uniforms,
)
from curation.errors import BalanceError

LARGEST = math.nextafter(1, 0)
COUNT = st.integers(0, 10) | st.integers(1, 10**9) | st.integers(1, 2**62)
DRAW = st.sampled_from([0.0, 5e-324, 2.0**-53, 0.5, LARGEST - 2.0**-53, LARGEST]) | st.floats(0, LARGEST)


def kept(counts: list[int], t: float, u: float) -> bool:
    """The definition, in plain Python."""
    missing = 1.0
    for count in counts:
        missing *= 1.0 - (1.0 if count < t else t / count)
    return u < 1.0 - missing


@settings(max_examples=400, deadline=None)
@given(st.lists(COUNT, max_size=9), DRAW, st.lists(st.floats(1, 2e9) | st.integers(1, 2**62), max_size=5))
def test_critical_threshold_is_the_smallest_that_keeps(counts: list[int], u: float, others: list[float]) -> None:
    critical = critical_threshold(counts, u)
    if not counts:
        assert critical == math.inf
        return
    assert critical >= 1
    assert kept(counts, critical, u)
    assert critical == 1 or not kept(counts, math.nextafter(critical, 0), u)
    tried = [*others, *(c for c in counts if c), math.nextafter(critical, math.inf), math.ceil(critical)]
    for t in map(float, tried):  # a threshold is a double
        assert (critical <= t) == kept(counts, t, u), t


@settings(deadline=None)
@given(st.lists(COUNT, max_size=9), st.floats(1, 2e9))
def test_keep_probability_is_the_definition(counts: list[int], t: float) -> None:
    missing = 1.0
    for count in counts:
        missing *= 1.0 - (1.0 if count < t else t / count)
    probabilities = entry_probabilities(counts, t)
    assert keep_probability(np.arange(len(counts)), probabilities) == 1.0 - missing
    assert keep_probabilities([0, len(counts)], range(len(counts)), probabilities).tolist() == [1.0 - missing]


def pool(texts: int, seed: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """CSR texts of 0 to 12 entries, counts from 1 to 1e9 with many equal ones."""
    random = np.random.default_rng(seed)
    counts = np.floor(10 ** random.uniform(0, 9, 3000)).astype(np.int64)
    counts[:600] = random.integers(1, 50, 600)
    counts[600:900] = 20_000
    lengths = np.minimum(random.poisson(3.5, texts), 12)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return offsets, random.integers(0, len(counts), offsets[-1]).astype(np.int32), counts


def draws(texts: int, seed: int) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(seed)
    u = random.integers(0, 2**53, texts) * 2.0**-53
    u[::50] = 0.0
    u[1::50] = LARGEST
    u[2::50] = 2.0**-53
    return u


def test_critical_thresholds_equal_the_formula_on_100_000_texts() -> None:
    offsets, values, counts = pool(100_000, 1)
    u = draws(100_000, 2)
    critical = critical_thresholds(offsets, values, counts, u)
    assert critical.min() == 1
    before: npt.NDArray[np.bool_] = np.zeros(100_000, np.bool_)
    for t in (1, 1.5, 2, math.pi, 20, 20.000001, 333, 19_999.5, 20_000, 170_000, 12_345_678.9, 10**9, 2 * 10**9):
        keep = keep_probabilities(offsets, values, entry_probabilities(counts, t))
        assert np.array_equal(critical <= t, u < keep)
        assert not np.any(before & ~(critical <= t)), "sets are nested"
        before = critical <= t
    assert before.sum() == np.count_nonzero(np.diff(offsets)), "above all counts every text with an entry is kept"


def test_critical_thresholds_are_tight_on_each_side() -> None:
    offsets, values, counts = pool(3_000, 3)
    u = draws(3_000, 4)
    critical = critical_thresholds(offsets, values, counts, u)
    for text, t in enumerate(critical.tolist()):
        own = counts[values[offsets[text] : offsets[text + 1]]].tolist()
        if own:
            assert kept(own, t, u[text])
            assert t == 1 or not kept(own, math.nextafter(t, 0), u[text])
            assert critical_threshold(own, u[text]) == t
        else:
            assert t == math.inf


def test_draws_that_lie_exactly_on_a_keep_probability() -> None:
    offsets, values, counts = pool(20_000, 5)
    for t in (7, 20_000, 1234.5):
        keep = keep_probabilities(offsets, values, entry_probabilities(counts, t))
        some = keep < 1
        for u in (keep[some], np.nextafter(keep[some], 0)):
            full = np.zeros(len(keep))
            full[some] = np.maximum(u, 0)
            critical = critical_thresholds(offsets, values, counts, full)
            assert np.array_equal((critical <= t)[some], full[some] < keep[some])


def test_vectors() -> None:
    assert keep_probability([0, 1], [0.5, 0.3]) == 0.65
    assert keep_probabilities([0, 2, 2, 3], [0, 1, 1], [0.5, 0.3]).tolist() == [0.65, 0, 1 - (1 - 0.3)]
    assert keep_probability([], [0.5]) == 0
    assert critical_threshold([1024], 0.5) == math.nextafter(512, 513)  # u < keep is strict
    assert critical_threshold([1024], 0.25) == 256 * (1 + 2.0**-51)  # one ulp higher: 1 - 0.25 - 2**-54 rounds to 0.75
    assert critical_threshold([1000, 0], 0.99) == 1  # an entry without a count keeps its text
    assert critical_threshold([5, 10**9], LARGEST) <= 5
    assert critical_threshold([10**9], 0.0) == 1
    assert critical_threshold([10**18], 0.0) > 1  # 1 - (1 - 1e-18) is 0 in doubles


def test_the_smallest_count_is_always_enough() -> None:
    offsets, values, counts = pool(2_000, 6)
    critical = critical_thresholds(offsets, values, counts, np.full(2_000, LARGEST))
    for text, t in enumerate(critical.tolist()):
        assert t <= counts[values[offsets[text] : offsets[text + 1]]].min(initial=2**62) or t == math.inf


@pytest.mark.parametrize("kind", [pa.list_, pa.large_list])
def test_arrow_columns_sliced_or_not(kind: type[pa.ListType]) -> None:
    offsets, values, counts = pool(500, 7)
    u = draws(500, 8)
    column = pa.array([values[start:end].tolist() for start, end in pairwise(offsets)], kind(pa.int32()))
    assert not np.asarray(column.values).flags.writeable
    whole = critical_thresholds(offsets, values, counts, u)
    probabilities = entry_probabilities(counts, 20_000)
    keep = keep_probabilities(offsets, values, probabilities)
    assert np.array_equal(critical_thresholds(column.offsets, column.values, counts, pa.array(u)), whole)
    part = column.slice(123, 200)
    assert np.array_equal(critical_thresholds(part.offsets, part.values, counts, u[123:323]), whole[123:323])
    assert np.array_equal(keep_probabilities(part.offsets, part.values, pa.array(probabilities)), keep[123:323])


def test_strided_and_other_integer_types() -> None:
    offsets, values, counts = pool(300, 9)
    u = draws(300, 10)
    whole = critical_thresholds(offsets, values, counts, u)
    strided = np.repeat(counts, 2)[::2]
    wide = np.repeat(values, 2).astype(np.int64)[::2]
    assert np.array_equal(critical_thresholds(offsets.astype(np.uint64), wide, strided, np.repeat(u, 2)[::2]), whole)
    assert critical_thresholds([0], [], counts, []).shape == (0,)


def test_mean_kept_over_200_seeds_is_the_sum_of_keep_probabilities() -> None:
    offsets, values, counts = pool(12_000, 11)
    keep = keep_probabilities(offsets, values, entry_probabilities(counts, 2_000))
    assert keep.sum() >= 2_000
    ids = pa.array([f"{number:016x}{number * 7919:016x}" for number in range(len(keep))])
    sizes = [np.count_nonzero(uniforms(ids, seed, "draw") < keep) for seed in range(200)]
    assert np.mean(sizes) == pytest.approx(keep.sum(), rel=0.005)
    assert len(set(sizes)) > 50, "seeds give different draws"


def test_bad_arguments_are_errors() -> None:
    counts = [5, 6]
    with pytest.raises(BalanceError, match=r"0 to 2, but there are 2 entries"):
        critical_thresholds([0, 2], [0, 2], counts, [0.5])
    with pytest.raises(BalanceError, match="there are 2 entries"):
        keep_probabilities([0, 1], [-1], [0.5, 0.5])
    with pytest.raises(BalanceError, match="there are 2 entries"):
        keep_probability([2], [0.5, 0.5])
    with pytest.raises(BalanceError, match="entry ids must be integers"):
        keep_probability([0.0], [0.5, 0.5])
    for offsets in ([], [0, 3], [1, 0], [-1, 1], [0.0, 1.0], [[0, 1]]):
        with pytest.raises(BalanceError, match="offsets"):
            keep_probabilities(offsets, [0, 1], [0.5, 0.5])
    for u in (1.0, -0.1, math.nan):
        with pytest.raises(BalanceError, match=r"\[0, 1\)"):
            critical_threshold(counts, u)
    with pytest.raises(BalanceError, match="as many draws"):
        critical_thresholds([0, 1], [0], counts, [0.1, 0.2])
    for probabilities in ([1.5], [-0.1], [math.nan]):
        with pytest.raises(BalanceError, match="probabilities"):
            keep_probability([0], probabilities)
        with pytest.raises(BalanceError, match="probabilities"):
            keep_probabilities([0, 1], [0], probabilities)
    with pytest.raises(BalanceError, match="counts"):
        critical_threshold([-1], 0.5)
