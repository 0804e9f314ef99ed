"""Reads archives with gzip, json and html.parser alone: what the builders' output is checked with."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Read:
    """A record as found: offset and size of its gzip member, header fields, block, and all inflated bytes."""

    offset: int
    size: int
    fields: dict[str, str]
    block: bytes
    data: bytes

    @property
    def json(self) -> dict[str, Any]:
        tree: dict[str, Any] = json.loads(self.block)
        return tree


def read_member(archive: bytes, offset: int) -> Read:
    """The record in the gzip member at offset. Raises zlib.error or ValueError for a damaged one."""
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    data = inflate.decompress(archive[offset:])
    if not inflate.eof:
        raise ValueError("member ends early")
    head, blank, rest = data.partition(b"\r\n\r\n")
    version, *lines = head.decode("utf-8").split("\r\n")
    if version != "WARC/1.0" or not blank:
        raise ValueError("no WARC record")
    fields = dict(line.split(": ", 1) for line in lines)
    length = int(fields["Content-Length"])
    if rest[length:] != b"\r\n\r\n":
        raise ValueError("Content-Length does not fit")
    return Read(offset, len(archive) - offset - len(inflate.unused_data), fields, rest[:length], data)


def read_archive(path: Path) -> list[Read]:
    """All records of an undamaged archive."""
    archive, offset, records = path.read_bytes(), 0, []
    while offset < len(archive):
        record = read_member(archive, offset)
        records.append(record)
        offset += record.size
    return records


class PageReader(HTMLParser):
    """What a page holds: images as attribute dictionaries, and whatever else the tests ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.title = ""
        self.captions: list[str] = []
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        self.tags.append((tag, dict(attrs)))
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title += data
        elif self._inside == "script":
            self.scripts.append(data)
        elif self._inside == "figcaption":
            self.captions.append(data)
