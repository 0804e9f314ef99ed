"""Timed text of every format: equal to what an established parser reads, told by content, whatever comes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from html import unescape
from pathlib import Path
from xml.sax.saxutils import escape

import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.timed_text import Cue, TimedTextError, clean, read_cues, read_track, sentences
from curation.captions.timed_text.cues import LONGEST_MS
from curation.captions.timed_text.webvtt import webvtt_time

Told = list[tuple[int, int, str]]

_WORDS = st.text("abcdefghijklmnopqrstuvwxyzäéßАБв你好はい ,.?!'\"-:;()#%", min_size=1, max_size=30).map(
    lambda text: " ".join(text.split())
)
_LINES = st.lists(_WORDS.filter(lambda line: any(letter.isalpha() for letter in line)), min_size=1, max_size=3)
_CUES = st.lists(
    st.tuples(st.integers(0, 35_000_000), st.integers(10, 9_000), _LINES.map("\n".join)), min_size=1, max_size=8
).map(lambda rows: [(start // 10 * 10, start // 10 * 10 + length // 10 * 10, text) for start, length, text in rows])


def told(text: str) -> Told:
    return [(cue.start_ms, cue.end_ms, cue.text) for cue in read_cues(text)]


def by_peer(text: str) -> Told:
    """pysubs2's reading. It keeps the space before a line's end, and leaves references as they are."""
    return [(event.start, event.end, unescape(event.plaintext).strip()) for event in pysubs2.SSAFile.from_string(text)]


def written(rows: Told, form: str) -> str:
    file = pysubs2.SSAFile()
    for start, end, text in rows:
        event = pysubs2.SSAEvent(start=start, end=end)
        event.plaintext = text
        file.append(event)
    return file.to_string(form)


@pytest.mark.parametrize("form", ["vtt", "srt", "ass", "ttml"])
@given(rows=_CUES)
def test_equal_to_the_peer_on_generated_files(form: str, rows: Told) -> None:
    text = written(rows, form)
    track = read_track(text)
    assert (track.format, track.skipped) == (form, 0)
    assert told(text) == by_peer(text)
    assert sorted(told(text)) == sorted(rows)


def test_equal_to_the_peer_on_real_files(real_data: Path) -> None:
    counts = {}
    for path in sorted((real_data / "video_text" / "subtitles").glob("*.[vs][tr]t")):
        text = path.read_text("utf-8-sig")
        assert told(text) == by_peer(text), path
        counts[path.name] = len(told(text))
    assert sum(counts.values()) > 900, counts


def _srv3(rows: Told) -> str:
    body = "".join(f'<p t="{start}" d="{end - start}">{escape(text)}</p>' for start, end, text in rows)
    head = '<?xml version="1.0" encoding="utf-8" ?><timedtext format="3"><head><ws id="0"/></head>'
    return f"{head}<body>{body}</body></timedtext>"


def _srv1(rows: Told) -> str:
    twice = "".join(
        f'<text start="{start / 1000}" dur="{(end - start) / 1000}">{escape(escape(text))}</text>'
        for start, end, text in rows
    )
    return f'<?xml version="1.0" encoding="utf-8" ?><transcript>{twice}</transcript>'


def _srv2(rows: Told) -> str:
    body = "".join(f'<text t="{start}" d="{end - start}">{escape(text)}</text>' for start, end, text in rows)
    return f"<timedtext>{body}</timedtext>"


def _json3(rows: Told) -> str:
    events: list[object] = [{"tStartMs": 0, "dDurationMs": 9, "id": 1, "wpWinPosId": 1}]
    events += [{"tStartMs": start, "dDurationMs": end - start, "segs": [{"utf8": text}]} for start, end, text in rows]
    return json.dumps({"wireMagic": "pb3", "pens": [{}], "events": events})


@pytest.mark.parametrize("write", [_srv1, _srv2, _srv3, _json3])
@given(rows=_CUES)
def test_formats_of_youtube_say_what_was_written(write: Callable[[Told], str], rows: Told) -> None:
    assert told(write(rows)) == rows


@given(_CUES, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["", "\ufeff"]), st.sampled_from(["", "json3"]))
def test_line_ends_marks_and_names_do_not_matter(rows: Told, end: str, mark: str, name: str) -> None:
    for form in ("vtt", "srt", "ass", "ttml"):
        text = written(rows, form)
        assert read_cues(mark + text.replace("\n", end), name) == read_cues(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("Hello", "begins with 'Hello'"),
        ("WEBVTTX\n", "begins with"),
        ("<html><body>Not found</body></html>", "<html>"),
        ("<!doctype html><title>Not found</title>", "malformed XML"),
        ("<tt", "malformed XML"),
        ("{}", "not YouTube's json3"),
        ('{"events": 3}', "not YouTube's json3"),
        ("[1, 2]", "begins with"),
        ("a --> b", "begins with"),
    ],
)
def test_what_is_no_timed_text_is_told(text: str, words: str) -> None:
    with pytest.raises(TimedTextError, match="no timed text") as caught:
        read_track(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_name_is_said_with_the_error() -> None:
    with pytest.raises(TimedTextError, match="said to be vtt"):
        read_track("Gone", "vtt")


@pytest.mark.parametrize("text", ["WEBVTT", "WEBVTT\n\n", '{"events": []}', "<tt/>", "<timedtext/>", "[Script Info]\n"])
def test_a_track_without_cues_is_a_track(text: str) -> None:
    assert read_track(text)[::2] == ([], 0)


@pytest.mark.parametrize("entity", ['a "aaaaaaaaaa"', 'a "a"><!ENTITY b "&a;&a;"', 'a SYSTEM "file:///etc/passwd"'])
def test_entities_are_refused(entity: str) -> None:
    with pytest.raises(TimedTextError, match="entities"):
        read_track(f"<!DOCTYPE tt [<!ENTITY {entity}>]><tt><body><p begin='0s' end='1s'>&a;</p></body></tt>")


_PIECES = [
    *("WEBVTT", "\n", "\n\n", "-->", "00:01.000", "00:00:02,000", "<", ">", "<c>", "<00:00:01.000>", "&amp;", "&#0;"),
    *("\\an8", "[", "]", "(", ")", ">>", "- ", "NAME:", "♪", "a", "你", ".", "\0", "\ud800", "\r", "{", "}"),
    *("<tt>", "<p begin='1s' end='2s'>", "</p>", "<span begin='9h'>", "<timedtext>", "<p t='1' d='5'>", "Dialogue: "),
    *('{"events":[', '{"segs":', "[Events]\n"),
]
_ANY = st.lists(st.sampled_from(_PIECES), max_size=60).map("".join) | st.text(max_size=200)


@given(_ANY, st.sampled_from(["", *_PIECES]))
def test_any_text_is_read_or_refused(text: str, begin: str) -> None:
    try:
        track = read_track(begin + text)
    except TimedTextError:
        return
    for cues in (track.cues, clean(track.cues), sentences(clean(track.cues))):
        for cue in cues:
            _check(cue)


def _check(cue: Cue) -> None:
    cue.text.encode()
    assert 0 <= cue.start_ms < cue.end_ms < 2 * LONGEST_MS
    times = [word.start_ms for word in cue.words]
    assert times == sorted(times)
    assert all(cue.start_ms <= moment <= cue.end_ms for moment in times)
    if cue.words:
        assert "".join(word.text for word in cue.words) == "".join(cue.text.split())


_HEAD = "WEBVTT\n\n00:00.000 --> 00:09.000\n"
_EVENT = '{"segs":[{"utf8":"a"}],"tStartMs":1,"dDurationMs":2},'
_REPEATED = {
    _HEAD: [
        *("<", "<a", "<c>", "<00:00:01.000>", "&", "&amp", "[", "(", "{\\", "-->", ">>", "♪", ".", "-", "你。", "A:"),
        *("\ud800", "a. ", " ", "\n", "\n\n"),
    ],
    "1\n00:00:00,000 --> 00:00:09,000\n": [
        *("<", "<i", "{", "{\\", "1\n", "\n", "-->\n", "9-->", "00:00:00,000 --> 00:00:09,000\n")
    ],
    "[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,,,,,,,": ["{", "{\\p1}", ",", "\\N", "Dialogue:\n", "{\\p1\\p0}"],
    "<tt><body><p begin='0s' end='9s'>": ["<p>", "<span begin='1s'>", "<br/>", "&amp;", "a"],
    "<timedtext><body><p t='0' d='9'>": ["<p>", "<s t='1'>", "<br/>", "&amp;"],
    '{"events":[': ["[", "{", _EVENT, "1,", '{"tStartMs":1e999},', '{"x":['],
    "": ["\n", " ", "0", "-->", "WEBVTT", "<", "{", "[", "\ufeff"],
}


@pytest.mark.parametrize(("head", "piece"), [(head, piece) for head in _REPEATED for piece in _REPEATED[head]])
def test_time_is_linear(head: str, piece: str) -> None:
    def seconds(size: int) -> float:
        begun = time.process_time()
        with suppress(TimedTextError):
            sentences(clean(read_cues(head + piece * (size // len(piece)))))
        return time.process_time() - begun

    assert seconds(400_000) < 0.5 + 10 * max(seconds(100_000), seconds(100_000))


def test_times_are_read_to_the_millisecond() -> None:
    for moment in (0, 1, 999, 59_999, 3_599_999, 3_600_000, 359_999_999, 360_000_000):
        text = f"WEBVTT\n\n{webvtt_time(moment)} --> {webvtt_time(moment + 1)}\na\n"
        assert told(text) == [(moment, moment + 1, "a")]
