"""WebVTT and SubRip by their rules."""

from __future__ import annotations

import re
from operator import mul

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.captions.timed_text import Cue, Word, read_cues, read_track

VTT = """WEBVTT - a title
Kind: captions
Language: en

NOTE
a remark
over two lines

STYLE
::cue { color: red }

REGION
id:fred

intro
00:01.000 --> 00:02.500 align:start position:0%
<v Bob>Hello <b.loud>there</b></v>
you &amp; me &lt;3

100:00:03.000\t-->\t100:00:04.000\tline:0
Bye
"""


def by_the_standard(text: str) -> list[tuple[int, int, str]]:
    """The parser's algorithm of the standard (6.1), line by line: cues with the text below them, markup and all."""
    lines = text.split("\n")
    place, cues = 1, list[tuple[int, int, str]]()
    while place < len(lines):
        if not lines[place]:
            place += 1
            continue
        count, seen_arrow, times, body = 0, False, None, list[str]()
        while place < len(lines):
            line = lines[place]
            count += 1
            if "-->" in line:
                if count != 1 and (count != 2 or seen_arrow):
                    break
                seen_arrow, times, body = True, _times(line), []
            elif not line:
                break
            else:
                body.append(line)
            place += 1
        if times is not None and times[0] < times[1]:
            cues.append((*times, "\n".join(body)))
    return cues


def _times(line: str) -> tuple[int, int] | None:
    stamp = r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
    found = re.match(rf"[ \t]*{stamp}[ \t]*-->[ \t]*{stamp}", line)
    if found is None:
        return None
    parts = [int(part or 0) for part in found.groups()]
    units = (3_600_000, 60_000, 1000, 1)
    one, two = (sum(map(mul, half, units)) for half in (parts[:4], parts[4:]))
    return one, two


_SOUP = st.lists(
    st.sampled_from(
        [
            *("", "", "00:01.000 --> 00:02.000", "00:03.000 --> 01:00:04.500 line:0", "00:05.000 --> 00:04.000"),
            *("NOTE a", "a", "b c", "7", "STYLE", "x --> y", "00:01.000 --> soon", "-->", "00:06.000-->00:07.000"),
        ]
    ),
    max_size=30,
)


@given(_SOUP)
def test_cues_are_those_of_the_standard(lines: list[str]) -> None:
    text = "\n".join(["WEBVTT", *lines])
    assert [cue[:3] for cue in read_cues(text)] == by_the_standard(text)


def words(*rows: tuple[int, str]) -> tuple[Word, ...]:
    return tuple(Word(*row) for row in rows)


def test_blocks_and_markup() -> None:
    assert read_track(VTT) == (
        [Cue(1000, 2500, "Hello there\nyou & me <3"), Cue(360_003_000, 360_004_000, "Bye")],
        "vtt",
        0,
    )


def test_what_cannot_be_read_is_counted() -> None:
    times = ["x 00:02.000 --> 00:03.000", "00:01.000 --> later", "00:02.000 --> 00:02.000", "00:60.000 --> 02:00.000"]
    text = "WEBVTT\n\n" + "".join(f"{line}\na\n\n" for line in times)
    assert read_track(text + "\n00:05.000 --> 00:06.000\ne") == ([Cue(5000, 6000, "e")], "vtt", 4)


def test_an_arrow_begins_a_cue_and_an_empty_line_ends_it() -> None:
    text = "WEBVTT\n00:01.000 --> 00:02.000\na\n2\n00:02.000 --> 00:03.000\nb\n\nlost\n"
    text += "00:04.000 --> 00:05.000\n\nlost\n"
    assert read_cues(text) == [Cue(1000, 2000, "a\n2"), Cue(2000, 3000, "b"), Cue(4000, 5000, "")]


def test_signs_that_are_no_markup_stay() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n1 < 2 & 3 > 2 {x} AT&T <3\n"
    assert read_cues(text)[0].text == "1 < 2 & 3 > 2 {x} AT&T <3"


def test_times_of_words() -> None:
    said = "one<00:00:02.000><c> two</c><00:00:03.000><c> th</c><00:00:03.500><c>ree four</c>"
    cue = read_cues(f"WEBVTT\n\n00:01.000 --> 00:05.000\n{said}\n")[0]
    assert cue.text == "one two three four"
    assert cue.words == words((1000, "one"), (2000, "two"), (3000, "three"), (3500, "four"))


def test_times_of_words_never_fall_nor_leave_the_cue() -> None:
    text = "WEBVTT\n\n00:02.000 --> 00:05.000\na <00:00:01.000>b <00:00:04.000>c <00:00:03.000>d <00:09.000>e\n"
    assert read_cues(text)[0].words == words((2000, "a"), (2000, "b"), (4000, "c"), (4000, "d"), (5000, "e"))


def test_words_of_scripts_without_spaces() -> None:
    said = "<00:00:02.500><c>今日</c><00:00:03.000><c>は</c><00:00:04.000><c> OK</c>"
    cue = read_cues(f"WEBVTT\n\n00:02.000 --> 00:05.000\n{said}\n")[0]
    assert (cue.text, cue.words) == ("今日は OK", words((2500, "今日"), (3000, "は"), (4000, "OK")))


def test_local_time_of_a_segment() -> None:
    head = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:01:00:00.000\n\n"
    text = head + "01:00:01.000 --> 01:00:03.000\na <01:00:02.000>b\n\n00:00:00.000 --> 00:00:01.000\nbefore\n"
    assert read_track(text) == ([Cue(1000, 3000, "a b", words((1000, "a"), (2000, "b")))], "vtt", 1)
    turned = text.replace("MPEGTS:900000,LOCAL:01:00:00.000", "LOCAL:01:00:00.000,MPEGTS:900000")
    assert read_track(turned) == read_track(text)


SRT = """1
00:00:01,000 --> 00:00:02,500 X1:100 X2:600 Y1:050 Y2:100
{\\an8}<i>Hello</i> <font color="#ff0000">there</font>

2
0:00:03.5 --> 0:00:04.25
- Yes

- two paragraphs
3

00:00:05,000 --> 00:00:06,000
the number is missing, this was said:
42

00:00:07,000 --> 00:00:08,000
4
00:00:09,000 --> 00:00:10,000
7
"""


def test_subrip() -> None:
    assert read_track(SRT) == (
        [
            Cue(1000, 2500, "Hello there"),
            Cue(3500, 4250, "- Yes\n\n- two paragraphs\n3"),
            Cue(5000, 6000, "the number is missing, this was said:\n42"),
            Cue(7000, 8000, ""),
            Cue(9000, 10_000, "7"),
        ],
        "srt",
        0,
    )


@pytest.mark.parametrize("number", ["2\n", "\n2\n", "\n\n2\n", "\n2\n\n", "2 \n", ""])
def test_numbers_of_cues_are_not_said(number: str) -> None:
    text = f"1\n00:00:01,000 --> 00:00:02,000\na\n{number}00:00:03,000 --> 00:00:04,000\nb"
    assert read_cues(text) == [Cue(1000, 2000, "a"), Cue(3000, 4000, "b")]


def test_arrows_in_subrip() -> None:
    head = "1\n00:00:01,000 --> 00:00:02,000\n"
    assert read_track(f"{head}x --> y\nz\n") == ([Cue(1000, 2000, "x --> y\nz")], "srt", 0)
    assert read_track(f"{head}a\n\n2\n-00:00:03,000 --> 00:00:04,000\nb\n") == ([Cue(1000, 2000, "a")], "srt", 1)


def test_times_of_which_one_cannot_be_read() -> None:
    for line in ("00:00:01,000 --> x", "0x --> 00:00:01,000", "00:00:01,000 --> 00:00:00,500"):
        text = f"1\n00:00:00,000 --> 00:00:01,000\na\n\n2\n{line}\nb\n"
        assert read_track(text) == ([Cue(0, 1000, "a")], "srt", 1)
        assert read_track(f"WEBVTT\n\n{text}") == ([Cue(0, 1000, "a")], "vtt", 1)


@pytest.mark.parametrize(
    ("said", "expected"),
    [("안<00:01.000>녕 나", ["안녕", "나"]), ("OK<00:01.000>です", ["OK", "です"]), ("は<00:01.000>OK", ["は", "OK"])],
)
def test_what_goes_on_after_a_time_is_one_word_where_words_have_spaces(said: str, expected: list[str]) -> None:
    cue = read_cues(f"WEBVTT\n\n00:00.000 --> 00:09.000\n{said}\n")[0]
    assert [word.text for word in cue.words] == expected


@given(st.lists(st.tuples(st.integers(0, 10**7), st.sampled_from(["a", "bc", "de f", "", " "])), max_size=9))
def test_timed_pieces_are_the_text(pieces: list[tuple[int, str]]) -> None:
    stamps = "".join(f"<00:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}>{text}" for ms, text in pieces)
    cue = read_cues(f"WEBVTT\n\n00:00.000 --> 99:00:00.000\nx{stamps}\n")[0]
    assert cue.text == ("x" + "".join(text for _, text in pieces)).strip()
    assert not pieces or [word.text for word in cue.words] == cue.text.split()
