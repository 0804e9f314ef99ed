"""Timed texts that pages declare beside a video, and those in it: which are asked for, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.captions.timed_text.embedded import EmbeddedTrack
from curation.media.outcomes import FetchRequest, TextTrack
from curation.media.video.downloads import fetch_videos
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.media.video.info import UNKNOWN, VideoInfo
from curation.media.video.languages import is_language, language_of, place_of
from curation.media.video.tracks import MAX_TRACKS, wanted_tracks
from curation.media.video.transfer import VideoOutcome, VideoRules
from curation.recipe.network import FetchSettings
from curation.recipe.video import VideoSettings
from curation.testing.video_server import VideoServer

_HOST, _OTHER = "a.test", "b.test"
_VTT = "WEBVTT\n\n00:00.000 --> 00:01.000\nA dog runs\n"
_SRT = "1\n00:00:00,000 --> 00:00:01,000\nA dog runs\n"

kinds = st.sampled_from(["chapters", "subtitles", "captions", "descriptions", "metadata", "", "CHAPTERS"])
tags = st.none() | st.sampled_from(["en", "en-US", "EN_gb", "eng", "de", "ger", "deu", "fr", "und", "", "frr", "x"])
tracks_of = st.lists(st.builds(TextTrack, st.sampled_from(["u", "v", "w"]), kinds, tags), max_size=40)


@pytest.fixture
def server() -> Iterator[VideoServer]:
    with VideoServer([_HOST, _OTHER]) as running:
        yield running


def _rules(server: VideoServer, folder: Path, *languages: str, **more: object) -> VideoRules:
    network = FetchSettings(hosts=server.addresses, allowed_networks=["127.0.0.0/8"], read_timeout_s=0.6)
    return VideoRules(network, VideoSettings(subtitles=list(languages)), folder, **more)  # type: ignore[arg-type]


def _fetch(server: VideoServer, rules: VideoRules, path: str, *tracks: TextTrack) -> VideoOutcome:
    outcomes: list[VideoOutcome] = []
    request = FetchRequest("v", server.url(_HOST, path), tracks)
    fetch_videos([request], rules, on_done=outcomes.append, deadline_s=30)
    assert (outcomes[0].status, outcomes[0].path is not None) == ("ok", True)
    return outcomes[0]


def _put(
    server: VideoServer, path: str, data: bytes | str, kind: str = "subtitles", lang: str | None = "en"
) -> TextTrack:
    server.files[path] = data.encode() if isinstance(data, str) else data
    return TextTrack(server.url(_HOST, path), kind, lang)


# ------------------------------------------------------------------------------------------- which


@settings(deadline=None)  # the first language of three letters loads yt-dlp
@given(tracks_of, st.lists(st.sampled_from(["en", "de", "fr", "en-US"]), unique=True))
def test_what_is_wanted_is_chapters_and_the_recipes_languages(tracks: list[TextTrack], languages: list[str]) -> None:
    spoken = {
        None: bool(languages), "und": bool(languages), "": bool(languages), "x": bool(languages), "frr": False,
        "en": "en" in languages, "eng": "en" in languages, "EN_gb": "en" in languages,
        "en-US": bool({"en", "en-US"} & set(languages)), "fr": "fr" in languages,
        **dict.fromkeys(("de", "ger", "deu"), "de" in languages),
    }  # fmt: skip
    every = {
        track
        for track in tracks
        if track.kind == "chapters" or (track.kind in ("subtitles", "captions") and spoken[track.lang])
    }
    found = wanted_tracks(tracks, languages)
    assert len(found) == len(set(found)) == min(len(every), MAX_TRACKS)
    assert set(found) <= every
    order = ["chapters", "subtitles", "captions"]
    assert [order.index(track.kind) for track in found] == sorted(order.index(track.kind) for track in found)


def test_the_order_is_that_of_the_languages() -> None:
    tracks = [TextTrack("a", "captions", "de"), *(TextTrack("b", "subtitles", lang) for lang in (None, "de", "en-GB"))]
    assert [track.lang for track in wanted_tracks(tracks, ["en", "de"])] == ["en-GB", "de", None, "de"]


@settings(deadline=None)
@given(st.text(max_size=200) | st.none())
def test_any_text_is_a_language_or_unknown(said: str | None) -> None:
    found = language_of(said)
    assert found == UNKNOWN or (found.isascii() and len(found) <= 100)
    assert language_of(found) == found


@pytest.mark.parametrize(
    ("said", "language"),
    [("eng", "en"), ("ger", "de"), ("deu", "de"), ("fre", "fr"), ("EN_us", "en-us"), (" zh-Hant ", "zh-Hant"),
     ("gsw", "gsw"), ("und", "und"), ("English (US)", "und"), ("e" * 10_000_000, "und")],
)  # fmt: skip
def test_languages_by_either_standard(said: str, language: str) -> None:
    assert language_of(said) == language


@pytest.mark.parametrize("language", ["en", "EN", "eng", "en-US", "EN_us", "eng-GB", "en-orig", "en-eEY6OEpapPo"])
def test_a_language_is_all_of_its_kinds(language: str) -> None:
    assert all(is_language(language, wanted) for wanted in ("en", "eng", "EN"))
    assert not any(is_language(language, wanted) for wanted in ("e", "de", "en-AU", "und"))
    assert is_language(language, "en-us") == (language in ("en-US", "EN_us"))
    assert place_of(language, ["de", "eng", "en"]) == 1


@given(st.text(max_size=40), st.lists(st.sampled_from(["en", "de", "frr", "zh-Hant"]), unique=True))
def test_a_place_is_the_first_that_it_is(language: str, languages: list[str]) -> None:
    places = [place for place, wanted in enumerate(languages) if is_language(language, wanted)]
    assert place_of(language, languages) == (places[0] if places else None)
    assert place_of(UNKNOWN, languages) == (len(languages) or None)


def test_languages_of_megabytes_are_none() -> None:
    for hostile in ("e" * 5_000_000, "en-" * 2_000_000, "_" * 5_000_000, "\ud800\0"):
        assert place_of(hostile, ["de", "fra"]) is None


# ------------------------------------------------------------------------------------------- beside


def test_tracks_beside_a_file_come_with_it(server: VideoServer, tmp_path: Path) -> None:
    tracks = [
        _put(server, "/en.vtt", _VTT, "captions", "en-US"),
        _put(server, "/ch.vtt", _VTT, "chapters", None),
        _put(server, "/de.vtt", _VTT, "subtitles", "de"),
        _put(server, "/d.vtt", _VTT, "descriptions", "en"),
        _put(server, "/m.vtt", _VTT, "metadata", "en"),
        TextTrack(server.url(_HOST, "/gone/e.vtt"), "subtitles", "en"),
        TextTrack("ftp://nowhere/e.vtt", "chapters"),
    ]
    outcome = _fetch(server, _rules(server, tmp_path, "en"), "/file/1.mp4", *tracks)
    told = [(each.kind, each.language, each.automatic, each.format, each.text) for each in outcome.info.subtitles]
    assert told == [("chapters", "und", False, "vtt", _VTT), ("captions", "en-US", False, "vtt", _VTT)]
    missing = ("chapters und: not an absolute http or https URL", "en: HTTP status 410")
    assert outcome.info.missing_subtitles == missing
    assert outcome.detail == f"no subtitles {missing[0]}; no subtitles {missing[1]}"
    assert server.paths == ["/file/1.mp4", "/ch.vtt", "/gone/e.vtt", "/en.vtt"]
    assert outcome.final_url == server.url(_HOST, "/file/1.mp4")


def test_without_languages_chapters_alone_are_asked_for(server: VideoServer, tmp_path: Path) -> None:
    tracks = [_put(server, f"/{kind}.vtt", _VTT, kind) for kind in ("subtitles", "chapters", "captions")]
    outcome = _fetch(server, _rules(server, tmp_path), "/file/1.mp4", *tracks)
    assert [each.kind for each in outcome.info.subtitles] == ["chapters"]
    assert server.paths == ["/file/1.mp4", "/chapters.vtt"]


def test_what_came_beside_it_is_not_asked_of_the_page(server: VideoServer, tmp_path: Path) -> None:
    server.files["/own.vtt"] = _VTT.encode()
    player = '<track srclang="en" src="/own.vtt"><track srclang="de" src="/own.vtt">'
    server.files["/watch"] = f'<title>A film</title><video src="/file/1.mp4">{player}</video>'.encode()
    tracks = [_put(server, "/en.vtt", _VTT), _put(server, "/fr.vtt", _VTT, "chapters", "fr")]
    outcome = _fetch(server, _rules(server, tmp_path, "en", "de", "fr"), "/watch", *tracks)
    told = [(each.kind, each.language) for each in outcome.info.subtitles]
    assert told == [("chapters", "fr"), ("subtitles", "en"), ("subtitles", "de")]
    assert outcome.info.missing_subtitles == ("fr: not offered",)
    assert outcome.info.title == "A film"
    assert server.paths.count("/own.vtt") == 1


def test_the_rules_of_requests_are_those_of_the_video(server: VideoServer, tmp_path: Path) -> None:
    urls = {name: server.url(_HOST, f"/{name}/a.vtt") for name in ("robots", "private", "loop")}
    urls |= {"direct": "http://10.0.0.1/a.vtt", "refused": server.url(_OTHER, "/file/a.vtt")}
    rules = _rules(server, tmp_path, "en", may_follow=lambda url: _OTHER not in url)
    tracks = [TextTrack(url, "subtitles", "en") for url in urls.values()]
    outcome = _fetch(server, rules, "/file/1.mp4", *tracks)
    assert outcome.info.subtitles == ()
    assert len(outcome.info.missing_subtitles) == len(urls)
    words = " ".join(outcome.info.missing_subtitles)
    for part in ("noai", "10.0.0.1", "redirect", "it leads to what is refused"):
        assert part in words
    assert not server.requests_of(_OTHER)


_HOSTILE = {
    "large": (b"WEBVTT\n\n" + b"x" * 10_000_000, "bytes announced"),
    "page": (b"<!doctype html><title>Not here</title>", "no timed text"),
    "nothing": (b"\n", "no timed text"),
    "no cues": (b"WEBVTT\n\n", "no cues in it"),
    "zeros": (bytes(1_000_000), "no timed text"),
    "noise": (bytes(range(256)) * 4000, "no timed text"),
    "film": (b"\0\0\0\x18ftypmp42" + bytes(1_000_000), "no timed text"),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_what_is_no_timed_text_is_missing(server: VideoServer, tmp_path: Path, name: str) -> None:
    data, words = _HOSTILE[name]
    tracks = [_put(server, "/a.vtt", data, "chapters"), _put(server, "/b.vtt", _VTT, "chapters", "de")]
    outcome = _fetch(server, _rules(server, tmp_path), "/file/1.mp4", *tracks)
    assert [each.language for each in outcome.info.subtitles] == ["de"]
    (line,) = outcome.info.missing_subtitles
    assert line.startswith("chapters en: ")
    assert words in line
    assert line.isprintable()
    assert len(line) <= 200


@pytest.mark.parametrize(
    ("path", "data", "text"),
    [
        ("/a.vtt", _VTT.replace("dog", "\0").encode(), _VTT.replace("dog", "\ufffd")),
        ("/a.srt", _SRT.encode("utf-16"), _SRT),
        ("/a.key", _SRT.encode() + b"\n" * 5000 + _SRT.replace("1\n00:00:00", "2\n00:00:00").encode(), None),
    ],
    ids=["zeros", "utf-16", "octets"],
)
def test_texts_as_servers_send_them(
    server: VideoServer, tmp_path: Path, path: str, data: bytes, text: str | None
) -> None:
    outcome = _fetch(server, _rules(server, tmp_path, "en"), "/file/1.mp4", _put(server, path, data))
    (found,) = outcome.info.subtitles
    assert found.text == (data.decode() if text is None else text)
    assert found.format == ("srt" if path.endswith("srt") else "vtt")


def test_tracks_without_end_are_a_few(server: VideoServer, tmp_path: Path) -> None:
    tracks = [_put(server, f"/{number}.vtt", _VTT, "chapters") for number in range(100)]
    outcome = _fetch(server, _rules(server, tmp_path), "/file/1.mp4", *tracks)
    assert len(outcome.info.subtitles) == MAX_TRACKS
    assert len(server.paths) == MAX_TRACKS + 1


# ------------------------------------------------------------------------------------------- inside


def test_texts_in_a_file_are_those_that_are_wanted(server: VideoServer, tmp_path: Path) -> None:
    held = [
        EmbeddedTrack("eng", "mov_text", _VTT), EmbeddedTrack("ger", "subrip", _VTT), EmbeddedTrack(None, "ass", _VTT),
        EmbeddedTrack("en", "pgssub", None, "pictures of text, which are not read"),
    ]  # fmt: skip
    rules = _rules(server, tmp_path, "en", texts=lambda path, deadline: held)
    info = _fetch(server, rules, "/file/1.mp4", _put(server, "/en.vtt", _VTT, "captions")).info
    told = [(each.kind, each.language, each.automatic) for each in info.subtitles]
    assert told == [("captions", "en", False), ("subtitles", "en", False), ("subtitles", "und", False)]
    assert info.missing_subtitles == ("en: in the file: pictures of text, which are not read",)
    none = _rules(server, tmp_path, texts=lambda path, deadline: held)
    assert _fetch(server, none, "/file/2.mp4").info == VideoInfo()


def test_a_file_whose_texts_cannot_be_read_stays_a_video(server: VideoServer, tmp_path: Path) -> None:
    def broken(path: Path, deadline: float) -> list[EmbeddedTrack]:
        raise RefusedVideo(VideoRefusal.CRASHED, "3 processes ended while they looked at it")

    outcome = _fetch(server, _rules(server, tmp_path, "en", texts=broken), "/file/1.mp4")
    assert outcome.info.missing_subtitles == ("in the file: 3 processes ended while they looked at it",)
