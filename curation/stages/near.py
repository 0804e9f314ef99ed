"""near: media of kept pairs that show the same picture, found by keys that copies share. One shuffle, over the keys.

A key is the sha256 of the fetched bytes, or one of `max_distance` + 1 runs of the perceptual hash's 64 bits: hashes
that differ in no more bits share at least one run. Within a key, hashes are looked up by runs of their other bits, for
the same reason: a hash is compared with those alone that share a run there, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import StageError
from curation.media.fingerprints import FLAT, band_runs
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, ShuffleStage, Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import DUPLICATE_GROUPS, KEPT_PAIRS, MEDIA
from curation.stages.buckets import BATCH_ROWS, bucket_of, conformed
from curation.stages.draw import media_starts, whole_media
from curation.stages.hash_groups import Ints, bits_of, near_labels
from curation.stages.match import groups, source_ranks
from curation.storage import Store

_NOT_KEPT, _NO_BYTES, _EXACT = -3, -2, -1  # kinds of rows; from 0 the band that the key is of
_TALLIES = {_NOT_KEPT: "not_kept", _NO_BYTES: "no_bytes"}
_LAST_RANK = np.iinfo(np.int16).max
_HELD_ROWS = 1 << 16  # rows that are reduced at once, unless one key has more
_OF_PAIRS = ["media_id", "modality", "text_sources", "critical_threshold", "pair_id"]
_OF_MEDIA = ["media_id", "modality", "status", "sha256", "phash", "original_width", "original_height", "fetched_bytes"]
_BEST = pa.schema(
    {"media": pa.string(), "pair_id": pa.string(), "source_rank": pa.int32(), "critical_threshold": pa.float64()}
)

_ROWS = pa.schema(
    [
        ("unit", pa.int32()),
        ("band", pa.int32()),
        ("key", pa.int64()),
        ("sha256", pa.string()),  # of exact keys; else empty
        ("phash", pa.int64()),  # of the keys of bands; else 0
        ("media_id", pa.string()),
        ("digits", pa.int64()),  # the first 64 bits of sha256
        ("told", pa.int64()),  # exact keys: how many keys of bands go with it; tallies: rows of the ledger
        ("pixels", pa.int64()),
        ("fetched_bytes", pa.int64()),
        ("pair_id", pa.string()),
        ("source_rank", pa.int32()),
        ("critical_threshold", pa.float64()),
    ]
)


class Near(ShuffleStage):
    """Media of kept pairs, from the ledger, to groups of copies; in which order or partition they come is all the same.

    Exact groups hold all media of one sha256. Near groups are components of "within max_distance" among the media of
    one key, so the ends of a chain may be further apart; each has two sha256 at least. A pair of hashes is told by the
    first band that it shares: media of equal hashes stand in groups of band 0, and one of them for all in other bands.
    So only the union of all groups says what belongs together. FLAT hashes and media without a hash are in exact groups
    only; a media whose bytes or kept pair are missing is in none. Hashes that were not compared with all
    that share two runs of bits with them are counted as not_compared (see hash_groups.NEIGHBOURS).

    A task holds the best pairs of one media bucket (some 100 bytes a media), or the rows of one key (some 250 each).
    """

    name = "near"
    about = "find media that show the same picture"
    after = ("balance", "fetch")
    outputs = (DUPLICATE_GROUPS,)
    laws = (
        Law(("in:media",), ("candidates", "no_bytes", "not_kept")),
        Law(("bands_of_candidates",), ("band_rows",)),
        Law(("candidates", "band_rows"), ("rows:duplicate_groups", "alone", "told_elsewhere")),
    )
    rows = _ROWS
    order = ("band", "key", "sha256", "phash", "media_id")

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {
            "max_distance": recipe.duplicates.max_distance,
            "text_sources": recipe.match.text_sources,
            "units": recipe.pairs.media_buckets,
        }

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        kept, media = planning.inputs["balance"].content(KEPT_PAIRS.name), planning.inputs["fetch"].content(MEDIA.name)
        identity = self.identity(planning.settings, kept, media)
        return [
            Unit(f"keys-{number:05d}", {"number": number}, identity) for number in range(planning.settings["units"])
        ]

    def items(self, planning: Planning) -> list[dict[str, Any]]:
        """One per media bucket of the ledger: its files, and those of the bucket's kept pairs."""
        kept = planning.inputs["balance"].reports
        media: dict[str, list[str]] = {}
        for name, report in sorted(planning.inputs["fetch"].reports.items()):
            media.setdefault(bucket_of(name), []).extend(report.paths(MEDIA.name))
        return [
            {"media": paths, "kept": kept[bucket].paths(KEPT_PAIRS.name) if bucket in kept else []}
            for bucket, paths in media.items()
        ]

    def map(self, item: dict[str, Any], task: Task, wanted: pa.Array) -> Iterator[pa.RecordBatch]:
        kept = _best_pairs(task.store, item["kept"], task.settings["text_sources"])
        tallies = {_NOT_KEPT: 0, _NO_BYTES: 0}
        distance, units = task.settings["max_distance"], task.settings["units"]
        for candidates in _candidates(task.store, item["media"], kept, tallies):
            for rows in _keyed(candidates, 0 if distance is None else distance + 1):
                yield _dealt(rows, units, wanted)
        yield _dealt(_filled({"band": list(tallies), "told": list(tallies.values())}, len(tallies)), units, wanted)

    def reduce(self, batches: Iterator[pa.RecordBatch], task: Task, writer: UnitWriter) -> None:
        for held in _whole_keys(batches):
            for band, positions in groups(held.column("band")):
                rows = held.slice(positions[0], len(positions))  # sorted by band
                if band >= 0:
                    _reduce_band(rows, band, task.settings["max_distance"], writer)
                elif band == _EXACT:
                    writer.counts["candidates"] += rows.num_rows
                    writer.counts["bands_of_candidates"] += int(_ints(rows, "told").sum())
                    _write(rows, _numbered(rows, "key", "sha256"), "exact", writer)
                else:
                    writer.counts[_TALLIES[band]] += int(_ints(rows, "told").sum())


def hex_bytes(column: pa.Array, digits: int) -> npt.NDArray[np.uint8]:
    """Texts of `digits` hex digits each, none null, as (n, digits / 2) bytes. Raises StageError for others."""
    rows = len(column)
    if not rows:
        return np.zeros((0, digits // 2), np.uint8)
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + rows + 1]
    try:
        if not (np.diff(ends) == digits).all():
            raise ValueError
        values = bytes.fromhex(data[ends[0] : ends[-1]].to_pybytes().decode())  # which passes over blanks
        return np.frombuffer(values, np.uint8).reshape(rows, digits // 2)
    except ValueError:
        raise StageError(f"an id does not have {digits} hex digits: redo the run in a fresh --work folder") from None


def _of_modality(batch: pa.RecordBatch) -> pa.Array:
    """Media and modality as one text: a URL may be kept as an image and as a video, and only one was fetched."""
    return pc.binary_join_element_wise(batch.column("media_id"), batch.column("modality"), "")


def _best_pairs(store: Store, paths: list[str], wanted: dict[str, list[str]] | None) -> pa.Table:
    """The best pair of every kept media and modality: media, pair_id, source_rank, critical_threshold."""
    parts = []
    for batch in whole_media(store.batches(paths, _OF_PAIRS, BATCH_ROWS)):
        ranks = source_ranks(batch, wanted).fill_null(_LAST_RANK).cast(pa.int32())
        columns = [_of_modality(batch), batch.column("pair_id"), ranks, batch.column("critical_threshold")]
        rows = pa.RecordBatch.from_arrays(columns, schema=_BEST)
        order = ("media", "source_rank", "critical_threshold", "pair_id")
        rows = rows.sort_by([(name, "ascending") for name in order])
        parts.append(rows.take(pa.array(media_starts(rows.column("media")))))
    return pa.Table.from_batches(parts, schema=_BEST).combine_chunks()


def _candidates(
    store: Store, paths: list[str], kept: pa.Table, tallies: dict[int, int]
) -> Iterator[dict[str, pa.Array]]:
    """Columns of the obtained media of kept pairs; adds to the tallies what the ledger has beside them."""
    for batch in store.batches(paths, _OF_MEDIA):
        places = pc.index_in(_of_modality(batch), value_set=kept.column("media"))
        obtained = pc.and_(pc.equal(batch.column("status"), "ok"), pc.is_valid(batch.column("sha256")))
        chosen = pc.and_(pc.is_valid(places), obtained)
        tallies[_NOT_KEPT] += places.null_count
        tallies[_NO_BYTES] += batch.num_rows - places.null_count - chosen.true_count
        rows, best = batch.filter(chosen), kept.take(places.filter(chosen)).combine_chunks()
        if rows.num_rows:
            sides = [pc.fill_null(rows.column(f"original_{side}"), 0).cast(pa.int64()) for side in ("width", "height")]
            yield {
                # one file may be an image under one URL and a video under another: copies are of one kind
                "sha256": pc.binary_join_element_wise(rows.column("sha256"), rows.column("modality"), ""),
                "phash": pc.fill_null(rows.column("phash"), FLAT),
                "media_id": rows.column("media_id"),
                "digits": pa.array(hex_bytes(rows.column("sha256"), 64).view(">i8")[:, 0].astype(np.int64)),
                "pixels": pc.multiply(*sides),
                "fetched_bytes": pc.fill_null(rows.column("fetched_bytes"), 0),
                **{name: best.column(name).chunk(0) for name in _BEST.names[1:]},
            }


def _keyed(candidates: dict[str, pa.Array], bands: int) -> Iterator[pa.RecordBatch]:
    """A row for the sha256 of each media, and one for each band of its hash."""
    hashes = np.asarray(candidates["phash"])
    hashed = hashes != FLAT
    digits, rows = candidates["digits"], len(hashes)
    exact = {"band": [_EXACT] * rows, "key": digits, "phash": [0] * rows, "told": np.where(hashed, bands, 0)}
    yield _filled({**candidates, **exact}, rows)
    near = {name: column.filter(pa.array(hashed)) for name, column in candidates.items() if name != "sha256"}
    near["phash"] = pa.array(hashes[hashed].view(np.int64))
    for band, run in enumerate(band_runs(bands) if bands and hashed.any() else []):
        key = bits_of(hashes[hashed], *run).view(np.int64) | band << 32
        yield _filled({**near, "band": [band] * len(key), "key": key}, len(key))


def _filled(columns: dict[str, Any], rows: int) -> pa.RecordBatch:
    """Shuffle rows; columns that are not given hold nothing, which is no null: engines sort nulls differently."""
    arrays = [
        pa.array(columns[field.name], field.type)
        if field.name in columns
        else pa.repeat(pa.scalar("" if field.type == pa.string() else 0, field.type), rows)
        for field in _ROWS
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=_ROWS)


def _dealt(rows: pa.RecordBatch, units: int, wanted: pa.Array) -> pa.RecordBatch:
    """The rows of the wanted units: the unit follows from a multiplicative hash of the key."""
    mixed = _ints(rows, "key").view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # 2^64 by the golden ratio
    numbers = pa.array((mixed >> np.uint64(32)) % np.uint64(units)).cast(pa.int32())
    return rows.set_column(0, _ROWS.field(0), numbers).filter(pc.is_in(numbers, value_set=wanted))


def _ints(rows: pa.RecordBatch, name: str) -> Ints:
    return np.asarray(rows.column(name))


def _numbered(rows: pa.RecordBatch, *names: str) -> Ints:
    """A number for each run of rows that are equal in some columns, from 0."""
    starts = np.zeros(rows.num_rows, bool)
    for name in names:
        column = rows.column(name)
        starts[1:] |= np.asarray(pc.not_equal(column[1:], column[:-1]))
    return np.cumsum(starts)


def _whole_keys(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that never cut a key's rows apart."""
    held: list[pa.RecordBatch] = []
    rows, limit = 0, _HELD_ROWS
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows < limit:
            continue
        whole = pa.concat_batches(held)
        numbers = _numbered(whole, "band", "key")
        start = int(np.searchsorted(numbers, numbers[-1]))
        if start:
            yield whole.slice(0, start)
        held, rows = [whole.slice(start)], whole.num_rows - start
        limit = max(_HELD_ROWS, 2 * rows)  # so that a huge key is not copied for each of its batches
    if rows:
        yield pa.concat_batches(held)


def _reduce_band(rows: pa.RecordBatch, band: int, distance: int, writer: UnitWriter) -> None:
    """Writes the near groups of some whole keys of a band."""
    writer.counts["band_rows"] += rows.num_rows
    nodes = _numbered(rows, "key", "phash")
    first = np.flatnonzero(np.diff(nodes, prepend=-1))
    keys = _numbered(rows, "key")[first]
    labels, unfinished = near_labels(keys, _ints(rows, "phash")[first].view(np.uint64), band, distance)
    writer.counts["not_compared"] += int(unfinished.sum())
    groups_of_rows = labels[nodes]
    same_bytes = _same(groups_of_rows, _ints(rows, "digits"))
    several = np.bincount(groups_of_rows)[groups_of_rows] > 1
    repeated = same_bytes & several  # an exact group tells it
    if band:
        repeated |= np.diff(nodes, prepend=-1) == 0  # band 0 tells it
    writer.counts["told_elsewhere"] += int(repeated.sum())
    _write(rows.filter(pa.array(~repeated)), groups_of_rows[~repeated], "near", writer)


def _same(labels: Ints, values: Ints) -> npt.NDArray[np.bool_]:
    """For each row whether all rows of its label have one value."""
    any_value = np.zeros(labels.max() + 1, np.int64)
    any_value[labels] = values
    differs = np.zeros(len(any_value), bool)
    differs[labels[any_value[labels] != values]] = True
    return ~differs[labels]


def _write(rows: pa.RecordBatch, labels: Ints, kind: str, writer: UnitWriter) -> None:
    """Writes the rows whose label others have, too, group by group in the order of media_id."""
    shared = np.bincount(labels)[labels] > 1
    writer.counts["alone"] += len(shared) - int(shared.sum())
    rows = rows.filter(pa.array(shared))
    if not rows.num_rows:
        return
    rows = rows.append_column("label", pa.array(labels[shared]))
    rows = rows.sort_by([("label", "ascending"), ("media_id", "ascending")])
    groups_of_rows = _numbered(rows, "label")
    first = np.flatnonzero(np.diff(groups_of_rows, prepend=-1))
    columns = {name: rows.column(name) for name in ("media_id", "pixels", "fetched_bytes", *_BEST.names[1:])}
    columns["group_id"] = columns["media_id"].take(pa.array(first[groups_of_rows]))
    columns["kind"] = pa.repeat(pa.scalar(kind), rows.num_rows)
    writer.write(DUPLICATE_GROUPS, conformed(columns, DUPLICATE_GROUPS.schema))
