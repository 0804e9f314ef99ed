"""The other set of a comparison: its URLs, hashes and texts, from files of most shapes or a run's manifest."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.cells import Chunk, Column, text_cells
from curation.crawl.csv_tables import csv_chunks
from curation.crawl.inputs import expand_inputs
from curation.crawl.json_lines import json_chunks
from curation.crawl.lines import line_blocks, read_lines
from curation.crawl.log import ReadLog
from curation.crawl.parquet_tables import parquet_chunks
from curation.crawl.streams import READ_ERRORS, ReadFailedError, open_binary
from curation.crawl.table_mappings import WantedColumns
from curation.errors import InputError
from curation.overlap_keys import MEDIA_ID, SHA256, URL
from curation.recipe import TableColumns, TableInput
from curation.runner.catalog import Catalog
from curation.schemas import MANIFEST
from curation.storage import Store, client_errors, storage_errors

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "url": ("url", "URL", "media_url", "image_url", "video_url", "media_id"),
    "sha256": ("sha256", "fetched_sha256"),
    "phash": ("phash",),
    "text": ("text", "TEXT", "caption", "captions", "texts", "brief", "detailed"),
}
"""Columns by what they are compared as; all that a file has are read. Those of text may hold lists, too."""

_BATCH_ROWS = 50_000
_LINES = (".txt", ".txt.gz")
_TABLES = (*_LINES, *(f".{name}{gz}" for name in ("csv", "tsv", "jsonl") for gz in ("", ".gz")), ".parquet")
_KNOWN = ".txt (a URL or text a line), .csv, .tsv, .jsonl (all also .gz) or .parquet, or a work folder with a manifest"
_LINE_KINDS = {"media_id": MEDIA_ID, "sha256": SHA256, "phash": r"^[0-9a-fA-F]{16}$", "url": URL}


@dataclass(frozen=True)
class SetFile:
    """A file of the other set: a path or URL, and what changes when its content does."""

    path: str
    state: str


def set_files(location: str) -> tuple[SetFile, ...]:
    """The files that a path, a glob, a folder of tables, or a work folder (its manifest) stands for.

    Raises InputError where there are none, WorkFolderError for a work folder without a fresh manifest.
    """
    with client_errors(InputError, f"cannot look at {location}: "):
        store = _run(location)
        if store is not None:
            return _manifest_files(store)
        columns = TableColumns(media_url="url", texts={"text": "text"})  # which are read is decided later
        found = expand_inputs([TableInput(kind="table", paths=[location], columns=columns)])
    lost = next((file.path for file in found if file.missing), None)
    if lost is not None:
        raise InputError(f"nothing at {lost}: give {_KNOWN}")
    return tuple(SetFile(file.path, f"{file.size_bytes} {file.fingerprint}") for file in found)


def is_work_folder(location: str) -> bool:
    """Whether a location is the folder of a run."""
    return _run(location) is not None


def _run(location: str) -> Store | None:
    may_be = "://" in location and not location.startswith("http") and not location.endswith(_TABLES)
    if not (may_be or Path(location).is_dir()):
        return None
    store = Store.at(location)
    with storage_errors(store):
        return store if store.names("_runs") else None


def _manifest_files(store: Store) -> tuple[SetFile, ...]:
    from curation.pipeline import ALL_STAGES  # whose stages compare sets, too

    with storage_errors(store):
        catalog = Catalog(store, ALL_STAGES).snapshot()
        files = catalog.files(MANIFEST.name)
        version = catalog.visible(catalog.stage_of(MANIFEST.name)).version
    return tuple(SetFile(path, version) for path in files)


@dataclass(frozen=True)
class Values:
    """Some values of one column of a file: `rows` (n,) are their rows from 0; no value is null or blank.

    phash: values are uint64, or text that is not read yet. The others are text.
    """

    column: str
    rows: np.ndarray[Any, np.dtype[np.int64]]
    values: pa.Array


def set_values(file: SetFile, by: Collection[str]) -> Iterator[Values]:
    """What a file holds to compare by, a batch in memory at a time.

    Raises InputError where it cannot be read, wholly or in a row, and where it has no column for any of `by`.
    """
    log = ReadLog(file.path)
    try:
        with client_errors(InputError, f"cannot read {file.path}: "):
            for chunk in _chunks(file.path, _Wanted(by), log):
                _refuse(log)
                for name, column in chunk.columns.items():
                    yield from _values(file.path, name, chunk, column)
    except FileNotFoundError:
        raise InputError(f"nothing at {file.path}: give {_KNOWN}") from None
    except (ReadFailedError, *READ_ERRORS, pa.ArrowException) as error:
        raise InputError(f"cannot read {file.path} ({' '.join(str(error).split())}): give {_KNOWN}") from None
    _refuse(log)


def _refuse(log: ReadLog) -> None:
    if log.rejections:
        first = log.rejections[0]
        place = "" if first.offset is None else f", row {first.offset + 1}"
        raise InputError(f"{log.file}{place}: {first.detail}; correct the file: what cannot be read is not compared")


class _Wanted(WantedColumns):
    """Any of the columns that the wanted keys have; a file must have one at least."""

    def __init__(self, by: Collection[str]) -> None:
        self.names = [name for key, names in COLUMNS.items() if key in by for name in names]
        self.textual = frozenset()

    def lacks_url(self, names: Collection[str]) -> bool:
        return not set(names) & set(self.names)

    def missing(self, names: Collection[str]) -> str | None:
        if not self.lacks_url(names):
            return None
        return f"no column {', '.join(self.names)}; the file has {', '.join(names) or 'none'}"


def _chunks(path: str, wanted: _Wanted, log: ReadLog) -> Iterator[Chunk]:
    name = path.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        yield from csv_chunks(path, wanted, log, tabs=name.endswith(".tsv"))
        return
    if not name.endswith((".parquet", ".jsonl", ".ndjson", *_LINES)):
        raise InputError(f"{path} has a name of no known kind: give {_KNOWN}")
    with open_binary(path) as file:
        if name.endswith(".parquet"):
            yield from parquet_chunks(file, wanted, log, _BATCH_ROWS)
        elif name.endswith((".jsonl", ".ndjson")):
            yield from json_chunks(file, wanted, log)
        else:
            for block in line_blocks(read_lines(file, log)):
                yield from _line_chunks(block, wanted)


def _line_chunks(block: list[tuple[int, bytes]], wanted: _Wanted) -> Iterator[Chunk]:
    """Lines of a plain list: a URL, a media_id, a hash, or else a text; only kinds that are wanted."""
    numbers = np.array([number for number, _ in block], np.int64)
    cells = text_cells([line.strip() for _, line in block])
    open_ = np.asarray(pc.fill_null(pc.greater(pc.binary_length(cells.text), 0), False))
    for at in cells.unusable:
        open_[at] = True
    for kind, pattern in _LINE_KINDS.items():
        found = np.asarray(pc.fill_null(pc.match_substring_regex(cells.text, pattern), False)) & open_
        open_ &= ~found
        if kind in wanted.names and found.any():
            yield Chunk(numbers[found], {kind: cells.text.filter(pa.array(found))})
    if "text" in wanted.names and open_.any():
        lines = [line for (_, line), is_text in zip(block, open_, strict=True) if is_text]
        yield Chunk(numbers[open_], {"text": lines})


def _values(path: str, name: str, chunk: Chunk, column: Column) -> Iterator[Values]:
    key = next(key for key, names in COLUMNS.items() if name in names)
    rows = chunk.rows
    if key == "phash" and isinstance(column, pa.Array) and pa.types.is_integer(column.type):
        valid = column.is_valid()
        numbers = np.asarray(column.filter(valid)).astype(np.uint64)  # a negative one has the same 64 bits
        yield Values(name, rows[np.asarray(valid)], pa.array(numbers))
        return
    if key == "phash" and isinstance(column, list):
        column = [str(value) if _is_hash(value) else value for value in column]
    if key == "text":
        column, rows = _flat(column, rows)
    cells = text_cells(_as_text(path, name, column))
    if cells.unusable:
        at, (_, detail) = min(cells.unusable.items())
        raise InputError(f"{path}, row {rows[at] + 1}: column {name} holds {detail}; correct the file")
    text = pc.utf8_trim_whitespace(cells.text)
    filled = pc.fill_null(pc.not_equal(text, ""), False)
    yield Values(name, rows[np.asarray(filled)], text.filter(filled))


def _is_hash(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 64


def _as_text(path: str, name: str, column: Column) -> Column:
    if isinstance(column, pa.Array):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        readable = pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary
        views = pa.types.is_string_view, pa.types.is_binary_view, pa.types.is_null
        if not any(test(kind) for test in (*readable, *views)):
            raise InputError(f"{path}: column {name} holds {kind}, which cannot be compared: {_TYPES}")
    return column


_TYPES = "URLs, texts and SHA-256 are text; perceptual hashes whole numbers of 64 bits, or text of 16 hex digits"


def _flat(column: Column, rows: Any) -> tuple[Column, Any]:
    """The texts of a column of texts or of lists of texts, or of lists of objects with a `text`; and their rows."""
    if isinstance(column, list):
        pairs = [(text, row) for value, row in zip(column, rows.tolist(), strict=True) for text in _each(value)]
        return [text for text, _ in pairs], np.array([row for _, row in pairs], np.int64)
    if isinstance(column, pa.Array) and _is_list(column.type):
        rows = rows[np.asarray(pc.list_parent_indices(column))]
        column = pc.list_flatten(column)
        if pa.types.is_struct(column.type) and column.type.get_field_index("text") >= 0:
            column = pc.struct_field(column, "text")
    return column, rows


def _is_list(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list))


def _each(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [item["text"] if isinstance(item, dict) and "text" in item else item for item in value]


_HEX = re.compile(r"[0-9a-fA-F]{16}").fullmatch
_DECIMAL = re.compile(r"-?[0-9]{1,20}").fullmatch


class HashTexts:
    """Perceptual hashes of one file that are written as text: 16 hex digits, or else whole numbers.

    16 decimal digits may be either: what the file's others are decides, and where all have 16, they are hex digits.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._either: list[str] = []
        self._hex: list[int] = []
        self._numbers: list[int] = []

    def add(self, values: Values) -> None:
        """Raises InputError for what is no hash."""
        for row, text in zip(values.rows.tolist(), values.values.to_pylist(), strict=True):
            if _HEX(text):
                if text.isdecimal():
                    self._either.append(text)
                else:
                    self._hex.append(int(text, 16))
            elif _DECIMAL(text) and -(1 << 63) <= int(text) < 1 << 64:
                self._numbers.append(int(text) % (1 << 64))
            else:
                raise InputError(
                    f"{self._path}, row {row + 1}: {text!a:.60} in column phash is no perceptual hash: write 16 hex "
                    "digits, with zeros in front, or a whole number of 64 bits"
                )

    def hashes(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Raises InputError where some are hex digits and others numbers: nobody knows what 16 digits are there."""
        if self._hex and self._numbers and self._either:
            raise InputError(
                f"{self._path}: column phash holds both hex digits and whole numbers, so {self._either[0]} may be "
                "either: write all in one form"
            )
        base = 10 if self._numbers else 16
        found = [*self._hex, *self._numbers, *(int(text, base) for text in self._either)]
        return np.array(found, np.uint64)
