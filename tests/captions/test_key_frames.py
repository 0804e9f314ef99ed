"""Key frames: the rule against a plain reading of it, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.key_frames import is_single_colour, key_frames
from curation.captions.models import Vectors

BELOW = 0.93


def turned(*degrees: float) -> Vectors:
    """Unit vectors at these angles: cosines are those of the differences."""
    return np.array([[math.cos(math.radians(each)), math.sin(math.radians(each))] for each in degrees], np.float32)


def naive(degrees: list[int], times: list[int], interval: int, below: float) -> list[int]:
    kept = []
    for place, angle in enumerate(degrees):
        is_last = place == len(degrees) - 1
        if not kept:
            kept.append(place)
        elif is_last:
            if kept == [0] or times[place] - times[kept[-1]] >= interval:
                kept.append(place)
        elif math.cos(math.radians(angle - degrees[kept[-1]])) < below:
            kept.append(place)
    return kept


@given(st.lists(st.sampled_from([0, 10, 20, 30, 45, 90]), max_size=12), st.integers(1, 4000), st.floats(-1, 1))
def test_the_rule(degrees: list[int], rest: int, below: float) -> None:
    """Not at angles whose cosine is the threshold but for rounding."""
    if any(abs(math.cos(math.radians(a - b)) - below) < 1e-6 for a in degrees for b in degrees):
        return
    times = [2000 * place for place in range(len(degrees))]
    if len(times) > 1:
        times[-1] = times[-2] + rest
    assert key_frames(turned(*degrees), times, 2000, below) == naive(degrees, times, 2000, below)


def test_compared_with_the_last_kept_and_not_with_the_neighbour() -> None:
    """cos 15° = 0.966, cos 30° = 0.866: a slow turn is seen where it adds up."""
    assert key_frames(turned(0, 15, 30, 45, 60, 75), [0, 2000, 4000, 6000, 8000, 10_000], 2000, BELOW) == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("degrees", "times", "expected"),
    [
        ((), [], []),
        ((0,), [0], [0]),
        ((0, 0), [0, 1], [0, 1]),  # nothing but the first was chosen: the last, too
        ((0, 0, 0, 0), [0, 2000, 4000, 5000], [0, 3]),
        ((0, 90, 0), [0, 2000, 4000], [0, 1, 2]),  # one interval after the last kept
        ((0, 90, 0), [0, 2000, 3999], [0, 1]),  # less
        ((0, 90, 90, 90), [0, 2000, 4000, 4001], [0, 1, 3]),
    ],
)
def test_by_hand(degrees: tuple[float, ...], times: list[int], expected: list[int]) -> None:
    assert key_frames(turned(*degrees).reshape(-1, 2), times, 2000, BELOW) == expected


def test_single_colours() -> None:
    frame = np.full((1, 4, 5, 3), 7, np.uint8)
    assert is_single_colour(frame)
    frame[..., 2] = 200
    assert is_single_colour(frame)  # one colour, though no grey
    frame[0, 3, 4, 1] = 8
    assert not is_single_colour(frame)
