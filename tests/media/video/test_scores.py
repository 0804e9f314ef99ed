"""Scores of clips: against their definitions over fully decoded frames, FFmpeg's own filters, and known pictures."""

from __future__ import annotations

import gc
import math
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imageio_ffmpeg import get_ffmpeg_exe

from curation.media.video.scores import ClipScores, luma_of, score_clip
from curation.recipe.clip_rules import Scores
from curation.testing.videos import Shot, Style, write_video

Pixels = npt.NDArray[np.uint8]


def score(path: Path, **options: Any) -> ClipScores:
    return score_clip(path, Scores(**options), time.monotonic() + 60)


def write_luma(path: Path, frames: Iterable[Pixels], codec: str = "ffv1") -> Path:
    """Frames of luma as they are, losslessly, 24 a second, without colour."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=24)
        for number, luma in enumerate(frames):
            height, width = luma.shape
            if number == 0:
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.options = {"qp": "0"} if codec == "libx264" else {}
            frame = av.VideoFrame(width, height, "yuv420p")
            for plane, pixels in zip(frame.planes, (luma, None, None), strict=True):
                rows = np.full((plane.height, plane.line_size), 128, np.uint8)
                rows[:, : plane.width] = 128 if pixels is None else pixels
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> list[Pixels]:
    """Luma of all frames, by another way than the scores take."""
    with av.open(str(path)) as container:
        return [frame.reformat(format="yuv444p").to_ndarray()[0] for frame in container.decode(video=0)]


def ffmpeg(*arguments: str | Path) -> str:
    command = [get_ffmpeg_exe(), "-nostdin", "-hide_banner", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stderr.decode()


def ffmpeg_says(path: Path, filters: str) -> str:
    return ffmpeg("-i", path, "-vf", filters, "-f", "null", "-")


def joined(folder: Path, *sizes: str) -> Path:
    """A second of each size, one after the other in one stream."""
    parts = [folder / f"{size}.ts" for size in sizes]
    for part, size in zip(parts, sizes, strict=True):
        ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=24:duration=1", "-pix_fmt", "yuv420p", part)
    (folder / "joined.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    return folder / "joined.ts"


def textured(height: int, width: int, seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.5), None, 40, 220, cv2.NORM_MINMAX)


def brute(frames: Sequence[Pixels], every: int) -> dict[str, float | None]:
    """The definitions, line by line and frame by frame."""

    def lit(line: Pixels) -> bool:
        return bool(line.mean() > 24 or np.mean(line < 32) < 0.98)

    height, width = frames[0].shape
    pairs = [np.abs(after.astype(float) - before).mean() / 219 for before, after in pairwise(frames)]
    rows = [y for y in range(height) if any(lit(frame[y]) for frame in frames[::every])]
    columns = [x for x in range(width) if any(lit(frame[:, x]) for frame in frames[::every])]
    kept = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) if rows and columns else None
    return {
        "brightness": float(np.clip((np.mean([frame.mean() for frame in frames]) - 16) / 219, 0, 1)),
        "black_share": float(np.mean([np.mean(frame < 32) >= 0.98 for frame in frames])),
        "motion_difference": float(np.mean(pairs)) if pairs else None,
        "still_share": sum(pair <= 0.001 for pair in pairs) / len(pairs) if pairs else None,
        "letterbox": None if kept is None else 1 - kept / (height * width),
    }


def drawn(kind: str, height: int, width: int, seed: int) -> Pixels:
    """Kinds of frames on either side of the definitions' limits."""
    rng, frame = np.random.default_rng(seed), np.full((height, width), 16, np.uint8)
    if kind == "noise":
        frame = rng.integers(16, 236, (height, width)).astype(np.uint8)
    elif kind == "dark":
        frame = rng.integers(16, 40, (height, width)).astype(np.uint8)
    elif kind == "bars":
        frame[height // 4 : height - height // 4, width // 8 :] = 180
    elif kind == "specks":
        frame.flat[rng.choice(frame.size, round(frame.size * rng.uniform(0, 0.04)), replace=False)] = 200
    elif kind == "grey":
        frame[:] = rng.integers(20, 30)
    return frame


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["black", "noise", "dark", "bars", "specks", "grey"]), st.integers(0, 2)),
             min_size=1, max_size=8),
    st.integers(16, 41), st.integers(16, 41), st.integers(1, 4),
)  # fmt: skip
def test_scores_are_what_they_are_defined_to_be(
    tmp_path: Path, kinds: list[tuple[str, int]], height: int, width: int, every: int
) -> None:
    frames = [drawn(kind, height, width, seed) for kind, seed in kinds]
    path = write_luma(tmp_path / "drawn.mkv", frames)
    read = decoded(path)
    assert all(np.array_equal(a, b) for a, b in zip(frames, read, strict=True))
    found = score(path, sample_frames=every)
    assert (found.width, found.height, found.frames, found.decode_errors) == (width, height, len(frames), 0)
    for name, expected in brute(read, every).items():
        assert getattr(found, name) == (None if expected is None else pytest.approx(expected, abs=1e-9)), name


def test_on_the_limits_of_black_and_bars(tmp_path: Path) -> None:
    """98 % of the pixels below 32 are black, a line of mean 24 is a bar; one level or pixel more is not."""
    frame = np.full((20, 50), 16, np.uint8)
    specks = frame.copy()
    specks.flat[::50] = 200  # one of fifty in every row: black; all of the first column: no bar
    more = specks.copy()
    more[3, 7] = 32
    frames = [np.full_like(frame, 31), np.full_like(frame, 32), specks, more]
    alone = [score(write_luma(tmp_path / f"{number}.mkv", [each])) for number, each in enumerate(frames)]
    assert [found.black_share for found in alone] == [1, 0, 1, 0]
    assert [found.letterbox for found in alone] == [0, 0, None, 1 - 8 / 1000]
    rows = np.full((20, 50), 24, np.uint8)
    rows[5:15] = 25
    rows[8] = 90
    assert score(write_luma(tmp_path / "rows.mkv", [rows])).letterbox == 0.5


def test_sharpness_is_the_variance_of_the_laplacian_and_the_median_of_frames(tmp_path: Path) -> None:
    """At 512 pixels nothing is scaled; the second of three sampled frames is the middle one."""
    frames = [textured(288, 512, seed) // divisor + 16 for seed, divisor in ((0, 4), (1, 2), (2, 1))]
    variances = []
    for frame in frames:
        padded = np.pad(frame.astype(float), 1, mode="reflect")  # reflects without the border, as cv2 does
        sums = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        variances.append((sums - 4 * frame.astype(float)).var())
    found = score(write_luma(tmp_path / "a.mkv", [f for frame in frames for f in (frame, frame)]), sample_frames=2)
    assert found.sharpness == pytest.approx(sorted(variances)[1], rel=1e-5)


def test_blurred_is_less_sharp_and_the_size_matters_little(tmp_path: Path) -> None:
    large = cv2.resize(textured(270, 480), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(large, (640, 360), interpolation=cv2.INTER_AREA)
    sharp, other, blurred = (
        score(write_luma(tmp_path / f"{number}.mkv", [frame])).sharpness
        for number, frame in enumerate((large, small, cv2.GaussianBlur(large, (0, 0), 8)))
    )
    assert blurred < sharp / 10
    assert other == pytest.approx(sharp, rel=0.25)


def test_bars_are_what_cropdetect_sees(tmp_path: Path) -> None:
    """Letterbox and pillarbox at once, in H.264, with a fade from black and a dark scene in it."""
    frames = []
    for number in range(48):
        frame = np.full((180, 320), 16, np.uint8)
        light = 0.0 if number < 4 else 0.15 if number > 30 else 1.0
        frame[24:150, 40:310] = np.clip(16 + (textured(126, 270, number // 8) - 16.0) * light, 16, 235)
        frames.append(frame)
    path = write_luma(tmp_path / "bars.mp4", frames, "libx264")
    crops = re.findall(r"crop=(\d+):(\d+):(\d+):(\d+)", ffmpeg_says(path, "cropdetect=limit=24:round=2:skip=0"))
    width, height = map(int, crops[-1][:2])
    assert (width, height) == (270, 126)
    assert score(path).letterbox == pytest.approx(1 - width * height / (320 * 180))
    assert score(path, sample_frames=1).letterbox == score(path).letterbox


def test_a_dark_scene_has_no_bars(tmp_path: Path) -> None:
    """A night sky that cropdetect takes for a bar (mean below 24) is texture, not a bar."""
    frame = textured(100, 160)
    frame[:60] = np.where(np.random.default_rng(0).random((60, 160)) < 0.1, 60, 17)
    path = write_luma(tmp_path / "night.mkv", [frame] * 12)
    assert "crop=160:40:0:60" in ffmpeg_says(path, "cropdetect=limit=24:round=2:skip=0")
    assert score(path).letterbox == 0


def test_black_frames_are_those_of_blackframe(tmp_path: Path) -> None:
    shots = [Shot(30, fade_in=20, motion=2), Shot(24, black=True), Shot(30, "cat")]
    film = write_video(tmp_path / "fade.mp4", shots, Style(counter=False))
    black = len(re.findall("pblack:", ffmpeg_says(film.path, "blackframe=98:32")))
    assert 24 <= black < 40
    assert score(film.path).black_share == black / film.frames


def test_a_film_of_the_generator(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [Shot(48, motion=2.0)])
    found = score(film.path)
    assert (found.width, found.height, found.aspect) == (320, 180, 320 / 180)
    assert (found.fps, found.duration_ms, found.frames, found.decode_errors) == (24.0, 2000, 48, 0)
    assert found.has_audio
    assert found.loudness == pytest.approx(20 * math.log10(0.2) - 3.01, abs=1)  # a tone of 440 Hz, one channel
    assert found.silence_share == 0
    assert found.motion_vectors == pytest.approx(2, rel=0.2)
    assert found.motion_vectors_diagonal == pytest.approx(found.motion_vectors / math.hypot(320, 180))
    assert found.text_area is None
    assert (found.black_share, found.letterbox) == (0, 0)


@pytest.mark.parametrize(
    ("name", "style", "expected"),
    [
        ("v.webm", Style(), {"fps": 24.0, "motion_vectors": None}),
        ("v.mp4", Style(sound="none"), {"has_audio": False, "loudness": None, "silence_share": None}),
        ("v.mp4", Style(sound="silence"), {"has_audio": True, "loudness": -70.0, "silence_share": 1.0}),
        ("v.mp4", Style(rotation=90, size=(180, 320)), {"width": 180, "height": 320}),
        ("v.mp4", Style(rotation=180), {"width": 320, "height": 180}),
        ("v.mkv", Style(size=(321, 181), pixel_format="yuv444p"), {"width": 321, "height": 181}),
        ("v.mp4", Style(fps=Fraction(30000, 1001)), {"fps": 30000 / 1001}),
        ("v.mp4", Style(b_frames=0), {"frames": 24}),
    ],
)  # fmt: skip
def test_variants(tmp_path: Path, name: str, style: Style, expected: dict[str, Any]) -> None:
    film = write_video(tmp_path / name, [Shot(24, motion=1.0)], style)
    found = score(film.path)
    for column, value in expected.items():
        assert getattr(found, column) == (pytest.approx(value) if isinstance(value, float) else value), column
    assert found.frames == 24
    assert found.duration_ms == pytest.approx(film.end_ms, abs=45)
    assert found.motion_difference is not None and found.motion_difference > 0.002


def test_a_variable_frame_rate_is_averaged(tmp_path: Path) -> None:
    times = [0, 40, 80, 280, 320, 360, 960, 1000, 1040, 1080]
    found = score(write_video(tmp_path / "vfr.mkv", [Shot(10)], Style(times_ms=times, sound="none")).path)
    assert found.fps == pytest.approx(9 / 1.08, rel=0.01)
    assert found.duration_ms == pytest.approx(1120, abs=2)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    plain = write_luma(tmp_path / "plain.mkv", [textured(64, 90)] * 3)
    wide = tmp_path / "wide.mkv"
    ffmpeg("-i", plain, "-vf", "setsar=16/15", "-c:v", "ffv1", wide)
    assert (score(wide).width, score(wide).height) == (96, 64)


@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [
        ("ffv1", "yuv420p"), ("ffv1", "yuv444p"), ("ffv1", "yuv420p10le"), ("ffv1", "gray"), ("ffv1", "gray10le"),
        ("ffv1", "bgr0"), ("mjpeg", "yuvj420p"), ("libx264", "yuv420p10le"), ("libx264", "nv12"),
    ],
)  # fmt: skip
def test_one_picture_has_the_same_scores_in_all_formats(tmp_path: Path, codec: str, pixel_format: str) -> None:
    """Black, white and a step between, in colour models of other ranges and depths."""
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[:, 80:] = 255
    picture[60:, :40] = 128
    path = tmp_path / "picture.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 160, 120, pixel_format
        stream.options = {"qp": "1"} if codec == "libx264" else {"q": "1", "qmin": "1"} if codec == "mjpeg" else {}
        for shade in (1.0, 1.0, 0.0):
            frame = av.VideoFrame.from_ndarray((picture * shade).astype(np.uint8), "bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found = score(path, sample_frames=1)
    assert found.brightness == pytest.approx(2 / 3 * (0.5 + 0.125 * 128 / 255), abs=0.006)
    assert found.black_share == pytest.approx(1 / 3)
    assert found.motion_difference == pytest.approx((0.5 + 0.125 * 128 / 255) / 2, abs=0.006)
    assert found.still_share == 0.5
    assert found.letterbox == pytest.approx(0, abs=0.01)


def test_a_size_that_changes_in_the_middle(tmp_path: Path) -> None:
    found = score(joined(tmp_path, "320x180", "160x96"), sample_frames=1)
    assert (found.width, found.height) == (320, 180)
    assert 40 <= found.frames <= 48
    assert found.letterbox == 0
    assert found.motion_difference is not None and found.motion_difference < 0.1


@pytest.mark.parametrize(
    ("pixel_format", "levels", "white"),
    [
        ("yuv420p", 0, 235), ("yuv420p", 1, 235), ("yuv420p", 2, 255), ("yuvj420p", 0, 255), ("gray", 0, 255),
        ("gray", 1, 235), ("nv12", 2, 255), ("yuv420p10le", 1, 940), ("yuv420p10le", 2, 1023), ("gray10le", 2, 1023),
    ],
)  # fmt: skip
def test_white_is_235_in_all_ranges(pixel_format: str, levels: int, white: int) -> None:
    """levels: as FFmpeg counts them: 0 not said, 1 from 16 to 235, 2 from 0 to 255."""
    frame = av.VideoFrame(62, 48, pixel_format)
    frame.color_range = levels
    kind = np.uint16 if white > 255 else np.uint8
    for number, plane in enumerate(frame.planes):
        value = (512 if white > 255 else 128) if number else white
        plane.update(np.full(plane.buffer_size // kind().itemsize, value, kind).tobytes())
    assert np.abs(luma_of(frame).astype(int) - 235).max() <= 1  # dithered where bits are lost


def test_a_stream_without_times_has_the_declared_rate(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [Shot(48)], Style(fps=Fraction(30), sound="none"))
    ffmpeg("-i", film.path, "-c", "copy", tmp_path / "late.ts")  # where time begins at 1.4 seconds
    assert score(tmp_path / "late.ts").duration_ms == 1600
    ffmpeg("-i", film.path, "-c", "copy", tmp_path / "raw.h264")
    found = score(tmp_path / "raw.h264")
    assert (found.frames, found.fps, found.duration_ms) == (48, 30.0, 1600)


def test_one_frame(tmp_path: Path) -> None:
    found = score(write_luma(tmp_path / "one.mkv", [textured(40, 60)]))
    assert (found.frames, found.motion_difference, found.still_share, found.motion_vectors) == (1, None, None, None)
    assert found.duration_ms == pytest.approx(42, abs=1)


def frames_held() -> int:
    return sum(issubclass(type(thing), av.VideoFrame) for thing in gc.get_objects())  # a proxy may stand for nothing


def test_frames_are_let_go_of(tmp_path: Path) -> None:
    """Also where Python does not look for rings of objects: motion vectors keep their frame, which could keep them."""
    path = write_video(tmp_path / "film.mp4", [Shot(72)]).path
    gc.collect()
    before = frames_held()
    gc.disable()
    try:
        score(path)
        assert frames_held() == before
    finally:
        gc.enable()


def test_real_videos(real_data: Path) -> None:
    folder = real_data / "media" / "videos"
    bunny, webm = score(folder / "big_buck_bunny_480p_30s.mp4"), score(folder / "mdn_cc0_flower.webm")
    assert (bunny.width, bunny.height, bunny.fps, bunny.duration_ms, bunny.frames) == (854, 480, 24.0, 30_000, 720)
    assert bunny.letterbox == 0 and 0 < bunny.black_share < 0.05
    said = re.findall("pblack:", ffmpeg_says(folder / "big_buck_bunny_480p_30s.mp4", "blackframe=98:32"))
    assert bunny.black_share == pytest.approx(len(said) / 720)
    assert (webm.motion_vectors, webm.silence_share) == (None, 1.0)
