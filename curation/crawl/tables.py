"""Candidates out of tables with one media a row: Parquet, CSV, TSV and JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha224
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.cells import Chunk, first_cells, text_cells
from curation.crawl.csv_tables import csv_chunks
from curation.crawl.fact_columns import empty_lists, fact_columns, read_facts
from curation.crawl.json_lines import json_chunks
from curation.crawl.log import ReadLog
from curation.crawl.page import MAX_URL_CHARS
from curation.crawl.parquet_tables import parquet_chunks
from curation.crawl.rows import SCHEMA
from curation.crawl.streams import READ_ERRORS, ReadFailedError, open_binary
from curation.crawl.table_mappings import WantedColumns, alternatives
from curation.crawl.table_media import Media, read_media
from curation.crawl.table_texts import WHITE_SPACE, TextReader, Texts
from curation.errors import Reason
from curation.recipe import Modality, TableColumns

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
    position of the text's column in columns.texts; tags come behind these, then the chapters, one number each. Texts
    are trimmed, and their tabs and line breaks become spaces. Unless the modality is image, a URL that is a player's
    becomes its canonical one, and an audio player makes the row audio.

    Nothing is raised for what a file holds. A row without an absolute http or https URL (of at most MAX_URL_CHARS) is
    BAD_URL, with other than text BAD_ROW, with other than UTF-8 BAD_ENCODING; the offset of these is the row number. A
    file without a wanted column is one MISSING_COLUMN. When the last batch has been taken, log.unaccounted() is 0:
    texts == rows + skipped:empty_text + rejected_texts (see curation.crawl.log). Every cell of a text column and of
    columns.tags that the file has is one text, filled or not. A cell of columns.chapters is as many as it has
    chapters: none if it is empty; one, rejected, if it holds something else. An untitled chapter is skipped:empty_text,
    one without a readable start BAD_ROW. Facts that cannot be read are null, and counted as odd:FACT (see
    curation.crawl.fact_columns).
    """
    maker = _CandidateMaker(columns, log, PurePosixPath(path).name, modality, snapshot)
    pending: list[pa.RecordBatch] = []
    try:
        for chunk in _chunks(path, WantedColumns(columns), log, batch_rows):
            for batch in maker.candidates(chunk):
                pending.append(batch)
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


def _chunks(path: str, wanted: WantedColumns, log: ReadLog, batch_rows: int) -> Iterator[Chunk]:
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

    def __init__(self, columns: TableColumns, log: ReadLog, archive: str, modality: Modality, snapshot: str) -> None:
        self._columns = columns
        self._log = log
        self._archive = archive
        self._modality = modality
        self._snapshot = snapshot
        self._texts = TextReader(columns, log)

    def candidates(self, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        """One row per text, in the order of the table's rows."""
        self._log.tally("read_rows", len(chunk.rows))
        media = read_media(self._columns.media_url, chunk, self._modality)
        facts = read_facts(self._columns, chunk, self._log)
        texts = self._texts.read(chunk, facts)
        self._reject_urls(chunk, media, texts)
        page_urls = self._page_urls(chunk)
        for part in texts.where(media.good).slices():
            yield self._batch(chunk, media, {**facts, "page_url": page_urls}, part)

    def _batch(self, chunk: Chunk, media: Media, facts: dict[str, pa.Array], texts: Texts) -> pa.RecordBatch:
        count = len(texts.row)
        columns = {
            **fact_columns(facts, texts.row),
            **texts.times,
            "media_id": _media_ids(media.url, texts),
            "modality": pa.repeat(self._modality, count),
            "media_url": media.url.take(texts.row),
            "text": texts.pool.take(texts.at),
            "text_source": self._texts.sources(texts),
            "platform": pa.nulls(count, pa.string()),
            "platform_id": pa.nulls(count, pa.string()),
            "canonical_url": pa.nulls(count, pa.string()),
            "robots": empty_lists(SCHEMA.field("robots").type, count),
            "snapshot": pa.repeat(self._snapshot, count),
            "archive": pa.repeat(self._archive, count),
            "record_offset": pa.array(chunk.rows[texts.row]),
            "field_order": pa.array(texts.order, pa.int32()),
            **{name: array.take(texts.row) for name, array in media.players.items()},
        }
        return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)

    def _reject_urls(self, chunk: Chunk, media: Media, texts: Texts) -> None:
        if media.good.all():
            return
        lost = np.bincount(texts.row, minlength=len(chunk.rows))
        name = " or ".join(alternatives(self._columns.media_url))
        for at in np.flatnonzero(~media.good).tolist():
            url = media.url[at].as_py()
            what = "no URL" if url is None else f"not an absolute http or https URL: {url[:_DETAIL_URL]!r}"
            if url is not None and len(url) > MAX_URL_CHARS:
                what = f"a URL of {len(url)} characters; the limit is {MAX_URL_CHARS}"
            if at in media.unusable:
                what = f"holds {media.unusable[at][1]}"
            self._log.reject(int(chunk.rows[at]), Reason.BAD_URL, f"{name}: {what}", count=int(lost[at]))

    def _page_urls(self, chunk: Chunk) -> pa.StringArray:
        names = alternatives(self._columns.page_url or [])
        found = [text_cells(chunk.columns[name]) for name in names if name in chunk.columns]
        if not found:
            return pa.nulls(len(chunk.rows), pa.string())
        cells = first_cells(found)
        trimmed = pc.utf8_trim(cells.text, WHITE_SPACE)
        length = pc.utf8_length(trimmed)
        too_long = pc.greater(length, MAX_URL_CHARS)
        self._log.tally("odd:page_url", len(cells.unusable) + (pc.sum(too_long).as_py() or 0))
        fits = pc.and_not(pc.greater(length, 0), too_long)
        return pc.if_else(fits, trimmed, pa.scalar(None, pa.string()))


def _media_ids(urls: pa.StringArray, texts: Texts) -> pa.StringArray:
    first = np.diff(texts.row, prepend=-1) != 0  # rows ascend
    hashed = [sha224(url).hexdigest()[:24] for url in urls.take(texts.row[first]).cast(pa.binary()).to_pylist()]
    return pa.array(hashed, pa.string()).take(pa.array(np.cumsum(first) - 1))
