"""draw: what decides at any threshold whether a pair is kept. One unit per media bucket.

A separate stage from balance because it does not depend on any threshold: a changed t starts after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import SALTS, CriticalHistogram, critical_thresholds, hashes, pick_one, uniforms
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import DRAW_HISTOGRAMS, DRAWS, ENTRY_COUNTS, MATCHES
from curation.stages.buckets import BATCH_ROWS
from curation.stages.count import Counts, load_counts

Histogram = dict[tuple[str, str, str], CriticalHistogram]  # (pairs|media, modality, vocabulary_lang)


class Draw(UnitStage):
    """Matches to critical thresholds."""

    name = "draw"
    about = "draw by hash and compute every pair's critical threshold"
    after = ("match", "count")
    outputs = (DRAWS, DRAW_HISTOGRAMS)
    laws = (
        Law(("in:matches",), ("rows:draws",)),
        Law(("rows:draws",), ("histogram_pairs", "not_picked")),
    )

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {**recipe.draw.model_dump(), "pool_modalities": recipe.count.pool_modalities}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        count = planning.inputs["count"]
        sizes = {lang: facts["entries"] for lang, facts in count.context["vocabularies"].items()}
        return {"entry_counts": count.paths(ENTRY_COUNTS.name), "sizes": sizes}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        counts = planning.inputs["count"].content(ENTRY_COUNTS.name)
        return [
            Unit(
                name,
                {"matches": report.paths(MATCHES.name)},
                self.identity(planning.settings, counts, report.content(MATCHES.name)),
            )
            for name, report in sorted(planning.inputs["match"].reports.items())
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        counts = task_counts(task)
        histogram: Histogram = {}
        for batch in whole_media(task.store.batches(unit.inputs["matches"], MATCHES.columns, BATCH_ROWS)):
            draws = _draws(batch, counts, task.settings)
            writer.counts["not_picked"] += draws.num_rows - draws.column("picked").true_count
            writer.write(DRAWS, draws)
            tally(draws, histogram)
        _write_histogram(histogram, writer)


def task_counts(task: Task) -> Counts:
    """The pool's counts on a worker."""
    sizes = tuple(sorted(task.context["sizes"].items()))
    return load_counts(task.store, tuple(task.context["entry_counts"]), sizes, task.settings["pool_modalities"])


def whole_media(batches: Iterator[pa.RecordBatch], key: str = "media_id") -> Iterator[pa.RecordBatch]:
    """The same rows in batches that never cut a media's rows apart (a media has few: see pairs.placeholder_texts)."""
    held: pa.RecordBatch | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        joined = batch if held is None else pa.concat_batches([held, batch])
        media = joined.column(key)
        start = pc.index(media, media[-1]).as_py()
        if start:
            yield joined.slice(0, start)
        held = joined.slice(start)
    if held is not None:
        yield held


def media_starts(media_ids: pa.Array) -> np.ndarray[Any, Any]:
    """Positions at which a new media begins; int64."""
    changes = np.asarray(pc.not_equal(media_ids.slice(1), media_ids.slice(0, max(0, len(media_ids) - 1))))
    return np.concatenate([[0], np.flatnonzero(changes) + 1]) if len(media_ids) else np.zeros(0, np.int64)


def flat_entries(
    batch: pa.RecordBatch, counts: Counts
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], dict[tuple[str, str], int]]:
    """Entry ids of all rows in one numbering over all (modality, language): offsets, ids, and where each one begins."""
    begins: dict[tuple[str, str], int] = {}
    total = 0
    for key, array in sorted(counts.items()):
        begins[key] = total
        total += len(array)
    lists = batch.column("entry_ids")
    lengths = np.asarray(pc.list_value_length(lists)).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    base = np.zeros(batch.num_rows, np.int64)
    for (modality, lang), begin in begins.items():
        base[row_mask(batch, modality, lang)] = begin
    return offsets, np.asarray(lists.flatten()).astype(np.int64) + np.repeat(base, lengths), begins


def row_mask(batch: pa.RecordBatch, modality: str, lang: str) -> np.ndarray[Any, Any]:
    """Rows of one (modality, vocabulary_lang)."""
    same = pc.and_(pc.equal(batch.column("modality"), modality), pc.equal(batch.column("vocabulary_lang"), lang))
    return np.asarray(same)


def drawn(batch: pa.RecordBatch, counts: Counts, seed: int, salt: str = "draw") -> np.ndarray[Any, Any]:
    """The critical threshold of each row by some counts. The draw itself depends on pair_id, seed and salt alone."""
    offsets, entries, _ = flat_entries(batch, counts)
    flat = np.concatenate([array for _, array in sorted(counts.items())])
    return critical_thresholds(offsets, entries, flat, uniforms(batch.column("pair_id"), seed, SALTS[salt]))


def _draws(batch: pa.RecordBatch, counts: Counts, settings: dict[str, Any]) -> pa.RecordBatch:
    critical = drawn(batch, counts, settings["seed"])
    picked = np.ones(batch.num_rows, bool)
    if settings["texts_per_media"] != "all":
        order = hashes(batch.column("pair_id"), settings["seed"], SALTS["pick"])
        choice = np.ones(batch.num_rows, bool) if settings["texts_per_media"] == "one" else _best_sources(batch)
        mask = pa.array(choice)
        media, pairs = (batch.column(name).filter(mask) for name in ("media_id", "pair_id"))
        picked = choice.copy()
        picked[choice] = pick_one(media, order[choice], pairs)
    columns = [batch.column(name) for name in ("pair_id", "media_id", "modality", "vocabulary_lang")]
    critical = np.where(picked, critical, np.inf)
    return pa.RecordBatch.from_arrays([*columns, pa.array(picked), pa.array(critical)], schema=DRAWS.schema)


def _best_sources(batch: pa.RecordBatch) -> np.ndarray[Any, Any]:
    """Of each media, the rows with its best text source."""
    ranks = np.asarray(batch.column("source_rank"))
    starts = media_starts(batch.column("media_id"))
    best = np.minimum.reduceat(ranks, starts) if len(starts) else ranks
    return np.asarray(ranks == np.repeat(best, np.diff(starts, append=len(ranks))))


def tally(draws: pa.RecordBatch, histogram: Histogram) -> None:
    """Adds pairs, and each media's smallest critical threshold, to the histograms."""
    for lang in pc.unique(draws.column("vocabulary_lang")).to_pylist():
        for modality in pc.unique(draws.column("modality")).to_pylist():
            part = draws.filter(pa.array(row_mask(draws, modality, lang)))
            if not part.num_rows:
                continue
            critical = np.asarray(part.column("critical_threshold"))
            media = np.minimum.reduceat(critical, media_starts(part.column("media_id")))
            for unit, values in (("pairs", critical), ("media", media)):
                key = (unit, modality, lang)
                found = CriticalHistogram.from_values(values[np.isfinite(values)])
                histogram[key] = histogram[key] + found if key in histogram else found


def _write_histogram(histogram: Histogram, writer: UnitWriter) -> None:
    for modality, lang in sorted({key[1:] for key in histogram}):
        pairs, media = (histogram[unit, modality, lang].counts for unit in ("pairs", "media"))
        bins = np.flatnonzero((pairs > 0) | (media > 0))
        writer.counts["histogram_pairs"] += int(pairs.sum())
        writer.write(
            DRAW_HISTOGRAMS,
            pa.RecordBatch.from_arrays(
                [
                    pa.repeat(pa.scalar(modality, pa.string()), len(bins)),
                    pa.repeat(pa.scalar(lang, pa.string()), len(bins)),
                    pa.array(bins.astype(np.int32)),
                    pa.array(pairs[bins]),
                    pa.array(media[bins]),
                ],
                schema=DRAW_HISTOGRAMS.schema,
            ),
        )
