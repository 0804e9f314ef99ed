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
from curation.testing.video_server import VideoServer

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
