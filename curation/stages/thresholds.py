"""The recipe's thresholds in numbers: given, from a tail share, or solved for a target size. On the driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import TOLERANCE, CriticalHistogram, Thresholds, thresholds_for, thresholds_for_target
from curation.errors import BalanceError
from curation.recipe import Balance, Target
from curation.runner.stage import Planning
from curation.runner.units import digest
from curation.schemas import DRAW_HISTOGRAMS, DRAWS
from curation.stages.count import entry_counts
from curation.stages.draw import media_starts
from curation.storage import Store

DEFAULT_TAIL_SHARE = 0.06  # MetaCLIP: share of matches on entries below t=20k of 400M, and below t=170k of 2.5B pairs
_SEARCH_VERSION = 1  # raised when the search for a target gives another answer


@dataclass
class Solved:
    """Thresholds per modality and language, and what is worth telling about how they came about."""

    thresholds: dict[str, dict[str, float]] = field(default_factory=dict)
    tail_shares: dict[str, float] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_context(self) -> dict[str, Any]:
        return {
            "thresholds": self.thresholds,
            "tail_shares": self.tail_shares,
            "target": self.target,
            "notes": self.notes,
        }

    def add(self, modality: str, found: Thresholds) -> None:
        self.thresholds[modality] = {lang: float(t) for lang, t in sorted(found.by_language.items())}
        self.tail_shares[modality] = float(found.tail_share)


def solve(planning: Planning, section: Balance) -> Solved:
    """Raises BalanceError where the settings do not determine thresholds for this pool."""
    counts = entry_counts(
        planning.inputs["count"], planning.store, pool_modalities=planning.settings["pool_modalities"]
    )
    if not counts:
        raise BalanceError("no text matched any entry: check that match.vocabularies fit the texts' languages")
    solved = Solved()
    by_modality: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for (modality, lang), array in sorted(counts.items()):
        by_modality.setdefault(modality, {})[lang] = array
    if isinstance(section.target, Target) and len(by_modality) > 1:
        _solve_overall(planning, section, by_modality, section.target, solved)
    else:
        for modality, of_lang in by_modality.items():
            _solve_modality(planning, section, modality, of_lang, solved)
    _note_missed(solved)
    _note_idle(by_modality, solved)
    return solved


def _solve_modality(
    planning: Planning, section: Balance, modality: str, counts: dict[str, Any], solved: Solved
) -> None:
    target = section.target.get(modality) if isinstance(section.target, dict) else section.target  # type: ignore[call-overload]
    t = section.t.get(modality) if isinstance(section.t, dict) else section.t  # type: ignore[call-overload]
    rule = section.other_languages
    if target is not None:
        found = _solve_target(
            planning,
            target,
            {f"{modality}/{lang}": array for lang, array in counts.items()},
            f"{modality}/{section.pivot}",
            rule,
        )
        solved.target[modality] = found.pop("report")
        solved.add(
            modality,
            Thresholds(
                {key.split("/", 1)[1]: value for key, value in found["by_key"].items()},
                found["tail_share"],
                section.pivot,
            ),
        )
    elif t is not None:
        solved.add(modality, thresholds_for(counts, pivot=section.pivot, t=t, rule=rule))
    else:
        share = section.tail_share or DEFAULT_TAIL_SHARE
        if section.t is not None or section.target is not None:
            solved.notes.append(f"nothing is set for {modality}: it takes the default tail share of {share:.0%}")
        solved.add(modality, thresholds_for(counts, pivot=section.pivot, p=share, rule=rule))


def _solve_overall(
    planning: Planning, section: Balance, by_modality: dict[str, dict[str, Any]], target: Target, solved: Solved
) -> None:
    """One tail share for all modalities, so that none is favoured."""
    counts = {
        f"{modality}/{lang}": array for modality, of_lang in by_modality.items() for lang, array in of_lang.items()
    }
    found = _solve_target(planning, target, counts, "", section.other_languages)
    solved.target["all"] = found["report"]
    for modality in by_modality:
        own = {key.split("/", 1)[1]: value for key, value in found["by_key"].items() if key.startswith(f"{modality}/")}
        solved.add(modality, Thresholds(own, found["tail_share"], section.pivot))


def _solve_target(planning: Planning, target: Target, counts: dict[str, Any], pivot: str, rule: Any) -> dict[str, Any]:
    """Solved once per draw and setting: the answer is kept in the work folder."""
    draw = planning.inputs["draw"]
    key = digest(
        _SEARCH_VERSION, draw.version, draw.content(DRAWS.name), sorted(counts), target.model_dump(), pivot, rule
    )
    path = f"_runs/balance/solutions/{key}.json"
    known = planning.store.read_json(path)
    if known is None:
        known = _search(planning, target, counts, pivot, rule)
        planning.store.put_json(path, known)
    return dict(known)


def _search(planning: Planning, target: Target, counts: dict[str, Any], pivot: str, rule: Any) -> dict[str, Any]:
    unit = "pairs" if target.pairs is not None else "media"
    wanted = target.pairs if target.pairs is not None else target.media
    size = round((wanted or 0) / target.survival)
    histograms = pool_histograms(planning, unit)
    solution = thresholds_for_target(
        {key: histograms.get(key, CriticalHistogram.from_values(np.zeros(0))) for key in counts},
        counts,
        size,
        pivot=pivot,
        rule=rule,
        refine=_refiner(planning, unit, sorted(counts)),
    )
    return {
        "by_key": {key: float(t) for key, t in solution.thresholds.by_language.items()},
        "tail_share": float(solution.thresholds.tail_share),
        "report": {
            "unit": unit,
            "wanted": wanted,
            "survival": target.survival,
            "wanted_before_losses": size,
            "expected": int(solution.expected_size),
            "reachable_below": solution.below,
            "reachable_above": solution.above,
        },
    }


def pool_histograms(planning: Planning, unit: str) -> dict[str, CriticalHistogram]:
    """Histograms of critical thresholds of the whole pool, by "modality/lang"; unit: pairs or media."""
    draw = planning.inputs["draw"]
    table = planning.store.table(draw.paths(DRAW_HISTOGRAMS.name), DRAW_HISTOGRAMS.schema)
    keys = pc.binary_join_element_wise(table.column("modality"), table.column("vocabulary_lang"), "/")
    found = {}
    for key in pc.unique(keys).to_pylist():
        rows = table.filter(pc.equal(keys, key))
        found[key] = CriticalHistogram.from_bins(np.asarray(rows.column("bin")), np.asarray(rows.column(unit)))
    return found


def _refiner(planning: Planning, unit: str, keys: list[str]) -> Callable[[list[dict[str, float]]], list[int]]:
    reports = planning.inputs["draw"].reports
    paths = [report.paths(DRAWS.name) for _, report in sorted(reports.items()) if report.rows(DRAWS.name)]
    store = planning.store
    engine = planning.require_engine()

    def refine(candidates: list[dict[str, float]]) -> list[int]:
        grid = {key: np.array([candidate[key] for candidate in candidates]) for key in keys}
        counter = SizeCounter(store, unit, grid, len(candidates))
        return [int(n) for n in np.sum([np.zeros(len(candidates), np.int64), *engine.map(counter, paths)], axis=0)]

    return refine


@dataclass(frozen=True)
class SizeCounter:
    """Exact sizes of some draws for many thresholds at once; candidates ascend for every key."""

    store: Store
    unit: str
    grid: dict[str, np.ndarray[Any, Any]]
    candidates: int

    def __call__(self, paths: list[str]) -> np.ndarray[Any, Any]:
        total = np.zeros(self.candidates + 1, np.int64)
        last: tuple[str, int] | None = None  # media that a batch's end may have cut, and the candidate it needs
        columns = ["modality", "vocabulary_lang", "critical_threshold", "media_id"]
        for batch in self.store.batches(paths, columns):
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


def _note_missed(solved: Solved) -> None:
    for scope, report in solved.target.items():
        wanted, expected = report["wanted_before_losses"], report["expected"]
        if abs(expected - wanted) > TOLERANCE * wanted:
            solved.notes.append(
                f"{wanted:,} {report['unit']} ({scope}) cannot be reached: the nearest sizes are "
                f"{report['reachable_below']:,} and {report['reachable_above']:,}; {expected:,} are kept"
            )


def _note_idle(by_modality: dict[str, dict[str, np.ndarray[Any, Any]]], solved: Solved) -> None:
    for modality, of_lang in by_modality.items():
        head = sum(int((array > solved.thresholds[modality][lang]).sum()) for lang, array in of_lang.items())
        if head == 0:
            top = max(int(array.max()) for array in of_lang.values())
            solved.notes.append(
                f"no {modality} entry is above its threshold, so nothing is thinned: the most frequent entry has "
                f"{top:,} texts; lower balance.t or give balance.tail_share"
            )
