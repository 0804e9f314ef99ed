"""A work folder's datasets as DuckDB views, resolved through the catalog and never by listing folders.

A dataset that is missing, or was made from inputs that have been replaced since, has no view: a query cannot read
stale rows by accident. `dataset` says why a view is not there. Media that were forgotten are in no view from that
moment on, but for the ledger's rows that say so.

Beside the views there are two small tables. `stages` (stage, version, units, counts, rejected, settings, context,
wall_s, finished_at): the fresh stages in the order of the pipeline, counts and rejected as maps, settings and context
as JSON. `thresholds` (stage, modality, vocabulary_lang, t): those of balance and of rebalance.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa

from curation.errors import StaleDatasetError, WorkFolderError
from curation.pipeline import ALL_STAGES
from curation.query import MEMORY_LIMIT, columns_of_now, leave_out_forgotten, open_duckdb, select
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import DATASETS, REJECTIONS
from curation.storage import Store


def connect(
    location: str | Path, *, memory_limit: str = MEMORY_LIMIT, threads: int | None = None
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with a view for every published and fresh dataset of a work folder, local or a URL.

    The views stand for the versions that were current now: connect again after another run. What another version of
    curation made, with other columns, has no view either. Nothing is downloaded: DuckDB's extensions stay as installed,
    URLs are read through fsspec. Raises WorkFolderError where nothing was published.
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
        with suppress(StaleDatasetError), columns_of_now(name, catalog.store.root):  # `dataset` says so
            connection.execute(f"CREATE VIEW {name} AS {select(DATASETS[name], files)}{left}")
    _add_stages(connection, [catalog.visible(stage.name) for stage in ALL_STAGES if catalog.is_fresh(stage.name)])
    return connection


_COUNTED = pa.map_(pa.string(), pa.int64())
_STAGES = pa.schema({
    "stage": pa.string(), "version": pa.string(), "units": pa.int64(), "counts": _COUNTED, "rejected": _COUNTED,
    "settings": pa.string(), "context": pa.string(), "wall_s": pa.float64(), "finished_at": pa.string(),
})  # fmt: skip
_THRESHOLDS = pa.schema(
    {"stage": pa.string(), "modality": pa.string(), "vocabulary_lang": pa.string(), "t": pa.float64()}
)


def _add_stages(connection: duckdb.DuckDBPyConnection, manifests: list[Manifest]) -> None:
    """The tables `stages` and `thresholds`."""
    stages = [
        {
            **{name: getattr(manifest, name) for name in ("stage", "version", "wall_s", "finished_at")},
            "units": len(manifest.reports),
            # lone surrogates, as in undecodable file names, become \\udc80
            "counts": [(_plain(name), found) for name, found in sorted(manifest.counts.items())],
            "rejected": [(_plain(name), found) for name, found in sorted(manifest.rejected.items())],
            "settings": json.dumps(manifest.settings, sort_keys=True),
            "context": json.dumps(manifest.context, sort_keys=True),
        }
        for manifest in manifests
    ]
    thresholds = [
        {"stage": manifest.stage, "modality": modality, "vocabulary_lang": lang, "t": t}
        for manifest in manifests
        if manifest.stage in ("balance", "rebalance")
        for modality, of_lang in sorted(manifest.context.get("thresholds", {}).items())
        for lang, t in sorted(of_lang.items())
    ]
    for name, schema, rows in (("stages", _STAGES, stages), ("thresholds", _THRESHOLDS, thresholds)):
        connection.register("arriving", pa.Table.from_pylist(rows, schema))
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM arriving")
        connection.unregister("arriving")


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def dataset(connection: duckdb.DuckDBPyConnection, location: str | Path, name: str) -> duckdb.DuckDBPyRelation:
    """The view of one dataset; raises where `connect` left it out.

    WorkFolderError: unknown name, not made yet, or made by a version of curation that had other columns.
    StaleDatasetError: made from inputs that have been replaced since.
    """
    files = files_of(Catalog(Store.at(location), ALL_STAGES), name)
    try:
        return connection.view(name)
    except duckdb.CatalogException:
        with columns_of_now(name, str(location)):
            connection.sql(f"{select(DATASETS[name], files)} LIMIT 0").fetchall()
        raise WorkFolderError(f"{name} was published after this connection was opened: connect again") from None


def files_of(catalog: Catalog, name: str) -> list[str]:
    """Full names of a dataset's current Parquet files; of `rejections`, those of every fresh stage that writes them.

    Raises WorkFolderError for an unknown or missing dataset, StaleDatasetError for an outdated one.
    """
    if name != REJECTIONS.name:
        return catalog.files(name)
    files: list[str] = []
    refusals: list[WorkFolderError] = []
    writers = [name for name, stage in catalog.stages.items() if REJECTIONS in stage.outputs]
    for stage in writers:
        try:
            files += [catalog.store.url(path) for path in catalog.visible(stage).paths(name)]
        except WorkFolderError as refusal:
            refusals.append(refusal)
    if len(refusals) == len(writers):
        raise refusals[0]
    return files
