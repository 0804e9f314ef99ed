"""Files whose times say little, or nothing true: frame i of the shots is frame i of the clips, or a file is refused."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.media.video.cuts import detect_shots
from curation.media.video.cutting import CutClip, Span, cut
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.ffmpeg import run
from curation.media.video.frames import Clock, spread
from curation.media.video.picking import read_frames
from curation.media.video.probe import probe
from curation.recipe.cutting import Cut
from curation.recipe.scenes import Scenes
from curation.testing.videos import Film, Shot, Style, read_number, write_hls, write_video

FRAMES = 96
FAST = Cut(preset="ultrafast", crf=12)
COPY = Cut(mode="copy")
THRICE = "setts=pts='floor(N/3)*3/24/TB':dts='floor(N/3)*3/24/TB'"
ODD: dict[str, list[str]] = {
    "places.avi": ["-c", "copy"],  # H.264 with B-frames, in a container that tells no times
    "gap.avi": ["-vf", "select='not(between(n,30,50))'", "-fps_mode", "passthrough", "-c:v", "libx264", "-bf", "2"],
    "raw.h264": ["-an", "-c", "copy"],
    "raw.m2v": ["-an", "-c:v", "mpeg2video", "-q:v", "2", "-bf", "2"],
    "negative.mkv": ["-c", "copy", "-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled"],
    "equal.mkv": ["-an", "-c:v", "libx264", "-bf", "0", "-g", "24", "-bsf:v", THRICE],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clocks")


@pytest.fixture(scope="module")
def film(folder: Path) -> Film:
    return write_video(folder / "film.mp4", [Shot(50, "dog"), Shot(46, "cat")], Style((160, 90)))


def odd(film: Film, name: str) -> Path:
    path = film.path.with_name(name)
    if not path.exists():
        run(["-i", str(film.path), *ODD[name], str(path)], 60)
    return path


def numbers(path: Path | None) -> list[int | None]:
    with av.open(str(path)) as container:
        found = []
        for packet in container.demux(video=0):
            with suppress(av.InvalidDataError):
                found += [
                    read_number(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)) for frame in packet.decode()
                ]
        return found


def pieces(path: Path, length: int, settings: Scenes | None = None) -> list[Span]:
    """All frames in spans of `length`, as a reader of the shots asks for them."""
    shots = detect_shots(path, settings or Scenes())
    times = [*shots.times_ms.tolist(), shots.end_ms]
    bounds = [*range(0, len(times) - 1, length), len(times) - 1]
    return [Span(a, b, times[a], times[b]) for a, b in pairwise(bounds)]


def refusal(call: Any) -> VideoRefusal:
    with pytest.raises(RefusedVideo) as refused:
        call()
    return refused.value.reason


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.slow
def test_frame_i_of_the_shots_is_frame_i_of_the_clips(film: Film, name: str, guided: bool, tmp_path: Path) -> None:
    path = odd(film, name)
    shown = numbers(path)
    assert shown == ([*range(30), *range(51, FRAMES)] if name == "gap.avi" else list(range(FRAMES)))
    asked = pieces(path, 10, Scenes(key_frame_guided=guided))
    assert asked[-1].end_frame == len(shown)
    for span, clip in zip(asked, cut(path, asked, FAST, tmp_path), strict=True):
        assert (clip.problem, clip.frames) == (None, span.end_frame - span.start_frame)
        assert numbers(clip.path) == shown[span.start_frame : span.end_frame]


@pytest.mark.parametrize("name", ODD)
def test_copies_of_them_are_not_made(film: Film, name: str, tmp_path: Path) -> None:
    path = odd(film, name)
    for clip in cut(path, pieces(path, 12), COPY, tmp_path):
        assert "cannot be copied" in (clip.problem or "")


@pytest.mark.parametrize("name", ["places.avi", "raw.h264", "negative.mkv"])
def test_times_of_counted_frames_are_those_of_the_film(film: Film, name: str) -> None:
    shots = detect_shots(odd(film, name), Scenes())
    assert shots.cuts == list(film.cuts)
    begin = 42 if name.endswith(".avi") else 0  # as FFmpeg believes, of the first packet
    assert np.abs(shots.times_ms - begin - np.array(film.times_ms)).max() <= 1
    assert abs(shots.end_ms - begin - film.end_ms) <= 1
    facts = probe(odd(film, name), max_pixels=1 << 24)
    assert (facts.frames, facts.is_vfr) == (FRAMES, False) and abs(facts.duration_ms - shots.end_ms) <= 1


@pytest.mark.parametrize("name", ODD)
def test_frames_picked_by_number_are_those(film: Film, name: str) -> None:
    path, wanted = odd(film, name), [1, 2, 20, 74]
    shown, times = numbers(path), detect_shots(path, Scenes()).times_ms
    picked = dict(read_frames(path, wanted, times))
    assert [read_number(pixels) for pixels in picked.values() if pixels is not None] == [shown[at] for at in wanted]


def test_damage_moves_no_frame_into_another_clip(film: Film, tmp_path: Path) -> None:
    path, data = tmp_path / "damaged.avi", bytearray(odd(film, "places.avi").read_bytes())
    with av.open(str(odd(film, "places.avi"))) as container:
        hit = [packet for packet in container.demux(video=0) if packet.size][30]
    assert hit.pos is not None
    data[hit.pos + 8 : hit.pos + 8 + hit.size] = bytes(hit.size)
    path.write_bytes(data)
    shown, asked = numbers(path), pieces(path, 12)
    assert len(shown) < FRAMES
    for span, clip in zip(asked, cut(path, asked, FAST, tmp_path / "clips"), strict=True):
        expected = shown[span.start_frame : span.end_frame]
        assert clip.problem is not None or None in expected or numbers(clip.path) == expected


def joined(film: Film, folder: Path, offset: float) -> Path:
    """The film twice; the second one begins at `offset` seconds."""
    parts = []
    for number in (0, 1):
        parts.append(folder / f"{number}-{offset}.ts")
        times = ["-muxdelay", "0", "-muxpreload", "0", "-output_ts_offset", str(number * offset)]
        run(["-i", str(film.path), "-an", "-c", "copy", *times, str(parts[-1])], 60)
    path = folder / f"joined{offset}.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def discontinued(film: Film, folder: Path) -> Path:
    playlist = write_hls(film, folder)
    lines = playlist.read_text().splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("#EXTINF"))
    entries = [line for line in lines[begin:] if line != "#EXT-X-ENDLIST"]
    again = [*lines[:begin], *entries, "#EXT-X-DISCONTINUITY", *entries, "#EXT-X-ENDLIST"]
    playlist.write_text("\n".join(again) + "\n")
    return playlist


@pytest.mark.parametrize("kind", ["joined", "back a little", "hls"])
def test_a_clock_that_begins_anew_is_refused_by_all(film: Film, kind: str, tmp_path: Path) -> None:
    path = discontinued(film, tmp_path / "hls") if kind == "hls" else joined(film, tmp_path, 3.5 * (kind != "joined"))
    for call in (
        lambda: probe(path, max_pixels=1 << 24),
        lambda: detect_shots(path, Scenes()),
        lambda: detect_shots(path, Scenes(key_frame_guided=True)),
        lambda: cut(path, [Span(0, 24, 0, 1000)], COPY, tmp_path),
    ):
        assert refusal(call) == VideoRefusal.CLOCK


def test_a_seam_that_overlaps_by_frames_is_not_refused(film: Film, tmp_path: Path) -> None:
    path = joined(film, tmp_path, 4.0 - 2 / 24)
    assert probe(path, max_pixels=1 << 24).frames == 2 * FRAMES
    shown = numbers(path)
    assert shown == [*range(FRAMES), *range(FRAMES)]
    found = 0
    for span, clip in zip(asked := pieces(path, 24), cut(path, asked, FAST, tmp_path / "clips"), strict=True):
        if clip.problem is None:
            found += 1
            assert numbers(clip.path) == shown[span.start_frame : span.end_frame]
    assert found >= len(asked) - 2


def test_frames_out_of_their_order_are_refused(film: Film, tmp_path: Path) -> None:
    path = tmp_path / "swapped.mkv"
    swapped = "setts=pts='if(mod(N,2),PTS,PTS+4/24/TB)':dts=DTS"
    run(["-i", str(film.path), "-an", "-c:v", "libx264", "-bf", "0", "-bsf:v", swapped, str(path)], 60)
    assert refusal(lambda: detect_shots(path, Scenes())) == VideoRefusal.CLOCK


def clock(frames: list[tuple[int, bool]]) -> Clock:
    container: Any = SimpleNamespace(format=SimpleNamespace(name="mpegts"), start_time=0)
    codec = SimpleNamespace(has_b_frames=True, name="h264")
    stream: Any = SimpleNamespace(time_base=Fraction(1, 1000), codec_context=codec, average_rate=25, base_rate=25)
    found = Clock(container, stream)
    for pts, is_key in frames:
        packet: Any = SimpleNamespace(pts=pts, dts=pts, duration=40, is_keyframe=is_key)
        found.add(packet)
    return found


@given(st.lists(st.tuples(st.integers(-120, 120), st.booleans()), max_size=60))
def test_jitter_is_no_new_clock(jitter: list[tuple[int, bool]]) -> None:
    assert not clock([(40 * at + off, is_key) for at, (off, is_key) in enumerate(jitter)]).is_counted


@given(st.integers(8, 500), st.integers(7, 500), st.integers(0, 5))
def test_a_key_frame_far_back_is_a_new_clock(frames: int, back: int, late: int) -> None:
    first = [(40 * at, at % 5 == 0) for at in range(frames)]
    begin = 40 * (frames - 1 - back)
    second = [(begin + 40 * at, at == late) for at in range(back + 5)]
    assert late * 40 >= back * 40 - 250 or refusal(lambda: clock(first + second)) == VideoRefusal.CLOCK


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1), st.sampled_from([24, 600, 1000, 90_000]))
def test_spread_times_are_a_millisecond_apart_and_no_later_than_need_be(times: list[int], rate: int) -> None:
    told = np.sort(np.array(times, np.int64))
    found, step = spread(told, Fraction(1, rate)), -(-rate // 1000)
    expected = [int(told[0])]
    for at in told[1:].tolist():
        expected.append(max(at, expected[-1] + step))
    assert found.tolist() == expected


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Processes that cutting started."""
    started: list[Any] = []

    def noted(arguments: list[str], seconds: float) -> None:
        started.append(arguments)
        run(arguments, seconds)

    monkeypatch.setattr("curation.media.video.cutting.run", noted)
    return started


def _heard(film: Film, folder: Path, name: str, begin: float, end: float) -> Path:
    path = folder / name
    sound = ["-itsoffset", str(begin), "-f", "lavfi", "-i", f"sine=d={end - begin}", "-map", "0:v", "-map", "1:a"]
    codecs = (
        ["-c:v", "copy"] if path.suffix == ".mp4" else ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"]
    )
    run(["-i", str(film.path), *sound, *codecs, str(path)], 60)
    return path


@pytest.mark.parametrize("name", ["film.mp4", "film.webm"])
@pytest.mark.parametrize(("begin", "end"), [(0.0, 1.3), (2.3, 4.0), (1.2, 1.8)])
@pytest.mark.slow
def test_clips_beside_the_sound_have_none(
    film: Film, tmp_path: Path, runs: list[Any], name: str, begin: float, end: float
) -> None:
    path = _heard(film, tmp_path, name, begin, end)
    asked = pieces(path, 12)
    clips = cut(path, asked, FAST, tmp_path / "clips")
    assert [clip.problem for clip in clips] == [None] * len(asked) and len(runs) == len(asked) / 4
    is_heard = [span.start_ms < 1000 * end and span.end_ms > 1000 * begin for span in asked]
    assert [clip.has_audio for clip in clips] == is_heard
    assert [numbers(clip.path) for clip in clips][1] == list(range(12, 24))


def test_sound_that_cannot_be_encoded_is_left_out(film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _heard(film, tmp_path, "film.mp4", 0, 1)
    monkeypatch.setattr("curation.media.video.sources.Source.has_sound", lambda *_: True)
    clips: list[CutClip] = cut(path, pieces(path, 24), FAST, tmp_path / "clips")
    assert [(clip.problem, clip.has_audio) for clip in clips] == [(None, True), *[(None, False)] * 3]


def test_sound_of_sixteen_channels_is_left_out(film: Film, tmp_path: Path, runs: list[Any]) -> None:
    path = tmp_path / "film.mov"
    sound = ["-f", "lavfi", "-i", "anullsrc=r=48000:cl=hexadecagonal:d=4", "-map", "0:v", "-map", "1:a"]
    run(["-i", str(film.path), *sound, "-c:v", "copy", "-c:a", "pcm_s16le", str(path)], 60)
    clip = cut(path, pieces(path, 24)[:1], FAST, tmp_path / "clips")[0]
    assert (clip.problem, clip.has_audio, len(runs)) == (None, False, 1)


def test_a_video_of_one_pixel(tmp_path: Path) -> None:
    path = tmp_path / "pixel.mkv"
    run(["-f", "lavfi", "-i", "color=s=2x2:d=1", "-vf", "format=gray,crop=1:1", "-c:v", "ffv1", str(path)], 60)
    clip = cut(path, pieces(path, 10)[:1], FAST, tmp_path / "clips")[0]
    assert (clip.problem, clip.width, clip.height, clip.frames) == (None, 2, 2, 10)


def test_copies_hold_no_more_than_was_asked_for(film: Film, tmp_path: Path) -> None:
    times = film.times_ms
    clips = cut(film.path, [Span(0, 12, times[0], times[24]), Span(0, 30, times[0], times[24])], COPY, tmp_path)
    assert [clip.problem for clip in clips] == [
        f"{asked} frames were asked for, the video has 24 at those times" for asked in (12, 30)
    ]


def test_what_ffmpeg_said_is_the_same_in_every_run(film: Film, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    run(["-i", str(film.path), "-an", "-c:v", "apng", "-vf", "scale=16:16", "-f", "apng", str(path)], 60)
    spans, said = pieces(path, 24)[:1], set()
    for number in range(3):
        said.add(cut(path, spans, COPY, tmp_path / str(number))[0].problem)
    assert len(said) == 1 and "apng" in (words := str(said.pop())) and "0x" not in words and str(tmp_path) not in words
