"""Datasets of any stage, published in a work folder from plain rows: what questions read, without a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.runner.units import Unit, UnitWriter
from curation.schemas import Dataset
from curation.storage import Store

Row = dict[str, Any]


def publish_rows(
    folder: str | Path,
    stage: str,
    rows: Mapping[Dataset, Sequence[Row]] | Sequence[tuple[Dataset, Sequence[Row]]],
    *,
    context: Row | None = None,
) -> None:
    """One unit of a stage, fresh whatever else the folder has; columns that a row leaves out are null, or of no value.

    A stage writes all of its datasets at once: publishing it again replaces what was there.
    """
    store = Store.at(folder)
    writer = UnitWriter(store, stage, "v", Unit("all", {}, stage))
    for dataset, values in rows.items() if isinstance(rows, Mapping) else rows:
        for row in values:
            batch = pa.RecordBatch.from_pylist([{**_nothing(dataset), **row}], dataset.schema)
            writer.write(dataset, batch)
    report = writer.commit()
    Catalog(store, ALL_STAGES).publish(
        Manifest(stage, "v", {}, {}, context or {}, "test", {}, {}, {"all": report}, 0.0, "2026-01-01T00:00:00+00:00")
    )


def _nothing(dataset: Dataset) -> Row:
    """Zeros, empty texts and lists where a column must have a value."""
    return {field.name: None if field.nullable else _zero(field.type) for field in dataset.schema}


def _zero(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return []
    if pa.types.is_string(kind):
        return ""
    return False if pa.types.is_boolean(kind) else 0
