"""The histogram of critical thresholds: bins and edges agree exactly, parts add up, sizes are bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import BINS, CriticalHistogram, bin_of, lower, upper
from curation.errors import BalanceError

VALUES = st.floats(1, 2.0**63) | st.integers(1, 2**63).map(float) | st.floats(1, 100) | st.just(1.0)


@settings(deadline=None)
@given(VALUES)
def test_a_value_lies_between_its_bins_edges(value: float) -> None:
    place = int(bin_of([value])[0])
    if place == 0:
        assert value == lower(0) == upper(0) == 1
    else:
        assert lower(place) < value <= upper(place)
        assert upper(place) <= lower(place) * (1 + 1 / 64)


def test_every_edge_and_its_neighbours() -> None:
    edges = np.array([upper(place) for place in range(BINS)])
    assert edges[0] == 1
    assert edges[-1] == 2.0**63
    assert np.all(np.diff(edges) > 0)
    assert np.array_equal(edges[::64], 2.0 ** np.arange(64))
    assert [lower(place) for place in range(1, BINS)] == edges[:-1].tolist()
    assert np.array_equal(bin_of(edges), np.arange(BINS))
    assert np.array_equal(bin_of(np.nextafter(edges[1:], 0)), np.arange(1, BINS))
    assert np.array_equal(bin_of(np.nextafter(edges[:-1], np.inf)), np.arange(1, BINS))
    assert bin_of(edges).dtype == np.int32


@settings(deadline=None)
@given(st.lists(VALUES | st.just(math.inf), max_size=60), st.lists(VALUES | st.floats(0, 1) | st.just(math.inf)))
def test_sizes_bound_the_truth(values: list[float], thresholds: list[float]) -> None:
    histogram = CriticalHistogram.from_values(values)
    finite = [value for value in values if value < math.inf]
    assert histogram.total == len(finite)
    assert histogram.largest >= max(finite, default=1)
    for t in [*thresholds, *finite]:
        low, high = histogram.size_range(t)
        assert low <= sum(value <= t for value in finite) <= high
        assert low <= histogram.size(t) <= high
        edge = t < 1 or t > 2.0**63 or t == upper(int(bin_of([t])[0]))
        assert not edge or low == high, "exact at edges"


@settings(deadline=None)
@given(st.lists(VALUES, max_size=40), st.lists(VALUES, max_size=40))
def test_parts_add_up(first: list[float], second: list[float]) -> None:
    whole = CriticalHistogram.from_values(first + second)
    parts = CriticalHistogram.from_values(first) + CriticalHistogram.from_values(second)
    assert np.array_equal(whole.counts, parts.counts)
    bins, counts = whole.to_bins()
    assert np.all(counts > 0)
    again = CriticalHistogram.from_bins(np.repeat(bins, 2), np.stack([counts - 1, np.ones_like(counts)], 1).ravel())
    assert np.array_equal(again.counts, whole.counts)


def test_size_never_falls_and_interpolates_within_a_bin() -> None:
    histogram = CriticalHistogram.from_bins([0, 65], [7, 100])
    assert (lower(65), upper(65)) == (2, 2.03125)
    assert histogram.size(1) == 7
    assert histogram.size(2) == 7
    assert histogram.size(2.015625) == 57
    assert histogram.size(2.03125) == 107
    assert histogram.size_range(2.01) == (7, 107)
    assert histogram.size_range(0.5) == (0, 0)
    assert histogram.size_range(math.inf) == (107, 107)
    sizes = CriticalHistogram.from_values(np.geomspace(1, 1e6, 5000)).sizes(np.geomspace(0.9, 2e6, 9999))
    assert np.all(np.diff(sizes) >= 0)
    assert CriticalHistogram.empty().largest == 1


def test_infinity_belongs_to_no_bin() -> None:
    assert bin_of([math.inf, 1.0]).tolist() == [-1, 0]
    assert CriticalHistogram.from_values([math.inf]).total == 0


def test_bad_values_are_errors() -> None:
    for value in (0.999, -1, math.nan, math.nextafter(2.0**63, math.inf), -math.inf):
        with pytest.raises(BalanceError, match="critical thresholds"):
            bin_of([value])
    for bins, counts in (([-1], [1]), ([BINS], [1]), ([0, 1], [1])):
        with pytest.raises(BalanceError, match="bins must be"):
            CriticalHistogram.from_bins(bins, counts)
    with pytest.raises(BalanceError, match="does not exist"):
        upper(BINS)
    with pytest.raises(BalanceError, match="does not exist"):
        lower(-1)
    with pytest.raises(BalanceError, match="not a number"):
        CriticalHistogram.empty().size(math.nan)
