"""Sets of shards without a run: the manifest of a work folder, as `shards` lays it out.

    store = write_manifest(folder / "work", 500, with_bytes=True)
    rows = write_shard_set(store, folder / "set", per_shard=50)        # set/train/00000.tar ..., sizes.json, index.json
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from curation.export.webdataset import Tar, as_sample, index_files, index_of, sample_json, tar_names
from curation.media.shards import read_member, write_shard
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.schemas import MANIFEST
from curation.storage import Store

Row = dict[str, Any]


def write_shard_set(store: Store, folder: str | Path, per_shard: int = 50) -> dict[str, list[Row]]:
    """Writes the published manifest, whose rows point to real bytes; gives its rows by split, in the order of the tars.

    The order is that of sample_id.
    """
    files = [file.removeprefix(f"{store.root}/") for file in Catalog(store, ALL_STAGES).files(MANIFEST.name)]
    rows = store.table(files, MANIFEST.schema).sort_by("sample_id").to_pylist()
    target, tars = Store.at(folder), []
    splits = {split: [row for row in rows if row["split"] == split] for split in sorted({row["split"] for row in rows})}
    for split, own in splits.items():
        names = tar_names(-(-len(own) // per_shard))
        for number, name in enumerate(names):
            tars.append(_write(store, target, f"{split}/{name}", own[number * per_shard : (number + 1) * per_shard]))
    for name, data in index_files(index_of(tars, {"made_up": True})).items():
        target.put(name, data)
    return splits


def _write(store: Store, target: Store, path: str, rows: list[Row]) -> Tar:
    split, _, name = path.partition("/")
    with target.whole(path) as file:
        write_shard(file, (_sample(store, row) for row in rows))
    data, images = target.read(path), sum(row["modality"] == "image" for row in rows)
    return Tar(split, name, len(rows), images, len(rows) - images, len(data), hashlib.sha256(data).hexdigest())


def _sample(store: Store, row: Row) -> Any:
    data = read_member(store, row["path"], row["offset"], row["size_bytes"])
    return as_sample(row["sample_id"], [(row["extension"], data)], row["text"], sample_json(row))
