"""Broken and hostile clips: refused with the reason, or scored as far as they go, with what is broken counted."""

from __future__ import annotations

import itertools
import math
import subprocess
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imageio_ffmpeg import get_ffmpeg_exe

from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.scores import ClipScores, score_clip
from curation.recipe.clip_rules import Scores
from curation.testing.videos import Shot, Style, write_video

SHARES = ("brightness", "black_share", "letterbox", "text_area", "motion_difference", "still_share", "silence_share")


def score(path: Path, **options: Any) -> ClipScores:
    return score_clip(path, Scores(**options), time.monotonic() + 60)


def ffmpeg(*arguments: str | Path) -> str:
    command = [get_ffmpeg_exe(), "-nostdin", "-hide_banner", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stderr.decode()


def joined(folder: Path, *sizes: str) -> Path:
    """A second of each size, one after the other in one stream."""
    parts = [folder / f"{size}.ts" for size in sizes]
    for part, size in zip(parts, sizes, strict=True):
        ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}:rate=24:duration=1", "-pix_fmt", "yuv420p", part)
    (folder / "joined.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    return folder / "joined.ts"


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


def test_a_limit_in_time_is_looked_at_between_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock = write_video(tmp_path / "film.mp4", [Shot(96)]).path, itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))  # a second passes whenever it is asked
    assert refusal(path, 60) == VideoRefusal.TIMEOUT
    assert score_clip(path, Scores(), 10_000).frames == 96


def test_frames_that_grow_beyond_the_limit_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = joined(tmp_path, "160x96", "320x180")
    assert score(path).frames > 40
    monkeypatch.setattr("curation.media.video.scores.MAX_PIXELS", 160 * 96 * 2)
    found = score(path)
    assert found.frames <= 24 and found.decode_errors >= 1
    monkeypatch.setattr("curation.media.video.scores.MAX_PIXELS", 160 * 96 - 1)
    assert refusal(path) == VideoRefusal.TOO_MANY_PIXELS


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
    for place in range(begin + (len(content) - begin) // 3, len(content) * 2 // 3, 97):
        content[place] ^= 0x5A
    path.write_bytes(content)
    found = score(path)
    errors = flagged = 0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        for packet in container.demux(video=0):
            try:
                flagged += sum(frame.is_corrupt for frame in packet.decode())
            except av.FFmpegError:
                errors += 1
    assert flagged > 0
    assert found.decode_errors == flagged + errors
    assert found.frames >= 40
    assert found.brightness == pytest.approx(whole.brightness, abs=0.1)
