"""Texts to try a vocabulary on: lines of a file, a column of a table, or the pairs of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.cells import Chunk, first_cells, text_cells
from curation.crawl.csv_tables import csv_chunks
from curation.crawl.json_lines import json_chunks
from curation.crawl.lines import line_blocks, read_lines
from curation.crawl.log import ReadLog
from curation.crawl.parquet_tables import parquet_chunks
from curation.crawl.streams import READ_ERRORS, ReadFailedError, open_binary
from curation.crawl.table_mappings import WantedColumns
from curation.errors import InputError, Reason
from curation.pipeline import STAGES
from curation.recipe import TableColumns
from curation.runner.catalog import Catalog
from curation.schemas import PAIRS
from curation.storage import Store, client_errors, storage_errors

TEXT_COLUMNS = ["text", "caption", "TEXT"]
"""Columns of a table that are taken for its text: of a row, the first that holds something."""

_BATCH_ROWS = 50_000
_WANTED = WantedColumns(TableColumns(media_url=TEXT_COLUMNS, texts={"text": TEXT_COLUMNS}))  # no table lacks a URL so
_OF_ROWS = (Reason.BAD_ROW, Reason.BAD_JSON, Reason.BAD_ENCODING, Reason.TOO_LARGE)  # others lie at a byte
_LINES = (".txt", ".txt.gz")
_PACKED = (".csv", ".tsv", ".jsonl", ".ndjson")
_FILES = (*_LINES, *_PACKED, *(f"{ending}.gz" for ending in _PACKED), ".parquet")
_ADVICE = (
    "give .txt with one text a line, or .csv, .tsv, .jsonl or .parquet with a column text or caption (all but Parquet "
    "also .gz), or the --work folder of a run"
)


def check_texts(location: str) -> None:
    """Raises InputError where there is nothing of a form that `text_batches` reads; cheap, for before a long run."""
    if _is_run(location):
        _check_run(location)
        return
    if not location.lower().endswith(_FILES):
        known = "://" in location or Path(location).exists()
        raise InputError(f"{'unknown kind of texts' if known else 'no texts at'} {location}: {_ADVICE}")
    with _client_errors(location):
        _check_file(location)


def text_batches(location: str, lang: str, log: ReadLog) -> Iterator[pa.StringArray]:
    """The texts of a file, or of a run's pairs in `lang`, without null and blank ones, a batch in memory at a time.

    Rows that cannot be read are rejections of the log. Raises InputError where nothing can be: no such file, form or
    column, or not a single text; WorkFolderError where a folder holds no run, or one without pairs.
    """
    found = False
    with _client_errors(location):
        for texts in _pair_texts(location, lang) if _is_run(location) else _file_texts(location, log):
            kept = texts.filter(pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0))
            found = found or len(kept) > 0
            yield kept
    if not found and _is_run(location):
        raise InputError(f"the run in {location} has no pair in language {lang!r}: give another --lang")
    if not found:
        why = f" ({log.rejections[0].detail})" if log.rejections else ""
        raise InputError(f"{location} holds no text{why}: {_ADVICE}")


def _client_errors(location: str) -> AbstractContextManager[None]:
    return client_errors(InputError, f"cannot read the texts {location}: ")


def _check_file(location: str) -> None:
    try:
        if "://" not in location and Path(location).exists() and not Path(location).is_file():
            raise OSError("no regular file")  # the open of a pipe would wait for whoever writes into it
        open_binary(location).close()
    except FileNotFoundError:
        raise InputError(f"no texts at {location}: {_ADVICE}") from None
    except (*READ_ERRORS, ValueError, ImportError) as error:  # the latter two: a URL that fsspec does not know
        raise _unreadable(location, error) from None


def _check_run(location: str) -> None:
    store = Store.at(location)
    with storage_errors(store):
        if store.names("_runs"):
            return
        files = sorted(name for name in store.names("") if name.lower().endswith(_FILES))
    if not files:
        raise InputError(f"no run in {location}: {_ADVICE}")
    more = f" and {len(files) - 3:,} more" if len(files) > 3 else ""
    raise InputError(f"no run in {location}, but {', '.join(files[:3])}{more}: give each file by a --texts of its own")


def _is_run(location: str) -> bool:
    """A folder, or a URL that looks like none of the files."""
    return Path(location).is_dir() or ("://" in location and not Path(location).suffix)


def _pair_texts(location: str, lang: str) -> Iterator[pa.StringArray]:
    store = Store.at(location)
    with storage_errors(store):
        paths = Catalog(store, STAGES).snapshot().visible("pairs").paths(PAIRS.name)
        for batch in store.batches(paths, ["text", "lang"], _BATCH_ROWS):
            yield batch.column("text").filter(pc.equal(batch.column("lang"), lang))


def _file_texts(location: str, log: ReadLog) -> Iterator[pa.StringArray]:
    try:
        for chunk in _chunks(location, log):
            cells = first_cells([text_cells(chunk.columns[name]) for name in TEXT_COLUMNS if name in chunk.columns])
            for at, (reason, detail) in cells.unusable.items():
                log.reject(int(chunk.rows[at]), reason, detail)
            yield cells.text
    except (ReadFailedError, *READ_ERRORS, pa.ArrowException) as error:
        raise _unreadable(location, error) from None
    whole = next((rejection for rejection in log.rejections if rejection.offset is None), None)
    if whole is not None:
        raise InputError(f"cannot read the texts {location} ({whole.detail}): {_ADVICE}")


def _chunks(location: str, log: ReadLog) -> Iterator[Chunk]:
    name = location.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        yield from csv_chunks(location, _WANTED, log, tabs=name.endswith(".tsv"))
        return
    with open_binary(location) as file:
        if name.endswith(".parquet"):
            yield from parquet_chunks(file, _WANTED, log, _BATCH_ROWS)
        elif name.endswith((".jsonl", ".ndjson")):
            yield from json_chunks(file, _WANTED, log)
        else:
            for block in line_blocks(read_lines(file, log)):
                numbers = np.array([number for number, _ in block], np.int64)
                yield Chunk(numbers, {TEXT_COLUMNS[0]: [line.removesuffix(b"\r") for _, line in block]})


def _unreadable(location: str, error: Exception) -> InputError:
    return InputError(f"cannot read the texts {location} ({' '.join(str(error).split())}): {_ADVICE}")


def unread(logs: Sequence[ReadLog]) -> list[tuple[str, int, str]]:
    """(location, rows or stretches that could not be read, why the first) of the files that hold such.

    Rows count from 1 there: lines of a text or of JSON, rows behind the header of a table.
    """
    told = []
    for log in logs:
        lost = sum(count for name, count in log.counts.items() if name.startswith("rejected:"))
        if lost:
            first = min(log.rejections, key=lambda rejection: rejection.offset or 0)
            place = f"row {first.offset + 1}: " if first.offset is not None and first.reason in _OF_ROWS else ""
            told.append((log.file, lost, f"{place}{first.detail}"))
    return told
