"""Bounds that a video's own texts give: its chapters, or the cues of its subtitles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from curation.captions.chapters import video_chapters
from curation.captions.timed_text import TimedTextError, clean, read_cues
from curation.media.video.splitting import Mark


def marks_of(kind: str, video: Mapping[str, Any], parts: Iterable[Mapping[str, Any]] = ()) -> list[Mark]:
    """The marks of a split set: of its row of `videos` the chapters, or the cues of the first subtitles that have some,
    those by hand before those of a machine; for other sets none. parts: as for video_chapters.
    """
    if kind == "chapters":
        return [Mark(row.start_ms, row.end_ms, row.title) for row in video_chapters(video, parts)]
    if kind == "subtitles":
        spoken = [track for track in video["subtitles"] if track.get("kind") != "chapters"]
        tracks = sorted(spoken, key=lambda track: track["automatic"])
        return next((found for track in tracks if (found := cues(track["text"]))), [])
    return []


def cues(text: str) -> list[Mark]:
    """The cleaned cues of timed text of any format that is read, so that automatic captions, which show every line
    twice, say each once; none of what is no timed text.
    """
    try:
        found = clean(read_cues(text))
    except TimedTextError:  # another track may be read
        return []
    return [Mark(cue.start_ms, cue.end_ms, cue.text) for cue in found]
