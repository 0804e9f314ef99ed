"""What the readers of WAT and WARC archives share: settings, records with their faults, and the rows of their pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa

from curation.crawl.log import ReadLog
from curation.crawl.media import PageMedia, canonical_url, page_lang
from curation.crawl.page import MAX_URL_CHARS, TEXT_SOURCES, Page
from curation.crawl.records import WarcRecord, read_records
from curation.crawl.rows import PageFacts, PageRows
from curation.crawl.streams import READ_ERRORS, ReadFailedError, Window, open_binary
from curation.crawl.variants import VARIANTS, Resolve
from curation.errors import Reason
from curation.schemas import MODALITIES

_SNAPSHOT = re.compile(r"CC-MAIN-\d{4}-\d{2}(?!\d)")
_IS_PART_OF = re.compile(rb"(?im)^isPartOf:[ \t]*([^\r\n]*?)[ \t]*\r?$")


@dataclass(frozen=True)
class Reading:
    """How archives are read: the recipe's extract section, and its input's snapshot."""

    variant: str = "default"
    """A key of VARIANTS. default resolves URLs against <base>, keeps http and https only, turns tabs in texts to
    spaces, and reads all modalities and text sources; the others repeat MetaCLIP's released code: images with alt,
    title and data-image-title."""
    snapshot: str | None = None
    """Overrides isPartOf as the archive says it; without either, a CC-MAIN-YYYY-WW in the path, or "unknown"."""
    modalities: tuple[str, ...] = MODALITIES
    image_url: str = "largest"
    """WARC: "largest" candidate of an image (srcset, <picture>, lazy loading), or its "src" as written."""
    max_record_bytes: int = 64 << 20
    max_page_bytes: int = 8 << 20
    """WARC: decoded bytes above which a page is refused; Common Crawl cuts pages at 5 MiB (1 MiB until 2025)."""
    page_seconds: float = 30.0
    """WARC: wall-clock limit of one page; the slowest of 426 real pages took 8 ms."""
    batch_rows: int = 50_000


def archive_records(path: str, log: ReadLog, reading: Reading, *, salvage: bool = False) -> Iterator[WarcRecord]:
    """All readable records of an archive (local path or fsspec URL, gzip or not); what fails is rejected in `log`."""
    try:
        with open_binary(path) as stream:
            yield from read_records(Window(stream), path, log, reading.max_record_bytes, salvage=salvage)
    except FileNotFoundError as error:
        log.reject(None, Reason.MISSING_FILE, f"no such file: {error}")
    except ReadFailedError as error:
        log.reject(error.offset, Reason.UNREADABLE_FILE, str(error))
    except READ_ERRORS as error:
        log.reject(None, Reason.UNREADABLE_FILE, f"{type(error).__name__}: {error}")


class ArchiveRows:
    """The rows of one archive while it is read."""

    def __init__(self, path: str, log: ReadLog, reading: Reading) -> None:
        in_path = _SNAPSHOT.search(path)
        self._log = log
        self._given_snapshot = reading.snapshot
        self.snapshot = reading.snapshot or (in_path[0] if in_path else "unknown")
        self.name = PurePosixPath(path).name
        self.variant = VARIANTS[reading.variant]
        self.rows = PageRows(self.name, TEXT_SOURCES, reading.batch_rows)
        self.media = PageMedia(
            self.rows, log, self.variant, reading.modalities if self.variant.strict else ("image",)
        )
        self._offset = -1
        self._order = 0  # next field_order at this offset

    def set_snapshot(self, name: object) -> None:
        """Takes what the archive calls its crawl, unless the recipe says otherwise."""
        if isinstance(name, str) and name.strip() and self._given_snapshot is None:
            self.snapshot = name.strip()

    def read_info(self, block: bytes) -> None:
        """Takes the crawl's name out of a warcinfo record."""
        part = _IS_PART_OF.search(block)
        if part:
            self.set_snapshot(part[1].decode("utf-8", "replace"))

    def begin_page(self, record: WarcRecord, page_url: str | None) -> bool:
        """Begins a page; False where its URL is refused."""
        self._log.counts["pages"] += 1
        if page_url is not None and len(page_url) > MAX_URL_CHARS:
            self._log.reject(record.offset, Reason.BAD_URL, f"page URL of {len(page_url)} characters: {page_url}")
            return False
        if record.offset != self._offset:
            self._offset, self._order = record.offset, 0
        return True

    def facts(self, page: Page, page_url: str | None, resolve: Resolve) -> PageFacts:
        """What all rows of the page at hand share."""
        return PageFacts(
            page_url,
            page.robots,
            self.snapshot,
            self._offset,
            self._order,
            page_lang(page.lang),
            canonical_url(page.canonical, page_url, resolve),
            page.licence,
        )

    def end_part(self, facts: PageFacts, rows: int, size: int) -> Iterator[pa.RecordBatch]:
        """Ends the page at hand, or a part of it, after so many rows out of so many bytes; the batches then full."""
        if rows:
            self.rows.end_page(facts._replace(first_order=self._order), size)
            self._order += rows
            yield from self.hand_out()

    def hand_out(self, *, final: bool = False) -> Iterator[pa.RecordBatch]:
        """The full batches, or with `final` all that is left."""
        for batch in self.rows.batches(final=final):
            self._log.tally("rows", batch.num_rows)
            yield batch
