"""Rows of Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curation.crawl.cells import Chunk, cells_of_array, is_textual, missing_columns
from curation.crawl.log import ReadLog
from curation.errors import Reason

_BUFFER_BYTES = 1 << 20  # of a column chunk read at once: without this and with pre_buffer a whole row group is held
_BATCH_BYTES = 128 << 20  # of a row group's data at once, where rows are large
_DECODE_ERRORS = (pa.ArrowException, OSError)


def parquet_chunks(file: BinaryIO, wanted: Sequence[str], log: ReadLog, batch_rows: int) -> Iterator[Chunk]:
    """Rows of a Parquet file. A row group that cannot be decoded is one rejection with the first row that is lost."""
    try:
        table = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)
        schema = table.schema_arrow
    except _DECODE_ERRORS as error:
        log.reject(None, Reason.UNREADABLE_FILE, f"no readable Parquet file: {error}")
        return
    if problem := missing_columns(wanted, schema.names) or _wrong_types(schema, wanted):
        log.reject(None, Reason.MISSING_COLUMN, problem)
        return
    first = 0
    for group in range(table.num_row_groups):
        facts = table.metadata.row_group(group)
        at_once = max(1, min(batch_rows, _BATCH_BYTES * facts.num_rows // max(facts.total_byte_size, 1)))
        done = 0
        try:
            for batch in table.iter_batches(at_once, [group], list(wanted), use_threads=False):
                rows = np.arange(first + done, first + done + batch.num_rows)
                done += batch.num_rows
                yield Chunk(rows, {name: cells_of_array(batch.column(name)) for name in wanted})
        except _DECODE_ERRORS as error:
            lost = facts.num_rows - done
            log.reject(first + done, Reason.UNREADABLE_FILE, f"{lost} rows of row group {group}: {error}")
        first += facts.num_rows


def _wrong_types(schema: pa.Schema, wanted: Sequence[str]) -> str | None:
    kinds = {name: schema.field(schema.names.index(name)).type for name in wanted}
    wrong = [f"column {name} holds {kind}, not text" for name, kind in kinds.items() if not is_textual(kind)]
    return "; ".join(wrong) or None
