"""Media buckets: the units of all per-media work, and reading several datasets of one bucket side by side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import StageError
from curation.storage import Store

BATCH_ROWS = 16_384
_ID_DIGITS = 24


def bucket_name(number: int) -> str:
    return f"bucket-{number:05d}"


def bucket_of(unit: str) -> str:
    """The bucket that a unit belongs to whose name begins with it: bucket-00003-0f3c... is of bucket-00003."""
    return unit[: len(bucket_name(0))]


def bucket_numbers(media_ids: pa.Array, buckets: int) -> pa.Array:
    """int32 bucket of each media_id: its first 8 hex digits modulo `buckets`."""
    rows = len(media_ids)
    if not rows:
        return pa.array([], pa.int32())
    _, offsets, data = media_ids.buffers()
    ends = np.frombuffer(offsets, np.int32)[media_ids.offset : media_ids.offset + rows + 1]
    if not (np.diff(ends) == _ID_DIGITS).all():
        raise StageError(f"a media_id does not have {_ID_DIGITS} hex digits: redo the run in a fresh --work folder")
    digits = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].reshape(rows, _ID_DIGITS)[:, :8].astype(np.uint32)
    values = np.where(digits >= ord("a"), digits - ord("a") + 10, digits - ord("0"))
    numbers = np.zeros(len(values), np.uint32)
    for position in range(8):
        numbers = numbers * 16 + values[:, position]
    return pa.array((numbers % buckets).astype(np.int32))


def rows_of_bucket(store: Store, paths: list[str], bucket: str, buckets: int, schema: pa.Schema) -> pa.Table:
    """The rows of a dataset, of which these columns are wanted, that are about media of one bucket."""
    number = int(bucket.rsplit("-", 1)[1])
    found = []
    for batch in store.batches(paths, schema.names):
        own = batch.filter(pc.equal(bucket_numbers(batch.column("media_id"), buckets), number))
        found.append(own.cast(schema))
    return pa.Table.from_batches(found, schema=schema)


def conformed(columns: dict[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """Columns as a batch of a dataset; what Parquet gives back names the items of lists differently."""
    return pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)


def aligned(
    store: Store, left: list[str], right: list[str], columns: tuple[list[str], list[str]], rows: int = BATCH_ROWS
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Batches of two datasets that hold the same rows in the same order, cut at the same places."""
    others = Cursor(store.batches(right, columns[1], rows))
    for batch in store.batches(left, columns[0], rows):
        yield batch, others.take(batch.num_rows)
    others.expect_end()


class Cursor:
    """Takes any number of rows at a time from a stream of batches."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None

    def peek(self, rows: int) -> pa.RecordBatch | None:
        """At least one and at most `rows` next rows, which stay where they are; None at the end."""
        while self._rest is None or not self._rest.num_rows:
            self._rest = next(self._batches, None)
            if self._rest is None:
                return None
        return self._rest.slice(0, rows)

    def skip(self, rows: int) -> None:
        if self._rest is not None:
            self._rest = self._rest.slice(rows)

    def take(self, rows: int) -> pa.RecordBatch:
        """Exactly `rows` next rows. Raises StageError where there are fewer."""
        parts: list[pa.RecordBatch] = []
        while rows:
            part = self.peek(rows)
            if part is None:
                raise StageError("two datasets of one bucket differ in length: redo the run in a fresh --work folder")
            self.skip(part.num_rows)
            rows -= part.num_rows
            parts.append(part)
        return pa.concat_batches(parts) if len(parts) != 1 else parts[0]

    def expect_end(self) -> None:
        if self.peek(1) is not None:
            raise StageError("two datasets of one bucket differ in length: redo the run in a fresh --work folder")


class Followers:
    """Rows that are a subsequence of another dataset's rows, found again by pair_id in one pass."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._cursor = Cursor(batches)

    def of(self, pair_ids: pa.Array) -> tuple[pa.RecordBatch | None, pa.Array]:
        """The followers whose pair_id is among the next `pair_ids` of the leader, and their positions there."""
        parts: list[pa.RecordBatch] = []
        while (part := self._cursor.peek(len(pair_ids))) is not None:
            present = pc.is_in(part.column("pair_id"), value_set=pair_ids)
            found = pc.sum(present).as_py() or 0
            if not found:
                break
            parts.append(part.slice(0, found))
            self._cursor.skip(found)
            if found < part.num_rows:
                break
        if not parts:
            return None, pa.array([], pa.int64())
        batch = pa.concat_batches(parts)
        return batch, pc.index_in(batch.column("pair_id"), value_set=pair_ids).cast(pa.int64())

    def expect_end(self) -> None:
        """Raises StageError where a follower was not among the leaders: rows would be lost."""
        if self._cursor.peek(1) is not None:
            raise StageError("a match has no pair: redo the run in a fresh --work folder")
