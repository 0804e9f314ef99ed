"""The ledger of media, as stages and `curation forget` read and write it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curation.runner.units import UnitReport, UnitWriter
from curation.schemas import MEDIA, MEDIA_SHARDS
from curation.stages.row_shards import Place, RowShards
from curation.storage import Store

Row = dict[str, Any]

_ROWS = 1000
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}
_TOLD = ("width", "height", "original_width", "original_height", "exif", "sha256")


def ledger_rows(report: UnitReport, store: Store) -> dict[str, Row]:
    """A unit's rows of the ledger by media_id."""
    return {row["media_id"]: row for row in store.table(report.paths(MEDIA.name), MEDIA.schema).to_pylist()}


def write_rows(rows: list[Row], writer: UnitWriter) -> None:
    """Rows of the ledger, and the counts of what became of them."""
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        writer.write(MEDIA, pa.RecordBatch.from_pylist(part, schema=writer.schema(MEDIA)))
    for row in rows:
        writer.counts["ok" if row["status"] == "ok" else f"failed:{row['error']}"] += 1
        writer.counts["transient"] += bool(row["transient"])


def media_extension(mime: str | None) -> str:
    """Of a file by its MIME type: jpg, png ..., else the subtype; bin: unknown."""
    subtype = (mime or "").partition("/")[2].partition("+")[0]
    return _EXTENSIONS.get(mime or "", subtype or "bin")


def _files(row: Row) -> list[tuple[str, Place]]:
    return [(media_extension(row["stored_mime"]), row)]


def _about(row: Row) -> Row:
    columns = {name: row[name] for name in _TOLD}
    return {"url": row["media_url"], "key": row["media_id"], "status": "success", **columns}


IMAGE_SHARDS = RowShards(MEDIA_SHARDS, "media_id", _files, _about)
"""Images of the ledger in shards: media_id.jpg and media_id.json, with img2dataset's columns."""
