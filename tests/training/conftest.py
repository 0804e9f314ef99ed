"""One small set of shards, and the work folder it is of, for all tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from faults_shards import ExportedSet, exported

from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.schemas import MANIFEST
from curation.testing.manifests import manifest_table, write_manifest

SAMPLES, PER_SHARD = 150, 20


@dataclass(frozen=True)
class Bed:
    """work: a work folder. shards: its set, as the stage writes it. rows: of train, as they lie in the tars."""

    work: Path
    shards: Path
    rows: list[dict[str, Any]]

    @property
    def keys(self) -> list[str]:
        return [row["sample_id"] for row in self.rows]


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """Images alone: clips take long to draw. Critical thresholds from 1 to 7, which a second text's is one above."""
    folder, made = tmp_path_factory.mktemp("training"), manifest_table(SAMPLES, videos=0.0).to_pylist()
    for number, row in enumerate(made):
        row["critical_threshold"] = 1.0 + number % 7
        for more, text in enumerate(text for text in row["texts"] if text["critical_threshold"] is not None):
            text["critical_threshold"] = row["critical_threshold"] + more
    table = pa.Table.from_pylist(made, schema=MANIFEST.schema)
    store = write_manifest(folder / "work", table, with_bytes=True)
    shards = ExportedSet.of(folder / "work", exported(folder / "work", max_samples=PER_SHARD))
    keys = [key for tar in shards.tars() if tar.parent.name == "train" for key in shards.samples(tar)]
    files = [file.removeprefix(f"{store.root}/") for file in Catalog(store, ALL_STAGES).files(MANIFEST.name)]
    rows = {row["sample_id"]: row for row in store.table(files, MANIFEST.schema).to_pylist()}
    return Bed(folder / "work", shards.folder, [rows[key] for key in keys])
