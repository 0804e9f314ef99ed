"""samples: what is trained on, with the texts of the final pairs. One unit per media bucket.

Texts lie in the bucket of the media that they were said about. Those of a copy whose bytes lie in another bucket are
all that is shuffled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, ShuffleStage, Task
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import CLIPS, FINAL_PAIRS, KEPT_CLIPS, MEDIA, SAMPLE_TEXTS, SAMPLES, VIDEOS
from curation.stages.buckets import BATCH_ROWS, bucket_numbers, bucket_of, conformed
from curation.stages.ledger import media_extension
from curation.storage import Store

_BYTES = ("path", "offset", "size_bytes", "stored_sha256", "width", "height")
_OF_MEDIA = ["media_id", "media_bucket", "modality", "status", "stored_mime", *_BYTES]
_OF_CLIPS = ["clip_id", "media_id", "media_bucket", *_BYTES, "extension", "start_ms", "end_ms", "duration_ms", "fps",
             "has_audio", "text"]  # fmt: skip
_OF_VIDEOS = pa.schema([VIDEOS.schema.field(name) for name in ("media_id", "duration_ms", "fps", "audio_codec")])
_BUCKET_ITSELF = ""  # media_id of a row that only says: there is such a bucket

Columns = dict[str, pa.Array]


class Samples(ShuffleStage):
    """Images, kept clips, and videos that are kept whole, each once, by sample_id.

    One media bucket is in memory at once: its final pairs and some 300 bytes a sample.
    """

    name = "samples"
    about = "bring together what is trained on: bytes and texts"
    after = ("fetch", "rebalance")
    outputs = (SAMPLES, SAMPLE_TEXTS)
    laws = (
        Law(("in:final_pairs",), ("rows:sample_texts",)),
        Law(("rows:sample_texts",), ("texts_placed",)),  # of each text the media has a sample
        Law(("rows:samples",), ("samples:*",)),
    )
    rows = pa.schema([pa.field("unit", pa.int32()), *SAMPLE_TEXTS.schema])
    order = ("media_id", "pair_id")

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        return self.after if recipe.clips is None else (*self.after, "clips", "kept_clips")

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {"buckets": recipe.pairs.media_buckets, "clips": recipe.clips is not None}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        files: dict[str, dict[str, list[str]]] = {}
        content: dict[str, list[Any]] = {}
        kept = planning.inputs["kept_clips"] if planning.settings["clips"] else None
        for stage, datasets in (("rebalance", [FINAL_PAIRS]), ("fetch", [MEDIA, VIDEOS]), ("clips", [CLIPS])):
            for name, report in sorted(planning.inputs[stage].reports.items() if stage in planning.inputs else ()):
                _add(files.setdefault(bucket_of(name), {}), content.setdefault(bucket_of(name), []), report, datasets)
        choice = None if kept is None else kept.content(KEPT_CLIPS.name)
        moving = planning.inputs["rebalance"].content(FINAL_PAIRS.name)
        return [
            Unit(
                bucket,
                {"number": _number(bucket), **found, "kept_clips": [] if kept is None else kept.paths(KEPT_CLIPS.name)},
                self.identity(planning.settings, content[bucket], choice, moving),
            )
            for bucket, found in sorted(files.items())
        ]

    def items(self, planning: Planning) -> list[dict[str, Any]]:
        """One per bucket of final pairs, and one that names all buckets."""
        every = {bucket_of(name) for stage in ("fetch", "rebalance") for name in planning.inputs[stage].reports}
        return [
            {"buckets": sorted(map(_number, every)), "paths": []},
            *(
                {"buckets": [_number(name)], "paths": report.paths(FINAL_PAIRS.name)}
                for name, report in sorted(planning.inputs["rebalance"].reports.items())
                if report.rows(FINAL_PAIRS.name)
            ),
        ]

    def map(self, item: dict[str, Any], task: Task, wanted: pa.Array) -> Iterator[pa.RecordBatch]:
        if not item["paths"]:
            yield self._marks(item["buckets"], wanted)
            return
        (own,) = item["buckets"]
        for batch in task.store.batches(item["paths"], SAMPLE_TEXTS.columns, BATCH_ROWS):
            numbers = bucket_numbers(batch.column("media_id"), task.settings["buckets"])
            moves = pc.and_(pc.not_equal(numbers, own), pc.is_in(numbers, value_set=wanted))
            rows = batch.filter(moves)
            if not rows.num_rows:
                continue
            columns = {"unit": numbers.filter(moves), **{name: rows.column(name) for name in SAMPLE_TEXTS.columns}}
            yield conformed(columns, self.rows)

    def _marks(self, buckets: list[int], wanted: pa.Array) -> pa.RecordBatch:
        """A row for each bucket: without one, a unit is done on the driver."""
        units = pa.array(buckets, pa.int32())
        units = units.filter(pc.is_in(units, value_set=wanted))
        empty = {"unit": units}
        for field in SAMPLE_TEXTS.schema:
            is_list, is_text = pa.types.is_list(field.type), pa.types.is_string(field.type)
            nothing: Any = [] if is_list else _BUCKET_ITSELF if is_text else 0
            empty[field.name] = pa.repeat(pa.scalar(nothing, field.type), len(units))
        return conformed(empty, self.rows)

    def reduce(self, batches: Iterator[pa.RecordBatch], task: Task, writer: UnitWriter) -> None:
        inputs = writer.unit.inputs
        texts = _texts(task.store, inputs, batches, task.settings["buckets"])
        media = pc.unique(texts.column("media_id"))
        found = [_pictures(task.store, inputs, media), *_moving(task, inputs, media)]
        samples = pa.concat_tables([pa.table(columns, schema=SAMPLES.schema) for columns in found])
        for batch in samples.sort_by("sample_id").to_batches(max_chunksize=BATCH_ROWS):
            writer.write(SAMPLES, batch)
            for entry in pc.value_counts(batch.column("modality")).to_pylist():
                writer.counts[f"samples:{entry['values']}"] += entry["counts"]
        placed = pc.is_in(texts.column("media_id"), value_set=pc.unique(samples.column("media_id")))
        writer.counts["texts_placed"] += pc.sum(placed).as_py() or 0
        for batch in texts.to_batches(max_chunksize=BATCH_ROWS):
            writer.write(SAMPLE_TEXTS, batch)


def _texts(store: Store, inputs: dict[str, Any], moved: Iterator[pa.RecordBatch], buckets: int) -> pa.Table:
    """The final pairs about the media of one bucket, by media_id and pair_id."""
    parts = [batch.select(SAMPLE_TEXTS.columns) for batch in moved]
    for batch in store.batches(inputs.get(FINAL_PAIRS.name, []), SAMPLE_TEXTS.columns):
        own = pc.equal(bucket_numbers(batch.column("media_id"), buckets), inputs["number"])
        parts.append(batch.filter(own))
    rows = [conformed({name: batch.column(name) for name in SAMPLE_TEXTS.columns}, SAMPLE_TEXTS.schema)
            for batch in parts]  # fmt: skip
    table = pa.Table.from_batches(rows, SAMPLE_TEXTS.schema)
    table = table.filter(pc.not_equal(table.column("media_id"), _BUCKET_ITSELF))
    return table.sort_by([("media_id", "ascending"), ("pair_id", "ascending")])


def _add(files: dict[str, list[str]], content: list[Any], report: UnitReport, datasets: list[Any]) -> None:
    for dataset in datasets:
        files.setdefault(dataset.name, []).extend(report.paths(dataset.name))
        content.append((dataset.name, report.content(dataset.name)))


def _number(bucket: str) -> int:
    return int(bucket.rpartition("-")[2])


def _own_media(store: Store, inputs: dict[str, Any], modality: str, wanted: pa.Array) -> pa.Table:
    """Obtained media of final pairs, of one modality."""
    schema = pa.schema([MEDIA.schema.field(name) for name in _OF_MEDIA])
    table = store.table(inputs.get(MEDIA.name, []), schema)
    kept = pc.and_(pc.equal(table.column("status"), "ok"), pc.equal(table.column("modality"), modality))
    return table.filter(pc.and_(kept, pc.is_in(table.column("media_id"), value_set=wanted))).combine_chunks()


def _pictures(store: Store, inputs: dict[str, Any], wanted: pa.Array) -> Columns:
    media = _own_media(store, inputs, "image", wanted)
    columns = {name: media.column(name) for name in ("media_id", "media_bucket", "modality", *_BYTES)}
    columns["extension"] = pa.array([media_extension(mime) for mime in media.column("stored_mime").to_pylist()])
    return _completed({"sample_id": media.column("media_id"), **columns}, media.num_rows)


def _moving(task: Task, inputs: dict[str, Any], wanted: pa.Array) -> list[Columns]:
    if task.settings["clips"]:
        return [_clips(task.store, inputs, wanted)]
    return [_whole_videos(task.store, inputs, wanted)]


def _whole_videos(store: Store, inputs: dict[str, Any], wanted: pa.Array) -> Columns:
    media = _own_media(store, inputs, "video", wanted)
    facts = store.table(inputs.get(VIDEOS.name, []), _OF_VIDEOS)
    places = pc.index_in(media.column("media_id"), value_set=facts.column("media_id").combine_chunks())
    facts = facts.take(places)
    columns = {name: media.column(name) for name in ("media_id", "media_bucket", "modality", *_BYTES)}
    columns |= {name: facts.column(name) for name in ("duration_ms", "fps")}
    columns["extension"] = pc.list_element(pc.split_pattern(media.column("path"), ".", reverse=True, max_splits=1), 1)
    columns["start_ms"] = pa.repeat(0, media.num_rows)
    columns |= {"end_ms": columns["duration_ms"], "has_audio": pc.is_valid(facts.column("audio_codec"))}
    return _completed({"sample_id": media.column("media_id"), **columns}, media.num_rows)


def _clips(store: Store, inputs: dict[str, Any], wanted: pa.Array) -> Columns:
    """Kept clips of the bucket; of all kept clips only the row groups that may hold some are read."""
    number, kept = inputs["number"], [pa.array([], pa.string())]
    for batch in store.batches(inputs["kept_clips"], ["clip_id", "media_bucket", "kept"],
                               holding=("media_bucket", number)):  # fmt: skip
        own = pc.and_(pc.equal(batch.column("media_bucket"), number), batch.column("kept"))
        kept.append(batch.column("clip_id").filter(own))
    schema = pa.schema([CLIPS.schema.field(name) for name in _OF_CLIPS])
    clips = store.table(inputs.get(CLIPS.name, []), schema)
    chosen = pc.and_(
        pc.is_in(clips.column("clip_id"), value_set=pa.concat_arrays(kept)),
        pc.is_in(clips.column("media_id"), value_set=wanted),
    )
    clips = clips.filter(chosen).combine_chunks()
    columns = {name: clips.column(name) for name in _OF_CLIPS[1:-1]}
    columns |= {"sample_id": clips.column("clip_id"), "mark": clips.column("text")}
    columns["modality"] = pa.repeat("video", clips.num_rows)
    return _completed(columns, clips.num_rows)


def _completed(columns: Columns, rows: int) -> Columns:
    """All columns of SAMPLES; those that are missing are null."""
    return {
        field.name: columns[field.name].cast(field.type) if field.name in columns else pa.nulls(rows, field.type)
        for field in SAMPLES.schema
    }
