"""Candidate rows collected page by page, handed out as Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.schemas import CANDIDATES

SCHEMA = CANDIDATES.schema
FLUSH_BYTES = 256 << 20
"""Batches end early at this many bytes of source records, or of what their rows repeat: Arrow's string columns hold
2 GiB at most."""


class PageFacts(NamedTuple):
    """What all rows of a page (or of a part of it) share; names as in CANDIDATES."""

    page_url: str | None
    robots: list[str]
    snapshot: str
    record_offset: int
    first_order: int
    """field_order of its first row."""
    page_lang: str | None = None
    canonical_url: str | None = None
    licence: str | None = None
    """Of the page as a whole."""


class MediumFacts(NamedTuple):
    """What the rows of a medium share; names as in CANDIDATES."""

    modality: str
    platform: str | None = None
    platform_id: str | None = None
    licence: str | None = None
    """Of this medium; None leaves the page's."""
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    upload_date: str | None = None
    poster_url: str | None = None
    tracks: list[dict[str, str | None]] = []  # noqa: RUF012 (never changed)


_ANY_IMAGE = MediumFacts("image")
_OF_PAGE = ("page_url", "robots", "snapshot", "record_offset", "page_lang", "canonical_url")


class PageRows:
    """Rows of an archive's pages; what all rows of a page or of a medium share is held once.

    A row is an image of which nothing is known, unless `facts` says more of it.
    """

    def __init__(self, archive: str, text_sources: Sequence[str], batch_rows: int) -> None:
        """`text_sources`: the names that the indices in `source` stand for. At most `batch_rows` rows in a batch."""
        self._archive = archive
        self._text_sources = pa.array(text_sources, pa.string())
        self._batch_rows = batch_rows
        self.media_id: list[str] = []
        self.media_url: list[str] = []
        self.text: list[str] = []
        self.source: list[int] = []
        self.facts: list[tuple[int, int, MediumFacts]] = []
        """(first row, row after the last, facts), ascending."""
        self.spans: list[tuple[int, int | None, int | None]] = []
        """(row, start_ms, end_ms) of texts that are about a part of their medium, ascending."""
        self._pages: list[PageFacts] = []
        self._ends: list[int] = []  # of each page, in rows
        self._bytes = 0

    def end_page(self, page: PageFacts, size: int) -> None:
        """Ends the rows of a page, or of a part of it, of `size` bytes in their source or by themselves."""
        self._pages.append(page)
        self._ends.append(len(self.text))
        self._bytes += size

    def batches(self, *, final: bool = False) -> Iterator[pa.RecordBatch]:
        """The full batches, or with `final` all of them; what has been handed out is forgotten."""
        total = len(self.text)
        if total < self._batch_rows and self._bytes < FLUSH_BYTES and not final:
            return
        facts, spans = self._facts_of_rows(total), self._spans_of_rows(total)
        for start in range(0, total, self._batch_rows):
            stop = min(start + self._batch_rows, total)
            yield self._batch(start, stop, {name: column.slice(start, stop - start) for name, column in facts + spans})
        held: tuple[list[Any], ...] = (self.media_id, self.media_url, self.text, self.source, self.facts, self.spans)
        for column in (*held, self._pages, self._ends):
            column.clear()
        self._bytes = 0

    def _facts_of_rows(self, total: int) -> list[tuple[str, pa.Array]]:
        """The columns of MediumFacts."""
        which = np.zeros(total, np.int64)
        for number, (start, stop, _) in enumerate(self.facts, 1):
            which[start:stop] = number
        known = [_ANY_IMAGE, *(facts for _, _, facts in self.facts)]
        return [
            (name, pa.array([facts[at] for facts in known], SCHEMA.field(name).type).take(pa.array(which)))
            for at, name in enumerate(MediumFacts._fields)
        ]

    def _spans_of_rows(self, total: int) -> list[tuple[str, pa.Array]]:
        columns: list[list[int | None]] = [[None] * total, [None] * total]
        for row, *span in self.spans:
            columns[0][row], columns[1][row] = span
        names = ("start_ms", "end_ms")
        return [(name, pa.array(column, pa.int64())) for name, column in zip(names, columns, strict=True)]

    def _batch(self, start: int, stop: int, of_media: dict[str, pa.Array]) -> pa.RecordBatch:
        ends = np.asarray(self._ends)
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        pages = self._pages[first : last + 1]
        bounds = np.clip(ends[first : last + 1], start, stop)
        counts = np.diff(bounds, prepend=start)
        page_of_row = pa.array(np.repeat(np.arange(len(pages)), counts))
        page_starts = np.append(ends, 0)[np.arange(first, last + 1) - 1]  # row each page began with, the first at 0
        orders = np.arange(start, stop) - np.repeat(page_starts - [page.first_order for page in pages], counts)

        def of_pages(name: str) -> pa.Array:
            return pa.array([getattr(page, name) for page in pages], SCHEMA.field(name).type).take(page_of_row)

        rows = slice(start, stop)
        columns = {
            "media_id": pa.array(self.media_id[rows], pa.string()),
            "media_url": pa.array(self.media_url[rows], pa.string()),
            "text": pa.array(self.text[rows], pa.string()),
            "text_source": self._text_sources.take(pa.array(self.source[rows], pa.int8())),
            "archive": pa.repeat(self._archive, stop - start),
            "field_order": pa.array(orders, pa.int32()),
            **of_media,
            **{name: of_pages(name) for name in _OF_PAGE},
        }
        columns["licence"] = pc.coalesce(of_media["licence"], of_pages("licence"))
        return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
