"""A work folder's datasets as DuckDB views, resolved through the catalog and never by listing folders.

A dataset that is missing, or was made from inputs that have been replaced since, has no view: a query cannot read
stale rows by accident. `dataset` says why a view is not there. Media that were forgotten are in no view from that
moment on, but for the ledger's rows that say so.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from curation.errors import WorkFolderError
from curation.pipeline import ALL_STAGES
from curation.query import MEMORY_LIMIT, leave_out_forgotten, open_duckdb, select
from curation.runner.catalog import Catalog
from curation.schemas import DATASETS, REJECTIONS
from curation.storage import Store


def connect(
    location: str | Path, *, memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with a view for every published and fresh dataset of a work folder, local or a URL.

    The views stand for the versions that were current now: connect again after another run. Nothing is downloaded:
    DuckDB's extensions stay as installed, URLs are read through fsspec. Raises WorkFolderError where nothing was
    published.
    """
    catalog = Catalog(Store.at(location), ALL_STAGES).snapshot()
    if not any(catalog.current(stage.name) for stage in ALL_STAGES):
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
        left = leave_out_forgotten(catalog.store, connection, DATASETS[name]) if files else ""
        connection.execute(f"CREATE VIEW {name} AS {select(DATASETS[name], files)}{left}")
    return connection


def dataset(connection: duckdb.DuckDBPyConnection, location: str | Path, name: str) -> duckdb.DuckDBPyRelation:
    """The view of one dataset; raises where `connect` left it out.

    WorkFolderError: unknown name, or not made yet. StaleDatasetError: made from inputs that have been replaced since.
    """
    files_of(Catalog(Store.at(location), ALL_STAGES), name)
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
    writers = [stage.name for stage in ALL_STAGES if REJECTIONS in stage.outputs]
    for stage in writers:
        try:
            files += [catalog.store.url(path) for path in catalog.visible(stage).paths(name)]
        except WorkFolderError as refusal:
            refusals.append(refusal)
    if len(refusals) == len(writers):
        raise refusals[0]
    return files
