"""Builds small tables, and reads them by a mapping or a preset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.crawl import ReadLog, table_batches
from curation.crawl.urls import media_id
from curation.recipe import Modality, TableColumns
from curation.recipe.inputs import TABLE_PRESETS
from curation.schemas import CANDIDATES

Rows = list[dict[str, Any]]
WATCH = "https://www.youtube.com/watch?v="
ID = "QMi8x8o55Ns"


def read(path: Path, columns: TableColumns | str, modality: Modality = "video") -> tuple[Rows, ReadLog]:
    if isinstance(columns, str):
        modality, columns = TABLE_PRESETS[columns]
    log = ReadLog(str(path))
    batches = list(table_batches(str(path), columns, log, modality=modality, snapshot="s"))
    for batch in batches:
        assert batch.schema.equals(CANDIDATES.schema, check_metadata=True)
        batch.validate(full=True)
    rows = pa.Table.from_batches(batches, CANDIDATES.schema).to_pylist()
    assert log.unaccounted() == 0
    assert all(row["media_id"] == media_id(row["media_url"]) for row in rows)
    order = [(row["record_offset"], row["field_order"]) for row in rows]
    assert order == sorted(set(order))
    return rows, log


def lines(folder: Path, *rows: Any) -> Path:
    path = folder / "t.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def parquet(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return folder / "t.parquet"


def spans_of(rows: Rows) -> list[tuple[str, int | None, int | None]]:
    return [(row["text"], row["start_ms"], row["end_ms"]) for row in rows if row["text_source"] == "chapter"]
