"""A work folder's datasets as DuckDB views, resolved through the catalog and never by listing folders.

A dataset that is missing, or was made from inputs that have been replaced since, has no view: a query cannot read
stale rows by accident. `dataset` says why a view is not there.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import duckdb
import fsspec
import pyarrow as pa

from curation.errors import WorkFolderError
from curation.pipeline import STAGES
from curation.runner.catalog import Catalog
from curation.schemas import DATASETS, REJECTIONS, Dataset
from curation.storage import Store

MEMORY_LIMIT = "2GB"  # beyond it DuckDB spills to the temporary folder
MAX_THREADS = 8

_SQL_TYPES = {
    pa.string(): "VARCHAR",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
}


def connect(
    location: str | Path, *, memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with a view for every published and fresh dataset of a work folder, local or a URL.

    The views stand for the versions that were current now: connect again after another run. Nothing is downloaded:
    DuckDB's extensions stay as installed, URLs are read through fsspec. Raises WorkFolderError where nothing was
    published.
    """
    catalog = Catalog(Store.at(location), STAGES).snapshot()
    if not any(catalog.current(stage.name) for stage in STAGES):
        raise WorkFolderError(
            f"{catalog.store.root} holds no published dataset: give the --work folder of a run, or start one with "
            "`curation run`"
        )
    connection = open_duckdb(catalog.store, memory_limit=memory_limit, threads=threads)
    for name in DATASETS:
        try:
            files = files_of(catalog, name)
        except WorkFolderError:
            continue
        connection.execute(f"CREATE VIEW {name} AS {select(DATASETS[name], files)}")
    return connection


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


def dataset(connection: duckdb.DuckDBPyConnection, location: str | Path, name: str) -> duckdb.DuckDBPyRelation:
    """The view of one dataset; raises where `connect` left it out.

    WorkFolderError: unknown name, or not made yet. StaleDatasetError: made from inputs that have been replaced since.
    """
    files_of(Catalog(Store.at(location), STAGES), name)
    try:
        return connection.view(name)
    except duckdb.CatalogException:
        raise WorkFolderError(f"{name} was published after this connection was opened: connect again") from None


def files_of(catalog: Catalog, name: str) -> list[str]:
    """Full names of a dataset's current Parquet files; of `rejections`, those of every fresh stage that writes them.

    Raises WorkFolderError for an unknown or missing dataset, StaleDatasetError for an outdated one.
    """
    if name != REJECTIONS.name:
        return catalog.files(name)
    files: list[str] = []
    refusals: list[WorkFolderError] = []
    writers = [stage.name for stage in STAGES if REJECTIONS in stage.outputs]
    for stage in writers:
        try:
            files += [catalog.store.url(path) for path in catalog.visible(stage).paths(name)]
        except WorkFolderError as refusal:
            refusals.append(refusal)
    if len(refusals) == len(writers):
        raise refusals[0]
    return files


def select(of: Dataset, files: Sequence[str], columns: Sequence[str] | None = None) -> str:
    """A SELECT over Parquet files, in the order of the dataset's columns; typed and empty where there are no files."""
    names = [f'"{name}"' for name in columns or of.columns]  # offset is a word of SQL
    if files:
        listed = ", ".join(map(_literal, files))
        # off, because rejections/stage=extract/... is a folder name, not a column
        return f"SELECT {', '.join(names)} FROM read_parquet([{listed}], hive_partitioning = false)"
    kinds = (_sql_type(of.schema.field(name).type) for name in columns or of.columns)
    typed = (f"CAST(NULL AS {kind}) AS {name}" for name, kind in zip(names, kinds, strict=True))
    return f"SELECT {', '.join(typed)} WHERE false"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_sql_type(kind.value_type)}[]"
    if pa.types.is_struct(kind):
        fields = (f'"{field.name}" {_sql_type(field.type)}' for field in kind)
        return f"STRUCT({', '.join(fields)})"
    return _SQL_TYPES[kind]


def _literal(path: str) -> str:
    """A path as an SQL string that no character of makes a pattern."""
    exact = "".join(f"[{char}]" if char in "*?[" else char for char in path)
    return "'" + exact.replace("'", "''") + "'"
