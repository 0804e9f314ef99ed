"""Scores of clips: against their definitions over fully decoded frames, FFmpeg's own filters, and known pictures."""

from __future__ import annotations

import gc
import math
import re
import subprocess
import sys
import time
import types
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

from curation.errors import RecipeError
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.scores import ClipScores, score_clip
from curation.media.video.text_area import text_finder
from curation.recipe.clip_rules import Scores
from curation.testing.videos import Shot, Style, write_video

Pixels = npt.NDArray[np.uint8]
SHARES = ("brightness", "black_share", "letterbox", "text_area", "motion_difference", "still_share", "silence_share")


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
    parts = []
    for size in ("320x180", "160x96"):
        parts.append(tmp_path / f"{size}.ts")
        ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=24:duration=1", "-pix_fmt", "yuv420p", parts[-1])
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    found = score(joined, sample_frames=1)
    assert (found.width, found.height) == (320, 180)
    assert 40 <= found.frames <= 48
    assert found.letterbox == 0
    assert found.motion_difference is not None and found.motion_difference < 0.1


def test_one_frame(tmp_path: Path) -> None:
    found = score(write_luma(tmp_path / "one.mkv", [textured(40, 60)]))
    assert (found.frames, found.motion_difference, found.still_share, found.motion_vectors) == (1, None, None, None)
    assert found.duration_ms == pytest.approx(42, abs=1)


def test_frames_are_let_go_of(tmp_path: Path) -> None:
    """Also where Python does not look for rings of objects: motion vectors keep their frame, which could keep them."""
    path = write_video(tmp_path / "film.mp4", [Shot(72)]).path
    gc.collect()
    gc.disable()
    try:
        score(path)
        assert sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects()) == 0
    finally:
        gc.enable()


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
    found = score(path, text_finder="boxes_for_tests:load")
    assert [picture.shape for picture in finder] == [(180, 320, 3)] * 4
    assert found.text_area == pytest.approx(60 * 20 / (320 * 180) / 2, abs=1e-9)


def test_text_is_looked_for_upright_and_in_bounds(tmp_path: Path, finder: list[Pixels]) -> None:
    film = write_video(tmp_path / "v.mp4", [Shot(4)], Style(rotation=90, size=(100, 200), sound="none"))
    score(film.path, text_finder="boxes_for_tests:load")
    upright = finder[0]
    assert upright.shape == (200, 100, 3)
    assert upright[:5, :40].std() > 40  # the counter's cells are drawn in the upper left corner
    score(write_luma(tmp_path / "large.mkv", [textured(600, 1920)]), text_finder="boxes_for_tests:load")
    assert finder[-1].shape == (300, 960, 3)


@pytest.mark.parametrize("name", ["no_such_module:load", "json:no_such_name"])
def test_a_text_finder_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=f"text_finder {name} cannot be loaded"):
        score(tmp_path / "not read.mp4", text_finder=name)


def test_a_text_finder_that_fails_is_not_taken_for_a_broken_video(
    tmp_path: Path, finder: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["boxes_for_tests"], "load", lambda: lambda picture: np.zeros(3).reshape(7, 7))
    path = write_luma(tmp_path / "v.mkv", [textured(48, 64)])
    with pytest.raises(RecipeError, match="text_finder failed: ValueError"):
        score(path, text_finder="boxes_for_tests:load")


def test_rapidocr_finds_what_is_written(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr", reason="rapidocr is not installed")
    plain = np.full((360, 640), 80, np.uint8)
    written = plain.copy()
    cv2.putText(written, "HELLO WORLD 42", (50, 200), cv2.FONT_HERSHEY_SIMPLEX, 2, 235, 4)
    texts = [score(write_luma(tmp_path / f"{n}.mkv", [frame]), text_finder="rapidocr").text_area
             for n, frame in enumerate((plain, written))]  # fmt: skip
    assert texts[0] == 0
    assert texts[1] == pytest.approx(495 * 58 / (360 * 640), rel=0.3)


def refusal(path: Path, deadline: float | None = None) -> VideoRefusal:
    with pytest.raises(RefusedVideo) as refused:
        score_clip(path, Scores(), deadline)
    return refused.value.reason


def test_what_is_no_video(tmp_path: Path) -> None:
    contents = {
        "page.mp4": b"<!doctype html><title>Not found</title>", "empty.mp4": b"", "list.mp4": b"#EXTM3U\n/etc/hosts\n",
        "text.mp4": b"words " * 1000,
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path / name) == VideoRefusal.NOT_A_VIDEO
    with pytest.raises(FileNotFoundError):
        score_clip(tmp_path / "missing.mp4", Scores())


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [Shot(24)])
    alone = tmp_path / "alone.mp4"
    ffmpeg("-i", film.path, "-vn", "-c", "copy", alone)
    assert refusal(alone) == VideoRefusal.NOT_A_VIDEO


def test_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    with av.open(str(path), "w", options={"movflags": "empty_moov"}) as container:
        stream: Any = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert refusal(path) == VideoRefusal.NO_FRAMES


def test_truncated(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", [Shot(48)]).path
    path.write_bytes(path.read_bytes()[:-4000])
    assert refusal(path) == VideoRefusal.TRUNCATED


def test_a_limit_in_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", [Shot(48)]).path
    assert refusal(path, time.monotonic() - 1) == VideoRefusal.TIMEOUT


def test_frames_without_end_of_pixels(tmp_path: Path) -> None:
    """A header that declares 16,000 x 16,000 pixels."""
    path = write_luma(tmp_path / "film.mkv", [textured(48, 64)])
    for name, value in ((b"\xb0\x81\x40", b"\xb0\x82\x3e\x80"), (b"\xba\x81\x30", b"\xba\x82\x3e\x80")):
        assert name in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(name, value))
    assert refusal(path) in (VideoRefusal.TOO_MANY_PIXELS, VideoRefusal.CORRUPT)


@pytest.fixture(scope="module")
def film_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", [Shot(36), Shot(12, "cat")]).path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), faults=st.integers(1, 200))
def test_broken_files_give_scores_in_range_or_a_refusal(
    tmp_path: Path, film_bytes: bytes, seed: int, faults: int
) -> None:
    rng, content = np.random.default_rng(seed), bytearray(film_bytes)
    for place in rng.integers(0, len(content), faults):
        content[place] = rng.integers(0, 256)
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    try:
        found = score(path)
    except RefusedVideo:
        return
    assert found.frames > 0
    for name in SHARES:
        value = getattr(found, name)
        assert value is None or 0 <= value <= 1, name
    assert found.fps > 0 and found.duration_ms >= 0
    assert found.motion_vectors is None or math.isfinite(found.motion_vectors)


def test_broken_frames_are_counted_and_the_rest_scored(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", [Shot(48)], Style(sound="none")).path
    whole, content = score(path), bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    middle = begin + (len(content) - begin) // 3
    content[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(content)
    found = score(path)
    assert found.decode_errors > 0
    assert found.frames >= 40
    assert found.brightness == pytest.approx(whole.brightness, abs=0.1)


def test_real_videos(real_data: Path) -> None:
    folder = real_data / "media" / "videos"
    bunny, webm = score(folder / "big_buck_bunny_480p_30s.mp4"), score(folder / "mdn_cc0_flower.webm")
    assert (bunny.width, bunny.height, bunny.fps, bunny.duration_ms, bunny.frames) == (854, 480, 24.0, 30_000, 720)
    assert bunny.letterbox == 0 and 0 < bunny.black_share < 0.05
    said = re.findall("pblack:", ffmpeg_says(folder / "big_buck_bunny_480p_30s.mp4", "blackframe=98:32"))
    assert bunny.black_share == pytest.approx(len(said) / 720)
    assert (webm.motion_vectors, webm.silence_share) == (None, 1.0)
