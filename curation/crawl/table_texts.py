"""The texts of a table's rows: text columns, tags and chapters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.cells import (
    UNREADABLE,
    Cells,
    Chunk,
    IntArray,
    cells_of_values,
    first_cells,
    python_values,
    text_cells,
)
from curation.crawl.chapters_column import Chapter, read_chapters, read_tags
from curation.crawl.log import ReadLog
from curation.crawl.table_mappings import alternatives
from curation.errors import Reason
from curation.recipe import TableColumns

WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())  # what str.strip takes off

SLICE_TEXTS = 10_000
"""Texts of rows with chapters that are made candidates of at once."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Texts:
    """The texts of a chunk, in the order of its rows and, within a row, of their fields."""

    pool: pa.StringArray
    at: IntArray
    """Where in the pool each text is."""
    row: IntArray
    """Position of its row in the chunk."""
    order: IntArray
    """Its field_order."""
    times: dict[str, pa.Int64Array]
    """start_ms and end_ms of each text, where there are chapters."""

    def where(self, rows: Mask) -> Texts:
        """The texts of some rows only."""
        if rows.all():
            return self
        taken = rows[self.row]
        times = {name: array.filter(pa.array(taken)) for name, array in self.times.items()}
        return Texts(self.pool, self.at[taken], self.row[taken], self.order[taken], times)

    def slices(self) -> Iterator[Texts]:
        """These texts, where there are chapters in pieces: each repeats its row's URL and facts."""
        size = max(len(self.row), 1) if not self.times else SLICE_TEXTS
        for start in range(0, len(self.row), size):
            part = slice(start, start + size)
            times = {name: array[part] for name, array in self.times.items()}
            yield Texts(self.pool, self.at[part], self.row[part], self.order[part], times)


class TextReader:
    """Reads the texts of a table's chunks."""

    def __init__(self, columns: TableColumns, log: ReadLog) -> None:
        self._columns = columns
        self._log = log
        sources = [*columns.texts, *(["tags"] if columns.tags is not None else [])]
        self._fields = len(sources)
        self._sources = pa.array([*sources, "chapter"], pa.string())

    def sources(self, texts: Texts) -> pa.StringArray:
        """The text_source of each text."""
        return self._sources.take(pa.array(np.minimum(texts.order, self._fields)))

    def read(self, chunk: Chunk, facts: dict[str, pa.Array]) -> Texts:
        """All texts of a chunk; counts them, and what is no text, and rejects what cannot be read."""
        pools, filled = [], []
        for source, name, cells in self._flat(chunk):
            text = cleaned(cells.text)
            has_text = as_mask(pc.greater(pc.binary_length(text), 0))
            pools.append(text)
            filled.append(has_text)
            if name:
                self._log.tally("texts", len(text))
                self._log.tally("skipped:empty_text", len(text) - int(has_text.sum()) - len(cells.unusable))
            for at, (reason, what) in cells.unusable.items():
                self._log.reject(int(chunk.rows[at]), reason, f"{source} ({name}) holds {what}", count=1)
        row, column = np.nonzero(np.stack(filled, axis=1))
        texts = Texts(pa.concat_arrays(pools), column * len(chunk.rows) + row, row, column, {})
        return texts if self._columns.chapters is None else self._with_chapters(texts, chunk, facts)

    def _flat(self, chunk: Chunk) -> list[tuple[str, str, Cells]]:
        """Source, column ('': the file has none) and cells of every text that is one to a row."""
        nothing = Cells(pa.nulls(len(chunk.rows), pa.string()))
        found = []
        for source, reference in self._columns.texts.items():
            names = [name for name in alternatives(reference) if name in chunk.columns]
            cells = first_cells([text_cells(chunk.columns[name]) for name in names]) if names else nothing
            found.append((source, " or ".join(names), cells))
        if self._columns.tags is not None:
            names = [name for name in alternatives(self._columns.tags) if name in chunk.columns]
            cells = _tag_cells(python_values([chunk.columns[name] for name in names])) if names else nothing
            found.append(("tags", " or ".join(names), cells))
        return found

    def _with_chapters(self, texts: Texts, chunk: Chunk, facts: dict[str, pa.Array]) -> Texts:
        chapters, rows, orders = self._chapters(chunk, facts)
        pool = cleaned(pa.array([chapter.title for chapter in chapters], pa.string()))
        row = np.concatenate([texts.row, np.array(rows, np.int64)])
        order = np.concatenate([texts.order, np.array(orders, np.int64) + self._fields])
        at = np.concatenate([texts.at, len(texts.pool) + np.arange(len(chapters))])
        sorted_by_row = np.lexsort((order, row))
        own = {
            "start_ms": [chapter.start_ms for chapter in chapters],
            "end_ms": [chapter.end_ms for chapter in chapters],
        }
        times = {}
        for name, values in own.items():
            of_row = facts.get(name, pa.nulls(len(chunk.rows), pa.int64())).take(pa.array(texts.row))
            times[name] = pa.concat_arrays([of_row, pa.array(values, pa.int64())]).take(pa.array(sorted_by_row))
        at, row, order = at[sorted_by_row], row[sorted_by_row], order[sorted_by_row]
        return Texts(pa.concat_arrays([texts.pool, pool]), at, row, order, times)

    def _chapters(self, chunk: Chunk, facts: dict[str, pa.Array]) -> tuple[list[Chapter], list[int], list[int]]:
        """Chapters, and of each the position of its row and its number there."""
        names = [name for name in alternatives(self._columns.chapters or []) if name in chunk.columns]
        if not names:
            return [], [], []
        durations = facts["duration_ms"].to_pylist() if "duration_ms" in facts else [None] * len(chunk.rows)
        chapters: list[Chapter] = []
        rows: list[int] = []
        orders: list[int] = []
        for at, value in enumerate(python_values([chunk.columns[name] for name in names])):
            if value is None:
                continue
            found = read_chapters(value, durations[at])
            self._log.tally("texts", len(found.chapters) + found.untitled + len(found.refused))
            self._log.tally("skipped:empty_text", found.untitled)
            for odd in found.odd:
                self._log.tally(f"odd:{odd}")
            for problem in found.refused:
                self._log.reject(int(chunk.rows[at]), Reason.BAD_ROW, f"{' or '.join(names)}: {problem}", count=1)
            chapters += found.chapters
            rows += [at] * len(found.chapters)
            orders += range(len(found.chapters))
        return chapters, rows, orders


def cleaned(text: pa.StringArray) -> pa.StringArray:
    """Texts trimmed, with spaces for tabs and line breaks."""
    for blank in "\n\r\t":
        text = pc.replace_substring(text, blank, " ")
    return pc.utf8_trim(text, WHITE_SPACE)


def as_mask(condition: pa.BooleanArray) -> Mask:
    """An Arrow condition as a mask; null is false."""
    mask: Mask = pc.fill_null(condition, False).to_numpy(zero_copy_only=False)
    return mask


def _tag_cells(values: list[Any]) -> Cells:
    tags = [read_tags(value) for value in values]
    unusable = {at: (Reason.BAD_ROW, "no tags") for at, tag in enumerate(tags) if tag is UNREADABLE}
    return Cells(cells_of_values([None if tag is UNREADABLE else tag for tag in tags]).text, unusable)
