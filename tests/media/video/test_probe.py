"""A file is a video of known facts, or refused with the real reason; never anything else, and never for long."""

from __future__ import annotations

import struct
import time
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.media.video.facts import RefusedVideo, VideoFacts, VideoRefusal
from curation.media.video.ffmpeg import run
from curation.media.video.probe import probe
from curation.testing.videos import Shot, Style, write_hls, write_video

MAX = 1 << 24
SOURCE = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=2"]
SOUND = ["-f", "lavfi", "-i", "sine=d=2"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast"]
FILES: dict[str, list[str]] = {
    "plain.mp4": [*SOURCE, *SOUND, *H264, "-c:a", "aac"],
    "first.mp4": [*SOURCE, *H264, "-movflags", "faststart"],
    "fragments.mp4": [*SOURCE, *H264, "-movflags", "frag_keyframe+empty_moov", "-g", "5"],
    "plain.webm": [*SOURCE, "-c:v", "libvpx", "-b:v", "100k"],
    "plain.mkv": [*SOURCE, *H264],
    "live.mkv": [*SOURCE, *H264, "-live", "1", "-f", "matroska"],
    "plain.avi": [*SOURCE, "-c:v", "mpeg4"],
    "plain.ts": [*SOURCE, *H264, "-f", "mpegts"],
    "plain.flv": [*SOURCE, "-c:v", "flv"],
    "plain.mpg": [*SOURCE, "-c:v", "mpeg2video"],
    "plain.wmv": [*SOURCE, "-c:v", "wmv2"],
    "plain.ogv": [*SOURCE, "-c:v", "libtheora"],
    "hevc.mp4": [*SOURCE, "-c:v", "libx265", "-x265-params", "log-level=none"],
    "av1.mp4": [*SOURCE, "-c:v", "libaom-av1", "-cpu-used", "8"],
    "moving.gif": SOURCE,
    "moving.apng": [*SOURCE, "-f", "apng"],
    "moving.webp": [*SOURCE, "-c:v", "libwebp_anim"],
    "still.gif": [*SOURCE, "-frames:v", "1"],
    "still.png": [*SOURCE, "-frames:v", "1"],
    "still.webp": [*SOURCE, "-frames:v", "1"],
    "still.avif": [*SOURCE, "-frames:v", "1"],
    "sound.mp4": [*SOUND, "-c:a", "aac"],
    "sound.wav": SOUND,
    "encrypted.mp4": [
        *SOURCE, *H264, "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb",
        "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8",
    ],
    "wide_pixels.mp4": [*SOURCE, "-vf", "setsar=4/3", *H264],
}  # fmt: skip
VIDEOS = [name for name in FILES if name.split(".")[0] not in ("still", "sound", "encrypted") and name != "moving.webp"]


class _Files(dict[str, Path]):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Path:
        path = self.folder / name
        run([*FILES[name], "-shortest", str(path)], 60)
        self[name] = path
        return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _Files(tmp_path_factory.mktemp("files"))


def reason(path: Path, **options: int) -> tuple[VideoRefusal, str]:
    with pytest.raises(RefusedVideo) as refused:
        probe(path, **{"max_pixels": MAX, **options})
    return refused.value.reason, str(refused.value)


@pytest.mark.parametrize("name", VIDEOS)
def test_facts_of_all_containers(files: dict[str, Path], name: str) -> None:
    facts = probe(files[name], max_pixels=MAX)
    assert (facts.width, facts.height, facts.frames) == (85 if "wide" in name else 64, 48, 20)
    assert abs(facts.duration_ms - 2000) <= 1 and abs(facts.fps - 10) < 1e-6 and not facts.is_vfr
    assert facts.audio_codec == ("aac" if name == "plain.mp4" else None)
    assert facts.bit_rate is not None
    assert abs(facts.bit_rate - 4 * files[name].stat().st_size) <= 0.001 * facts.bit_rate


def test_codecs_by_their_names(files: dict[str, Path]) -> None:
    names = ("plain.mp4", "hevc.mp4", "av1.mp4", "plain.webm", "moving.gif")
    found = [probe(files[name], max_pixels=MAX) for name in names]
    assert [facts.video_codec for facts in found] == ["h264", "hevc", "av1", "vp8", "gif"]
    assert found[0].audio_rate == 44_100 and found[4].pixel_format == "bgra"


def test_what_is_drawn_is_what_is_told(tmp_path: Path) -> None:
    times = [0, *accumulate([20, 40, 40, 60, 100, 40])]
    shots, size = [Shot(7)], (160, 90)
    steady = probe(write_video(tmp_path / "a.mov", shots, Style(size, fps=Fraction(30000, 1001))).path, max_pixels=MAX)
    assert (steady.fps, steady.is_vfr, steady.duration_ms) == (30000 / 1001, False, 234)
    for suffix in ("mp4", "webm"):
        film = write_video(tmp_path / f"varying.{suffix}", shots, Style(size, times_ms=times, b_frames=0))
        facts = probe(film.path, max_pixels=MAX)
        assert (facts.is_vfr, facts.frames, facts.fps) == (True, 7, pytest.approx(6 / 0.3))
        assert facts.duration_ms >= times[-1] + 20
    for rotation in (90, 180, 270):
        upright = size[::-1] if rotation != 180 else size
        facts = probe(
            write_video(tmp_path / f"turned{rotation}.mp4", shots, Style(upright, rotation=rotation)).path,
            max_pixels=MAX,
        )
        stored = upright[::-1] if rotation != 180 else upright
        assert (facts.rotation, facts.width, facts.height) == (rotation, *upright)
        assert (facts.coded_width, facts.coded_height) == stored
    late = probe(write_video(tmp_path / "b.mp4", shots, Style(size, times_ms=[5000 + t for t in times])).path,
                 max_pixels=MAX)  # fmt: skip
    assert late.duration_ms >= 5300


def test_a_playlist_only_under_its_own_name(tmp_path: Path) -> None:
    film = write_video(tmp_path / "a.mp4", [Shot(48)], Style((160, 90)))
    playlist = write_hls(film, tmp_path / "hls")
    facts = probe(playlist, max_pixels=MAX)
    assert (facts.container, facts.frames) == ("hls", 48)
    disguised = playlist.with_name("film.mp4")
    disguised.write_bytes(playlist.read_bytes())
    assert reason(disguised) == (VideoRefusal.NOT_A_VIDEO, "a playlist, not a video")
    elsewhere = playlist.with_name("elsewhere.m3u8")
    elsewhere.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/000.ts\n#EXT-X-ENDLIST\n")
    assert reason(elsewhere)[0] in (VideoRefusal.CORRUPT, VideoRefusal.NOT_A_VIDEO)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html><head><title>\n 404  Not Found </title>", "an HTML page: 404 Not Found"),
        (b"\xef\xbb\xbf <HTML><body>gone</body>", "an HTML page: <HTML><body>gone</body>"),
        (b'{"error": "no such video"}', 'JSON: {"error": "no such video"}'),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "XML: <?xml version='1.0'?><Error><Code>Acc"),
        (b"Not found, sorry.\n", "text: Not found, sorry."),
        ("Nicht verfügbar".encode("utf-16"), "text: Nicht verfügbar"),
        (b"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'>", "a playlist"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"PK\x03\x04\x14\0", "a zip archive"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "text: ffconcat"),
        (b"\x01\x02\x03\x04" * 100, "no known video format begins with 01 02 03 04"),
        (b"<title " * 20_000, "an HTML page: <title <title"),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    found, detail = reason(path)
    assert found == VideoRefusal.NOT_A_VIDEO and detail.startswith(words) and "\n" not in detail


@pytest.mark.parametrize(
    ("name", "expected", "words"),
    [
        ("still.gif", VideoRefusal.NOT_A_VIDEO, "a picture: image/gif of one frame"),
        ("still.png", VideoRefusal.NOT_A_VIDEO, "a picture: image/png of one frame"),
        ("still.webp", VideoRefusal.NOT_A_VIDEO, "a picture: image/webp"),
        ("still.avif", VideoRefusal.NOT_A_VIDEO, "a picture: image/avif of one frame"),
        ("moving.webp", VideoRefusal.UNSUPPORTED, "an animated WebP"),
        ("sound.mp4", VideoRefusal.NOT_A_VIDEO, "no video in it, only sound ("),
        ("sound.wav", VideoRefusal.NOT_A_VIDEO, "no video in it, only sound ("),
        ("encrypted.mp4", VideoRefusal.UNSUPPORTED, "the video is encrypted"),
    ],
)
def test_other_media_are_named(files: dict[str, Path], name: str, expected: VideoRefusal, words: str) -> None:
    found, detail = reason(files[name])
    assert found == expected and detail.startswith(words)


def test_a_cover_is_no_video(files: dict[str, Path], tmp_path: Path) -> None:
    covered = ["-i", str(files["still.png"]), "-map", "0", "-map", "1", "-c:v", "png", "-disposition:v", "attached_pic"]
    for name in ("song.m4a", "song.mp3"):
        run([*SOUND, *covered, str(tmp_path / name)], 60)
        assert "only sound and a cover picture" in reason(tmp_path / name)[1]


def test_a_jpeg_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(cv2.imencode(".jpg", np.zeros((40, 40, 3), np.uint8))[1].tobytes())
    assert reason(path) == (VideoRefusal.NOT_A_VIDEO, "a picture: image/jpeg")


@pytest.mark.parametrize("name", ["plain.mp4", "first.mp4", "plain.webm", "plain.mkv", "plain.avi"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated(files: dict[str, Path], name: str, share: float, tmp_path: Path) -> None:
    data = files[name].read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(share * len(data))])
    found, detail = reason(path)
    assert found == VideoRefusal.TRUNCATED
    assert "announces" in detail or "no box moov" in detail


def test_fragments_and_live_recordings_cut_within_a_part(files: dict[str, Path], tmp_path: Path) -> None:
    data = files["fragments.mp4"].read_bytes()
    path = tmp_path / "fragments.mp4"
    path.write_bytes(data[: data.rfind(b"mdat") + 40])
    assert reason(path)[0] == VideoRefusal.TRUNCATED
    path.write_bytes(data[data.find(b"moof") - 4 :])
    assert reason(path) == (VideoRefusal.CORRUPT, "fragments without the header (moov) that they belong to")
    part = tmp_path / "plain.ts"
    part.write_bytes(files["plain.ts"].read_bytes()[:10_000])  # a broadcast ends anywhere
    assert 0 < (probe(part, max_pixels=MAX).frames or 0) < 20


def test_made_up_durations_are_not_believed(files: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(files["plain.mp4"].read_bytes())
    for box, place in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):  # version, flags, times, scale, duration
        at = data.find(box)
        scale = struct.unpack_from(">I", data, data.find(b"mvhd" if box == b"tkhd" else box) + 16)[0]
        struct.pack_into(">I", data, at + place, 36_000 * scale)
    path = tmp_path / "ten_hours.mp4"
    path.write_bytes(data)
    assert probe(path, max_pixels=MAX).duration_ms == 2000


def test_a_long_last_frame_is_not_believed(files: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(files["plain.mp4"].read_bytes())
    at = data.find(b"stts")
    count, frames, length = struct.unpack_from(">III", data, at + 8)
    assert (count, frames) == (1, 20)
    grown = struct.pack(">IIIII", 2, 19, length, 1, 36_000 * length * 10)
    data[at + 8 : at + 20] = grown
    for box in (b"stts", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        place = data.find(box) - 4
        struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] + 8)
    path = tmp_path / "stands.mp4"
    path.write_bytes(data)
    assert probe(path, max_pixels=MAX).duration_ms == pytest.approx(2000, abs=10)


def test_bombs_are_refused_before_they_are_decoded(files: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(files["moving.gif"].read_bytes())
    struct.pack_into("<HH", data, 6, 30_000, 30_000)
    path = tmp_path / "bomb.gif"
    path.write_bytes(data)
    begin = time.monotonic()
    assert reason(path)[0] in (VideoRefusal.TOO_MANY_PIXELS, VideoRefusal.CORRUPT)
    assert reason(files["plain.mp4"], max_pixels=64 * 48 - 1)[0] == VideoRefusal.TOO_MANY_PIXELS
    assert probe(files["plain.mp4"], max_pixels=64 * 48).width == 64
    assert time.monotonic() - begin < 2


def test_no_frames_and_no_decodable_ones(files: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    run([*SOURCE, *H264, "-frames:v", "0", "-movflags", "empty_moov", str(empty)], 30)
    assert reason(empty)[0] in (VideoRefusal.NO_FRAMES, VideoRefusal.NOT_A_VIDEO)
    data = bytearray(files["first.mp4"].read_bytes())
    begin = data.find(b"mdat") + 4
    data[begin:] = b"\xff" * (len(data) - begin)
    path = tmp_path / "noise.mp4"
    path.write_bytes(data)
    found, detail = reason(path)
    assert found == VideoRefusal.CORRUPT and "none of the first 20 packets decodes" in detail
    data = bytearray(files["plain.mp4"].read_bytes().replace(b"avc1", b"zzzz"))
    path.write_bytes(data)
    assert reason(path)[0] == VideoRefusal.UNSUPPORTED


def test_a_limit_of_time(files: dict[str, Path]) -> None:
    with pytest.raises(RefusedVideo) as refused:
        probe(files["plain.mp4"], max_pixels=MAX, deadline=time.monotonic() - 1)
    assert refused.value.reason == VideoRefusal.TIMEOUT


@given(st.data())
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_are_videos_or_refused_and_soon(
    files: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(files[data.draw(st.sampled_from([*VIDEOS, "moving.webp", "encrypted.mp4"]))].read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    reach = data.draw(st.sampled_from([64, 1500, 1 << 20]))
    for _ in range(data.draw(st.integers(0, 20)) if content else 0):
        content[data.draw(st.integers(0, min(reach, len(content)) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    begin = time.monotonic()
    try:
        assert isinstance(probe(path, max_pixels=MAX), VideoFacts)
    except RefusedVideo as refused:
        assert str(refused) and "\n" not in str(refused)
    assert time.monotonic() - begin < 3


def test_real_videos(real_data: Path) -> None:
    folder = real_data / "media" / "videos"
    found = {path.name: probe(path, max_pixels=MAX) for path in sorted(folder.glob("*.[mw]*"))}
    bunny = found["big_buck_bunny_480p_30s.mp4"]
    assert (bunny.width, bunny.height, bunny.fps, bunny.frames, bunny.duration_ms) == (854, 480, 24.0, 720, 30_000)
    assert (bunny.video_codec, bunny.audio_codec, bunny.is_vfr) == ("h264", "aac", False)
    assert found["mdn_cc0_flower.webm"].video_codec == "vp8"
    assert [facts.frames for facts in found.values()] == [720, 150, 150, 185]
