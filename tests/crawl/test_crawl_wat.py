"""What a WAT record means: links, texts, URLs, robots, provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
from crawl_archives import block_of, link, page, read, reasons_of, record, texts_of, wat, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.crawl import archive, read_wat, streams
from curation.crawl.urls import media_id


def rows_of(folder: Path, *links: object, **options: Any) -> list[dict[str, Any]]:
    head, headers = options.pop("head", {}), options.pop("headers", {})
    url = options.pop("url", "https://example.com/dir/page.html")
    return read(wat(folder / "x.wat.gz", page(list(links), url=url, head=head, headers=headers)), **options)[0]


# ---------------------------------------------------------------------------------------------- texts


def test_texts_of_image_links_in_order(tmp_path: Path) -> None:
    rows = rows_of(
        tmp_path,
        link(alt="one", title="two", **{"data-image-title": "three"}),
        link(path="A@/href", alt="no", title="no"),
        link(path="IMG@/srcset", alt="starts with it"),
        link(path="XIMG@/src", alt="no"),
        link(path="IMG@/longdesc", alt="no"),
        link("b.jpg", title="  four\t"),
        link(alt=" \n\r\t ", title=""),
    )
    assert [(row["text"], row["text_source"], row["field_order"]) for row in rows] == [
        ("one", "alt", 0),
        ("two", "title", 1),
        ("three", "data-image-title", 2),
        ("starts with it", "alt", 3),
        ("four", "title", 4),
    ]
    assert {row["modality"] for row in rows} == {"image"}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("default", "a b  c d"), ("v1-wat", "a b  c\td"), ("v1-warc", "abc\td"), ("v2", "a b  c\td")],
)
def test_line_breaks_and_tabs(tmp_path: Path, variant: str, expected: str) -> None:
    assert texts_of(rows_of(tmp_path, link(alt=" \u00a0a\nb\r\nc\td\u2003"), variant=variant)) == [expected]


# ----------------------------------------------------------------------------------------------- URLs


def test_the_default_keeps_http_only_and_counts_the_rest(tmp_path: Path) -> None:
    links = [
        link(" \n/a.jpg\t", alt="1"),
        link("http://cdn.example.com/b\n.j\tpg", alt="2"),
        link("HTTP://h.com/c.jpg", alt="3"),
        link("data:image/gif;base64,R0lGOD", alt="4", title="5"),
        link("javascript:void(0)", alt="6"),
        link("", alt="7"),
        link(" \t", alt="8"),
        link("http://[bad/", alt="9"),
        link("http:///d.jpg", alt="10"),
        {"path": "IMG@/src", "alt": "11"},
        link(None, alt="12"),
    ]
    rows, log = read(wat(tmp_path / "x.wat.gz", page(links)))
    assert [(row["text"], row["media_url"]) for row in rows] == [
        ("1", "https://example.com/a.jpg"),
        ("2", "http://cdn.example.com/b.jpg"),
        ("3", "HTTP://h.com/c.jpg"),
    ]
    assert {name: log.counts[name] for name in ("texts", "rows", "skipped:not_http", "skipped:bad_url")} == {
        "texts": 12,
        "rows": 3,
        "skipped:not_http": 3,
        "skipped:bad_url": 6,
    }


@pytest.mark.parametrize("variant", ["v1-wat", "v1-warc", "v2"])
def test_the_released_codes_variants_keep_every_scheme_and_ignore_base(tmp_path: Path, variant: str) -> None:
    links = [link("a b.jpg", alt="1"), link("data:,x", alt="2"), link("", alt="3"), link("http://[bad/", alt="4")]
    rows = rows_of(tmp_path, *links, head={"Base": "https://other.org/"}, variant=variant)
    urls = ["https://example.com/dir/a b.jpg", "data:,x", "https://example.com/dir/page.html"]
    assert [row["media_url"] for row in rows] == urls
    hashed = [url.replace(" ", "") for url in urls] if variant == "v2" else urls
    assert [row["media_id"] for row in rows] == [media_id(url) for url in hashed]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://other.org/x/y", "https://other.org/x/a.jpg"),
        (" /root/\n", "https://example.com/root/a.jpg"),
        ("up/", "https://example.com/dir/up/a.jpg"),
        ("//cdn.org", "https://cdn.org/a.jpg"),
        ("", "https://example.com/dir/a.jpg"),
        ("javascript:void(0)", "https://example.com/dir/a.jpg"),
        ("http://[bad/", "https://example.com/dir/a.jpg"),
        (None, "https://example.com/dir/a.jpg"),
        (7, "https://example.com/dir/a.jpg"),
    ],
)
def test_the_default_resolves_against_base(tmp_path: Path, base: object, expected: str) -> None:
    (row,) = rows_of(tmp_path, link("a.jpg", alt="x"), head={"Base": base})
    assert row["media_url"] == expected


@pytest.mark.parametrize("url", [None, "", "http://[bad/", "urn:x", 5, ["http://h"]])
def test_a_page_without_a_usable_url_keeps_its_absolute_links(tmp_path: Path, url: object) -> None:
    rows = rows_of(tmp_path, link("https://h.com/a.jpg", alt="1"), link("b.jpg", alt="2"), url=url)
    assert [(row["media_url"], row["page_url"]) for row in rows] == [
        ("https://h.com/a.jpg", url if isinstance(url, str) else None)
    ]


def test_an_absurd_page_url_is_refused(tmp_path: Path) -> None:
    good = page([link(alt="kept")])
    rows, log = read(wat(tmp_path / "x.wat.gz", page([link(alt="x")], url="https://h/" + "x" * 9000), good))
    assert (texts_of(rows), reasons_of(log)) == (["kept"], [(0, "bad_url")])


# --------------------------------------------------------------------------------------- robots, provenance


def test_robots_of_page_and_header(tmp_path: Path) -> None:
    metas = [
        {"name": "ROBOTS", "content": " NoIndex, noai ,"},
        {"name": "robots", "content": "noai"},
        {"name": "googlebot", "content": "nofollow"},
        {"name": "robots"},
        {"property": "robots", "content": "x"},  # carelessly written, and a wish all the same
    ]
    headers = {"X-ROBOTS-tag": ["noimageai", "max-image-preview: Large"], "Content-Type": "text/html"}
    (row,) = rows_of(tmp_path, link(alt="x"), head={"Metas": metas}, headers=headers)
    assert row["robots"] == ["max-image-preview: large", "noai", "noimageai", "noindex", "x"]
    (row,) = rows_of(tmp_path, link(alt="x"), headers={"x-robots-tag": "none"})
    assert row["robots"] == ["none"]
    assert rows_of(tmp_path, link(alt="x"))[0]["robots"] == []


def test_absurd_robots_never_hide_the_short_ones(tmp_path: Path) -> None:
    content = ",".join(["x" * 5000, *(f"directive-number-{n}" for n in range(500)), "noai"])
    (row,) = rows_of(tmp_path, link(alt="x"), head={"Metas": [{"name": "robots", "content": content}]})
    assert "noai" in row["robots"]
    assert len(row["robots"]) == 64


def warcinfo(snapshot: object) -> dict[str, Any]:
    return {"Envelope": {"Payload-Metadata": {"WARC-Info-Metadata": {"isPartOf": snapshot}}}}


@pytest.mark.parametrize(
    ("name", "info", "given_", "expected"),
    [
        ("x.wat.gz", "CC-MAIN-2024-22", None, "CC-MAIN-2024-22"),
        ("CC-MAIN-2020-05/x.wat.gz", "CC-MAIN-2024-22", None, "CC-MAIN-2024-22"),
        ("CC-MAIN-2020-05/x.wat.gz", 7, None, "CC-MAIN-2020-05"),
        ("CC-MAIN-20200117000000-20200118-00000.wat.gz", "", None, "unknown"),
        ("x.wat.gz", "CC-MAIN-2024-22", "mine", "mine"),
    ],
)
def test_snapshot(tmp_path: Path, name: str, info: object, given_: str | None, expected: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    path = wat(tmp_path / name, warcinfo(info), page([link(alt="x")]))
    assert [row["snapshot"] for row in read(path, snapshot=given_)[0]] == [expected]


def test_snapshot_of_the_wats_own_warcinfo_record(tmp_path: Path) -> None:
    info = record(b"isPartOf: CC-MAIN-2023-06\r\npublisher: CC", kind="warcinfo", type_="application/warc-fields")
    path = write(tmp_path / "x.wat", [info, record(block_of(page([link(alt="x")])))])
    assert [row["snapshot"] for row in read(path)[0]] == ["CC-MAIN-2023-06"]


@pytest.mark.parametrize("per_record", [True, False])
def test_a_row_is_named_by_archive_offset_and_order(tmp_path: Path, per_record: bool) -> None:
    pages = [page([link(alt=f"{n}-{k}", title="t") for k in range(3)]) for n in range(4)]
    rows, _ = read(wat(tmp_path / "x.wat.gz", *pages, per_record=per_record))
    names = [(row["archive"], row["record_offset"], row["field_order"]) for row in rows]
    assert len(set(names)) == len(rows) == 24
    assert names == sorted(names)
    assert {row["page_url"] for row in rows} == {"https://example.com/dir/page.html"}


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_batches_cut_rows_anywhere(tmp_path: Path, batch_rows: int) -> None:
    path = wat(tmp_path / "x.wat.gz", *(page([link(alt=f"{n}-{k}") for k in range(n)]) for n in range(12)))
    whole, _ = read(path)
    rows, _ = read(path, batch_rows=batch_rows)
    assert rows == whole
    assert texts_of(rows) == [f"{n}-{k}" for n in range(12) for k in range(n)]


def test_a_page_larger_than_a_batch_is_handed_out_in_parts(tmp_path: Path) -> None:
    path = wat(tmp_path / "x.wat.gz", page([link(alt=str(n)) for n in range(10_000)]), page([link(alt="next")]))
    rows, log = read(path, batch_rows=500)
    assert texts_of(rows) == [*map(str, range(10_000)), "next"]
    assert [row["field_order"] for row in rows] == [*range(10_000), 0]
    assert (log.counts["records"], log.counts["pages"]) == (2, 2)


def test_read_wat_gives_dicts(tmp_path: Path) -> None:
    path = wat(tmp_path / "x.wat.gz", page([link(alt="x")]))
    (row,) = read_wat(str(path), snapshot="s")
    assert row == {**read(path, snapshot="s")[0][0], "url": row["media_url"]}


# -------------------------------------------------------------------------------------------- odd JSON


def test_lone_surrogates_become_replacement_characters(tmp_path: Path) -> None:
    text = json.dumps(page([link("/\ud800.jpg", alt="a\ud83d b \U0001f600", title="\udc00")]))
    rows, log = read(write(tmp_path / "x.wat.gz", [record(text.encode())]))
    assert texts_of(rows) == ["a\ufffd b \U0001f600", "\ufffd"]
    assert rows[0]["media_url"] == "https://example.com/\ufffd.jpg"
    assert log.rejections == []


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b'{"Envelope": ', "bad_json"),
        (b"{" * 100_000, "bad_json"),
        (b"[]", "bad_json"),
        (b"", "bad_json"),
        (b'{"Envelope": {"x": "\xff"}}', "bad_encoding"),
        (b'{"Envelope": "\xed\xa0\x80"}', "bad_encoding"),
        (b'{"a": ' + b"9" * 5000 + b"1e}", "bad_json"),
    ],
)
def test_a_bad_block_is_one_rejection(tmp_path: Path, block: bytes, reason: str) -> None:
    good = record(block_of(page([link(alt="kept")])))
    rows, log = read(write(tmp_path / "x.wat.gz", [record(block), good]))
    assert (texts_of(rows), reasons_of(log)) == (["kept"], [(0, reason)])


def test_values_of_other_types_cost_no_more_than_themselves(tmp_path: Path) -> None:
    links = [
        None,
        5,
        "IMG@/src",
        [],
        link(path=None, alt="no"),
        link(path=["IMG@/src"], alt="no"),
        link(alt=5, title="kept 1"),
        link(alt=None, title=["x"], **{"data-image-title": "kept 2"}),
        link(5, alt="no url"),
    ]
    rows, log = read(wat(tmp_path / "x.wat.gz", page(links)))
    assert texts_of(rows) == ["kept 1", "kept 2"]
    assert {name: n for name, n in log.counts.items() if name.startswith(("odd:", "skipped:"))} == {
        "odd:Links": 3,
        "odd:path": 1,
        "odd:alt": 1,
        "odd:title": 1,
        "odd:url": 1,
        "skipped:bad_url": 1,
    }
    assert log.rejections == []


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_KEYS = st.sampled_from(["Envelope", "Links", "path", "alt", "x"])
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=6
)
_PLACES = [
    ("Envelope",),
    ("Envelope", "Payload-Metadata"),
    ("Envelope", "WARC-Header-Metadata"),
    ("Envelope", "WARC-Header-Metadata", "WARC-Target-URI"),
    ("Envelope", "Payload-Metadata", "WARC-Info-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "Headers"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata", "Head"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata", "Head", "Metas"),
    ("Envelope", "Payload-Metadata", "HTTP-Response-Metadata", "HTML-Metadata", "Links"),
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(_PLACES), _JSON, st.sampled_from(["default", "v2"]))
def test_any_json_anywhere_is_read_without_an_error(
    tmp_path: Path, place: tuple[str, ...], value: object, variant: str
) -> None:
    odd = page([link(alt="x")], head={"Metas": [{"name": "robots", "content": "noai"}]}, headers={"X-Robots-Tag": "a"})
    node: Any = odd
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    rows, log = read(wat(tmp_path / "x.wat.gz", odd, page([link(alt="kept")])), variant=variant)
    assert texts_of(rows)[-1:] == ["kept"]
    assert log.rejections == []


# ------------------------------------------------------------------------------------------ whole files


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert reasons_of(read(tmp_path / "none.wat.gz")[1]) == [(None, "missing_file")]
    assert reasons_of(read(tmp_path)[1]) == [(None, "unreadable_file")]


def test_a_warc_is_not_a_wat(tmp_path: Path) -> None:
    response = record(b"HTTP/1.1 200 OK\r\n\r\n<html>", kind="response", type_="application/http; msgtype=response")
    rows, log = read(write(tmp_path / "x.warc.gz", [response] * 3))
    assert (rows, reasons_of(log)) == ([], [(0, "not_an_archive")])
    assert log.counts["records"] == 3


def test_a_wat_of_nothing_but_its_warcinfo_is_empty_not_wrong(tmp_path: Path) -> None:
    info = record(b"format: WARC File Format 1.0", kind="warcinfo", type_="application/warc-fields")
    assert read(write(tmp_path / "x.wat.gz", [info]))[1].rejections == []


def test_a_file_on_any_fsspec_filesystem(tmp_path: Path) -> None:
    path = wat(tmp_path / "x.wat.gz", page([link(alt="x")]))
    fsspec.filesystem("memory").pipe_file("/crawl/x.wat.gz", path.read_bytes())
    assert list(read_wat("memory://crawl/x.wat.gz")) == list(read_wat(path.as_uri())) == list(read_wat(str(path)))
    assert len(list(read_wat(str(path)))) == 1


class Failing:
    """A file whose reading fails at its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, size: int = -1) -> bytes:
        if not self.data:
            raise ConnectionResetError("gone")
        part, self.data = self.data[:size], self.data[size:]
        return part


@pytest.mark.parametrize("name", ["x.wat.gz", "x.wat"])
@pytest.mark.parametrize("read_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("missing", [0, 100])
def test_a_read_that_fails_midway_keeps_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, read_bytes: int, missing: int
) -> None:
    path = write(tmp_path / name, [record(block_of(page([link(alt=str(n))]))) for n in range(20)])
    data = path.read_bytes()
    data = data[: len(data) - missing]
    monkeypatch.setattr(streams, "READ_BYTES", read_bytes)
    monkeypatch.setattr(archive, "open_binary", lambda _: Failing(data))
    rows, log = read(path)
    assert texts_of(rows) == [str(n) for n in range(19 if missing else 20)]
    assert reasons_of(log) == [(len(data), "unreadable_file")]
