"""How videos are asked for: by our rules alone, whatever a page or yt-dlp would like."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.media.outcomes import ErrorClass, FetchFaultError, FetchRequest
from curation.media.video import pages, players
from curation.media.video.calls import Call
from curation.media.video.downloads import fetch_videos
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.info import MAX_DESCRIPTION, MAX_LIST, MAX_WORDS, described_info
from curation.media.video.line import Line
from curation.media.video.transfer import VideoOutcome, VideoRules
from curation.media.video.turns import Clock, Turns
from curation.media.video.web import Visitor, Web
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings
from curation.testing.video_server import VideoServer, made_up_video, playlist

_HOST = "a.test"


@pytest.fixture
def server() -> Iterator[VideoServer]:
    with VideoServer([_HOST, "b.test"]) as running:
        yield running


def _network(server: VideoServer, **changes: object) -> FetchSettings:
    quick = {"hosts": server.addresses, "allowed_networks": ["127.0.0.0/8"], "read_timeout_s": 0.6, "backoff_s": 0.05}
    return FetchSettings(**{**quick, **changes})


def _clock(seconds: float = 10.0) -> Clock:
    return Clock(time.monotonic() + seconds, time.monotonic() + seconds, threading.Event())


def _fetch(urls: list[str], network: FetchSettings, folder: Path, **video: object) -> list[VideoOutcome]:
    outcomes: list[VideoOutcome] = []
    requests = [FetchRequest(str(place), url) for place, url in enumerate(urls)]
    rules = VideoRules(network, VideoSettings(**video), folder)
    fetch_videos(requests, rules, on_done=outcomes.append, deadline_s=40)
    return sorted(outcomes, key=lambda outcome: int(outcome.media_id))


def _headers(server: VideoServer) -> list[dict[str, str]]:
    heads = [entry.headers.strip().split("\r\n")[1:] for entry in server.log]
    return [{name.lower(): value for name, _, value in (line.partition(": ") for line in head)} for head in heads]


def test_who_asks_is_said_and_nothing_else_is(server: VideoServer, tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    server.files["/hls/index.m3u8"] = playlist(["/file/1.ts"])
    server.files["/watch"] = b'<title>A film</title><video src="/hls/index.m3u8"></video>'
    urls = [server.url(_HOST, "/watch").replace("http://", "http://user:secret@"), server.url(_HOST, "/file/1.mp4")]
    network = _network(server, user_agent="TestBot/2.0 (+https://bot.example)")
    assert [outcome.status for outcome in _fetch(urls, network, tmp_path)] == ["ok", "ok"]
    assert len(server.log) == 4
    for headers in _headers(server):
        assert headers["user-agent"] == "TestBot/2.0 (+https://bot.example)"
        assert headers["accept-encoding"] == "identity"
        assert set(headers) <= {"host", "user-agent", "accept-encoding", "connection", "accept", "referer"}
        assert "secret" not in str(headers)


def test_private_addresses_are_never_asked(server: VideoServer, tmp_path: Path) -> None:
    spellings = ("127.0.0.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "[::1]", "0")
    urls = [f"http://{host}:{server.port}/file/1.mp4" for host in spellings]
    urls += [f"http://{host}:{server.port}/{name}" for host in (_HOST, "both.test") for name in ("1.mp4", "watch")]
    hosts = {_HOST: ["127.0.0.1"], "both.test": ["8.8.8.8", "127.0.0.1"]}
    outcomes = _fetch(urls, _network(server, allowed_networks=[], hosts=hosts), tmp_path)
    assert {(outcome.error, outcome.transient) for outcome in outcomes} == {(ErrorClass.REFUSED_ADDRESS, False)}
    assert server.log == []


def test_a_mirror_is_asked_instead(server: VideoServer, tmp_path: Path) -> None:
    network = _network(server, hosts=None, mirror=f"127.0.0.1:{server.port}")
    (outcome,) = _fetch(["https://films.example/file/1.mp4"], network, tmp_path)
    assert (outcome.status, outcome.final_url) == ("ok", "https://films.example/file/1.mp4")
    assert _headers(server)[0]["host"] == "films.example"


def test_tls_and_refused_connections_have_classes_of_their_own(server: VideoServer, tmp_path: Path) -> None:
    urls = [f"https://{_HOST}:{server.port}/1.mp4", f"http://{_HOST}:1/1.mp4"]
    outcomes = _fetch(urls, _network(server, attempts=2), tmp_path)
    assert [(outcome.error, outcome.attempts) for outcome in outcomes] == [(ErrorClass.TLS, 1), (ErrorClass.CONNECT, 2)]


def test_redirects_are_counted(server: VideoServer, tmp_path: Path) -> None:
    urls = [server.url(_HOST, "/moved/1.mp4"), server.url(_HOST, "/moved/1.mp4?to=/moved/1.mp4?to=/moved/1.mp4")]
    outcomes = _fetch(urls, _network(server, max_redirects=1), tmp_path)
    assert [outcome.error for outcome in outcomes] == [None, ErrorClass.REDIRECT_LOOP]


def test_yt_dlp_has_one_way_to_the_network(server: VideoServer) -> None:
    with Web(_network(server), lambda url: True) as web:
        line = Line(Visitor(web, _clock()), VideoSettings())
        player = players.Player(line, sites=False)
        handlers = list(player._request_director.handlers.values())
        assert [type(handler).__name__ for handler in handlers] == ["RulesRH"]
        for address in ("file:///etc/passwd", "ftp://a.test/x", "data:text/plain,x", "ws://a.test/"):
            with pytest.raises(Exception, match=r"(?i)unsupported|unable|disabled|requires"):
                player.urlopen(address)
        for param in ("cookiefile", "cookiesfrombrowser", "usenetrc", "external_downloader", "config_locations"):
            assert not player.params.get(param)


def test_gzip_is_undone_and_other_codings_are_an_error(server: VideoServer) -> None:
    import gzip

    from curation.testing import video_server

    async def packed(asked: Any) -> None:
        body = gzip.compress(asked.body)
        asked.sized("200 OK", body, "Content-Encoding: " + asked.path.rpartition("=")[2] + "\r\n")

    video_server.KINDS["packed"] = packed
    try:
        with Web(_network(server), lambda url: True) as web:
            visitor = Visitor(web, _clock())
            answer = visitor.open(Call(server.url(_HOST, "/packed/1.mp4?as=gzip")))
            answer.limit(1 << 20)
            assert answer.read() == made_up_video(_HOST, "/1.mp4")
            with pytest.raises(FetchFaultError) as caught:
                visitor.open(Call(server.url(_HOST, "/packed/1.mp4?as=snappy")))
            assert caught.value.error is ErrorClass.BAD_RESPONSE
            small = visitor.open(Call(server.url(_HOST, "/packed/1.mp4?as=gzip")))
            small.limit(300_000)
            small.limit(199_999)
    except FetchFaultError as fault:
        assert fault.error is ErrorClass.TOO_LARGE
    finally:
        del video_server.KINDS["packed"]


def test_a_turn_is_given_back_however_an_answer_ends(server: VideoServer) -> None:
    with Web(_network(server, per_host_concurrency=1), lambda url: True) as web:
        visitor = Visitor(web, _clock())
        for kind in ("file", "truncated", "missing", "robots", "private", "huge", "loop", "empty", "stall"):
            try:
                answer = visitor.open(Call(server.url(_HOST, f"/{kind}/1.mp4")))
                try:
                    answer.limit(1 << 20)
                    answer.read()
                finally:
                    answer.close()
            except FetchFaultError:
                pass
        answer = visitor.open(Call(server.url(_HOST, "/file/1.mp4")))  # it would wait for ever
        impatient = Visitor(web, _clock(0.5))
        with pytest.raises(FetchFaultError) as caught:
            impatient.open(Call(server.url(_HOST, "/file/2.mp4")))
        assert caught.value.error is ErrorClass.DEADLINE
        answer.close()
        answer.close()


def test_waiting_for_a_turn_is_not_time_of_the_video(server: VideoServer) -> None:
    with Web(_network(server, per_host_delay_s=0.4), lambda url: True) as web:
        visitor = Visitor(web, Clock(time.monotonic() + 0.6, time.monotonic() + 20, threading.Event()))
        for number in range(4):
            answer = visitor.open(Call(server.url(_HOST, f"/file/{number}.mp4")))
            answer.close()
    assert len(server.log) == 4


def test_a_host_that_asks_for_too_much_patience_is_left_alone() -> None:
    turns = Turns(FetchSettings(max_retry_after_s=5.0))
    turns.note(_HOST, FetchFaultError(ErrorClass.TOO_MANY_REQUESTS, "", transient=True, retry_after_s=60.0))
    with pytest.raises(FetchFaultError, match="not to be asked for 60 s") as caught:
        turns.enter(_HOST, lambda: None)
    assert caught.value.error is ErrorClass.HOST_DOWN
    turns.enter("b.test", lambda: None)


# ------------------------------------------------------------------------------------------- pages


@pytest.mark.slow
def test_a_page_that_keeps_yt_dlp_busy_is_left(server: VideoServer, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(pages, "THINK_S", 4.0)
    server.files["/trap"] = b"<html>" + b'<meta property="og:video:type" ' * 60_000
    server.files["/watch"] = b'<title>A film</title><video src="/file/1.mp4"></video>'
    urls = [server.url(_HOST, path) for path in ("/trap", "/watch", "/file/2.mp4")]
    begun = time.monotonic()
    outcomes = _fetch(urls, _network(server), tmp_path, concurrency=1)
    assert time.monotonic() - begun < 20
    assert [outcome.error for outcome in outcomes] == [VideoRefusal.TIMEOUT, None, None]


def test_pages_that_lead_on_and_on_come_to_an_end(server: VideoServer, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("curation.media.video.line.MAX_PAGES", 5)
    for number in range(20):
        goal = f'<meta http-equiv="refresh" content="0; url=/page{number + 1}">'
        server.files[f"/page{number}"] = f"<html><title>x</title>{goal}".encode()
    (outcome,) = _fetch([server.url(_HOST, "/page0")], _network(server), tmp_path)
    assert outcome.error is ErrorClass.BAD_RESPONSE and "no video yet" in outcome.detail
    assert len(server.log) == 5


def test_a_page_is_read_up_to_its_limit(server: VideoServer, tmp_path: Path) -> None:
    server.files["/watch"] = b"<html>" + b"x" * 100_000
    (outcome,) = _fetch([server.url(_HOST, "/watch")], _network(server), tmp_path, page_bytes=1 << 16)
    assert outcome.error is ErrorClass.TOO_LARGE


# ------------------------------------------------------------------------------------------- what may come


_LINES = st.sampled_from(
    ["#EXTM3U", "#EXT-X-ENDLIST", "#EXTINF:1,", "#EXTINF:nan,", "#EXT-X-KEY:METHOD=AES-128", "#EXT-X-KEY", "a.ts", "",
     '#EXT-X-KEY:METHOD=NONE,URI="x"', "#EXT-X-MAP:", "#EXT-X-STREAM-INF:", "\ufeff#EXTM3U"]
)  # fmt: skip


@given(st.lists(_LINES | st.text(max_size=20), max_size=12))
def test_a_playlist_is_taken_only_if_it_is_finished_and_open(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        players.check_playlist(text, VideoSettings())
    except RefusedVideo:
        return
    found = [line.strip() for line in text.splitlines()]
    assert found[0].lstrip("\ufeff").startswith("#EXTM3U") and "#EXT-X-ENDLIST" in found
    assert any(line and not line.startswith("#") for line in found)


def test_a_hostile_playlist_takes_linear_time() -> None:
    begun = time.monotonic()
    for line in ("#EXT-X-KEY:" + "A" * 1_000_000, "#EXT-X-KEY:" * 100_000, '#EXT-X-KEY:URI="' * 80_000, "\n" * 10**6):
        with pytest.raises(RefusedVideo):
            players.check_playlist(f"#EXTM3U\n{line}\na.ts", VideoSettings())
    assert time.monotonic() - begun < 5


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
_FIELDS = ("title", "id", "description", "chapters", "tags", "duration", "age_limit", "extractor", "direct", "license",
           "upload_date", "categories", "view_count")  # fmt: skip


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON))
def test_what_a_page_says_comes_bounded_and_plain(info: dict[str, Any]) -> None:
    found = described_info({"extractor": "x", **info}, (), ())
    json.dumps([found.title, found.tags, found.chapters, found.view_count], allow_nan=False).encode("ascii")
    assert all(start < end for start, end, _ in found.chapters)
    for text in (found.title, found.description, found.licence, *found.tags):
        assert text is None or (text.encode() and "\0" not in text)


def test_sizes_of_what_a_page_says_are_bounded() -> None:
    info = {
        "extractor": "site", "title": "t" * 10**6, "description": "\ud800\0d" * 10**6, "tags": ["a"] * 10**5,
        "chapters": [{"start_time": 0, "end_time": 1.5, "title": "One"}, {"start_time": 2, "end_time": 2}, 7],
    }  # fmt: skip
    found = described_info(info, (), ())
    assert len(found.title or "") == MAX_WORDS and len(found.description or "") <= MAX_DESCRIPTION
    assert len(found.tags) == MAX_LIST
    assert found.chapters == ((0, 1500, "One"),)
