"""Boxes of a picture blurred: nothing of them can be made out, and nothing else is touched."""

from __future__ import annotations

import random
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.media.blurring import blurred, is_box
from curation.media.fingerprints import hamming, phash

MIDDLE = (0.25, 0.25, 0.75, 0.75)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
boxes = st.tuples(shares, shares).map(lambda sides: (sides[0][0], sides[1][0], sides[0][1], sides[1][1]))


def noise(height: int = 120, width: int = 160, channels: int = 3) -> np.ndarray:
    return np.squeeze(np.random.default_rng(3).integers(0, 256, (height, width, channels), dtype=np.uint8), axis=None)


def within(box: tuple[float, ...], height: int, width: int, margin: float) -> np.ndarray:
    """Pixels that lie, even in part, in the box grown by this share of its size: by the definition, one by one."""
    left, top, right, bottom = box
    aside, above = margin * (right - left), margin * (bottom - top)
    columns, rows = np.arange(width), np.arange(height)
    across = (columns + 1 > (left - aside) * width - 1e-6) & (columns < (right + aside) * width + 1e-6)
    down = (rows + 1 > (top - above) * height - 1e-6) & (rows < (bottom + above) * height + 1e-6)
    return down[:, None] & across


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.lists(boxes, max_size=4), st.sampled_from([1, 3]))
def test_only_grown_boxes_change(height: int, width: int, found: list[tuple[float, ...]], channels: int) -> None:
    picture = np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)
    picture = picture[..., 0] if channels == 1 else picture
    before = picture.copy()
    result = blurred(picture, found)
    assert result.shape == picture.shape and result.dtype == np.uint8 and (picture == before).all()
    changed = (result != picture).reshape(height, width, -1).any(axis=2)
    allowed = np.zeros((height, width), bool)
    for box in found:
        allowed |= within(box, height, width, 0.15)
    assert not (changed & ~allowed).any()
    assert (blurred(picture, [*reversed(found), *found]) == result).all()


@settings(max_examples=100, deadline=None)
@given(boxes)
def test_no_pixel_of_a_box_is_left_as_it_was(box: tuple[float, ...]) -> None:
    """In a checkerboard all of the box becomes grey, but where the grown box is too small to hold two pixels."""
    board = np.uint8(255) * (np.indices((120, 160)).sum(axis=0) % 2).astype(np.uint8)
    inside = within(box, 120, 160, -1e-6)
    if min(inside.any(axis=0).sum(), inside.any(axis=1).sum()) >= 8:
        assert abs(blurred(board, [box])[inside].astype(int) - 127).max() <= 30


@pytest.mark.parametrize("cell", [1, 2, 3, 5, 8])
def test_high_frequencies_vanish(cell: int) -> None:
    board = np.uint8(255) * ((np.indices((240, 320)) // cell).sum(axis=0) % 2).astype(np.uint8)
    inside = blurred(board, [MIDDLE])[60:180, 80:240].astype(np.float32)
    assert inside.std() < board.std() / 10
    assert np.abs(cv2.Laplacian(inside, cv2.CV_32F)).max() < 10


def test_the_margin_is_blurred_too() -> None:
    """15 % on every side of a box from 80 to 240 and from 60 to 180: 56 to 264 and 42 to 198."""
    board = np.uint8(255) * (np.indices((240, 320)).sum(axis=0) % 2).astype(np.uint8)
    changed = blurred(board, [MIDDLE]) != board
    assert changed[42:198, 56:264].all() and changed.sum() == 156 * 208


def letter(text: str) -> np.ndarray:
    picture = np.full((240, 240, 3), 255, np.uint8)
    return cv2.putText(picture, text, (70, 170), cv2.FONT_HERSHEY_SIMPLEX, 4, (0, 0, 0), 12)


def test_letters_cannot_be_told_apart() -> None:
    """Of their differences little is left, and a picture of the box is no near duplicate of what it was."""
    one, other = (blurred(letter(text), [(0.2, 0.2, 0.8, 0.8)])[48:192, 48:192] for text in "HN")
    sharp = np.abs(letter("H").astype(int) - letter("N")).max()
    assert sharp == 255 and np.abs(one.astype(int) - other).max() < sharp / 4
    assert hamming(phash(one), phash(letter("H")[48:192, 48:192])) > 16


def test_no_more_than_a_few_colours_decide() -> None:
    """Pictures whose cells have the same means become the same: what the means leave out is lost for good."""
    mirrored = noise(100, 100)
    for row in range(0, 100, 20):
        for column in range(0, 100, 20):
            mirrored[row : row + 20, column : column + 20] = mirrored[row : row + 20, column : column + 20][::-1, ::-1]
    assert (blurred(mirrored, [(0, 0, 1, 1)]) == blurred(noise(100, 100), [(0, 0, 1, 1)])).all()


def test_it_is_smooth() -> None:
    """An edge from black to white becomes a slope over the width of a cell, 80 pixels, and more."""
    edge = np.repeat(np.uint8([0, 255]), 200)[:, None].repeat(400, axis=1)
    result = blurred(edge, [(0, 0, 1, 1)]).astype(int)
    assert np.abs(np.diff(result, axis=0)).max() <= 5 and np.ptp(result) > 200


def test_its_result_takes_and_leaves_no_chance() -> None:
    states = random.getstate(), np.random.get_state()[1].copy()  # type: ignore[union-attr]
    once = blurred(noise(), [MIDDLE])
    assert random.getstate() == states[0] and (np.random.get_state()[1] == states[1]).all()
    assert (blurred(noise(), [MIDDLE]) == once).all()


BORDERS = [(0.0, 0.0, 0.3, 0.3), (0.7, 0.7, 1.0, 1.0), (0.0, 0.4, 1.0, 0.6), (0.4, 0.0, 0.6, 1.0), (0.0, 0.0, 1.0, 1.0)]


@pytest.mark.parametrize("box", BORDERS)
def test_boxes_at_borders(box: tuple[float, float, float, float]) -> None:
    inside = within(box, 120, 160, -1e-6)
    result = blurred(noise(), [box])
    assert result[inside].std() < noise()[inside].std() / 3
    assert (result == noise())[~within(box, 120, 160, 0.15)].all()


@pytest.mark.parametrize("box", [(0.5, 0.5, 0.5, 0.5), (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0), (1, 0, 1, 1)])
def test_boxes_of_no_size_change_a_line_at_most(box: tuple[float, float, float, float]) -> None:
    changed = (blurred(noise(), [box]) != noise()).any(axis=2)
    assert changed.any(axis=0).sum() <= 1
    assert changed.any() == (box[3] > box[1])


NAN = float("nan")
WRONG = [(0.6, 0, 0.5, 1), (0, 0.6, 1, 0.5), (0, 0, 1, NAN), (NAN,) * 4, (-0.1, 0, 1, 1), (0, 0, 1, 1.1), (0, 0, 1)]


@pytest.mark.parametrize("box", WRONG)
def test_what_is_no_box_is_an_error(box: tuple[float, ...]) -> None:
    assert not is_box(box)
    with pytest.raises(ValueError, match="in shares from 0 to 1"):
        blurred(noise(), [MIDDLE, box])  # type: ignore[list-item]


def test_many_boxes_and_none() -> None:
    grid = [(x / 40, y / 40, (x + 1) / 40, (y + 1) / 40) for x in range(40) for y in range(40)]
    assert blurred(noise(400, 400), grid).std() < noise(400, 400).std() / 2
    assert (blurred(noise(), []) == noise()).all()
    start = time.process_time()
    blurred(noise(), [(0.0, 0.0, 1.0, 1.0)] * 100_000)
    assert time.process_time() - start < 2


def test_twelve_megapixels_take_no_time() -> None:
    picture = np.zeros((3000, 4000, 3), np.uint8)
    start = time.process_time()
    blurred(picture, [(0.0, 0.0, 1.0, 1.0)])
    assert time.process_time() - start < 2
