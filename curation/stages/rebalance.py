"""rebalance: the selection after losses. One unit per media bucket.

What fetching lost and what copies stand for thins some concepts more than others, so thresholds are solved anew. The
counts they follow from are those of the pool times the share of each entry's texts that survived, in which a pair
counts 1 / keep_before times: once for itself and once for each of its like that was not drawn. Counting the survivors
themselves would thin the head twice.

These counts are real numbers and stay so: entries that were not thinned have whole ones, and rounding the others would
only add to their error. Draws are those of before: the same u, from pair_id and seed, is held against the new keep
probability, which is at most the old one. So a pair stays where its new critical threshold is at most the new t.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from curation.balance import keep_probabilities
from curation.digests import digest
from curation.errors import BalanceError
from curation.recipe import Rebalance as RebalanceSection
from curation.recipe import Recipe, Target
from curation.runner.stage import Law, Manifest, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import ENTRY_COUNTS, FINAL_PAIRS, KEPT_PAIRS, SURVIVOR_COUNTS, SURVIVORS
from curation.stages.buckets import BATCH_ROWS, Followers, conformed
from curation.stages.count import Counts, load_counts, sum_counts
from curation.stages.draw import Histogram, drawn, flat_entries, media_starts, tally, whole_media
from curation.stages.match import groups, taken
from curation.stages.pools import Pool, Thresholds, summed_histograms
from curation.stages.thresholds import Solved, pool_probabilities, row_thresholds, solve_pool
from curation.storage import Store

_WEIGHTS = pa.schema([field for field in SURVIVOR_COUNTS.schema if field.name not in ("texts", "kept_weight")])
_WAYS = ("t", "tail_share", "target")
_OF_KEPT = (
    "text", "text_sources", "lang", "start_ms", "end_ms", "platform", "platform_id", "licence", "upload_date",
    "page_url", "snapshot", "archive", "record_offset",
)  # fmt: skip


class Rebalance(UnitStage):
    """Keeps a survivor where its critical threshold by the counts after losses is at most its language's threshold.

    Where the recipe asks for no thresholds all survivors stay, with the probability that balance's thresholds give.
    Counts beside the laws': survivors:MODALITY/LANG and clamped:MODALITY/LANG (see clamped_shares),
    final_pairs:MODALITY, and final_media:MODALITY, the media that a final text was said about.
    """

    name = "rebalance"
    about = "balance what is left by the counts after losses"
    after = ("count", "balance", "survive")
    outputs = (FINAL_PAIRS,)
    laws = (
        Law(("in:survivors",), ("rows:final_pairs", "not_drawn")),
        Law(("rows:final_pairs",), ("final_pairs:*",)),
    )

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        section = recipe.rebalance
        if section.target is not None and section.target == recipe.balance.target:
            section = section.model_copy(update={"target": _after_losses(section.target)})
        return {**section.model_dump(), "pool_modalities": recipe.count.pool_modalities, "seed": recipe.draw.seed}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        settings = {name: planning.settings[name] for name in RebalanceSection.model_fields}
        section = RebalanceSection.model_validate(settings)
        weights = Weights(
            planning.store,
            _summed(planning),
            tuple(sorted(planning.inputs["balance"].context["sizes"].items())),
            planning.settings["pool_modalities"],
            planning.settings["seed"],
        )
        solved = _solved(planning, section, weights)
        return {"counts": weights.path, "sizes": dict(weights.sizes), **solved.to_context()}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        survivors, kept = (planning.inputs[name].reports for name in ("survive", "balance"))
        is_cut = any(planning.settings[way] is not None for way in _WAYS)
        content = planning.settings["seed"], planning.settings["pool_modalities"], is_cut, context["counts"]
        return [
            Unit(
                name,
                {"survivors": report.paths(SURVIVORS.name), "kept_pairs": kept[name].paths(KEPT_PAIRS.name)},
                self.identity(
                    *content,
                    context["thresholds"],
                    report.content(SURVIVORS.name),
                    kept[name].content(KEPT_PAIRS.name),
                ),
            )
            for name, report in sorted(survivors.items())
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        final = Followers(_final(unit, task, writer))
        for kept in task.store.batches(unit.inputs["kept_pairs"], ["pair_id", *_OF_KEPT], BATCH_ROWS):
            chosen, positions = final.of(kept.column("pair_id"))
            if chosen is not None:
                source = {name: kept.column(name).take(positions) for name in _OF_KEPT}
                source.update({name: chosen.column(name) for name in chosen.schema.names})
                writer.write(FINAL_PAIRS, conformed(source, FINAL_PAIRS.schema))
        final.expect_end()


def clamped_shares(rebalance: Manifest) -> dict[str, dict[str, float]]:
    """Modality -> language -> share of survivors that should be kept more often than they were drawn before the fetch.

    Of those no more can be had without drawing anew at a higher threshold of balance.
    """
    shares: dict[str, dict[str, float]] = {}
    for name, survivors in rebalance.counts.items():
        if name.startswith("survivors:"):
            modality, lang = name.removeprefix("survivors:").split("/", 1)
            clamped = rebalance.counts.get(f"clamped:{modality}/{lang}", 0)
            shares.setdefault(modality, {})[lang] = clamped / survivors
    return shares


@dataclass(frozen=True)
class Weights:
    """Where the counts after losses lie, how they are read, and the critical thresholds that follow; for workers."""

    store: Store
    path: str
    sizes: tuple[tuple[str, int], ...]
    pool_modalities: bool
    seed: int

    @classmethod
    def of(cls, task: Task) -> Weights:
        settings, sizes = task.settings, tuple(sorted(task.context["sizes"].items()))
        return cls(task.store, task.context["counts"], sizes, settings["pool_modalities"], settings["seed"])

    def counts(self) -> Counts:
        """float64 estimates of the texts per entry that the pool would have after the same losses."""
        return load_counts(self.store, (self.path,), self.sizes, self.pool_modalities, "weight")

    def read(self, paths: list[str]) -> Iterator[pa.RecordBatch]:
        """Survivors with their new critical_threshold."""
        for batch in self.store.batches(paths, SURVIVORS.columns, BATCH_ROWS):
            yield batch.append_column("critical_threshold", pa.array(drawn(batch, self.counts(), self.seed)))

    def histogram(self, paths: list[str]) -> Histogram:
        found: Histogram = {}
        for batch in whole_media(self.read(paths)):
            tally(batch, found)
        return found


def _after_losses(target: Any) -> Any:
    """The target of balance as one of rebalance: the expected losses have come to pass."""
    if isinstance(target, Target):
        return target.model_copy(update={"survival": 1.0})
    return {modality: _after_losses(one) for modality, one in target.items()}


def _summed(planning: Planning) -> str:
    """Path of the counts after losses, summed over all buckets once, so that no worker does it again."""
    survive, count = planning.inputs["survive"], planning.inputs["count"]
    content = survive.content(SURVIVOR_COUNTS.name), count.content(ENTRY_COUNTS.name)
    path = f"_runs/rebalance/counts/{digest(content)}.parquet"
    if planning.store.size(path) is None:
        sizes = planning.inputs["balance"].context["sizes"]
        pool = sum_counts(planning.store, count.paths(ENTRY_COUNTS.name), sizes)
        left, kept = (
            sum_counts(planning.store, survive.paths(SURVIVOR_COUNTS.name), sizes, name)
            for name in ("weight", "kept_weight")
        )
        sums = {key: pool[key] * left[key] / np.where(kept[key] > 0, kept[key], 1.0) for key in left}
        parts = [
            pa.table(
                {
                    "modality": pa.repeat(modality, len(ids)),
                    "vocabulary_lang": pa.repeat(lang, len(ids)),
                    "entry_id": pa.array(ids.astype(np.int32)),
                    "weight": pa.array(total[ids]),
                }
            ).cast(_WEIGHTS)
            for (modality, lang), total in sorted(sums.items())
            for ids in [np.flatnonzero(total)]
        ]
        planning.store.put_table(path, pa.concat_tables([*parts, _WEIGHTS.empty_table()]))
    return path


def _solved(planning: Planning, section: RebalanceSection, weights: Weights) -> Solved:
    """Thresholds after losses, none of them above balance's."""
    before = planning.inputs["balance"].context
    limits: Thresholds = before["thresholds"]
    counts = weights.counts()
    if not counts or all(getattr(section, way) is None for way in _WAYS):
        notes = [] if counts else ["no kept pair survived: see the counts of survive, and the errors in media"]
        return Solved(limits, before["tail_shares"], notes=notes)
    survive = planning.inputs["survive"]
    reports = [report for _, report in sorted(survive.reports.items()) if report.rows(SURVIVORS.name)]
    parts = [report.paths(SURVIVORS.name) for report in reports]
    pool = Pool(
        counts,
        [weights.path, weights.pool_modalities, weights.seed, survive.content(SURVIVORS.name)],
        partial(summed_histograms, planning.require_engine, weights.histogram, parts),
        parts,
        weights.read,
        planning.require_engine,
        limits,
    )
    solved = solve_pool(pool, section, planning.store)
    for modality, of_lang in solved.thresholds.items():
        asked = section.t is not None or solved.tail_shares[modality] > before["tail_shares"][modality]
        _limit(modality, of_lang, limits[modality], section.pivot if asked and section.target is None else None, solved)
    return solved


def _limit(modality: str, found: dict[str, float], limits: dict[str, float], pivot: str | None, solved: Solved) -> None:
    """Lowers thresholds to balance's. Raises BalanceError where the pivot's, which was asked for, is above its own.

    What other languages take follows from counts that are estimates, and may be a little above.
    """
    above = [lang for lang, t in found.items() if t > limits[lang]]
    leading = pivot if pivot in found else max(found, key=lambda lang: found[lang] / limits[lang])
    if pivot is not None and leading in above:
        raise BalanceError(
            f"rebalance wants t={found[leading]:,.6g} for {modality} texts in {leading}, but balance drew them at "
            f"t={limits[leading]:,.6g}, and what it did not draw was not fetched: give rebalance at most that, or "
            "balance more"
        )
    if above:
        named = ", ".join(f"{lang} ({found[lang]:,.6g}, drawn at {limits[lang]:,.6g})" for lang in above)
        solved.notes.append(f"thresholds of {modality} above balance's are lowered to them: {named}")
        found.update({lang: limits[lang] for lang in above})


def _final(unit: Unit, task: Task, writer: UnitWriter) -> Iterator[pa.RecordBatch]:
    """Final rows, all columns but those of kept_pairs; counts what does not stay."""
    weights, thresholds = Weights.of(task), task.context["thresholds"]
    probabilities = pool_probabilities(weights.counts(), thresholds)
    is_cut = any(task.settings[way] is not None for way in _WAYS)
    for rows in whole_media(weights.read(unit.inputs["survivors"])):
        offsets, entries, _ = flat_entries(rows, weights.counts())
        wanted, before = keep_probabilities(offsets, entries, probabilities), np.asarray(rows.column("keep_before"))
        critical = np.asarray(rows.column("critical_threshold"))
        stays = critical <= row_thresholds(rows, thresholds) if is_cut else np.ones(len(critical), bool)
        _count(rows, wanted > before, stays, writer)
        source = {name: rows.column(name) for name in rows.schema.names}
        source["media_id"], source["text_media_id"] = rows.column("kept_media_id"), rows.column("media_id")
        source["keep_probability"] = pa.array(np.minimum(wanted, before))
        names = [name for name in FINAL_PAIRS.columns if name in source]
        yield pa.RecordBatch.from_arrays([source[name] for name in names], names=names).filter(pa.array(stays))


def _count(
    rows: pa.RecordBatch, clamped: np.ndarray[Any, Any], stays: np.ndarray[Any, Any], writer: UnitWriter
) -> None:
    writer.counts["not_drawn"] += int((~stays).sum())
    for modality, of_modality in groups(rows.column("modality")):
        ids, kept = taken(rows.column("media_id"), of_modality), stays[of_modality]
        writer.counts[f"final_pairs:{modality}"] += int(kept.sum())
        media = np.logical_or.reduceat(kept, media_starts(ids)) if len(kept) else kept
        writer.counts[f"final_media:{modality}"] += int(media.sum())
        for lang, of_both in groups(taken(rows.column("vocabulary_lang"), of_modality)):
            writer.counts[f"survivors:{modality}/{lang}"] += len(of_both)
            writer.counts[f"clamped:{modality}/{lang}"] += int(clamped[of_modality][of_both].sum())
