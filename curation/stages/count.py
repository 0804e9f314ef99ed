"""count: the buckets' partial sums to texts per entry. One unit and one pass; no match is read or shuffled."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.recipe import Recipe
from curation.runner.stage import Law, Manifest, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import ENTRY_COUNTS, MATCH_COUNTS
from curation.stages.buckets import conformed
from curation.stages.match import vocabulary_entries
from curation.storage import Store

Counts = dict[tuple[str, str], np.ndarray[Any, Any]]  # (modality, vocabulary_lang) -> int64 texts per entry


class Count(UnitStage):
    """Sums, never shuffles."""

    name = "count"
    about = "sum the texts per (modality, language, entry)"
    after = ("match",)
    outputs = (ENTRY_COUNTS,)
    laws = (Law(("match.entry_matches",), ("entry_matches",)),)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        match = planning.inputs["match"]
        return {"vocabularies": match.context["vocabularies"], "match_counts": match.paths(MATCH_COUNTS.name)}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        prints = {lang: facts["fingerprint"] for lang, facts in context["vocabularies"].items()}
        return [Unit("all", {}, self.identity(prints, planning.inputs["match"].content(MATCH_COUNTS.name)))]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        vocabularies = task.context["vocabularies"]
        sizes = {lang: facts["entries"] for lang, facts in vocabularies.items()}
        totals = sum_counts(task.store, task.context["match_counts"], sizes)
        for (modality, lang), total in sorted(totals.items()):
            ids = np.flatnonzero(total)
            entries = vocabulary_entries(task.store, vocabularies[lang]["fingerprint"]).take(pa.array(ids))
            writer.counts["entry_matches"] += int(total.sum())
            columns = {
                "modality": pa.repeat(pa.scalar(modality, pa.string()), len(ids)),
                "vocabulary_lang": pa.repeat(pa.scalar(lang, pa.string()), len(ids)),
                "entry_id": pa.array(ids.astype(np.int32)),
                "entry": entries,
                "texts": pa.array(total[ids]),
            }
            writer.write(ENTRY_COUNTS, conformed(columns, ENTRY_COUNTS.schema))


def sum_counts(store: Store, paths: list[str], sizes: dict[str, int], column: str = "texts") -> Counts:
    """Sums partial counts of the given languages into arrays of the vocabularies' `sizes` and the column's type."""
    totals: Counts = {}
    for batch in store.batches(paths, ["modality", "vocabulary_lang", "entry_id", column]):
        for lang in set(pc.unique(batch.column("vocabulary_lang")).to_pylist()) & sizes.keys():
            of_lang = batch.filter(pc.equal(batch.column("vocabulary_lang"), lang))
            for modality in pc.unique(of_lang.column("modality")).to_pylist():
                part = of_lang.filter(pc.equal(of_lang.column("modality"), modality))
                values = np.asarray(part.column(column))
                total = totals.setdefault((modality, lang), np.zeros(sizes[lang], values.dtype))
                np.add.at(total, np.asarray(part.column("entry_id")), values)
    return totals


def entry_counts(count: Manifest, store: Store, *, pool_modalities: bool) -> Counts:
    """The pool's counts as dense arrays; pooled, every modality sees the sum over all."""
    sizes = tuple(sorted((lang, facts["entries"]) for lang, facts in count.context["vocabularies"].items()))
    return load_counts(store, tuple(count.paths(ENTRY_COUNTS.name)), sizes, pool_modalities)


@lru_cache(maxsize=2)
def load_counts(
    store: Store,
    paths: tuple[str, ...],
    sizes: tuple[tuple[str, int], ...],
    pool_modalities: bool,
    column: str = "texts",
) -> Counts:
    """As entry_counts, kept per worker process; do not change what it returns."""
    totals = sum_counts(store, list(paths), dict(sizes), column)
    if not pool_modalities:
        return totals
    pooled: dict[str, np.ndarray[Any, Any]] = {}
    for (_, lang), total in totals.items():
        pooled[lang] = pooled[lang] + total if lang in pooled else total
    return {(modality, lang): pooled[lang] for modality, lang in totals}
