"""Candidate rows collected page by page, handed out as Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from curation.schemas import CANDIDATES

SCHEMA = CANDIDATES.schema
FLUSH_BYTES = 256 << 20
"""Batches end early at this many bytes of source records: Arrow's string columns hold 2 GiB at most."""


class PageRows:
    """Rows of an archive's pages; what all rows of a page share is held once per page."""

    def __init__(self, archive: str, modality: str, text_sources: Sequence[str], batch_rows: int) -> None:
        """`text_sources`: the names that the indices in `source` stand for. At most `batch_rows` rows in a batch."""
        self._archive = archive
        self._modality = modality
        self._text_sources = pa.array(text_sources, pa.string())
        self._batch_rows = batch_rows
        self.media_id: list[str] = []
        self.media_url: list[str] = []
        self.text: list[str] = []
        self.source: list[int] = []
        self._pages: list[tuple[str | None, list[str], str, int, int]] = []
        self._ends: list[int] = []  # of each page, in rows
        self._bytes = 0

    def end_page(self, page: tuple[str | None, list[str], str, int, int], size: int) -> None:
        """Ends the rows of a page (or of a part of it): its URL, robots, snapshot, offset, and first field_order."""
        self._pages.append(page)
        self._ends.append(len(self.text))
        self._bytes += size

    def batches(self, *, final: bool = False) -> Iterator[pa.RecordBatch]:
        """The full batches, or with `final` all of them; what has been handed out is forgotten."""
        total = len(self.text)
        if total < self._batch_rows and self._bytes < FLUSH_BYTES and not final:
            return
        for start in range(0, total, self._batch_rows):
            yield self._batch(start, min(start + self._batch_rows, total))
        for column in (self.media_id, self.media_url, self.text, self.source, self._pages, self._ends):
            column.clear()
        self._bytes = 0

    def _batch(self, start: int, stop: int) -> pa.RecordBatch:
        ends = np.asarray(self._ends)
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        pages = self._pages[first : last + 1]
        bounds = np.clip(ends[first : last + 1], start, stop)
        counts = np.diff(bounds, prepend=start)
        page_of_row = pa.array(np.repeat(np.arange(len(pages)), counts))
        page_starts = np.append(ends, 0)[np.arange(first, last + 1) - 1]  # row each page began with, the first at 0
        orders = np.arange(start, stop) - np.repeat(page_starts - [page[4] for page in pages], counts)

        def of_page(column: int, kind: pa.DataType) -> Any:
            return pa.array([page[column] for page in pages], kind).take(page_of_row)

        rows = slice(start, stop)
        columns = {
            "media_id": pa.array(self.media_id[rows], pa.string()),
            "modality": pa.repeat(self._modality, stop - start),
            "media_url": pa.array(self.media_url[rows], pa.string()),
            "text": pa.array(self.text[rows], pa.string()),
            "text_source": self._text_sources.take(pa.array(self.source[rows], pa.int8())),
            "page_url": of_page(0, pa.string()),
            "robots": of_page(1, SCHEMA.field("robots").type),
            "snapshot": of_page(2, pa.string()),
            "archive": pa.repeat(self._archive, stop - start),
            "record_offset": of_page(3, pa.int64()),
            "field_order": pa.array(orders, pa.int32()),
        }
        return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
