"""Tables by a mapping: players, chapters, tags and facts, each bad cell counted once."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from crawl_archives import reasons_of, texts_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapped_tables import ID, WATCH, Rows, lines, parquet, read, spans_of

from curation.crawl import table_texts
from curation.crawl.chapters_column import MAX_CHAPTERS, read_chapters, read_tags
from curation.crawl.page import MAX_URL_CHARS
from curation.crawl.quantities import MAX_MILLISECONDS, milliseconds
from curation.crawl.urls import media_id
from curation.recipe import Modality, TableColumns

# ------------------------------------------------------------------------------------------ properties

_MS = st.integers(0, 10_000_000)


@given(_MS)
def test_a_time_is_the_same_in_every_spelling(ms: int) -> None:
    seconds, hours, minutes = ms / 1000, ms // 3_600_000, ms // 60_000 % 60
    rest = f"{ms % 60_000 // 1000:02}.{ms % 1000:03}"
    spellings = [seconds, f"{seconds:.3f}", Decimal(ms) / 1000, f"{hours}:{minutes:02}:{rest}"]
    spellings += [
        f"{hours:02}:{minutes:02}:{rest.replace('.', ',')}",
        f"PT{hours}H{minutes}M{rest}S",
        f"PT{seconds:.3f}S",
    ]
    spellings += [f"{ms // 60_000}:{rest}"]
    assert [milliseconds(spelling) for spelling in spellings] == [ms] * len(spellings)
    assert milliseconds(ms, per_second=1) == milliseconds(str(ms), per_second=1) == ms


@given(st.integers() | st.floats() | st.text(max_size=12) | st.booleans() | st.none() | st.binary())
def test_any_time_is_one_within_bounds_or_none(value: Any) -> None:
    ms = milliseconds(value)
    assert ms is None or 0 <= ms <= MAX_MILLISECONDS
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert (ms is None) == (not 0 <= value <= MAX_MILLISECONDS / 1000)


@given(st.lists(st.tuples(_MS, st.sampled_from(["a", "b", " ", ""])), max_size=8), st.none() | _MS)
def test_chapters_end_where_the_next_begins(chapters: list[tuple[int, str]], duration: int | None) -> None:
    expected = []
    for start, title in chapters:
        behind = [s for s, _ in chapters if s > start]
        last = duration if duration is not None and duration > start else None
        if title.strip():
            expected.append((title, start, min(behind, default=last)))
    forms: list[Any] = [[{"start": s / 1000, "title": t} for s, t in chapters], [(s / 1000, t) for s, t in chapters]]
    forms.append(json.dumps([{"time": f"{s / 1000:.3f}", "name": t} for s, t in chapters]))
    for form in forms:
        found = read_chapters(form, duration)
        assert [tuple(chapter) for chapter in found.chapters] == expected
        assert (found.untitled, found.refused) == (len(chapters) - len(expected), [])
        assert (found.odd == ["chapter_order"]) == ([s for s, _ in chapters] != sorted(s for s, _ in chapters))


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["1:00", "[", "{"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["start", "title", "end", "span", "0", "x", "url", "en"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_ALL = TableColumns(
    media_url=["url", "https://h.com/{id}"],
    texts={"title": "title"},
    tags="tags",
    chapters="chapters",
    page_url="page",
    facts={
        fact: fact
        for fact in (
            "duration",
            "start",
            "end_ms",
            "width",
            "licence",
            "upload_date",
            "poster_url",
            "page_lang",
            "tracks",
        )
    },
    optional=["url"],
)


_ROW = st.dictionaries(st.sampled_from(["url", "id", "title", "tags", "chapters", "page", *_ALL.facts]), _ANY)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_ROW, max_size=4))
def test_anything_in_a_cell_is_counted(tmp_path: Path, rows: Rows) -> None:
    found, log = read(lines(tmp_path, *rows), _ALL)  # the law itself is checked there
    assert {reason for _, reason in reasons_of(log)} <= {"bad_url", "bad_row", "bad_encoding", "missing_column"}
    assert all(row["text"].strip() and row["media_url"].startswith("http") for row in found)
    assert all(row["end_ms"] is None or row["end_ms"] > (row["start_ms"] or -1) for row in found)


# ---------------------------------------------------------------------------------------- media, facts


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_template_makes_urls(tmp_path: Path, kind: str) -> None:
    columns = TableColumns(media_url="https://h.com/{dir}/{id}.mp4", texts={"t": "t"})
    data: Rows = [
        {"dir": "0_1", "id": 5, "t": "a"},
        {"dir": "ä /?", "id": 6, "t": "b"},
        {"dir": "", "id": 7, "t": "lost"},
    ]
    path = lines(tmp_path, *data)
    if kind == "parquet":
        path = parquet(tmp_path, **{name: [row[name] for row in data] for name in ("dir", "id", "t")})
    if kind == "csv":
        path = tmp_path / "t.csv"
        path.write_text("dir,id,t\n" + "".join(f"{row['dir']},{row['id']},{row['t']}\n" for row in data))
    rows, log = read(path, columns)
    assert [row["media_url"] for row in rows] == ["https://h.com/0_1/5.mp4", "https://h.com/%C3%A4%20%2F%3F/6.mp4"]
    assert reasons_of(log) == [(2, "bad_url")]


def test_a_template_of_what_is_no_value_or_no_column(tmp_path: Path) -> None:
    columns = TableColumns(media_url="https://h.com/{id}", texts={"t": "t"})
    ids = [["x"], 1.5, True, "x" * 3000, 3.0, None, "\ud800"]
    rows, log = read(lines(tmp_path, *({"id": value, "t": "a"} for value in ids)), columns)
    assert [row["media_url"] for row in rows] == ["https://h.com/3", "https://h.com/%EF%BF%BD"]
    assert reasons_of(log) == [(at, "bad_url") for at in (0, 1, 2, 3, 5)]
    assert log.rejections[0].detail == "https://h.com/{id}: holds something other than text or a whole number in id"
    rows, log = read(parquet(tmp_path, x=["1"], t=["a"]), columns)
    assert [rejection.detail for rejection in log.rejections] == ["no column id; the file has x, t"]


def test_one_video_is_one_media_and_an_audio_player_is_audio(tmp_path: Path) -> None:
    urls = [f"http://youtube.com/watch?v={ID}&t=5", f"https://youtu.be/{ID}", f"https://www.youtube.com/embed/{ID}"]
    urls.append("https://soundcloud.com/someone/a-song")
    path = parquet(tmp_path, url=urls, t=["a"] * 4)
    columns = TableColumns(media_url="url", texts={"t": "t"})
    cases: list[tuple[Modality, list[str]]] = [("video", ["video"] * 3 + ["audio"]), ("audio", ["audio"] * 4)]
    for modality, expected in cases:
        rows, _ = read(path, columns, modality)
        assert [row["modality"] for row in rows] == expected
        assert {row["media_id"] for row in rows[:3]} == {media_id(WATCH + ID)}
        assert [row["platform"] for row in rows] == ["youtube"] * 3 + ["soundcloud"]
    rows, _ = read(path, columns, "image")
    assert [(row["media_url"], row["platform"]) for row in rows] == [(url, None) for url in urls]


def test_facts_and_what_is_odd_about_them(tmp_path: Path) -> None:
    good = {
        "duration": "PT1M",
        "start": 1,
        "end_ms": 2500,
        "width": "640",
        "licence": "https://creativecommons.org/licenses/by/4.0/",
        "upload_date": "20240131",
        "poster_url": "https://h.com/p.jpg",
        "page_lang": "en_US",
        "tracks": {"en": [{"ext": "srv1", "url": "http://h/1"}, {"ext": "vtt", "url": "http://h/2"}]},
    }
    bad = {
        "duration": 1e9, "start": -1, "end_ms": "x", "width": 0, "licence": "all mine", "upload_date": "2024-13-01",
        "poster_url": "p.jpg", "page_lang": "English", "tracks": ["sub.vtt"],
    }  # fmt: skip
    rest = {"url": "http://h/v", "id": "1", "title": "t", "tags": None, "chapters": None, "page": ""}
    rows, log = read(lines(tmp_path, *({**rest, **facts} for facts in (good, bad, {**good, "end_ms": 1000}, {}))), _ALL)
    assert {name: log.counts[f"odd:{name}"] for name in bad} == dict.fromkeys(bad, 1)
    assert log.counts["odd:end"] == 1
    shown = [*("duration_ms", "start_ms", "end_ms", "width", "upload_date", "poster_url", "page_lang", "tracks")]
    values = [60000, 1000, 2500, 640, "2024-01-31", "https://h.com/p.jpg", "en-US"]
    track = {"url": "http://h/2", "kind": "subtitles", "lang": "en"}
    assert [rows[0][name] for name in shown] == [*values, [track]]
    assert rows[0]["licence"] is not None and "BY" in rows[0]["licence"].upper()
    assert [rows[1][name] for name in (*shown, "licence")] == [*[None] * 7, [], None]
    assert [rows[at]["end_ms"] for at in (2, 3)] == [None, None]


def test_of_several_columns_the_first_that_holds_something_counts(tmp_path: Path) -> None:
    columns = TableColumns(
        media_url=["a", "https://h.com/{b}"], texts={"t": ["t", "u"]}, tags=["x", "y"], facts={"duration": ["d", "e"]}
    )
    data: Rows = [
        {"a": "http://h/1", "b": "1", "t": "t1", "u": "u1", "x": ["x1"], "y": "y1", "d": 1, "e": 2},
        {"a": " ", "b": "2", "t": " ", "u": "u2", "x": "", "y": "y2", "d": " ", "e": "0:02"},
        {"a": None, "b": "3", "t": ["bad"], "u": "u3", "x": None, "y": None, "d": None, "e": " "},
        {"a": 5, "b": " ", "t": "u4", "u": "u4"},
        {"a": None, "b": "5", "t": ["bad"], "u": 5, "d": "x", "e": 1},
    ]
    rows, log = read(lines(tmp_path, *data), columns)
    assert [(row["media_url"], row["text"], row["duration_ms"]) for row in rows] == [
        ("http://h/1", "t1", 1000),
        ("http://h/1", "x1", 1000),
        ("https://h.com/2", "u2", 2000),
        ("https://h.com/2", "y2", 2000),
        ("https://h.com/3", "u3", None),
    ]
    assert sorted(reasons_of(log)) == [(3, "bad_url"), (4, "bad_row")]
    assert (log.counts["odd:duration"], log.counts["skipped:empty_text"]) == (1, 3)
    assert {rejection.detail for rejection in log.rejections} == {
        "a or https://h.com/{b}: holds int, not text",
        "t (t or u) holds list, not text",
    }


def test_a_null_of_pandas_is_missing_and_not_odd(tmp_path: Path) -> None:
    columns = TableColumns(media_url="url", texts={"t": "t"}, facts={"duration": "d", "width": "w"})
    table = {"url": ["http://h/1"] * 3, "t": ["a"] * 3, "d": [math.nan, 1.5, None], "w": [None, 5.0, math.nan]}
    rows, log = read(parquet(tmp_path, **table), columns)
    assert [(row["duration_ms"], row["width"]) for row in rows] == [(None, None), (1500, 5), (None, None)]
    assert not any(name.startswith("odd") for name in log.counts)


# ------------------------------------------------------------------------------------- chapters, tags


def test_bad_chapters_cost_themselves_only(tmp_path: Path) -> None:
    chapters = [
        {"start": 10, "end": 10, "title": "ends with its start"},
        {"start": -1, "title": "negative"},
        {"start": math.nan, "title": "nan"},
        {"start": 1e9, "title": "30 years"},
        {"start": 2, "title": 7},
        {"start": 4, "title": " \n"},
        {"title": "when?"},
        None,
        5,
        {"start": "0:20", "title": "fine\tand last"},
    ]
    row = {"video_id": ID, "title": "", "duration": 15}
    rows, log = read(lines(tmp_path, {**row, "chapters": chapters}), "vidchapters")
    assert spans_of(rows) == [("ends with its start", 10000, 20000), ("fine and last", 20000, None)]
    assert reasons_of(log) == [(0, "bad_row")] * 6
    assert (log.counts["odd:end"], log.counts["odd:chapter_order"], log.counts["rejected_texts"]) == (1, 1, 6)
    assert log.rejections[0].detail == "chapters: chapter 1 begins at -1, not at a time"
    for value in ("no JSON", "5", 5, "[" * 100_000, True):
        rows, log = read(lines(tmp_path, {**row, "chapters": value}), "vidchapters")
        assert (rows, reasons_of(log), log.counts["rejected_texts"]) == ([], [(0, "bad_row")], 1)
    empties: list[Any] = [None, "", [], {}, "[]", "null"]
    for empty in empties:
        rows, log = read(lines(tmp_path, {**row, "chapters": empty}, {"chapters": "[]", "video_id": ID}), "vidchapters")
        assert log.counts["texts"] == 6


def test_chapters_of_a_row_without_a_url_are_counted_as_lost(tmp_path: Path) -> None:
    row = {"url": "ftp://h/1", "title": "t", "chapters": {"0": "a", "5": "b", "x": "c"}}
    rows, log = read(lines(tmp_path, row), "vidchapters")
    assert (rows, log.counts["texts"], log.counts["rejected_texts"]) == ([], 6, 4)
    assert sorted(reasons_of(log)) == [(0, "bad_row"), (0, "bad_url")]


def test_parquet_chapters_of_any_nesting(tmp_path: Path) -> None:
    mapped = pa.array([[("0", "a"), ("1:00", "b")]], pa.map_(pa.string(), pa.string()))
    times = pa.array([[(pa.scalar(0).as_py(), "a"), (60, "b")]], pa.map_(pa.int64(), pa.string()))
    structs = pa.array([[{"time": 0, "title": "a"}, {"time": 60_000_000_000, "title": "b"}]]).cast(
        pa.list_(pa.struct([("time", pa.duration("ns")), ("title", pa.large_string())]))
    )
    for chapters in (mapped, times, structs):
        path = parquet(tmp_path, url=["http://h/1"], chapters=chapters, **{"chapters.x": ["no"]})
        rows, log = read(path, "vidchapters")
        assert (spans_of(rows), log.rejections) == ([("a", 0, 60000), ("b", 60000, None)], [])


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters=",'\"[]"), max_size=5), max_size=5))
def test_tags_are_the_same_in_every_spelling(tags: list[str]) -> None:
    joined = ", ".join(tag.strip() for tag in tags if tag.strip()) or None
    assert [read_tags(form) for form in (tags, json.dumps(tags), ",".join(tags))] == [joined] * 3
    assert read_tags(f"[{', '.join(repr(tag) for tag in tags if tag.isprintable() and chr(92) not in tag)}]") == (
        ", ".join(tag.strip() for tag in tags if tag.strip() and tag.isprintable() and chr(92) not in tag) or None
    )


def test_tags_that_are_none(tmp_path: Path) -> None:
    values = [5, [1], {"a": 1}, ["x", ["y"]], "[1, 2]", ["ok", None, ""]]
    rows, log = read(
        lines(tmp_path, *({"video_id": ID, "tags": tags, "chapters": "[]"} for tags in values)), "vidchapters"
    )
    assert texts_of(rows) == ["ok"]
    assert reasons_of(log)[:5] == [(at, "bad_row") for at in range(5)]
    assert log.rejections[0].detail == "tags (tags) holds no tags"


def test_rows_of_many_chapters_are_made_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = [{"video_id": ID, "title": "t", "chapters": {str(at): f"c{at}" for at in range(7)}} for _ in range(3)]
    whole, _ = read(lines(tmp_path, *data), "vidchapters")
    monkeypatch.setattr(table_texts, "SLICE_TEXTS", 5)
    assert read(lines(tmp_path, *data), "vidchapters")[0] == whole
    assert len(whole) == 3 * 8


def test_what_would_be_repeated_too_often_is_refused(tmp_path: Path) -> None:
    chapters = [{"start": at, "title": "c"} for at in range(MAX_CHAPTERS)]
    url = "https://h.com/" + "x" * (MAX_URL_CHARS - 14)
    rows, log = read(lines(tmp_path, {"url": url, "chapters": chapters}), "vidchapters")
    assert (len(rows), log.rejections) == (MAX_CHAPTERS, [])
    data = [{"url": url, "chapters": [*chapters, chapters[0]]}, {"url": url + "x", "chapters": chapters}]
    rows, log = read(lines(tmp_path, *data), "vidchapters")
    assert rows == []
    assert [rejection.detail for rejection in log.rejections] == [
        "chapters: 10001 chapters; above 10000 they are none",
        "url or https://www.youtube.com/watch?v={video_id}: a URL of 8193 characters; the limit is 8192",
    ]
    assert log.counts["rejected_texts"] == MAX_CHAPTERS + 1
    columns = TableColumns(media_url="url", texts={"t": "t"}, page_url="p", facts={"poster_url": "p", "tracks": "s"})
    data = [{"url": url, "t": "t", "p": url + end, "s": [url, "http://h/2"][: 2 - at]} for at, end in enumerate("x.")]
    data.append({"url": url, "t": "t", "p": url, "s": [url]})
    rows, log = read(lines(tmp_path, *data), columns)
    assert [(row["page_url"], row["poster_url"], len(row["tracks"])) for row in rows] == [
        (None, None, 0),
        (None, None, 1),
        (url, url, 1),
    ]
    assert [log.counts[f"odd:{name}"] for name in ("page_url", "poster_url", "tracks")] == [2, 2, 1]
