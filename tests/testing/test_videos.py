"""The generated videos hold what they say: frames, numbers, times, shots."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from curation.testing.videos import Film, Shot, Style, read_number, write_hls, write_video

SHOTS = [Shot(20, "dog"), Shot(15, "cat", motion=0), Shot(12, "tree", fade_in=4, fade_out=4)]
UNEVEN = np.cumsum([0, *([17, 33, 40, 100] * 12)][:47]).tolist()
STYLES = {
    "plain.mp4": Style(),
    "uneven.mp4": Style(times_ms=UNEVEN),
    "ntsc.mov": Style(fps=Fraction(30_000, 1001), sound="none"),
    "odd.mkv": Style(size=(161, 91), pixel_format="yuv444p", b_frames=0),
    "turned.mp4": Style(rotation=90, sound="silence"),
    "over.mp4": Style(rotation=180),
    "vp8.webm": Style(),
    "deep.mp4": Style(pixel_format="yuv420p10le"),
}


def decoded(path: Path) -> list[tuple[int | None, int]]:
    """(number, time in ms) of every frame, upright."""
    found = []
    with av.open(str(path)) as container:
        start = Fraction(container.start_time or 0, 1_000_000)
        for frame in container.decode(video=0):
            pixels: Any = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
            found.append((read_number(pixels), round(1000 * (frame.pts * frame.time_base - start))))
    return found


@pytest.mark.parametrize("name", STYLES)
def test_every_frame_says_its_number_at_its_time(name: str, tmp_path: Path) -> None:
    film = write_video(tmp_path / name, SHOTS, STYLES[name])
    assert film.cuts == (20, 35)
    assert decoded(film.path) == list(enumerate(film.times_ms))
    assert film.end_ms > film.times_ms[-1]


def test_sound_lasts_as_long_as_the_pictures(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", SHOTS)
    with av.open(str(film.path)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(samples / 48 - film.end_ms) < 50


def test_a_playlist_holds_the_same_frames(tmp_path: Path) -> None:
    film: Film = write_video(tmp_path / "film.mp4", SHOTS)
    playlist = write_hls(film, tmp_path / "hls")
    assert len(list(playlist.parent.glob("*.ts"))) == 2
    assert [number for number, _ in decoded(playlist)] == list(range(film.frames))


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    first, second = (write_video(tmp_path / name, SHOTS).path.read_bytes() for name in ("a.mp4", "b.mp4"))
    assert first == second
