"""Bounds out of a video's own texts: chapters, and cues of subtitles in whatever format they came."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.media.video.marks import cues, marks_of
from curation.media.video.splitting import Mark

VTT = """WEBVTT

NOTE a remark

intro
00:01.000 --> 00:02.500 align:start
<v Bob>Hello <b>there</b>
you

01:00:03.000 --> 01:00:04.000
Bye &amp; thanks
"""
SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n"
TTML = """<tt xmlns="http://www.w3.org/ns/ttml"><body><div>
<p begin="00:00:01.000" end="00:00:02.500">Hello</p></div></body></tt>"""
DATA = Path(os.environ.get("CURATION_REAL_DATA", Path(__file__).parents[3] / ".." / "shared" / "data"))


def video(**texts: Any) -> dict[str, Any]:
    return {"chapters": [], "subtitles": [], **texts}


def track(text: str, *, automatic: bool = False) -> dict[str, Any]:
    return {"lang": "en", "automatic": automatic, "format": "vtt", "text": text}


def test_webvtt_without_its_markup() -> None:
    assert cues(VTT) == [Mark(1000, 2500, "Hello there you"), Mark(3_603_000, 3_604_000, "Bye & thanks")]


def test_subrip() -> None:
    assert cues(SRT) == [Mark(1000, 2500, "Hello"), Mark(3000, 4000, "Bye")]


def test_ttml() -> None:
    assert cues(TTML) == [Mark(1000, 2500, "Hello")]


@given(st.text(max_size=300) | st.text("0123456789:.,-> \nWEBVTT<>", max_size=300))
def test_any_text_gives_marks_or_none(text: str) -> None:
    for each in (text, f"WEBVTT\n\n{text}", f"1\n{text}"):
        assert all(isinstance(mark, Mark) for mark in cues(each))


def test_chapters_as_they_are() -> None:
    chapters = [{"start_ms": 0, "end_ms": 10, "title": "a"}, {"start_ms": 10, "end_ms": 30, "title": "b"}]
    assert marks_of("chapters", video(chapters=chapters)) == [Mark(0, 10, "a"), Mark(10, 30, "b")]
    assert marks_of("shots", video(chapters=chapters)) == []


def test_subtitles_by_hand_come_before_those_of_a_machine() -> None:
    machine, empty, hand = track(SRT, automatic=True), track("WEBVTT\n"), track(VTT)
    assert marks_of("subtitles", video(subtitles=[machine, empty, hand])) == cues(VTT)
    assert marks_of("subtitles", video(subtitles=[machine, empty])) == cues(SRT)
    assert marks_of("subtitles", video()) == []


@pytest.mark.skipif(not DATA.is_dir(), reason="no real data (CURATION_REAL_DATA)")
def test_real_subtitles_are_read() -> None:
    files = [path for path in (DATA / "video_text" / "subtitles").rglob("*") if path.suffix in (".vtt", ".srt")]
    assert files
    for path in files:
        found = cues(path.read_text("utf-8-sig"))
        lines = path.read_text("utf-8-sig").count("-->")
        assert len(found) == lines, path
        assert all(mark.start_ms < mark.end_ms and mark.text for mark in found), path
