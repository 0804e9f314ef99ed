"""Motion: the codec's vectors against known speeds, differences against their definition."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.media.video.motion import RANGE, STILL, Differences, MotionVectors, of_diagonal

SIZE = (192, 128)


def pan(path: Path, codec: str, options: dict[str, str], speed: tuple[float, float], frames: int = 36) -> Path:
    """A picture that moves by speed (x, y) in pixels per frame."""
    (width, height), (right, down) = SIZE, speed
    noise = np.random.default_rng(4).integers(0, 256, (height * 2, width * 3), np.uint8)
    ground = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 16, 235, cv2.NORM_MINMAX)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(frames):
            moved = np.float32([[1, 0, -round(right * number)], [0, 1, -round(down * number)]])
            view = cv2.warpAffine(ground, moved, (width, height), borderMode=cv2.BORDER_WRAP)
            frame = av.VideoFrame.from_ndarray(cv2.cvtColor(view, cv2.COLOR_GRAY2BGR), "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def vectors_of(path: Path) -> float | None:
    found = MotionVectors()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"flags2": "+export_mvs"}
        for frame in container.decode(stream):
            found.add(frame)
    return found.mean()


@pytest.mark.parametrize("speed", [(0, 0), (2, 0), (0, 3), (3, 4), (-5, 0)])
@pytest.mark.parametrize(
    "options",
    [{"bf": "0"}, {"bf": "3"}, {"x264-params": "b-pyramid=normal:bframes=6:ref=4:b-adapt=0"}],
    ids=["no B-frames", "B-frames", "pyramid"],
)
def test_the_speed_of_a_pan_is_found_whatever_the_distance_of_references(
    tmp_path: Path, options: dict[str, str], speed: tuple[float, float]
) -> None:
    expected = float(np.hypot(*speed))
    found = vectors_of(pan(tmp_path / "pan.mp4", "libx264", options, speed))
    assert found == pytest.approx(expected, rel=0.1, abs=0.02)


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video"])
def test_older_codecs_have_vectors_too(tmp_path: Path, codec: str) -> None:
    assert vectors_of(pan(tmp_path / "pan.mkv", codec, {}, (3, 0))) == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [("pan.webm", "libvpx", {"deadline": "realtime"}), ("pan.mkv", "ffv1", {}), ("pan.mp4", "libx264", {"g": "1"})],
)
def test_a_codec_without_vectors_has_no_score(tmp_path: Path, name: str, codec: str, options: dict[str, str]) -> None:
    assert vectors_of(pan(tmp_path / name, codec, options, (3, 0), frames=6)) is None


def test_half_a_picture_that_moves_counts_by_its_area(tmp_path: Path) -> None:
    """Two halves, of which one moves by 4 pixels a frame: 2 on average, apart from blocks on the border."""
    width, height = SIZE
    path, rng = tmp_path / "half.mp4", np.random.default_rng(1)
    ground = cv2.normalize(
        cv2.GaussianBlur(rng.integers(0, 256, (height, width * 3), np.uint8), (0, 0), 3), None, 16, 235, cv2.NORM_MINMAX
    )
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(24):
            view = ground[:, :width].copy()
            view[: height // 2] = ground[: height // 2, 4 * number : 4 * number + width]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(cv2.cvtColor(view, cv2.COLOR_GRAY2BGR), "bgr24")))
        container.mux(stream.encode(None))
    assert vectors_of(path) == pytest.approx(2, rel=0.1)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(1, 9), st.integers(1, 9))
def test_differences_are_what_they_are_defined_to_be(kinds: list[int], height: int, width: int) -> None:
    frames = [np.random.default_rng(kind).integers(16, 236, (height, width), np.uint8) for kind in kinds]
    found = Differences()
    for frame in frames:
        found.add(frame)
    pairs = [abs(b.astype(float) - a.astype(float)).mean() / RANGE for a, b in pairwise(frames)]
    if pairs:
        assert found.mean() == pytest.approx(sum(pairs) / len(pairs))
        assert found.still_share() == sum(pair <= STILL for pair in pairs) / len(pairs)
    else:
        assert found.mean() is found.still_share() is None


def test_black_to_white_is_one_and_a_little_noise_is_still() -> None:
    black, white = np.full((20, 50), 16, np.uint8), np.full((20, 50), 235, np.uint8)
    noisy = white.copy()
    noisy.flat[: round(STILL * RANGE * noisy.size)] -= 1  # just within
    more = noisy.copy()
    more.flat[-20 - round(STILL * RANGE * noisy.size) :] -= 1  # just above
    found = Differences()
    for frame in (black, white, noisy, more):
        found.add(frame)
    assert found.still_share() == pytest.approx(1 / 3)
    assert found.mean() == pytest.approx((1 + STILL + STILL) / 3, abs=1e-4)


def test_a_change_of_size_is_no_error() -> None:
    found = Differences()
    for shape in ((20, 50), (40, 100), (7, 3)):
        found.add(np.full(shape, 100, np.uint8))
    assert found.still_share() == 1


def test_lengths_in_diagonals() -> None:
    assert of_diagonal(5, 30, 40) == pytest.approx(0.1)
    assert of_diagonal(None, 30, 40) is None
