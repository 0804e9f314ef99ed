"""balanced_captions: samples balanced once more, by the entries in their chosen captions. One unit per media bucket.

The chosen captions are a pool of their own: counted as they are, with thresholds of their own and, as the samples were
drawn before, a draw of its own (another salt).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import keep_probabilities, pair_ids
from curation.errors import BalanceError
from curation.recipe import Balance, Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import BALANCED_CAPTIONS, CHOSEN_CAPTIONS, CHOSEN_COUNTS
from curation.stages.buckets import BATCH_ROWS, conformed
from curation.stages.captions import section_of
from curation.stages.count import Counts, load_counts
from curation.stages.draw import Histogram, drawn, flat_entries, tally, whole_media
from curation.stages.pools import Pool, summed_histograms
from curation.stages.thresholds import Solved, pool_probabilities, row_thresholds, solve_pool
from curation.storage import Store

_SALT = "recaption"
_READ = ["pair_id", "text_media_id", "sample_id", "media_id", "modality", "vocabulary_lang", "entry_ids"]


class BalancedCaptions(UnitStage):
    """Keeps a sample where its critical threshold by the counts of chosen captions is at most its language's threshold.

    Samples whose caption holds no entry are left out (unmatched), as pairs are. Counts: balanced:MODALITY.
    """

    name = "balanced_captions"
    about = "balance the samples by their chosen captions"
    after = ("match", "chosen_captions")
    outputs = (BALANCED_CAPTIONS,)
    laws = (
        Law(("in:chosen_captions",), ("rows:balanced_captions", "not_drawn", "unmatched")),
        Law(("rows:balanced_captions",), ("balanced:*",)),
    )

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        section = section_of(recipe).balance or Balance()
        return {**section.model_dump(), "pool_modalities": recipe.count.pool_modalities, "seed": recipe.draw.seed}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        section = Balance.model_validate({name: planning.settings[name] for name in Balance.model_fields})
        match, chosen = planning.inputs["match"], planning.inputs["chosen_captions"]
        draws = Draws(
            planning.store,
            tuple(chosen.paths(CHOSEN_COUNTS.name)),
            tuple(sorted((lang, facts["entries"]) for lang, facts in match.context["vocabularies"].items())),
            planning.settings["pool_modalities"],
            planning.settings["seed"],
        )
        parts = [report.paths(CHOSEN_CAPTIONS.name) for _, report in sorted(chosen.reports.items())]
        content = [draws.pool_modalities, draws.seed, chosen.content(CHOSEN_CAPTIONS.name)]
        pool = Pool(
            draws.counts(),
            content,
            partial(summed_histograms, planning.require_engine, draws.histogram, parts),
            parts,
            draws.read,
            planning.require_engine,
        )
        if not pool.counts:
            raise BalanceError("no chosen caption holds an entry: see the coverage on the card, or leave out "
                               "captions.balance")  # fmt: skip
        solved: Solved = solve_pool(pool, section, planning.store)
        return {"counts": list(draws.paths), "sizes": dict(draws.sizes), **solved.to_context()}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        same = planning.settings["seed"], planning.settings["pool_modalities"], context["thresholds"]
        counts = planning.inputs["chosen_captions"].content(CHOSEN_COUNTS.name)
        return [
            Unit(
                name,
                {"chosen": report.paths(CHOSEN_CAPTIONS.name)},
                self.identity(*same, counts, report.content(CHOSEN_CAPTIONS.name)),
            )
            for name, report in sorted(planning.inputs["chosen_captions"].reports.items())
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        draws, thresholds = Draws.of(task), task.context["thresholds"]
        probabilities = pool_probabilities(draws.counts(), thresholds)
        for batch in task.store.batches(unit.inputs["chosen"], ["entry_ids"], BATCH_ROWS):
            writer.counts["unmatched"] += batch.num_rows - _holding(batch).true_count
        for rows in draws.critical(unit.inputs["chosen"]):
            offsets, entries, _ = flat_entries(rows, draws.counts())
            columns = {name: rows.column(name) for name in rows.schema.names}
            columns["keep_probability"] = pa.array(keep_probabilities(offsets, entries, probabilities))
            stays = np.asarray(rows.column("critical_threshold")) <= row_thresholds(rows, thresholds)
            writer.counts["not_drawn"] += int((~stays).sum())
            kept = conformed(columns, BALANCED_CAPTIONS.schema).filter(pa.array(stays))
            for entry in pc.value_counts(kept.column("modality")).to_pylist():
                writer.counts[f"balanced:{entry['values']}"] += entry["counts"]
            writer.write(BALANCED_CAPTIONS, kept)


@dataclass(frozen=True)
class Draws:
    """How chosen captions are drawn; for workers."""

    store: Store
    paths: tuple[str, ...]
    sizes: tuple[tuple[str, int], ...]
    pool_modalities: bool
    seed: int

    @classmethod
    def of(cls, task: Task) -> Draws:
        settings, sizes = task.settings, tuple(sorted(task.context["sizes"].items()))
        return cls(task.store, tuple(task.context["counts"]), sizes, settings["pool_modalities"], settings["seed"])

    def counts(self) -> Counts:
        """Chosen captions per entry."""
        return load_counts(self.store, self.paths, self.sizes, self.pool_modalities)

    def critical(self, paths: list[str]) -> Iterator[pa.RecordBatch]:
        """Chosen captions that hold an entry, with their critical_threshold."""
        for batch in self.store.batches(paths, _READ, BATCH_ROWS):
            rows = batch.filter(_holding(batch))
            if rows.num_rows:
                found = drawn(_by_sample(rows), self.counts(), self.seed, _SALT)
                yield rows.append_column("critical_threshold", pa.array(found))

    def read(self, paths: list[str]) -> Iterator[pa.RecordBatch]:
        """As pools read draws: what they call a media is a sample."""
        for batch in self.critical(paths):
            at = batch.schema.names.index("media_id")
            yield batch.set_column(at, "media_id", batch.column("sample_id"))

    def histogram(self, paths: list[str]) -> Histogram:
        found: Histogram = {}
        for batch in whole_media(self.read(paths)):
            tally(batch, found)
        return found


def _by_sample(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with an id of sample and caption for that of the caption, which all clips of a video may share: each is
    drawn by itself.
    """
    ids = pair_ids(rows.column("sample_id"), rows.column("pair_id"))
    return rows.set_column(rows.schema.names.index("pair_id"), "pair_id", ids)


def _holding(batch: pa.RecordBatch) -> pa.BooleanArray:
    return pc.greater(pc.list_value_length(batch.column("entry_ids")), 0)
