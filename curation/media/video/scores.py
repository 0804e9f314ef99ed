"""Scores of a clip, from one pass over its frames and sound: numbers that rules read later, and nothing is dropped.

Luma is what FFmpeg's filters see: 8 bits, black 16 and white 235; what is stored otherwise (full range, more bits, RGB)
is brought to that. All pixels count; "sampled" frames are those of index 0, n, 2n ... (Scores.sample_frames).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median
from typing import Final

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from curation.media.video.facts import RefusedVideo, VideoRefusal, check_deadline
from curation.media.video.motion import RANGE, Differences, Luma, MotionVectors, of_diagonal
from curation.media.video.probe import MAX_PIXELS, open_video, upright, video_stream
from curation.media.video.sniffing import check_beginning, check_end
from curation.media.video.sound import Sound
from curation.media.video.text_area import TextFinder, text_finder, text_share
from curation.recipe.clip_rules import Scores

cv2.setNumThreads(1)  # a worker has one core
BLACK: Final = 32
"""Luma below which a pixel is black, and ..."""
BLACK_SHARE: Final = 0.98
"""... share of such pixels from which on a frame is: the defaults of FFmpeg's blackframe."""
BAR: Final = 24
"""Mean luma up to which a row or column may be a bar: the default limit of FFmpeg's cropdetect."""
SHARPNESS_SIDE: Final = 512
"""Pixels of the longer side at which sharpness is measured, so that it says the same at all resolutions."""

FLOOR: Final = 16
"""Luma of black."""

_PLANAR: Final = frozenset(
    ("yuv410p", "yuv411p", "yuv420p", "yuv422p", "yuv440p", "yuv444p", "yuvj411p", "yuvj420p", "yuvj422p", "yuvj440p",
     "yuvj444p", "yuva420p", "yuva422p", "yuva444p", "nv12", "nv16", "nv21", "nv24", "gray")
)  # fmt: skip
"""Pixel formats of 8 bits whose first plane is luma."""
_MPEG, _JPEG = 1, 2  # AVColorRange: 16 to 235, 0 to 255
_TO_STUDIO: Final = np.round(FLOOR + np.arange(256) * RANGE / 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class ClipScores:
    """What is known of a clip; None: it cannot be told.

    width, height: pixels, upright and square. aspect: width / height. fps: frames per second on average. duration_ms:
    from the container's start to the end of the last frame. frames: as decoded. decode_errors: packets that could not
    be decoded, and frames that the decoder marked as broken.
    brightness: mean luma, 0 black, 1 white. black_share: share of frames in which BLACK_SHARE of the pixels are BLACK.
    letterbox: share of the picture in black bars on its four sides, as FFmpeg's cropdetect measures it: what no sampled
    frame ever lights; None: all black. sharpness: variance of the Laplacian of luma (Pech-Pacheco 2000), median over
    sampled frames, in squared levels: higher is sharper. text_area: share of the picture in boxes of text, mean over
    sampled frames (MMTrail's text ratio); None: no text_finder.
    motion_difference: mean absolute difference of luma from frame to frame, 0 to 1. still_share: share of frames that
    do not differ from the one before (by 0.001 at most, as in FFmpeg's freezedetect). motion_vectors: mean length of
    the codec's motion vectors (MMTrail) in pixels of the stored picture per frame; motion_vectors_diagonal: the same in
    diagonals of that picture.
    has_audio: whether there is a sound track. loudness: LUFS, integrated (EBU R 128). silence_share: share of the
    sound's time in silences.
    """

    width: int
    height: int
    aspect: float
    fps: float
    duration_ms: int
    frames: int
    decode_errors: int
    brightness: float
    black_share: float
    letterbox: float | None
    sharpness: float
    text_area: float | None
    motion_difference: float | None
    still_share: float | None
    motion_vectors: float | None
    motion_vectors_diagonal: float | None
    has_audio: bool
    loudness: float | None
    silence_share: float | None


def score_clip(path: str | Path, settings: Scores, deadline: float | None = None) -> ClipScores:
    """The scores of a local file. deadline: by time.monotonic().

    Memory does not grow with its length but for a few numbers per frame. Broken parts are passed over and counted.
    Raises RefusedVideo for a file that is no video, ends before what it announces, or gives no frame; RecipeError for
    a text_finder that cannot be loaded or fails.
    """
    path, finder = Path(path), text_finder(settings.text_finder) if settings.text_finder else None
    check_beginning(path)
    check_end(path, deadline)
    with open_video(path, deadline=deadline) as container:
        video = video_stream(container)
        if video.width * video.height > MAX_PIXELS:
            detail = f"{video.width} x {video.height} pixels, more than {MAX_PIXELS} in all"
            raise RefusedVideo(VideoRefusal.TOO_MANY_PIXELS, detail)
        video.codec_context.thread_count = 1
        video.codec_context.options = {"flags2": "+export_mvs", "max_pixels": str(MAX_PIXELS)}
        audio = container.streams.best("audio")
        track = audio if isinstance(audio, AudioStream) and audio.codec_context is not None else None
        scoring = _Scoring(settings, finder)
        for packet in container.demux([video, track] if track else [video]):
            check_deadline(deadline, "scoring")
            try:
                scoring.add(packet.decode())
            except av.FFmpegError:
                scoring.errors += 1
        return scoring.result(container, video, track)


def luma_of(frame: VideoFrame) -> Luma:
    """The luma of a frame, (height, width) as it is stored, 16 black to 235 white; a view where that saves a copy."""
    if frame.format.name not in _PLANAR:
        frame = frame.reformat(format="yuv420p")
    plane = frame.planes[0]
    stored = np.frombuffer(memoryview(plane), np.uint8)
    luma = stored.reshape(-1, plane.line_size)[: frame.height, : frame.width]
    name, levels = frame.format.name, frame.color_range
    if levels == _JPEG or name.startswith("yuvj") or (name == "gray" and levels != _MPEG):
        return np.asarray(cv2.LUT(luma, _TO_STUDIO), np.uint8)
    return luma


class _Scoring:
    """The sums over one clip's frames and sound."""

    def __init__(self, settings: Scores, finder: TextFinder | None) -> None:
        self._every, self._finder = settings.sample_frames, finder
        self.errors = self._frames = self._black = 0
        self._first: VideoFrame | None = None
        self._shown = _Shown()
        self._luma = 0.0
        self._lit: _Lit | None = None
        self._sharpness: list[float] = []
        self._texts: list[float] = []
        self._vectors, self._differences, self._sound = MotionVectors(), Differences(), Sound(settings)

    def add(self, frames: Sequence[object]) -> None:
        """Decoded frames of either kind, each in its order. Raises FFmpegError."""
        for frame in frames:
            if isinstance(frame, VideoFrame):
                self._add_picture(frame)
            elif isinstance(frame, AudioFrame):
                self._sound.add(frame)

    def _add_picture(self, frame: VideoFrame) -> None:
        luma = luma_of(frame)
        self._first = self._first or frame
        self.errors += frame.is_corrupt
        self._shown.add(frame)
        self._luma += cv2.mean(luma)[0]
        self._black += int(np.count_nonzero(luma < BLACK)) >= BLACK_SHARE * luma.size
        self._vectors.add(frame)
        self._differences.add(luma)
        if self._frames % self._every == 0:
            self._lit = _Lit.of(luma).joined(self._lit)
            self._sharpness.append(sharpness(luma))
            if self._finder is not None:
                self._texts.append(text_share(self._finder, frame))
        self._frames += 1

    def result(self, container: InputContainer, video: VideoStream, track: AudioStream | None) -> ClipScores:
        """All scores, after the last packet. Raises RefusedVideo where no frame came."""
        if self._first is None or self._lit is None:
            reason = VideoRefusal.CORRUPT if self.errors else VideoRefusal.NO_FRAMES
            raise RefusedVideo(reason, f"no frame can be decoded; {self.errors} packets are broken")
        self._sound.finish()
        width, height, _ = upright(self._first, video)
        fps, end = self._shown.rate_and_end(video)
        vectors = self._vectors.mean()
        return ClipScores(
            width=width, height=height, aspect=width / height, fps=fps,
            duration_ms=round(1000 * (end - Fraction(container.start_time or 0, 1_000_000))),
            frames=self._frames, decode_errors=self.errors,
            brightness=min(1.0, max(0.0, (self._luma / self._frames - FLOOR) / RANGE)),
            black_share=self._black / self._frames, letterbox=self._lit.bars(), sharpness=median(self._sharpness),
            text_area=fmean(self._texts) if self._texts else None,
            motion_difference=self._differences.mean(), still_share=self._differences.still_share(),
            motion_vectors=vectors,
            motion_vectors_diagonal=of_diagonal(vectors, self._first.width, self._first.height),
            has_audio=track is not None, loudness=self._sound.loudness, silence_share=self._sound.silence_share,
        )  # fmt: skip


class _Shown:
    """When frames are shown."""

    def __init__(self) -> None:
        self._count = self._first = self._last = self._standing = 0

    def add(self, frame: VideoFrame) -> None:
        """The next frame; one without a time follows the one before."""
        at = frame.pts if frame.pts is not None else self._last + self._standing
        self._first, self._standing = at if not self._count else self._first, frame.duration or self._standing
        self._last = max(at, self._last) if self._count else at
        self._count += 1

    def rate_and_end(self, video: VideoStream) -> tuple[float, Fraction]:
        """Frames per second on average, the declared rate where times are as good as that; and seconds of the end."""
        declared, unit = video.average_rate or video.base_rate or Fraction(25), video.time_base or Fraction(1, 1000)
        span = self._last - self._first
        usual = Fraction(span, self._count - 1) if span else 1 / (declared * unit)
        exact = 1 / (usual * unit)
        near = not span or abs(declared - exact) <= exact / span
        return float(declared if near else exact), (self._last + (self._standing or usual)) * unit


@dataclass(frozen=True, slots=True)
class _Lit:
    """Which rows and columns of a picture are no black bar."""

    rows: npt.NDArray[np.bool_]
    columns: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, luma: Luma) -> _Lit:
        """A line is lit where its mean is above BAR, or, as in dark scenes, too few of its pixels are black."""
        dark = (luma < BLACK).view(np.uint8)

        def lit(axis: int) -> npt.NDArray[np.bool_]:
            pixels = luma.shape[axis]
            light, black = (cv2.reduce(plane, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() for plane in (luma, dark))
            return np.asarray((light > BAR * pixels) | (black < BLACK_SHARE * pixels))

        return cls(lit(1), lit(0))

    def joined(self, other: _Lit | None) -> _Lit:
        """What either lights; a picture of another size than those before it says nothing."""
        if other is None or other.rows.shape != self.rows.shape or other.columns.shape != self.columns.shape:
            return other or self
        return _Lit(self.rows | other.rows, self.columns | other.columns)

    def bars(self) -> float | None:
        """Share of the picture outside the lit rectangle; None: nothing is lit."""
        rows, columns = np.flatnonzero(self.rows), np.flatnonzero(self.columns)
        if not len(rows) or not len(columns):
            return None
        kept = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        return 1 - int(kept) / (self.rows.size * self.columns.size)


def sharpness(luma: Luma) -> float:
    """Variance of the Laplacian (4 neighbours) of a picture scaled to SHARPNESS_SIDE."""
    height, width = luma.shape
    scale = SHARPNESS_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = cv2.resize(luma, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return float(cv2.meanStdDev(cv2.Laplacian(scaled, cv2.CV_32F))[1][0, 0]) ** 2
