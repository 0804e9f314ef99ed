"""balance: thresholds, and with them the selection. One unit per media bucket; no archive or text is matched anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from curation.balance import keep_probabilities
from curation.recipe import Balance as BalanceSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import DRAWS, ENTRY_COUNTS, KEPT_COUNTS, KEPT_PAIRS, MATCHES, PAIRS
from curation.stages.buckets import BATCH_ROWS, Followers, aligned, conformed
from curation.stages.count import Counts
from curation.stages.draw import flat_entries, task_counts
from curation.stages.match import write_counts
from curation.stages.thresholds import Solved, pool_probabilities, row_thresholds, solve

_OWN = ("keep_probability",)


class Balance(UnitStage):
    """Keeps a pair where its critical threshold is at most its language's threshold."""

    name = "balance"
    about = "set the thresholds and keep the balanced selection"
    after = ("pairs", "match", "count", "draw")
    outputs = (KEPT_PAIRS, KEPT_COUNTS)
    laws = (
        Law(("in:matches",), ("rows:kept_pairs", "not_drawn", "not_picked")),
        Law(("entry_matches",), ("counted_texts",)),
    )

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {**recipe.balance.model_dump(), "pool_modalities": recipe.count.pool_modalities}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        count = planning.inputs["count"]
        section = BalanceSection.model_validate(planning.recipe.balance)
        solved: Solved = solve(planning, section)
        return {
            "entry_counts": count.paths(ENTRY_COUNTS.name),
            "sizes": {lang: facts["entries"] for lang, facts in count.context["vocabularies"].items()},
            **solved.to_context(),
        }

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        pairs, match, draw = (planning.inputs[name].reports for name in ("pairs", "match", "draw"))
        return [
            Unit(
                name,
                {
                    "pairs": pairs[name].paths(PAIRS.name),
                    "matches": match[name].paths(MATCHES.name),
                    "draws": draw[name].paths(DRAWS.name),
                },
                self.identity(
                    context["thresholds"],
                    pairs[name].content(PAIRS.name),
                    draw[name].identity,
                    match[name].content(MATCHES.name),
                ),
            )
            for name in sorted(draw)
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        counts = task_counts(task)
        kept_counts: Counts = {}
        kept = Followers(_kept(unit, task, counts, kept_counts, writer))
        columns = [name for name in PAIRS.columns if name in KEPT_PAIRS.columns]
        for pairs in task.store.batches(unit.inputs["pairs"], columns, BATCH_ROWS):
            chosen, positions = kept.of(pairs.column("pair_id"))
            if chosen is None:
                continue
            described = pairs.take(positions)
            source = {name: described.column(name) for name in columns}
            source.update({name: chosen.column(name) for name in chosen.schema.names})
            writer.counts["entry_matches"] += len(chosen.column("entry_ids").flatten())
            writer.write(KEPT_PAIRS, conformed(source, KEPT_PAIRS.schema))
        kept.expect_end()
        writer.counts["counted_texts"] += sum(int(total.sum()) for total in kept_counts.values())
        write_counts(kept_counts, KEPT_COUNTS, writer)


def _kept(unit: Unit, task: Task, counts: Counts, kept_counts: Counts, writer: UnitWriter) -> Iterator[pa.RecordBatch]:
    """Kept rows of draws and matches, with their keep probability; counts what was not kept, and why."""
    thresholds = task.context["thresholds"]
    probabilities = pool_probabilities(counts, thresholds)
    wanted = ["picked", "critical_threshold"], ["pair_id", "modality", "vocabulary_lang", "entry_ids"]
    for draws, matches in aligned(task.store, unit.inputs["draws"], unit.inputs["matches"], wanted):
        keep = np.asarray(draws.column("critical_threshold")) <= row_thresholds(matches, thresholds)
        picked = np.asarray(draws.column("picked"))
        writer.counts["not_picked"] += int((~picked).sum())
        writer.counts["not_drawn"] += int((picked & ~keep).sum())
        if not keep.any():
            continue
        mask = pa.array(keep)
        rows = matches.filter(mask)
        offsets, entries, begins = flat_entries(rows, counts)
        _add_kept(kept_counts, entries, begins, counts)
        yield pa.RecordBatch.from_arrays(
            [
                rows.column("pair_id"),
                rows.column("vocabulary_lang"),
                rows.column("entry_ids"),
                draws.column("critical_threshold").filter(mask),
                pa.array(keep_probabilities(offsets, entries, probabilities)),
            ],
            names=["pair_id", "vocabulary_lang", "entry_ids", "critical_threshold", *_OWN],
        )


def _add_kept(
    kept_counts: Counts, entries: np.ndarray[Any, Any], begins: dict[tuple[str, str], int], counts: Counts
) -> None:
    for key, begin in begins.items():
        own = entries[(entries >= begin) & (entries < begin + len(counts[key]))] - begin
        if len(own):
            np.add.at(kept_counts.setdefault(key, np.zeros(len(counts[key]), np.int64)), own, 1)
