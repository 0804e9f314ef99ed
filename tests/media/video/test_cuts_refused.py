"""Files whose shots cannot be told: refused with the real reason, in bounded time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from curation.media.video.cuts import detect_cuts, detect_shots
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.recipe.scenes import Scenes
from curation.testing.videos import Film, Shot, Style, write_video

NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return write_video(tmp_path_factory.mktemp("films") / "film.mp4", [Shot(40, "dog"), Shot(40, "cat")])


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def write_text(path: Path) -> None:
    path.write_text("<html><title>404</title>not here\n" * 50)


def write_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(50_000))


def write_sound(path: Path) -> None:
    command = [get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", "sine=duration=1"]
    subprocess.run([*command, "-f", "mp4", str(path)], check=True, capture_output=True, timeout=60)


def write_picture(path: Path) -> None:
    path.write_bytes(cv2.imencode(".png", NOISE)[1].tobytes())


def write_photograph(path: Path) -> None:
    path.write_bytes(cv2.imencode(".jpg", NOISE)[1].tobytes())


def write_no_frames(path: Path) -> None:
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()


def write_damage(path: Path) -> None:
    write_video(path.with_suffix(".mp4"), [Shot(10)], Style(sound="none"))
    with av.open(str(path.with_suffix(".mp4"))) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.with_suffix(".mp4").read_bytes())
    for position, size in packets:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)


def write_half(path: Path) -> None:
    write_video(path.with_suffix(".mp4"), [Shot(60)])
    data = path.with_suffix(".mp4").read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(
    ("write", "reasons"),
    [
        (write_nothing, {VideoRefusal.NOT_A_VIDEO}),
        (write_text, {VideoRefusal.NOT_A_VIDEO}),
        (write_noise, {VideoRefusal.CORRUPT, VideoRefusal.NOT_A_VIDEO}),
        (write_sound, {VideoRefusal.NOT_A_VIDEO}),
        (write_picture, {VideoRefusal.NOT_A_VIDEO}),
        (write_photograph, {VideoRefusal.NOT_A_VIDEO}),
        (write_no_frames, {VideoRefusal.NO_FRAMES, VideoRefusal.CORRUPT}),
        (write_damage, {VideoRefusal.CORRUPT}),
        (write_half, {VideoRefusal.CORRUPT, VideoRefusal.TRUNCATED}),
    ],
)
def test_what_is_no_video_is_refused(
    tmp_path: Path, write: Callable[[Path], None], reasons: set[VideoRefusal], guided: bool
) -> None:
    path = tmp_path / "film"
    write(path)
    with pytest.raises(RefusedVideo) as refused:
        detect_shots(path, Scenes(key_frame_guided=guided))
    assert refused.value.reason in reasons


@pytest.mark.parametrize("guided", [False, True])
def test_a_limit_that_is_over_ends_it(film: Film, guided: bool) -> None:
    section = Scenes(key_frame_guided=guided)
    for late in (
        lambda: detect_shots(film.path, section, time.monotonic() - 1),
        lambda: detect_shots(film.path, section.model_copy(update={"max_seconds": 1e-9})),
    ):
        with pytest.raises(RefusedVideo) as refused:
            late()
        assert refused.value.reason == VideoRefusal.TIMEOUT


def test_a_missing_file_is_no_refusal(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        detect_cuts(tmp_path / "none.mp4")
