"""Candidates out of WARC archives: what whole pages say of images, videos and audios, and sites' robots.txt and ai.txt.

Records are framed by our own reader (curation.crawl.records), which reads on after any damage; what FastWARC and warcio
read, it reads too (tests/crawl/test_crawl_warc_oracle.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from selectolax.lexbor import SelectolaxError

from curation.crawl.archive import ArchiveRows, Reading, archive_records
from curation.crawl.charsets import utf8
from curation.crawl.consent import consent_headers
from curation.crawl.html import read_html
from curation.crawl.http_messages import BodyTooLargeError, Message, parse_response, warc_headers
from curation.crawl.log import ReadLog
from curation.crawl.media import host_of
from curation.crawl.page import Page
from curation.crawl.page_process import PageProcessError, shared_process
from curation.crawl.records import WarcRecord
from curation.crawl.site_rules import parse_rules
from curation.crawl.variants import resolver
from curation.errors import Reason
from curation.schemas import CANDIDATES, SITE_RULES, Dataset

MANY_TAGS = 4_000
LARGE_BYTES = 256 << 10
"""Pages with more "<" or bytes than this are read in a process of their own (1 in 5). Parsing cannot be interrupted,
and takes quadratic time and memory: below these limits at most 9 s (50,000 attributes on one element; 10,000 take
0.3 s) and 500 MB (<b id=1><b id=2> ... <p><p>: each <p> opens them all again)."""
MAX_SITE_RULE_CHARS = 64 << 20
"""Of one robots.txt: every agent of a group repeats its rules. Real files stay far below."""

_RESPONSES = ("response", "resource")
_HTML = ("text/html", "application/xhtml+xml")
_LOOKS_LIKE_HTML = re.compile(rb"(?i)\s*<(?:!doctype\s+html|html|head|body|title|!--)").match
_SITE_FILES = {"/robots.txt": "robots.txt", "/ai.txt": "ai.txt", "/.well-known/ai.txt": "ai.txt"}
_FIRST_IMAGE_SOURCES = ("alt", "title", "data-image-title")


def warc_batches(
    path: str, log: ReadLog, reading: Reading = Reading()  # noqa: B008 (frozen)
) -> Iterator[tuple[Dataset, pa.RecordBatch]]:
    """Candidates and site rules of one WARC file (local path or fsspec URL, gzip or not), each with its dataset.

    Memory does not grow with the file: one batch, one record of at most max_record_bytes, one page of at most
    max_page_bytes. Whatever cannot be read becomes a rejection in `log`, nothing is raised: a page that is too large
    or takes too long is one of them. When the last batch has been taken, log.unaccounted() is 0 (curation.crawl.log).

    Pages are HTML responses (and resources) with a status below 300, or none. record_offset and field_order name a row
    as in wat_batches.
    """
    reader = _WarcReader(path, log, reading)
    for record in archive_records(path, log, reading, salvage=True):
        yield from reader.batches(record)
    reader.check_kind()
    for batch in reader.archive.hand_out(final=True):
        yield CANDIDATES, batch


class _WarcReader:
    """Turns the records of one archive into rows."""

    def __init__(self, path: str, log: ReadLog, reading: Reading) -> None:
        self.archive = ArchiveRows(path, log, reading)
        self._processes = shared_process()
        self._log = log
        self._reading = reading
        self._strict = self.archive.variant.strict
        self._responses = self._json = 0

    def check_kind(self) -> None:
        """Rejects an archive of another kind, such as the WAT made from a WARC."""
        if self._json and not self._responses:
            self._log.reject(0, Reason.NOT_AN_ARCHIVE, "a WAT file without any response record: kind: wat")

    def batches(self, record: WarcRecord) -> Iterable[tuple[Dataset, pa.RecordBatch]]:
        """Takes a record; the batches that are full with it."""
        self._log.counts["records"] += 1
        fields = warc_headers(record.header)
        kind = fields.get("warc-type", "").lower()
        if kind == "warcinfo":
            self.archive.read_info(record.block)
        elif kind in _RESPONSES:
            self._responses += 1
            return self._response(record, fields, kind)
        elif record.block[:1] == b"{":
            self._json += 1
        return ()

    def _response(
        self, record: WarcRecord, fields: dict[str, str], kind: str
    ) -> Iterator[tuple[Dataset, pa.RecordBatch]]:
        message = self._message(record, fields, kind)
        if message is None:
            return
        page_url = fields.get("warc-target-uri")
        content_type = next(iter(message.headers.get("content-type", ())), "")
        media_type = content_type.partition(";")[0].strip().lower()
        site_file = _SITE_FILES.get(_path(page_url)) if page_url and media_type not in _HTML else None
        if message.status >= 300:
            self._log.tally("pages_not_ok")
        elif site_file is not None:
            yield from self._site_rules(record, str(page_url), site_file, message.body)
        elif media_type in _HTML or (not media_type and _LOOKS_LIKE_HTML(message.body)):
            for batch in self._page(record, page_url, message, content_type):
                yield CANDIDATES, batch
        else:
            self._log.tally("not_html")

    def _message(self, record: WarcRecord, fields: dict[str, str], kind: str) -> Message | None:
        limit = self._reading.max_page_bytes
        try:
            if kind == "response" and fields.get("content-type", "application/http").lower().startswith(
                "application/http"
            ):
                message = parse_response(record.block, limit)
            else:
                message = Message(0, {"content-type": [fields.get("content-type", "")]}, record.block, None)
                if len(record.block) > limit:
                    raise BodyTooLargeError(f"the resource has {len(record.block)} bytes, above {limit}")
        except BodyTooLargeError as error:
            self._log.reject(record.offset, Reason.TOO_LARGE, f"{fields.get('warc-target-uri', '')}: {error}")
            return None
        if message.problem is not None:
            self._log.tally("odd:http")
        return message

    def _page(
        self, record: WarcRecord, page_url: str | None, message: Message, content_type: str
    ) -> Iterator[pa.RecordBatch]:
        if not self.archive.begin_page(record, page_url):
            return
        page = self._read(record, page_url, utf8(message.body, content_type))
        if page is None:
            return
        page.robots = sorted({*page.robots, *consent_headers(message.headers)})
        resolve = resolver(self.archive.variant, page_url or "", page.base)
        facts = self.archive.facts(page, page_url, resolve)
        rows = self.archive.media.add(page, page_url or "", resolve, size=len(message.body))
        yield from self.archive.end_part(facts, rows, max(len(record.block), self.archive.media.spent))

    def _read(self, record: WarcRecord, page_url: str | None, html: bytes) -> Page | None:
        limit = self._reading.page_seconds
        largest = self._strict and self._reading.image_url == "largest"
        try:
            if len(html) > LARGE_BYTES or html.count(b"<") > MANY_TAGS:
                self._log.tally("pages_apart")
                page = self._processes.read(html, largest=largest, seconds=limit)
            else:
                page = read_html(html, largest=largest, check=_deadline(limit))
        except PageProcessError as error:
            reason = Reason.PAGE_TIMEOUT if error.timed_out else Reason.BAD_PAGE
            self._log.reject(record.offset, reason, f"{page_url}: {error}")
            return None
        except TimeoutError as error:
            self._log.reject(record.offset, Reason.PAGE_TIMEOUT, f"{page_url}: {error}")
            return None
        except (ValueError, RecursionError, SelectolaxError) as error:
            self._log.reject(record.offset, Reason.BAD_PAGE, f"{page_url}: {type(error).__name__}: {error}")
            return None
        if not self._strict:
            for medium in page.media:
                medium.texts = [text for text in medium.texts if text.source in _FIRST_IMAGE_SOURCES]
        return page

    def _site_rules(
        self, record: WarcRecord, url: str, kind: str, body: bytes
    ) -> Iterator[tuple[Dataset, pa.RecordBatch]]:
        host = host_of(url)
        rules = parse_rules(body) if host is not None else []
        if not rules:
            return
        if sum(len(rule.agent) + len(rule.pattern) for rule in rules) > MAX_SITE_RULE_CHARS:
            self._log.reject(record.offset, Reason.TOO_LARGE, f"{url}: rules above {MAX_SITE_RULE_CHARS} characters")
            return
        self._log.tally("site_files")
        count = len(rules)
        columns: dict[str, Any] = {
            "host": pa.repeat(host, count),
            "kind": pa.repeat(kind, count),
            "agent": pa.array([rule.agent for rule in rules]),
            "allow": pa.array([rule.allow for rule in rules]),
            "pattern": pa.array([rule.pattern for rule in rules]),
            "snapshot": pa.repeat(self.archive.snapshot, count),
            "archive": pa.repeat(self.archive.name, count),
            "record_offset": pa.repeat(record.offset, count),
        }
        schema = SITE_RULES.schema
        yield SITE_RULES, pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _deadline(seconds: float) -> Any:
    end = monotonic() + seconds

    def check() -> None:
        if monotonic() > end:
            raise TimeoutError(f"reading the page took more than {seconds:g} s")

    return check
