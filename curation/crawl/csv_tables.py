"""Rows of CSV and TSV tables with a header line.

CSV is quoted as in RFC 4180. Arrow parses it. An unclosed quote, with which Arrow ends or swallows rows, hands over to
the standard library's reader, which then loses the line with that quote only. TSV has no quoting that could join
lines, as captions may begin with a quote; a field that is wholly quoted is unquoted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from curation.crawl.cells import Cells, Chunk, Column, IntArray, cells_of_array, cells_of_values, unquoted
from curation.crawl.lines import BLOCK_BYTES, BLOCK_LINES, Line, PieceFile, read_lines, read_pieces
from curation.crawl.log import ReadLog
from curation.crawl.streams import open_binary
from curation.crawl.table_mappings import WantedColumns
from curation.errors import Reason

ARROW_BLOCK_BYTES = 1 << 20
"""What Arrow parses at once; it runs up to 32 of these ahead."""


def csv_chunks(path: str, wanted: WantedColumns, log: ReadLog, *, tabs: bool) -> Iterator[Chunk]:
    """Rows of a CSV (`tabs`: TSV) file; the row number counts rows behind the header, blank lines not."""
    with open_binary(path) as file:
        header, first_line = _header(read_lines(file, ReadLog(path)), tabs)
    if problem := wanted.missing(header):
        log.reject(None, Reason.MISSING_COLUMN, problem)
        return
    table = _Table(header, wanted, log, tabs)
    if first_line == 0:  # Arrow takes a blank line before the header for the header
        pieces_log = ReadLog(path)
        try:
            with open_binary(path) as file:
                yield from table.arrow_chunks(PieceFile(read_pieces(file, pieces_log)))
            log.extend(pieces_log)
            return
        except pa.ArrowInvalid:  # what Arrow has handed out until here stands
            pass
    with open_binary(path) as file:
        yield from table.python_chunks(read_lines(file, log))


def _dialect(tabs: bool) -> dict[str, Any]:
    return {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {"delimiter": ","}


def _header(lines: Iterator[Line], tabs: bool) -> tuple[list[str], int]:
    """Column names and the number of the line they begin on."""
    feed = _Feed(lines)
    try:
        names = next((row for row in csv.reader(feed, **_dialect(tabs)) if row), [])
    except csv.Error:
        return [], 0
    if tabs:
        names = [name[1:-1].replace('""', '"') if name[:1] == name[-1:] == '"' else name for name in names]
    return names, feed.first


class _Feed(Iterator[str]):
    """Lines for csv.reader, of which those of the latest row can be given back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: list[str] = []
        self.taken: list[str] = []
        self.first = -1
        """Number of the first line that was not blank."""

    def __next__(self) -> str:
        if self._again:
            text = self._again.pop()
        else:
            number, line = next(self._lines)
            text = line.decode("utf-8", "surrogateescape") + "\n"
            if self.first < 0 and line.strip():
                self.first = number
        self.taken.append(text)
        return text

    def give_back(self) -> None:
        """Gives back all lines of the latest row but its first."""
        self._again += reversed(self.taken[1:])


class _Table:
    """One table, read by either parser: `done` counts the rows dealt with."""

    def __init__(self, header: list[str], wanted: WantedColumns, log: ReadLog, tabs: bool) -> None:
        self._width = len(header)
        self._positions = {name: header.index(name) for name in wanted.names if name in header}
        self._log = log
        self._tabs = tabs
        self._done = 0
        self._ragged: dict[int, int] = {}  # row -> number of fields, of rows that Arrow has left out

    def arrow_chunks(self, file: PieceFile) -> Iterator[Chunk]:
        """Rows by Arrow's parser. Raises pa.ArrowInvalid where it cannot go on, or has taken lines for one row."""
        names = [f"column_{index}" for index in range(self._width)]
        reader = pacsv.open_csv(
            io.BufferedReader(file, ARROW_BLOCK_BYTES),
            read_options=pacsv.ReadOptions(
                use_threads=False, block_size=ARROW_BLOCK_BYTES, column_names=names, skip_rows_after_names=1
            ),
            parse_options=pacsv.ParseOptions(
                delimiter="\t" if self._tabs else ",",
                quote_char=False if self._tabs else '"',
                newlines_in_values=not self._tabs,
                invalid_row_handler=self._on_ragged,
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=[names[at] for at in self._positions.values()],
                column_types=dict.fromkeys(names, pa.binary()),
            ),
        )
        for batch in reader:
            rows = self._row_numbers(batch.num_rows)
            arrays = {name: batch.column(names[at]) for name, at in self._positions.items()}
            yield self._chunk(rows, {name: cells_of_array(array) for name, array in arrays.items()})
        self._row_numbers(0, final=True)

    def _on_ragged(self, row: pacsv.InvalidRow) -> str:
        if "\n" in row.text.rstrip("\r\n"):
            return "error"
        self._ragged[row.number - 2] = row.actual_columns  # Arrow counts from 1, and the header
        return "skip"

    def _row_numbers(self, count: int, *, final: bool = False) -> IntArray:
        """Numbers of the next valid rows; rejects the ragged rows among them."""
        span = np.arange(self._done, self._done + count + len(self._ragged))
        rows = np.setdiff1d(span, list(self._ragged), assume_unique=True)[:count]
        self._done = int(rows[-1]) + 1 if count else self._done
        for row in sorted(self._ragged):
            if row < self._done or final:
                self._reject(row, self._ragged.pop(row))
        return rows

    def python_chunks(self, lines: Iterator[Line]) -> Iterator[Chunk]:
        """Rows by the standard library's parser, from the first that Arrow has not dealt with."""
        feed = _Feed(lines)
        numbers: list[int] = []
        rows: list[list[str]] = []
        size = 0
        for number, row in self._python_rows(feed):
            numbers.append(number)
            rows.append(row)
            size += sum(map(len, row))
            if len(rows) >= BLOCK_LINES or size > BLOCK_BYTES:
                yield self._python_chunk(numbers, rows)
                numbers, rows, size = [], [], 0
        if rows:
            yield self._python_chunk(numbers, rows)

    def _python_rows(self, feed: _Feed) -> Iterator[tuple[int, list[str]]]:
        number = -2  # the header is row -1
        reader = csv.reader(feed, **_dialect(self._tabs))
        while True:
            feed.taken.clear()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:  # a field above csv.field_size_limit(), as an unclosed quote makes it
                row = []
            if not row and not any(line.strip() for line in feed.taken):
                continue
            number += 1
            valid = len(row) == self._width
            if not valid:  # an unclosed quote may have joined lines that are rows of their own
                feed.give_back()
                reader = csv.reader(feed, **_dialect(self._tabs))
            if valid and number >= max(self._done, 0):
                yield number, row
            elif not valid and number >= self._done:
                self._reject(number, len(row))

    def _python_chunk(self, numbers: list[int], rows: list[list[str]]) -> Chunk:
        cells = {name: cells_of_values([row[at] for row in rows]) for name, at in self._positions.items()}
        return self._chunk(np.array(numbers, np.int64), cells)

    def _chunk(self, rows: IntArray, columns: dict[str, Cells]) -> Chunk:
        found: dict[str, Column] = {name: unquoted(cells) if self._tabs else cells for name, cells in columns.items()}
        return Chunk(rows, found)

    def _reject(self, row: int, fields: int) -> None:
        self._log.reject(row, Reason.BAD_ROW, f"{fields} fields, but the header has {self._width}")
