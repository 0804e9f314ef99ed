"""Text in pictures: what a finder is shown, and how its boxes are counted."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from curation.errors import RecipeError
from curation.media.video.scores import ClipScores, score_clip
from curation.media.video.text_area import text_finder
from curation.recipe.clip_rules import Scores
from curation.testing.videos import Shot, Style, read_number, write_video

Pixels = npt.NDArray[np.uint8]


def score(path: Path, finder: str) -> ClipScores:
    return score_clip(path, Scores(text_finder=finder))


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> list[Pixels]:
    """A module `boxes_for_tests` whose finder always sees the same two boxes, and keeps what it was shown."""
    seen: list[Pixels] = []

    def find(picture: Pixels, /) -> npt.NDArray[np.float32]:
        seen.append(picture)
        box = np.array([[0, 0], [40, 0], [40, 20], [0, 20]], np.float32)
        return np.stack([box, box + np.float32([20, 0])]) if len(seen) % 2 else np.zeros((0, 4, 2), np.float32)

    module = types.ModuleType("boxes_for_tests")
    module.load = lambda: find  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "boxes_for_tests", module)
    text_finder.cache_clear()
    return seen


def test_text_counts_once_where_boxes_overlap_in_every_tenth_frame(tmp_path: Path, finder: list[Pixels]) -> None:
    path = write_video(tmp_path / "v.mp4", [Shot(40)], Style(sound="none")).path
    found = score(path, "boxes_for_tests:load")
    assert [picture.shape for picture in finder] == [(180, 320, 3)] * 4
    assert found.text_area == pytest.approx(60 * 20 / (320 * 180) / 2, abs=1e-9)


def test_text_is_looked_for_upright_and_in_bounds(tmp_path: Path, finder: list[Pixels]) -> None:
    film = write_video(tmp_path / "v.mp4", [Shot(4)], Style(rotation=90, size=(160, 240), sound="none"))
    score(film.path, "boxes_for_tests:load")
    upright = finder[0]
    assert upright.shape == (240, 160, 3)
    assert read_number(upright) == 0
    large = write_video(tmp_path / "large.mp4", [Shot(1)], Style(size=(1920, 600), sound="none"))
    score(large.path, "boxes_for_tests:load")
    assert finder[-1].shape == (300, 960, 3)


@pytest.mark.parametrize("name", ["no_such_module:load", "json:no_such_name"])
def test_a_text_finder_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=f"text_finder {name} cannot be loaded"):
        score(tmp_path / "not read.mp4", name)


def test_a_text_finder_that_fails_is_not_taken_for_a_broken_video(
    tmp_path: Path, finder: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["boxes_for_tests"], "load", lambda: lambda picture: np.zeros(3).reshape(7, 7))
    path = write_video(tmp_path / "v.mp4", [Shot(1)]).path
    with pytest.raises(RecipeError, match="text_finder failed: ValueError"):
        score(path, "boxes_for_tests:load")


def test_rapidocr_finds_what_is_written() -> None:
    pytest.importorskip("rapidocr", reason="rapidocr is not installed")
    plain, find = np.full((360, 640, 3), 80, np.uint8), text_finder("rapidocr")
    assert find(plain).shape == (0, 4, 2)
    written = cv2.putText(plain.copy(), "HELLO WORLD 42", (50, 200), cv2.FONT_HERSHEY_SIMPLEX, 2, (235, 235, 235), 4)
    (box,) = find(np.asarray(written, np.uint8))
    assert np.abs(box - [[45, 150], [540, 150], [540, 208], [45, 208]]).max() < 15
