"""Which of a video's timed texts are what is said in it, and where texts about its parts end."""

from __future__ import annotations

from typing import Any

import pytest

from curation.captions.films import Film
from curation.captions.words import Words

VTT = "WEBVTT\n\n00:00.000 --> 00:02.000\n{}\n"
SAMPLE = {"start_ms": 0, "end_ms": 4000}


def track(text: str, lang: str = "en", kind: str = "subtitles", *, automatic: bool = False) -> dict[str, Any]:
    return {"lang": lang, "kind": kind, "automatic": automatic, "format": "vtt", "text": VTT.format(text)}


def video(*tracks: dict[str, Any], duration_ms: int | None = 4000) -> Film:
    told = {"title": None, "description": None, "chapters": [], "subtitles": list(tracks)}
    return Film(lambda: {"duration_ms": duration_ms, **told})


@pytest.mark.parametrize(
    ("tracks", "languages", "said"),
    [
        ([track("Intro", kind="chapters"), track("Hello")], [], ("en", ["Hello"])),
        ([track("Intro", kind="chapters")], [], (None, [])),
        ([track("Intro", kind="chapters")], ["en"], (None, [])),
        ([track("Hello", "und")], [], (None, ["Hello"])),
        ([track("Hello", "und")], ["en"], (None, ["Hello"])),
        ([track("Hello", "und"), track("Heard", "en", automatic=True)], ["fr", "en"], ("en", ["Heard"])),
        ([track("Bonjour", "fr"), track("Hello", "und")], ["en"], (None, ["Hello"])),
        ([track("Heard", "und", automatic=True), track("Hello", "und")], ["en"], (None, ["Hello"])),
        ([track("Bonjour", "fr"), track("Intro", "und", kind="chapters")], ["en"], (None, [])),
        ([track("Hello", "EN_us")], ["en"], ("EN_us", ["Hello"])),
        ([track("Hello", "en")], ["en-US"], (None, [])),
        ([track("Heard", automatic=True), track("Hello", "en-US", "captions")], ["en"], ("en-US", ["Hello"])),
    ],
)
def test_speech_is_what_is_no_chapter(
    tracks: list[dict[str, Any]], languages: list[str], said: tuple[str | None, list[str]]
) -> None:
    lang, cues = Words(SAMPLE, [], video(*tracks)).subtitles(languages)
    assert (lang, [cue.text for cue in cues]) == said


def test_parts_of_pages_and_tables_are_chapters_where_nothing_else_is() -> None:
    def part(begin: int | None, source: str, text: str) -> dict[str, Any]:
        return {"start_ms": begin, "end_ms": None, "text": text, "text_sources": [source]}

    parts = [part(0, "chapter", "Begin"), part(2000, "schema:hasPart", "End"), part(1000, "caption", "A dog"),
             part(None, "schema:hasPart", "Lost")]  # fmt: skip
    chapters = Words(SAMPLE, parts, video()).chapters
    assert [(each.text, each.start_ms, each.end_ms) for each in chapters] == [("Begin", 0, 2000), ("End", 2000, 4000)]
    (named,) = Words(SAMPLE, parts, video(track("Intro", kind="chapters"))).chapters
    assert named.text == "Intro"


def starts(*told: tuple[int, int | None], media_id: str = "m", source: str = "schema:hasPart") -> list[dict[str, Any]]:
    same = {"text_media_id": media_id, "text_sources": [source], "lang": "en"}
    return [
        {"pair_id": f"{media_id}{begin}", "text": f"{media_id}{begin}", "start_ms": begin, "end_ms": end, **same}
        for begin, end in told
    ]


def alts(texts: list[dict[str, Any]], clip: tuple[int, int], duration_ms: int | None = 300_000) -> list[str]:
    words = Words({"start_ms": clip[0], "end_ms": clip[1]}, texts, video(duration_ms=duration_ms))
    return sorted(caption.text for caption in words.alts)


@pytest.mark.parametrize("source", ["schema:hasPart", "caption"])
def test_a_part_without_an_end_ends_where_the_next_one_begins(source: str) -> None:
    parts = starts((120_000, None), (5000, None), (60_000, 65_000), source=source)
    clips = [(10_000, 20_000), (60_000, 65_000), (70_000, 80_000), (200_000, 210_000)]
    assert [alts(parts, clip) for clip in clips] == [["m5000"], ["m60000"], [], ["m120000"]]


def test_parts_of_a_copy_end_by_themselves() -> None:
    parts = [*starts((0, None), (50_000, None)), *starts((20_000, None), media_id="copy")]
    assert alts(parts, (30_000, 40_000)) == ["copy20000", "m0"]
    assert alts(parts, (60_000, 70_000)) == ["copy20000", "m50000"]


@pytest.mark.parametrize("duration_ms", [20_000, None])
def test_the_last_part_ends_with_the_video(duration_ms: int | None) -> None:
    """Of a video of unknown length with the sample."""
    film, parts = video(duration_ms=duration_ms), starts((5000, None), (90_000, None))
    words = Words({"start_ms": 0, "end_ms": 20_000}, parts, film)
    assert [(each.text, each.start_ms, each.end_ms) for each in words.alts] == [("m5000", 5000, 20_000)]
    assert alts(starts((5000, None)), (100_000, 110_000), 50_000) == []
