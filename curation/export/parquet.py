"""Parquet with the media's bytes in it: a manifest that needs no other file.

SPLIT-00000-of-00012.parquet; rows by sample_id; every column of MANIFEST but `path` and `offset`, and `bytes`. Row
groups hold 64 MB of media at most, files 256 MB, but for larger single samples. Bytes are stored as they are, all else
with zstd. Their schema's metadata has `curation`: JSON of what they were made of.

Read with pyarrow, DuckDB, pandas, or datasets: `load_dataset("parquet", data_dir=PATH).cast_column("bytes", Image())`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from curation.export.media_files import COLUMNS, read_bytes
from curation.export.shape import Export, Shape
from curation.export.view import Rule
from curation.schemas import MANIFEST, NEARLY_ALL_DIFFER
from curation.storage import Store

GROUP_BYTES: Final = 64 << 20
"""Media in a row group, at most: what a reader holds to read one row."""
GROUP_ROWS: Final = 1 << 16
FILE_BYTES: Final = 256 << 20
"""Media in a file, at most."""

_PLACES: Final = ("path", "offset")
_TOO_LARGE: Final[Rule] = ("of more than 2 GiB", f"size_bytes > {(1 << 31) - 1}")  # Arrow's binary counts so far
_NO_DICTIONARY: Final = {"bytes", "sample_id", "clip_id", "sha256", "fetched_sha256", "page_url", "phash"}
BYTES: Final = pa.field("bytes", pa.binary(), nullable=False, metadata={"doc": "the image or video, as stored"})


def _parquet(export: Export) -> None:
    """One set of files per split; with --media none the same without `bytes`."""
    rules = export.leave_out(_TOO_LARGE)
    with_bytes = export.options.media != "none"
    for split in export.splits:
        writer = _Files(export, split, with_bytes)
        condition: Rule = ("", f"split <> '{split}'")
        for group in _groups(export.view.batches(MANIFEST.columns, (*rules, condition))):
            writer.write(group)
            export.samples += group.num_rows
        writer.close()


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of GROUP_BYTES of media and GROUP_ROWS rows at most, or one row."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        start = 0
        for row, row_bytes in enumerate(batch.column("size_bytes").to_pylist()):
            if rows and (size + row_bytes > GROUP_BYTES or rows == GROUP_ROWS):
                yield pa.Table.from_batches([*held, batch.slice(start, row - start)])
                held, start, rows, size = [], row, 0, 0
            rows, size = rows + 1, size + row_bytes
        held.append(batch.slice(start))
    if rows:
        yield pa.Table.from_batches(held)


class _Files:
    """The files of one split; they get their names when their number is known."""

    def __init__(self, export: Export, split: str, with_bytes: bool) -> None:
        self._export, self._split, self._with_bytes = export, split, with_bytes
        fields = [field for field in MANIFEST.schema if field.name not in _PLACES]
        lineage = {"selection": export.selection.told(), **export.lineage}
        self._schema = pa.schema(
            [*fields, BYTES] if with_bytes else fields, metadata={"curation": json.dumps(lineage, sort_keys=True)}
        )
        self._paths: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._size = 0

    def write(self, group: pa.Table) -> None:
        """One row group more, in a new file where it would make this one too large."""
        size = sum(group.column("size_bytes").to_pylist())
        if self._writer is None or self._size + size > FILE_BYTES:
            self._end()
            self._writer = self._opened()
        columns = {name: group.column(name) for name in group.schema.names}
        if self._with_bytes:
            self._export.embedded_bytes += size
            columns[BYTES.name] = pa.array(_read(self._export.store, group), BYTES.type)
        told = [columns[field.name].cast(field.type) for field in self._schema]
        self._writer.write_table(pa.table(told, schema=self._schema), row_group_size=group.num_rows)
        self._size += size

    def close(self) -> None:
        """Ends the last file; all get their names."""
        self._end()
        for number, path in enumerate(self._paths):
            path.rename(path.with_name(f"{self._split}-{number:05d}-of-{len(self._paths):05d}.parquet"))

    def _opened(self) -> pq.ParquetWriter:
        path = self._export.folder / f"{self._split}-{len(self._paths):05d}"
        self._paths.append(path)
        leaves = _leaves(self._schema)
        plain = _NO_DICTIONARY | NEARLY_ALL_DIFFER
        return pq.ParquetWriter(
            path, self._schema, use_dictionary=[leaf for leaf in leaves if leaf.rsplit(".", 1)[-1] not in plain],
            compression={leaf: "none" if leaf == BYTES.name else "zstd" for leaf in leaves},
            write_statistics=[leaf for leaf in leaves if leaf != BYTES.name],
        )  # fmt: skip

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer, self._size = None, 0


def _leaves(schema: pa.Schema) -> list[str]:
    """Parquet's columns by their paths: texts.list.element.text ..."""
    sink = io.BytesIO()
    pq.write_table(schema.empty_table(), sink)
    found = pq.ParquetFile(sink).schema
    return [found.column(number).path for number in range(len(found))]


def _read(store: Store, group: pa.Table) -> list[bytes]:
    """The bytes of the rows, read in the order in which they lie."""
    rows: list[dict[str, Any]] = group.select(COLUMNS).to_pylist()
    order = sorted(range(len(rows)), key=lambda row: (rows[row]["path"], rows[row]["offset"]))
    read = zip(order, read_bytes(store, [rows[row] for row in order]), strict=True)
    return [data for _, data in sorted(read)]


SHAPES: Final = (
    Shape("parquet", "every column of the manifest, and the media's bytes in one more (datasets, DuckDB, pandas)",
          _parquet, "samples", frozenset({"media"})),
)  # fmt: skip
