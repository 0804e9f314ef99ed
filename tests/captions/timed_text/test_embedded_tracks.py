"""Subtitles inside of files that FFmpeg made, and what is none."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from curation.captions.timed_text import Cue, read_cues
from curation.captions.timed_text import embedded as module
from curation.captions.timed_text.embedded import EmbeddedTrack, embedded_tracks
from curation.media.video.facts import RefusedVideo, VideoRefusal

SRT = "1\n00:00:00,500 --> 00:00:01,500\n<i>Hello</i> & you\nthere\n\n2\n00:00:02,000 --> 00:00:02,900\n5 < 6 --> 7\n"
SAID = [Cue(500, 1500, "Hello & you\nthere"), Cue(2000, 2900, "5 < 6 --> 7")]

Maker = Callable[..., Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    folder = tmp_path_factory.mktemp("embedded")
    (folder / "a.srt").write_text(SRT)

    def make(name: str, codec: str, *more: str, tracks: int = 1) -> Path:
        path = folder / name
        video = ["-c:v", "libvpx" if name.endswith("webm") else "libx264", "-g", "10"]
        inputs = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=3", "-i", "a.srt"]
        command = [*inputs, "-map", "0:v", *["-map", "1:s"] * tracks, *video, "-c:s", codec, *more, name]
        done = subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *command],
            cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert not done.returncode, done.stderr
        return path

    return make


@pytest.mark.parametrize(
    ("name", "codec", "told"),
    [
        *(("a.mp4", "mov_text", "mov_text"), ("b.mkv", "subrip", "subrip"), ("c.mkv", "ass", "ass")),
        *(("d.webm", "webvtt", "webvtt"), ("e.mkv", "webvtt", "webvtt"), ("f.mp4", "ttml", "ttml")),
    ],
)
def test_text_of_every_kind(made: Maker, name: str, codec: str, told: str) -> None:
    path = made(name, codec, "-metadata:s:s:0", "language=ger", "-metadata:s:s:1", "language=und", tracks=2)
    one, two = embedded_tracks(path)
    assert (one.lang, one.codec, one.missing) == ("ger", told, "")
    assert two.lang is None
    assert one.text is not None
    assert one.text == two.text
    assert one.text.startswith("WEBVTT\n")
    said = [cue._replace(text=cue.text.replace("--> ", "")) for cue in read_cues(one.text)]
    assert said == [cue._replace(text=cue.text.replace("--> ", "")) for cue in SAID] or codec == "webvtt"
    assert [cue[:2] for cue in said] == [cue[:2] for cue in SAID]


def test_times_are_those_of_the_video(made: Maker) -> None:
    """A file whose clock begins at ten seconds."""
    path = made("late.mkv", "subrip", "-output_ts_offset", "10")
    (track,) = embedded_tracks(path)
    assert read_cues(track.text or "") == SAID


def test_pictures_of_text_are_told_as_missing(made: Maker) -> None:
    path = made("pictures.mkv", "subrip", "-metadata:s:s:0", "language=eng")
    path.write_bytes(path.read_bytes().replace(b"S_TEXT/UTF8", b"S_HDMV/PGS\0"))
    reason = "pictures of text, which are not read"
    assert embedded_tracks(path) == [EmbeddedTrack("eng", "hdmv_pgs_subtitle", None, reason)]


def test_an_unknown_kind_is_told_as_missing(made: Maker) -> None:
    path = made("unknown.mkv", "subrip")
    path.write_bytes(path.read_bytes().replace(b"S_TEXT/UTF8", b"S_TEXT/XYZ\0"))
    (track,) = embedded_tracks(path)
    assert track.text is None
    assert track.missing


def test_a_video_without_subtitles(made: Maker) -> None:
    assert embedded_tracks(made("bare.mp4", "mov_text", "-sn")) == []


def test_too_much_text_is_told_as_missing(made: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made("much.mkv", "subrip")
    monkeypatch.setattr(module, "MAX_BYTES", 300)
    (track,) = embedded_tracks(path)
    assert (track.text, track.missing) == (None, "more than 300 bytes of text in the file")


def test_time_is_limited(made: Maker) -> None:
    path = made("slow.mkv", "subrip")
    with pytest.raises(RefusedVideo) as caught:
        embedded_tracks(path, deadline=time.monotonic() - 1)
    assert caught.value.reason == VideoRefusal.TIMEOUT


_CUE = b"WEBVTT\n\n00:01.000 --> 00:02.000\na\n"


@pytest.mark.parametrize("data", [b"", b"\0" * 1000, _CUE, SRT.encode(), b"#EXTM3U\n"])
def test_what_is_no_video_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(RefusedVideo):
        embedded_tracks(tmp_path / "a.mp4")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises((RefusedVideo, OSError)):
        embedded_tracks(tmp_path / "none.mkv")


_KINDS = [("x.mp4", "mov_text"), ("x.mkv", "ass"), ("x.webm", "webvtt"), ("y.mp4", "ttml")]


@pytest.mark.parametrize(("name", "codec"), _KINDS)
def test_damaged_files_are_read_or_refused(made: Maker, tmp_path: Path, name: str, codec: str) -> None:
    data = made(name, codec).read_bytes()
    state = 1
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(8):
            state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
            broken[(state >> 33) % len(broken)] = state >> 20 & 255
        (tmp_path / name).write_bytes(broken[: len(broken) if state & 1 << 60 else (state >> 30) % len(broken)])
        try:
            for track in embedded_tracks(tmp_path / name, deadline=time.monotonic() + 10):
                assert track.text is None or read_cues(track.text) is not None
        except RefusedVideo:
            continue


def test_a_text_without_an_end_stays_to_the_next() -> None:
    packets = [(0, 0, b"a"), (1000, 0, b"b"), (9000, 500, b"c"), (9100, 0, b"d"), (9100, 0, b"e")]
    shown = list(module._shown(packets, module._subrip))
    assert [row[:2] for row in shown] == [(0, 1000), (1000, 6000), (9000, 9500), (9100, 14_100), (9100, 14_100)]


def test_webvtt_in_boxes() -> None:
    one, two = b"\0\0\0\x0epayl<b>a\xc3\xa4", b"\0\0\0\x0dpaylsaid!"
    packet = b"\0\0\0\x1evttc\0\0\0\x08sttg" + one + b"\0\0\0\x08vtte" + b"\0\0\0\x15vttc" + two
    assert module._webvtt(5, 9, packet) == [(5, 9, "<b>aä"), (5, 9, "said!")]
    assert module._webvtt(5, 9, b"\0\0\0\x08vtte") == []
    assert module._webvtt(5, 9, b"\0\0\0\0vttc\xff\xff\xff\xffpayl") == []
