"""Work folders as another version of curation would have left them: with fewer columns, and with others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OF_BEFORE = pa.field("of_before", pa.string(), nullable=False)
"""A column that every file of another layout has, "old" in each row."""


def in_another_layout(work: Path, without: Mapping[str, tuple[str, ...]]) -> dict[str, set[str]]:
    """Takes columns away from all files of some datasets, and gives those one more; the columns left by dataset."""
    left = {}
    for dataset, names in without.items():
        files = [path for path in (work / dataset).rglob("*.parquet") if path.is_file()]
        for path in files:
            table = pq.read_table(path, partitioning=None)
            assert set(names) <= set(table.schema.names), (dataset, names)
            table = table.drop_columns(list(names)).append_column(OF_BEFORE, pa.array(["old"] * table.num_rows))
            path.unlink()  # which may be linked
            pq.write_table(table, path)
            left[dataset] = set(table.schema.names)
        assert files, f"nothing of {dataset}"
    return left


def rows_of(work: Path, dataset: str, columns: set[str]) -> list[dict[str, object]]:
    """Rows of all files of a dataset; columns: those that each has to have."""
    found = []
    for path in sorted((work / dataset).rglob("*.parquet")):
        table = pq.read_table(path, partitioning=None)
        assert set(table.schema.names) == columns, path
        found += table.to_pylist()
    return found
