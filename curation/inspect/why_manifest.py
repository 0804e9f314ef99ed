"""The end of a media's way: its rows of the manifest, or why it has none, and the shards that hold them."""

from __future__ import annotations

import re
from typing import Any, Final

from curation.errors import WorkFolderError
from curation.inspect.manifest_diff_text import reason_words
from curation.inspect.wording import how_many, number, quoted, size
from curation.query import Query
from curation.runner.catalog import Catalog
from curation.schemas import (
    BALANCED_CAPTIONS,
    CHOSEN_CAPTIONS,
    ENTRY_PROBABILITIES,
    MANIFEST,
    REJECTIONS,
    SAMPLES,
    SHARD_SAMPLES,
    Dataset,
)

MOST_SAMPLES: Final = 20
"""Samples of one media that are told; of the others the number is."""
_MOST_TEXTS = 5
_MOST_ENTRIES = 12
_CLIP_ID = re.compile(r"([0-9a-f]{24})-[0-9]+-[0-9]+").fullmatch
_REMOVED = re.compile(r"(\S+) is in (.+) by its (\w+)", re.DOTALL).fullmatch

Row = dict[str, Any]


def media_and_sample(id: str) -> tuple[str, str | None]:
    """(what `curation.inspect.why.why` takes, sample_id or None): a clip_id names its media and itself."""
    wanted = id.strip().lower()
    clip = _CLIP_ID(wanted)
    return (id, None) if clip is None else (clip[1], wanted)


def why_manifest_lines(catalog: Catalog, query: Query, media_id: str, bucket: str, wanted: str | None) -> list[str]:
    """Lines for a terminal; none where the run has no manifest. wanted: the sample_id that alone is asked for."""
    rows = _rows(catalog, query, MANIFEST, bucket, media_id)
    if rows is None:
        return []
    there = {row["sample_id"]: row for row in rows}
    samples = [row["sample_id"] for row in _rows(catalog, query, SAMPLES, bucket, media_id) or rows]
    asked = sorted({*samples, *there}) if wanted is None else [wanted]
    if not asked:
        return ["manifest   not in it: nothing of it became a sample"]
    why = _Why(catalog, query, media_id, bucket)
    names = _entry_names(catalog, query, rows)
    lines = []
    for sample_id in asked[:MOST_SAMPLES]:
        if sample_id in there:
            lines += [*_told(there[sample_id], names), *why.shard(sample_id)]
        else:
            lines.append(f"manifest   {sample_id} is not in it: {why.not_there(sample_id, sample_id in samples)}")
    if len(asked) > MOST_SAMPLES:
        lines.append(f"           and {how_many(len(asked) - MOST_SAMPLES, 'further sample')}")
    return lines


class _Why:
    """What else the stages say of a media's samples."""

    def __init__(self, catalog: Catalog, query: Query, media_id: str, bucket: str) -> None:
        self._catalog, self._query = catalog, query
        self._chosen, self._balanced = (
            _rows(catalog, query, dataset, bucket, media_id) for dataset in (CHOSEN_CAPTIONS, BALANCED_CAPTIONS)
        )
        self._removed = self._of_sets(media_id, bucket)
        self._shards = self._of_shards(media_id)

    def _of_sets(self, media_id: str, bucket: str) -> dict[str, str]:
        """Samples that another set has, too, and were taken out: by what and which."""
        report = self._catalog.visible("manifest").reports.get(bucket)
        self._query.view("of_sets", REJECTIONS, report.paths(REJECTIONS.name) if report else [])
        rows = self._query.rows("SELECT detail FROM of_sets WHERE id = ?", [media_id])
        found = (_REMOVED(row["detail"] or "") for row in rows)
        return {
            match[1]: f"{quoted(match[2])} of manifest.decontaminate has it by its {match[3]}"
            for match in found
            if match
        }

    def _of_shards(self, media_id: str) -> dict[str, Row] | None:
        """By sample_id; None where there are no shards, or not up to date."""
        try:
            manifest = self._catalog.visible(self._catalog.stage_of(SHARD_SAMPLES.name))
        except (WorkFolderError, KeyError):
            return None
        self._query.view("of_shards", SHARD_SAMPLES, manifest.paths(SHARD_SAMPLES.name))
        rows = self._query.rows("SELECT * FROM of_shards WHERE media_id = ?", [media_id])
        return {row["sample_id"]: row for row in rows}

    def shard(self, sample_id: str) -> list[str]:
        """Which exported tar holds a sample of the manifest."""
        if self._shards is None:
            return []
        row = self._shards.get(sample_id)
        if row is None:
            return ["shard      in none: shards.modalities leaves it out, or its bytes could not be read (rejections)"]
        return [f"shard      {row['path']} at byte {row['offset']:,}"]

    def not_there(self, sample_id: str, is_sample: bool) -> str:
        """Why a sample is not in the manifest."""
        if not is_sample:
            return "it is no sample; its video was cut at other places, or the clip is not kept (see above)"
        if sample_id in self._removed:
            return f"taken out: {self._removed[sample_id]}"
        chosen = next((row for row in self._chosen or [] if row["sample_id"] == sample_id), None)
        if self._chosen is not None and chosen is None:
            return reason_words("chosen_captions", "no_caption")
        stays = self._balanced is None or any(row["sample_id"] == sample_id for row in self._balanced)
        if chosen is not None and not stays:
            return reason_words("balanced_captions", "not_drawn" if chosen["entry_ids"] else "no_entry")
        return reason_words("manifest", "no_text")


def _rows(catalog: Catalog, query: Query, dataset: Dataset, bucket: str, media_id: str) -> list[Row] | None:
    """None where the stage has not run."""
    try:
        manifest = catalog.visible(catalog.stage_of(dataset.name))
    except (WorkFolderError, KeyError):
        return None
    report = manifest.reports.get(bucket)
    query.view(f"end_{dataset.name}", dataset, report.paths(dataset.name) if report else [])
    return query.rows(f"SELECT * FROM end_{dataset.name} WHERE media_id = ?", [media_id])


def _entry_names(catalog: Catalog, query: Query, rows: list[Row]) -> dict[tuple[str, int], str]:
    wanted = sorted({entry for row in rows for entry in row["entry_ids"]})
    try:
        manifest = catalog.visible(catalog.stage_of(ENTRY_PROBABILITIES.name))
    except (WorkFolderError, KeyError):
        return {}
    query.view("end_entries", ENTRY_PROBABILITIES, manifest.paths(ENTRY_PROBABILITIES.name))
    found = query.rows(
        "SELECT DISTINCT vocabulary_lang, entry_id, entry FROM end_entries "
        "WHERE entry_id IN (SELECT unnest(?::INTEGER[]))",
        [wanted],
    )
    return {(row["vocabulary_lang"], row["entry_id"]): row["entry"] for row in found}


def _told(row: Row, names: dict[tuple[str, int], str]) -> list[str]:
    """A row of the manifest."""
    licence = f", licence {quoted(row['licence'])[1:-1]}" if row["licence"] else ""
    lang = f", {row['text_lang']}" if row["text_lang"] else ""
    lines = [
        f"manifest   {row['sample_id']}: in {row['split']}{licence}",
        f"  bytes      {size(row['size_bytes'])} of {row['path']} from byte {row['offset']:,} ({row['extension']}, "
        f"{row['width']:,} x {row['height']:,})",
        f"  text       {quoted(row['text'], 400)} ({row['text_kind']}{lang}), chosen by {row['text_rule']}",
    ]
    others = row["texts"][1:]
    lines += [
        f"  or         {quoted(text['text'])} ({text['captioner']}.{text['kind']}), weight {number(text['weight'])}"
        for text in others[:_MOST_TEXTS]
    ]
    if len(others) > _MOST_TEXTS:
        lines.append(f"  or         {how_many(len(others) - _MOST_TEXTS, 'further text')}")
    entries = [names.get((row["vocabulary_lang"], entry), f"entry {entry}") for entry in row["entry_ids"]]
    more = f" and {len(entries) - _MOST_ENTRIES:,} more" if len(entries) > _MOST_ENTRIES else ""
    told = ", ".join(quoted(entry) for entry in entries[:_MOST_ENTRIES]) or "none in its text"
    return [
        *lines,
        f"  entries    {told}{more}",
        f"  balance    keep probability {row['keep_probability']:.4g}, critical threshold "
        f"{number(row['critical_threshold'])} (by the counts after losses)",
    ]
