"""Candidate rows, site rules and tiny fastText models for the tests of this folder."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.crawl.site_rules import parse_rules
from curation.crawl.urls import media_id
from curation.schemas import CANDIDATES, SITE_RULES


def candidates(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """CANDIDATES rows; what a row does not give is empty."""
    columns = []
    for field in CANDIDATES.schema:
        empty: Any = {"robots": [], "tracks": [], "modality": "image", "media_url": "https://m.example/a.jpg"}.get(
            field.name, None if field.nullable else (0 if pa.types.is_integer(field.type) else "")
        )
        values = [row.get(field.name, empty) for row in rows]
        if field.name == "media_id":
            urls = [row.get("media_url", "https://m.example/a.jpg") for row in rows]
            values = [row.get("media_id", media_id(url)) for row, url in zip(rows, urls, strict=True)]
        columns.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=CANDIDATES.schema)


def site_rules(*files: tuple[str, str, str]) -> pa.Table:
    """SITE_RULES of some files: (host, kind, content)."""
    rows = [
        {**rule._asdict(), "host": host, "kind": kind, "snapshot": "s", "archive": "a", "record_offset": offset}
        for offset, (host, kind, content) in enumerate(files)
        for rule in parse_rules(content.encode())
    ]
    return pa.Table.from_pylist(rows, schema=SITE_RULES.schema)


def write_model(path: Path, *, model: int = 3, version: int = 12, labels: Sequence[str] = ("good", "bad")) -> Path:
    """A supervised fastText model of the words good and bad: each word's label has a probability of some 0.98.

    One dimension per label and softmax over them; a word's vector is 8 on its own label and 0 on the other.
    """
    words = [b"</s>", *(label.encode() for label in labels)]
    dim = len(labels)
    entries = [(word, 10, 0) for word in words] + [(f"__label__{label}".encode(), 10, 1) for label in labels]
    out = bytearray(struct.pack("<2i", 793712314, version))
    out += struct.pack("<12id", dim, 5, 5, 1, 5, 1, 3, model, 0, 0, 0, 100, 1e-4)
    out += struct.pack("<3i2q", len(entries), len(words), len(labels), 100, -1)
    for name, count, kind in entries:
        out += name + b"\0" + struct.pack("<qb", count, kind)
    out += struct.pack("<b2q", 0, len(words), dim)
    for row in range(len(words)):  # the end of the line says nothing
        out += struct.pack(f"<{dim}f", *(8.0 if row == column + 1 else 0.0 for column in range(dim)))
    out += struct.pack("<b2q", 0, dim, dim)
    for row in range(dim):
        out += struct.pack(f"<{dim}f", *(1.0 if row == column else 0.0 for column in range(dim)))
    path.write_bytes(out)
    return path
