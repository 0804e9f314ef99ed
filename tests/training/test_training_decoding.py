"""Bytes to pixels; images and clips alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.testing.videos import Shot, Style, read_number, write_video
from curation.training.decoding import clip_frames, formed, media_of, pictures, spread, square
from curation.training.faults import Fault, SampleFaultError

RED = np.zeros((20, 30, 3), np.uint8)
RED[..., 2] = 255  # BGR


def _jpeg(pixels: np.ndarray) -> bytes:  # type: ignore[type-arg]
    return bytes(cv2.imencode(".png", pixels)[1])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """48 frames of 64 x 48, numbered."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, [Shot(48, "dog", "a")], Style(size=(64, 48))).path.read_bytes()


def test_images_are_rgb_whatever_they_were() -> None:
    grey, clear = RED[..., 2].copy(), np.dstack([RED, np.full((20, 30), 128, np.uint8)])
    expected = {"colour": (255, 0, 0), "grey": (255, 255, 255), "clear": (255, 127, 127)}
    for name, pixels in (("colour", RED), ("grey", grey), ("clear", clear)):
        (found,) = pictures({"txt": b"x", "png": _jpeg(pixels)}, 8, None)
        assert found.shape == (20, 30, 3) and found.dtype == np.uint8
        assert np.abs(found.reshape(-1, 3).astype(int) - expected[name]).max() <= 1


@given(width=st.integers(1, 300), height=st.integers(1, 300), size=st.integers(1, 120))
def test_squares_have_their_size(width: int, height: int, size: int) -> None:
    assert square(np.zeros((height, width, 3), np.uint8), size).shape == (size, size, 3)


def test_squares_are_cut_from_the_middle() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    assert square(pixels, 10).min() == 255
    assert square(pixels.transpose(1, 0, 2), 10).min() == 255


@given(length=st.integers(1, 500), count=st.integers(1, 40))
def test_frames_are_spread_evenly(length: int, count: int) -> None:
    places = spread(length, count)
    assert len(places) == min(length, count) == len(set(places))
    assert places == sorted(places) and set(places) <= set(range(length))
    gaps = np.diff(places)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1
    assert abs(places[0] - (length - 1 - places[-1])) <= 1


def test_the_middle_is_one_frame() -> None:
    assert spread(9, 1) == [4]


def test_clips_give_frames_at_even_distances(clip: bytes) -> None:
    every = clip_frames(clip, 1000)
    assert [read_number(frame) for frame in every] == list(range(48))
    assert every[0].shape == (48, 64, 3)
    assert [read_number(frame) for frame in clip_frames(clip, 6)] == [4, 12, 20, 28, 36, 44]
    assert [frame.shape for frame in pictures({"mp4": clip}, 2, 24)] == [(24, 24, 3)] * 2


def test_a_clip_of_frames_is_a_clip() -> None:
    frames = {f"{number:03d}.png": _jpeg(np.full((4, 4, 3), number, np.uint8)) for number in range(8)}
    parts = {"txt": b"x", **dict(reversed(frames.items())), "json": b"{}"}
    assert [frame[0, 0, 0] for frame in pictures(parts, 8, None)] == list(range(8))
    assert [frame[0, 0, 0] for frame in pictures(parts, 2, None)] == [2, 6]
    assert media_of(parts) == ("png", list(frames.values()))


def test_forms() -> None:
    frames = [np.full((4, 6, 3), number, np.uint8) for number in range(2)]
    assert formed(frames, "array", as_video=True).shape == (2, 4, 6, 3)
    assert formed(frames[:1], "array", as_video=False).shape == (4, 6, 3)
    assert formed(frames[:1], "pil", as_video=False).size == (6, 4)
    assert [image.size for image in formed(frames, "pil", as_video=True)] == [(6, 4)] * 2
    with pytest.raises(SampleFaultError, match="frames differ in size"):
        formed([frames[0], frames[1][:2]], "array", as_video=True)


@pytest.mark.parametrize("cut", [0, 100, 1000])
def test_broken_media_are_said(clip: bytes, cut: int) -> None:
    noise = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8))[1].tobytes()
    for parts in ({"mp4": clip[:cut]}, {"jpg": noise[:cut]}):
        with pytest.raises(SampleFaultError) as told:
            pictures(parts, 4, None)
        assert told.value.fault == Fault.UNDECODABLE
    with pytest.raises(SampleFaultError, match="no picture and no clip among txt"):
        pictures({"txt": b"x"}, 4, None)


def test_nothing_of_spark_and_no_torch_is_imported(bed: object, tmp_path: Path) -> None:
    script = """
import sys
from collections import Counter
import curation.training
from curation.training.balancing import EntryCounts
from curation.training.reading import Reading
from curation.training.shard_sets import shard_set
from curation.training.sources import TarSource
from curation.training.stream import Share, Stream
stream = Stream(TarSource(shard_set(sys.argv[1], "train")), Reading(picture="array", t=5, redraw=True),
                EntryCounts.read(sys.argv[2]))
count = sum(1 for _ in stream.samples(Share(0), stream.source.sizes, Counter()))
print(count, sorted({name.partition(".")[0] for name in sys.modules} & {"pyspark", "py4j", "torch"}))
"""
    command = [sys.executable, "-c", script, str(bed.shards), str(bed.work)]  # type: ignore[attr-defined]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    count, _, strangers = done.stdout.partition(" ")
    assert int(count) > 50 and strangers.strip() == "[]"
