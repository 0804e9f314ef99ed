"""Manifests of any size without a run: what a report, a loader or a diff reads, made up from row numbers.

    table = manifest_table(10_000)                        # MANIFEST.schema
    store = write_manifest(folder, 10_000)                # the same in a work folder, published
    store = write_manifest(folder, 500, with_bytes=True)  # and its rows point to real JPEGs and clips

Every row is a function of (seed, row number, number of rows): how rows are batched changes nothing. Entries have a long
tail that was balanced, several clips share a video, some samples have captions of a model, as real ones do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.digests import digest
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import ENTRY_PROBABILITIES, MANIFEST, MANIFEST_COUNTS
from curation.stages.buckets import bucket_name, conformed
from curation.storage import Store
from curation.testing.manifest_bytes import with_real_bytes
from curation.testing.manifest_texts import Concepts, Picks, lists, texts_of
from curation.testing.rows import Indices

BUCKETS = 16
"""Media buckets of a manifest, and more where they would hold over _BUCKET_ROWS rows."""

_BUCKET_ROWS = 1 << 16
_CLIPS = 4  # of a video, at most: rows of one block of row numbers
_HOSTS = 5000
_LICENCES = ("CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0")
_SNAPSHOTS = ("CC-MAIN-2024-22", "CC-MAIN-2024-26", "CC-MAIN-2024-30")
_SIDES = (256, 341, 384, 455)
_FILM_SIZES = ((320, 180), (320, 240), (426, 240), (180, 320))
_WRITTEN = "2026-01-01T00:00:00+00:00"


def manifest_table(samples: int, seed: int = 0, *, videos: float = 0.2) -> pa.Table:
    """So many rows of MANIFEST, by bucket and sample_id. videos: share of samples that are clips. See batches."""
    return pa.concat_tables([MANIFEST.schema.empty_table(), *manifest_batches(samples, seed, videos=videos)])


def manifest_batches(samples: int, seed: int = 0, *, videos: float = 0.2) -> Iterator[pa.Table]:
    """The rows of manifest_table, one bucket at a time: some 100 MB in memory, and 24 bytes a sample."""
    rows = _Rows(samples, seed, videos)
    buckets = max(BUCKETS, -(-samples // _BUCKET_ROWS))
    numbers: Indices = np.arange(samples, dtype=np.int64)
    of = np.zeros(samples, np.int32)
    for start in range(0, samples, _BUCKET_ROWS):
        some = numbers[start : start + _BUCKET_ROWS]
        of[some] = [int(media_id[:8], 16) % buckets for media_id in rows.media_ids(some).to_pylist()]
    for bucket in range(buckets):
        if len(own := numbers[of == bucket]):
            yield rows.table(own, bucket).sort_by("sample_id")


def write_manifest(
    folder: str | Path,
    rows: pa.Table | int,
    *,
    entries: bool = True,
    with_bytes: bool = False,
    seed: int = 0,
    videos: float = 0.2,
) -> Store:
    """A work folder with a published `manifest`, and nothing that it was made from.

    rows: a table of MANIFEST, whatever its order, or how many to make up. entries: entry_probabilities, too.
    with_bytes: every row points to bytes of its own: JPEGs of 48 x 48 pixels in its first entry's colours, mp4 clips of
    one second. The same arguments give the same version; other rows another.
    """
    store = Store.at(folder)
    total = rows if isinstance(rows, int) else rows.num_rows
    parts = manifest_batches(rows, seed, videos=videos) if isinstance(rows, int) else _by_bucket(rows)
    reports: dict[str, UnitReport] = {}
    found: list[pa.Table] = []
    for part in parts:
        bucket = bucket_name(part.column("media_bucket")[0].as_py())
        made = with_real_bytes(store, bucket, part, seed) if with_bytes else part
        counts = _counted(made)
        reports[bucket] = _unit(store, "manifest", bucket, {MANIFEST: made, MANIFEST_COUNTS: counts})
        found.append(counts)
    _publish(store, "manifest", reports)
    if entries:
        sums = pa.concat_tables([MANIFEST_COUNTS.schema.empty_table(), *found])
        table = entry_probabilities(sums, total)
        _publish(store, "entry_probabilities",
                 {"all": _unit(store, "entry_probabilities", "all", {ENTRY_PROBABILITIES: table})})  # fmt: skip
    return store


def entry_probabilities(counts: pa.Table, samples: int) -> pa.Table:
    """ENTRY_PROBABILITIES of a manifest of so many samples, by partial MANIFEST_COUNTS; modalities share counts."""
    concepts = Concepts(samples)
    keys = ["modality", "vocabulary_lang", "entry_id"]
    sums = counts.group_by(keys).aggregate([("samples", "sum")])
    known = {tuple(row[key] for key in keys): row["samples_sum"] for row in sums.to_pylist()}
    return pa.concat_tables(
        [ENTRY_PROBABILITIES.schema.empty_table()]
        + [
            pa.table(
                {
                    "modality": pa.repeat(modality, len(entries)),
                    "vocabulary_lang": pa.repeat(lang, len(entries)),
                    "entry_id": pa.array(np.arange(len(entries), dtype=np.int32)),
                    "entry": entries,
                    "pool_texts": pa.array(np.ceil(concepts.counts[lang] * 1.2).astype(np.int64)),
                    "count": pa.array(concepts.counts[lang]),
                    "threshold": pa.repeat(concepts.thresholds[lang], len(entries)),
                    "probability": pa.array(np.minimum(1, concepts.thresholds[lang] / concepts.counts[lang])),
                    "samples": pa.array([known.get((modality, lang, e), 0) for e in range(len(entries))], pa.int64()),
                },
                schema=ENTRY_PROBABILITIES.schema,
            )
            for modality in sorted({modality for modality, _, _ in known})
            for lang, entries in concepts.entries.items()
        ]
    )


def _by_bucket(rows: pa.Table) -> Iterator[pa.Table]:
    for bucket in sorted(pc.unique(rows.column("media_bucket")).to_pylist()):
        yield rows.filter(pc.equal(rows.column("media_bucket"), bucket)).sort_by("sample_id")


def _counted(rows: pa.Table) -> pa.Table:
    """Samples per entry of their chosen text."""
    flat = rows.select(["modality", "vocabulary_lang"]).take(pc.list_parent_indices(rows.column("entry_ids")))
    flat = flat.append_column("entry_id", pc.list_flatten(rows.column("entry_ids")))
    keys = flat.schema.names
    sums = flat.group_by(keys).aggregate([([], "count_all")]).sort_by([(name, "ascending") for name in keys])
    return sums.rename_columns([*keys, "samples"]).select(MANIFEST_COUNTS.columns).cast(MANIFEST_COUNTS.schema)


def _unit(store: Store, stage: str, name: str, tables: Mapping[Any, pa.Table]) -> UnitReport:
    """One committed unit."""
    unit = Unit(name, {}, digest(stage, name))
    writer = UnitWriter(store, stage, "made-up", unit)
    for dataset, table in tables.items():
        for batch in table.to_batches(max_chunksize=_BUCKET_ROWS):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            writer.write(dataset, conformed(columns, dataset.schema))
        if dataset is MANIFEST:
            for what in ("modality", "split"):
                for entry in pc.value_counts(table.column(what)).to_pylist():
                    kind = "samples" if what == "modality" else "split"
                    writer.counts[f"{kind}:{entry['values']}"] += entry["counts"]
    return writer.commit()


def _publish(store: Store, stage: str, reports: dict[str, UnitReport]) -> None:
    counts: dict[str, int] = {}
    for report in reports.values():
        counts |= {name: counts.get(name, 0) + n for name, n in report.counts.items()}
    made_of = [(name, sorted(report.files), report.content(MANIFEST.name), report.content(ENTRY_PROBABILITIES.name))
               for name, report in sorted(reports.items())]  # fmt: skip
    version = digest(stage, made_of)[:16]
    manifest = Manifest(stage, version, {}, {}, {}, "made-up", counts, {}, reports, 0.0, _WRITTEN)
    Catalog(store, ALL_STAGES).publish(manifest)


class _Rows:
    """Makes rows from row numbers. Images have a number of their own; up to _CLIPS clips share that of their video."""

    def __init__(self, samples: int, seed: int, videos: float) -> None:
        self._picks, self._videos, self._concepts = Picks(seed), videos, Concepts(samples)

    def _is_video(self, numbers: Indices) -> Any:
        return self._picks.uniform(numbers // _CLIPS, "video") < self._videos

    def _media(self, numbers: Indices) -> Indices:
        return np.where(self._is_video(numbers), numbers // _CLIPS * _CLIPS, numbers)

    def _urls(self, media: Indices, is_video: Any) -> pa.Array:
        """Images and videos on hosts of a long tail; a third of the videos on a platform."""
        hosts = (_HOSTS ** self._picks.uniform(media, "host")).astype(np.int64)
        names = pc.binary_join_element_wise("https://", pa.array(hosts).cast(pa.string()), "")
        number = pa.array(media).cast(pa.string())
        files = [
            pc.binary_join_element_wise(names, f".{ending}.example/", number, f".{extension}", "")
            for ending, extension in (("pictures", "jpg"), ("films", "mp4"))
        ]
        player = pc.binary_join_element_wise("https://www.youtube.com/watch?v=", self._picks.hexes(media, "id", 11), "")
        own = pc.if_else(pa.array(is_video), files[1], files[0])
        return pc.if_else(pa.array(is_video & self._on_platform(media)), player, own)

    def _on_platform(self, media: Indices) -> Any:
        return self._picks.uniform(media, "platform") < 0.3

    def media_ids(self, numbers: Indices) -> pa.Array:
        media = self._media(numbers)
        urls = self._urls(media, self._is_video(numbers)).to_pylist()
        return pa.array([hashlib.sha224(url.encode()).hexdigest()[:24] for url in urls])

    def table(self, numbers: Indices, bucket: int) -> pa.Table:
        """Rows of these numbers, which are of one bucket."""
        media, is_video = self._media(numbers), self._is_video(numbers)
        columns = self._identity(numbers, media, is_video)
        columns["media_bucket"] = pa.repeat(pa.scalar(bucket, pa.int32()), len(numbers))
        columns |= self._bytes(numbers, is_video, bucket)
        columns |= texts_of(numbers, media, is_video, columns, self._picks, self._concepts)
        columns["scores"] = self._scores(numbers, is_video, columns)
        return pa.table([columns[name] for name in MANIFEST.columns], schema=MANIFEST.schema)

    def _identity(self, numbers: Indices, media: Indices, is_video: Any) -> dict[str, pa.Array]:
        picks, video = self._picks, pa.array(is_video)
        media_ids, rows = self.media_ids(numbers), len(numbers)
        start = numbers % _CLIPS * 9000
        length = 3000 + picks.choice(numbers, "length", 5500)
        clip_ids = pc.binary_join_element_wise(
            media_ids, *(pa.array(at).cast(pa.string()) for at in (start, start + length)), "-"
        )
        clip_ids = pc.if_else(video, clip_ids, pa.scalar(None, pa.string()))
        platform = pa.array(is_video & self._on_platform(media))
        said = picks.uniform(media, "licence") < 0.25
        pages = pc.binary_join_element_wise(
            "https://www.", pa.array(picks.choice(media, "page", _HOSTS)).cast(pa.string()), ".example/",
            pa.array(media // 7).cast(pa.string()), ".html", "",
        )  # fmt: skip
        return {
            "sample_id": pc.coalesce(clip_ids, media_ids),
            "media_id": media_ids,
            "clip_id": clip_ids,
            "modality": pc.if_else(video, "video", "image"),
            "split": pc.if_else(pa.array(picks.uniform(media, "split") < 0.01), "val", "train"),
            "media_url": self._urls(media, is_video),
            "page_url": _where(picks.uniform(media, "has page") < 0.98, pages),
            "platform": _where(platform, pa.repeat("youtube", rows)),
            "platform_id": _where(platform, picks.hexes(media, "id", 11)),
            "licence": _where(said, pa.array(_LICENCES).take(pa.array(picks.choice(media, "which", len(_LICENCES))))),
            "upload_date": _where(is_video, picks.days(media)),
            "snapshot": pa.array(_SNAPSHOTS).take(pa.array(picks.choice(media, "snapshot", len(_SNAPSHOTS)))),
            "archive": lists("{:05d}.warc.gz", picks.choice(media, "archive", 900), 900),
            "record_offset": pa.array(picks.choice(media, "record", 1 << 30)),
            "start_ms": _where(is_video, pa.array(start)),
            "end_ms": _where(is_video, pa.array(start + length)),
            "duration_ms": _where(is_video, pa.array(length)),
            "source_duration_ms": _where(is_video, pa.array(np.full(rows, _CLIPS * 9000))),
        }

    def _bytes(self, numbers: Indices, is_video: Any, bucket: int) -> dict[str, pa.Array]:
        """Sizes as of real files, of which there are none."""
        picks, rows, video = self._picks, len(numbers), pa.array(is_video)
        long, short = np.array(_SIDES)[picks.choice(numbers, "side", 4)], np.full(rows, 256)
        upright = picks.uniform(numbers, "upright") < 0.3
        films = np.array(_FILM_SIZES)[picks.choice(numbers, "film", 4)]
        width = np.where(is_video, films[:, 0], np.where(upright, short, long)).astype(np.int32)
        height = np.where(is_video, films[:, 1], np.where(upright, long, short)).astype(np.int32)
        grown = 1 + 7 * picks.uniform(numbers, "grown") ** 2
        size = (width.astype(np.int64) * height * np.where(is_video, 2.5, 0.25)).astype(np.int64)
        kind = pc.if_else(video, "clips", "media")
        return {
            "path": pc.binary_join_element_wise(kind, f"/tars/{bucket_name(bucket)}-made-up.tar", ""),
            "offset": pa.array(np.cumsum(size + 1024) - size - 1024 + 512),
            "size_bytes": pa.array(size),
            "sha256": picks.hexes(numbers, "stored", 64),
            "fetched_sha256": picks.hexes(self._media(numbers), "fetched", 64),
            "phash": pa.array(np.where(picks.uniform(numbers, "flat") < 0.01, 0, picks.words(numbers, "phash"))),
            "extension": pc.if_else(video, "mp4", "jpg"),
            "width": pa.array(width),
            "height": pa.array(height),
            "original_width": _where(~is_video, pa.array((width * grown).astype(np.int32))),
            "original_height": _where(~is_video, pa.array((height * grown).astype(np.int32))),
            "fps": _where(is_video, pa.array(np.full(rows, 24.0))),
            "has_audio": _where(is_video, pa.array(picks.uniform(numbers, "audio") < 0.7)),
        }

    def _scores(self, numbers: Indices, is_video: Any, columns: Mapping[str, pa.Array]) -> pa.Array:
        told = {name: columns[name] for name in ("width", "height", "fps", "duration_ms", "has_audio")}
        for name in ("brightness", "motion_difference", "still_share", "text_area", "letterbox"):
            told[name] = pa.array(self._picks.uniform(numbers, name) ** 2)
        told["sharpness"] = pa.array(900 * self._picks.uniform(numbers, "sharpness"))
        fields = list(MANIFEST.schema.field("scores").type)
        parts = [told[each.name].cast(each.type) if each.name in told else pa.nulls(len(numbers), each.type)
                 for each in fields]  # fmt: skip
        return pa.StructArray.from_arrays(parts, fields=fields, mask=pa.array(~is_video))


def _where(mask: Any, values: pa.Array) -> pa.Array:
    """The values, null where the mask is not set."""
    return pc.if_else(mask if isinstance(mask, pa.Array) else pa.array(mask), values, pa.scalar(None, values.type))
