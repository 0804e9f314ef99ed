"""Rows of CSV, TSV and JSON-lines tables as columns of values, chunk by chunk."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from curation.crawl.log import ReadLog
from curation.crawl.members import GZIP_MAGIC, GzipPieces, Pieces, PlainPieces
from curation.crawl.pages import without_surrogates
from curation.crawl.streams import Window, open_binary
from curation.errors import Reason

BLOCK_BYTES = 8 << 20
"""Bytes of a table parsed at once."""
BLOCK_ROWS = 20_000
"""Lines of a table parsed at once, where lines are parsed one by one."""
MAX_LINE_BYTES = 64 << 20
"""A longer line is refused."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table: the wanted columns, in the order they were asked for."""

    rows: np.ndarray[Any, np.dtype[np.int64]]
    """Row numbers from 0, ascending."""
    columns: list[pa.Array]
    refused: dict[int, list[int]] = field(default_factory=dict)
    """Column -> positions of cells that have been rejected already; these are null in the column."""


def missing_columns(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    """What to say where a table lacks a wanted column; None where it lacks none."""
    missing = sorted(set(wanted) - set(names))
    return f"no column {', '.join(missing)}; the file has {', '.join(names) or 'none'}" if missing else None


def json_chunks(path: str, wanted: Sequence[str], log: ReadLog) -> Iterator[Chunk]:
    """Rows of JSON lines; the row number is the line's, blank lines counted.

    A key may be absent from any row. One that is absent from all is MISSING_COLUMN, at the end of the file, or at the
    end of the first block if it is wanted[0], the media's URL: then nothing in the file can be used.
    """
    table = _JsonTable(wanted, log)
    with open_binary(path) as file:
        for block in _blocks(_lines(_read_pieces(file, log), log)):
            chunk = table.chunk(block)
            if table.keys and wanted[0] not in table.keys:
                break
            yield chunk
    if table.keys and (problem := missing_columns(wanted, list(table.keys))):
        log.reject(None, Reason.MISSING_COLUMN, problem)


def csv_chunks(path: str, wanted: Sequence[str], log: ReadLog, *, tabs: bool) -> Iterator[Chunk]:
    """Rows of a CSV or TSV file with a header line; the row number counts rows behind the header, blank lines not.

    CSV is quoted as in RFC 4180. Arrow parses it; where it fails, which an unclosed quote leads to, the standard
    library's reader goes on, and only the line with that quote is lost. TSV has no quoting that could join lines; a
    field that is wholly quoted is unquoted.
    """
    header = _header(path, tabs)
    if problem := missing_columns(wanted, header):
        log.reject(None, Reason.MISSING_COLUMN, problem)
        return
    positions = [header.index(name) for name in wanted]
    table = _ArrowCsv(len(header), positions, log, tabs)
    try:
        with open_binary(path) as file:
            yield from table.chunks(cast(BinaryIO, io.BufferedReader(_PieceFile(_read_pieces(file, log)), BLOCK_BYTES)))
    except pa.ArrowInvalid:
        with open_binary(path) as file:
            lines = _lines(_read_pieces(file, ReadLog(path) if table.done else log), log)
            yield from _python_csv(lines, len(header), positions, log, table.done)


# ------------------------------------------------------------------------------------------------ bytes


def _read_pieces(file: BinaryIO, log: ReadLog) -> Iterator[bytes]:
    """The bytes of a file, inflated where it is gzip. Lost bytes leave a line break."""
    window = Window(file)
    pieces: Pieces = GzipPieces(window, log) if window.at(0, len(GZIP_MAGIC)) == GZIP_MAGIC else PlainPieces(window)
    for piece in pieces:
        yield b"\n" if piece.gap else piece.data


class _PieceFile(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _lines(pieces: Iterator[bytes], log: ReadLog) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their newline; a line that is too long is rejected and left out."""
    number, rest, skipping = 0, b"", False
    for data in pieces:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if not skipping:
                yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 0 else line
            skipping = False
            number += 1
        if len(rest) > MAX_LINE_BYTES:
            if not skipping:
                log.reject(number, Reason.TOO_LARGE, f"line above {MAX_LINE_BYTES} bytes")
            rest, skipping = b"", True
    if rest and not skipping:
        yield number, rest.removeprefix(_BYTE_ORDER_MARK) if number == 0 else rest


def _blocks(lines: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    block: list[tuple[int, bytes]] = []
    size = 0
    for numbered in lines:
        block.append(numbered)
        size += len(numbered[1])
        if size > BLOCK_BYTES or len(block) >= BLOCK_ROWS:
            yield block
            block, size = [], 0
    if block:
        yield block


# ------------------------------------------------------------------------------------------- JSON lines


class _JsonTable:
    """Decodes lines of JSON into the wanted columns."""

    def __init__(self, wanted: Sequence[str], log: ReadLog) -> None:
        self.keys: dict[str, None] = {}  # seen so far; a dict, to keep their order
        self._wanted = wanted
        self._log = log
        self._fields = [f"column_{index}" for index in range(len(wanted))]
        row = msgspec.defstruct(
            "Row",
            [(name, Any, None) for name in self._fields],
            rename=dict(zip(self._fields, wanted, strict=True)),
            gc=False,
        )
        self._decode = msgspec.json.Decoder(row).decode
        self._row = row

    def chunk(self, block: list[tuple[int, bytes]]) -> Chunk:
        numbers: list[int] = []
        rows: list[Any] = []
        for number, line in block:
            if not line.strip():
                continue
            row = self._parse(number, line)
            if row is not None:
                numbers.append(number)
                rows.append(row)
        columns, refused = [], {}
        for index, (name, key) in enumerate(zip(self._fields, self._wanted, strict=True)):
            values = [getattr(row, name) for row in rows]
            if key not in self.keys and any(value is not None for value in values):
                self.keys[key] = None
            column, refused[index] = self._column(values, numbers, key)
            columns.append(column)
        return Chunk(np.array(numbers, np.int64), columns, refused)

    def _parse(self, number: int, line: bytes) -> Any:
        try:
            row = self._decode(line)
        except (ValueError, RecursionError):
            row = self._parse_slowly(number, line)
        if not self.keys and row is not None:
            self.keys = dict.fromkeys(json.loads(line))
        return row

    def _parse_slowly(self, number: int, line: bytes) -> Any:
        """A row that needs the standard library (escaped lone surrogates), or None with a rejection."""
        try:
            value = json.loads(line)
            if not isinstance(value, dict):
                raise ValueError(f"{type(value).__name__}, not an object")
        except UnicodeDecodeError as error:
            self._log.reject(number, Reason.BAD_ENCODING, str(error))
            return None
        except (ValueError, RecursionError) as error:
            self._log.reject(number, Reason.BAD_JSON, str(error))
            return None
        cells = (value.get(key) for key in self._wanted)
        return self._row(*(without_surrogates(cell) if isinstance(cell, str) else cell for cell in cells))

    def _column(self, values: list[Any], numbers: list[int], key: str) -> tuple[pa.Array, list[int]]:
        try:
            return pa.array(values, pa.string()), []
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            refused = [at for at, value in enumerate(values) if not (value is None or isinstance(value, str))]
        for at in refused:
            kind = type(values[at]).__name__
            self._log.reject(numbers[at], Reason.BAD_ROW, f"{key} holds {kind}, not text", count=1)
            values[at] = None
        return pa.array(values, pa.string()), refused
