"""Chapters of descriptions: against the published rules word by word, then what each rule says."""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.captions.chapters import Chapter, parse_chapters

HOUR = 3_600_000


# ------------------------------------------------------------------------------- the rules, one after the other


def reference(description: str, duration_ms: int) -> list[Chapter]:
    """The rules as they are told, with no thought of speed."""
    lines = [line for line in description.split("\n") if re.search(r"\d:\d\d", line)]
    lines = [re.sub(r"http\S+", "", line) for line in lines]
    rows = [row for row in map(reference_row, lines) if row is not None]
    starts, titles = [start for start, _ in rows], [title for _, title in rows]
    if len(rows) <= 1 or all(len(title) <= 1 for title in titles):
        return []
    if any(one >= other for one, other in pairwise(starts)):
        return []
    ends = [*starts[1:], duration_ms]
    if not all(start <= end <= duration_ms for start, end in zip(starts, ends, strict=True)):
        return []
    return [Chapter(*row) for row in zip(starts, ends, titles, strict=True)]


def reference_row(line: str) -> tuple[int, str] | None:
    if re.search(r"\d\d\d:", line) or re.search(r":\d\d\d", line) or re.search(r"\d\d:\d\d:\d\d:\d\d", line):
        return None
    for form in (r"\d\d:\d\d:\d\d", r"\d:\d\d:\d\d", r"\d\d:\d\d", r"\d:\d\d"):
        found = re.search(form, line)
        if found:
            rest = line[: found.start()] + line[found.end() :]
            places = [at for at, letter in enumerate(rest) if letter.isalnum()]
            if not places:
                return None
            units = zip(reversed(found.group().split(":")), (1, 60, 3600), strict=False)
            return 1000 * sum(int(count) * size for count, size in units), rest[places[0] : places[-1] + 1]
    return None


times = st.builds(
    lambda groups, widths: ":".join(f"{group:0{width}d}" for group, width in zip(groups, widths, strict=False)),
    st.lists(st.integers(0, 99), min_size=2, max_size=4),
    st.lists(st.integers(1, 2), min_size=4, max_size=4),
) | st.from_regex(r"\A[0-9]{0,4}(:[0-9]{0,4}){1,4}\Z")
rising = st.builds(lambda s: f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" if s > 3599 else f"{s // 60}:{s % 60:02d}",
                   st.integers(0, 9000))  # fmt: skip
words = st.sampled_from(
    ["a", "Intro", " - ", "http://x.y/1:23", "https://youtu.be/a?t=1:00", "http", " http ", "\r", "\u2028", "\t",
     "(", ")", "é", "हिन्दी", "章", "٣:٤٥", "１:２３", "1：23", "²", "_", "😀", "\x00", "\ud800", "1", ":", "::", "",
     "  "]
)  # fmt: skip
lines = st.lists(times | rising | words, max_size=5).map("".join)
listings = st.lists(st.tuples(rising, words, words).map(" ".join), max_size=6).map("\n".join)
descriptions = (
    st.lists(lines | listings, max_size=8).map("\n".join)
    | st.text(max_size=60)
    | st.text("0123456789: \nhtp/aé٣-", max_size=120)
)


@st.composite
def sorted_listings(draw: st.DrawFn) -> str:
    starts = sorted(draw(st.sets(st.integers(0, 9000), min_size=1, max_size=8)))
    forms = [f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" for s in starts]
    stamps = [form.removeprefix("0:") for form in forms]
    return "\n".join(f"{draw(words)}{stamp}{draw(words)} {draw(st.text(max_size=8))}" for stamp in stamps)


@given(descriptions | sorted_listings(), st.integers(0, 3 * HOUR) | st.integers(-5, 10**12))
@example("0:00 a\n0:00 b", HOUR)
@example("0:01 ab\n0:02 c", 2000)
@example("0:01 ab\n0:02 c", 1999)
@example("x0:00 ab\r\ny0:02 c\n", HOUR)
@example("1:2:33 ab\n12:34:5: c\n0:00:00:00 d", HOUR)
@example("\n\n0:00\nhttp 0:01 ab\n\n0:02 c", HOUR)
def test_the_rules(description: str, duration_ms: int) -> None:
    assert parse_chapters(description, duration_ms) == reference(description, duration_ms)


@given(sorted_listings(), st.integers(0, 3 * HOUR))
def test_chapters_follow_each_other_to_the_end(description: str, duration_ms: int) -> None:
    found = parse_chapters(description, duration_ms)
    assert len(found) != 1
    for one, other in pairwise(found):
        assert one.start_ms < one.end_ms == other.start_ms
    for start, end, title in found:
        assert 0 <= start <= end <= duration_ms
        assert title[0].isalnum()
        assert title[-1].isalnum()
        assert "\n" not in title


def test_alphanumeric_is_what_python_calls_so() -> None:
    every = (chr(code) for code in range(sys.maxunicode + 1))
    known = re.compile(r"[^\W_]").fullmatch
    assert all(bool(known(letter)) == letter.isalnum() for letter in every)


# ------------------------------------------------------------------------------- rule by rule


def titles(description: str, duration_ms: int = 100 * HOUR) -> list[str]:
    return [chapter.title for chapter in parse_chapters(description, duration_ms)]


def starts(description: str, duration_ms: int = 100 * HOUR) -> list[int]:
    return [chapter.start_ms for chapter in parse_chapters(description, duration_ms)]


def seconds(line: str) -> int | None:
    """The time of a line, seen between two others."""
    found = [start // 1000 for start in starts(f"{line}\n99:59:59 the end")]
    return found[0] if found else None


def title(line: str) -> str | None:
    found = titles(f"{line}\n99:59:59 the end")
    return found[0] if found else None


def test_a_description_with_chapters() -> None:
    said = "All about lines.\n\n0:00 - Introduction\n2:25 Ledgers\r\n1:02:03 \u2013 The end?\n\nThanks https://a.b/c"
    assert parse_chapters(said, 2 * HOUR) == [
        Chapter(0, 145_000, "Introduction"),
        Chapter(145_000, 3_723_000, "Ledgers"),
        Chapter(3_723_000, 2 * HOUR, "The end"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("01:02:03 a", 3723),
        ("1:02:03 a", 3723),
        ("02:03 a", 123),
        ("2:03 a", 123),
        ("2:3 a", None),
        (":03 a", None),
        ("2 :03 a", None),
        ("1:23 a 45:06", 45 * 60 + 6),  # two digits before one, wherever they stand
        ("45:06 a 1:02:03", 3723),  # three groups before two
        ("1:02:03 a 02:03:04", 7384),
        ("1:23 a 4:56", 83),  # the first of its form
        ("12:34:5 a", 754),
        ("1:2:33 a", 153),
        ("99:99 a", 6039),
        ("0:60:60 a", 3660),
        ("٣:٤٥ a", 225),
        ("１:２３ a", 83),
        ("1：23 a", None),
    ],
)
def test_the_time_of_a_line(line: str, said: int | None) -> None:
    assert seconds(line) == said


@pytest.mark.parametrize(
    "line",
    ["100:00 a", "0:000 a", "0:00 a 123:4", "0:00 a 4:123", "1234:56 a", "00:01:02:03 a", "0:00 a 00:01:02:03",
     "٣٣٣:٠٠ a"],
)
def test_refused_lines(line: str) -> None:
    assert seconds(line) is None
    assert titles(f"{line}\n0:01 b\n0:02 bc") == ["b", "bc"]


@pytest.mark.parametrize("line", ["123 a 1:23", "1:23 of 4567", "1:23 1:23:45 4:05"])
def test_lines_that_are_not_refused(line: str) -> None:
    assert seconds(line) is not None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0:00 - Intro -", "Intro"),
        ("(0:00) Intro (live)", "Intro (live"),
        ("Intro: 0:00", "Intro"),
        ("1. Intro 0:00 and more", "1. Intro  and more"),
        ("0:00 _Intro_", "Intro"),
        ("0:00 «Ça va»", "Ça va"),
        ("0:00 第一章。", "第一章"),
        ("0:00 😀 5²", "5²"),
        ("0:00\t\x00Intro\u200b\r", "Intro"),
        ("0:00 a\u2028b", "a\u2028b"),
        ("0:00 हिन्दी", "हिन्द"),  # a vowel sign is no alphanumeric character
        ("0:00 - 1:00 Intro", "1:00 Intro"),
        ("1:2:33 Intro", "1: Intro"),
        ("0:00:00:00 Intro", "0: Intro"),
        ("0:00 See https://a.b/c?d=1#e, (http://f) now", "See  ( now"),
        ("0:00 httpd", None),
        ("0:00 HTTP://A", "HTTP://A"),
        ("0:00", None),
        ("0:00 - \u0301!", None),
        ("0:00 https://a.b", None),
        ("https://a.b/0:00 Intro", None),
        ("https://a.b/123:45 0:07 Intro", "Intro"),  # what is in a URL refuses nothing
    ],
)
def test_the_title_of_a_line(line: str, said: str | None) -> None:
    assert title(line) == said


def test_one_chapter_is_none() -> None:
    assert titles("0:00 Intro\nno time\n0:05") == []


def test_titles_of_one_character_are_none() -> None:
    assert titles("0:00 A\n1:00 B\n2:00 C") == []
    assert titles("0:00 A\n1:00 B\n2:00 Cd") == ["A", "B", "Cd"]


def test_times_must_rise_as_listed() -> None:
    assert titles("1:00 One\n0:00 Two") == []
    assert titles("0:00 One\n0:00 Two") == []
    assert titles("0:00 One\n2:00 Two\n1:00 Three\n3:00 Four") == []
    assert titles("0:00 One\n2:00 -\n1:00 Three") == ["One", "Three"]  # a dropped line has no say
    assert starts("0:30 One\n0:31 Two") == [30_000, 31_000]  # the first need not begin at 0


def test_all_lie_within_the_video() -> None:
    said = "0:00 One\n1:00 Two"
    assert parse_chapters(said, 60_001)[-1] == (60_000, 60_001, "Two")
    assert parse_chapters(said, 60_000)[-1] == (60_000, 60_000, "Two")
    assert parse_chapters(said, 59_999) == []
    assert parse_chapters(said, 0) == []


# ------------------------------------------------------------------------------- bad input, real input


@pytest.mark.parametrize(
    "piece",
    ["0", ":", "0:0", "0:00", "0:00 ", "0:00\n", "00:00:", "http", "http\n", "a", "\n", " ", "\x00", "\ud800", "é",
     "0:00 -", "0:00 https://a", "1:11http:// "],
)  # fmt: skip
def test_megabytes_take_linear_time(piece: str) -> None:
    description = "0:00 begin\n" + piece * (2_000_000 // len(piece)) + "\n99:99:99 end"
    began = time.process_time()
    parse_chapters(description, 10**12)
    assert time.process_time() - began < 5


def test_very_many_chapters() -> None:
    said = "\n".join(f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d} c{s}" for s in range(100_000))
    began = time.process_time()
    assert len(parse_chapters(said, 100 * HOUR)) == 100_000
    assert time.process_time() - began < 5


def test_real_descriptions(real_data: Path) -> None:
    with gzip.open(real_data / "video_text" / "3b1b_titles_descriptions.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [text for row in rows for name in ("description", "description_en") if (text := row.get(name))]
    found = [parse_chapters(text, 24 * HOUR) for text in texts]
    assert found == [reference(text, 24 * HOUR) for text in texts]
    assert sum(map(bool, found)) > 1000
    english = {row["video"]: row["description_en"] for row in rows if row.get("description_en")}
    assert [chapter.title for chapter in parse_chapters(english["2017/bitcoin"], 24 * HOUR)][:3] == [
        "Introduction", "Ledgers and digital signatures", "The ledger is the currency"
    ]  # fmt: skip
