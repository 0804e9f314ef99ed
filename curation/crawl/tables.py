"""Candidates out of tables with one media a row: Parquet, CSV, TSV and JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha224
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.cells import Cells, Chunk
from curation.crawl.csv_tables import csv_chunks
from curation.crawl.json_lines import json_chunks
from curation.crawl.log import ReadLog
from curation.crawl.parquet_tables import parquet_chunks
from curation.crawl.rows import SCHEMA
from curation.crawl.streams import READ_ERRORS, ReadFailedError, open_binary
from curation.crawl.urls import HTTP_URL
from curation.errors import Reason
from curation.recipe import Modality, TableColumns

_WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())  # what str.strip takes off
_MEDIA_URL = "^" + HTTP_URL
_DETAIL_URL = 200  # characters of a refused URL


def table_batches(
    path: str,
    columns: TableColumns,
    log: ReadLog,
    *,
    modality: Modality,
    snapshot: str,
    batch_rows: int = 50_000,
) -> Iterator[pa.RecordBatch]:
    """Candidate rows of one table (local path or fsspec URL) with the CANDIDATES schema.

    The format follows from the name: .parquet, .csv, .tsv, .jsonl or .ndjson, the latter four also with .gz.
    record_offset is the row number from 0 (behind the header; in JSON lines the line number), field_order the
    position of the text's column in columns.texts. Texts are trimmed, and their tabs and line breaks become spaces.

    Nothing is raised for what a file holds. A row without an absolute http or https URL is BAD_URL, with other than
    text BAD_ROW, with other than UTF-8 BAD_ENCODING; the offset of these is the row number. A file without a wanted
    column is one MISSING_COLUMN. When the last batch has been taken, log.unaccounted() is 0:
    texts == rows + skipped:empty_text + rejected_texts (see curation.crawl.log).
    """
    maker = _CandidateMaker(columns, log, PurePosixPath(path).name, modality, snapshot)
    pending: list[pa.RecordBatch] = []
    try:
        for chunk in _chunks(path, maker.wanted, log, batch_rows):
            pending.append(maker.candidates(chunk))
            if sum(map(len, pending)) >= batch_rows:
                yield from _handed_out(pending, batch_rows, log)
                pending = []
    except FileNotFoundError as error:
        log.reject(None, Reason.MISSING_FILE, f"no such file: {error}")
    except (ReadFailedError, *READ_ERRORS, pa.ArrowException) as error:
        log.reject(None, Reason.UNREADABLE_FILE, f"{type(error).__name__}: {error}")
    yield from _handed_out(pending, batch_rows, log)


def _handed_out(pending: list[pa.RecordBatch], batch_rows: int, log: ReadLog) -> Iterator[pa.RecordBatch]:
    """What has been made, in batches that are neither tiny nor too large: chunks follow the file's own grouping."""
    for batch in pa.Table.from_batches(pending, SCHEMA).combine_chunks().to_batches(max_chunksize=batch_rows):
        log.tally("rows", batch.num_rows)
        yield batch


def _chunks(path: str, wanted: Sequence[str], log: ReadLog, batch_rows: int) -> Iterator[Chunk]:
    name = path.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        yield from csv_chunks(path, wanted, log, tabs=name.endswith(".tsv"))
        return
    with open_binary(path) as file:
        if path.lower().endswith(".parquet"):
            yield from parquet_chunks(file, wanted, log, batch_rows)
        elif name.endswith((".jsonl", ".ndjson")):
            yield from json_chunks(file, wanted, log)
        else:
            known = ".parquet, .csv, .tsv, .jsonl or .ndjson (the latter four also with .gz)"
            log.reject(None, Reason.UNREADABLE_FILE, f"the name tells no table format: it should end in {known}")


class _CandidateMaker:
    """Makes candidates of a table's rows, column by column."""

    def __init__(self, columns: TableColumns, log: ReadLog, archive: str, modality: str, snapshot: str) -> None:
        page_url = [columns.page_url] if columns.page_url is not None else []
        self.wanted = list(dict.fromkeys([columns.media_url, *columns.texts.values(), *page_url]))
        self._columns = columns
        self._log = log
        self._archive = archive
        self._modality = modality
        self._snapshot = snapshot
        self._sources = pa.array(list(columns.texts), pa.string())

    def candidates(self, chunk: Chunk) -> pa.RecordBatch:
        """One row per text, in the order of the table's rows."""
        total = len(chunk.rows)
        self._log.tally("read_rows", total)
        urls = pc.utf8_trim(chunk.columns[self._columns.media_url].text, _WHITE_SPACE)
        good_url = _mask(pc.match_substring_regex(urls, _MEDIA_URL))
        texts, has_text = self._texts(chunk)
        self._reject_urls(chunk, urls, good_url, has_text)
        row_of, column_of = np.nonzero(has_text & good_url[:, None])
        with_text = np.unique(row_of)
        ids = pa.array([sha224(url).hexdigest()[:24] for url in urls.take(with_text).cast(pa.binary()).to_pylist()])
        count = len(row_of)
        columns = {
            "media_id": ids.cast(pa.string()).take(pa.array(np.searchsorted(with_text, row_of))),
            "modality": pa.repeat(self._modality, count),
            "media_url": urls.take(row_of),
            "text": texts.take(column_of * total + row_of),
            "text_source": self._sources.take(column_of),
            "page_url": self._page_urls(chunk).take(row_of),
            "robots": pa.array([[]], SCHEMA.field("robots").type).take(np.zeros(count, np.int64)),
            "snapshot": pa.repeat(self._snapshot, count),
            "archive": pa.repeat(self._archive, count),
            "record_offset": pa.array(chunk.rows[row_of]),
            "field_order": pa.array(column_of, pa.int32()),
        }
        return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)

    def _texts(self, chunk: Chunk) -> tuple[pa.StringArray, np.ndarray[Any, np.dtype[np.bool_]]]:
        """All texts, column after column, and (rows, columns) whether there is one; counts and rejects the others."""
        texts, has_text = [], []
        for source, name in self._columns.texts.items():
            cells = chunk.columns[name]
            text = cells.text
            for blank in "\n\r\t":
                text = pc.replace_substring(text, blank, " ")
            text = pc.utf8_trim(text, _WHITE_SPACE)
            filled = _mask(pc.greater(pc.binary_length(text), 0))
            texts.append(text)
            has_text.append(filled)
            self._log.tally("texts", len(text))
            self._log.tally("skipped:empty_text", len(text) - int(filled.sum()) - len(cells.unusable))
            for at, (reason, what) in cells.unusable.items():
                self._log.reject(int(chunk.rows[at]), reason, f"{source} ({name}) holds {what}", count=1)
        return pa.concat_arrays(texts), np.stack(has_text, axis=1)

    def _reject_urls(self, chunk: Chunk, urls: pa.StringArray, good: Any, has_text: Any) -> None:
        name = self._columns.media_url
        unusable = chunk.columns[name].unusable
        for at in np.flatnonzero(~good).tolist():
            url = urls[at].as_py()
            what = "no URL" if url is None else f"not an absolute http or https URL: {url[:_DETAIL_URL]!r}"
            if at in unusable:
                what = f"holds {unusable[at][1]}"
            self._log.reject(int(chunk.rows[at]), Reason.BAD_URL, f"{name}: {what}", count=int(has_text[at].sum()))

    def _page_urls(self, chunk: Chunk) -> pa.StringArray:
        name = self._columns.page_url
        if name is None:
            return pa.nulls(len(chunk.rows), pa.string())
        cells: Cells = chunk.columns[name]
        self._log.tally("odd:page_url", len(cells.unusable))
        trimmed = pc.utf8_trim(cells.text, _WHITE_SPACE)
        return pc.if_else(pc.greater(pc.binary_length(trimmed), 0), trimmed, pa.scalar(None, pa.string()))


def _mask(condition: pa.BooleanArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """An Arrow condition as a mask; null is false."""
    mask: np.ndarray[Any, np.dtype[np.bool_]] = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return mask
