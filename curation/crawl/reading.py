"""Archives as plain Python rows, for scripts and notebooks; the pipeline reads Arrow batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curation.crawl.archive import Reading
from curation.crawl.log import ReadLog
from curation.crawl.warc import warc_batches
from curation.crawl.wat import wat_batches
from curation.schemas import CANDIDATES


def read_wat(path: str, *, log: ReadLog | None = None, **settings: Any) -> Iterator[dict[str, Any]]:
    """Candidates of one WAT file as dicts: the columns of CANDIDATES, and `url`, which is media_url.

    settings: fields of curation.crawl.Reading, such as variant or snapshot. `log` takes counts and rejections.
    """
    yield from _rows(wat_batches(path, log or ReadLog(path), Reading(**settings)))


def read_warc(path: str, *, log: ReadLog | None = None, **settings: Any) -> Iterator[dict[str, Any]]:
    """Candidates of one WARC file as dicts, as read_wat gives them."""
    found = warc_batches(path, log or ReadLog(path), Reading(**settings))
    yield from _rows(batch for dataset, batch in found if dataset is CANDIDATES)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        for row in batch.to_pylist():
            yield {**row, "url": row["media_url"]}
