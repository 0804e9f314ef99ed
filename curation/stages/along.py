"""Rows of a dataset that is sorted by a key, read along with keys that are asked for in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.storage import Store

Row = dict[str, Any]


class Along:
    """One reading of some files, whose rows ascend by `key`, with one key's rows in memory.

    may_be_gone: of an earlier unit, whose files may be cleaned away: they have no rows then.
    """

    def __init__(
        self,
        store: Store,
        paths: list[str],
        key: str,
        columns: list[str] | None = None,
        rows: int = 1024,
        may_be_gone: bool = False,
    ) -> None:
        self._groups = _groups(store, paths, key, columns, rows, may_be_gone)
        self._head = next(self._groups, None)

    def of(self, key: str) -> list[Row]:
        """Rows of this key, which is not below the one that was asked for before."""
        while self._head is not None and self._head[0] < key:
            self._head = next(self._groups, None)
        return self._head[1] if self._head is not None and self._head[0] == key else []


class BatchesAlong:
    """The same as Arrow: rows up to a key, which every call moves on. In memory are a batch and what is given."""

    def __init__(self, batches: Iterator[pa.RecordBatch], key: str, schema: pa.Schema) -> None:
        """batches: of `schema`, in which lists may have the names that Parquet gives them; their rows ascend by key."""
        self._batches, self._key, self._schema = batches, key, schema
        self._rest = pa.RecordBatch.from_pylist([], schema=schema)

    def upto(self, last: str) -> pa.Table:
        """The rows up to and with a key, less those that were given before; one chunk."""
        parts: list[pa.RecordBatch] = []
        while (batch := self._next()) is not None:
            keys = batch.column(self._key)
            if keys[-1].as_py() <= last:
                parts.append(batch)
                continue
            count = pc.sum(pc.less_equal(keys, last)).as_py()
            parts.append(batch.slice(0, count))
            self._rest = batch.slice(count)
            break
        return pa.Table.from_batches(parts, self._schema).combine_chunks()

    def _next(self) -> pa.RecordBatch | None:
        rest, self._rest = self._rest, self._rest.slice(0, 0)
        while not rest.num_rows:
            found = next(self._batches, None)
            if found is None:
                return None
            rest = found.select(self._schema.names).cast(self._schema)
        return rest


def _groups(
    store: Store, paths: list[str], key: str, columns: list[str] | None, rows: int, may_be_gone: bool
) -> Iterator[tuple[str, list[Row]]]:
    try:
        all_rows = (row for batch in store.batches(paths, columns, rows) for row in batch.to_pylist())
        for value, group in groupby(all_rows, itemgetter(key)):
            yield value, list(group)
    except FileNotFoundError:
        if not may_be_gone:
            raise
