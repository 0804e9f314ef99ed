"""Versions of datasets, and which of them readers see."""

from __future__ import annotations

from curation.errors import StaleDatasetError, WorkFolderError
from curation.runner.stage import Manifest, Stage
from curation.schemas import DATASETS
from curation.storage import Store


class Catalog:
    """Every reader resolves datasets through this: a version is seen whole, or not at all, or its staleness is said."""

    def __init__(self, store: Store, stages: tuple[Stage, ...]) -> None:
        self.store = store
        self._stages = {stage.name: stage for stage in stages}
        self._owner = {dataset.name: stage.name for stage in stages for dataset in stage.outputs}

    def stage_of(self, dataset: str) -> str:
        """The stage that writes a dataset. Raises WorkFolderError for an unknown name."""
        if dataset not in self._owner:
            raise WorkFolderError(f"no dataset is called {dataset!r}: choose one of {', '.join(sorted(DATASETS))}")
        return self._owner[dataset]

    def _pointer(self, stage: str) -> str:
        return f"{self._stages[stage].outputs[0].name}/_current.json"

    def _manifest(self, stage: str, version: str) -> str:
        return f"_runs/{stage}/{version}/manifest.json"

    def current(self, stage: str) -> Manifest | None:
        """The published version of a stage, stale or not; None before the first."""
        tree = self.store.read_json(self._pointer(stage))
        return None if tree is None else Manifest.from_json(tree)

    def stored(self, stage: str, version: str) -> Manifest | None:
        """A version that was complete at some time."""
        tree = self.store.read_json(self._manifest(stage, version))
        return None if tree is None else Manifest.from_json(tree)

    def publish(self, manifest: Manifest) -> None:
        """Makes a complete version the current one, by one atomic put."""
        tree = manifest.to_json()
        self.store.put_json(self._manifest(manifest.stage, manifest.version), tree)
        self.store.put_json(self._pointer(manifest.stage), tree)

    def is_fresh(self, manifest: Manifest) -> bool:
        """Whether all it was made from is still current."""
        for stage, version in manifest.inputs.items():
            source = self.current(stage)
            if source is None or source.version != version or not self.is_fresh(source):
                return False
        return True

    def visible(self, stage: str) -> Manifest:
        """The current version for a reader.

        Raises WorkFolderError where there is none, StaleDatasetError where it is outdated.
        """
        manifest = self.current(stage)
        if manifest is None:
            raise WorkFolderError(f"{self.store.root} has no {stage} yet: run `curation run` to make it")
        if not self.is_fresh(manifest):
            raise StaleDatasetError(
                f"{stage} in {self.store.root} was made from inputs that have been replaced since: "
                "finish `curation run` to bring it up to date"
            )
        return manifest

    def files(self, dataset: str) -> list[str]:
        """Full names of a dataset's current Parquet files, for DuckDB, pyarrow or Spark."""
        manifest = self.visible(self.stage_of(dataset))
        return [self.store.url(path) for path in manifest.paths(dataset)]
