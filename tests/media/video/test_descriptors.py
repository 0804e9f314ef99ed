"""Features of frames: the built-in descriptor, and how it is asked for a video's frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from curation.errors import RecipeError, StageError
from curation.media.video.descriptors import ColourEdges, frame_features, loaded_features
from curation.testing.pictures import scene
from curation.testing.videos import Shot, Style, write_video

pictures = hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 90), st.integers(1, 90), st.just(3)))


def distance(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """On the published scale."""
    extractor = ColourEdges()
    first, second = extractor(one[None])[0], extractor(other[None])[0]
    return float(np.linalg.norm(first - second)) * extractor.scale


def picture(concept: str, width: int = 320) -> npt.NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.resize(scene(concept, concept), (width, width * 9 // 16), interpolation=cv2.INTER_AREA))


@given(pictures)
def test_vectors_are_of_length_one_and_of_each_frame_alone(frames: npt.NDArray[np.uint8]) -> None:
    extractor = ColourEdges()
    vectors = extractor(frames)
    assert (vectors.shape, vectors.dtype) == ((len(frames), 405), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for frame, vector in zip(frames, vectors, strict=True):
        assert np.array_equal(extractor(frame[None])[0], vector)


def test_no_frames() -> None:
    assert ColourEdges()(np.empty((0, 64, 64, 3), np.uint8)).shape == (0, 405)


def test_like_pictures_are_near_and_others_far() -> None:
    dog, car = picture("dog"), picture("car")
    noise = np.random.default_rng(0).normal(0, 3, dog.shape)
    noisy = np.clip(dog + noise, 0, 255).astype(np.uint8)
    assert distance(dog, dog) == 0
    assert distance(dog, noisy) < 0.15
    assert 0 < distance(dog, np.roll(dog, 12, axis=1)) < 0.6  # 12 of 320 pixels: half a second at 24 frames
    assert distance(dog, picture("dog", 160)) < 0.3
    assert distance(dog, car) > 0.6


@pytest.mark.parametrize("change", ["colour", "places", "edges"])
def test_what_it_looks_at(change: str) -> None:
    """Colours, where they are, and the direction of edges of the same colours."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::8] = stripes[1::8] = stripes[2::8] = stripes[3::8] = (200, 40, 40)
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:32] = (200, 40, 40)
    others = {
        "colour": (stripes, stripes[..., ::-1].copy()),
        "places": (halves, halves[::-1].copy()),
        "edges": (stripes, stripes.transpose(1, 0, 2).copy()),
    }
    assert distance(*others[change]) > 0.6


def test_light_and_dark_without_edges() -> None:
    grey = [np.full((40, 60, 3), level, np.uint8) for level in (0, 2, 255)]
    assert distance(grey[0], grey[1]) < 0.3
    assert distance(grey[0], grey[2]) > 0.6
    flat = np.full((64, 64, 3), 128, np.uint8)
    lines = flat.copy()
    lines[::4] += 1  # edges too weak to be any
    assert distance(flat, lines) < 0.35


def test_features_of_a_video(tmp_path: Path) -> None:
    """As of its frames, scaled; None where a frame is missing; more frames than one batch."""
    film = write_video(tmp_path / "film.mp4", [Shot(40, "dog"), Shot(40, "car")], Style(sound="none"))
    path = tmp_path / "short.mp4"
    extractor = loaded_features("colour_edges")
    wanted = list(range(0, 80, 2))
    vectors = frame_features(film.path, film.times_ms, extractor)(wanted)
    found = np.array([vector for vector in vectors if vector is not None])
    assert found.shape == (40, 405)
    assert np.allclose(np.linalg.norm(found, axis=1), extractor.scale, atol=1e-4)
    steps = np.linalg.norm(np.diff(found, axis=0), axis=1)
    assert (int(steps.argmax()), steps.max() > 0.6, np.delete(steps, 19).max() < 0.3) == (19, True, True)
    later = [*film.times_ms, film.end_ms + 1000]
    path.write_bytes(film.path.read_bytes())
    last, missing = frame_features(path, later, extractor)([79, 80])
    assert last is not None and missing is None
    assert frame_features(path, later, extractor)([80]) == [None]
    assert frame_features(path, later, extractor)([]) == []


def test_names() -> None:
    assert isinstance(loaded_features("colour_edges"), ColourEdges)
    with pytest.raises(RecipeError, match="colour_edges or transformers:NAME-OR-FOLDER"):
        loaded_features("imagebind")


def test_encoders_need_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(StageError, match=r"need torch.*: pip install 'curation\[models\]', or take colour_edges"):
        loaded_features("transformers:someone/some-encoder")
