"""Which media a unit of fetch is for: decided once per selection, and kept, so a stopped run finds its units again.

A unit is a list of media that were new when it was planned, in the order of media_id, which is a hash: so no host fills
a list that does not fill the web. Lists are named by what is in them. A selection that changes takes up all the units
that are done or under way, and plans further ones for what they lack: what was fetched once is not asked for again.
The timed texts that pages declare beside a media lie with it, but are no part of the name: those that another selection
or a later crawl would add to a media come with it only where it was not asked for yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.digests import digest
from curation.media.outcomes import TextTrack
from curation.media.video.tracks import wanted_tracks
from curation.schemas import KEPT_PAIRS, MEDIA
from curation.stages.buckets import BATCH_ROWS, conformed
from curation.stages.draw import whole_media
from curation.storage import Store

_TRACKS = KEPT_PAIRS.schema.field("tracks").type
LIST = pa.schema(
    [
        *(MEDIA.schema.field(name) for name in ("media_id", "media_bucket", "modality", "media_url")),
        pa.field("tracks", _TRACKS),  # null: none are wanted
    ]
)
PLANS, LISTS, JOURNALS = "_runs/fetch/plans", "_runs/fetch/lists", "_runs/fetch/journals"


@dataclass(frozen=True)
class PlannedList:
    """A unit's list: its name, where it lies, and its media, of which so many belong to the selection."""

    name: str
    path: str
    media: int
    wanted: int


@dataclass(frozen=True)
class BucketPlanner:
    """The lists of one media bucket; on a worker.

    modality: of its media; of a URL that is kept as several, one of `first` is fetched instead.
    kind: digest of the settings that what is stored depends on; lists of another kind are other lists.
    known: names of lists, of any bucket, that are done or under way. languages: of the timed texts that are wanted
    beside its media; None: none, nor chapters.
    """

    store: Store
    kind: str
    modality: str
    first: tuple[str, ...]
    shard_media: int
    known: frozenset[str]
    languages: tuple[str, ...] | None = None

    def __call__(self, bucket: tuple[str, list[str]]) -> list[PlannedList]:
        """The lists that cover the media of (bucket, paths of its kept pairs)."""
        name, paths = bucket
        media = pa.Table.from_batches(self._media(paths), LIST)
        ids = media.column("media_id")
        folder = f"{LISTS}/{self.kind}/{name}"
        planned, covered = [], pa.chunked_array([], pa.string())
        for file in sorted(self.store.names(folder)):
            if (stem := file.removesuffix(".parquet")) not in self.known:
                continue
            old = self.store.table([f"{folder}/{file}"], LIST).column("media_id")
            if wanted := pc.sum(pc.is_in(old, value_set=ids)).as_py() or 0:
                planned.append(PlannedList(stem, f"{folder}/{file}", len(old), wanted))
                covered = pa.chunked_array([*covered.chunks, *old.chunks], pa.string())
        new = media.filter(pc.invert(pc.is_in(ids, value_set=covered)))
        for start in range(0, new.num_rows, self.shard_media):
            planned.append(self._list(name, folder, new.slice(start, self.shard_media)))
        return planned

    def _list(self, bucket: str, folder: str, rows: pa.Table) -> PlannedList:
        content = digest(self.kind, rows.column("media_id").to_pylist(), rows.column("media_url").to_pylist())
        name = f"{bucket}-{content[:12]}"
        path = f"{folder}/{name}.parquet"
        self.store.put_table(path, rows)
        return PlannedList(name, path, rows.num_rows, rows.num_rows)

    def _media(self, paths: list[str]) -> Iterator[pa.RecordBatch]:
        """Each media of the modality once; kept pairs are ordered by media_id."""
        last, names = None, [name for name in LIST.names if name != "tracks" or self.languages is not None]
        for kept in whole_media(self.store.batches(paths, names, BATCH_ROWS)):
            modalities, ids = kept.column("modality"), kept.column("media_id")
            others = ids.filter(pc.is_in(modalities, value_set=pa.array(self.first, pa.string())))
            elsewhere = pc.is_in(ids, value_set=others)
            batch = kept.filter(pc.and_not(pc.equal(modalities, self.modality), elsewhere))
            if not batch.num_rows:
                continue
            ids = batch.column("media_id")
            before = pa.concat_arrays([pa.array([last], pa.string()), ids.slice(0, len(ids) - 1)])
            first = pc.fill_null(pc.not_equal(ids, before), True)
            last = ids[-1].as_py()
            rows = batch.filter(first)
            columns = {name: rows.column(name) for name in names} | {"tracks": self._tracks(batch, rows)}
            yield conformed(columns, LIST)

    def _tracks(self, pairs: pa.RecordBatch, media: pa.RecordBatch) -> pa.Array:
        """Of each media what is wanted of that which its pairs declare."""
        declared: dict[str, list[TextTrack]] = {}
        if self.languages is not None:
            some = pairs.filter(pc.greater(pc.list_value_length(pairs.column("tracks")), 0))
            for row in some.select(["media_id", "tracks"]).to_pylist():
                declared.setdefault(row["media_id"], []).extend(TextTrack(**track) for track in row["tracks"])
        if not declared:
            return pa.nulls(media.num_rows, _TRACKS)
        languages = self.languages or ()
        wanted = {media_id: wanted_tracks(tracks, languages) for media_id, tracks in declared.items()}
        told = [[asdict(track) for track in wanted.get(key, ())] for key in media.column("media_id").to_pylist()]
        return pa.array([tracks or None for tracks in told], _TRACKS)


def plan_buckets(
    store: Store, planner: BucketPlanner, kept: dict[str, tuple[str, list[str]]], engine: Any
) -> list[PlannedList]:
    """The lists of all buckets, in order; kept: bucket -> (what its kept pairs are, their paths).

    Only the last plan of a bucket is kept: with an earlier one, lists that were never begun would come back to life.
    """
    found: dict[str, list[PlannedList]] = {}
    for bucket, (key, _) in kept.items():
        plan = store.read_json(_plan_path(planner, bucket))
        if plan is not None and plan["key"] == _key(planner, key):
            found[bucket] = [PlannedList(**entry) for entry in plan["lists"]]
    missing = [(bucket, paths) for bucket, (_, paths) in kept.items() if bucket not in found]
    if missing:
        for (bucket, _), planned in zip(missing, engine().map(planner, missing), strict=True):
            plan = {"key": _key(planner, kept[bucket][0]), "lists": [entry.__dict__ for entry in planned]}
            store.put_json(_plan_path(planner, bucket), plan)
            found[bucket] = planned
    return [entry for bucket in sorted(found) for entry in found[bucket]]


def _plan_path(planner: BucketPlanner, bucket: str) -> str:
    return f"{PLANS}/{planner.kind}/{bucket}.json"


def _key(planner: BucketPlanner, kept: str) -> str:
    return digest(kept, planner.modality, planner.first, planner.shard_media)
