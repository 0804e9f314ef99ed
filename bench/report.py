"""The report of a manifest of a million rows, beside its limit, and beside pandas counting what is flat in it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from bench.harness import OURS, Cost, Row, wall_seconds
from curation.inspect.report import write_report
from curation.inspect.views import files_of
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.storage import Store
from curation.testing.manifests import write_manifest

PEER, LIMIT = "pandas", "a limit of 60 s"
SAMPLES = 1_000_000
LIMIT_S = 60.0

_COUNTED = ["text_lang", "licence", "text_kind", "platform", "snapshot", "split"]
_SUMMED = ["size_bytes", "duration_ms", "width", "height", "original_width", "original_height", "critical_threshold"]
_URLS = ["page_url", "media_url"]


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    with tempfile.TemporaryDirectory(prefix="curation-bench-") as folder:
        store = write_manifest(Path(folder) / "work", SAMPLES)
        files = files_of(Catalog(store, ALL_STAGES), "manifest")
        yield {
            OURS: wall_seconds(partial(_noted, OURS, partial(_report, store))),
            PEER: wall_seconds(partial(_noted, PEER, partial(_by_pandas, files))),
            LIMIT: lambda: LIMIT_S,
        }


def _report(store: Store) -> None:
    """Written to the work folder, as `curation report` does."""
    write_report(store.root)


def _by_pandas(files: list[str]) -> None:
    """The tables of languages, licences, sources, hosts, sizes and lengths, and no picture or page of them."""
    columns = ["modality", "media_id", "has_audio", *_COUNTED, *_SUMMED, *_URLS]
    rows = pd.concat([pd.read_parquet(file, columns=columns) for file in files], ignore_index=True)
    for name in _COUNTED:
        rows.groupby(["modality", name], dropna=False).size()
    for name in _URLS:
        rows[name].str.extract(r"^[^:]*://(?:[^/?#@]*@)?([^/?#:]*)", expand=False).value_counts()
    rows.groupby("modality")[[*_SUMMED, "has_audio"]].agg(["count", "sum"])
    rows.groupby("modality")[["width", "height", "size_bytes"]].median()
    rows.groupby("modality")["media_id"].nunique()
    for name in ("width", "original_width", "duration_ms", "critical_threshold"):
        np.floor(2 * np.log2(rows[name].astype(float))).value_counts()


def _noted(side: str, work: Callable[[], None]) -> None:
    begun = time.perf_counter()
    work()
    ROW.notes[side] = f"{time.perf_counter() - begun:.0f} s"


ROW = Row(
    "report",
    "curation report of 1,000,000 samples: page, curves and gallery; pandas counts its flat columns, and shows nothing",
    "s",
    {LIMIT: 1.0, PEER: 0.4},
    _sides,
    3,
)
