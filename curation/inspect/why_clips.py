"""What became of a video: its shots, the pieces it was split into, and which of its clips are kept."""

from __future__ import annotations

from typing import Any, Final

from curation.errors import WorkFolderError
from curation.inspect.card_clips import piece_words
from curation.inspect.wording import how_many, quoted
from curation.query import Query
from curation.runner.catalog import Catalog
from curation.schemas import KEPT_CLIPS, PIECES, SCENES, VIDEOS, Dataset

MOST_PIECES: Final = 40
"""Pieces that are listed; of the others the number is told."""

_STAGES = {VIDEOS: "fetch", SCENES: "scenes", PIECES: "clips", KEPT_CLIPS: "kept_clips"}


def why_clip_lines(catalog: Catalog, query: Query, media_id: str) -> list[str]:
    """Lines for a terminal, as far as the stages have come."""
    videos, scenes, pieces, kept = (_rows(catalog, query, dataset, media_id) for dataset in _STAGES)
    lines = [_video(row) for row in videos]
    for row in scenes:
        shots = f"{how_many(len(row['cuts']) + 1, 'shot')} in {how_many(len(row['times_ms']), 'frame')}"
        lines.append(f"scenes     {shots if row['status'] == 'ok' else 'failed: ' + str(row['error'])}")
    verdicts = {row["clip_id"]: row for row in kept}
    pieces.sort(key=lambda row: (row["start_ms"], row["end_ms"]))
    lines += [_piece(row, verdicts.get(row["clip_id"])) for row in pieces[:MOST_PIECES]]
    if len(pieces) > MOST_PIECES:
        lines.append(f"           and {how_many(len(pieces) - MOST_PIECES, 'further piece')}")
    return lines


def _rows(catalog: Catalog, query: Query, dataset: Dataset, media_id: str) -> list[dict[str, Any]]:
    try:
        manifest = catalog.visible(_STAGES[dataset])
    except WorkFolderError:
        return []
    query.view(f"every_{dataset.name}", dataset, manifest.paths(dataset.name))
    return query.rows(f"SELECT * FROM every_{dataset.name} WHERE media_id = ?", [media_id])


def _video(row: dict[str, Any]) -> str:
    rate = f"{row['fps']:.5g} frames a second" + (" (varying)" if row["is_vfr"] else "")
    sound = f"{row['audio_codec']} sound" if row["audio_codec"] else "no sound"
    turned = f", turned by {row['rotation']} degrees" if row["rotation"] else ""
    words = "" if row["title"] is None else f"; {quoted(row['title'])}"
    return f"video      {row['duration_ms'] / 1000:.3f} s, {rate}, {row['video_codec']}, {sound}{turned}{words}"


def _piece(row: dict[str, Any], verdict: dict[str, Any] | None) -> str:
    span = f"{row['start_ms'] / 1000:9.3f} to {row['end_ms'] / 1000:9.3f} s"
    if row["dropped"] is not None:
        value = "" if row["value"] is None else f" ({row['value']:.3g})"
        detail = "" if row["detail"] is None else f": {quoted(row['detail'])}"
        return f"piece      {span}  dropped: {row['dropped']}{value}, {piece_words(row['dropped'])}{detail}"
    if verdict is None:
        return f"clip       {span}  {row['clip_id']}"
    if verdict["kept"]:
        return f"clip       {span}  kept as {row['clip_id']}"
    of = "" if verdict["duplicate_of"] is None else f" of {verdict['duplicate_of']}"
    return f"clip       {span}  not kept: {verdict['refused_by']}{of}"
