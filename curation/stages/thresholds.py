"""The recipe's thresholds in numbers: given, from a tail share, or solved for a target size. On the driver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from curation.balance import (
    TOLERANCE,
    CriticalHistogram,
    Thresholds,
    entry_probabilities,
    thresholds_for,
    thresholds_for_target,
)
from curation.digests import digest
from curation.errors import BalanceError
from curation.recipe import Balance, Target
from curation.runner.stage import Planning
from curation.stages.count import Counts
from curation.stages.draw import row_mask
from curation.stages.pools import Pool, drawn_pool
from curation.stages.pools import Thresholds as OfLanguages
from curation.storage import Store

DEFAULT_TAIL_SHARE = 0.06  # MetaCLIP: share of matches on entries below t=20k of 400M, and below t=170k of 2.5B pairs
_SEARCH_VERSION = 1  # raised when the search for a target gives another answer
TOP_UP = "_runs/balance/top_up.json"
"""Survival as a top-up measured it, and the target it is for."""


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
    """Thresholds of balance. Raises BalanceError where the settings do not determine any for this pool."""
    pool = drawn_pool(planning)
    if not pool.counts:
        raise BalanceError("no text matched any entry: check that match.vocabularies fit the texts' languages")
    measured, notes = topped_up(planning.store, section)
    solved = solve_pool(pool, measured, planning.store)
    solved.notes[:0] = notes
    _note_idle(pool.counts, solved)
    return solved


def solve_pool(pool: Pool, section: Balance, store: Store) -> Solved:
    """Raises BalanceError where the settings do not determine thresholds for this pool, which has some counts."""
    solved = Solved()
    by_modality: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for (modality, lang), array in sorted(pool.counts.items()):
        by_modality.setdefault(modality, {})[lang] = array
    if isinstance(section.target, Target) and len(by_modality) > 1:
        _solve_overall(pool, store, section, section.target, by_modality, solved)
    else:
        for modality, of_lang in by_modality.items():
            _solve_modality(pool, store, section, (modality, of_lang), solved)
    _note_missed(solved)
    return solved


def topped_up(store: Store, section: Balance) -> tuple[Balance, list[str]]:
    """The section with survival as it was measured, where a top-up did so for the very same target, and what to tell.

    Survival is one number, or one per modality where the target is one per modality.
    """
    if section.target is None:
        return section, []
    known = store.read_json(TOP_UP)
    if known is None or known["target"] != section.model_dump()["target"]:
        return section, []
    each = section.target.items() if isinstance(section.target, dict) else [("all", section.target)]
    targets: dict[str, Target] = {scope: target for scope, target in each}  # noqa: C416 - of any names
    notes = []
    for scope, survival in sorted(known["survival"].items()):
        expected = targets[scope].survival
        notes.append(f"topped up ({scope}): survival {survival:.3g} as measured, {expected:.3g} expected")
        targets[scope] = targets[scope].model_copy(update={"survival": survival})
    measured = targets if isinstance(section.target, dict) else targets["all"]
    return section.model_copy(update={"target": measured}), notes


def row_thresholds(batch: pa.RecordBatch, thresholds: OfLanguages) -> np.ndarray[Any, Any]:
    """The threshold that each row is held against, by its modality and vocabulary_lang; 0 where there is none."""
    limit = np.zeros(batch.num_rows)
    for modality, of_lang in thresholds.items():
        for lang, t in of_lang.items():
            limit[row_mask(batch, modality, lang)] = t
    return limit


def pool_probabilities(counts: Counts, thresholds: OfLanguages) -> np.ndarray[Any, Any]:
    """p_e of all entries in the numbering of `flat_entries`."""
    parts = [entry_probabilities(array, thresholds[key[0]][key[1]]) for key, array in sorted(counts.items())]
    return np.concatenate([*parts, np.zeros(0)])


def _solve_modality(
    pool: Pool, store: Store, section: Balance, of_modality: tuple[str, dict[str, Any]], solved: Solved
) -> None:
    modality, counts = of_modality
    target = section.target.get(modality) if isinstance(section.target, dict) else section.target  # type: ignore[call-overload]
    t = section.t.get(modality) if isinstance(section.t, dict) else section.t  # type: ignore[call-overload]
    rule = section.other_languages
    if target is not None:
        found = _solve_target(
            pool,
            store,
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
    pool: Pool, store: Store, section: Balance, target: Target, by_modality: dict[str, Any], solved: Solved
) -> None:
    """One tail share for all modalities, so that none is favoured."""
    counts = {
        f"{modality}/{lang}": array for modality, of_lang in by_modality.items() for lang, array in of_lang.items()
    }
    found = _solve_target(pool, store, target, counts, "", section.other_languages)
    solved.target["all"] = found["report"]
    for modality in by_modality:
        own = {key.split("/", 1)[1]: value for key, value in found["by_key"].items() if key.startswith(f"{modality}/")}
        solved.add(modality, Thresholds(own, found["tail_share"], section.pivot))


def _solve_target(
    pool: Pool, store: Store, target: Target, counts: dict[str, Any], pivot: str, rule: Any
) -> dict[str, Any]:
    """Solved once per draw and setting: the answer is kept in the work folder."""
    key = digest(_SEARCH_VERSION, pool.content, pool.limits, sorted(counts), target.model_dump(), pivot, rule)
    path = f"_runs/balance/solutions/{key}.json"
    known = store.read_json(path)
    if known is None:
        known = _search(pool, target, counts, pivot, rule)
        store.put_json(path, known)
    return dict(known)


def _search(pool: Pool, target: Target, counts: dict[str, Any], pivot: str, rule: Any) -> dict[str, Any]:
    unit = "pairs" if target.pairs is not None else "media"
    wanted = target.pairs if target.pairs is not None else target.media
    size = round((wanted or 0) / target.survival)
    histograms = pool.histograms(unit)
    solution = thresholds_for_target(
        {key: histograms.get(key, CriticalHistogram.from_values(np.zeros(0))) for key in counts},
        counts,
        size,
        pivot=pivot,
        rule=rule,
        refine=pool.refiner(unit, sorted(counts)),
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


def _note_missed(solved: Solved) -> None:
    for scope, report in solved.target.items():
        wanted, expected = report["wanted_before_losses"], report["expected"]
        if abs(expected - wanted) > TOLERANCE * wanted:
            solved.notes.append(
                f"{wanted:,} {report['unit']} ({scope}) cannot be reached: the nearest sizes are "
                f"{report['reachable_below']:,} and {report['reachable_above']:,}; {expected:,} are kept"
            )


def _note_idle(counts: Counts, solved: Solved) -> None:
    for modality in sorted({modality for modality, _ in counts}):
        arrays = {lang: array for (of, lang), array in counts.items() if of == modality}
        head = sum(int((array > solved.thresholds[modality][lang]).sum()) for lang, array in arrays.items())
        if head == 0:
            top = max(int(array.max()) for array in arrays.values())
            solved.notes.append(
                f"no {modality} entry is above its threshold, so nothing is thinned: the most frequent entry has "
                f"{top:,} texts; lower balance.t or give balance.tail_share"
            )
