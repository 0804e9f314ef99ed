"""index.json and sizes.json of a set of shards, from the reports of its units: no tar is opened for them."""

from __future__ import annotations

from typing import Any

from curation.export.webdataset import FOLDER, INDEX, Tar, index_files, index_of
from curation.recipe import recipe_hash
from curation.runner.stage import Manifest, Planning
from curation.stages.row_shards import TARS
from curation.stages.shard_files import SHA256
from curation.storage import Store

_ABOUT = ("set", "recipe", "settings", "stages")


def put_index(planning: Planning, manifest: Manifest) -> None:
    """Writes the index of the set of a published version, unless it is there already. Says no time and no machine."""
    store, name_of_set = planning.store, manifest.context["set"]
    about = {
        "set": name_of_set,
        "recipe": {"name": planning.recipe.name, "hash": recipe_hash(planning.recipe)},
        "settings": manifest.settings,
        "stages": _lineage(store, manifest.inputs),
    }
    _put(store, name_of_set, index_of(tars_of(manifest), about))


def renew_index(store: Store, manifest: Manifest) -> None:
    """Tells an index that is there what the tars have become."""
    name_of_set = manifest.context["set"]
    known = store.read_json(f"{FOLDER}/{name_of_set}/{INDEX}")
    if known is not None:
        _put(store, name_of_set, index_of(tars_of(manifest), {name: known[name] for name in _ABOUT}))


def _put(store: Store, name_of_set: str, index: dict[str, Any]) -> None:
    for name, data in index_files(index).items():
        path = f"{FOLDER}/{name_of_set}/{name}"
        try:
            same = store.read(path) == data
        except FileNotFoundError:
            same = False
        if not same:
            store.put(path, data)


def tars_of(manifest: Manifest) -> list[Tar]:
    """The tars of a version of `shards`."""
    found = []
    for report in manifest.reports.values():
        for entry in report.files.get(TARS, []):
            split, name = entry.path.split("/")[-2:]
            images, videos = (report.counts.get(f"samples:{modality}", 0) for modality in ("image", "video"))
            sha256 = report.facts[SHA256]
            found.append(Tar(split, name, entry.rows, images, videos, entry.size_bytes, sha256))
    return found


def _lineage(store: Store, inputs: dict[str, str]) -> dict[str, str]:
    """Versions of all stages that a set is made from."""
    found: dict[str, str] = {}
    left = dict(inputs)
    while left:
        stage, version = left.popitem()
        found[stage] = version
        tree = store.read_json(f"_runs/{stage}/{version}/manifest.json")
        left |= {} if tree is None else {name: of for name, of in tree["inputs"].items() if name not in found}
    return dict(sorted(found.items()))
