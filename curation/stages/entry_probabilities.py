"""entry_probabilities: what balancing knows of every entry, for trainers that balance on the fly. In one piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from curation.balance import entry_probabilities
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CHOSEN_COUNTS, ENTRY_COUNTS, ENTRY_PROBABILITIES, MANIFEST_COUNTS
from curation.stages.buckets import conformed
from curation.stages.count import Counts, load_counts, sum_counts
from curation.stages.match import vocabulary_entries


class EntryProbabilities(UnitStage):
    """Every entry that the pool, the balanced texts or the manifest holds. Counts beside the law's: held, entries that
    some sample's chosen text holds.

    Its count and threshold are those by which samples are kept: of rebalance, by texts after losses; where the recipe
    balances captions of these, by chosen captions.
    """

    name = "entry_probabilities"
    about = "say how often each entry is kept, for trainers that balance themselves"
    after = ("count", "rebalance", "manifest")
    outputs = (ENTRY_PROBABILITIES,)
    laws = (Law(("manifest.entry_samples",), ("samples",)),)

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        if recipe.captions is None or recipe.captions.balance is None:
            return self.after
        return (*self.after, "chosen_captions", "balanced_captions")

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {"pool_modalities": recipe.count.pool_modalities}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        chosen = planning.inputs.get("chosen_captions")
        balanced = planning.inputs["rebalance" if chosen is None else "balanced_captions"].context
        paths = [balanced["counts"]] if chosen is None else chosen.paths(CHOSEN_COUNTS.name)
        return {
            "vocabularies": planning.inputs["count"].context["vocabularies"],
            "t": balanced["thresholds"],
            "weighted": chosen is None,
            "counts": paths,
            "entry_counts": planning.inputs["count"].paths(ENTRY_COUNTS.name),
            "manifest_counts": planning.inputs["manifest"].paths(MANIFEST_COUNTS.name),
        }

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        prints = {lang: facts["fingerprint"] for lang, facts in context["vocabularies"].items()}
        chosen = planning.inputs.get("chosen_captions")
        counts = context["counts"] if chosen is None else chosen.content(CHOSEN_COUNTS.name)  # named by its content
        content = [planning.inputs[stage].content(dataset.name)
                   for stage, dataset in (("count", ENTRY_COUNTS), ("manifest", MANIFEST_COUNTS))]  # fmt: skip
        same = planning.settings, context["t"], prints
        return [Unit("all", {}, self.identity(*same, counts, *content))]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        context = task.context
        sizes = {lang: facts["entries"] for lang, facts in context["vocabularies"].items()}
        pool = sum_counts(task.store, context["entry_counts"], sizes)
        samples = sum_counts(task.store, context["manifest_counts"], sizes, "samples")
        column = "weight" if context["weighted"] else "texts"
        pooled = task.settings["pool_modalities"]
        counts = load_counts(task.store, tuple(context["counts"]), tuple(sorted(sizes.items())), pooled, column)
        for key in sorted({*pool, *samples, *counts}):
            modality, lang = key
            t = context["t"].get(modality, {}).get(lang)
            entries = vocabulary_entries(task.store, context["vocabularies"][lang]["fingerprint"])
            rows = _rows(key, (pool, counts, samples), t, entries)
            held = np.asarray(rows.column("samples"))
            writer.counts["samples"] += int(held.sum())
            writer.counts["held"] += int((held > 0).sum())
            writer.write(ENTRY_PROBABILITIES, rows)


def _rows(
    key: tuple[str, str], counts: tuple[Counts, Counts, Counts], t: float | None, entries: pa.Array
) -> pa.RecordBatch:
    """Of one modality and language: entries of which there is any. counts: of the pool, those that count, samples."""
    dense = [each.get(key, np.zeros(len(entries))) for each in counts]
    ids = np.flatnonzero(np.logical_or.reduce([each > 0 for each in dense]))
    pool, count, samples = (each[ids] for each in dense)
    columns = {
        "modality": pa.repeat(key[0], len(ids)),
        "vocabulary_lang": pa.repeat(key[1], len(ids)),
        "entry_id": pa.array(ids.astype(np.int32)),
        "entry": entries.take(pa.array(ids)),
        "pool_texts": pa.array(pool.astype(np.int64)),
        "count": pa.array(count.astype(np.float64)),
        "threshold": pa.repeat(pa.scalar(t, pa.float64()), len(ids)),
        "probability": pa.array(np.ones(len(ids)) if t is None else entry_probabilities(count, t)),
        "samples": pa.array(samples.astype(np.int64)),
    }
    return conformed(columns, ENTRY_PROBABILITIES.schema)
