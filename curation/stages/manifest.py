"""manifest: what a training job reads, one row per sample, which joins all that is known of it. One unit per bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import Reason, StageError
from curation.overlap import Overlap, unchanged
from curation.recipe import Decontamination, Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import (
    BALANCED_CAPTIONS,
    CAPTION_SCORES,
    CAPTIONS,
    CHOSEN_CAPTIONS,
    CLIPS,
    MANIFEST,
    MANIFEST_COUNTS,
    MEDIA,
    REJECTIONS,
    SAMPLE_TEXTS,
    SAMPLES,
    SCORES,
    VIDEOS,
    Dataset,
)
from curation.stages.along import BatchesAlong
from curation.stages.buckets import Cursor, bucket_of
from curation.stages.chosen_captions import PartialCounts
from curation.stages.draw import whole_media
from curation.stages.manifest_rows import Held, Known, rows_of, sample_batches
from curation.stages.manifest_texts import (
    OF_CAPTIONS,
    OF_CHOSEN,
    OF_PAIRS,
    SIMILARITIES,
    Batch,
    Pairs,
    Rules,
    texts_of,
)

_ROWS = 8192  # samples of a batch
_INPUTS: tuple[tuple[str, Dataset], ...] = (
    ("samples", SAMPLES), ("samples", SAMPLE_TEXTS), ("fetch", MEDIA), ("fetch", VIDEOS), ("clips", CLIPS),
    ("scores", SCORES), ("captions", CAPTIONS), ("caption_scores", CAPTION_SCORES),
    ("chosen_captions", CHOSEN_CAPTIONS), ("balanced_captions", BALANCED_CAPTIONS),
)  # fmt: skip
_SAME = ("captioner", "kind", "ordinal")
_BALANCED = pa.schema([BALANCED_CAPTIONS.schema.field(name)
                       for name in ("sample_id", "keep_probability", "critical_threshold")])  # fmt: skip


class ManifestStage(UnitStage):
    """A row for every sample that has a text to stand for it, that captions.balance keeps, and that no set has which
    training must not have seen.

    Counts beside the laws': texts:CAPTIONER.KIND, all texts; overlap:SET:KEY, samples that another set has, whether or
    not they are removed; removed:SET, by the first set that removes them; val:MODALITY; licence_known, of samples;
    entry_samples, entries in chosen texts.

    Samples, texts and captions are read along each other, a batch at a time; what is known of media and clips is held
    in memory for one bucket (see Held), and so are the sets of manifest.decontaminate.
    """

    name = "manifest"
    code_version = 2
    about = "bring together what a training job reads: one row per sample"
    after = ("fetch", "samples")
    outputs = (MANIFEST, MANIFEST_COUNTS, REJECTIONS)
    laws = (
        Law(("in:samples",), ("rows:manifest", "without_text", "not_drawn", "removed:*")),
        Law(("rows:manifest",), ("samples:*",)),
        Law(("rows:manifest",), ("split:*",)),
        Law(("rows:manifest",), ("chosen:*",)),
        Law(("rejected:overlap",), ("removed:*",)),
    )

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        clips = () if recipe.clips is None else ("clips", "scores")
        if recipe.captions is None:
            return (*self.after, *clips)
        scored = () if recipe.captions.similarity is None else ("caption_scores",)
        balanced = () if recipe.captions.balance is None else ("balanced_captions",)
        return (*self.after, *clips, "captions", *scored, "chosen_captions", *balanced)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        captions = recipe.captions
        return {
            **recipe.manifest.model_dump(),
            "text_sources": recipe.match.text_sources,
            "text_rule": "best_source" if captions is None else f"captions.{captions.choose.rule}",
        }

    def prepare(self, planning: Planning) -> dict[str, Any]:
        """Reads the sets that samples are held against, so that a changed one is another input."""
        sections = [Decontamination.model_validate(each) for each in planning.settings["decontaminate"]]
        return {"sets": [{"name": name, "content": Overlap.load(*_asked(section)).fingerprint}
                         for name, section in zip(set_names(sections), sections, strict=True)]}  # fmt: skip

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        read = [(stage, dataset) for stage, dataset in _INPUTS if stage in planning.inputs]
        names = sorted(planning.inputs["samples"].reports)
        files: dict[str, dict[str, list[str]]] = {name: {dataset.name: [] for _, dataset in read} for name in names}
        content: dict[str, list[Any]] = {name: [] for name in names}
        for stage, dataset in read:
            for name, report in sorted(planning.inputs[stage].reports.items()):
                if (bucket := bucket_of(name)) in files:
                    files[bucket][dataset.name] += report.paths(dataset.name)
                    content[bucket].append((dataset.name, report.content(dataset.name)))
        same = self._same(planning.settings), context["sets"]
        return [Unit(name, dict(files[name]), self.identity(*same, content[name])) for name in names]

    def _same(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What all units depend on, wherever the other sets lie."""
        sets = settings["decontaminate"]
        told = [{name: value for name, value in each.items() if name != "against"} for each in sets]
        return {**settings, "decontaminate": told}

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        inputs = _Inputs(unit, task)
        counts = PartialCounts(MANIFEST_COUNTS, writer)
        sections = [Decontamination.model_validate(each) for each in task.settings["decontaminate"]]
        sets = [(told["name"], unchanged(*_asked(section), told["content"]), section.remove)
                for told, section in zip(task.context["sets"], sections, strict=True)]  # fmt: skip
        for batch, known, drawn in inputs.batches():
            rows = _without(sets, _rows(batch, known, drawn, task.settings, writer.counts), writer)
            _tell(rows, writer.counts)
            counts.add(rows.filter(pc.is_valid(rows.column("vocabulary_lang"))))
            writer.write(MANIFEST, rows)
        counts.flush()


def set_names(sections: list[Decontamination]) -> list[str]:
    """What counts and rejections call the sets: the last part of their location, numbered where two have the same."""
    names = [section.against.rstrip("/").rpartition("/")[2] or section.against for section in sections]
    return [name if names.count(name) == 1 else f"{name}#{names[:place].count(name) + 1}"
            for place, name in enumerate(names)]  # fmt: skip


def _asked(section: Decontamination) -> tuple[str, Sequence[str], int, int]:
    return section.against, section.by, section.max_distance, section.min_text_chars


class _Inputs:
    """The datasets of one bucket, read along its samples."""

    def __init__(self, unit: Unit, task: Task) -> None:
        self._unit, self._store = unit, task.store
        self._held = Held(task.store, unit.inputs)
        self._pairs = self._along(SAMPLE_TEXTS, "media_id", OF_PAIRS)
        self._captions = self._chosen = self._balanced = None
        if CAPTIONS.name in unit.inputs:
            schema = pa.schema([*OF_CAPTIONS, *SIMILARITIES])
            self._captions = BatchesAlong(self._scored(), "sample_id", schema)
            self._chosen = self._along(CHOSEN_CAPTIONS, "sample_id", OF_CHOSEN)
        if BALANCED_CAPTIONS.name in unit.inputs:
            self._balanced = self._along(BALANCED_CAPTIONS, "sample_id", _BALANCED)

    def _along(self, dataset: Dataset, key: str, schema: pa.Schema) -> BatchesAlong:
        return BatchesAlong(self._store.batches(self._unit.inputs[dataset.name], schema.names, _ROWS), key, schema)

    def batches(self) -> Iterator[tuple[Batch, Known, pa.Table | None]]:
        """Whole media: samples and texts, what else is known of them, and their rows of balanced_captions."""
        paths = self._unit.inputs[SAMPLES.name]
        for samples in whole_media(sample_batches(self._store, paths, _ROWS)):
            table = pa.Table.from_batches([samples])
            last = samples.column("sample_id")[-1].as_py()
            known = self._held.of(table)
            pairs = self._pairs.upto(samples.column("media_id")[-1].as_py())
            captions = None if self._captions is None else self._captions.upto(last)
            chosen = OF_CHOSEN.empty_table() if self._chosen is None else self._chosen.upto(last)
            drawn = None if self._balanced is None else self._balanced.upto(last)
            yield Batch(table, pairs, captions, chosen, known.durations, known.is_video), known, drawn

    def _scored(self) -> Iterator[pa.RecordBatch]:
        """Captions that are texts, with their similarities.

        Raises StageError where the scores are those of other captions.
        """
        paths = self._unit.inputs.get(CAPTION_SCORES.name)
        wanted = [*_SAME, *(field.name for field in SIMILARITIES)]
        scores = None if paths is None else Cursor(self._store.batches(paths, wanted, _ROWS))
        for batch in self._store.batches(self._unit.inputs[CAPTIONS.name], OF_CAPTIONS.names, _ROWS):
            texts = batch.filter(pc.equal(batch.column("status"), "ok"))
            if not texts.num_rows:
                continue
            found = None if scores is None else scores.take(texts.num_rows)
            if found is not None and not all(found.column(name).equals(texts.column(name)) for name in _SAME):
                raise StageError(f"{self._unit.name}: captions and their scores differ: redo in a fresh --work folder")
            for field in SIMILARITIES:
                own = pa.nulls(texts.num_rows, field.type) if found is None else found.column(field.name)
                texts = texts.append_column(field.name, own)
            yield texts
        if scores is not None:
            scores.expect_end()


def _rows(
    batch: Batch, known: Known, drawn: pa.Table | None, settings: dict[str, Any], counts: Counter[str]
) -> pa.RecordBatch:
    """Rows of the samples that have a text and are drawn; counts the others."""
    rules = Rules(settings["text_sources"], settings["text_weights"])
    pairs = Pairs(batch, rules)
    balanced = None
    stays = np.ones(batch.samples.num_rows, bool)
    if drawn is not None:
        balanced = drawn.take(pc.index_in(batch.samples.column("sample_id"), value_set=drawn.column("sample_id")))
        stays = np.asarray(pc.is_valid(balanced.column("sample_id")))
    texts = texts_of(batch, pairs, rules, stays)
    counts["without_text"] += int((~texts.has_text).sum())
    counts["not_drawn"] += int((texts.has_text & ~stays).sum())
    same = {name: settings[name] for name in ("text_rule", "seed", "val_share")}
    return rows_of(batch.samples, known, pairs, texts, balanced, {**same, "stays": stays & texts.has_text})


def _without(sets: list[tuple[str, Overlap, bool]], rows: pa.RecordBatch, writer: UnitWriter) -> pa.RecordBatch:
    """The rows less those that are removed because another set has them; counts and rejects."""
    stays = np.ones(rows.num_rows, bool)
    for name, other, remove in sets:
        found = other.found(rows)
        for entry in pc.value_counts(found.drop_null()).to_pylist():
            writer.counts[f"overlap:{name}:{entry['values']}"] += entry["counts"]
        gone = stays & np.asarray(pc.is_valid(found)) & remove
        keys, ids, media_ids = (column.filter(pa.array(gone)).to_pylist()
                                for column in (found, rows.column("sample_id"), rows.column("media_id")))  # fmt: skip
        for key, sample_id, media_id in zip(keys, ids, media_ids, strict=True):
            writer.reject(Reason.OVERLAP, id=media_id, detail=f"{sample_id} is in {name} by its {key}")
        writer.counts[f"removed:{name}"] += int(gone.sum())
        stays &= ~gone
    return rows if stays.all() else rows.filter(pa.array(stays))


def _tell(rows: pa.RecordBatch, counts: Counter[str]) -> None:
    for what, column in (("samples", "modality"), ("split", "split"), ("chosen", "text_kind")):
        for entry in pc.value_counts(rows.column(column)).to_pylist():
            counts[f"{what}:{entry['values']}"] += entry["counts"]
    texts = rows.column("texts").flatten()
    labels = pc.binary_join_element_wise(pc.struct_field(texts, "captioner"), pc.struct_field(texts, "kind"), ".")
    for entry in pc.value_counts(labels).to_pylist():
        counts[f"texts:{entry['values']}"] += entry["counts"]
    of_val = rows.column("modality").filter(pc.equal(rows.column("split"), "val"))
    for entry in pc.value_counts(of_val).to_pylist():
        counts[f"val:{entry['values']}"] += entry["counts"]
    counts["licence_known"] += len(rows) - rows.column("licence").null_count
    counts["entry_samples"] += len(rows.column("entry_ids").flatten())
