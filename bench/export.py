"""Exporting shards: the stage beside webdataset's TarWriter, which is handed the same samples.

Ours begins at the published manifest: it makes JSON of every row, sorts, reads the bytes out of the stored tars in the
order of the shards, checks their SHA-256, and writes and hashes the tars, with the rows that tell of them. The peer
finds all of that in memory, in its order, and writes tars of as many samples, without a checksum of anything. Both
write to the same disk. Where the shards begin is counted before; it costs what making the JSON costs, once more.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from bench.harness import OURS, Cost, Row, cpu_seconds
from curation.export.webdataset import sample_json
from curation.media.shards import Sample, write_shard
from curation.pipeline import ALL_STAGES
from curation.recipe import Recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StagePlan
from curation.runner.stage import Task
from curation.runner.work import UnitFailure
from curation.stages.shards import Shards
from curation.storage import Store
from curation.testing.manifests import manifest_table, write_manifest

PEER = "webdataset.TarWriter"
MAX_SAMPLES = 2000
_SHARD = 1000  # samples of a tar that is read


def _recipe() -> Recipe:
    return Recipe.model_validate(
        {
            "name": "bench",
            "inputs": [{"kind": "wat", "paths": ["none"]}],
            "match": {"vocabularies": {"en": "none"}},
            "fetch": {"modalities": ["image", "video"]},
            "shards": {"max_samples": MAX_SAMPLES},
        }
    )


def _stored(store: Store, samples: int, size_bytes: int, videos: float) -> pa.Table:
    """Rows of a manifest, their bytes (random: nothing here looks into them) in tars, by sample_id."""
    rows = sorted(manifest_table(samples, videos=videos).to_pylist(), key=lambda row: str(row["sample_id"]))
    for start in range(0, samples, _SHARD):
        own = rows[start : start + _SHARD]
        data = [np.random.default_rng(start + at).bytes(size_bytes) for at in range(len(own))]
        path = f"media/tars/{start:06d}.tar"
        with store.whole(path) as file:
            parts = ({row["extension"]: each} for row, each in zip(own, data, strict=True))
            members = write_shard(file, (Sample(row["sample_id"], part) for row, part in zip(own, parts, strict=True)))
        for row, each, member in zip(own, data, members, strict=True):
            row |= {"path": path, "offset": member.offset, "size_bytes": size_bytes}
            row["sha256"] = hashlib.sha256(each).hexdigest()
    return pa.Table.from_pylist(rows, schema=manifest_table(0).schema)


def _ours(stage: Shards, plan: StagePlan) -> None:
    task = Task(plan.planning.store, plan.version, plan.settings, plan.context)
    items = stage.items(plan.planning)
    for result in LocalEngine().shuffle(stage, task, items, plan.units, lambda units, rows: None):
        if isinstance(result, UnitFailure):
            raise RuntimeError(result.message)


def _theirs(shards: list[list[dict[str, Any]]], folder: Path) -> None:
    import webdataset  # the dev extra

    for number, samples in enumerate(shards):
        with webdataset.TarWriter(str(folder / f"{number:05d}.tar")) as tar:
            for sample in samples:
                tar.write(sample)


def _samples(store: Store, rows: pa.Table) -> list[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    for row in rows.to_pylist():
        data = store.part(row["path"], row["offset"], row["size_bytes"])
        told = msgspec.json.decode(sample_json(row))
        found.append({"__key__": row["sample_id"], row["extension"]: data, "txt": row["text"], "json": told})
    return [found[start : start + MAX_SAMPLES] for start in range(0, len(found), MAX_SAMPLES)]


def _told(row: Row, side: str, total_mb: float, work: Callable[[], None]) -> Cost:
    """The cost in CPU seconds; notes megabytes of samples' bytes a second of one core."""
    cost = cpu_seconds(work)

    def measured() -> float:
        found = cost()
        row.notes[side] = f"{total_mb / found:,.0f} MB/s a core"
        return found

    return measured


@contextmanager
def _sides(name: str, samples: int, size_bytes: int, videos: float) -> Iterator[dict[str, Cost]]:
    import webdataset  # noqa: F401 - the dev extra: without it the row is left out before anything is written

    with tempfile.TemporaryDirectory() as place:
        table = _stored(Store.at(place), samples, size_bytes, videos)
        store, stage = write_manifest(place, table, entries=False), Shards()
        plan = Run(store, _recipe(), ALL_STAGES, LocalEngine, Silent()).plan(stage)
        theirs = Path(place) / "peer"
        theirs.mkdir()
        row, total_mb = next(row for row in ROWS if row.name == name), samples * size_bytes / 1e6
        yield {
            OURS: _told(row, OURS, total_mb, partial(_ours, stage, plan)),
            PEER: _told(row, PEER, total_mb, partial(_theirs, _samples(store, table), theirs)),
        }


ROWS = tuple(
    Row(
        name,
        f"{samples:,} {what} to tars, by the stage shards with JSON, checks and checksums; the peer has them in memory",
        "CPU s",
        {PEER: 1},
        partial(_sides, name, samples, size_bytes, videos),
    )
    for name, samples, what, size_bytes, videos in (
        ("export", 10_000, "images of 20 kB", 20_000, 0.0),
        ("export-clips", 1000, "clips of 400 kB", 400_000, 1.0),
    )
)
