"""survive: kept pairs whose media was obtained and whose text stands for its picture. One unit per media bucket."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import RecipeError, StageError
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import DUPLICATES, KEPT_PAIRS, KEPT_VIDEOS, MEDIA, SURVIVOR_COUNTS, SURVIVORS
from curation.stages.buckets import BATCH_ROWS, bucket_of, conformed, rows_of_bucket
from curation.stages.draw import media_starts, whole_media
from curation.stages.match import groups, taken
from curation.storage import Store

_COLUMNS = ["pair_id", "media_id", "modality", "vocabulary_lang", "entry_ids", "keep_probability"]
_LEDGER = pa.schema([MEDIA.schema.field(name) for name in ("media_id", "modality", "status", "error")])
_COPIES = pa.schema([DUPLICATES.schema.field(name) for name in ("media_id", "cluster_id", "kept_media_id")])
_COPIES = _COPIES.append(DUPLICATES.schema.field("kept_pair_id"))
_SUMS = ("texts", "weight", "kept_weight")
_NO_CLIPS = "no_clips"  # a video of which no clip is kept
_OTHER_MODALITY = "other_modality"  # a URL that was kept as an image and as a video is fetched as a video
_UNKNOWN = "unknown"  # a failed media always has a class; this keeps the law true where one has not

Sums = dict[tuple[str, str], dict[str, np.ndarray[Any, Any]]]
"""(modality, vocabulary_lang) -> per entry: texts (survivors), weight and kept_weight, as in SURVIVOR_COUNTS."""


class Survive(UnitStage):
    """Says of every kept pair what became of it.

    Counts, in pairs: lost:CLASS, not_fetched (of modalities that fetch.modalities does not name), duplicate_pairs.
    In media: media_wanted = media_ok + media_lost, and of those obtained media_duplicate, whose picture another copy
    stands for.
    """

    name = "survive"
    about = "find the kept pairs that outlive fetching and duplicates"
    after = ("balance", "fetch", "duplicates")
    outputs = (SURVIVORS, SURVIVOR_COUNTS)
    laws = (
        Law(("in:kept_pairs",), ("rows:survivors", "lost:*", "not_fetched", "duplicate_pairs")),
        Law(("media_wanted",), ("media_ok", "media_lost")),
        Law(("in:duplicates",), ("cluster_media",)),
        Law(("clusters",), ("cluster_texts",)),  # of every cluster one text, wherever its bucket, was found
    )

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        return self.after if recipe.clips is None else (*self.after, "kept_clips")

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        if recipe.fetch is None:
            raise RecipeError("nothing survives without being fetched: add the section fetch to the recipe")
        return {"modalities": sorted(recipe.fetch.modalities), "texts": recipe.duplicates.texts}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        balance, clips = planning.inputs["balance"], planning.inputs.get("kept_clips")
        return {
            "sizes": balance.context["sizes"],
            "buckets": planning.recipe.pairs.media_buckets,
            "duplicates": planning.inputs["duplicates"].paths(DUPLICATES.name),
            "kept_clips": None if clips is None else clips.paths(KEPT_VIDEOS.name),
        }

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        ledgers: dict[str, list[UnitReport]] = {}
        for name, report in sorted(planning.inputs["fetch"].reports.items()):
            ledgers.setdefault(bucket_of(name), []).append(report)
        copies = planning.inputs["duplicates"].content(DUPLICATES.name)
        clips = planning.inputs.get("kept_clips")
        others = [copies] if clips is None else [copies, clips.content(KEPT_VIDEOS.name)]
        return [
            Unit(
                name,
                {
                    "kept_pairs": report.paths(KEPT_PAIRS.name),
                    "media": [path for ledger in ledgers.get(name, []) for path in ledger.paths(MEDIA.name)],
                },
                self.identity(
                    planning.settings,
                    report.content(KEPT_PAIRS.name),
                    [ledger.content(MEDIA.name) for ledger in ledgers.get(name, [])],
                    *others,
                ),
            )
            for name, report in sorted(planning.inputs["balance"].reports.items())
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        ledger = Ledger(unit, task)
        writer.counts["cluster_media"] += ledger.copies
        writer.counts["clusters"] += ledger.clusters
        sums: Sums = {}
        fetched = pa.array(task.settings["modalities"])
        for batch in whole_media(task.store.batches(unit.inputs["kept_pairs"], _COLUMNS, BATCH_ROWS)):
            rows = batch.filter(pc.is_in(batch.column("modality"), value_set=fetched))
            writer.counts["not_fetched"] += batch.num_rows - rows.num_rows
            if rows.num_rows:
                survivors = _survivors(rows, ledger.of(rows), task.settings["texts"], writer)
                _add(sums, rows, "keep_probability", {"kept_weight": True}, task.context["sizes"])
                _add(sums, survivors, "keep_before", {"weight": True, "texts": False}, task.context["sizes"])
                writer.write(SURVIVORS, survivors)
        _write(sums, writer)


class Ledger:
    """What became of every media of a bucket, by media_id. In memory for one bucket: some 50 bytes a media.

    copies: its media that show what others show; clusters: how many clusters are named after one of its media.
    """

    def __init__(self, unit: Unit, task: Task) -> None:
        media = task.store.table(unit.inputs["media"], _LEDGER)
        failed = pc.not_equal(media.column("status"), "ok")
        error = pc.if_else(failed, pc.fill_null(media.column("error"), _UNKNOWN), pa.scalar(None, pa.string()))
        copies = rows_of_bucket(task.store, task.context["duplicates"], unit.name, task.context["buckets"], _COPIES)
        places = pc.index_in(media.column("media_id"), value_set=copies.column("media_id"))
        columns = {name: copies.column(name).take(places) for name in ("kept_media_id", "kept_pair_id")}
        if task.context["kept_clips"] is not None:
            kept_media = pc.coalesce(columns["kept_media_id"], media.column("media_id"))
            lacks = _lacks_clips(media.column("modality"), kept_media, task.store, task.context["kept_clips"])
            error = pc.if_else(pc.and_(pc.is_null(error), lacks), _NO_CLIPS, error)
        ids = _sortable(media.column("media_id"))
        order = np.argsort(ids)
        self._unit, self._ids = unit.name, ids[order]
        columns = {"error": error, "modality": media.column("modality"), **columns}
        self._rows = pa.table(columns).take(pa.array(order)).combine_chunks()
        self.copies = len(places) - places.null_count
        self.clusters = pc.sum(pc.equal(copies.column("media_id"), copies.column("cluster_id"))).as_py() or 0

    def of(self, pairs: pa.RecordBatch) -> pa.Table:
        """Error (null where obtained), kept_media_id and kept_pair_id (null without copies) of the media of each pair.

        Raises StageError for a media that the ledger does not know: it would be lost without a word.
        """
        wanted = _sortable(pairs.column("media_id"))
        places = np.searchsorted(self._ids, wanted)
        known = places < len(self._ids)
        known[known] = self._ids[places[known]] == wanted[known]
        if not known.all():
            raise StageError(
                f"{self._unit}: {int((~known).sum()):,} kept pairs have no row in the ledger of media, for one "
                f"{wanted[~known][0].decode()}: run `curation run` again, which plans what is missing; if that does "
                "not help, remove _runs/fetch/plans in the work folder"
            )
        rows = self._rows.take(pa.array(places))
        is_other = pc.not_equal(rows.column("modality"), pairs.column("modality"))
        return rows.set_column(0, "error", pc.if_else(is_other, _OTHER_MODALITY, rows.column("error")))


def _lacks_clips(
    modalities: pa.ChunkedArray, media_ids: pa.ChunkedArray, store: Store, paths: list[str]
) -> pa.BooleanArray:
    """Which media are videos of which no clip is kept."""
    is_video = np.asarray(pc.equal(modalities, "video"))
    wanted = np.unique(_sortable(media_ids.filter(pa.array(is_video))))
    found = np.zeros(len(wanted), bool)
    for batch in store.batches(paths, ["media_id"]):
        kept = _sortable(batch.column("media_id"))
        places = np.searchsorted(wanted, kept)
        known = places < len(wanted)
        known[known] = wanted[places[known]] == kept[known]
        found[places[known]] = True
    lacks = is_video.copy()
    lacks[is_video] = ~found[np.searchsorted(wanted, _sortable(media_ids.filter(pa.array(is_video))))]
    return pa.array(lacks)


def _sortable(media_ids: pa.Array | pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Ids of 24 digits as bytes, which numpy sorts and searches without making a Python object of each."""
    chunks = media_ids.chunks if isinstance(media_ids, pa.ChunkedArray) else [media_ids]
    return np.concatenate([np.zeros(0, "S24"), *(np.asarray(ids.cast(pa.binary(24))).astype("S24") for ids in chunks)])


def _survivors(rows: pa.RecordBatch, found: pa.Table, texts: str, writer: UnitWriter) -> pa.RecordBatch:
    """Rows of SURVIVORS; counts what else the rows, whole media, were."""
    counts = writer.counts
    error, kept_media = (found.column(name).combine_chunks() for name in ("error", "kept_media_id"))
    for entry in pc.value_counts(error.drop_null()).to_pylist():
        counts[f"lost:{entry['values']}"] += entry["counts"]
    lost = np.asarray(pc.is_valid(error))
    copied = np.asarray(pc.is_valid(kept_media))
    stands = np.asarray(pc.fill_null(pc.equal(rows.column("pair_id"), found.column("kept_pair_id")), False))
    duplicate = ~lost & copied & ~stands if texts == "best" else np.zeros(len(lost), bool)
    counts["duplicate_pairs"] += int(duplicate.sum())
    obtained = np.asarray(pc.or_kleene(pc.is_null(error), pc.equal(error, _NO_CLIPS)))
    counts["cluster_texts"] += int((stands & obtained).sum())
    starts = media_starts(rows.column("media_id"))
    other = np.asarray(pc.fill_null(pc.not_equal(kept_media, rows.column("media_id")), False))
    counts["media_wanted"] += len(starts)
    counts["media_lost"] += int(lost[starts].sum())
    counts["media_ok"] += int((~lost[starts]).sum())
    counts["media_duplicate"] += int((other & ~lost)[starts].sum())
    columns = {name: rows.column(name) for name in _COLUMNS}
    columns["kept_media_id"] = pc.coalesce(kept_media, rows.column("media_id"))
    columns["keep_before"] = columns["keep_probability"]
    return conformed(columns, SURVIVORS.schema).filter(pa.array(~lost & ~duplicate))


def _add(
    sums: Sums, rows: pa.RecordBatch, kept_with: str, columns: dict[str, bool], sizes: dict[str, int]
) -> None:
    """Adds rows to columns of dense arrays per (modality, vocabulary_lang): 1 each, or 1 / kept_with if weighted."""
    weights = pa.array(1.0 / np.asarray(rows.column(kept_with)))
    for lang, of_lang in groups(rows.column("vocabulary_lang")):
        for modality, of_both in groups(taken(rows.column("modality"), of_lang)):
            lists, own = (taken(taken(column, of_lang), of_both) for column in (rows.column("entry_ids"), weights))
            total = sums.setdefault((modality, lang), {name: np.zeros(sizes[lang]) for name in _SUMS})
            ids = np.asarray(lists.flatten())
            spread = np.repeat(np.asarray(own), np.asarray(pc.list_value_length(lists)))
            for name, weighted in columns.items():
                np.add.at(total[name], ids, spread if weighted else 1.0)


def _write(sums: Sums, writer: UnitWriter) -> None:
    for (modality, lang), total in sorted(sums.items()):
        ids = np.flatnonzero(total["kept_weight"])
        columns = {
            "modality": pa.repeat(pa.scalar(modality, pa.string()), len(ids)),
            "vocabulary_lang": pa.repeat(pa.scalar(lang, pa.string()), len(ids)),
            "entry_id": pa.array(ids.astype(np.int32)),
            **{name: pa.array(total[name][ids]) for name in _SUMS},
        }
        writer.write(SURVIVOR_COUNTS, conformed(columns, SURVIVOR_COUNTS.schema))
