"""chosen_captions: of every sample's captions the one that stands for it, and the entries in all of them.

One unit per media bucket. Nothing is captioned or embedded anew for another rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.captions.selection import BINS, cutoff_bin, cutoff_in, lower_histogram, upper_histogram
from curation.errors import StageError
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CAPTION_COUNTS, CAPTION_SCORES, CAPTIONS, CHOSEN_CAPTIONS, CHOSEN_COUNTS, Dataset
from curation.stages.buckets import BATCH_ROWS, Cursor, conformed
from curation.stages.captions import section_of
from curation.stages.draw import media_starts, whole_media
from curation.stages.match import matched_entries, vocabulary_langs
from curation.storage import Store

_COLUMNS = [name for name in CHOSEN_CAPTIONS.columns if name in CAPTIONS.columns]
_READ = [*_COLUMNS, "status"]
_SAME = ["pair_id", "captioner", "kind", "ordinal"]
"""Columns that are the same in a caption and its score."""
_OF_CUTOFF = ["captioner", "kind", "start_ms", "similarity"]
_NO_RANK = np.iinfo(np.int32).max
NO_CUTOFF = -2.0
"""No cosine is below, whatever its rounding."""
_HELD = 1 << 19
"""Rows of counts in memory: 40 MB."""


class ChosenCaptions(UnitStage):
    """The first in `choose.order`, or the one most like its picture, as the rule has it.

    Counts, by CAPTIONER.KIND: texts, matched (that hold an entry), entry_matches, chosen; chosen_matched: samples whose
    chosen caption holds an entry; without: samples that have none.
    """

    name = "chosen_captions"
    about = "choose the caption that stands for each sample, and match all of them"
    after = ("match", "captions")
    outputs = (CHOSEN_CAPTIONS, CAPTION_COUNTS, CHOSEN_COUNTS)
    laws = (
        Law(("captions.samples",), ("rows:chosen_captions", "without")),
        Law(("captions.texts",), ("texts:*",)),
        Law(("rows:chosen_captions",), ("chosen:*",)),
    )

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        return self.after if section_of(recipe).similarity is None else (*self.after, "caption_scores")

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        section = section_of(recipe)
        order = section.wanted_order()
        return {**section.choose.model_dump(), "order": order, "named": bool(section.choose.order)}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        match = planning.inputs["match"]
        return {
            "vocabularies": match.context["vocabularies"],
            "match": match.settings,
            "cutoff": _cutoff(planning) if planning.settings["top"] is not None else None,
        }

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        scores = planning.inputs.get("caption_scores")
        prints = {lang: facts["fingerprint"] for lang, facts in context["vocabularies"].items()}
        units = []
        for name, report in sorted(planning.inputs["captions"].reports.items()):
            scored = None if scores is None else scores.reports.get(name)
            inputs = {
                "captions": report.paths(CAPTIONS.name),
                "scores": None if scored is None else scored.paths(CAPTION_SCORES.name),
                "samples": report.counts["samples"],
            }
            content = [report.content(CAPTIONS.name), None if scored is None else scored.content(CAPTION_SCORES.name)]
            same = planning.settings, context["cutoff"], prints, context["match"], report.counts["samples"]
            units.append(Unit(name, inputs, self.identity(*same, *content)))
        return units

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        as_match = replace(task, settings=task.context["match"])
        counts, chosen_counts = PartialCounts(CAPTION_COUNTS, writer), PartialCounts(CHOSEN_COUNTS, writer)
        chosen = 0
        for batch in _scored(task.store, unit):
            langs = vocabulary_langs(batch.column("lang"), as_match)
            entries = _filled(matched_entries(batch, langs, as_match))
            rows = batch.append_column("vocabulary_lang", langs).append_column("entry_ids", entries)
            _tell(rows, writer)
            counts.add(rows)
            found = _chosen(rows, task)
            chosen += found.num_rows
            for label in pc.value_counts(_labels(found)).to_pylist():
                writer.counts[f"chosen:{label['values']}"] += label["counts"]
            writer.counts["chosen_matched"] += pc.greater(pc.list_value_length(found["entry_ids"]), 0).true_count
            chosen_counts.add(found)
            writer.write(CHOSEN_CAPTIONS, conformed({name: found[name] for name in found.schema.names},
                                                    CHOSEN_CAPTIONS.schema))  # fmt: skip
        writer.counts["without"] += unit.inputs["samples"] - chosen
        counts.flush()
        chosen_counts.flush()


def _scored(store: Store, unit: Unit) -> Iterator[pa.RecordBatch]:
    """Captions that are texts, with their similarity, in batches of whole samples.

    Raises StageError where the scores are those of other captions.
    """
    paths = unit.inputs["scores"]
    scores = None if paths is None else Cursor(store.batches(paths, [*_SAME, "similarity"], BATCH_ROWS))
    for batch in whole_media(store.batches(unit.inputs["captions"], _READ, BATCH_ROWS), "sample_id"):
        texts = batch.filter(pc.equal(batch.column("status"), "ok")).select(_COLUMNS)
        if not texts.num_rows:
            continue
        similarity = pa.nulls(texts.num_rows, pa.float32())
        if scores is not None:
            found = scores.take(texts.num_rows)
            if not all(found.column(name).equals(texts.column(name)) for name in _SAME):
                raise StageError(f"{unit.name}: captions and caption_scores differ: redo in a fresh --work folder")
            similarity = found.column("similarity")
        yield texts.append_column("similarity", similarity)
    if scores is not None:
        scores.expect_end()


def _filled(entries: pa.Array) -> pa.Array:
    """Lists, empty where there is no vocabulary."""
    return pc.fill_null(entries, pa.scalar([], entries.type))


def _labels(rows: pa.RecordBatch) -> pa.Array:
    """CAPTIONER.KIND of each."""
    return pc.binary_join_element_wise(rows.column("captioner"), rows.column("kind"), ".")


def _tell(rows: pa.RecordBatch, writer: UnitWriter) -> None:
    """Counts texts, those that hold an entry, and entries in them."""
    entries = pc.list_value_length(rows.column("entry_ids"))
    told = pa.table({"label": _labels(rows), "matched": pc.greater(entries, 0), "entries": entries})
    sums = told.group_by("label").aggregate([([], "count_all"), ("matched", "sum"), ("entries", "sum")])
    for row in sums.to_pylist():
        writer.counts[f"texts:{row['label']}"] += row["count_all"]
        writer.counts[f"matched:{row['label']}"] += row["matched_sum"]
        writer.counts[f"entry_matches:{row['label']}"] += row["entries_sum"]


class PartialCounts:
    """Texts per entry and what else a dataset counts by; its last column is their number. In memory are those that
    occur, and no more than _HELD: a vocabulary has half a million entries, and every captioner, kind, modality and
    language its own counts.
    """

    def __init__(self, dataset: Dataset, writer: UnitWriter) -> None:
        self._dataset, self._writer = dataset, writer
        *self._by, self._number = dataset.columns
        self._parts: list[pa.Table] = []

    def add(self, rows: pa.RecordBatch) -> None:
        """rows: with entry_ids."""
        entries = rows.column("entry_ids")
        places = pc.list_parent_indices(entries)
        columns = {name: rows.column(name).take(places) for name in self._by if name != "entry_id"}
        ones = pa.repeat(pa.scalar(1, pa.int64()), len(places))
        self._parts.append(self._summed(pa.table({**columns, "entry_id": entries.flatten(), self._number: ones})))
        if sum(part.num_rows for part in self._parts) > _HELD:
            self._parts = [self._summed(pa.concat_tables(self._parts))]
            if self._parts[0].num_rows > _HELD // 2:  # or every further batch would sum all of them again
                self.flush()

    def flush(self) -> None:
        """Writes what was added since the last time, in a fixed order."""
        if self._parts:
            total = self._summed(pa.concat_tables(self._parts)).sort_by([(name, "ascending") for name in self._by])
            for batch in total.combine_chunks().to_batches():
                columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                self._writer.write(self._dataset, conformed(columns, self._dataset.schema))
        self._parts = []

    def _summed(self, counts: pa.Table) -> pa.Table:
        sums = counts.group_by(self._by).aggregate([(self._number, "sum")])
        return sums.rename_columns([name.removesuffix("_sum") for name in sums.schema.names])


def _chosen(rows: pa.RecordBatch, task: Task) -> pa.RecordBatch:
    """Of each sample the caption that stands for it, with the number of those that it was chosen from."""
    settings = task.settings
    ranks = _ranks(rows, settings)
    scores = np.asarray(pc.fill_null(rows.column("similarity"), np.nan), np.float32)
    able = ranks < _NO_RANK
    for least in (settings["min_score"], task.context["cutoff"]):
        if least is not None:
            with np.errstate(invalid="ignore"):
                able &= scores >= np.float32(least)
    starts = media_starts(rows.column("sample_id"))
    samples = np.repeat(np.arange(len(starts)), np.diff(starts, append=rows.num_rows))
    places = np.flatnonzero(able)
    by_score = np.where(np.isnan(scores), -np.inf, scores) if settings["rule"] == "score" else np.zeros(len(scores))
    places = places[np.lexsort((places, ranks[places], -by_score[places], samples[places]))]
    first = np.ones(len(places), bool)
    first[1:] = samples[places[1:]] != samples[places[:-1]]
    candidates = np.bincount(samples[places], minlength=len(starts))
    best = places[first]
    found = rows.take(pa.array(best))
    return found.append_column("candidates", pa.array(candidates[samples[best]].astype(np.int32)))


def _ranks(rows: pa.RecordBatch, settings: dict[str, Any]) -> npt.NDArray[np.int32]:
    """Place of each caption in the order; _NO_RANK where it is none of those that are chosen from.

    Without an order, captions of a part of the sample are none: whoever wants them names them.
    """
    order = pa.array(settings["order"], pa.string())
    places = [np.asarray(pc.fill_null(pc.index_in(column, value_set=order), _NO_RANK)).astype(np.int32)
              for column in (rows.column("captioner"), _labels(rows))]  # fmt: skip
    ranks = np.minimum(*places)
    if settings["named"]:
        return ranks
    is_part = np.asarray(pc.is_valid(rows.column("start_ms")))
    return np.where(is_part, np.int32(_NO_RANK), ranks)


def _cutoff(planning: Planning) -> float:
    """The similarity of the caption at place `top` of all that may be chosen; two readings of the scores."""
    reports = sorted(planning.inputs["caption_scores"].reports.items())
    parts = [report.paths(CAPTION_SCORES.name) for _, report in reports]
    engine = planning.require_engine()
    settings = planning.settings

    def total(bin_: int | None) -> npt.NDArray[np.int64]:
        histograms = engine.map(partial(_histogram, planning.store, settings, bin_), parts)
        found: npt.NDArray[np.int64] = np.sum([np.zeros(BINS, np.int64), *histograms], axis=0)
        return found

    bin_, place = cutoff_bin(total(None), settings["top"])
    return NO_CUTOFF if bin_ is None else cutoff_in(bin_, total(bin_), place)


def _histogram(
    store: Store, settings: dict[str, Any], bin_: int | None, paths: list[str]
) -> npt.NDArray[np.int64]:
    """Of the similarities of captions that may be chosen."""
    total = np.zeros(BINS, np.int64)
    for batch in store.batches(paths, _OF_CUTOFF):
        able = pa.array(_ranks(batch, settings) < _NO_RANK)
        scores = np.asarray(batch.column("similarity").filter(able).drop_null(), np.float32)
        total += upper_histogram(scores) if bin_ is None else lower_histogram(scores, bin_)
    return total
