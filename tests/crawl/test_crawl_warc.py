"""WARC archives: which records are read and what becomes of them, settings, hostile pages, and damage of any kind."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa
import pytest
from selectolax.lexbor import SelectolaxError

from curation.crawl import Reading, ReadLog, warc_batches
from curation.crawl.media import FREE_ROW_CHARS, ROW_CHARS
from curation.schemas import CANDIDATES, SITE_RULES
from curation.testing import build_edge_archives, build_web

ROOT = Path(__file__).resolve().parents[2]
URL = "https://example.com/dir/page.html"
HTML = b"Content-Type: text/html; charset=utf-8"
IMAGE = b"<img src=a.jpg alt=A>"
LIMIT = 1.5
"""Seconds that a page may take here."""


def response(body: bytes, *fields: bytes, status: int = 200, url: str = URL, kind: str = "response") -> bytes:
    http = b"\r\n".join([b"HTTP/1.1 %d X" % status, *(fields or (HTML,))]) + b"\r\n\r\n" + body
    return framed(http, f"WARC-Type: {kind}", f"WARC-Target-URI: {url}", "Content-Type: application/http")


def framed(block: bytes, *lines: str) -> bytes:
    head = "\r\n".join(["WARC/1.0", *lines, f"Content-Length: {len(block)}"])
    return head.encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def read(folder: Path, *records: bytes, name: str = "x.warc", **settings: Any) -> tuple[list[dict[str, Any]], ReadLog]:
    """Candidates of an archive, with a check of what holds for any input."""
    path = folder / name
    data = b"".join(gzip.compress(record) if name.endswith(".gz") else record for record in records)
    path.write_bytes(data)
    log = ReadLog(str(path))
    rows: list[dict[str, Any]] = []
    for dataset, batch in warc_batches(str(path), log, Reading(**settings)):
        batch.validate(full=True)
        assert batch.schema.equals(dataset.schema, check_metadata=True)
        rows += batch.to_pylist() if dataset is CANDIDATES else []
    assert log.unaccounted() == 0
    return rows, log


def texts(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["text_source"], row["text"]) for row in rows]


def reasons(log: ReadLog) -> list[str]:
    return [rejection.reason.value for rejection in log.rejections]


# ------------------------------------------------------------------------------------- which records are read


@pytest.mark.parametrize(
    ("status", "pages"), [(200, 1), (203, 1), (299, 1), (301, 0), (404, 0), (503, 0)]
)  # fmt: skip
def test_status(status: int, pages: int, tmp_path: Path) -> None:
    rows, log = read(tmp_path, response(IMAGE, status=status))
    assert (len(rows), log.counts["pages"], log.counts["pages_not_ok"]) == (pages, pages, 1 - pages)


@pytest.mark.parametrize(
    ("field", "body", "found"),
    [
        (b"Content-Type: TEXT/HTML;charset=x", IMAGE, True),
        (b"Content-Type: application/xhtml+xml", IMAGE, True),
        (b"content-type:text/html", IMAGE, True),
        (b"Content-Type: text/plain", b"<html>" + IMAGE, False),
        (b"Content-Type: image/jpeg", b"<html>" + IMAGE, False),
        (b"X: y", b" <!DOCTYPE html>" + IMAGE, True),
        (b"X: y", b"<!-- x -->" + IMAGE, True),
        (b"X: y", IMAGE, False),
        (b"Content-Type:", b"<HTML>" + IMAGE, True),
    ],
)
def test_what_is_a_page(field: bytes, body: bytes, found: bool, tmp_path: Path) -> None:
    rows, log = read(tmp_path, response(body, field))
    assert (bool(rows), log.counts["not_html"]) == (found, 0 if found else 1)


def test_resources_and_other_kinds(tmp_path: Path) -> None:
    page = "WARC-Target-URI: https://h.com/p", "Content-Type: text/html"
    records = [
        framed(b"isPartOf: CC-MAIN-2024-22\r\n", "WARC-Type: warcinfo"),
        framed(IMAGE, "WARC-Type: resource", *page),
        framed(IMAGE, "WARC-Type: metadata", *page),
        framed(IMAGE, "WARC-Type: conversion", *page),
        response(IMAGE, kind="request"),
        response(IMAGE, kind="revisit"),
        framed(b"20200101 1.2.3.4", "WARC-Type: response", "WARC-Target-URI: dns:h.com", "Content-Type: text/dns"),
    ]
    rows, log = read(tmp_path, *records, name="x.warc.gz")
    assert [(row["page_url"], row["media_url"], row["snapshot"]) for row in rows] == [
        ("https://h.com/p", "https://h.com/a.jpg", "CC-MAIN-2024-22")
    ]
    assert (log.counts["records"], log.rejections) == (len(records), [])


def test_a_row_carries_what_its_page_says(tmp_path: Path) -> None:
    html = (
        b"<html lang=de><base href=/b/><link rel=canonical href=/c><meta name=robots content=noai>"
        b"<link rel=license href=https://creativecommons.org/licenses/by/4.0/><title>T</title>"
        b"<img src=i.jpg alt=A width=3><video poster=p.jpg src=v.mp4><track src=s.vtt></video>"
    )
    fields = (HTML, b"X-Robots-Tag: noindex", b"TDM-Reservation: 1")
    rows, _ = read(tmp_path, response(b"<img src=x alt=before>"), response(html, *fields))
    image, video = rows[1:]
    assert (image["media_url"], image["text"], image["width"]) == ("https://example.com/b/i.jpg", "A", 3)
    assert (video["media_url"], video["text"]) == ("https://example.com/b/v.mp4", "T")
    assert video["poster_url"] == "https://example.com/b/p.jpg"
    assert video["tracks"] == [{"url": "https://example.com/b/s.vtt", "kind": "subtitles", "lang": None}]
    for row in (image, video):
        assert (row["page_lang"], row["licence"]) == ("de", "CC-BY-4.0")
        assert row["canonical_url"] == "https://example.com/c"
        assert row["robots"] == ["noai", "noindex", "tdm-reservation"]
    assert [row["field_order"] for row in rows] == [0, 0, 1]
    assert rows[1]["record_offset"] == rows[2]["record_offset"] > rows[0]["record_offset"] == 0


def test_a_canonical_url_that_is_the_pages_own_says_nothing(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, response(b"<link rel=canonical href=page.html>" + IMAGE))
    assert rows[0]["canonical_url"] is None


# ------------------------------------------------------------------------------------- media of one page


def described(**properties: object) -> bytes:
    node = {"@context": "https://schema.org", "@type": "VideoObject", **properties}
    return b'<script type="application/ld+json">' + json.dumps(node).encode() + b"</script>"


def test_descriptions_of_one_url_are_one_medium(tmp_path: Path) -> None:
    html = (
        b"<title>T</title><meta property=og:video content=/v.mp4><meta property=og:video:width content=640>"
        + described(name="N", contentUrl="https://example.com/v.mp4", duration="PT5S", width=9)
        + b"<video src=/v.mp4 poster=/p.jpg title=V></video><a href=/v.mp4>L</a>"
    )
    rows, _ = read(tmp_path, response(html))
    assert texts(rows) == [("title", "V"), ("link-text", "L"), ("schema:name", "N"), ("page-title", "T")]
    facts = {(row["media_url"], row["width"], row["duration_ms"], row["poster_url"]) for row in rows}
    assert facts == {("https://example.com/v.mp4", 640, 5000, "https://example.com/p.jpg")}


def test_a_description_without_a_url_belongs_to_the_pages_one_video(tmp_path: Path) -> None:
    name = described(name="N")
    one, log = read(tmp_path, response(name + b"<video src=/v.mp4></video><audio src=/a.mp3></audio>"))
    assert [(row["media_url"], row["text"]) for row in one] == [("https://example.com/v.mp4", "N")]
    two, log = read(tmp_path, response(name + b"<video src=/v.mp4></video><video src=/w.mp4></video>"))
    assert (two, log.counts["skipped:no_url"], log.counts["texts"]) == ([], 1, 1)
    none, log = read(tmp_path, response(name + b"<audio src=/a.mp3></audio>"))
    assert (none, log.counts["skipped:no_url"]) == ([], 1)


def test_on_a_platforms_own_page_it_is_the_pages_video(tmp_path: Path) -> None:
    url = "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=3"
    html = b"<title>T</title><video src=blob:x title=B></video>" + described(name="N")
    rows, _ = read(tmp_path, response(html, url=url))
    assert texts(rows) == [("title", "B"), ("schema:name", "N"), ("page-title", "T")]
    assert {(row["platform"], row["platform_id"]) for row in rows} == {("youtube", "dQw4w9WgXcQ")}
    assert len({row["media_id"] for row in rows}) == 1
    others = b"<video src=/v.mp4></video><video src=/w.mp4></video>"
    rows, log = read(tmp_path, response(others + described(name="N"), url=url))
    assert (rows, log.counts["skipped:no_url"]) == ([], 1)


@pytest.mark.parametrize(("count", "titled"), [(50, True), (51, False)])
def test_the_title_of_a_list_says_nothing_of_its_videos(count: int, titled: bool, tmp_path: Path) -> None:
    html = b"<title>T</title>" + b"".join(b"<video src=/%d.mp4></video>" % n for n in range(count))
    assert len(read(tmp_path, response(html))[0]) == (count if titled else 0)


def test_chapters(tmp_path: Path) -> None:
    parts = [{"@type": "Clip", "name": "C", "startOffset": 1, "endOffset": 2}, {"name": "D", "startOffset": 3}]
    rows, _ = read(tmp_path, response(described(contentUrl="/v.mp4", hasPart=parts)))
    assert [(row["text"], row["start_ms"], row["end_ms"]) for row in rows] == [("C", 1000, 2000), ("D", 3000, None)]


# ------------------------------------------------------------------------------------- settings

ALL = IMAGE + b"<video src=v.mp4 title=V></video><audio src=a.mp3 title=S></audio>"


@pytest.mark.parametrize("modalities", [("image",), ("video",), ("audio", "video"), ()])
def test_modalities(modalities: tuple[str, ...], tmp_path: Path) -> None:
    rows, log = read(tmp_path, response(ALL + b"<img alt=x><video title=y></video>"), modalities=modalities)
    assert {row["modality"] for row in rows} == set(modalities)
    assert log.counts["skipped:bad_url"] == ("image" in modalities)


def test_image_url(tmp_path: Path) -> None:
    page = response(b"<img src=a.jpg srcset='b.jpg 2x' alt=A>")
    for image_url, name in (("largest", "b"), ("src", "a")):
        assert read(tmp_path, page, image_url=image_url)[0][0]["media_url"].endswith(f"/{name}.jpg")


@pytest.mark.parametrize("variant", ["v1-wat", "v1-warc", "v2"])
def test_parity_variants_read_what_the_released_code_reads(variant: str, tmp_path: Path) -> None:
    html = (
        b"<base href=/b/><meta property=og:image content=/o.jpg><meta property=og:title content=O>"
        b"<figure><a href=/ title=L><img src=a.jpg srcset='b.jpg 2x' alt=A title=T data-image-title=D></a>"
        b"<figcaption>F</figcaption></figure>" + ALL.replace(IMAGE, b"")
    )
    rows, _ = read(tmp_path, response(html), variant=variant)
    assert texts(rows) == [("alt", "A"), ("title", "T"), ("data-image-title", "D")]
    assert {row["media_url"] for row in rows} == {"https://example.com/dir/a.jpg"}


@pytest.mark.parametrize("coded", [False, True])
def test_max_page_bytes(coded: bool, tmp_path: Path) -> None:
    large = IMAGE + b" " * 5000
    body, fields = (gzip.compress(large), (HTML, b"Content-Encoding: gzip")) if coded else (large, (HTML,))
    records = response(body, *fields), response(IMAGE)
    rows, log = read(tmp_path, *records, max_page_bytes=len(large) - 1)
    assert (len(rows), reasons(log)) == (1, ["too_large"])
    assert len(read(tmp_path, *records, max_page_bytes=len(large))[0]) == 2


def test_a_resource_may_be_no_larger(tmp_path: Path) -> None:
    record = framed(IMAGE, "WARC-Type: resource", "Content-Type: text/html", f"WARC-Target-URI: {URL}")
    assert reasons(read(tmp_path, record, max_page_bytes=20)[1]) == ["too_large"]
    assert reasons(read(tmp_path, record, max_page_bytes=21)[1]) == []


def test_page_seconds(tmp_path: Path) -> None:
    slow = response(b"<h1><div>" * 1900)  # read here; the other way is tested below
    rows, log = read(tmp_path, response(IMAGE), slow, response(IMAGE), page_seconds=0.05)
    assert ([row["text"] for row in rows], reasons(log)) == (["A", "A"], ["page_timeout"])


# ------------------------------------------------------------------------------------- site files


def test_site_files_give_rules(tmp_path: Path) -> None:
    text = b"User-agent: *\nDisallow: /x\n"
    plain = b"Content-Type: text/plain"
    records = [
        response(text, plain, url="https://H.com:443/robots.txt"),
        response(text, plain, url="http://h.com:8080/ai.txt"),
        response(text, plain, url="https://h.com/.well-known/ai.txt"),
        response(text, plain, url="https://h.com/dir/robots.txt"),
        response(text, plain, url="https://h.com/robots.txt", status=404),
        response(IMAGE, url="https://h.com/robots.txt"),
        response(text, plain, url="dns:robots.txt"),
        response(b"", plain, url="https://h.com/robots.txt"),
        response(text, plain, url=f"https://{'h' * 9000}.com/robots.txt"),
    ]
    path = tmp_path / "x.warc"
    path.write_bytes(b"".join(records))
    log = ReadLog(str(path))
    found = list(warc_batches(str(path), log))
    rules = pa.Table.from_batches([batch for dataset, batch in found if dataset is SITE_RULES])
    named = {(row["host"], row["kind"]) for row in rules.to_pylist()}
    assert named == {("h.com", "robots.txt"), ("h.com:8080", "ai.txt"), ("h.com", "ai.txt")}
    assert {(row["agent"], row["allow"], row["pattern"]) for row in rules.to_pylist()} == {
        ("*", True, ""),
        ("*", False, "/x"),
    }
    assert log.counts["site_files"] == 3
    assert sum(batch.num_rows for dataset, batch in found if dataset is CANDIDATES) == 1  # an error page in HTML


def test_rules_that_repeat_themselves_are_refused(tmp_path: Path) -> None:
    text = b"User-agent: a\n" * 2000 + b"Disallow: /" + b"x" * 100_000 + b"\n"
    record = response(text, b"Content-Type: text/plain", url="https://h.com/robots.txt")
    assert reasons(read(tmp_path, record, response(IMAGE))[1]) == ["too_large"]


# ------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("name", ["x.warc", "x.warc.gz"])
def test_half_a_page_says_what_it_says(name: str, tmp_path: Path) -> None:
    page = response(numbered(b"<img src=%d.jpg alt=x>", 20_000))
    whole = gzip.compress(page) if name.endswith(".gz") else page
    path = tmp_path / name
    path.write_bytes(whole[: len(whole) // 2])
    log = ReadLog(str(path))
    count = sum(batch.num_rows for _, batch in warc_batches(str(path), log))
    assert 8_000 < count < 12_000
    assert {"truncated_record", "broken_gzip"} >= set(reasons(log)) != set()
    assert log.unaccounted() == 0


def test_a_wat_is_no_warc(tmp_path: Path) -> None:
    record = framed(b'{"Envelope": {}}', "WARC-Type: metadata", "Content-Type: application/json")
    assert reasons(read(tmp_path, record)[1]) == ["not_an_archive"]


def test_thousands_of_archives_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bench.fuzz, for a few seconds. A failure names the case to run alone."""
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.fuzz import Fuzzer

    build_web(tmp_path / "web", pages=70, archives=1, damaged=False)
    build_edge_archives(tmp_path / "edges")
    fuzzer = Fuzzer([tmp_path / "web", tmp_path / "edges"], seed=5)
    for number in range(100):
        fuzzer.run(number)
    fuzzer.close()
    assert fuzzer.failures == []
    assert fuzzer.counts["warc: rows"] > 500 and fuzzer.counts["wat: rows"] > 100
    assert sum(name.startswith("warc: rejected:") for name in fuzzer.counts) > 3


# ------------------------------------------------------------------------------------- hostile pages

LONG = b"t" * 4000
CLIP = b'{"@id":"c","@type":"Clip","name":"%s","startOffset":0}' % (b"n" * 20_000)
CLIPS = b",".join([b'{"@id":"c"}'] * 500)


def numbered(piece: bytes, count: int) -> bytes:
    return b"".join(piece % n for n in range(count))


HOSTILE = {
    "nested": b"<div>" * 200_000,
    "formatting": numbered(b"<font id=%d><p>", 4_000),
    "attributes": b"<img " + numbered(b"a%d=1 ", 90_000) + b">",
    "images": numbered(b"<img src=/%d.jpg alt=t>", 20_000),
    "sources": b"<picture>" + numbered(b"<source srcset='/%d.jpg 9w'>", 20_000) + IMAGE + b"</picture>",
    "srcset": b"<img alt=t srcset='" + numbered(b"/%d.jpg 9w,", 100_000) + b"'>",
    "data URL": b"<img alt=t src='data:image/png;base64," + b"A" * (2 << 20) + b"'>",
    "figures": b"<figure><figcaption>c</figcaption><img src=a alt=b>" * 1000,
    "json": b"<script type=application/ld+json>{\"@type\":\"VideoObject\",\"a\":" + b"[" * 900_000 + b"</script>",
    "captions": (b"<figure><figcaption>" + LONG + b"</figcaption>" + numbered(b"<img src=%d>", 50) + b"</figure>") * 60,
    "cards": b"<meta property=og:title content=" + LONG + b">" + numbered(b"<meta property=og:image content=%d>", 5000),
    "base": b"<base href=//h/" + b"a/" * 4000 + b">" + numbered(b"<img src=./%d alt=b>", 3000),
    "canonical": b"<link rel=canonical href=/" + LONG + b">" + numbered(b"<img src=/%d alt=b>", 3000),
    "robots": b"<meta name=robots content='" + numbered(b"%090d,", 64) + b"'>" + numbered(b"<img src=%d alt=b>", 3000),
    "tracks": b"<video src=/v>" + numbered(b"<track src=/%d>", 3000) + b"</video>"
              + b"<video src=/v title=t></video>" * 900,
    "nested tracks": numbered(b"<video src=/%d title=t><track src=t>", 1500),
    "parameters": b"<object title=" + LONG + b">" + numbered(b"<param name=src value=/%d.mp4>", 3000),
    "clips": b"<script type=application/ld+json>[" + CLIP + b",{\"@type\":\"VideoObject\",\"contentUrl\":\"/v.mp4\","
             b"\"hasPart\":[" + CLIPS + b"]}]</script>",
    "posters": b"<base href=//h/" + LONG + b"/>" + numbered(b"<video src=//h/%d poster=p title=t></video>", 3000),
    "unplaced": b"<video title=t></video>" * 1900 + numbered(b"<a href=%d.mp4></a>", 1900),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.slow
def test_a_hostile_page_harms_no_other(name: str, tmp_path: Path) -> None:
    html = HOSTILE[name]
    around = [response(b"<img src=x alt=%d>" % n, url=f"https://h.com/{n}") for n in range(2)]
    start = monotonic()
    rows, log = read(tmp_path, around[0], response(html), around[1], page_seconds=LIMIT)
    assert monotonic() - start < LIMIT + 7  # seconds for the start of a process among them
    assert [row["text"] for row in (rows[0], rows[-1])] == ["0", "1"]
    assert len(log.rejections) <= 1
    size = sum(chars(row) for row in rows[1:-1])
    assert size <= FREE_ROW_CHARS + ROW_CHARS * len(html)


def chars(value: object) -> int:
    """Characters in a row."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(chars(item) for key, item in value.items() if key not in ("media_id", "archive", "text_source"))
    return sum(map(chars, value)) if isinstance(value, list) else 0


def test_what_exceeds_the_limit_is_counted(tmp_path: Path) -> None:
    rows, log = read(tmp_path, response(HOSTILE["captions"]))
    assert rows
    skipped = Counter({name: count for name, count in log.counts.items() if name.startswith("skipped:")})
    assert set(skipped) == {"skipped:page_limit"}
    assert len(rows) + skipped.total() == log.counts["texts"] == 60 * 50


def test_absurd_urls_are_refused_whatever_they_are_for(tmp_path: Path) -> None:
    long = b"https://h.com/" + b"x" * 9000
    html = b"<img src=%s alt=A><video src=/v.mp4 poster=%s title=T><track src=%s></video><link rel=canonical href=%s>"
    rows, log = read(tmp_path, response(html % (long, long, long, long)))
    assert [(row["poster_url"], row["tracks"], row["canonical_url"]) for row in rows] == [(None, [], None)]
    assert log.counts["skipped:bad_url"] == 1
    assert reasons(read(tmp_path, response(IMAGE, url=long.decode()), response(IMAGE))[1]) == ["bad_url"]


def test_a_page_that_cannot_be_parsed_is_one_rejection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warc = sys.modules["curation.crawl.warc"]
    real = warc.read_html
    for error in (SelectolaxError("x"), ValueError("x"), RecursionError()):
        failing = iter([True, False])

        def read_html(html: bytes, *, error: Exception = error, failing: Any = failing, **options: Any) -> Any:
            if next(failing):
                raise error
            return real(html, **options)

        with monkeypatch.context() as patch:
            patch.setattr(warc, "read_html", read_html)
            rows, log = read(tmp_path, response(IMAGE), response(IMAGE))
        assert (len(rows), reasons(log)) == (1, ["bad_page"])
