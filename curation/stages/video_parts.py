"""What pages and tables say of the parts of videos, and the bounds that all that is said gives to their clips."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from curation.captions.chapters import PART_SOURCES
from curation.digests import digest
from curation.media.video.facts import RefusedVideo
from curation.media.video.marks import marks_of
from curation.schemas import KEPT_PAIRS
from curation.stages.buckets import BATCH_ROWS, conformed
from curation.stages.video_units import Row, refusing
from curation.storage import Store

_PART = pa.schema([KEPT_PAIRS.schema.field(name) for name in ("media_id", "start_ms", "end_ms", "text")])
_UNREADABLE = "unreadable"


def parts_of(store: Store, kept_pairs: Sequence[str], media_ids: Collection[str]) -> dict[str, list[Row]]:
    """By media_id the kept pairs that are about a part of it: start_ms, end_ms, text.

    [] for media whose pairs say nothing of parts; those without a kept pair are left out. kept_pairs: paths.
    """
    own, sources = pa.array(sorted(media_ids), pa.string()), pa.array(sorted(PART_SOURCES))
    found: dict[str, list[Row]] = {}
    for batch in store.batches(list(kept_pairs), [*_PART.names, "text_sources"], BATCH_ROWS):
        rows = batch.filter(pc.is_in(batch.column("media_id"), value_set=own))
        found |= {media_id: [] for media_id in rows.column("media_id").unique().to_pylist() if media_id not in found}
        rows = rows.filter(pc.is_valid(rows.column("start_ms")))
        lists = rows.column("text_sources")
        told = pc.list_parent_indices(lists).filter(pc.is_in(lists.flatten(), value_set=sources)).unique()
        for row in conformed({name: rows.column(name).take(told) for name in _PART.names}, _PART).to_pylist():
            found[row["media_id"]].append(row)
    return found


def digest_of_marks(kind: str, video: Row, parts: Iterable[Row]) -> str:
    """Of the bounds that a split set gives to the clips of a video. What cannot be read is refused when it is cut."""
    try:
        with refusing():
            marks = marks_of(kind, video, parts)
    except RefusedVideo:
        return _UNREADABLE
    return digest([(mark.start_ms, mark.end_ms, mark.text) for mark in marks])[:16]
