"""Rows of a dataset that is sorted by a key, read along with keys that are asked for in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

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
