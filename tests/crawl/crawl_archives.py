"""WAT archives for the tests of this folder, in every framing and with chosen damage."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.crawl import Reading, ReadLog, wat_batches
from curation.schemas import CANDIDATES


def real_wats(real_data: Path) -> list[Path]:
    """All WAT files of the real data."""
    return sorted(path for folder in ("crawl", "edge") for path in (real_data / folder).glob("*.wat.gz"))


def record(block: bytes, *, kind: str = "metadata", type_: str = "application/json", length: object = None) -> bytes:
    """One WARC record; `length` replaces the right Content-Length, and "" leaves the header out."""
    size = len(block) if length is None else length
    lines = ["WARC/1.0", f"WARC-Type: {kind}", "WARC-Date: 2024-05-17T23:31:22Z", f"Content-Type: {type_}"]
    lines += [] if size == "" else [f"Content-Length: {size}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def link(url: object = "https://example.com/a.jpg", path: object = "IMG@/src", **texts: object) -> dict[str, object]:
    return {"path": path, "url": url, **texts}


def page(links: object, *, url: object = "https://example.com/dir/page.html", **more: Any) -> dict[str, Any]:
    """A WAT page; more: head, headers."""
    html = {"Head": more.get("head", {}), "Links": links}
    response = {"Headers": more.get("headers", {}), "HTML-Metadata": html}
    return {
        "Envelope": {
            "Payload-Metadata": {"HTTP-Response-Metadata": response},
            "WARC-Header-Metadata": {"WARC-Target-URI": url},
        }
    }


def block_of(metadata: object) -> bytes:
    return json.dumps(metadata, ensure_ascii=False).encode("utf-8", "surrogatepass")


def numbered_record(number: int, padding: int = 40) -> bytes:
    """A page with one image, whose text is the number's name; bytes differ from record to record."""
    filler = "".join(chr(97 + (number * 7 + k * k) % 26) for k in range(padding))
    links = [link(f"https://example.com/{number}.jpg", alt=f"text {number}"), link("x", "A@/href", text=filler)]
    return record(block_of(page(links, url=f"https://example.com/{number}/")))


def wat(path: Path, *metadata: object, per_record: bool = True) -> Path:
    """A WAT file with these JSON records."""
    return write(path, [record(block_of(item)) for item in metadata], per_record=per_record)


def write(path: Path, records: Sequence[bytes], *, per_record: bool = True) -> Path:
    """Records as gzip members each, or all in one; not compressed where the name does not end in .gz."""
    if path.suffix != ".gz":
        path.write_bytes(b"".join(records))
    elif per_record:
        path.write_bytes(b"".join(gzip.compress(item, mtime=0) for item in records))
    else:
        path.write_bytes(gzip.compress(b"".join(records), mtime=0))
    return path


def read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], ReadLog]:
    """All rows, with a check of what must hold for any input: the schema and the conservation law."""
    log = ReadLog(str(path))
    batches = list(wat_batches(str(path), log, Reading(**options)))
    assert all(batch.schema.equals(CANDIDATES.schema, check_metadata=True) for batch in batches)
    for batch in batches:
        batch.validate(full=True)
        for name in CANDIDATES.columns:
            assert CANDIDATES.schema.field(name).nullable or batch.column(name).null_count == 0, name
    rows = pa.Table.from_batches(batches, CANDIDATES.schema).to_pylist()
    assert len(rows) == log.counts["rows"]
    assert log.unaccounted() == 0
    return rows, log


def texts_of(rows: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def reasons_of(log: ReadLog) -> list[tuple[int | None, str]]:
    return [(rejection.offset, rejection.reason.value) for rejection in log.rejections]
