"""DuckDB over the Parquet files of a folder, local or remote: just those that one question needs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import fsspec
import pyarrow as pa

from curation.errors import StaleDatasetError
from curation.media.refusals import ABOUT, Tombstones, about_in_lists
from curation.schemas import MEDIA, Dataset
from curation.storage import Store

MEMORY_LIMIT = "2GB"  # beyond it DuckDB spills to the temporary folder
MAX_THREADS = 8

_FORGOTTEN = "forgotten.media_ids"
_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
}


class Query:
    """An in-memory database whose relations are chosen one by one."""

    def __init__(self, store: Store, database: duckdb.DuckDBPyConnection) -> None:
        self._store, self._database = store, database

    def view(self, name: str, dataset: Dataset, paths: Sequence[str]) -> None:
        """`name` becomes the rows of some files (paths within the work folder); without files it is empty.

        Raises StaleDatasetError for files of another version of curation that lack a column of the dataset.
        """
        files = [self._store.url(path) for path in paths]
        left = leave_out_forgotten(self._store, self._database, dataset) if files else ""
        with columns_of_now(dataset.name, self._store.root):
            self._database.execute(f"CREATE VIEW {name} AS {select(dataset, files)}{left}").fetchall()

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


def open_duckdb(
    store: Store, *, memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """An empty in-memory DuckDB that can read the store's files and spills to a temporary folder of its own."""
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": memory_limit,
            "threads": threads or min(MAX_THREADS, os.cpu_count() or 1),
            # made when first needed and removed with the connection; DuckDB's own default is the current folder
            "temp_directory": str(Path(tempfile.gettempdir()) / f"curation-duckdb-{uuid4().hex[:12]}"),
        }
    )
    if not store.is_local:
        connection.register_filesystem(fsspec.core.url_to_fs(store.root)[0])
    return connection


@contextmanager
def columns_of_now(dataset: str, location: str) -> Iterator[None]:
    """Around the first look at files of a dataset: raises StaleDatasetError where they lack columns of this version."""
    try:
        yield
    except duckdb.BinderException:
        raise StaleDatasetError(
            f"{dataset} in {location} was made by another version of curation, with other columns: run `curation run` "
            "again, which makes it anew"
        ) from None


def leave_out_forgotten(
    store: Store, connection: duckdb.DuckDBPyConnection, of: Dataset, table: str | None = None
) -> str:
    """The end of `select` by which rows of forgotten media are left out; empty where there are none.

    The ledger's rows stay once they say no more than that. table: of the store's forgotten media; else one is made, in
    a schema of its own: cursors see it, and whoever lists what can be asked for does not.
    """
    columns = [name for name in ABOUT if name in of.columns]
    if not columns or not (media_ids := Tombstones.read(store).media_ids):
        return ""
    if table is None:
        table = _FORGOTTEN
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS SELECT unnest(?) AS media_id", [sorted(media_ids)])
    gone = [f"coalesce({name} IN (SELECT media_id FROM {table}), false)" for name in columns]
    gone += [f"list_has_any([item.{field} FOR item IN {name}], (SELECT list(media_id) FROM {table}))"
             for name, field in about_in_lists(of.schema)]  # fmt: skip
    stays = " OR media_url = ''" if of.name == MEDIA.name else ""
    return f" WHERE NOT ({' OR '.join(gone)}){stays}"


def select(of: Dataset, files: Sequence[str], columns: Sequence[str] | None = None) -> str:
    """A SELECT over Parquet files, in the order of the dataset's columns; typed and empty where there are no files."""
    names = [f'"{name}"' for name in columns or of.columns]  # offset is a word of SQL
    if files:
        listed = ", ".join(map(literal, files))
        # off, because rejections/stage=extract/... is a folder name, not a column
        return f"SELECT {', '.join(names)} FROM read_parquet([{listed}], hive_partitioning = false)"
    kinds = (sql_type(of.schema.field(name).type) for name in columns or of.columns)
    typed = (f"CAST(NULL AS {kind}) AS {name}" for name, kind in zip(names, kinds, strict=True))
    return f"SELECT {', '.join(typed)} WHERE false"


def sql_type(kind: pa.DataType) -> str:
    """DuckDB's name of a type."""
    if pa.types.is_list(kind):
        return f"{sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = (f'"{field.name}" {sql_type(field.type)}' for field in kind)
        return f"STRUCT({', '.join(fields)})"
    return _SQL_TYPES[kind]


def literal(path: str) -> str:
    """A path as an SQL string that no character of makes a pattern."""
    exact = "".join(f"[{char}]" if char in "*?[" else char for char in path)
    return "'" + exact.replace("'", "''") + "'"
