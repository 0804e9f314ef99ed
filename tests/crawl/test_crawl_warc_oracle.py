"""Every WARC record that FastWARC or warcio reads is read by us too, with the same type, URI, id and decoded body."""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import brotli
import pytest
from fastwarc.warc import ArchiveIterator as FastWarc
from warcio.archiveiterator import ArchiveIterator as Warcio
from warcio.exceptions import ArchiveLoadFailed
from warcio.warcwriter import WARCWriter

from curation.crawl import ReadLog
from curation.crawl.http_messages import parse_response, warc_headers
from curation.crawl.records import WarcRecord, read_records
from curation.crawl.streams import Window
from curation.testing import build_web

LIMIT = 64 << 20


class Seen(NamedTuple):
    kind: str | None
    uri: str | None
    id: str | None
    body: bytes | None
    """Decoded; of responses only."""


Oracle = Callable[[bytes], tuple[list[Seen], bool]]
"""The records that a library reads, and whether it came to the end of the archive."""


def by_warcio(data: bytes) -> tuple[list[Seen], bool]:
    seen: list[Seen] = []
    try:
        for record in Warcio(io.BytesIO(data)):
            header = record.rec_headers.get_header
            body = record.content_stream().read() if record.rec_type == "response" else None
            seen.append(Seen(record.rec_type, header("WARC-Target-URI"), header("WARC-Record-ID"), body))
    except ArchiveLoadFailed:
        return seen, False
    return seen, True


def by_fastwarc(data: bytes) -> tuple[list[Seen], bool]:
    seen: list[Seen] = []
    try:
        for record in FastWarc(io.BytesIO(data), auto_decode="all"):
            header = record.headers.get
            uri = header("WARC-Target-URI")
            uri = uri[1:-1] if uri and uri[:1] == "<" else uri  # as Wget writes it; warcio and we take it off
            body = record.reader.read() if header("WARC-Type") == "response" else None
            seen.append(Seen(header("WARC-Type"), uri, header("WARC-Record-ID"), body))
    except OSError:
        return seen, False
    return seen, True


ORACLES: dict[str, Oracle] = {"warcio": by_warcio, "FastWARC": by_fastwarc}


def records_of(data: bytes, name: str) -> tuple[list[WarcRecord], ReadLog]:
    log = ReadLog(name)
    return list(read_records(Window(io.BytesIO(data)), name, log, LIMIT)), log


def seen_of(record: WarcRecord) -> Seen:
    header = warc_headers(record.header)
    kind = header.get("warc-type")
    body = parse_response(record.block, LIMIT).body if kind == "response" else None
    return Seen(kind, header.get("warc-target-uri"), header.get("warc-record-id"), body)


# Real archives that are not whole. For each: what a library reads of it that we do not hand on, and our rejections.
DAMAGED = {
    # The file ends in its only record. The libraries hand on what is there of it without a word; we refuse the record.
    "CC-2014_jwatr_bbc.warc.gz": (1, [(0, "truncated_record")]),
    "resiliparse_clipped_2016.warc.gz": (1, [(0, "broken_gzip")]),
    # Content-Length cuts the last block to "HTTP/1.". The libraries then stop; we hand it on as suspect and read on.
    "ipwb_broken.warc": (0, [(3058, "bad_length")]),
}
# Whole archives that a library does not read to the end, where we do.
REFUSED = {
    ("stormcrawler_unparsable-date.warc.gz", "warcio"),  # one gzip member holds all records
    ("CC-MAIN-2023-06_priyanlc_sample2.warc.wat.gz", "FastWARC"),  # "Maximum header length exceeded"
    ("ipwb_broken.warc", "warcio"),
    ("ipwb_broken.warc", "FastWARC"),
}


def real_archives(real_data: Path) -> Iterator[Path]:
    for folder in ("crawl", "edge"):
        yield from sorted((real_data / folder).glob("*.warc*"))


@pytest.mark.parametrize("oracle", ORACLES)
def test_real_archives_give_what_the_libraries_read(oracle: str, real_data: Path) -> None:
    pages = 0
    for path in real_archives(real_data):
        data = path.read_bytes()
        expected, whole = ORACLES[oracle](data)
        records, log = records_of(data, path.name)
        missed, rejections = DAMAGED.get(path.name, (0, []))
        assert [(item.offset, item.reason.value) for item in log.rejections] == rejections, path.name
        assert whole == ((path.name, oracle) not in REFUSED), path.name
        ours = Counter(seen_of(record) for record in records)
        assert (Counter(expected) - ours).total() == missed, path.name
        if whole:
            assert (ours - Counter(expected)).total() == 0, path.name
        pages += sum(item.body is not None for item in expected)
    assert pages > 400


@pytest.mark.parametrize("oracle", ORACLES)
def test_built_archives_give_what_the_libraries_read(oracle: str, tmp_path: Path) -> None:
    web = build_web(tmp_path, pages=60)
    for path in (*web.warcs, *web.wats):
        data = path.read_bytes()
        expected, whole = ORACLES[oracle](data)
        records, log = records_of(data, path.name)
        broken = web.damage is not None and path == web.damage.path  # where both libraries stop
        assert (whole, bool(log.rejections)) == (not broken, broken)
        ours = Counter(seen_of(record) for record in records)
        assert expected
        assert not Counter(expected) - ours
        assert broken == bool(ours - Counter(expected))


def test_encoded_bodies_are_decoded_as_the_libraries_decode_them() -> None:
    # warcio's own writer keeps bodies as they came over the wire, as most crawlers but Common Crawl's do.
    page = b"<html>" + b"".join(b"<p>%d</p>" % (n * n) for n in range(3000))
    packed = {"gzip": gzip.compress(page), "deflate": zlib.compress(page), "br": brotli.compress(page, quality=4)}
    for name, body in packed.items():
        data = archive_of(name, body)  # FastWARC 2.0.1 stops behind a chunked body that it decodes, so that one is last
        ours = [seen_of(record) for record in records_of(data, "x.warc.gz")[0]]
        assert [item.body for item in ours] == [page, page]
        assert by_fastwarc(data) == (ours, True)
        if name != "br":  # on which warcio 1.8.1 fails with brotli 1.2
            assert by_warcio(data) == (ours, True)


def archive_of(name: str, body: bytes) -> bytes:
    """Two responses with this body of this coding, in the second one as a chunk."""
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    for number, extra in enumerate(("", "Transfer-Encoding: chunked\r\n")):
        framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if extra else body
        http = f"HTTP/1.1 200 OK\r\n{extra}Content-Encoding: {name}\r\n\r\n".encode() + framed
        uri = f"https://example.com/{number}"
        writer.write_record(writer.create_warc_record(uri, "response", payload=io.BytesIO(http), length=len(http)))
    return stream.getvalue()
