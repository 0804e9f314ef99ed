"""Segments of a subtitle playlist as one track: one clock, no cue twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.timed_text import Cue, Word, clean, join_segments, read_cues, read_track
from curation.captions.timed_text.webvtt import webvtt_time, write_webvtt

Rows = list[tuple[int, int, str]]

WRAP = 1 << 33


def segment(rows: Rows, ticks: int | None = 900_000, local: int = 0) -> str:
    head = "" if ticks is None else f"\nX-TIMESTAMP-MAP=MPEGTS:{ticks % WRAP},LOCAL:{webvtt_time(local)}"
    return write_webvtt(rows).replace("WEBVTT", f"WEBVTT{head}", 1)


def joined(*texts: str) -> Rows:
    return [cue[:3] for cue in read_cues(join_segments(texts))]


@st.composite
def told(draw: st.DrawFn) -> Rows:
    """Cues in order, with pauses between them."""
    rows, now = [], 0
    for number in range(draw(st.integers(0, 12))):
        start = now + draw(st.integers(1, 5000))
        now = start + draw(st.integers(1, 9000))
        rows.append((start, now, f"cue {number % 5}"))
    return rows


_KINDS = st.sampled_from(["whole", "cut", "own clock", "late clock"])


@given(told(), st.integers(1000, 10_000), _KINDS, st.integers(0, WRAP))
def test_segments_are_the_track(rows: Rows, length: int, kind: str, first: int) -> None:
    """Cut by players' ways: cues in each segment that they touch, whole or cut; times from the segment's begin."""
    texts = []
    for begin in range(0, (rows[-1][1] if rows else 0) + 1, length):
        inside = [row for row in rows if row[0] < begin + length and row[1] > begin]
        if kind == "cut":
            inside = [(max(start, begin), min(end, begin + length), text) for start, end, text in inside]
        if kind == "own clock":
            inside = [(max(start - begin, 0), min(end - begin, length), text) for start, end, text in inside]
            texts.append(segment(inside, first + 90 * begin))
        elif kind == "late clock":
            shifted = [(start + 3_600_000, end + 3_600_000, text) for start, end, text in inside]
            texts.append(segment(shifted, first + 90 * begin, 3_600_000 + begin))
        else:
            texts.append(segment(inside, first))
    assert joined(*texts) == rows


def test_times_of_words_move_with_the_cue() -> None:
    rows = [(0, 2000, "a <00:00:01.000>b")]
    text = join_segments([segment([], 0), segment(rows, 90 * 10_000)])
    assert read_cues(text) == [Cue(10_000, 12_000, "a b", (Word(10_000, "a"), Word(11_000, "b")))]


def test_what_is_said_twice_stays() -> None:
    twice = [(0, 1000, "No."), (1000, 2000, "No.")]
    assert joined(segment(twice)) == twice
    assert joined(segment(twice[:1]), segment([(1500, 2000, "No.")])) == [(0, 1000, "No."), (1500, 2000, "No.")]


def test_the_clock_goes_on_after_33_bits() -> None:
    parts = [segment([(0, 900, f"cue {number}")], WRAP - 90_000 + 90_000 * number) for number in range(4)]
    assert joined(*parts) == [(1000 * number, 1000 * number + 900, f"cue {number}") for number in range(4)]


def test_ten_hours_later_it_is_right_to_the_millisecond() -> None:
    assert joined(segment([], 7), segment([(0, 1, "a")], 7 + 90_000 * 36_000)) == [(36_000_000, 36_000_001, "a")]


def test_segments_without_a_clock_keep_to_that_of_the_one_before() -> None:
    rows: Rows = [(5000, 6000, "a")]
    assert joined(segment(rows, None), segment([(7000, 8000, "b")], None)) == [(5000, 6000, "a"), (7000, 8000, "b")]
    moved = joined(segment([], 0), segment([(0, 500, "a")], 90_000), segment([(1000, 1500, "b")], None))
    assert moved == [(1000, 1500, "a"), (2000, 2500, "b")]


_BACKWARDS = "WEBVTT\n\nNOTE\n\n00:05.000 --> 00:01.000\na\n"


@pytest.mark.parametrize("text", ["", "\0\0\0\x18ftyp", "<html>", "WEBVTT", _BACKWARDS])
def test_what_says_nothing_adds_nothing(text: str) -> None:
    good = segment([(0, 1000, "a")])
    assert joined(text, good, text) == [(0, 1000, "a")]
    assert read_track(join_segments([text])) == ([], "vtt", 0)
    assert read_track(join_segments([])) == ([], "vtt", 0)


_MAPS = [
    *("MPEGTS:1", "LOCAL:00:00.000", "MPEGTS:x,LOCAL:00:00.000", "MPEGTS:99999999999999999999,LOCAL:1", ""),
    *("MPEGTS:5,LOCAL:x", "MPEGTS:5,LOCAL:99:99:99.999"),
]


@pytest.mark.parametrize("told_map", _MAPS)
def test_a_broken_map_is_none_and_never_raises(told_map: str) -> None:
    text = f"WEBVTT\nX-TIMESTAMP-MAP={told_map}\n\n00:01.000 --> 00:02.000\na\n"
    assert joined(text) == [(1000, 2000, "a")]


_SOUP = st.text("WEBVT\n0:1.->ab<X-TIMESTAMP=MPEGTS,LOCAL", max_size=80)


@given(st.lists(_SOUP.map(lambda text: f"WEBVTT\n{text}"), max_size=4))
def test_any_segments_are_joined(texts: list[str]) -> None:
    clean(read_cues(join_segments(texts)))
