"""What became of a media after its pairs were kept: fetched or not, whose copy it is, and which pairs stayed."""

from __future__ import annotations

from typing import Any

from curation.errors import WorkFolderError
from curation.inspect.card_media import ERRORS
from curation.inspect.why_captions import why_caption_lines
from curation.inspect.why_clips import why_clip_lines
from curation.inspect.why_manifest import why_manifest_lines
from curation.inspect.wording import how_many, quoted, size
from curation.pipeline import ALL_STAGES, MANIFEST_STAGES, MEDIA_STAGES, STAGES, VIDEO_STAGES
from curation.query import Query, open_query
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import DUPLICATES, FINAL_PAIRS, MEDIA, Dataset
from curation.stages.buckets import bucket_name, bucket_of

_AFTER = ALL_STAGES[len(STAGES) :]
"""Stages after the selection."""


def why_media_lines(catalog: Catalog, media_id: str, sample_id: str | None = None) -> list[str]:
    """Lines for a terminal; none where nothing was fetched in this folder. sample_id: of the manifest only that one."""
    fetch, to_come = _visible(catalog, "fetch"), _to_come(catalog)
    if fetch is None:
        return ["", *to_come] if to_come else []
    pairs = catalog.visible("pairs")
    bucket = bucket_name(int(media_id[:8], 16) % int(pairs.settings["media_buckets"]))
    with open_query(catalog.store) as query:
        row = _row(query, MEDIA, _of_bucket(fetch, bucket), media_id)
        lines = ["", "fetch      not asked for: no pair of it was kept, or its modality is not fetched"]
        if row is not None:
            lines = ["", *_ledger(row)]
            if row["path"] is not None and catalog.store.size(row["path"]) is None:
                lines.append("           gone by now: removed once its clips were cut (fetch.video.keep_source)")
            if row["modality"] == "video" and row["status"] == "ok":
                lines += why_clip_lines(catalog, query, media_id)
        duplicates, rebalance = (_visible(catalog, name) for name in ("duplicates", "rebalance"))
        if duplicates is not None:
            copy = _row(query, DUPLICATES, duplicates.paths(DUPLICATES.name), media_id)
            lines += _copy(copy, media_id)
        if rebalance is not None and row is not None and row["status"] == "ok":
            report = rebalance.reports.get(bucket)
            query.view("every_final", FINAL_PAIRS, report.paths(FINAL_PAIRS.name) if report else [])
            final = query.value("SELECT count(*) FROM every_final WHERE text_media_id = ?", [media_id])
            lines.append(f"final      {how_many(int(final), 'pair')} of it after duplicates and rebalance")
            lines += why_caption_lines(catalog, query, media_id, bucket)
        lines += why_manifest_lines(catalog, query, media_id, bucket, sample_id)
    return [*lines, *to_come]


def _to_come(catalog: Catalog) -> list[str]:
    """What of the folder's run is not there yet. No folder holds its recipe: one that has fetched makes a manifest."""
    begun = catalog.store.names("_runs")
    if "fetch" not in begun:
        return []
    videos = {stage.name for stage in VIDEO_STAGES}
    asked = begun | {stage.name for stage in (*MEDIA_STAGES, *MANIFEST_STAGES)} - (videos - begun)
    asked |= videos if begun & videos else set()
    asked |= {"chosen_captions"} if "captions" in begun else set()
    missing = [stage.name for stage in _AFTER if stage.name in asked and not catalog.is_fresh(stage.name)]
    if catalog.is_fresh("manifest"):  # what else is outdated may be of an earlier recipe
        missing = [name for name in missing if catalog.pointer(name) is None]
    if not missing:
        return []
    last = "manifest" if "manifest" in missing else missing[0]
    before = missing[: missing.index(last)]
    state = "not made yet" if catalog.pointer(last) is None else "not up to date"
    if not before:
        return [f"{last:<10} {state}: `curation run` makes it"]
    return [f"{last:<10} {state}, nor what comes before it ({', '.join(before)}): `curation run` makes them"]


def _visible(catalog: Catalog, stage: str) -> Manifest | None:
    try:
        return catalog.visible(stage)
    except WorkFolderError:
        return None


def _of_bucket(fetch: Manifest, bucket: str) -> list[str]:
    reports = (report for name, report in fetch.reports.items() if bucket_of(name) == bucket)
    return [path for report in reports for path in report.paths(MEDIA.name)]


def _row(query: Query, dataset: Dataset, paths: list[str], media_id: str) -> dict[str, Any] | None:
    query.view(f"one_{dataset.name}", dataset, paths)
    found = query.rows(f"SELECT * FROM one_{dataset.name} WHERE media_id = ?", [media_id])
    return found[0] if found else None


def _ledger(row: dict[str, Any]) -> list[str]:
    asked = f"asked {how_many(row['attempts'], 'time')}"
    status = "" if row["http_status"] is None else f", last answer HTTP {row['http_status']}"
    moved = [] if row["final_url"] is None else [f"           led to {quoted(row['final_url'], 400)}"]
    if row["status"] != "ok":
        words = ERRORS.get(row["error"], row["error"])
        detail = "" if not row["detail"] else f" ({quoted(row['detail'])})"
        again = "; a later run asks again" if row["transient"] else ""
        return [f"fetch      failed: {row['error']}, {words}{detail}; {asked}{status}{again}", *moved]
    original = f"{row['original_width']:,} x {row['original_height']:,} pixels, {row['mime']}"
    hashed = "" if row["phash"] is None else f"; perceptual hash {row['phash']:016x}"
    stored = f"{row['width']:,} x {row['height']:,}, {size(row['size_bytes'])}"
    return [
        f"fetch      ok: {original}, {size(row['fetched_bytes'])}; {asked}{status}",
        *moved,
        f"stored     {stored} in {row['path']} at byte {row['offset']:,}",
        f"sha256     {row['sha256']} as fetched{hashed}",
    ]


def _copy(copy: dict[str, Any] | None, media_id: str) -> list[str]:
    if copy is None:
        return []
    kept = "itself" if copy["kept_media_id"] == media_id else copy["kept_media_id"]
    return [
        f"copies     {copy['kind']}: one of the cluster {copy['cluster_id']}; kept are the bytes of {kept} "
        f"and the text of pair {copy['kept_pair_id']}"
    ]
