"""Hourly page views: against the definition line by line, then the format's oddities, then damage."""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import Reason
from curation.vocabulary import pageviews
from curation.vocabulary.pageviews import STORED_REJECTIONS, VIEWS, count_views

V1 = {"wikis": ["en"], "min_hourly_views": 50, "merge_mobile": False, "drop_colon": True}
ALL = {"wikis": ["en"], "min_hourly_views": 0, "merge_mobile": True, "drop_colon": False}


class Read:
    """Everything that one reading gives."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.rejections: list[tuple[Reason, int | None, str]] = []
        self.batches: list[pa.RecordBatch] = []
        reading = count_views(str(path), reject=self._reject, **options)
        while True:
            try:
                self.batches.append(next(reading))
            except StopIteration as end:
                self.counts: Counter[str] = end.value
                break
        self.views: Counter[str] = Counter()
        for batch in self.batches:
            for row in batch.to_pylist():
                self.views[row["term"]] += row["count"]

    def _reject(self, reason: Reason, *, offset: int | None, detail: str) -> None:
        self.rejections.append((reason, offset, detail))


def members(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(gzip.compress(part, 1) for part in parts))
    return path


def read(folder: Path, text: str | bytes, **options: Any) -> Read:
    data = text.encode() if isinstance(text, str) else text
    return Read(members(folder / "pageviews-20220801-000000.gz", data), **options)


def by_definition(data: bytes, options: dict[str, Any]) -> tuple[dict[str, int], Counter[str]]:
    views: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    codes = {b"en", b"en.m", b"en.zero"} if options["merge_mobile"] else {b"en"}
    for line in data.split(b"\n")[: None if data and not data.endswith(b"\n") else -1]:
        outcome, term = "views", ""
        fields = line.split(b" ")
        if len(fields) != 4:
            outcome = "bad_row"
        elif fields[0] not in codes:
            outcome = "other_projects"
        elif not re.fullmatch(rb"[0-9]{1,12}", fields[2]):
            outcome = "bad_row"
        elif int(fields[2]) < options["min_hourly_views"]:
            outcome = "below_hourly"
        else:
            try:
                text = unquote_to_bytes(fields[1]).decode()
            except UnicodeDecodeError:
                outcome = "bad_encoding"
            else:
                spaced = [" " if c == "_" or unicodedata.category(c) in ("Zs", "Zl", "Zp", "Cc") else c for c in text]
                term = unicodedata.normalize("NFC", re.sub(" +", " ", "".join(spaced))).strip(" ")
                if term in ("", "-"):
                    outcome = "no_title"
                elif ":" in term and options["drop_colon"]:
                    outcome = "colon"
        outcomes[outcome] += 1
        if outcome == "views":
            views[term] += int(fields[2])
    return dict(views), outcomes


CODES = st.sampled_from([b"en", b"en.m", b"en.zero", b"en.b", b"en.m.d", b"eng", b"e", b"de", b'""', b""])
TITLES = st.one_of(
    st.sampled_from([b"Main_Page", b"-", b"", b"_", b"A:B", b"A%3AB", b"%C3%A9", b"e%CC%81", b"%FF", b"100%"]),
    st.text(alphabet="ab_é:%2\u3000\u0301\x00\t", max_size=6).map(str.encode),
    st.binary(max_size=4).map(lambda b: b.replace(b"\n", b"").replace(b" ", b"")),
)
NUMBERS = st.one_of(
    st.integers(0, 120).map(lambda n: b"%d" % n),
    st.sampled_from([b"", b"-5", b"+5", b"1.5", b"x", b"999999999999", b"1000000000000", b"9" * 30, "٣".encode()]),
)
LINES = st.one_of(
    st.tuples(CODES, TITLES, NUMBERS, st.sampled_from([b"0", b"x", b""])).map(b" ".join),
    st.lists(st.sampled_from([b"en", b"Cat", b"60", b"0"]), max_size=6).map(b" ".join),
)


OPTIONS = st.fixed_dictionaries(
    {
        "wikis": st.just(["en"]),
        "min_hourly_views": st.sampled_from([0, 1, 50]),
        "merge_mobile": st.booleans(),
        "drop_colon": st.booleans(),
    }
)


@settings(max_examples=250, deadline=None)
@given(st.data(), st.lists(LINES, max_size=40), OPTIONS, st.sampled_from([b"", b"\n"]))
def test_it_counts_what_the_definition_counts_however_the_file_is_cut(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    lines: list[bytes],
    options: dict[str, Any],
    end: bytes,
) -> None:
    content = b"\n".join(lines) + end * bool(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    parts = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pageviews, "BLOCK_BYTES", data.draw(st.sampled_from([200, 8 << 20])))
        found = Read(members(tmp_path_factory.mktemp("views") / "views.gz", *parts), **options)
    views, outcomes = by_definition(content, options)
    assert found.views == views
    assert found.counts == outcomes + Counter(lines=outcomes.total())
    bad = {(reason.value, offset) for reason, offset, _ in found.rejections}
    assert len(bad) == len(found.rejections) == outcomes["bad_row"] + outcomes["bad_encoding"]
    for batch in found.batches:
        terms = batch["term"].to_pylist()
        assert terms == sorted(set(terms), key=str.encode)
        assert batch.schema == VIEWS
        assert set(batch["kind"].to_pylist()) == {"title"}


def test_metaclip_v1_takes_desktop_lines_of_50_views_without_a_colon(tmp_path: Path) -> None:
    text = "en Cat 49 0\nen Dog 50 0\nen Talk:Dog 90 0\nen.m Dog 70 0\nen.b Dog 80 0\nde Hund 90 0\n"
    found = read(tmp_path, text, **V1)
    assert found.views == {"Dog": 50}
    assert found.counts == {"lines": 6, "below_hourly": 1, "colon": 1, "other_projects": 3, "views": 1}


def test_mobile_is_added_and_the_threshold_is_each_lines_own(tmp_path: Path) -> None:
    text = "en Cat 30 0\nen Dog 60 0\nen.m Cat 30 0\nen.m Dog 70 0\nen.m.b Dog 99 0\nen.zero Dog 80 0\n"
    assert read(tmp_path, text, **V1 | {"merge_mobile": True}).views == {"Dog": 210}
    assert read(tmp_path, text, **ALL).views == {"Cat": 60, "Dog": 210}


def test_a_wikipedia_with_hyphens_in_its_code(tmp_path: Path) -> None:
    text = "zh 貓 5 0\nzh-min-nan Niau 7 0\nzh-min-nan.m Niau 1 0\n"
    found = read(tmp_path, text, **ALL | {"wikis": ["zh-min-nan"]})
    assert found.views == {"Niau": 8}


def test_wikipedias_of_one_language_are_read_at_once(tmp_path: Path) -> None:
    text = "zh 貓 5 0\nzh-yue 貓 7 0\nzh-yue.m 狗 1 0\nwuu 魚 2 0\nzhx 鳥 9 0\n"
    found = read(tmp_path, text, **ALL | {"wikis": ["zh", "zh-yue", "wuu"]})
    assert found.views == {"貓": 12, "狗": 1, "魚": 2}
    assert found.counts["other_projects"] == 1


@pytest.mark.parametrize(
    ("title", "term"),
    [
        ("New_York__City_", "New York City"),
        ("Caf%C3%A9", "Café"),
        ("Cafe\u0301", "Café"),
        ("100%", "100%"),
        ("A%2520B", "A%20B"),
        ('"Weird_Al"_Yankovic', '"Weird Al" Yankovic'),
        ("A%0AB", "A B"),
        ("Ratio:_2:1", "Ratio: 2:1"),
    ],
)
def test_titles_become_terms(tmp_path: Path, title: str, term: str) -> None:
    assert read(tmp_path, f"en {title} 3 0\n", **ALL).views == {term: 3}


def test_one_page_under_two_spellings_is_one_term(tmp_path: Path) -> None:
    found = read(tmp_path, "en Caf%C3%A9 3 0\nen Café 4 0\nen Cafe\u0301 5 0\n", **ALL)
    assert [batch.to_pylist() for batch in found.batches] == [[{"kind": "title", "term": "Café", "count": 12}]]


def test_no_sum_leaves_int64(tmp_path: Path) -> None:
    most = 10**12 - 1
    found = read(tmp_path, f"en Cat {most}0 0\n" + f"en Cat {most} 0\n" * 100, **ALL)
    assert found.views == {"Cat": 100 * most}
    assert [reason for reason, _, _ in found.rejections] == [Reason.BAD_ROW]


def test_bad_lines_are_told_with_their_number_and_text(tmp_path: Path) -> None:
    found = read(tmp_path, b"en Cat 60 0\nen New York 5 0\n\nen \xff 7 0\nen Dog many 0\n", **ALL)
    assert [(reason, offset) for reason, offset, _ in sorted(found.rejections, key=lambda r: r[1])] == [
        (Reason.BAD_ROW, 1),
        (Reason.BAD_ROW, 2),
        (Reason.BAD_ENCODING, 3),
        (Reason.BAD_ROW, 4),
    ]
    assert any("en New York 5 0" in detail for _, _, detail in found.rejections)
    assert found.views == {"Cat": 60}


def test_thousands_of_bad_lines_are_only_counted(tmp_path: Path) -> None:
    found = read(tmp_path, b"no\n" * 5000 + b"en \xff 7 0\n" * 5000 + b"en Cat 60 0\n", **ALL)
    assert len(found.rejections) == STORED_REJECTIONS
    assert found.counts == {
        "lines": 10_001, "bad_row": 5000, "bad_encoding": 5000, "views": 1,
        "rejections_not_stored": 10_000 - STORED_REJECTIONS,
    }  # fmt: skip


def test_a_file_cut_off_gives_the_whole_lines_before_the_cut(tmp_path: Path) -> None:
    text = b"".join(b"en Page_%d_%x 1%05d 0\n" % (n, n * 2654435761 % 2**32, n) for n in range(20_000))
    whole = gzip.compress(text)
    path = tmp_path / "views.gz"
    full, _ = by_definition(text, ALL)
    before = 0
    for size in (20, 1000, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:size])
        found = Read(path, **ALL)
        assert [reason for reason, _, _ in found.rejections] == [Reason.BROKEN_GZIP]
        assert found.views.items() <= full.items()
        assert len(found.views) == found.counts["lines"] >= before
        before = len(found.views) + (1000 <= size < len(whole) // 2)  # more of the file, more lines
    assert before == 20_000


def test_damage_in_the_middle_takes_no_half_line_for_a_whole_one(tmp_path: Path) -> None:
    parts = b"en Cat 60 0\nen Do", b"g 61 0\nen Hen 6", b"2 0\nen Owl 63 0\n"
    first, lost, last = map(gzip.compress, parts)
    damaged = bytearray(lost)
    damaged[12] ^= 0xFF
    (tmp_path / "views.gz").write_bytes(first + damaged + last)
    found = Read(tmp_path / "views.gz", **ALL)
    assert found.views == {"Cat": 60, "Owl": 63}
    assert [reason for reason, _, _ in found.rejections] == [Reason.BROKEN_GZIP]


def test_a_line_without_end_is_refused_and_the_next_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pageviews, "BLOCK_BYTES", 1000)
    parts = [b"en Cat 60 0\nen ", *[b"x" * 600] * 5, b" 5 0\nen Dog 61 0\nen Hen 62 ", b"0"]
    found = Read(members(tmp_path / "views.gz", *parts), **ALL)
    assert found.views == {"Cat": 60, "Dog": 61, "Hen": 62}
    assert [(reason, offset) for reason, offset, _ in found.rejections] == [(Reason.TOO_LARGE, 1)]
    assert found.counts == {"lines": 4, "views": 3, "too_large": 1}


def test_a_line_longer_than_any_title_is_refused(tmp_path: Path) -> None:
    """Marks in the wrong order take quadratic time to put in order: a line of megabytes would hang."""
    title = "x" * (pageviews.MAX_LINE_BYTES - len("en  5 0\n"))
    marks = "\u0301\u0327" * 500_000
    found = read(tmp_path, f"en {title} 5 0\nen {title}x 5 0\nen {marks} 5 0\n", **ALL)
    assert found.views == {title: 5}
    assert [rejection[:2] for rejection in found.rejections] == [(Reason.TOO_LARGE, 1), (Reason.TOO_LARGE, 2)]
    assert all(len(detail) < 300 for _, _, detail in found.rejections)


@pytest.mark.parametrize("content", [b"", gzip.compress(b""), gzip.compress(b"") * 3])
def test_an_empty_file_gives_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "views.gz").write_bytes(content)
    found = Read(tmp_path / "views.gz", **ALL)
    assert (found.batches, found.rejections, found.counts) == ([], [], {})


@pytest.mark.parametrize("content", [b"en Cat 60 0\n", b"<html>404 not found", b"BZh91AY&SY", b"\x1f"])
def test_a_file_that_is_no_gzip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "views.gz").write_bytes(content)
    found = Read(tmp_path / "views.gz", **ALL)
    assert [reason for reason, _, _ in found.rejections] == [Reason.NOT_AN_ARCHIVE]
    assert not found.batches


def test_a_missing_file_is_an_error_and_an_unreadable_one_a_rejection(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Read(tmp_path / "none.gz", **ALL)
    assert [reason for reason, _, _ in Read(tmp_path, **ALL).rejections] == [Reason.UNREADABLE_FILE]
