"""Tables to candidates: every format gives the same rows, and a bad row costs itself only."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crawl_archives import reasons_of, texts_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.crawl import ReadLog, streams, table_batches
from curation.crawl import tables as tables_module
from curation.crawl.urls import media_id
from curation.recipe import TableColumns
from curation.schemas import CANDIDATES

COLUMNS = TableColumns(media_url="url", texts={"caption": "cap", "title": "name"}, page_url="page")
FORMATS = ("parquet", "csv", "tsv", "jsonl", "ndjson", "csv.gz", "tsv.gz", "jsonl.gz")
Rows = list[dict[str, Any]]


def read(path: Path, columns: TableColumns = COLUMNS, **options: Any) -> tuple[Rows, ReadLog]:
    log = ReadLog(str(path))
    batches = list(table_batches(str(path), columns, log, modality="video", snapshot="webvid", **options))
    for batch in batches:
        assert batch.schema.equals(CANDIDATES.schema, check_metadata=True)
        batch.validate(full=True)
        assert batch.num_rows <= options.get("batch_rows", 50_000)
    rows = pa.Table.from_batches(batches, CANDIDATES.schema).to_pylist()
    assert len(rows) == log.counts["rows"]
    assert log.unaccounted() == 0
    return rows, log


def write(path: Path, rows: Rows, names: tuple[str, ...] = ("url", "x", "cap", "name", "page")) -> Path:
    """Rows in the format of the path; a missing value is null or empty."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}), path)
        return path
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        if ".csv" in path.name:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(rows)
        elif ".tsv" in path.name:
            file.write("\t".join(names) + "\n")
            file.writelines("\t".join(str(row.get(name) or "") for name in names) + "\n" for row in rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def put(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# ------------------------------------------------------------------------------------------ properties

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12) | st.just("") | st.just("  ")
_URL = st.sampled_from(
    ["http://h.com/a.jpg", " https://h.com/ä b.jpg ", "HTTP://h/x", "ftp://h/x", "a.jpg", "", "http:///x"]
)
_ROW = st.fixed_dictionaries({"url": _URL, "x": st.just("-"), "cap": _TEXT, "name": _TEXT, "page": _TEXT})


def expected(rows: Rows) -> list[tuple[str, str, str, str | None, int, int]]:
    result = []
    for number, row in enumerate(rows):
        url = row["url"].strip()
        usable = url.lower().startswith(("http://h", "https://h"))
        for order, (source, name) in enumerate((("caption", "cap"), ("title", "name"))):
            text = row[name].replace("\n", " ").replace("\r", " ").replace("\t", " ").strip()
            if usable and text:
                result.append((url, text, source, row["page"].strip() or None, number, order))
    return result


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_ROW, max_size=12), st.sampled_from(["parquet", "csv", "jsonl", "csv.gz"]), st.integers(1, 9))
def test_rows_are_those_of_the_definition(tmp_path: Path, rows: Rows, kind: str, batch_rows: int) -> None:
    found, log = read(write(tmp_path / f"t.{kind}", rows), batch_rows=batch_rows)
    columns = ("media_url", "text", "text_source", "page_url", "record_offset", "field_order")
    if "csv" in kind and any("\r" in row[name] or '"' in row[name] for row in rows for name in row):
        return  # what a quote or a lone carriage return means in CSV is for its reader to say
    assert [tuple(row[name] for name in columns) for row in found] == expected(rows)
    assert all(row["media_id"] == media_id(row["media_url"]) for row in found)
    assert log.counts["texts"] == 2 * len(rows)
    assert {reason for _, reason in reasons_of(log)} <= {"bad_url"}


# --------------------------------------------------------------------------------------------- formats

PLAIN = [
    {"url": "https://h.com/1.mp4", "x": "1", "cap": "eins, zwei", "name": "n", "page": "https://h.com/"},
    {"url": "https://h.com/2.mp4", "x": "2", "cap": "", "name": "ü 中", "page": ""},
    {"url": "nonsense", "x": "3", "cap": "lost", "name": "lost", "page": ""},
    {"url": "", "x": "4", "cap": "", "name": "lost", "page": ""},
    {"url": "https://h.com/5.mp4", "x": "5", "cap": "five", "name": "", "page": ""},
]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    rows, log = read(write(tmp_path / f"t.{kind}", PLAIN))
    assert [(row["record_offset"], row["field_order"], row["text"], row["page_url"]) for row in rows] == [
        (0, 0, "eins, zwei", "https://h.com/"),
        (0, 1, "n", "https://h.com/"),
        (1, 1, "ü 中", None),
        (4, 0, "five", None),
    ]
    assert {(row["modality"], row["snapshot"], row["archive"]) for row in rows} == {("video", "webvid", f"t.{kind}")}
    assert all(row["robots"] == [] for row in rows)
    assert reasons_of(log) == [(2, "bad_url"), (3, "bad_url")]
    assert (log.counts["read_rows"], log.counts["rejected_texts"], log.counts["skipped:empty_text"]) == (5, 3, 3)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_missing_column_is_one_rejection_that_names_what_there_is(tmp_path: Path, kind: str) -> None:
    columns = TableColumns(media_url="link", texts={"alt": "cap"})
    rows, log = read(write(tmp_path / f"t.{kind}", PLAIN), columns)
    assert (rows, reasons_of(log)) == ([], [(None, "missing_column")])
    assert log.rejections[0].detail == "no column link; the file has url, x, cap, name, page"


def test_one_column_may_mean_several_things(tmp_path: Path) -> None:
    columns = TableColumns(media_url="url", texts={"a": "url", "b": "cap"}, page_url="url")
    for kind in FORMATS:
        rows, _ = read(write(tmp_path / f"t.{kind}", PLAIN[:1]), columns)
        assert texts_of(rows) == ["https://h.com/1.mp4", "eins, zwei"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("t.parquet", b"PAR1 nonsense PAR1", "unreadable_file"),
        ("t.parquet", b"", "unreadable_file"),
        ("t.csv", b"", "missing_column"),
        ("t.txt", b"url,cap\n", "unreadable_file"),
        ("t.csv.gz", b"\x1f\x8b\x08\x00 nonsense", "missing_column"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    assert [reason for _, reason in reasons_of(read(put(tmp_path / name, data))[1])] == [reason]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for kind in FORMATS:
        assert reasons_of(read(tmp_path / f"t.{kind}")[1]) == [(None, "missing_file")]


# ------------------------------------------------------------------------------------------ JSON lines


def test_bad_json_lines(tmp_path: Path) -> None:
    good = '{"url": "http://h/%d", "cap": "text %d", "name": null, "page": "p"}'
    lines: list[bytes] = [
        b"\xef\xbb\xbf" + (good % (0, 0)).encode(),
        b"",
        b'{"url": "http://h/x", "cap": ',
        b"[1, 2]",
        (good % (4, 4)).encode(),
        b'{"url": 5, "cap": "lost"}',
        b'{"url": "http://h/6", "cap": ["x"], "name": "text 6"}',
        b'{"url": "http://h/7", "cap": "\xff"}',
        b'{"url": "http://h/8", "cap": "a\\ud800b"}',
        b'{"url": null, "cap": "lost", "name": "lost"}',
        b"{}",
        b"{" * 10_000,
        (good % (12, 12)).encode(),
    ]
    rows, log = read(put(tmp_path / "t.jsonl", b"\r\n".join(lines)))
    assert [(row["record_offset"], row["text"]) for row in rows] == [
        (0, "text 0"),
        (4, "text 4"),
        (6, "text 6"),
        (8, "a\ufffdb"),
        (12, "text 12"),
    ]
    assert sorted(reasons_of(log), key=str) == sorted(
        [
            (2, "bad_json"),
            (3, "bad_json"),
            (5, "bad_url"),
            (6, "bad_row"),
            (7, "bad_encoding"),
            (9, "bad_url"),
            (10, "bad_url"),
            (11, "bad_json"),
        ],
        key=str,
    )
    details = {rejection.offset: rejection.detail for rejection in log.rejections}
    assert details[6] == "caption (cap) holds list, not text"
    assert details[5] == "url: holds int, not text"


def test_a_key_may_be_absent_but_not_from_all_rows(tmp_path: Path) -> None:
    lines = ['{"url": "http://h/1"}', '{"url": "http://h/2", "cap": "x", "page": ""}']
    rows, log = read(put(tmp_path / "t.jsonl", "\n".join(lines)))
    assert texts_of(rows) == ["x"]
    assert reasons_of(log) == [(None, "missing_column")]
    assert "no column name;" in str(log.rejections[0].detail)


def test_a_line_without_end_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.crawl.lines.MAX_LINE_BYTES", 3000)
    monkeypatch.setattr(streams, "READ_BYTES", 1000)
    good = '{"url": "http://h/1", "cap": "%s", "name": "", "page": ""}\n'
    path = put(tmp_path / "t.jsonl", good % "a" + '{"url": "' + "x" * 20_000 + '"}\n' + good % "b" + "y" * 9000)
    rows, log = read(path)
    assert [(row["record_offset"], row["text"]) for row in rows] == [(0, "a"), (2, "b")]
    assert reasons_of(log) == [(1, "too_large"), (3, "too_large")]


# ------------------------------------------------------------------------------------------- CSV, TSV


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("block", [64, 1 << 20])
def test_ragged_rows(tmp_path: Path, kind: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.crawl.csv_tables.ARROW_BLOCK_BYTES", block)
    mark = "," if kind == "csv" else "\t"
    lines = [
        "url,cap,name,page",
        "http://h/0,a,b,c",
        "",
        "http://h/1,a",
        "http://h/2,c,,",
        "x,x,x,x,x",
        "http://h/4,d,,",
    ]
    rows, log = read(put(tmp_path / f"t.{kind}", "\r\n".join(lines).replace(",", mark)))
    assert [(row["record_offset"], row["text"]) for row in rows] == [(0, "a"), (0, "b"), (2, "c"), (4, "d")]
    assert reasons_of(log) == [(1, "bad_row"), (3, "bad_row")]
    assert log.rejections[0].detail == "2 fields, but the header has 4"


def test_quoted_csv_fields(tmp_path: Path) -> None:
    data = 'url,"cap",name,page\nhttp://h/0,"a, ""b""\nc",5" screen,"p"\n"http://h/1",NULL,NA,\n'
    rows, log = read(put(tmp_path / "t.csv", data))
    assert texts_of(rows) == ['a, "b" c', '5" screen', "NULL", "NA"]
    assert log.rejections == []


@pytest.mark.parametrize("rows_after", [1, 3, 30_000])
def test_an_unclosed_quote_costs_its_line_only(tmp_path: Path, rows_after: int) -> None:
    before = "".join(f"http://h/{n},text {n},,\n" for n in range(5000))
    after = "".join(f"http://h/{n},text {n},,\n" for n in range(5001, 5001 + rows_after))
    data = "url,cap,name,page\n" + before + 'http://h/5000,"unclosed,,\n' + after
    rows, log = read(put(tmp_path / "t.csv", data))
    assert reasons_of(log) == [(5000, "bad_row")]
    numbers = [n for n in range(5001 + rows_after) if n != 5000]
    assert [(row["record_offset"], row["text"]) for row in rows] == [(n, f"text {n}") for n in numbers]


def test_rows_handed_out_before_an_unclosed_quote_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.crawl.csv_tables.ARROW_BLOCK_BYTES", 4096)
    lines = [f"http://h/{n},text {n},," for n in range(2000)]
    lines[700] = "ragged"
    lines[1500] = 'http://h/1500,"unclosed,,'
    rows, log = read(put(tmp_path / "t.csv", "\n".join(["url,cap,name,page", *lines])), batch_rows=50)
    assert [row["record_offset"] for row in rows] == [n for n in range(2000) if n not in (700, 1500)]
    assert reasons_of(log) == [(700, "bad_row"), (1500, "bad_row")]


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"t.{kind}", PLAIN)
    marked = b"\xef\xbb\xbf" + (gzip.decompress(path.read_bytes()) if kind.endswith(".gz") else path.read_bytes())
    put(path, gzip.compress(marked) if kind.endswith(".gz") else marked)
    assert len(read(path)[0]) == 4


def test_a_blank_line_before_the_header(tmp_path: Path) -> None:
    rows, log = read(put(tmp_path / "t.csv", "\n\nurl,cap,name,page\nhttp://h/0,a,,\n\nhttp://h/1,b,,"))
    assert [(row["record_offset"], row["text"]) for row in rows] == [(0, "a"), (1, "b")]
    assert log.rejections == []


def test_tsv_has_no_quoting_that_joins_lines(tmp_path: Path) -> None:
    lines = [
        '"url"\tcap\tname\tpage',
        'http://h/0\t"a, ""b""\t5"\t',
        'http://h/1\t"a ""b"" c"\t""\t',
        '"http://h/2"\t"\tx"y\t',
    ]
    rows, log = read(put(tmp_path / "t.tsv", "\n".join(lines)))
    assert [(row["media_url"], row["text"]) for row in rows] == [
        ("http://h/0", '"a, ""b""'),
        ("http://h/0", '5"'),
        ("http://h/1", 'a "b" c'),
        ("http://h/2", '"'),
        ("http://h/2", 'x"y'),
    ]
    assert log.rejections == []


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_bytes_that_are_not_utf_8_cost_their_cell(tmp_path: Path, kind: str) -> None:
    data = b"url,cap,name,page\nhttp://h/0,caf\xe9,a,b\nhttp://h/\xff,b,,\nhttp://h/2,c,,\xff\n"
    rows, log = read(put(tmp_path / f"t.{kind}", data if kind == "csv" else data.replace(b",", b"\t")))
    assert [(row["record_offset"], row["text"], row["page_url"]) for row in rows] == [(0, "a", "b"), (2, "c", None)]
    assert sorted(reasons_of(log), key=str) == [(0, "bad_encoding"), (1, "bad_url")]
    assert log.counts["odd:page_url"] == 1


def test_broken_gzip_keeps_what_came_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.crawl.members.HELD_BYTES", 1 << 16)
    text = "url,cap,name,page\n" + "".join(f"http://h/{n},text {n * n % 7919},,\n" for n in range(50_000))
    packed = gzip.compress(text.encode(), 1, mtime=0)
    for data in (packed[: len(packed) // 2], packed[:-3]):
        rows, log = read(put(tmp_path / "t.csv.gz", data))
        assert (0, "broken_gzip") in reasons_of(log)
        assert len(log.rejections) <= 2
        assert len(rows) > 50_000 * len(data) / len(packed) * 0.5
        assert [row["record_offset"] for row in rows] == list(range(len(rows)))


# -------------------------------------------------------------------------------------------- Parquet


_TEXT_TYPES = [pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary(), pa.string_view()]


@pytest.mark.parametrize("kind", _TEXT_TYPES, ids=str)
def test_parquet_text_types(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array(["a", None, "ü", "a"]).cast(kind)
    urls = pa.array([f"http://h/{n}" for n in range(4)]).cast(kind)
    pq.write_table(pa.table({"url": urls, "cap": texts, "name": texts, "page": texts}), tmp_path / "t.parquet")
    rows, _ = read(tmp_path / "t.parquet")
    assert texts_of(rows) == ["a", "a", "ü", "ü", "a", "a"]


def test_parquet_columns_of_other_types(tmp_path: Path) -> None:
    table = pa.table({"url": ["http://h/1"], "cap": [5], "name": pa.nulls(1), "page": [["x"]]})
    pq.write_table(table, tmp_path / "t.parquet")
    rows, log = read(tmp_path / "t.parquet")
    assert (rows, reasons_of(log)) == ([], [(None, "missing_column")])
    detail = "column cap holds int64, not text; column page holds list<element: string>, not text"
    assert log.rejections[0].detail == detail


def test_parquet_text_that_is_not_utf_8(tmp_path: Path) -> None:
    raw = pa.array([b"good", b"\xff\xfe", b"fine"])
    bad = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    urls = [f"http://h/{n}" for n in range(3)]
    pq.write_table(pa.table({"url": urls, "cap": bad, "name": bad, "page": urls}), tmp_path / "t.parquet")
    rows, log = read(tmp_path / "t.parquet", TableColumns(media_url="url", texts={"c": "cap"}))
    assert texts_of(rows) == ["good", "fine"]
    assert reasons_of(log) == [(1, "bad_encoding")]


def test_a_broken_row_group_costs_itself_only(tmp_path: Path) -> None:
    urls = [f"http://h/{n * n}" for n in range(3000)]
    table = pa.table({"url": urls, "cap": [f"text {n * n}" for n in range(3000)]})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=1000, write_page_checksum=True, compression="zstd")
    chunk = pq.ParquetFile(path).metadata.row_group(1).column(1)
    data = bytearray(path.read_bytes())
    middle = chunk.data_page_offset + 100
    data[middle : middle + 8] = b"\xff" * 8
    rows, log = read(put(path, bytes(data)), TableColumns(media_url="url", texts={"c": "cap"}))
    assert [row["record_offset"] for row in rows] == [*range(1000), *range(2000, 3000)]
    assert reasons_of(log) == [(1000, "unreadable_file")]
    assert str(log.rejections[0].detail).startswith("1000 rows of row group 1: ")


def test_many_small_row_groups_do_not_make_small_batches(tmp_path: Path) -> None:
    table = pa.table({"url": [f"http://h/{n}" for n in range(1000)], "cap": ["x"] * 1000})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=10)
    log = ReadLog("t")
    columns = TableColumns(media_url="url", texts={"c": "cap"})
    batches = table_batches(str(tmp_path / "t.parquet"), columns, log, modality="image", snapshot="s", batch_rows=400)
    sizes = [batch.num_rows for batch in batches]
    assert sum(sizes) == 1000
    assert len(sizes) <= 4


def test_a_read_that_fails_is_a_rejection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise PermissionError(13, "no access", path)

    monkeypatch.setattr(tables_module, "open_binary", fail)
    assert reasons_of(read(tmp_path / "t.jsonl")[1]) == [(None, "unreadable_file")]
