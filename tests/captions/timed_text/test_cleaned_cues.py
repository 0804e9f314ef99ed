"""Cleaning: words of roll-up captions once, at their first time; marks of speakers, sounds and markup gone."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.timed_text import Cue, Word, clean, read_cues
from curation.captions.timed_text.rolling import SHORT_MS
from curation.captions.timed_text.webvtt import webvtt_time

Line = list[tuple[int, str]]

_TOKENS = st.sampled_from(["so", "no", "a", "the", "dog", "runs", "OK", "it's", "5", "là"])


@st.composite
def spoken(draw: st.DrawFn) -> list[Line]:
    """Lines of words with the times at which they begin, all different."""
    lines = []
    now = draw(st.integers(0, 5000))
    for _ in range(draw(st.integers(1, 8))):
        line = []
        for _ in range(draw(st.integers(1, 5))):
            line.append((now, draw(_TOKENS)))
            now += draw(st.integers(120, 900))
        lines.append(line)
    return lines


def ends(lines: list[Line]) -> list[int]:
    """When the line's time is over: when the next begins."""
    return [*(line[0][0] for line in lines[1:]), lines[-1][-1][0] + 700]


def plain(line: Line) -> str:
    return " ".join(text for _, text in line)


def automatic_vtt(lines: list[Line]) -> str:
    """As YouTube writes it: the line before above each, and 10 ms of the finished line alone."""
    cues, above = ["WEBVTT\nKind: captions\nLanguage: en\n"], " "
    for line, end in zip(lines, ends(lines), strict=True):
        said = line[0][1] + "".join(f"<{webvtt_time(ms)}><c> {text}</c>" for ms, text in line[1:])
        place = " align:start position:0%"
        cues.append(f"{webvtt_time(line[0][0])} --> {webvtt_time(end - 10)}{place}\n{above}\n{said}\n")
        cues.append(f"{webvtt_time(end - 10)} --> {webvtt_time(end)}{place}\n{plain(line)}\n \n")
        above = plain(line)
    return "\n".join(cues)


def automatic_json3(lines: list[Line]) -> str:
    """Each line stays until the one after the next."""
    events: list[object] = []
    over = ends(lines)
    for line, end in zip(lines, [*over[1:], over[-1]], strict=True):
        start = line[0][0]
        segments = [{"utf8": line[0][1]}, *({"utf8": f" {text}", "tOffsetMs": ms - start} for ms, text in line[1:])]
        events.append({"tStartMs": start, "dDurationMs": end - start, "wWinId": 1, "segs": segments})
        events.append({"tStartMs": start + 1, "dDurationMs": 9, "wWinId": 1, "aAppend": 1, "segs": [{"utf8": "\n"}]})
    return json.dumps({"events": events})


def word_by_word(lines: list[Line]) -> str:
    """As live captions are written: a word more in every cue, the finished line above."""
    moments = [
        (ms, above, line[: place + 1]) for above, line in pairwise([[], *lines]) for place, (ms, _) in enumerate(line)
    ]
    cues = ["WEBVTT\n"]
    for (ms, above, said), end in zip(moments, [*(ms for ms, _, _ in moments[1:]), ends(lines)[-1]], strict=True):
        cues.append(f"{webvtt_time(ms)} --> {webvtt_time(end)}\n{plain(above)}\n{plain(said)}\n".replace("\n\n", "\n"))
    return "\n".join(cues)


def rows(lines: list[Line], size: int) -> str:
    """Broadcast captions in so many rows that roll, without times of words."""
    cues = []
    for number, (line, end) in enumerate(zip(lines, ends(lines), strict=True)):
        shown = "\n".join(map(plain, lines[max(0, number - size + 1) : number + 1]))
        cues.append(f"{number}\n{webvtt_time(line[0][0])} --> {webvtt_time(end)}\n{shown}\n")
    return "\n".join(cues)


@given(spoken())
def test_automatic_captions_say_each_word_once_when_it_begins(lines: list[Line]) -> None:
    expected = [word for line in lines for word in line]
    for text in (automatic_vtt(lines), automatic_json3(lines)):
        heard = []
        for cue in clean(read_cues(text)):
            words = cue.words or [Word(cue.start_ms, cue.text)]  # a line of one word has no times besides its own
            assert [word.text for word in words] == cue.text.split()
            heard += words
        assert heard == expected


@given(spoken(), st.integers(2, 4))
def test_rows_that_roll_say_each_line_once(lines: list[Line], size: int) -> None:
    found = clean(read_cues(rows(lines, size)))
    if len(lines) > 2 or (len(lines) == 2 and plain(lines[0]) != plain(lines[1])):
        assert " ".join(cue.text for cue in found) == " ".join(map(plain, lines)) or _is_ambiguous(lines)
        assert {cue.start_ms for cue in found} <= {line[0][0] for line in lines}


def _is_ambiguous(lines: list[Line]) -> bool:
    """A line that is said again at once looks as if it had stayed."""
    return any(plain(one).endswith(plain(two)) or plain(two).startswith(plain(one)) for one, two in pairwise(lines))


def test_lines_written_word_by_word() -> None:
    lines = [[(0, "the"), (400, "dog"), (900, "runs")], [(1500, "after"), (1900, "the")], [(3000, "and")]]
    found = clean(read_cues(word_by_word(lines)))
    assert [(cue.start_ms, cue.text) for cue in found] == [word for line in lines for word in line]


def test_after_a_silence_nothing_is_taken_for_a_repeat() -> None:
    text = automatic_vtt([[(0, "no"), (500, "no")], [(1500, "no")]])
    again = Cue(60_000, 61_000, "no")
    assert [cue.text for cue in clean([*read_cues(text), again])] == ["no no", "no", "no"]


@pytest.mark.parametrize(("length", "count"), [(SHORT_MS, 1), (SHORT_MS + 1, 2)])
def test_a_short_cue_only_holds_what_was_said(length: int, count: int) -> None:
    cues = [Cue(0, 1000, "No."), Cue(1000, 1000 + length, "No.")]
    assert len(clean(cues)) == count


def test_what_is_said_twice_by_hand_stays() -> None:
    cues = [Cue(0, 1000, "No."), Cue(1000, 2000, "No."), Cue(2000, 3000, "Where to?"), Cue(3000, 4000, "To the\nsea.")]
    assert clean(cues) == [*cues[:3], Cue(3000, 4000, "To the sea.")]
    row = ["Row, row", "Row, row your boat", "gently", "down the stream"]
    sung = [Cue(1000 * place, 1000 * place + 1000, text) for place, text in enumerate(row)]
    assert clean(sung) == sung


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (">> Hello.\n>> Hi.", "Hello. Hi."),
        (">>> Now the news. >> Thank you", "Now the news. Thank you"),
        ("x>>1", "x>>1"),
        ("- Yes.\n- No.", "Yes. No."),
        ("-Yes.\n–Non.", "Yes. Non."),
        ("-5 degrees\n--well", "-5 degrees --well"),
        ("well-known - yes", "well-known - yes"),
        ("JOHN: Hello", "Hello"),
        ("DR. O'NEIL #2: Hello\nMAN:\nHi", "Hello Hi"),
        ("- [sighs] ANNA: (whispers) Go!", "Go!"),
        ("John: Hello", "John: Hello"),
        ("THIS IS A LONG SENTENCE: STOP", "THIS IS A LONG SENTENCE: STOP"),
        ("at 5:30", "at 5:30"),
        ("NOW:GO", "NOW:GO"),
        ("[Music]", None),
        ("[MUSIC\nPLAYING] Hello [laughs]", "Hello"),
        ("【拍手】こんにちは", "こんにちは"),
        ("(applause)", None),
        ("(laughs) Hi (you) there", "Hi (you) there"),
        ("Hi. (LAUGHING LOUDLY) Stop!", "Hi. Stop!"),
        ("the (NASA) probe", "the (NASA) probe"),
        ("(x + 1) is odd", "(x + 1) is odd"),
        ("(about 5) left", "(about 5) left"),
        ("(a) is odd", "(a) is odd"),
        ("（笑い）はい", "はい"),
        ("♪ la la ♪", "la la"),
        ("♪♪", None),
        ("...", None),
        ("…and  then\n\tit stopped", "…and then it stopped"),
        ("Tom &amp; <i>Jerry</i> {\\an8}&#39;s &lt;b&gt;", "Tom & Jerry 's"),
        ("a < b > c & d", "a < b > c & d"),
        ("\u200bzero\ufeff", "zero"),
        ("a\0b", "ab"),
        (" \u3000 ", None),
    ],
)
def test_what_is_not_said_is_taken_out(text: str, said: str | None) -> None:
    assert clean([Cue(0, 9, text)]) == ([] if said is None else [Cue(0, 9, said)])


def test_words_go_with_the_text() -> None:
    texts = [">>", "[Music", "loud]", "Tom&amp;", "(you)", "<i>R&amp;B</i>", "♪"]
    words = tuple(Word(ms, text) for ms, text in enumerate(texts))
    cue = clean([Cue(0, 9, " ".join(word.text for word in words), words)])[0]
    assert cue == Cue(0, 9, "Tom& (you) R&B", (Word(3, "Tom&"), Word(4, "(you)"), Word(5, "R&B")))


_TEXTS = st.text("ab A:-–>[]()♪&;<i>{\\}.。你 \n\0 ", max_size=30)
_CUES = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 2000), _TEXTS).map(lambda row: Cue(row[0], row[0] + row[1], row[2])),
    max_size=6,
)


@given(_CUES)
def test_cleaned_cues_are_ordered_lines_that_say_something(cues: list[Cue]) -> None:
    found = clean(cues)
    assert [cue.start_ms for cue in found] == sorted(cue.start_ms for cue in found)
    for cue in found:
        assert cue.text == " ".join(cue.text.split())
        assert any(character.isalnum() for character in cue.text)
        assert "\0" not in cue.text


@given(_CUES)
def test_cleaning_of_plain_lines_changes_nothing(cues: list[Cue]) -> None:
    spread = [Cue(10_000 * place, 10_000 * place + 900, f"Line {place}, word.") for place, _ in enumerate(cues)]
    assert clean(spread) == spread
