"""What thresholds are solved for: texts with their counts, and how many of them any thresholds keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import CriticalHistogram
from curation.runner.stage import Engine, Planning
from curation.schemas import DRAW_HISTOGRAMS, DRAWS
from curation.stages.count import Counts, entry_counts
from curation.stages.draw import Histogram, media_starts
from curation.storage import Store

Thresholds = dict[str, dict[str, float]]  # modality -> vocabulary_lang -> t
ReadDraws = Callable[[list[str]], Iterator[pa.RecordBatch]]
"""Paths to batches of DRAW_COLUMNS, ordered by media_id; sent to workers."""
DRAW_COLUMNS = ["modality", "vocabulary_lang", "critical_threshold", "media_id"]


@dataclass(frozen=True)
class Pool:
    """Texts to choose from.

    content: what its critical thresholds depend on. histograms: of critical thresholds, by "modality/lang", for pairs
    or media. parts: paths of its draws, a list for each worker's task, as `read` takes them. limits: thresholds that
    none may be above, if there are any.
    """

    counts: Counts
    content: Any
    histograms: Callable[[str], dict[str, CriticalHistogram]]
    parts: Sequence[list[str]]
    read: ReadDraws
    engine: Callable[[], Engine]
    limits: Thresholds | None = None

    def refiner(self, unit: str, keys: list[str]) -> Callable[[list[dict[str, float]]], list[int]]:
        """Exact sizes, in pairs or media, for candidate thresholds by "modality/lang"."""

        def refine(candidates: list[dict[str, float]]) -> list[int]:
            grid = {key: np.array([candidate[key] for candidate in candidates]) for key in keys}
            if self.limits is not None:
                grid = {key: np.minimum(values, self._limit(key)) for key, values in grid.items()}
            counter = SizeCounter(self.read, unit, grid, len(candidates))
            parts = self.engine().map(counter, self.parts)
            return [int(n) for n in np.sum([np.zeros(len(candidates), np.int64), *parts], axis=0)]

        return refine

    def _limit(self, key: str) -> float:
        modality, lang = key.split("/", 1)
        return (self.limits or {})[modality][lang]


def drawn_pool(planning: Planning) -> Pool:
    """All matches, as draw left them."""
    draw = planning.inputs["draw"]
    counts = entry_counts(
        planning.inputs["count"], planning.store, pool_modalities=planning.settings["pool_modalities"]
    )
    return Pool(
        counts,
        [draw.version, draw.content(DRAWS.name)],
        lambda unit: _stored_histograms(planning, unit),
        [report.paths(DRAWS.name) for _, report in sorted(draw.reports.items()) if report.rows(DRAWS.name)],
        partial(_stored_draws, planning.store),
        planning.require_engine,
    )


def summed_histograms(
    engine: Callable[[], Engine], histogram: Callable[[list[str]], Histogram], parts: list[list[str]], unit: str
) -> dict[str, CriticalHistogram]:
    """Histograms of critical thresholds, by "modality/lang", of pairs or media; each part's is made on a worker."""
    total: dict[str, CriticalHistogram] = {}
    for part in engine().map(histogram, parts):
        for (of, modality, lang), found in part.items():
            if of == unit:
                key = f"{modality}/{lang}"
                total[key] = total[key] + found if key in total else found
    return total


def _stored_draws(store: Store, paths: list[str]) -> Iterator[pa.RecordBatch]:
    return store.batches(paths, DRAW_COLUMNS)


def _stored_histograms(planning: Planning, unit: str) -> dict[str, CriticalHistogram]:
    draw = planning.inputs["draw"]
    table = planning.store.table(draw.paths(DRAW_HISTOGRAMS.name), DRAW_HISTOGRAMS.schema)
    keys = pc.binary_join_element_wise(table.column("modality"), table.column("vocabulary_lang"), "/")
    found = {}
    for key in pc.unique(keys).to_pylist():
        rows = table.filter(pc.equal(keys, key))
        found[key] = CriticalHistogram.from_bins(np.asarray(rows.column("bin")), np.asarray(rows.column(unit)))
    return found


@dataclass(frozen=True)
class SizeCounter:
    """Exact sizes of some draws for many thresholds at once; candidates ascend for every key."""

    read: ReadDraws
    unit: str
    grid: dict[str, np.ndarray[Any, Any]]
    candidates: int

    def __call__(self, paths: list[str]) -> np.ndarray[Any, Any]:
        total = np.zeros(self.candidates + 1, np.int64)
        last: tuple[str, int] | None = None  # media that a batch's end may have cut, and the candidate it needs
        for batch in self.read(paths):
            first = self._first_candidate(batch)
            if self.unit == "pairs":
                total += np.bincount(first, minlength=self.candidates + 1)
                continue
            starts = media_starts(batch.column("media_id"))
            if not len(starts):
                continue
            best = np.minimum.reduceat(first, starts)
            ids = batch.column("media_id").take(pa.array(starts[[0, -1]]))
            if last is not None and last[0] == ids[0].as_py():
                best[0] = min(best[0], last[1])
            elif last is not None:
                total[last[1]] += 1
            total += np.bincount(best[:-1], minlength=self.candidates + 1)
            last = (ids[1].as_py(), int(best[-1]))
        if last is not None:
            total[last[1]] += 1
        return np.cumsum(total[:-1])

    def _first_candidate(self, batch: pa.RecordBatch) -> np.ndarray[Any, Any]:
        """Number of the first candidate that keeps each row; `candidates` where none does."""
        critical = np.asarray(batch.column("critical_threshold"))
        keys = pc.binary_join_element_wise(batch.column("modality"), batch.column("vocabulary_lang"), "/")
        first = np.full(batch.num_rows, self.candidates, np.int64)
        for key, thresholds in self.grid.items():
            rows = np.asarray(pc.equal(keys, key))
            first[rows] = np.searchsorted(thresholds, critical[rows], side="left")
        return first
