"""Alignment: windows and best places against plain loops and hand-computed vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curation.captions.alignment import Floats, aligned, window_vectors
from curation.captions.models import Vectors

WHOLE = st.integers(-3, 3).map(float)  # small whole numbers: sums are exact, and ties are many


def vectors_of(rows: int) -> st.SearchStrategy[Vectors]:
    return arrays(np.float32, (rows, 3), elements=WHOLE)


def mirrored(place: int, count: int) -> int:
    """The place that a reflection at both ends shows instead, step by step."""
    if count == 1:
        return 0
    while not 0 <= place < count:
        place = -place if place < 0 else 2 * (count - 1) - place
    return place


def naive_best(
    texts: Sequence[Vectors], windows: Sequence[Vectors], said: float, starts: Floats, reach: float, text: int
) -> tuple[int, float]:
    best: tuple[float, float, int] | None = None
    for place, start in enumerate(starts.tolist()):
        if abs(start - said) > reach:
            continue
        total = sum(
            float(a) * float(b)
            for of_text, of_windows in zip(texts, windows, strict=True)
            for a, b in zip(of_text[text], of_windows[place], strict=True)
        )
        key = (-total, abs(start - said), place)
        best = key if best is None or key < best else best
    return (-1, math.nan) if best is None else (best[2], -best[0])


@given(st.data(), st.integers(1, 12), st.integers(1, 9))
def test_windows_are_means_of_mirrored_frames(data: st.DataObject, count: int, width: int) -> None:
    vectors = data.draw(vectors_of(count))
    found = window_vectors(vectors, width)
    assert found.dtype == np.float32
    for row in range(count):
        places = [mirrored(row - width // 2 + shift, count) for shift in range(width)]
        expected = np.sum([vectors[place].astype(float) for place in places], axis=0) / width
        assert np.array_equal(found[row], expected.astype(np.float32))


def test_a_window_of_eight_by_hand() -> None:
    """Frames 0..9: around frame 4 lie 0..7; around 0 the mirrored 4, 3, 2, 1 and 0..3; around 9: 5..9, 8, 7, 6."""
    frames = np.arange(10, dtype=np.float32)[:, None]
    found = window_vectors(frames, 8)[:, 0]
    assert found[4] == 28 / 8
    assert found[0] == (4 + 3 + 2 + 1 + 0 + 1 + 2 + 3) / 8
    assert found[9] == (5 + 6 + 7 + 8 + 9 + 8 + 7 + 6) / 8


@pytest.mark.parametrize(("count", "width"), [(0, 8), (1, 8), (1, 1), (2, 9)])
def test_windows_wider_than_the_video(count: int, width: int) -> None:
    found = window_vectors(np.ones((count, 2), np.float32), width)
    assert np.array_equal(found, np.ones((count, 2)))


@settings(deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(0, 15), st.integers(1, 3))
def test_the_best_place_is_the_definition(data: st.DataObject, count: int, frames: int, models: int) -> None:
    texts = [data.draw(vectors_of(count)) for _ in range(models)]
    windows = [data.draw(vectors_of(frames)) for _ in range(models)]
    said = np.array(data.draw(st.lists(st.integers(-3, 20), min_size=count, max_size=count)), np.float64)
    reach = data.draw(st.sampled_from([0.0, 1.0, 2.5, 10.0]))
    starts = np.arange(frames, dtype=np.float64) - 4
    places, scores = aligned(texts, windows, said, starts, reach)
    for text in range(count):
        place, score = naive_best(texts, windows, float(said[text]), starts, reach, text)
        assert places[text] == place
        assert scores[text] == score or (math.isnan(score) and math.isnan(scores[text]))


def test_of_equals_the_nearest_and_then_the_earlier() -> None:
    windows = np.array([[1, 0], [0, 1], [0, 0], [0, 1], [1, 0]], np.float32)
    text = np.array([[0, 1]], np.float32)
    starts = np.arange(5.0)
    for said, place in ((2.0, 1), (2.5, 3), (1.9, 1), (4.0, 3)):
        assert aligned([text], [windows], np.array([said]), starts, 10.0)[0].tolist() == [place]


def test_several_models_are_added() -> None:
    """Each model has its favourite: by hand 0.9 + 0.1, 0.6 + 0.6, 0.1 + 0.9."""
    text = [np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)]
    windows = [
        np.array([[0.9, 0], [0.6, 0], [0.1, 0]], np.float32),
        np.array([[0, 0.1], [0, 0.6], [0, 0.9]], np.float32),
    ]
    places, scores = aligned(text, windows, np.zeros(1), np.arange(3.0), 10.0)
    assert places.tolist() == [1]
    assert scores[0] == pytest.approx(1.2)


@given(st.integers(2, 200), st.integers(1, 9), st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_windows_of_a_still_are_equal_to_the_last_bit(frames: int, width: int, said: int, seed: int) -> None:
    """Otherwise rounding would decide, and not who is nearest."""
    random = np.random.default_rng(seed)
    still = np.repeat(random.normal(size=(1, 37)).astype(np.float32), frames, axis=0)
    text = random.normal(size=(1, 37)).astype(np.float32)
    starts = np.arange(frames, dtype=np.float64)
    places, _ = aligned([text], [window_vectors(still, width)], np.array([float(said)]), starts, 10.0)
    expected = said if said < frames else frames - 1 if said - (frames - 1) <= 10 else -1
    assert places.tolist() == [expected]
