"""Bounds that a video's own texts give: its chapters, or the cues of its subtitles."""

from __future__ import annotations

from html import unescape
from typing import Any

from curation.media.video.splitting import Mark


def marks_of(kind: str, video: dict[str, Any]) -> list[Mark]:
    """The marks of a split set: of its row of `videos` the chapters, or the cues of the first subtitles that have some,
    those by hand before those of a machine; for other sets none.
    """
    if kind == "chapters":
        return [Mark(row["start_ms"], row["end_ms"], row["title"]) for row in video["chapters"]]
    if kind == "subtitles":
        tracks = sorted(video["subtitles"], key=lambda track: track["automatic"])
        return next((found for track in tracks if (found := cues(track["text"]))), [])
    return []


def cues(text: str) -> list[Mark]:
    """The cues of WebVTT, SubRip, TTML and what else pysubs2 reads, without markup; none of what it cannot read."""
    import pysubs2

    try:
        events = list(pysubs2.SSAFile.from_string(text))
    except Exception:  # noqa: BLE001 - its readers raise what parsers of XML and JSON do; another track may be read
        return []
    return [
        Mark(event.start, event.end, " ".join(unescape(event.plaintext).split()))
        for event in events
        if not event.is_comment
    ]
