"""Subtitles of a page: every language that was asked for came, or is listed with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.media.outcomes import ErrorClass, FetchFaultError, FetchRequest
from curation.media.video import players
from curation.media.video.downloads import fetch_videos
from curation.media.video.info import VideoInfo
from curation.media.video.transfer import VideoOutcome, VideoRules
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings
from curation.testing.video_server import VideoServer, playlist

_HOST = "a.test"


@pytest.fixture
def server() -> Iterator[VideoServer]:
    with VideoServer([_HOST]) as running:
        yield running


class _Line:
    """Stands for what asks the web: addresses with "gone" in them fail."""

    def __init__(self, languages: list[str], *, automatic: bool = True) -> None:
        self.video = VideoSettings(subtitles=languages, automatic_subtitles=automatic)
        self.asked: list[str] = []

    def text(self, url: str) -> tuple[str, str]:
        self.asked.append(url)
        if "gone" in url:
            raise FetchFaultError(ErrorClass.HTTP_4XX, "HTTP status 410", transient=False)
        return f"WEBVTT {url}", url


def _tracks(line: _Line, info: dict[str, Any]) -> tuple[list[tuple[str, bool]], list[str]]:
    found, missing = players.subtitles(line, info)  # type: ignore[arg-type]
    return [(track.language, track.automatic) for track in found], missing


def _form(url: str) -> list[dict[str, str]]:
    return [{"url": f"http://{_HOST}/{url}", "ext": "vtt"}]


_STATES = st.dictionaries(st.sampled_from(["en", "en-US", "de", "fr"]), st.sampled_from(["here", "gone"]))


@given(_STATES, _STATES, st.lists(st.sampled_from(["en", "de", "fr", "ja"]), unique=True), st.booleans())
def test_each_language_came_or_is_listed(
    made: dict[str, str], heard: dict[str, str], languages: list[str], automatic: bool
) -> None:
    info = {"subtitles": {name: _form(state) for name, state in made.items()},
            "automatic_captions": {name: _form(state) for name, state in heard.items()}}  # fmt: skip
    found, missing = _tracks(_Line(languages, automatic=automatic), info)
    came = [language.partition("-")[0] for language, _ in found]
    listed = [line.partition(":")[0].partition("-")[0] for line in missing]
    assert sorted({*came, *listed}) == sorted(languages) == sorted([*came, *dict.fromkeys(listed)])
    for language in languages:
        offers = {name for tracks in (made, heard if automatic else {}) for name in tracks if name[:2] == language}
        assert (f"{language}: not offered" in missing) == (not offers)


def test_an_automatic_track_stands_for_one_that_failed() -> None:
    info = {"subtitles": {"en": _form("gone"), "de": _form("gone1")},
            "automatic_captions": {"en": _form("heard"), "de": _form("gone2")}}  # fmt: skip
    line = _Line(["en", "de"])
    assert _tracks(line, info) == ([("en", True)], ["de: HTTP status 410", "de: HTTP status 410"])
    assert [url.rpartition("/")[2] for url in line.asked] == ["gone", "heard", "gone1", "gone2"]
    by_hand = _tracks(_Line(["en"], automatic=False), info)
    assert by_hand == ([], ["en: HTTP status 410"])


@pytest.mark.parametrize("offered", ["EN", "en-us", "EN_gb", "eng"])
def test_a_language_in_another_spelling(offered: str) -> None:
    info = {"subtitles": {offered: _form("here"), "enm": _form("other")}}
    assert _tracks(_Line(["en"]), info) == ([(offered, False)], [])
    found, missing = players.subtitles(_Line(["en"]), info, had=[offered])  # type: ignore[arg-type]
    assert (found, missing) == ([], [])


@pytest.mark.parametrize("tracks", [{}, None, {"fr": []}, {"frr": _form("x")}])
def test_of_a_page_that_offers_none_it_is_told(tracks: dict[str, Any] | None) -> None:
    info = {} if tracks == {} else {"subtitles": tracks}
    assert _tracks(_Line(["fr"]), info) == ([], ["fr: not offered"])
    assert _tracks(_Line([]), info) == ([], [])


def _fetch(url: str, server: VideoServer, folder: Path) -> VideoOutcome:
    outcomes: list[VideoOutcome] = []
    network = FetchSettings(hosts=server.addresses, allowed_networks=["127.0.0.0/8"], read_timeout_s=0.6)
    rules = VideoRules(network, VideoSettings(subtitles=["en", "de", "fr"]), folder)
    fetch_videos([FetchRequest("v", url)], rules, on_done=outcomes.append, deadline_s=30)
    return outcomes[0]


def test_a_missing_subtitle_does_not_empty_the_sample(server: VideoServer, tmp_path: Path) -> None:
    tracks = '<track srclang="en" src="/en.vtt"><track srclang="de" src="/gone/d.vtt">'
    server.files["/en.vtt"] = b"WEBVTT\n\n00:00.000 --> 00:01.000\nA dog runs\n"
    server.files["/watch"] = f'<title>A film</title><video src="/file/1.mp4">{tracks}</video>'.encode()
    outcome = _fetch(server.url(_HOST, "/watch"), server, tmp_path)
    assert (outcome.status, outcome.detail) == ("ok", "no subtitles de: HTTP status 410; no subtitles fr: not offered")
    (english,) = outcome.info.subtitles
    assert (english.language, english.automatic, english.format) == ("en", False, "vtt")
    assert english.text.endswith("A dog runs\n")
    assert outcome.info.missing_subtitles == ("de: HTTP status 410", "fr: not offered")
    assert not any("vtt" in path for path in server.paths[:2])


def test_files_have_no_place_for_subtitles(server: VideoServer, tmp_path: Path) -> None:
    server.files["/bare"] = b'<title>A film</title><video src="/file/1.mp4"></video>'
    page = _fetch(server.url(_HOST, "/bare"), server, tmp_path)
    assert page.info.missing_subtitles == ("en: not offered", "de: not offered", "fr: not offered")
    for path in ("/file/1.mp4", "/file/1"):  # known by its ending, and by its type
        outcome = _fetch(server.url(_HOST, path), server, tmp_path)
        assert (outcome.status, outcome.detail, outcome.info) == ("ok", "", VideoInfo())


def _part(start: int, *texts: str) -> bytes:
    """A segment of 6 s whose clock begins with it."""
    cues = "".join(f"00:0{place}.000 --> 00:0{place}.900\n{text}\n\n" for place, text in enumerate(texts))
    return f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{900_000 + 540_000 * start},LOCAL:00:00.000\n\n{cues}".encode()


def _with_track(server: VideoServer, listed: bytes) -> str:
    """A page with a video and a track in segments."""
    master = '#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="English",LANGUAGE="en",URI="s/en.m3u8"\n'
    master += '#EXT-X-STREAM-INF:BANDWIDTH=1000,RESOLUTION=640x360,CODECS="avc1.4d401f",SUBTITLES="s"\nv.m3u8\n'
    server.files |= {"/f/all.m3u8": master.encode(), "/f/v.m3u8": playlist(["/file/1.ts"]), "/f/s/en.m3u8": listed}
    return server.url(_HOST, "/f/all.m3u8")


def _english(server: VideoServer, folder: Path, listed: bytes) -> tuple[str | None, tuple[str, ...]]:
    outcome = _fetch(_with_track(server, listed), server, folder)
    assert outcome.status == "ok", outcome.detail
    text = next((track.text for track in outcome.info.subtitles), None)
    missing = outcome.info.missing_subtitles
    return text, tuple(line for line in missing if line.startswith("en"))


def test_a_track_in_segments_is_one(server: VideoServer, tmp_path: Path) -> None:
    server.files |= {"/f/s/0.vtt": _part(0, "A dog", "runs"), "/f/1.vtt": _part(1, "home")}
    text, missing = _english(server, tmp_path, playlist(["0.vtt", "../1.vtt", "0.vtt"]))
    assert missing == ()
    said = "00:00:00.000 --> 00:00:00.900\nA dog\n\n00:00:01.000 --> 00:00:01.900\nruns\n\n"
    assert text == f"WEBVTT\n\n{said}00:00:06.000 --> 00:00:06.900\nhome\n"
    assert server.paths.count("/f/s/0.vtt") == 1


def test_a_track_may_have_more_segments_than_a_page_has_requests(server: VideoServer, tmp_path: Path) -> None:
    server.files |= {f"/f/s/{number}.vtt": _part(number, f"line {number}") for number in range(150)}
    text, missing = _english(server, tmp_path, playlist([f"{number}.vtt" for number in range(150)]))
    assert missing == ()
    assert text is not None
    assert text.count(" --> ") == 150
    assert "00:14:54.000 --> 00:14:54.900\nline 149\n" in text


_LOCKED = '#EXT-X-KEY:METHOD=AES-128,URI="k.key"'


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (playlist(["0.vtt", "/gone/1.vtt"]), "segment 2 of 2: HTTP status 410"),
        (playlist(["0.vtt", "http://["]), "segment 2 of 2: "),
        (playlist(["0.vtt"], end=False), "the playlist has no end"),
        (playlist(["0.vtt"], more=_LOCKED), "its segments are encrypted"),
        (playlist(["0.vtt"], more='#EXT-X-MAP:URI="i.mp4"'), "its segments are MP4"),
        (playlist(["0.vtt"], more="#EXT-X-BYTERANGE:9@0"), "its segments are parts of a file"),
        (playlist(["/file/1.mp4"]), "its segments are no WebVTT"),
        (playlist([f"{number}.vtt" for number in range(5001)]), "it is in 5001 segments, at most 5000 are asked for"),
        (playlist([]), "a playlist without segments"),
        (b"WEBVTT\n", "no playlist where one was promised"),
    ],
)
@pytest.mark.slow
def test_why_a_track_in_segments_is_missing(server: VideoServer, tmp_path: Path, listed: bytes, reason: str) -> None:
    server.files["/f/s/0.vtt"] = _part(0, "A dog")
    text, missing = _english(server, tmp_path, listed)
    assert text is None
    assert len(missing) == 1
    assert missing[0].startswith(f"en: {reason}")


def test_a_track_in_segments_is_bounded(server: VideoServer, tmp_path: Path) -> None:
    large = _part(0, *["x" * 500_000] * 9)
    server.files |= {f"/f/s/{number}.vtt": large for number in range(3)}
    text, missing = _english(server, tmp_path, playlist(["0.vtt", "1.vtt", "2.vtt"]))
    assert text is None
    assert missing == ("en: more than 8388608 bytes",)
    assert server.paths.count("/f/s/2.vtt") == 0
