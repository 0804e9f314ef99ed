"""One video to its clips: split by its shots, cut, and looked at; every piece of it is told of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.media.journal import spooling
from curation.media.video.cutting import LATE, CutClip, cut
from curation.media.video.descriptors import frame_features, loaded_features
from curation.media.video.facts import RefusedVideo
from curation.media.video.marks import marks_of
from curation.media.video.splitting import Features, Piece, split
from curation.media.video.stills import key_frames
from curation.recipe.clips import Clips
from curation.recipe.cutting import Cut
from curation.recipe.splitting import Split

Row = dict[str, Any]

CUT_FAILED = "cut_failed"
CUT_LATE = "cut_late"
"""Why a piece that should be a clip is none; the second may be one under another limit."""

_OF_PIECE = ("clip_id", "media_id", "media_bucket", "start_ms", "end_ms", "start_frame", "end_frame")
_OF_FILE = ("frames", "duration_ms", "width", "height", "fps", "has_audio", "size_bytes")


@dataclass
class MadeClips:
    """Rows of `pieces` and of `clips`, which do not know yet where their files lie, and those files."""

    pieces: list[Row] = field(default_factory=list)
    clips: list[Row] = field(default_factory=list)
    files: dict[tuple[str, str], Path] = field(default_factory=dict)

    def read(self, row: Row, ext: str) -> bytes:
        """A file of a clip."""
        return self.files[row["clip_id"], ext].read_bytes()


@dataclass(frozen=True)
class _Shots:
    cuts: Sequence[int]
    times_ms: npt.NDArray[np.int64]
    end_ms: int


def clip_video(path: Path, video: Row, settings: Clips, folder: Path, deadline: float | None = None) -> MadeClips:
    """The clips of a local video. video: its rows of `scenes` and `videos`, and `parts`, what else is said of them,
    as for video_chapters. folder: takes the files.

    Raises RefusedVideo where the video as a whole cannot be read, or the time is over.
    """
    shots = _Shots(video["cuts"], np.asarray(video["times_ms"], np.int64), video["end_ms"])
    marks = marks_of(settings.split.set, video, video["parts"] or ())
    pieces = split(shots, settings.split, _features(path, shots, settings.split, deadline), marks)
    chosen = [piece for piece in pieces if piece.dropped is None]
    spans = [(piece.start_frame, piece.end_frame, piece.start_ms, piece.end_ms) for piece in chosen]
    cuts = iter(cut(path, spans, settings.cut, folder, deadline) if spans else [])
    made = MadeClips()
    for piece in pieces:
        row = {**_piece(video, piece), "detail": None}
        if piece.dropped is None:
            text = None if piece.mark is None else marks[piece.mark].text or None
            _add_clip(row, text, next(cuts), settings.cut, made)
        made.pieces.append(row)
    return made


def _features(path: Path, shots: _Shots, settings: Split, deadline: float | None) -> Features:
    """Asked by some sets of parameters only."""
    if settings.features is None:
        return lambda indexes: [None] * len(indexes)
    return frame_features(path, shots.times_ms, loaded_features(settings.features), deadline)


def whole_video(video: Row, dropped: str, detail: str | None) -> Row:
    """The piece of a video that could not be split."""
    frames, end = len(video["times_ms"]), video["end_ms"] or 0
    return _piece(video, Piece(0, frames, 0, end, 0, 0)) | {"dropped": dropped, "detail": detail}


def _piece(video: Row, piece: Piece) -> Row:
    return {
        **{name: video[name] for name in ("media_id", "media_bucket", "sha256", "marks")},
        **{name: getattr(piece, name) for name in ("start_ms", "end_ms", "start_frame", "end_frame")},
        "shot": piece.shot,
        "stitched": piece.stitched,
        "clip_id": None,
        "dropped": None if piece.dropped is None else str(piece.dropped),
        "value": piece.value,
    }


def _add_clip(row: Row, text: str | None, clip: CutClip, settings: Cut, made: MadeClips) -> None:
    """Adds a clip that was cut; else says in the piece's row why there is none."""
    if clip.problem is not None or clip.path is None:
        words = clip.problem or "no file"
        row |= {"dropped": CUT_LATE if words.startswith(LATE) else CUT_FAILED, "detail": words.removeprefix(LATE)}
        return
    places, quality, most = settings.key_frames, settings.jpeg_quality, settings.still_height
    try:
        stills = key_frames(clip.path, places, quality=quality, max_height=most) if places else []
    except RefusedVideo as refusal:
        row |= {"dropped": CUT_FAILED, "detail": f"the file that was cut: {refusal}"}
        return
    row["clip_id"] = clip_id = f"{row['media_id']}-{row['start_ms']}-{row['end_ms']}"
    extension = clip.path.suffix.removeprefix(".")
    made.files[clip_id, extension] = clip.path
    for number, still in enumerate(stills):
        file = made.files[clip_id, f"{number}.jpg"] = clip.path.with_suffix(f".{number}.jpg")
        with spooling():
            file.write_bytes(still.data)
    made.clips.append(
        {
            **{name: row[name] for name in _OF_PIECE},
            **{name: getattr(clip, name) for name in _OF_FILE},
            "cut_start_ms": clip.start_ms,
            "cut_end_ms": clip.end_ms,
            "text": text,
            "extension": extension,
            "stored_sha256": clip.sha256,
            "key_frames": [{"frame": still.frame, "time_ms": still.time_ms, "phash": still.phash} for still in stills],
        }
    )
