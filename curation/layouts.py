"""Columns as stored files have them, which another version of curation may have written.

What must go has to go from every version of a dataset, and a file is written anew with the columns that it has: the
others of its version stay as they are, and files of one version differ in nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.media.refusals import nothing
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import Dataset
from curation.storage import Store

Row = dict[str, Any]


def stored_schema(store: Store, path: str) -> pa.Schema:
    """The columns of a Parquet file."""
    with store.parquet(path) as file:
        return file.schema_arrow


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows with these columns: those that there are not say nothing, others are left out."""
    known, columns = set(batch.schema.names), []
    for field in schema:
        column = batch.column(field.name).cast(field.type) if field.name in known else pa.nulls(len(batch), field.type)
        if not field.nullable and column.null_count:
            places = np.where(np.asarray(pc.is_null(column)), len(batch), np.arange(len(batch)))
            column = pa.concat_arrays([column, nothing(field)]).take(pa.array(places))
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def stored_rows(dataset: Dataset, store: Store, paths: list[str]) -> list[Row]:
    """All rows of some small files with all of the dataset's columns, and those that only the files have."""
    empty = {field.name: nothing(field)[0].as_py() for field in dataset.schema}
    rows = [{**empty, **row} for batch in store.batches(paths) for row in batch.to_pylist()]
    for field in dataset.schema:
        if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            items = {inner.name: nothing(inner)[0].as_py() for inner in field.type.value_type.fields}
            for row in rows:
                row[field.name] = row[field.name] and [{**items, **item} for item in row[field.name]]
    return rows


class RewritingWriter(UnitWriter):
    """Writes the files of a unit that is done anew, with the columns that those have which its report tells of."""

    def __init__(self, store: Store, stage: str, version: str, report: UnitReport) -> None:
        super().__init__(store, stage, version, Unit(report.unit, {}, report.identity))
        self._report = report
        self._schemas: dict[str, pa.Schema] = {}

    def schema(self, dataset: Dataset) -> pa.Schema:
        if dataset.name not in self._schemas:
            paths = self._report.paths(dataset.name)
            stored = stored_schema(self._store, paths[0]) if paths else dataset.schema
            # docs of columns are in the bytes of a file, too
            self._schemas[dataset.name] = dataset.schema if stored.equals(dataset.schema) else stored
        return self._schemas[dataset.name]

    def write(self, dataset: Dataset, batch: pa.RecordBatch) -> None:
        """Appends rows of any columns."""
        super().write(dataset, fitted(batch, self.schema(dataset)))
