"""DuckDB over just the Parquet files that one question needs, where `views` would open all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from curation.inspect.views import open_duckdb, select
from curation.schemas import Dataset
from curation.storage import Store


class Query:
    """An in-memory database whose relations are chosen one by one."""

    def __init__(self, store: Store, database: duckdb.DuckDBPyConnection) -> None:
        self._store, self._database = store, database

    def view(self, name: str, dataset: Dataset, paths: Sequence[str]) -> None:
        """`name` becomes the rows of some files (paths within the work folder); without files it is empty."""
        files = [self._store.url(path) for path in paths]
        self._database.execute(f"CREATE VIEW {name} AS {select(dataset, files)}").fetchall()

    def arrow(self, name: str, table: pa.Table) -> None:
        """`name` becomes an Arrow table."""
        self._database.register(name, table)

    def keep(self, name: str, sql: str, parameters: Sequence[Any] = ()) -> None:
        """`name` becomes the result of a SELECT, computed once."""
        self._database.execute(f"CREATE TEMP TABLE {name} AS {sql}", list(parameters)).fetchall()

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The result of a SELECT."""
        return self._database.sql(sql, params=list(parameters)).to_arrow_table()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The result of a SELECT that gives few rows."""
        return self.table(sql, parameters).to_pylist()  # type: ignore[no-any-return]

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row; None where there is no row."""
        table = self.table(sql, parameters)
        return table.column(0)[0].as_py() if table.num_rows else None

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        """The result of a SELECT that may not fit into memory."""
        reader: Iterator[pa.RecordBatch] = self._database.sql(sql, params=list(parameters)).to_arrow_reader(65_536)
        yield from reader


@contextmanager
def open_query(store: Store) -> Iterator[Query]:
    """A database that can read the store's files; closed afterwards."""
    with closing(open_duckdb(store)) as database:
        yield Query(store, database)
