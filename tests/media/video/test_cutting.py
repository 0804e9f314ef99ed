"""Clips hold exactly the frames asked for: read back from a counter that is drawn in every frame."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.media.video import cutting
from curation.media.video.cutting import CutClip, Span, cut
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.ffmpeg import FfmpegError, run
from curation.media.video.sources import Source
from curation.recipe.cutting import Cut
from curation.testing.videos import Film, Shot, Style, read_number, write_hls, write_video

FRAMES = 100
SHOTS = [Shot(40, "dog"), Shot(30, "cat"), Shot(30, "dog", "again")]
SIZE = (160, 90)
SPANS = [(0, 40), (40, 70), (70, 100), (13, 14), (99, 100), (55, 83)]
VARYING = [0, *accumulate([17, 33, 40, 100, 250, 20, 60][place * place % 7] for place in range(FRAMES - 1))]
STYLES = {
    "plain.mp4": Style(SIZE),
    "b_frames.mp4": Style(SIZE, b_frames=4, gop=30),
    "vfr.mp4": Style(SIZE, times_ms=VARYING),
    "vfr.webm": Style(SIZE, times_ms=VARYING),
    "late.mp4": Style(SIZE, times_ms=[5000 + 40 * place for place in range(FRAMES)]),
    "turned.mp4": Style((90, 160), rotation=90),
    "upside_down.mp4": Style(SIZE, rotation=180),
    "odd.mkv": Style((161, 91), pixel_format="yuv444p"),
    "odd.webm": Style((161, 91)),
    "no_sound.mp4": Style(SIZE, sound="none"),
    "ntsc.mov": Style(SIZE, fps=Fraction(30000, 1001)),
}
CONVERTED = {
    "shifted.ts": ["-c", "copy", "-output_ts_offset", "7.3"],
    "stored.flv": ["-c", "copy"],
    "fragments.mp4": ["-c", "copy", "-movflags", "frag_keyframe+empty_moov"],
    "packed.avi": ["-c:v", "mpeg4", "-bf", "2", "-q:v", "2", "-an"],
    "program.mpg": ["-c:v", "mpeg2video", "-q:v", "2", "-g", "20", "-bf", "2"],
    "hevc.mp4": ["-c:v", "libx265", "-x265-params", "log-level=none:keyint=20"],
    "av1.mp4": ["-c:v", "libaom-av1", "-cpu-used", "8", "-g", "20", "-an"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "20", "-an"],
    "wide_pixels.mp4": ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "10", "-vf", "setsar=2/1"],
}
KINDS = [*STYLES, *CONVERTED, "index.m3u8"]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    """One film in many forms. Written when first asked for."""
    return _Films(tmp_path_factory.mktemp("films"))


class _Films(dict[str, Film]):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Film:
        if name in STYLES:
            film = write_video(self.folder / name, SHOTS, STYLES[name])
        elif name == "index.m3u8":
            film = replace(self["b_frames.mp4"], path=write_hls(self["b_frames.mp4"], self.folder / "hls"))
        else:
            source = self["b_frames.mp4"]
            film = replace(source, path=self.folder / name)
            run(["-i", str(source.path), *CONVERTED[name], str(film.path)], 60)
        self[name] = film
        return film


def frames_of(path: Path) -> list[tuple[int, int | None]]:
    """(ms since the container's start, drawn number) of all frames, as shown."""
    with av.open(str(path)) as container:
        start = Fraction(container.start_time or 0, 1_000_000)
        frames = []
        for frame in container.decode(video=0):
            pixels = np.rot90(frame.to_ndarray(format="bgr24"), frame.rotation // 90)
            if frame.width == 2 * SIZE[0]:  # stretched; the counter's cells are squares
                pixels = pixels[:, ::2]
            frames.append((round(1000 * ((frame.pts or 0) * frame.time_base - start)), read_number(pixels)))
        return frames


def spans(film: Film, wanted: list[tuple[int, int]]) -> tuple[list[Span], list[tuple[int, int | None]]]:
    """What a reader of the file says of these frames, and of all."""
    frames = frames_of(film.path)
    times = [time for time, _ in frames]
    ends = [*times, times[-1] + film.end_ms - film.times_ms[-1]]
    return [Span(start, end, ends[start], ends[end]) for start, end in wanted], frames


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_accurate_clips_hold_exactly_the_frames_asked_for_at_their_times(
    films: dict[str, Film], kind: str, tmp_path: Path
) -> None:
    film = films[kind]
    asked, source = spans(film, SPANS)
    clips = cut(film.path, asked, Cut(), tmp_path)
    for span, clip in zip(asked, clips, strict=True):
        assert (clip.problem, clip.span, clip.frames) == (None, span, span.end_frame - span.start_frame)
        assert clip.path is not None
        expected = [(at - span.start_ms, number) for at, number in source[span.start_frame : span.end_frame]]
        found = frames_of(clip.path)
        assert [number for _, number in found] == [number for _, number in expected] != [None] * len(found)
        assert all(abs(at - other) <= 1 for (at, _), (other, _) in zip(found, expected, strict=True))
        assert (clip.start_ms, clip.end_ms) == (span.start_ms, span.end_ms)
        assert clip.duration_ms == span.end_ms - span.start_ms
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"{number:05d}.mp4" for number in range(len(SPANS))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_copies_hold_what_they_report_and_all_that_was_asked_for(
    films: dict[str, Film], kind: str, tmp_path: Path
) -> None:
    film = films[kind]
    asked, source = spans(film, SPANS)
    for span, clip in zip(asked, cut(film.path, asked, Cut(mode="copy"), tmp_path), strict=True):
        assert clip.problem is None and clip.path is not None
        assert clip.start_ms <= span.start_ms < span.end_ms <= clip.end_ms + 1  # the last end is rounded
        reported = [number for at, number in source if clip.start_ms <= at < clip.end_ms]
        assert [number for _, number in frames_of(clip.path)] == reported
        assert clip.frames == len(reported)


def test_copies_begin_at_the_last_key_frame_before(films: dict[str, Film], tmp_path: Path) -> None:
    film = films["b_frames.mp4"]  # a key frame every 30
    asked, _ = spans(film, [(29, 31), (30, 40), (61, 62)])
    found = cut(film.path, asked, Cut(mode="copy"), tmp_path)
    assert [clip.start_ms for clip in found] == [film.times_ms[place] for place in (0, 30, 60)]
    assert [clip.start_ms < clip.span.start_ms for clip in found] == [True, False, True]


@given(st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_spans_of_any_form_are_cut_exactly(films: dict[str, Film], tmp_path: Path, data: st.DataObject) -> None:
    film = films[data.draw(st.sampled_from(["vfr.mp4", "b_frames.mp4", "shifted.ts", "vfr.webm"]))]
    starts = st.integers(0, FRAMES - 1)
    span = starts.flatmap(lambda start: st.tuples(st.just(start), st.integers(start + 1, FRAMES)))
    wanted = data.draw(st.lists(span, min_size=1, max_size=4))
    asked, _ = spans(film, wanted)
    for (start, end), clip in zip(wanted, cut(film.path, asked, Cut(preset="ultrafast"), tmp_path), strict=True):
        assert clip.problem is None and clip.path is not None
        assert [number for _, number in frames_of(clip.path)] == list(range(start, end))


def test_the_same_clip_twice(films: dict[str, Film], tmp_path: Path) -> None:
    asked, _ = spans(films["plain.mp4"], [(3, 9)])
    found = cut(films["plain.mp4"].path, asked * 2, Cut(), tmp_path)
    assert found[0].problem is None and found[0].sha256 == found[1].sha256


def test_sizes_are_upright_square_and_even(films: dict[str, Film], tmp_path: Path) -> None:
    def size(kind: str, **options: int) -> tuple[int, int]:
        clip = cut(films[kind].path, spans(films[kind], [(0, 5)])[0], Cut(**options), tmp_path)[0]
        with av.open(str(clip.path)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == (clip.width, clip.height)
            assert stream.sample_aspect_ratio in (None, 1)
            assert next(container.decode(stream)).rotation == 0
        return clip.width, clip.height

    assert size("turned.mp4") == (90, 160)
    assert size("odd.mkv") == size("odd.webm") == (160, 90)
    assert size("wide_pixels.mp4") == (320, 90)
    assert size("plain.mp4", max_height=51) == (90, 50)
    assert size("plain.mp4", max_height=500) == (160, 90)


def _pictures(clip: CutClip) -> list[tuple[int | None, bytes]]:
    with av.open(str(clip.path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(video=0)]


@pytest.mark.slow
def test_the_same_clips_have_the_same_bytes(films: dict[str, Film], tmp_path: Path) -> None:
    film = films["b_frames.mp4"]
    asked, _ = spans(film, SPANS)
    for options in (Cut(), Cut(mode="copy"), Cut(codec="libx265")):
        clips = cut(film.path, asked, options, tmp_path / "clips")
        again = cut(film.path, asked[::-1], options, tmp_path / "again")[::-1]
        assert [clip.sha256 for clip in clips] == [clip.sha256 for clip in again]
        assert len({clip.sha256 for clip in clips}) == len(SPANS)
        alone = cut(film.path, [asked[1]], options, tmp_path / "alone")[0]
        assert _pictures(alone) == _pictures(clips[1])


def _click(folder: Path, film: Film) -> Path:
    """The film with a sound from 2.0 to 2.1 s alone."""
    path = folder / "click.mp4"
    sound = "aevalsrc='if(between(t,2,2.1),0.5*sin(2764*t),0)':s=48000:d=4"
    run(["-i", str(film.path), "-f", "lavfi", "-i", sound, "-map", "0:v", "-map", "1:a", "-c:v", "copy", str(path)], 60)
    return path


@pytest.mark.parametrize("mode", ["accurate", "copy"])
def test_sound_stays_beside_its_pictures(films: dict[str, Film], tmp_path: Path, mode: str) -> None:
    film = films["plain.mp4"]
    path = _click(tmp_path, film)
    asked, _ = spans(film, [(36, 60)])  # from 1.5 to 2.5 s
    clip = cut(path, asked, Cut.model_validate({"mode": mode}), tmp_path)[0]
    assert clip.has_audio and clip.path is not None
    with av.open(str(clip.path)) as container:
        heard = [(frame.time, np.abs(frame.to_ndarray()).max()) for frame in container.decode(audio=0)]
        first_picture = frames_of(clip.path)[0][0] / 1000
    times = [at for at, level in heard if level > 0.1]
    step, begin = 1024 / 48_000, 2.0 - clip.start_ms / 1000 + first_picture
    assert abs(times[0] - begin) <= step and abs(times[-1] + step - begin - 0.1) <= 2 * step
    assert abs(heard[-1][0] + step - clip.duration_ms / 1000) <= 2 * step


def test_sound_is_dropped_or_was_never_there(films: dict[str, Film], tmp_path: Path) -> None:
    for kind, options in (("plain.mp4", Cut(audio="drop")), ("no_sound.mp4", Cut())):
        clip = cut(films[kind].path, spans(films[kind], [(3, 9)])[0], options, tmp_path)[0]
        assert (clip.problem, clip.has_audio) == (None, False)


def test_one_bad_clip_harms_no_other(films: dict[str, Film], tmp_path: Path) -> None:
    film = films["plain.mp4"]
    good, other = spans(film, [(5, 25), (25, 50)])[0]
    bad = [
        Span(30, 31, 99_000, 99_100),  # after the end
        Span(30, 30, 1250, 1250),
        Span(30, 40, good.start_ms, good.end_ms),  # times of 20 frames, where 10 are asked for
        Span(-5, 10, 0, 400),
    ]
    found = cut(film.path, [bad[0], good, bad[1], bad[2], other, bad[3]], Cut(), tmp_path)
    assert [clip.problem is None for clip in found] == [False, True, False, False, True, False]
    assert _pictures(found[1]) == _pictures(cut(film.path, [good], Cut(), tmp_path / "alone")[0])
    problems = [clip.problem or "" for clip in found]
    assert "no frames from 99000 to 99100 ms" in problems[0] and "10 frames were asked for" in problems[3]
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["00001.mp4", "00004.mp4"]


def test_damage_in_the_middle_is_a_problem_of_the_clips_there(films: dict[str, Film], tmp_path: Path) -> None:
    film = films["plain.mp4"]
    path, data = tmp_path / "damaged.mp4", bytearray(film.path.read_bytes())
    with av.open(str(film.path)) as container:
        hit = [packet for packet in container.demux(video=0) if packet.size][50:60]
    for packet in hit:
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    asked, _ = spans(film, [(0, 24), (48, 72), (72, 100)])
    found = cut(path, asked, Cut(), tmp_path / "clips")
    assert [clip.problem is None for clip in found] == [True, False, True]
    assert "24 frames were asked for" in (found[1].problem or "")
    assert [number for _, number in frames_of(Path(str(found[2].path)))] == list(range(72, 100))


def test_time_limits(films: dict[str, Film], tmp_path: Path) -> None:
    film = films["plain.mp4"]
    asked, _ = spans(film, [(0, 40), (40, 70)])
    begin = time.monotonic()
    found = cut(film.path, asked, Cut(preset="veryslow", process_seconds=0.03), tmp_path)
    assert all("longer than" in (clip.problem or "") for clip in found)
    assert list(tmp_path.iterdir()) == []
    slow = spans(film, [(0, 100)] * 40)[0]
    found = cut(film.path, slow, Cut(preset="veryslow"), tmp_path, deadline=time.monotonic() + 1.5)
    assert "longer than" in (found[-1].problem or "") or "no time" in (found[-1].problem or "")
    with pytest.raises(RefusedVideo) as refused:
        cut(film.path, asked, Cut(), tmp_path, deadline=time.monotonic() - 1)
    assert refused.value.reason == VideoRefusal.TIMEOUT
    assert time.monotonic() - begin < 6


def test_a_killed_ffmpeg_says_its_last_words_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FfmpegError, match=r"longer than 0 s"):
        run(["-re", "-f", "lavfi", "-i", "color=s=16x16:d=60", "-f", "null", "-"], 0.2)
    with pytest.raises(FfmpegError, match="No such file"):
        run(["-i", str(tmp_path / "none.mp4"), str(tmp_path / "x.mp4")], 10)
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert not any("ffmpeg" in Path(f"/proc/{child}/cmdline").read_text() for child in children)


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def _until(done: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not done():
        if time.monotonic() > end:
            return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not end the children of who was killed")
def test_an_ffmpeg_dies_with_its_worker() -> None:
    endless = ["-re", "-f", "lavfi", "-i", "color", "-f", "null", "-"]
    code = f"from curation.media.video.ffmpeg import run; run({endless}, 60)"
    worker = subprocess.Popen([sys.executable, "-c", code])
    try:
        assert _until(lambda: bool(_children(worker.pid)))
        (child,) = _children(worker.pid)
        assert _until(lambda: b"ffmpeg" in Path(f"/proc/{child}/cmdline").read_bytes())
    finally:
        worker.kill()
        worker.wait()
    stat = Path(f"/proc/{child}/stat")
    assert _until(lambda: not stat.exists() or ") Z" in stat.read_text())


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.mp4"
    path.write_text("<html><title>404</title></html>")
    with pytest.raises(RefusedVideo):
        cut(path, [(0, 1, 0, 40)], Cut(), tmp_path)


def test_names_are_neither_options_nor_addresses(films: dict[str, Film], tmp_path: Path) -> None:
    folder = tmp_path / "-y http: %03d 'quoted' [0] ü"
    folder.mkdir()
    path = folder / "-i concat:a|b.mp4"
    path.write_bytes(films["plain.mp4"].path.read_bytes())
    for mode in ("accurate", "copy"):
        found = cut(path, spans(films["plain.mp4"], SPANS)[0], Cut.model_validate({"mode": mode}), folder / mode)
        assert [clip.problem for clip in found] == [None] * len(SPANS)


def test_a_wrong_clip_is_cut_again_from_further_back(
    films: dict[str, Film], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films["plain.mp4"]
    asked, _ = spans(film, [(60, 70)])
    usual, seeks = cutting.seek, []

    def late(source: Source, start_ms: int, back: int = 0) -> float | None:
        """As of a demuxer that lands after the clip's begin."""
        seeks.append(back)
        return 3100.0 if back == 0 else usual(source, start_ms, back)

    monkeypatch.setattr(cutting, "seek", late)
    clip = cut(film.path, asked, Cut(), tmp_path)[0]
    assert clip.problem is None and max(seeks) > 0
    assert [number for _, number in frames_of(Path(str(clip.path)))] == list(range(60, 70))


@pytest.mark.slow
def test_real_videos(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "media" / "videos"
    for name in ("mdn_cc0_flower.mp4", "mdn_cc0_flower.webm", "mdn_cc0_friday.mp4"):
        with av.open(str(folder / name)) as container:
            shown = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)][:60]
        with av.open(str(folder / name)) as container:
            times = [round(1000 * float(frame.time)) for frame in container.decode(video=0)]
        span = Span(31, 60, times[31], times[60])
        clip: CutClip = cut(folder / name, [span], Cut(preset="ultrafast"), tmp_path)[0]
        assert clip.problem is None
        with av.open(str(clip.path)) as container:
            found = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        for place, picture in enumerate(found):
            far = [np.abs(picture.astype(float) - shown[at]).mean() for at in (31 + place, 30 + place)]
            assert far[0] < 3 and (far[0] <= far[1] or far[1] < 1)
