"""Single frames: exactly those that were asked for, whatever the file's times, codec and key frames are."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.picking import read_frames
from curation.testing.videos import Film, Shot, Style, read_number, write_hls, write_video

FRAMES = 300


def irregular() -> list[int]:
    steps = random.Random(7).choices([17, 33, 40, 210], k=FRAMES)
    return np.cumsum([0, *steps[:-1]]).tolist()


STYLES = {
    "b_frames.mp4": Style(gop=12, b_frames=3),
    "long_group.mp4": Style(gop=FRAMES, b_frames=3),
    "variable.mp4": Style(times_ms=irregular(), gop=30),
    "fraction.mkv": Style(fps=Fraction(30000, 1001), gop=15, size=(322, 182)),
    "plain.webm": Style(gop=50),
    "variable.webm": Style(times_ms=irregular(), gop=20, sound="none"),
    "turned.mp4": Style(rotation=90),
    "upside_down.mov": Style(rotation=180),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    folder = tmp_path_factory.mktemp("films")
    shots = [Shot(200, "dog", motion=0.5), Shot(FRAMES - 200, "cat")]
    return {name: write_video(folder / name, shots, style) for name, style in STYLES.items()}


def seen(path: Path, indexes: list[int], times: Sequence[int]) -> list[tuple[int, int | None]]:
    return [(at, None if pixels is None else read_number(pixels)) for at, pixels in read_frames(path, indexes, times)]


@pytest.mark.parametrize("name", STYLES)
def test_frames_are_those_with_these_numbers(films: dict[str, Film], name: str) -> None:
    film, rng = films[name], random.Random(3)
    for count in (1, 2, 5, 40):
        wanted = sorted(rng.sample(range(FRAMES), count))
        assert seen(film.path, wanted, film.times_ms) == [(at, at) for at in wanted]
    assert seen(film.path, [0, FRAMES - 1], film.times_ms) == [(0, 0), (FRAMES - 1, FRAMES - 1)]


def test_all_frames(films: dict[str, Film]) -> None:
    film = films["b_frames.mp4"]
    assert seen(film.path, list(range(FRAMES)), film.times_ms) == [(at, at) for at in range(FRAMES)]


def test_in_any_order_and_twice(films: dict[str, Film]) -> None:
    film = films["plain.webm"]
    assert seen(film.path, [200, 3, 200], film.times_ms) == [(3, 3), (200, 200)]


def test_segments_of_a_playlist(films: dict[str, Film], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MPEG-TS, whose clock does not start at 0; seeks work there too."""
    playlist = write_hls(films["b_frames.mp4"], tmp_path / "hls")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in sorted(playlist.parent.glob("*.ts"))))
    with av.open(str(joined)) as container:
        start = Fraction(container.start_time, av.time_base)
        times = [round(1000 * (frame.pts * frame.time_base - start)) for frame in container.decode(video=0)]
    assert seen(joined, [5, 100, 250, 299], times) == [(5, 5), (100, 100), (250, 250), (299, 299)]
    assert decoded(joined, [5, 250], times, monkeypatch) < 70


def test_open_groups(films: dict[str, Film], tmp_path: Path) -> None:
    """Frames that are stored after a key frame, shown before it, and need the group before."""
    film, path = films["b_frames.mp4"], tmp_path / "open.mp4"
    options = "open-gop=1:bframes=4:b-adapt=0:keyint=20:min-keyint=20:scenecut=0"
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(film.path), "-an", "-x264-params", options, str(path)]
    subprocess.run(command, check=True, timeout=60)
    for wanted in range(100, 141):
        assert seen(path, [0, wanted], film.times_ms) == [(0, 0), (wanted, wanted)]


def test_times_a_millisecond_off(films: dict[str, Film], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded the other way by whoever took them."""
    film = films["fraction.mkv"]
    for off in (-1, 1):
        times = [time + off for time in film.times_ms]
        assert seen(film.path, [0, 250], times) == [(0, 0), (250, 250)]
        assert decoded(film.path, [0, 250], times, monkeypatch) < 60


def test_a_time_that_is_not_the_files(films: dict[str, Film]) -> None:
    """One that was made up, because it repeated another: the frame is counted."""
    film = films["b_frames.mp4"]
    times = [time + 15 * (at == 200) for at, time in enumerate(film.times_ms)]
    assert seen(film.path, [0, 200, 290], times) == [(0, 0), (200, 200), (290, 290)]


def test_upright_and_of_the_size_asked_for(films: dict[str, Film]) -> None:
    for name in ("plain.webm", "turned.mp4", "upside_down.mov"):
        film = films[name]
        ((_, whole),) = read_frames(film.path, [7], film.times_ms)
        ((_, small),) = read_frames(film.path, [7], film.times_ms, size=(160, 80))
        assert whole is not None and small is not None
        assert (whole.shape, small.shape, small.dtype) == ((180, 320, 3), (80, 160, 3), np.uint8)


def test_far_frames_are_sought_and_near_ones_are_not(films: dict[str, Film], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of short groups few frames are decoded; of one long group none twice but for the first try."""
    short, long = films["b_frames.mp4"], films["long_group.mp4"]
    assert decoded(short.path, [0, 290], short.times_ms, monkeypatch) < 60
    assert decoded(long.path, list(range(0, FRAMES, 60)), long.times_ms, monkeypatch) <= FRAMES + 60
    assert decoded(long.path, [250, 253, 256], long.times_ms, monkeypatch) < FRAMES


def decoded(path: Path, indexes: list[int], times: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many frames that takes."""
    from curation.media.video import frames

    count, decode = 0, frames.FrameReader.decode

    def counting(self: frames.FrameReader, packet: av.Packet | None) -> list[av.VideoFrame]:
        nonlocal count
        found = decode(self, packet)
        count += len(found)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(frames.FrameReader, "decode", counting)
        assert len(list(read_frames(path, indexes, times))) == len(indexes)
    return count


def test_frames_whose_times_repeat_are_counted(films: dict[str, Film], tmp_path: Path) -> None:
    """Times that are no times: every frame at 0, or none at all; the reader of shots made its own of them."""
    film, path = films["b_frames.mp4"], tmp_path / "raw.h264"
    with av.open(str(film.path)) as source, av.open(str(path), "w", format="h264") as sink:
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                sink.mux(packet)
    assert seen(path, [3, 150, 290], list(range(FRAMES))) == [(3, 3), (150, 150), (290, 290)]


def test_what_is_cut_off_or_damaged_is_none(films: dict[str, Film], tmp_path: Path) -> None:
    film, path = films["fraction.mkv"], tmp_path / "short.mkv"
    data = film.path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    found = dict(seen(path, [0, 50, 100, 299], film.times_ms))
    assert found == {0: 0, 50: 50, 100: 100, 299: None}
    middle = len(data) // 2
    path.write_bytes(data[:middle] + bytes(20_000) + data[middle + 20_000 :])
    damaged = seen(path, list(range(FRAMES)), film.times_ms)
    assert [at for at, _ in damaged] == list(range(FRAMES))
    assert {at for at, number in damaged if number == at} >= {*range(100), *range(270, FRAMES)}


def test_bad_requests_and_files(films: dict[str, Film], tmp_path: Path) -> None:
    film = films["b_frames.mp4"]
    assert list(read_frames(film.path, [], film.times_ms)) == []
    for wrong in (-1, FRAMES):
        with pytest.raises(IndexError):
            list(read_frames(film.path, [0, wrong], film.times_ms))
    page = tmp_path / "page.mp4"
    page.write_bytes(b"<html>404 not found</html>" * 50)
    with pytest.raises(RefusedVideo):
        list(read_frames(page, [0], [0]))
    with pytest.raises((RefusedVideo, OSError)):
        list(read_frames(tmp_path / "none.mp4", [0], [0]))


def test_a_deadline_ends_it(films: dict[str, Film]) -> None:
    film = films["long_group.mp4"]
    with pytest.raises(RefusedVideo) as refused:
        list(read_frames(film.path, [FRAMES - 1], film.times_ms, deadline=time.monotonic() - 1))
    assert refused.value.reason is VideoRefusal.TIMEOUT


def test_frames_come_as_they_are_read(films: dict[str, Film]) -> None:
    film = films["plain.webm"]
    ((index, pixels),) = islice(read_frames(film.path, range(FRAMES), film.times_ms), 1)
    assert (index, pixels is not None) == (0, True)
