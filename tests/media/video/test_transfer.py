"""One video from its address to its file: continued rather than repeated, in the right form, with what is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from curation.media.outcomes import ErrorClass, FetchRequest
from curation.media.video.downloads import fetch_videos
from curation.media.video.facts import VideoRefusal
from curation.media.video.ffmpeg import run
from curation.media.video.info import VideoInfo
from curation.media.video.transfer import VideoOutcome, VideoRules
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings
from curation.testing.video_server import VideoServer, made_up_video, playlist, variants
from curation.testing.videos import Shot, Style, write_video

_HOST, _OTHER = "a.test", "b.test"
_SEGMENTS = {f"/hls/{number}.ts": bytes([65 + number]) * 5000 for number in range(6)}
_WHOLE = b"".join(_SEGMENTS.values())
_NAMES = [name.rpartition("/")[2] for name in _SEGMENTS]


@pytest.fixture
def server() -> Iterator[VideoServer]:
    with VideoServer([_HOST, _OTHER], _SEGMENTS) as running:
        yield running


def _rules(server: VideoServer, folder: Path, network: dict[str, object] | None = None, **video: object) -> VideoRules:
    quick = {"hosts": server.addresses, "allowed_networks": ["127.0.0.0/8"], "read_timeout_s": 0.6, "backoff_s": 0.05}
    settings = FetchSettings(**{**quick, **(network or {})})
    return VideoRules(settings, VideoSettings(**{"total_timeout_s": 20.0, **video}), folder)


def _fetch(url: str, rules: VideoRules) -> VideoOutcome:
    outcomes: list[VideoOutcome] = []
    fetch_videos([FetchRequest("v", url)], rules, on_done=outcomes.append, deadline_s=30)
    (outcome,) = outcomes
    return outcome


def _bytes(outcome: VideoOutcome) -> bytes:
    assert outcome.path is not None, (outcome.error, outcome.detail)
    return outcome.path.read_bytes()


def _ranges(server: VideoServer) -> list[str | None]:
    """The Range of each request."""
    lines = [entry.headers.lower().split("\r\n") for entry in server.log]
    return [next((line.partition(": ")[2] for line in found if line.startswith("range: ")), None) for found in lines]


# ------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("kind", "ranges"),
    [
        ("file", [None]),
        ("half", [None, "bytes=100000-"]),
        ("steps", [None, "bytes=66666-", "bytes=133332-", "bytes=199998-"]),
        ("changed", [None, "bytes=100000-"]),  # If-Range: it is sent whole
        ("liar", [None, "bytes=100000-", None]),
        ("short", [None, "bytes=100000-", None]),
    ],
)
def test_a_file_is_continued_if_it_is_still_the_same(
    server: VideoServer, tmp_path: Path, kind: str, ranges: list[str | None]
) -> None:
    outcome = _fetch(server.url(_HOST, f"/{kind}/1.mp4"), _rules(server, tmp_path, {"attempts": 4}))
    assert _bytes(outcome) == made_up_video(_HOST, "/1.mp4")
    assert _ranges(server) == ranges
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


@pytest.mark.parametrize(("kind", "left"), [("file", ["v.mp4"]), ("missing", []), ("endless", [])])
def test_what_is_finished_or_refused_for_good_leaves_no_parts(
    server: VideoServer, tmp_path: Path, kind: str, left: list[str]
) -> None:
    for name in ("v.webm.part", "v.mp4.part", "v.mp4.json", "v.0.mp4", "v.1.m4a.part-Frag3.part"):
        (tmp_path / name).write_bytes(b"of an earlier attempt")
    (tmp_path / "w.mp4.part").write_bytes(b"of another")
    outcome = _fetch(server.url(_HOST, f"/{kind}/1.mp4"), _rules(server, tmp_path, max_bytes=1 << 20))
    assert not outcome.transient
    assert sorted(path.name for path in tmp_path.iterdir()) == [*left, "w.mp4.part"]


def test_what_does_not_prove_that_it_is_the_same_is_not_continued(server: VideoServer, tmp_path: Path) -> None:
    url = server.url(_HOST, "/unproven/1.mp4")
    (tmp_path / "v.mp4.part").write_bytes(b"something else")
    (tmp_path / "v.mp4.json").write_text(json.dumps({"url": "http://a.test/", "validator": '"1"'}))
    assert _bytes(_fetch(url, _rules(server, tmp_path))) == made_up_video(_HOST, "/1.mp4")
    (tmp_path / "v.mp4.part").write_bytes(b"something else")
    assert _bytes(_fetch(url, _rules(server, tmp_path))) == made_up_video(_HOST, "/1.mp4")
    assert _ranges(server) == [None, None]
    for memo in ("", "{", "[]", '{"url": 1}'):
        (tmp_path / "v.mp4.part").write_bytes(b"something else")
        (tmp_path / "v.mp4.json").write_text(memo)
        assert _bytes(_fetch(url, _rules(server, tmp_path))) == made_up_video(_HOST, "/1.mp4")


_CHILD = """
import sys
from pathlib import Path
from curation.media.outcomes import FetchRequest
from curation.media.video.downloads import fetch_videos
from curation.media.video.transfer import VideoRules
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings
settings = FetchSettings(hosts={"a.test": ["127.0.0.1"]}, allowed_networks=["127.0.0.0/8"])
rules = VideoRules(settings, VideoSettings(), Path(sys.argv[2]))
fetch_videos([FetchRequest("v", sys.argv[1])], rules, on_done=print, deadline_s=30)
"""


def _killed(url: str, folder: Path, when: str) -> None:
    """Fetches in another process, which is killed when a file is there that the pattern names."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, url, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 30
    while not any(path.stat().st_size for path in folder.glob(when)) and time.monotonic() < limit:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait(10)


def test_a_killed_transfer_of_a_file_is_continued(server: VideoServer, tmp_path: Path) -> None:
    url = server.url(_HOST, "/paced/1.mp4")
    _killed(url, tmp_path, "v.mp4.part")
    size = (tmp_path / "v.mp4.part").stat().st_size
    assert 0 < size < 200_000
    assert _bytes(_fetch(url, _rules(server, tmp_path))) == made_up_video(_HOST, "/1.mp4")
    assert _ranges(server) == [None, f"bytes={size}-"]


@pytest.mark.slow
def test_a_killed_transfer_of_segments_is_continued(server: VideoServer, tmp_path: Path) -> None:
    names = [f"/paced/{number}.ts" for number in range(4)]
    server.files["/film/index.m3u8"] = playlist(names)
    url = server.url(_HOST, "/film/index.m3u8")
    _killed(url, tmp_path, "v.mp4.part-Frag2.part")
    before = Counter(server.paths)
    assert _bytes(_fetch(url, _rules(server, tmp_path))) == b"".join(made_up_video(_HOST, name) for name in names)
    after = Counter(server.paths) - before
    assert after[names[0]] == 0 and after[names[3]] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_a_segment_that_was_written_but_not_noted_is_not_there_twice(server: VideoServer, tmp_path: Path) -> None:
    server.files["/hls/index.m3u8"] = playlist(["0.ts", "1.ts", "/flaky/2.ts", "3.ts"])
    url, once = server.url(_HOST, "/hls/index.m3u8"), _rules(server, tmp_path, {"attempts": 1})
    assert _fetch(url, once).transient
    part = tmp_path / "v.mp4.part"
    assert part.stat().st_size == 10_000
    with part.open("ab") as file:  # as if it were killed before it could note the third
        file.write(b"z" * 777)
    assert _fetch(url, once).transient
    wanted = _SEGMENTS["/hls/0.ts"] + _SEGMENTS["/hls/1.ts"] + made_up_video(_HOST, "/2.ts") + _SEGMENTS["/hls/3.ts"]
    assert _bytes(_fetch(url, once)) == wanted
    assert Counter(server.paths)["/hls/1.ts"] == 1


def test_segments_of_another_playlist_are_not_continued(server: VideoServer, tmp_path: Path) -> None:
    server.files["/hls/index.m3u8"] = playlist(["0.ts", "1.ts", "/error/2.ts"])
    url, once = server.url(_HOST, "/hls/index.m3u8"), _rules(server, tmp_path, {"attempts": 1})
    assert _fetch(url, once).transient
    server.files["/hls/index.m3u8"] = playlist(["5.ts", "4.ts", "3.ts"])
    assert _bytes(_fetch(url, once)) == b"".join(_SEGMENTS[f"/hls/{number}.ts"] for number in (5, 4, 3))


# ------------------------------------------------------------------------------------------- segments


def test_segments_come_in_order_and_nothing_is_asked_for_twice(server: VideoServer, tmp_path: Path) -> None:
    server.files["/hls/index.m3u8"] = playlist(_NAMES)
    outcome = _fetch(server.url(_HOST, "/hls/index.m3u8"), _rules(server, tmp_path))
    assert _bytes(outcome) == _WHOLE
    assert server.paths == ["/hls/index.m3u8", *_SEGMENTS]
    assert outcome.final_url == server.url(_HOST, "/hls/index.m3u8")


@pytest.mark.parametrize(("height", "taken"), [(480, "/hls/b.m3u8"), (720, "/hls/c.m3u8"), (100, "/hls/a.m3u8")])
def test_the_best_variant_within_the_height_is_taken(
    server: VideoServer, tmp_path: Path, height: int, taken: str
) -> None:
    server.files["/hls/all.m3u8"] = variants({240: "a.m3u8", 480: "b.m3u8", 720: "c.m3u8", 1080: "d.m3u8"})
    for place, name in enumerate("abcd"):
        server.files[f"/hls/{name}.m3u8"] = playlist([_NAMES[place]])
    outcome = _fetch(server.url(_HOST, "/hls/all.m3u8"), _rules(server, tmp_path, max_height=height))
    assert _bytes(outcome) == _SEGMENTS[f"/hls/{'abcd'.index(taken[5])}.ts"]
    assert outcome.final_url == server.url(_HOST, taken)
    assert max(Counter(server.paths).values()) == 1


@pytest.mark.parametrize(
    ("segment", "error", "words"),
    [
        ("/missing/2.ts", ErrorClass.HTTP_4XX, "segment 3 of 4: HTTP status 404"),
        ("/error/2.ts", ErrorClass.HTTP_5XX, "segment 3 of 4: HTTP status 500"),
        ("/truncated/2.ts", ErrorClass.TRUNCATED, "segment 3 of 4: "),
        ("/stall/2.ts", ErrorClass.TIMEOUT, "segment 3 of 4: "),
        ("/endless/2.ts", ErrorClass.TOO_LARGE, "segment 3 of 4: "),
        ("/robots/2.ts", ErrorClass.ROBOTS, "segment 3 of 4: noai"),
        ("/empty/2.ts", ErrorClass.BAD_RESPONSE, "segment 3 of 4: "),
        ("/private/2.ts", ErrorClass.REFUSED_ADDRESS, "segment 3 of 4: "),
    ],
)
@pytest.mark.slow
def test_a_lost_segment_is_an_error_with_its_number(
    server: VideoServer, tmp_path: Path, segment: str, error: ErrorClass, words: str
) -> None:
    server.files["/hls/index.m3u8"] = playlist(["0.ts", "1.ts", segment, "3.ts"])
    rules = _rules(server, tmp_path, {"attempts": 2}, max_bytes=1 << 20)
    outcome = _fetch(server.url(_HOST, "/hls/index.m3u8"), rules)
    assert (outcome.error, outcome.path) == (error, None)
    assert outcome.detail.startswith(words)
    asked = Counter(server.paths)
    assert asked[segment] == (2 if outcome.transient else 1)
    assert (asked["/hls/0.ts"], asked["/hls/3.ts"]) == (1, 0)  # what was there is not asked for again
    assert bool(list(tmp_path.iterdir())) == outcome.transient


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (playlist(_NAMES, end=False), VideoRefusal.LIVE),
        (playlist(_NAMES, seconds=40_000.0), VideoRefusal.TOO_LONG),
        (playlist([]), VideoRefusal.NOT_A_VIDEO),
        (playlist(_NAMES, more='#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x"'), VideoRefusal.UNSUPPORTED),
        (playlist(_NAMES, more='#EXT-X-KEY:METHOD=AES-128,URI="k",KEYFORMAT="com.widevine"'), VideoRefusal.UNSUPPORTED),
        (playlist(_NAMES, more="#EXT-X-KEY:" + "A" * 200_000), VideoRefusal.CORRUPT),
    ],
)
@pytest.mark.slow
def test_playlists_that_are_refused(server: VideoServer, tmp_path: Path, text: bytes, reason: VideoRefusal) -> None:
    server.files["/hls/index.m3u8"] = text
    outcome = _fetch(server.url(_HOST, "/hls/index.m3u8"), _rules(server, tmp_path))
    assert (outcome.error, outcome.transient) == (reason, False)
    assert not any(path.endswith(".ts") for path in server.paths)


def test_encrypted_segments_are_decrypted(server: VideoServer, tmp_path: Path) -> None:
    from yt_dlp.aes import aes_cbc_encrypt_bytes

    key, iv = bytes(range(16)), bytes(range(16, 32))
    plain = b"moving pictures " * 20 + b"!"
    server.files["/hls/secret.ts"] = bytes(aes_cbc_encrypt_bytes(plain, key, iv))
    server.files["/hls/the.key"] = key
    more = f'#EXT-X-KEY:METHOD=AES-128,URI="the.key",IV=0x{iv.hex()}'
    server.files["/hls/index.m3u8"] = playlist(["secret.ts", "secret.ts"], more=more)
    assert _bytes(_fetch(server.url(_HOST, "/hls/index.m3u8"), _rules(server, tmp_path))) == plain * 2
    assert Counter(server.paths)["/hls/the.key"] == 1


def test_picture_and_sound_from_two_playlists_are_joined(server: VideoServer, tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [Shot(24)], Style(size=(64, 48)))
    for name, without in (("picture", "-an"), ("sound", "-vn")):
        run(["-i", str(film.path), without, "-c", "copy", "-f", "mpegts", str(tmp_path / f"{name}.ts")], 20)
        server.files[f"/two/{name}.ts"] = (tmp_path / f"{name}.ts").read_bytes()
        server.files[f"/two/{name}.m3u8"] = playlist([f"{name}.ts"])
    sound = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="s",NAME="x",DEFAULT=YES,URI="sound.m3u8"'
    picture = '#EXT-X-STREAM-INF:BANDWIDTH=9000,RESOLUTION=64x48,CODECS="avc1.4d401f,mp4a.40.2",AUDIO="s"'
    server.files["/two/all.m3u8"] = f"#EXTM3U\n{sound}\n{picture}\npicture.m3u8\n".encode()
    outcome = _fetch(server.url(_HOST, "/two/all.m3u8"), _rules(server, tmp_path / "out"))
    with av.open(str(outcome.path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert sum(1 for _ in container.decode(video=0)) == 24
    assert [path.name for path in (tmp_path / "out").iterdir()] == [outcome.path and outcome.path.name]
    first = outcome.sha256
    assert _fetch(server.url(_HOST, "/two/all.m3u8"), _rules(server, tmp_path / "again")).sha256 == first
    alone = _fetch(server.url(_HOST, "/two/all.m3u8"), _rules(server, tmp_path / "alone", separate_streams=False))
    with av.open(str(alone.path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_dash_is_spoken(server: VideoServer, tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", [Shot(48)], Style(size=(64, 48)))
    (tmp_path / "dash").mkdir()
    run(["-i", str(film.path), "-c", "copy", "-seg_duration", "1", "-f", "dash", str(tmp_path / "dash" / "a.mpd")], 20)
    for path in (tmp_path / "dash").iterdir():
        server.files[f"/dash/{path.name}"] = path.read_bytes()
    outcome = _fetch(server.url(_HOST, "/dash/a.mpd"), _rules(server, tmp_path / "out"))
    with av.open(str(outcome.path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert sum(1 for _ in container.decode(video=0)) == 48
    assert max(Counter(server.paths).values()) == 1


# ------------------------------------------------------------------------------------------- pages


def _page(body: str) -> bytes:
    return f"<!doctype html><html><head><title>A film</title>{body}</html>".encode()


_LD = {
    "@context": "https://schema.org", "@type": "VideoObject", "name": "The film", "description": "About\na dog",
    "contentUrl": "/file/1.mp4", "uploadDate": "2024-05-06", "duration": "PT1M2S",
}  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        '<video src="/file/1.mp4"></video>',
        '<video><source src="/file/1.mp4" type="video/mp4"></video>',
        '<meta property="og:video:type" content="video/mp4"><meta property="og:video" content="/file/1.mp4">',
        '<script type="application/ld+json">{ld}</script>',
    ],
)
@pytest.mark.slow
def test_pages_with_a_video_are_asked_for_once(server: VideoServer, tmp_path: Path, body: str) -> None:
    told = {**_LD, "contentUrl": server.url(_HOST, "/file/1.mp4")}
    server.files["/watch"] = _page(body.replace("{ld}", json.dumps(told)))
    outcome = _fetch(server.url(_HOST, "/watch?v=1"), _rules(server, tmp_path))
    assert _bytes(outcome) == made_up_video(_HOST, "/1.mp4")
    assert server.paths == ["/watch?v=1", "/file/1.mp4"]
    assert outcome.final_url == server.url(_HOST, "/file/1.mp4")
    if "ld+json" in body:
        info = outcome.info
        assert (info.title, info.description) == ("The film", "About\na dog")
        assert info.upload_date == "20240506"
    else:
        assert (outcome.info.title, outcome.info.upload_date) == ("A film", None)
    assert outcome.info.platform in ("generic", "html5")


def test_a_file_without_an_ending_is_asked_for_once(server: VideoServer, tmp_path: Path) -> None:
    server.files["/clip"] = made_up_video(_HOST, "clip")
    outcome = _fetch(server.url(_HOST, "/clip"), _rules(server, tmp_path))
    assert _bytes(outcome) == made_up_video(_HOST, "clip")
    assert server.paths == ["/clip"]
    assert outcome.info == VideoInfo()
    moved = _fetch(server.url(_HOST, "/moved/x?to=/clip"), _rules(server, tmp_path))
    assert _bytes(moved) == made_up_video(_HOST, "clip")
    assert server.paths == ["/clip", "/moved/x?to=/clip", "/clip"]


def test_with_one_turn_per_host_nothing_waits_for_itself(server: VideoServer, tmp_path: Path) -> None:
    rules = _rules(server, tmp_path, {"per_host_concurrency": 1}, subtitles=["en"])
    server.files["/watch"] = _page('<video src="/hls/index.m3u8"><track srclang="en" src="/en.vtt"></video>')
    server.files["/hls/index.m3u8"] = playlist(_NAMES)
    server.files["/en.vtt"] = b"WEBVTT"
    outcome = _fetch(server.url(_HOST, "/watch"), rules)
    assert (_bytes(outcome), len(outcome.info.subtitles)) == (_WHOLE, 1)
    half = _fetch(server.url(_HOST, "/half/1"), rules)  # known by its type, broken off, continued
    assert _bytes(half) == made_up_video(_HOST, "/1")
    assert max(entry.concurrent for entry in server.log) == 1


def test_a_page_named_like_a_file_is_a_page(server: VideoServer, tmp_path: Path) -> None:
    server.files["/wiki/File:Flower.webm"] = _page('<video src="/file/1.mp4"></video>')
    outcome = _fetch(server.url(_HOST, "/wiki/File:Flower.webm"), _rules(server, tmp_path))
    assert _bytes(outcome) == made_up_video(_HOST, "/1.mp4")


@pytest.mark.slow
def test_a_page_without_a_video_says_so(server: VideoServer, tmp_path: Path) -> None:
    server.files["/watch"] = _page("<p>Nothing here")
    outcome = _fetch(server.url(_HOST, "/watch"), _rules(server, tmp_path))
    assert (outcome.error, outcome.detail) == (VideoRefusal.NOT_A_VIDEO, "no video was found there")
    missing = _fetch(server.url(_HOST, "/missing/watch"), _rules(server, tmp_path))
    assert (missing.error, missing.http_status, missing.transient) == (ErrorClass.HTTP_4XX, 404, False)
    busy = _fetch(server.url(_HOST, "/error/watch"), _rules(server, tmp_path, {"attempts": 2}))
    assert (busy.error, busy.attempts, busy.transient) == (ErrorClass.HTTP_5XX, 2, True)


@pytest.mark.slow
def test_where_a_page_leads_is_under_the_same_rules(server: VideoServer, tmp_path: Path) -> None:
    server.files["/watch"] = _page(f'<video src="{server.url(_OTHER, "/file/1.mp4")}"></video>')
    server.files["/inward"] = _page('<video src="http://10.0.0.1/1.mp4"></video>')
    rules = _rules(server, tmp_path)
    closed = VideoRules(rules.settings, rules.video, tmp_path, may_follow=lambda url: _OTHER not in url)
    assert _fetch(server.url(_HOST, "/watch"), closed).error is ErrorClass.REFUSED
    assert server.requests_of(_OTHER) == []
    assert _fetch(server.url(_HOST, "/inward"), rules).error is ErrorClass.REFUSED_ADDRESS
    assert _fetch(server.url(_HOST, f"/moved/1.mp4?to={server.url(_OTHER, '/file/1.mp4')}"), closed).error is (
        ErrorClass.REFUSED
    )
    assert server.requests_of(_OTHER) == []
