"""Chapters of a video from all that was said of it, in order of trust, and the clips they mark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.chapters import MAX_TITLE, VideoChapter, parse_chapters, video_chapters
from curation.media.video.marks import marks_of
from curation.media.video.splitting import Mark

DURATION = 60_000
DESCRIPTION = "0:00 Begin\n0:10 Middle\n0:50 End"
TRACK = "WEBVTT\n\n1\n00:00.000 --> 00:20.000\nA &amp; <i>b</i>\n\n00:20.000 --> 01:30.000\nC\nd\n"


def part(start: int, end: int | None, text: str) -> dict[str, Any]:
    return {"start_ms": start, "end_ms": end, "text": text}


def chapter(start: int, end: int, title: str) -> dict[str, Any]:
    return {"start_ms": start, "end_ms": end, "title": title}


def track(text: str, **kind: str) -> dict[str, Any]:
    return {"lang": "en", "automatic": False, "format": "vtt", "text": text, **kind}


def video(**said: Any) -> dict[str, Any]:
    return {"duration_ms": DURATION, "description": None, "chapters": [], "subtitles": [], **said}


PAGE = [chapter(0, 30_000, "One"), chapter(30_000, 70_000, "")]
CHAPTERS = track(TRACK, kind="chapters")


def test_the_most_trusted_that_says_any() -> None:
    parts = [part(5000, None, "Part")]
    all_of_it = video(chapters=PAGE, subtitles=[CHAPTERS], description=DESCRIPTION)
    assert video_chapters(all_of_it, parts) == [
        VideoChapter(0, 30_000, "One", "page"),
        VideoChapter(30_000, 70_000, "", "page"),
    ]
    assert video_chapters({**all_of_it, "chapters": []}, parts) == [
        VideoChapter(0, 20_000, "A & b", "track"),
        VideoChapter(20_000, DURATION, "C d", "track"),
    ]
    assert video_chapters(video(description=DESCRIPTION), parts) == [
        VideoChapter(5000, DURATION, "Part", "schema:hasPart")
    ]
    assert video_chapters(video(description=DESCRIPTION)) == [
        VideoChapter(0, 10_000, "Begin", "description"),
        VideoChapter(10_000, 50_000, "Middle", "description"),
        VideoChapter(50_000, DURATION, "End", "description"),
    ]
    assert video_chapters(video()) == []


def test_subtitles_are_no_chapters() -> None:
    assert video_chapters(video(subtitles=[track(TRACK), track(TRACK, kind="subtitles")])) == []
    broken = track("no cues", kind="chapters")
    assert [found.source for found in video_chapters(video(subtitles=[broken, CHAPTERS]))] == ["track", "track"]
    assert video_chapters(video(subtitles=[broken], description=DESCRIPTION))[0].source == "description"


def test_parts_without_an_end() -> None:
    parts = [part(30_000, None, "c"), part(0, None, "a"), part(10_000, 15_000, "b"), part(0, None, "a")]
    found = video_chapters(video(), [*parts, part(55_000, 99_000, "d"), part(60_000, None, "e"), part(5, 5, "f")])
    assert [row[:3] for row in found] == [
        (0, 5, "a"),
        (10_000, 15_000, "b"),
        (30_000, 55_000, "c"),
        (55_000, 60_000, "d"),
    ]


@pytest.mark.parametrize(
    ("title", "clean"),
    [(" a\tb\n c\u2028d ", "a b c d"), ("a\x00b\ud800c", "a bc"), ("\x00", ""), ("x" * 501, "x" * MAX_TITLE),
     ("x" * 499 + " y", "x" * 499)],
)  # fmt: skip
def test_titles_are_clean(title: str, clean: str) -> None:
    assert video_chapters(video(chapters=[chapter(0, 1, title)]))[0].title == clean


times = st.integers(0, 2 * DURATION)
parts_of = st.builds(part, times, times | st.none(), st.text(max_size=5))


@given(st.lists(parts_of, max_size=8), st.integers(0, DURATION), st.sampled_from([None, DESCRIPTION, "0:00 x"]))
def test_parts_lie_in_the_video_and_in_order(
    parts: list[dict[str, Any]], duration: int, description: str | None
) -> None:
    found = video_chapters(video(duration_ms=duration, description=description), parts)
    assert [row.start_ms for row in found] == sorted(row.start_ms for row in found)
    ends = [duration if row["end_ms"] is None else row["end_ms"] for row in parts]
    inside = [row for row, end in zip(parts, ends, strict=True) if row["start_ms"] < min(duration, end)]
    if inside:
        said = {(row["start_ms"], " ".join(row["text"].replace("\0", " ").split())) for row in inside}
        assert {(row.start_ms, row.title) for row in found} == said
        assert all(row.start_ms < row.end_ms <= duration for row in found)
    else:
        assert [row[:3] for row in found] == parse_chapters(description or "", duration)


def test_a_real_track_of_chapters(real_data: Path) -> None:
    text = (real_data / "video_text" / "subtitles" / "elephantsdream.chapters.en.vtt").read_text("utf-8")
    found = video_chapters(video(duration_ms=653_804, subtitles=[track(text, kind="chapters")]))
    assert len(found) == text.count("-->")
    assert found[0] == VideoChapter(0, 27_500, "Prologue", "track")
    assert all(row.title for row in found)
    assert all(row.end_ms <= 653_804 for row in found)


def test_marks_of_chapters_that_only_the_description_has() -> None:
    marks = [Mark(0, 10_000, "Begin"), Mark(10_000, 50_000, "Middle"), Mark(50_000, DURATION, "End")]
    assert marks_of("chapters", video(description=DESCRIPTION)) == marks
    assert marks_of("subtitles", video(description=DESCRIPTION)) == []
    assert marks_of("chapters", video(chapters=PAGE, description=DESCRIPTION)) == [
        Mark(0, 30_000, "One"),
        Mark(30_000, 70_000, ""),
    ]
