"""Versions of datasets, and which of them readers see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from curation.errors import StaleDatasetError, WorkFolderError
from curation.runner.stage import Manifest, Stage
from curation.schemas import DATASETS
from curation.storage import Store


@dataclass(frozen=True)
class Pointer:
    """What `_current.json` holds: the version that readers see, what it was made from, and where its manifest lies."""

    version: str
    inputs: dict[str, str]
    manifest: str
    rows: dict[str, int]
    finished_at: str


class Catalog:
    """Every reader resolves datasets through this: a version is seen whole, or not at all, or its staleness is said.

    Each question looks at the folder anew; `snapshot` gives a catalog that answers all of them of one moment.
    """

    def __init__(self, store: Store, stages: tuple[Stage, ...], *, pinned: Mapping[str, Pointer | None] | None = None):
        self.store = store
        self.stages = {stage.name: stage for stage in stages}
        self._owner = {dataset.name: stage.name for stage in stages for dataset in stage.outputs}
        self._pinned = pinned
        self._known: dict[str, tuple[Pointer, Manifest]] = {}

    def snapshot(self) -> Catalog:
        """The same catalog as of now: what is published later is not seen, so datasets always fit each other."""
        pinned = {stage: self.pointer(stage) for stage in self.stages}
        return Catalog(self.store, tuple(self.stages.values()), pinned=pinned)

    def stage_of(self, dataset: str) -> str:
        """The stage that writes a dataset. Raises WorkFolderError for an unknown name."""
        if dataset not in self._owner:
            raise WorkFolderError(f"no dataset is called {dataset!r}: choose one of {', '.join(sorted(DATASETS))}")
        return self._owner[dataset]

    def pointer(self, stage: str) -> Pointer | None:
        """What is published of a stage, stale or not; None before the first time."""
        if self._pinned is not None:
            return self._pinned[stage]
        path = self._pointer_path(stage)
        tree = self.store.read_json(path)
        return None if tree is None else self._understood(Pointer, tree, path)

    def _pointer_path(self, stage: str) -> str:
        return f"{self.stages[stage].outputs[0].name}/_current.json"

    def _understood(self, kind: Any, tree: Any, path: str) -> Any:
        try:
            return kind.from_json(tree) if hasattr(kind, "from_json") else kind(**tree)
        except (TypeError, KeyError, AttributeError):
            raise WorkFolderError(
                f"{self.store.url(path)} was written by another version of curation, or by something else: "
                "choose a fresh --work folder"
            ) from None

    def current(self, stage: str) -> Manifest | None:
        """The published version of a stage, stale or not; None before the first."""
        pointer = self.pointer(stage)
        if pointer is None:
            return None
        if stage not in self._known or self._known[stage][0] != pointer:
            manifest = self.stored(stage, pointer.version)
            if manifest is None:
                raise WorkFolderError(
                    f"{self.store.url(pointer.manifest)} is gone: remove {self.store.url(self._pointer_path(stage))} "
                    "and run again"
                )
            self._known[stage] = pointer, replace(manifest, inputs=pointer.inputs)
        return self._known[stage][1]

    def stored(self, stage: str, version: str) -> Manifest | None:
        """A version that was complete at some time."""
        path = _manifest_path(stage, version)
        tree = self.store.read_json(path)
        return None if tree is None else self._understood(Manifest, tree, path)

    def publish(self, manifest: Manifest) -> None:
        """Makes a complete version the current one, by one atomic put after its manifest."""
        path = _manifest_path(manifest.stage, manifest.version)
        rows = {dataset.name: manifest.rows(dataset.name) for dataset in self.stages[manifest.stage].outputs}
        pointer = Pointer(manifest.version, manifest.inputs, path, rows, manifest.finished_at)
        self.store.put_json(path, manifest.to_json())
        self.store.put_json(self._pointer_path(manifest.stage), pointer.__dict__)

    def is_fresh(self, stage: str) -> bool:
        """Whether a stage is published, and all it was made from is still current."""
        pointer = self.pointer(stage)
        if pointer is None:
            return False
        for source, version in pointer.inputs.items():
            known = self.pointer(source)
            if known is None or known.version != version or not self.is_fresh(source):
                return False
        return True

    def visible(self, stage: str) -> Manifest:
        """The current version for a reader.

        Raises WorkFolderError where there is none, StaleDatasetError where it is outdated.
        """
        manifest = self.current(stage)
        if manifest is None:
            raise WorkFolderError(f"{self.store.root} has no {stage} yet: run `curation run` to make it")
        if not self.is_fresh(stage):
            raise StaleDatasetError(
                f"{stage} in {self.store.root} was made from inputs that have been replaced since: "
                "finish `curation run` to bring it up to date"
            )
        return manifest

    def files(self, dataset: str) -> list[str]:
        """Full names of a dataset's current Parquet files, for DuckDB, pyarrow or Spark."""
        manifest = self.visible(self.stage_of(dataset))
        return [self.store.url(path) for path in manifest.paths(dataset)]


def _manifest_path(stage: str, version: str) -> str:
    return f"_runs/{stage}/{version}/manifest.json"
