"""Candidates out of Common Crawl's WAT archives: what the links of pages say of images, videos and audios."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pyarrow as pa

from curation.crawl.archive import ArchiveRows, Reading, archive_records
from curation.crawl.consent import consent_headers
from curation.crawl.files import timed_modality
from curation.crawl.log import ReadLog
from curation.crawl.media import FREE_ROW_CHARS, ROW_CHARS
from curation.crawl.metas import TDM_RESERVATION, read_metas
from curation.crawl.page import MAX_URL_CHARS, Page
from curation.crawl.pages import BETWEEN_LINKS, BadJsonError, Head, Html, Link, Metadata, Response, decode_metadata
from curation.crawl.records import WarcRecord
from curation.crawl.urls import media_id
from curation.crawl.variants import Resolve, resolver
from curation.crawl.wat_page import add_links, describe_head
from curation.errors import Reason

_IMAGE = "IMG@/src"
_IMAGE_BYTES = _IMAGE.encode()
_NEXT_IMAGE = BETWEEN_LINKS + _IMAGE_BYTES
_SKIPPED = len(BETWEEN_LINKS)
_ANCHOR_BYTES = b'A@/href","url":"'
_AFTER_IMAGE = "IMG@/srd"  # text starts with _IMAGE exactly if it is in [_IMAGE, _AFTER_IMAGE): faster than startswith
_NO_LIMIT = 1 << 62
_CONSENT = frozenset(("robots", TDM_RESERVATION))
_LINKS_AT_ONCE = 4096  # of a page, between two looks at whether a batch is full
_JSON_TYPE = re.compile(rb"(?i)\ncontent-type[ \t]*:[ \t]*application/json")
_WARCINFO_TYPE = re.compile(rb"(?i)\nwarc-type[ \t]*:[ \t]*warcinfo")


def wat_batches(path: str, log: ReadLog, reading: Reading = Reading()) -> Iterator[pa.RecordBatch]:  # noqa: B008 (frozen)
    """Candidate rows of one WAT file (local path or fsspec URL, gzip or not) with the CANDIDATES schema.

    Memory does not grow with the file: one batch, one record of at most max_record_bytes, and a few MiB of input.
    Whatever cannot be read becomes a rejection in `log`, nothing is raised, and all readable records are kept.
    When the last batch has been taken, log.unaccounted() is 0: texts == rows + skipped:* (see curation.crawl.log).

    record_offset is the byte offset of the record's gzip member. Where a member holds many records they share it, and
    field_order runs on, so that (archive, record_offset, field_order) names one row in any archive.
    """
    reader = _WatReader(path, log, reading)
    for record in archive_records(path, log, reading):
        yield from reader.batches(record)
    reader.check_kind()
    yield from reader.archive.hand_out(final=True)


class _WatReader:
    """Turns the records of one archive into rows."""

    def __init__(self, path: str, log: ReadLog, reading: Reading) -> None:
        self.archive = ArchiveRows(path, log, reading)
        self._log = log
        self._variant = self.archive.variant
        self._keep = _that_may_matter if self._variant.strict else _images
        self._images = "image" in reading.modalities
        self._metadata_records = self._other_records = 0

    def batches(self, record: WarcRecord) -> Iterable[pa.RecordBatch]:
        """Takes a record; the batches that are full with it."""
        self._log.counts["records"] += 1
        if record.block[:1] != b"{" and not _JSON_TYPE.search(record.header):
            self._other(record)
            return ()
        self._metadata_records += 1
        try:
            metadata = decode_metadata(record.block, self._log.tally, self._keep)
        except BadJsonError as error:
            if not record.suspect:  # otherwise its wrong length has been rejected
                self._log.reject(record.offset, error.reason, str(error))
            return ()
        payload = metadata.envelope.payload
        if payload.warcinfo:
            self.archive.set_snapshot(payload.warcinfo.get("isPartOf"))
        response = payload.response
        if response is None or response.html is None:
            return ()
        return self._page(record, metadata, response, response.html)

    def check_kind(self) -> None:
        """Rejects an archive of another kind, such as the WARC a WAT was made from."""
        if self._other_records and not self._metadata_records:
            self._log.reject(0, Reason.NOT_AN_ARCHIVE, "a WARC file without any WAT (JSON metadata) record: kind: warc")

    def _other(self, record: WarcRecord) -> None:
        if _WARCINFO_TYPE.search(record.header):
            self.archive.read_info(record.block)
        else:
            self._other_records += 1

    def _page(self, record: WarcRecord, metadata: Metadata, response: Response, html: Html) -> Iterator[pa.RecordBatch]:
        page_url = metadata.envelope.header.target_uri
        if not self.archive.begin_page(record, page_url):
            return
        strict = self._variant.strict
        page = describe_head(html.head) if strict else _consent_alone(html.head)
        resolve = resolver(self._variant, page_url or "", page.base)
        page.robots = sorted({*page.robots, *consent_headers(response.headers)})
        images = [link for link in html.links if _IMAGE <= link.path < _AFTER_IMAGE]
        if strict:
            add_links(html.links, page)
        facts = self.archive.facts(page, page_url, resolve)
        size = len(record.block)
        each = len(page_url or "") + sum(map(len, page.robots))
        room = FREE_ROW_CHARS + ROW_CHARS * size if strict else _NO_LIMIT
        for start in range(0, len(images) if self._images else 0, _LINKS_AT_ONCE):
            rows, chars = self._add(images[start : start + _LINKS_AT_ONCE], resolve, each, room)
            room -= chars
            yield from self.archive.end_part(facts, rows, max(size, chars))
        if strict and (page.media or page.unplaced):
            rows = self.archive.media.add(page, page_url or "", resolve, size=size)
            yield from self.archive.end_part(facts, rows, max(size, self.archive.media.spent))

    def _add(self, links: list[Link], resolve: Resolve, each: int, room: int) -> tuple[int, int]:
        """Adds the rows of some images of a page, as curation.crawl.media would: how many, and their characters.

        each: characters that every row takes for the page; room: that the rows may take.
        """
        clean, hashed, rows = self._variant.clean, self._variant.hashed, self.archive.rows
        longest = MAX_URL_CHARS if self._variant.strict else _NO_LIMIT
        chars = 0
        add_id, add_url = rows.media_id.append, rows.media_url.append
        add_source, add_text = rows.source.append, rows.text.append
        before, texts_seen = len(rows.text), 0
        for link in links:
            alt, title, data_image_title = link.alt, link.title, link.data_image_title
            if not (alt or title or data_image_title):
                continue
            found = []
            if alt and (text := clean(alt)):
                found.append((0, text))
            if title and (text := clean(title)):
                found.append((1, text))
            if data_image_title and (text := clean(data_image_title)):
                found.append((2, text))
            if not found:
                continue
            texts_seen += len(found)
            url, skipped = resolve(link.url)
            if url is not None and len(url) > longest:
                url, skipped = None, "skipped:bad_url"
            elif url is not None and (cost := (len(url) + each) * len(found)) > room - chars:
                url, skipped = None, "skipped:page_limit"
            if url is None:
                self._log.tally(skipped, len(found))
                continue
            chars += cost
            identity = media_id(hashed(url))
            for source, text in found:
                add_id(identity)
                add_url(url)
                add_source(source)
                add_text(text)
        self._log.tally("texts", texts_seen)
        return len(rows.text) - before, chars


def _consent_alone(head: Head) -> Page:
    """What the parity variants take of a <head>: the rest of it would cost a third of the whole."""
    page = Page(base=head.base)
    named = [
        (meta.name, meta.content)
        for meta in head.metas
        if meta.name and meta.content and meta.name.strip().lower() in _CONSENT
    ]
    if named:
        read_metas(named, page)
    return page


def _images(block: bytes, start: int, stop: int) -> list[bytes]:
    """The images with a text. They are found, not cut out: nine links in ten are none."""
    found = []
    before = start - _SKIPPED if block.startswith(_IMAGE_BYTES, start) else block.find(_NEXT_IMAGE, start, stop)
    while before >= 0:
        at = before + _SKIPPED
        end = block.find(BETWEEN_LINKS, at, stop)
        link = block[at : end if end >= 0 else stop]
        if b'alt"' in link or b'title"' in link:
            found.append(link)
        before = block.find(_NEXT_IMAGE, end, stop) if end >= 0 else -1
    return found


def _that_may_matter(block: bytes, begin: int, stop: int) -> list[bytes]:
    """The links that may lead to a medium, or name a licence."""
    start = len(_ANCHOR_BYTES)
    return [
        link
        for link in block[begin:stop].split(BETWEEN_LINKS)
        if not link.startswith(_ANCHOR_BYTES)
        or timed_modality(link[start : link.find(b'"', start)].decode("latin-1"))
        or b"icense" in link  # License
        or b"ICENSE" in link
    ]
