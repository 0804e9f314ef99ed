"""Writes WARC files as Common Crawl does: one gzip member per record, the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Headers = Sequence[tuple[str, str]]

# gzip header (RFC 1952): deflate, no flags, no time, no extra flags, unknown system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00" + bytes(5) + b"\xff"
_SPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # name space "URL" of RFC 4122


def gzip_member(data: bytes) -> bytes:
    """One gzip member without a time stamp. Same bytes for the same zlib library."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush()
    trailer = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return _GZIP_HEADER + body + trailer


def digest(data: bytes) -> str:
    """SHA-1 in base 32, the way WARC files write it."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")


def record_id(*parts: object) -> str:
    """A record id that depends on the parts alone."""
    return f"<urn:uuid:{uuid.uuid5(_SPACE, ' '.join(map(str, parts)))}>"


@dataclass(frozen=True)
class Record:
    """A WARC record: header fields in order (without Content-Length) and its block."""

    fields: tuple[tuple[str, str], ...]
    block: bytes

    @property
    def kind(self) -> str:
        return dict(self.fields)["WARC-Type"]

    @property
    def header(self) -> bytes:
        """Version line to blank line. Content-Length comes fourth, as Common Crawl orders it."""
        lines = [f"{name}: {value}" for name, value in self.all_fields]
        return "\r\n".join(["WARC/1.0", *lines, "", ""]).encode("utf-8")

    @property
    def all_fields(self) -> list[tuple[str, str]]:
        return [*self.fields[:3], ("Content-Length", str(len(self.block))), *self.fields[3:]]

    @property
    def data(self) -> bytes:
        return self.header + self.block + b"\r\n\r\n"


@dataclass(frozen=True)
class Stored:
    """A record in its archive: offset and sizes in bytes."""

    record: Record
    offset: int
    size: int
    inflated_size: int
    crc: int


def pack(records: Sequence[Record]) -> tuple[bytes, list[Stored]]:
    """The records as an archive, one gzip member each, and where each lies in it."""
    archive = bytearray()
    stored = []
    for record in records:
        data = record.data
        member = gzip_member(data)
        stored.append(Stored(record, len(archive), len(member), len(data), zlib.crc32(data)))
        archive += member
    return bytes(archive), stored


def write_archive(path: Path, records: Sequence[Record]) -> list[Stored]:
    """Writes the records, one gzip member each, and says where each lies."""
    archive, stored = pack(records)
    path.write_bytes(archive)
    return stored


def info_record(file_name: str, date: str, fields: Headers) -> Record:
    """The warcinfo record that opens an archive."""
    block = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("utf-8") + b"\r\n"
    return Record(
        (
            ("WARC-Type", "warcinfo"),
            ("WARC-Date", date),
            ("WARC-Record-ID", record_id("warcinfo", file_name)),
            ("Content-Type", "application/warc-fields"),
            ("WARC-Filename", file_name),
            ("WARC-Block-Digest", digest(block)),
        ),
        block,
    )


def http_block(start: str, headers: Headers, body: bytes) -> bytes:
    """An HTTP message: start line, header fields, body."""
    lines = [start, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("iso-8859-1", errors="replace") + body


@dataclass(frozen=True)
class Capture:
    """One fetched URL: the answer's header fields and body, as the crawler stores it."""

    url: str
    date: str
    info_id: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    notes: tuple[tuple[str, str], ...]

    def records(self) -> list[Record]:
        """Request, response and the crawler's metadata, as Common Crawl stores a fetch."""
        host, _, path = self.url.removeprefix("https://").partition("/")
        request_headers = (
            ("User-Agent", "CCBot/2.0 (https://commoncrawl.org/faq/)"),
            ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("Host", host),
            ("Connection", "Keep-Alive"),
        )
        request = http_block(f"GET /{path} HTTP/1.1", request_headers, b"")
        answer = (*self.headers, ("Content-Length", str(len(self.body))))
        response = http_block("HTTP/1.1 200 OK", answer, self.body)
        notes = "".join(f"{name}: {value}\r\n" for name, value in self.notes).encode("utf-8") + b"\r\n"
        identified = (("WARC-Identified-Payload-Type", dict(self.headers)["Content-Type"].partition(";")[0]),)
        return [
            self._record("request", "application/http; msgtype=request", request, b"", ()),
            self._record("response", "application/http; msgtype=response", response, self.body, identified),
            self._record("metadata", "application/warc-fields", notes, notes, ()),
        ]

    def _record(self, kind: str, content: str, block: bytes, payload: bytes, last: Headers) -> Record:
        concurrent = {"request": "", "response": "request", "metadata": "response"}[kind]
        middle = [("WARC-Concurrent-To", record_id(concurrent, self.url))] if concurrent else []
        return Record(
            (
                ("WARC-Type", kind),
                ("WARC-Date", self.date),
                ("WARC-Record-ID", record_id(kind, self.url)),
                ("Content-Type", content),
                ("WARC-Warcinfo-ID", self.info_id),
                *middle,
                ("WARC-IP-Address", "192.0.2.7"),
                ("WARC-Target-URI", self.url),
                ("WARC-Payload-Digest", digest(payload)),
                ("WARC-Block-Digest", digest(block)),
                *last,
            ),
            block,
        )
