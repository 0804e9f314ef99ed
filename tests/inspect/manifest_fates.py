"""Work folders in which every sample has a known fate: rows of all datasets up to the one that is without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from faults_caption_rows import Row, manifest

from curation.filters import CandidateFilters
from curation.pipeline import ALL_STAGES
from curation.recipe import Pairs
from curation.runner.catalog import Catalog
from curation.storage import Store

T = 20.0
"""Threshold of every folder unless it says another."""
BUCKET = "bucket-00000"
RULES = {"rules": {"min_chars": 5}, "filters": {"consent": {"refuse": ["noai"]}}, "media_buckets": 1}


class Fate(NamedTuple):
    """stage, reason: as they are told. last: dataset that still has the sample. rows: what else says so, by dataset."""

    stage: str
    reason: str
    last: str
    modality: str = "image"
    rows: Callable[[str, str], Mapping[str, Row]] = lambda media_id, sample_id: {}

_FLOW = ("candidates", "pairs", "draws", "kept_pairs", "media", "pieces", "kept_clips", "survivors", "final_pairs",
         "samples", "chosen_captions", "balanced_captions", "manifest")  # fmt: skip


def _says(dataset: str, **row: Any) -> Callable[[str, str], Mapping[str, Row]]:
    return lambda media_id, sample_id: {dataset: row}


def _overlap(key: str) -> Callable[[str, str], Mapping[str, Row]]:
    return lambda media_id, sample_id: {
        "rejections:manifest": {"id": media_id, "reason": "overlap",
                                "detail": f"{sample_id} is in my bench.csv by its {key}"}}  # fmt: skip


FATES: dict[str, Fate] = {
    "there": Fate("", "", "manifest"),
    "other_archive": Fate("extract", "other_archive", ""),
    "short": Fate("pairs", "min_chars", "candidates", rows=_says("candidates", text="abc")),
    "refused": Fate("pairs", "consent:noai", "candidates", rows=_says("candidates", robots=["noai"])),
    "refused_elsewhere": Fate("pairs", "consent:noai", "candidates"),  # by another page of the same media: see below
    "placeholder": Fate("pairs", "placeholder", "candidates",
                        rows=lambda media_id, _: {"rejections:pairs": {"id": media_id, "reason": "placeholder"}}),
    "unmatched": Fate("match", "no_entry", "pairs"),
    "not_drawn": Fate("balance", "other_draw", "draws", rows=_says("draws", critical_threshold=1000.0, picked=True)),
    "lower_t": Fate("balance", "lower_threshold", "draws", rows=_says("draws", critical_threshold=30.0, picked=True)),
    "not_asked": Fate("fetch", "not_asked", "kept_pairs"),
    "gone": Fate("fetch", "http_4xx", "media", rows=_says("media", status="failed", error="http_4xx")),
    "slow": Fate("fetch", "timeout", "media", rows=_says("media", status="failed", error="timeout")),
    "copy": Fate("duplicates", "near", "media",
                 rows=_says("duplicates", kind="near", kept_media_id="f" * 24, cluster_id="f" * 24)),
    "exact": Fate("duplicates", "exact", "media",
                  rows=_says("duplicates", kind="exact", kept_media_id="f" * 24, cluster_id="f" * 24)),
    "undecodable": Fate("scenes", "undecodable", "media", "video",
                        rows=_says("scenes", status="failed", error="undecodable")),
    "still": Fate("clips", "still", "pieces", "video", rows=_says("pieces", clip_id=None, dropped="still")),
    "elsewhere": Fate("clips", "other_bounds", "pieces", "video",
                      rows=lambda media_id, _: {"pieces": {"start_ms": 7, "end_ms": 8, "clip_id": f"{media_id}-7-8"}}),
    "no_clip": Fate("clips", "no_clip", "media", "video"),
    "dark": Fate("kept_clips", "max_black_share", "kept_clips", "video",
                 rows=_says("kept_clips", kept=False, refused_by="max_black_share")),
    "as_video": Fate("survive", "other_modality", "media", rows=_says("media", modality="video")),
    "thinned": Fate("rebalance", "not_drawn", "survivors"),
    "thinned_original": Fate("rebalance", "not_drawn", "survivors",  # a copy's bytes were left out, not its own
                             rows=lambda media_id, _: {"duplicates": {"kind": "near", "kept_media_id": media_id,
                                                                      "cluster_id": media_id}}),
    "thinned_clip": Fate("rebalance", "not_drawn", "survivors", "video"),
    "wordless": Fate("chosen_captions", "no_caption", "samples"),
    "no_entry": Fate("balanced_captions", "no_entry", "chosen_captions", rows=_says("chosen_captions", entry_ids=[])),
    "recaptioned": Fate("balanced_captions", "not_drawn", "chosen_captions"),
    "known": Fate("manifest", "overlap:url", "balanced_captions", rows=_overlap("url")),
    "known_clip": Fate("manifest", "overlap:phash", "balanced_captions", "video", rows=_overlap("phash")),
    "textless": Fate("manifest", "no_text", "balanced_captions"),
    "clip": Fate("", "", "manifest", "video"),
}  # fmt: skip


THERE_ONLY = "there_only"
"""As `there`, from an archive that no others come from."""
_ALL = FATES | {THERE_ONLY: FATES["there"]}


def ids(number: int, fate: Fate) -> tuple[str, str]:
    """media_id and sample_id of a sample."""
    media_id = f"{number:024x}"
    return media_id, f"{media_id}-0-1000" if fate.modality == "video" else media_id


def publish(folder: Path, fates: Mapping[int, str], *, t: float = T, without: tuple[str, ...] = ()) -> Store:
    """A folder with these samples, by number. without: stages that it does not have."""
    store = Store.at(folder)
    rows: dict[str, list[Row]] = {}
    for number, name in fates.items():
        for dataset, row in _rows(number, name):
            rows.setdefault(dataset, []).append(row)
    catalog = Catalog(store, ALL_STAGES)
    for stage in ALL_STAGES:
        if stage.name in without or stage.name in ("caption_scores", "shards"):
            continue
        told = {}
        for dataset in stage.outputs:
            own = rows.get(f"rejections:{stage.name}" if dataset.name == "rejections" else dataset.name, [])
            key = "sample_id" if "sample_id" in dataset.columns else "media_id"
            told[dataset] = sorted(own, key=lambda row: str(row.get(key)))
        settings, context = _facts(stage.name, t)
        catalog.publish(manifest(store, stage.name, {BUCKET: told}, settings=settings, context=context))
    return store


def _facts(stage: str, t: float) -> tuple[Row, Row]:
    if stage == "pairs":
        pairs = Pairs.model_validate(RULES)
        return pairs.model_dump(), {"filters": CandidateFilters(pairs.filters).fingerprint}
    if stage == "match":
        return {}, {"vocabularies": {}}
    if stage in ("balance", "rebalance"):
        return {"pool_modalities": False}, {"thresholds": {what: {"en": t} for what in ("image", "video")}}
    return {}, {}


def _rows(number: int, name: str) -> list[tuple[str, Row]]:
    fate = _ALL[name]
    media_id, sample_id = ids(number, fate)
    is_clip = fate.modality == "video"
    base = {
        "sample_id": sample_id, "media_id": media_id, "kept_media_id": media_id, "text_media_id": media_id,
        "pair_id": f"{number:032x}", "modality": fate.modality,
        "media_url": f"https://host{number % 3}.example/{number}",
        "clip_id": sample_id if is_clip else None, "text": f"a dog by the way, {number}", "lang": "en",
        "vocabulary_lang": "en", "entry_ids": [number % 3], "status": "ok", "picked": True, "critical_threshold": 1.0,
        "start_ms": 0, "end_ms": 1000, "kept": True, "archive": "read.warc.gz", "split": "train", "text_lang": "en",
        "text_kind": "alt.alt", "sha256": f"{number:064x}", "keep_probability": 1.0, "text_rule": "captions.order",
        "captioner": "alt", "kind": "alt",
    }  # fmt: skip
    if name == THERE_ONLY:
        base["archive"] = "unread.warc.gz"
    more = fate.rows(media_id, sample_id)
    found: list[tuple[str, Row]] = []
    for dataset in _FLOW[: _FLOW.index(fate.last) + 1] if fate.last else ():
        if dataset in ("pieces", "kept_clips") and not is_clip:
            continue
        found.append((dataset, {**base, **more.get(dataset, {})}))
        if dataset == "draws":
            found.append(("matches", base))
    found += [(dataset, {**base, **row}) for dataset, row in more.items()
              if dataset not in {each for each, _ in found}]  # fmt: skip
    if name == "refused_elsewhere":  # one page refuses for all; two more texts are too short, one would do
        found += [("candidates", {**base, "robots": ["noai"]}), *[("candidates", {**base, "text": "abc"})] * 2]
        found += [("candidates", base)] * 2
    return found
