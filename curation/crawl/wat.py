"""Candidates out of Common Crawl's WAT archives: images with the texts their pages give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urljoin

import pyarrow as pa

from curation.crawl.log import ReadLog
from curation.crawl.pages import BadJsonError, Html, Link, Metadata, Response, decode_metadata
from curation.crawl.records import WarcRecord, read_records
from curation.crawl.rows import PageRows
from curation.crawl.streams import READ_ERRORS, ReadFailedError, Window, open_binary
from curation.crawl.urls import Joiner, has_other_scheme, is_http, is_plain_http, media_id
from curation.errors import Reason

TEXT_SOURCES = ("alt", "title", "data-image-title")
"""Fields of an image link that hold text, in MetaCLIP's order."""
MAX_PAGE_URL_CHARS = 8192
"""Longer page URLs are refused: every row repeats its page's URL, and no browser or crawler follows such."""
MAX_ROBOTS = 64
MAX_DIRECTIVE_CHARS = 100

_IMAGE = "IMG@/src"
_AFTER_IMAGE = "IMG@/srd"  # text starts with _IMAGE exactly if it is in [_IMAGE, _AFTER_IMAGE): faster than startswith
_LINKS_AT_ONCE = 4096  # of a page, between two looks at whether a batch is full
_SNAPSHOT = re.compile(r"CC-MAIN-\d{4}-\d{2}(?!\d)")
_IS_PART_OF = re.compile(rb"(?im)^isPartOf:[ \t]*([^\r\n]*?)[ \t]*\r?$")
_JSON_TYPE = re.compile(rb"(?i)\ncontent-type[ \t]*:[ \t]*application/json")
_WARCINFO_TYPE = re.compile(rb"(?i)\nwarc-type[ \t]*:[ \t]*warcinfo")
_ROBOTS = "robots"
_ROBOTS_HEADER = "x-robots-tag"
_URL_SPACE = " \t\r\n\f"
_BREAKS = str.maketrans("", "", "\t\r\n")


@dataclass(frozen=True)
class Variant:
    """How texts and URLs are treated. `strict`: as a browser would, instead of as MetaCLIP's released code does."""

    strict: bool
    clean: Callable[[str], str]
    hashed: Callable[[str], str] = str
    """What of a URL goes into its media_id."""


def _spaced(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ").strip()


def _tabs_spaced(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ").replace("\t", " ").strip()


def _joined(text: str) -> str:
    return text.replace("\n", "").replace("\r", "").strip()


def _without_blanks(url: str) -> str:
    return url.replace("\t", "").replace(" ", "")


VARIANTS = {
    "default": Variant(True, _tabs_spaced),
    "v1-wat": Variant(False, _spaced),
    "v1-warc": Variant(False, _joined),
    "v2": Variant(False, _spaced, _without_blanks),
}


def wat_batches(
    path: str,
    log: ReadLog,
    *,
    variant: str = "default",
    snapshot: str | None = None,
    max_record_bytes: int = 64 << 20,
    batch_rows: int = 50_000,
) -> Iterator[pa.RecordBatch]:
    """Candidate rows of one WAT file (local path or fsspec URL, gzip or not) with the CANDIDATES schema.

    Memory does not grow with the file: one batch, one record of at most max_record_bytes, and a few MiB of input.
    Whatever cannot be read becomes a rejection in `log`, nothing is raised, and all readable records are kept.
    When the last batch has been taken, log.unaccounted() is 0: texts == rows + skipped:* (see curation.crawl.log).

    variant: a key of VARIANTS (recipe: extract.variant). default resolves URLs against <base>, keeps http and https
    only and turns tabs in texts to spaces; the others repeat MetaCLIP's released code.
    snapshot: overrides isPartOf as the archive says it; without either, a CC-MAIN-YYYY-WW in the path, or "unknown".
    record_offset is the byte offset of the record's gzip member. Where a member holds many records they share it, and
    field_order runs on, so that (archive, record_offset, field_order) names one row in any archive.
    """
    reader = _WatReader(path, log, VARIANTS[variant], snapshot, batch_rows)
    try:
        with open_binary(path) as stream:
            for record in read_records(Window(stream), path, log, max_record_bytes):
                yield from reader.batches(record)
        reader.check_kind()
    except FileNotFoundError as error:
        log.reject(None, Reason.MISSING_FILE, f"no such file: {error}")
    except ReadFailedError as error:
        log.reject(error.offset, Reason.UNREADABLE_FILE, str(error))
    except READ_ERRORS as error:
        log.reject(None, Reason.UNREADABLE_FILE, f"{type(error).__name__}: {error}")
    yield from reader.rest()


def read_wat(
    path: str, *, variant: str = "default", snapshot: str | None = None, log: ReadLog | None = None
) -> Iterator[dict[str, object]]:
    """Candidates of one WAT file as dicts with the columns of CANDIDATES; see wat_batches."""
    for batch in wat_batches(path, log or ReadLog(path), variant=variant, snapshot=snapshot):
        yield from batch.to_pylist()


class _WatReader:
    """Turns the records of one archive into rows."""

    def __init__(self, path: str, log: ReadLog, variant: Variant, snapshot: str | None, batch_rows: int) -> None:
        in_path = _SNAPSHOT.search(path)
        self._log = log
        self._variant = variant
        self._given_snapshot = snapshot
        self._snapshot = snapshot or (in_path[0] if in_path else "unknown")
        self._rows = PageRows(PurePosixPath(path).name, "image", TEXT_SOURCES, batch_rows)
        self._offset = -1
        self._order = 0  # next field_order at this offset
        self._metadata_records = self._other_records = 0

    def batches(self, record: WarcRecord) -> Iterable[pa.RecordBatch]:
        """Takes a record; the batches that are full with it."""
        self._log.counts["records"] += 1
        if record.block[:1] != b"{" and not _JSON_TYPE.search(record.header):
            self._other(record)
            return ()
        self._metadata_records += 1
        try:
            metadata = decode_metadata(record.block, self._log.tally)
        except BadJsonError as error:
            if not record.suspect:  # otherwise its wrong length has been rejected
                self._log.reject(record.offset, error.reason, str(error))
            return ()
        payload = metadata.envelope.payload
        if payload.warcinfo:
            self._set_snapshot(payload.warcinfo.get("isPartOf"))
        response = payload.response
        if response is None or response.html is None:
            return ()
        return self._page(record, metadata, response, response.html)

    def rest(self) -> Iterator[pa.RecordBatch]:
        """The last batch."""
        yield from self._hand_out(final=True)

    def check_kind(self) -> None:
        """Rejects an archive of another kind, such as the WARC a WAT was made from."""
        if self._other_records and not self._metadata_records:
            self._log.reject(0, Reason.NOT_AN_ARCHIVE, "a WARC file without any WAT (JSON metadata) record")

    def _other(self, record: WarcRecord) -> None:
        if not _WARCINFO_TYPE.search(record.header):
            self._other_records += 1
            return
        part = _IS_PART_OF.search(record.block)
        if part:
            self._set_snapshot(part[1].decode("utf-8", "replace"))

    def _set_snapshot(self, name: object) -> None:
        if isinstance(name, str) and name.strip() and self._given_snapshot is None:
            self._snapshot = name.strip()

    def _page(self, record: WarcRecord, metadata: Metadata, response: Response, html: Html) -> Iterator[pa.RecordBatch]:
        self._log.counts["pages"] += 1
        page_url = metadata.envelope.header.target_uri
        if page_url is not None and len(page_url) > MAX_PAGE_URL_CHARS:
            self._log.reject(record.offset, Reason.BAD_URL, f"page URL of {len(page_url)} characters: {page_url}")
            return
        if record.offset != self._offset:
            self._offset, self._order = record.offset, 0
        resolve = _resolver(self._variant, page_url or "", html.head.base)
        robots: list[str] | None = None
        for start in range(0, len(html.links), _LINKS_AT_ONCE):
            rows = self._add(html.links[start : start + _LINKS_AT_ONCE], resolve)
            if not rows:
                continue
            robots = self._robots(response, html) if robots is None else robots
            self._rows.end_page((page_url, robots, self._snapshot, record.offset, self._order), len(record.block))
            self._order += rows
            yield from self._hand_out()

    def _hand_out(self, *, final: bool = False) -> Iterator[pa.RecordBatch]:
        for batch in self._rows.batches(final=final):
            self._log.tally("rows", batch.num_rows)
            yield batch

    def _add(self, links: list[Link], resolve: _Resolve) -> int:
        """Adds the rows of some links of a page; how many."""
        clean, hashed, rows = self._variant.clean, self._variant.hashed, self._rows
        add_id, add_url = rows.media_id.append, rows.media_url.append
        add_source, add_text = rows.source.append, rows.text.append
        before, texts_seen = len(rows.text), 0
        for link in links:
            if not _IMAGE <= link.path < _AFTER_IMAGE:
                continue
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
            if url is None:
                self._log.tally(skipped, len(found))
                continue
            identity = media_id(hashed(url))
            for source, text in found:
                add_id(identity)
                add_url(url)
                add_source(source)
                add_text(text)
        self._log.tally("texts", texts_seen)
        return len(rows.text) - before

    def _robots(self, response: Response, html: Html) -> list[str]:
        values: list[object] = [
            meta.content
            for meta in html.head.metas
            if meta.name and len(meta.name) == len(_ROBOTS) and meta.name.lower() == _ROBOTS
        ]
        for key, value in response.headers.items():
            if len(key) == len(_ROBOTS_HEADER) and key.lower() == _ROBOTS_HEADER:
                values += value if isinstance(value, list) else [value]
        if not values:
            return []
        parts = {part.strip() for value in values if isinstance(value, str) for part in value.lower().split(",")}
        kept = sorted(part for part in parts if 0 < len(part) <= MAX_DIRECTIVE_CHARS)
        if len(kept) > MAX_ROBOTS:  # the known directives are short
            self._log.tally("odd:robots")
            kept = sorted(sorted(kept, key=len)[:MAX_ROBOTS])
        return kept


_Resolve = Callable[[str | None], tuple[str | None, str]]
"""A link's URL to the media URL, or None and the name under which its texts are tallied as skipped."""


def _resolver(variant: Variant, page_url: str, base: str | None) -> _Resolve:
    if not variant.strict:
        released = Joiner(page_url)

        def as_released(url: str | None) -> tuple[str | None, str]:
            if url is None:
                return None, "skipped:bad_url"
            try:
                return released.join(url), ""
            except ValueError:
                return None, "skipped:bad_url"

        return as_released
    joiner = _browser_base(page_url, base)

    def as_browser(url: str | None) -> tuple[str | None, str]:
        url = url.strip(_URL_SPACE) if url else ""
        if is_plain_http(url):
            return url, ""
        if not url:
            return None, "skipped:bad_url"
        if url[:5] == "data:":  # common, and can be megabytes long
            return None, "skipped:not_http"
        if "\n" in url or "\t" in url or "\r" in url:
            url = url.translate(_BREAKS)
        try:
            absolute = joiner.join(url)
        except ValueError:
            return None, "skipped:bad_url"
        if is_http(absolute):
            return absolute, ""
        return None, "skipped:not_http" if has_other_scheme(absolute) else "skipped:bad_url"

    return as_browser


def _browser_base(page_url: str, base: str | None) -> Joiner:
    """What a page's URLs are relative to: its <base>, resolved against its own URL, where that makes an http URL."""
    joiner = Joiner(page_url)
    if not joiner.valid:
        joiner, page_url = Joiner(""), ""
    if base is None:
        return joiner
    try:
        absolute = urljoin(page_url, base.strip(_URL_SPACE))
    except ValueError:
        return joiner
    return Joiner(absolute) if is_http(absolute) else joiner
