"""Rows of Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.crawl.cells import Chunk, is_textual
from curation.crawl.log import ReadLog
from curation.crawl.table_mappings import WantedColumns
from curation.errors import Reason

_BUFFER_BYTES = 1 << 20  # of a column chunk read at once: without this and with pre_buffer a whole row group is held
_BATCH_BYTES = 128 << 20  # of a row group's data at once, where rows are large
_DECODE_ERRORS = (pa.ArrowException, OSError)


def parquet_chunks(file: BinaryIO, wanted: WantedColumns, log: ReadLog, batch_rows: int) -> Iterator[Chunk]:
    """Rows of a Parquet file. A row group that cannot be decoded is one rejection with the first row that is lost."""
    try:
        table = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)
        schema = table.schema_arrow
    except _DECODE_ERRORS as error:
        log.reject(None, Reason.UNREADABLE_FILE, f"no readable Parquet file: {error}")
        return
    if problem := wanted.missing(schema.names) or _wrong_types(schema, wanted):
        log.reject(None, Reason.MISSING_COLUMN, problem)
        return
    present = [name for name in wanted.names if name in schema.names]
    first = 0
    for group in range(table.num_row_groups):
        facts = table.metadata.row_group(group)
        at_once = max(1, min(batch_rows, _BATCH_BYTES * facts.num_rows // max(facts.total_byte_size, 1)))
        done = 0
        try:
            for batch in table.iter_batches(at_once, [group], present, use_threads=False):
                rows = np.arange(first + done, first + done + batch.num_rows)
                done += batch.num_rows
                yield Chunk(rows, {name: batch.column(batch.schema.names.index(name)) for name in present})
        except _DECODE_ERRORS as error:
            lost = facts.num_rows - done
            log.reject(first + done, Reason.UNREADABLE_FILE, f"{lost} rows of row group {group}: {error}")
        first += facts.num_rows


def _wrong_types(schema: pa.Schema, wanted: WantedColumns) -> str | None:
    textual = (name for name in wanted.names if name in wanted.textual and name in schema.names)
    kinds = {name: schema.field(schema.names.index(name)).type for name in textual}
    wrong = [f"column {name} holds {kind}, not text" for name, kind in kinds.items() if not is_textual(kind)]
    return "; ".join(wrong) or None
