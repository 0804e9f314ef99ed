"""Rows of the manifest: samples joined with their texts, and with what is known of their media, clips and scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import pair_ids, uniforms
from curation.schemas import CLIPS, MANIFEST, MEDIA, SAMPLES, SCORES, VIDEOS
from curation.schemas.manifest import SCORE
from curation.stages.along import BatchesAlong
from curation.stages.buckets import conformed
from curation.stages.manifest_texts import Pairs, SampleTexts
from curation.storage import Store

_MEDIA = pa.schema([
    MEDIA.schema.field(name)
    for name in ("media_id", "status", "media_url", "sha256", "phash", "original_width", "original_height")
])  # fmt: skip
_VIDEOS = pa.schema([VIDEOS.schema.field(name) for name in ("media_id", "duration_ms")])
_CLIPS = pa.schema([CLIPS.schema.field(name) for name in ("clip_id", "key_frames")])
_PHASHES = pa.schema([CLIPS.schema.field("clip_id"), pa.field("phash", pa.uint64())])
_SCORES = pa.schema([SCORES.schema.field("clip_id"), SCORES.schema.field("status"),
                     *(SCORES.schema.field(field.name) for field in SCORE)])  # fmt: skip
_OF_SAMPLES = ("sample_id", "media_id", "media_bucket", "modality", "path", "offset", "size_bytes", "extension",
               "width", "height", "fps", "duration_ms", "has_audio", "start_ms", "end_ms")  # fmt: skip
_FOUND_IN = ("platform", "platform_id", "licence", "upload_date", "page_url", "snapshot", "archive", "record_offset")
_DRAW = ("keep_probability", "critical_threshold")
_ROWS = 8192  # of what is held, as it is passed on

Columns = dict[str, Any]


class Held:
    """What is known of the media and clips of one bucket, in the order of their ids, and handed out in that order.

    In memory: some 250 bytes a media, most of it its URL and SHA-256, 70 a clip, and 150 for the scores of one.
    """

    def __init__(self, store: Store, paths: dict[str, list[str]]) -> None:
        """paths: files by dataset; without clips there are none of clips and scores."""
        media = store.table(paths["media"], _MEDIA)
        media = media.filter(pc.equal(media.column("status"), "ok"))
        self._media = _along(media, "media_id")
        self._videos = _along(store.table(paths["videos"], _VIDEOS), "media_id")
        self._phashes = _along(_phashes(store, paths.get("clips", [])), "clip_id")
        self._scores = _along(store.table(paths.get("scores", []), _SCORES), "clip_id")

    def of(self, samples: pa.Table) -> Known:
        """What is known of the samples of whole media; not below those that were asked for before."""
        ids, media_ids = samples.column("sample_id"), samples.column("media_id")
        last, last_media = ids[-1].as_py(), media_ids[-1].as_py()
        return Known(
            _found(self._media.upto(last_media), "media_id", media_ids),
            _found(self._videos.upto(last_media), "media_id", media_ids),
            _found(self._phashes.upto(last), "clip_id", ids),
            _found(self._scores.upto(last), "clip_id", ids),
        )


@dataclass(frozen=True)
class Known:
    """One row per sample of each; nulls where there is none."""

    media: pa.Table
    videos: pa.Table
    phashes: pa.Table
    scores: pa.Table

    @property
    def durations(self) -> npt.NDArray[np.int64]:
        """Milliseconds of each sample's video; 0: not known, or it has none."""
        return np.asarray(pc.fill_null(self.videos.column("duration_ms"), 0)).astype(np.int64)

    @property
    def is_video(self) -> npt.NDArray[np.bool_]:
        return np.asarray(pc.is_valid(self.videos.column("media_id")))

    def columns(self, samples: pa.Table) -> Columns:
        is_video = pc.equal(samples.column("modality"), "video")
        is_clip = pc.not_equal(samples.column("sample_id"), samples.column("media_id"))
        original = {name: _unless(is_video, self.media.column(name)) for name in ("original_width", "original_height")}
        return {
            **original,
            "media_url": self.media.column("media_url"),
            "fetched_sha256": self.media.column("sha256"),
            "phash": pc.if_else(is_clip, self.phashes.column("phash"), self.media.column("phash")),
            "source_duration_ms": self.videos.column("duration_ms"),
            "clip_id": _unless(pc.invert(is_clip), samples.column("sample_id")),
            "scores": self._measured(),
        }

    def _measured(self) -> pa.StructArray:
        there = pc.fill_null(pc.equal(self.scores.column("status"), "ok"), False).combine_chunks()
        parts = [self.scores.column(field.name).combine_chunks() for field in SCORE]
        return pa.StructArray.from_arrays(parts, fields=list(SCORE), mask=pc.invert(there))


def splits(media_ids: pa.Array, seed: int, val_share: float) -> pa.Array:
    """val where a draw by the media is below `val_share`, else train: the same for all clips of a video.

    The draw is curation.balance's with the salt `split`, by pair_id(media_id, ""): it wants ids of 32 digits.
    """
    coded = media_ids.dictionary_encode()
    ids = pair_ids(coded.dictionary, pa.repeat("", len(coded.dictionary)))
    is_val = pa.array(uniforms(ids, seed, "split") < val_share)
    return pc.if_else(is_val, "val", "train").take(coded.indices)


def rows_of(
    samples: pa.Table, known: Known, pairs: Pairs, texts: SampleTexts, drawn: pa.Table | None, same: Columns
) -> pa.RecordBatch:
    """Rows of MANIFEST for the samples that stay. All but `texts` have one row for each of all samples.

    drawn: keep_probability and critical_threshold of captions.balance. same: text_rule, seed, val_share, stays.
    """
    stays = pa.array(same["stays"])
    columns: Columns = {name: samples.column(name) for name in _OF_SAMPLES}
    columns |= {"sha256": samples.column("stored_sha256"), **known.columns(samples), **_found_in(samples, pairs)}
    columns |= {"brief": texts.brief, "detailed": texts.detailed}
    for name, way in zip(_DRAW, (np.maximum, np.minimum), strict=True):
        columns[name] = pa.array(pairs.of_media(name, way)) if drawn is None else drawn.column(name)
    columns = {name: _one(column).filter(stays) for name, column in columns.items()}
    columns |= {f"text_{name}" if name in _TEXT else name: texts.first(name) for name in _CHOSEN}
    columns["text_kind"] = pc.binary_join_element_wise(texts.first("captioner"), texts.first("kind"), ".")
    columns["text_rule"] = pa.repeat(same["text_rule"], len(columns["text"]))
    columns["split"] = splits(columns["media_id"], same["seed"], same["val_share"])
    kind = MANIFEST.schema.field("texts").type
    listed = texts.texts if drawn is None else _drawn_first(texts, columns)
    columns["texts"] = pa.ListArray.from_arrays(pa.array(texts.offsets.astype(np.int32)), listed, type=kind)
    return conformed(columns, MANIFEST.schema)


def _drawn_first(texts: SampleTexts, columns: Columns) -> pa.StructArray:
    """The texts, of which captions.balance drew the first of each sample, and the others not by themselves."""
    number = np.full(len(texts.texts), -1)
    number[texts.offsets[:-1]] = np.arange(len(texts.offsets) - 1)
    places = pa.array(number, mask=number < 0)
    fields = list(texts.texts.type)
    parts = [columns[field.name].take(places) if field.name in _DRAW else texts.texts.field(field.name)
             for field in fields]  # fmt: skip
    return pa.StructArray.from_arrays(parts, fields=fields)


_TEXT = ("lang", "similarity")
_CHOSEN = ("text", *_TEXT, "vocabulary_lang", "entry_ids")


def _found_in(samples: pa.Table, pairs: Pairs) -> Columns:
    """Where the media of each sample was found: of its final pairs the one of the smallest provenance, one about the
    media itself before those about copies.
    """
    table = pairs.table
    is_copy = pc.not_equal(table.column("media_id"), table.column("text_media_id"))
    keys = ["media_id", "is_copy", "snapshot", "archive", "record_offset", "pair_id"]
    ordered = table.append_column("is_copy", is_copy).select(keys)
    order = np.asarray(pc.sort_indices(ordered, [(name, "ascending") for name in keys])).astype(np.int64)
    first = pa.array(order[pairs.starts[:-1]][pairs.of_sample])
    return {name: table.column(name).take(first) for name in _FOUND_IN}


def sample_batches(store: Store, paths: list[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Rows of `samples`."""
    names = [*_OF_SAMPLES, "stored_sha256"]
    schema = pa.schema([SAMPLES.schema.field(name) for name in names])
    for batch in store.batches(paths, names, rows):
        yield batch.cast(schema)


def _phashes(store: Store, paths: list[str]) -> pa.Table:
    """Of the first key frame of every clip."""
    parts = []
    for batch in store.batches(paths, _CLIPS.names):
        lists = batch.column("key_frames")
        lengths = np.asarray(pc.list_value_length(lists)).astype(np.int64)
        places = pa.array(np.cumsum(lengths) - lengths, mask=lengths == 0)
        phashes = pc.struct_field(lists.flatten(), "phash").take(places).cast(pa.uint64())
        parts.append(pa.RecordBatch.from_arrays([batch.column("clip_id"), phashes], schema=_PHASHES))
    return pa.Table.from_batches(parts, _PHASHES)


def _along(table: pa.Table, key: str) -> BatchesAlong:
    ordered = table.sort_by(key)
    return BatchesAlong(iter(ordered.to_batches(max_chunksize=_ROWS)), key, ordered.schema)


def _found(rows: pa.Table, key: str, wanted: pa.ChunkedArray) -> pa.Table:
    """The row of each key; nulls where there is none."""
    return rows.take(pc.index_in(wanted, value_set=rows.column(key)))


def _unless(mask: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(mask, pa.scalar(None, values.type), values)


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
