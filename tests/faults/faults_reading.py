"""What a reader of a work folder sees: rows as fingerprints, and a witness that looks all the time."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from curation.errors import StaleDatasetError, WorkFolderError
from curation.inspect.views import files_of
from curation.pipeline import ALL_STAGES, STAGES
from curation.query import select
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import DATASETS
from curation.storage import Store

SETS = ("candidates", "site_rules", "pairs", "matches", "entry_counts", "draws", "kept_pairs", "rejections")
_PAUSE_S = 0.25  # between two looks, each of which opens hundreds of files
Prints = dict[str, tuple[int, str]]


def catalog(work: Path) -> Catalog:
    return Catalog(Store.at(work), ALL_STAGES)


def fingerprints(work: Path, names: tuple[str, ...] = SETS) -> Prints:
    """Rows and digest of each dataset: equal for equal multisets of rows over all columns, whatever files and order."""
    found = {}
    with duckdb.connect(config={"threads": 2}) as connection:
        for name in names:
            rows = select(DATASETS[name], files_of(catalog(work), name))
            answer = connection.execute(
                f"SELECT count(*), md5(coalesce(string_agg(row, '' ORDER BY row), '')) "
                f"FROM (SELECT md5(CAST(t AS VARCHAR)) AS row FROM ({rows}) AS t)").fetchone()
            assert answer is not None
            found[name] = (int(answer[0]), str(answer[1]))
    return found


def current_versions(work: Path) -> dict[str, str | None]:
    """The published version of each stage, fresh or not."""
    found = {stage.name: catalog(work).current(stage.name) for stage in STAGES}
    return {name: None if manifest is None else manifest.version for name, manifest in found.items()}


class Witness:
    """A reader in a thread that looks at every dataset again and again, and notes all that it should not have seen.

    `before` and `after`: the published versions when the run began and when it will have ended. A version that is
    visible must be one of the two, whole, and not the old one where anything it was made from is new already.
    """

    def __init__(self, work: Path, before: dict[str, str | None], after: dict[str, str | None]) -> None:
        self._catalog = catalog(work)
        self._before, self._after = before, after
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness", daemon=True)
        self.looks: Counter[str] = Counter()
        self.wrong: list[str] = []

    def __enter__(self) -> Witness:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def verdict(self) -> None:
        """Fails where something wrong was seen, or nothing was looked at."""
        assert self.wrong == [], self.wrong[:5]
        assert self.looks["files"] > 0

    def _watch(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            for stage in STAGES:
                try:
                    self._look(stage.name, stage.after)
                except Exception as error:  # noqa: BLE001 - whatever a reader trips over is a finding
                    self.wrong.append(f"{stage.name}: {type(error).__name__}: {error}")

    def _look(self, stage: str, after: tuple[str, ...]) -> None:
        sources = [name for name in _upstream(after) if self._is_replaced(name)]
        try:
            manifest = self._catalog.visible(stage)
        except StaleDatasetError:
            self.looks["refused as stale"] += 1
            return
        except WorkFolderError:
            self.looks["not there yet"] += 1
            return
        if manifest.version not in (self._before[stage], self._after[stage]):
            self.wrong.append(f"{stage}: version {manifest.version} is neither the old nor the new one")
        if manifest.version != self._after[stage] and sources:
            self.wrong.append(f"{stage}: still the old version, although {', '.join(sources)} is new")
        self.looks["old" if manifest.version == self._before[stage] else "new"] += 1
        self._open_all(manifest)

    def _is_replaced(self, stage: str) -> bool:
        manifest = self._catalog.current(stage)
        return manifest is not None and manifest.version != self._before[stage]

    def _open_all(self, manifest: Manifest) -> None:
        entries = [entry for report in manifest.reports.values() for files in report.files.values() for entry in files]
        for entry in entries:
            path = Path(self._catalog.store.url(entry.path))
            if path.stat().st_size != entry.size_bytes or pq.read_metadata(path).num_rows != entry.rows:
                self.wrong.append(f"{path} is torn")
        self.looks["files"] += len(entries)


def _upstream(after: tuple[str, ...]) -> set[str]:
    """All stages whose output goes into one that comes after these, directly or not."""
    found = set(after)
    for stage in reversed(STAGES):
        if stage.name in found:
            found |= set(stage.after)
    return found
