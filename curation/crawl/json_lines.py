"""Rows of JSON-lines tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
import numpy as np

from curation.crawl.cells import Chunk, Column
from curation.crawl.lines import Line, line_blocks, read_lines
from curation.crawl.log import ReadLog
from curation.crawl.pages import without_surrogates
from curation.crawl.table_mappings import WantedColumns
from curation.errors import Reason


def json_chunks(file: BinaryIO, wanted: WantedColumns, log: ReadLog) -> Iterator[Chunk]:
    """Rows of JSON lines; the row number is the line's, blank lines counted.

    A key may be absent from any row. One that is absent from all of them is MISSING_COLUMN, at the end of the file;
    if the media's URL needs it, at the end of the first block, as nothing can be used then.
    """
    table = _Table(wanted, log)
    for block in line_blocks(read_lines(file, log)):
        chunk = table.chunk(block)
        if table.keys and wanted.lacks_url(table.keys):
            break
        yield chunk
    if table.keys and (problem := wanted.missing(table.keys)):
        log.reject(None, Reason.MISSING_COLUMN, problem)


class _Table:
    """Decodes lines into the wanted columns."""

    def __init__(self, wanted: WantedColumns, log: ReadLog) -> None:
        self.keys: dict[str, None] = {}
        """Of the first row, and the wanted ones that have had a value since; a dict for its order."""
        self._wanted = wanted.names
        self._log = log
        self._fields = [f"column_{index}" for index in range(len(wanted.names))]
        names = dict(zip(self._fields, wanted.names, strict=True))
        self._row = msgspec.defstruct("Row", [(name, Any, None) for name in self._fields], rename=names, gc=False)
        self._decode = msgspec.json.Decoder(self._row).decode

    def chunk(self, block: list[Line]) -> Chunk:
        numbers: list[int] = []
        rows: list[Any] = []
        for number, line in block:
            row = self._parse(number, line) if line.strip() else None
            if row is not None:
                numbers.append(number)
                rows.append(row)
        columns: dict[str, Column] = {}
        for name, key in zip(self._fields, self._wanted, strict=True):
            values = [getattr(row, name) for row in rows]
            if key not in self.keys and any(value is not None for value in values):
                self.keys[key] = None
            columns[key] = values
        return Chunk(np.array(numbers, np.int64), columns)

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
        except UnicodeDecodeError as error:
            self._log.reject(number, Reason.BAD_ENCODING, str(error))
            return None
        except (ValueError, RecursionError) as error:
            self._log.reject(number, Reason.BAD_JSON, str(error))
            return None
        if not isinstance(value, dict):
            self._log.reject(number, Reason.BAD_JSON, f"{type(value).__name__}, not an object")
            return None
        cells = (value.get(key) for key in self._wanted)
        return self._row(*(without_surrogates(cell) if isinstance(cell, str) else cell for cell in cells))
