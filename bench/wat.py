"""Image pairs out of WAT files: ours beside MetaCLIP's way and cc2dataset.

MetaCLIP's way (its released parse_wat reads a WAT line by line): gzip lines, json, urljoin, SHA-224; ours in the
variant that gives the same pairs, which is checked. cc2dataset keeps alt alone and hashes by MD5.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

from bench.data import real_data
from bench.harness import OURS, Cost, Row, cpu_seconds
from curation.crawl import Reading, ReadLog, wat_batches

_COPIES = 5
_FIELDS = ("alt", "title", "data-image-title")


def ours(path: str) -> list[tuple[str, str]]:
    """(media_id, text) pairs."""
    pairs: list[tuple[str, str]] = []
    for batch in wat_batches(path, ReadLog(path), Reading(variant="v1-wat")):
        pairs += zip(batch.column("media_id").to_pylist(), batch.column("text").to_pylist(), strict=True)
    return pairs


def arrow(path: str) -> int:
    """Rows, left in Arrow as the pipeline leaves them."""
    return sum(batch.num_rows for batch in wat_batches(path, ReadLog(path), Reading(variant="v1-wat")))


def as_metaclip(path: str) -> list[tuple[str, str]]:
    """The same pairs, line by line."""
    pairs: list[tuple[str, str]] = []
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.startswith("{"):
                continue
            envelope = json.loads(line)["Envelope"]
            page = envelope["WARC-Header-Metadata"].get("WARC-Target-URI", "")
            html = envelope["Payload-Metadata"].get("HTTP-Response-Metadata", {}).get("HTML-Metadata", {})
            for link in html.get("Links", ()):
                if not link.get("path", "").startswith("IMG@/src") or "url" not in link:
                    continue
                texts = [link.get(field, "").replace("\n", " ").replace("\r", " ").strip() for field in _FIELDS]
                if not any(texts):
                    continue
                try:
                    url = urljoin(page, link["url"])
                except ValueError:
                    continue
                name = hashlib.sha224(url.encode()).hexdigest()[:24]
                pairs += [(name, text) for text in texts if text]
    return pairs


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    from cc2dataset.main import extract_documents_from_wat

    def cc2dataset(path: str) -> int:
        with Path(path).open("rb") as stream:
            return len(extract_documents_from_wat(stream, "image"))

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "CC-MAIN-bench.warc.wat.gz")
        data = b"".join(file.read_bytes() for file in real_data("crawl/*.wat.gz"))
        Path(path).write_bytes(data * _COPIES)
        if Counter(ours(path)) != Counter(as_metaclip(path)):
            raise ValueError("ours and MetaCLIP's way give different pairs")
        yield {
            OURS: cpu_seconds(partial(arrow, path)),
            "MetaCLIP's way": cpu_seconds(partial(as_metaclip, path)),
            "cc2dataset": cpu_seconds(partial(cc2dataset, path)),
        }


ROW = Row(
    "wat-images",
    "image pairs out of real WAT files, one core",
    "CPU s",
    {"MetaCLIP's way": 2.5, "cc2dataset": 2.5},
    _sides,
)
