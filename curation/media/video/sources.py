"""What cutting has to know of a video file: when its frames are shown, and where decoding can begin."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curation.media.video.frames import spread
from curation.media.video.probe import audio_stream, open_video, scan_packets, upright, video_stream

_EXACT_SEEK = ("mov", "matroska")  # demuxers that seek to the very key frame; with others it is the one before
_NO_SEEK = ("gif", "apng")

_MAX_CHANNELS = 8  # of sound that AAC has layouts for

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a file. All times are ms as in spans, ascending where nothing else is said."""

    path: Path
    container: str
    codecs: tuple[str, str | None]
    video: int
    audio: int | None
    """Indices of the streams."""
    is_counted: bool
    """Whether frames are known by their number alone."""
    is_crowded: bool
    """Whether some have the same time; `stamps` are 1 ms apart all the same."""
    sounds: npt.NDArray[np.float64]
    """(stretches, 2) seconds from and to which there is sound, as FFmpeg counts."""
    start: Fraction
    """Seconds at which the container starts: FFmpeg counts from 0."""
    unit: Fraction
    """Seconds in which `stamps` count."""
    stamps: Ints
    """Times of all frames as FFmpeg counts, exactly."""
    times: Ints
    stored: Ints
    """The same, in the order in which the frames are stored."""
    keys: Ints
    """Those at which decoding can begin."""
    end_ms: int
    size: tuple[int, int]
    is_scaled: bool

    def seconds(self, ms: float) -> float:
        """A time of ours as FFmpeg counts it."""
        return float(self.start) + ms / 1000

    def exact(self, place: int) -> Fraction:
        """Seconds of a frame, as FFmpeg counts."""
        return int(self.stamps[place]) * self.unit

    def before(self, ms: int) -> float:
        """Seconds, as FFmpeg counts, nearly half a millisecond before the first frame at a time or after it."""
        place = self.place(ms)  # not by the time itself, which is rounded; the filter rounds to units of the stream
        return float(self.exact(place)) - 0.00045 if place < len(self.times) else self.seconds(ms - 0.51)

    def has_sound(self, start_ms: int, end_ms: int) -> bool:
        """Whether a packet of sound has to do with these times."""
        return bool(np.any((self.sounds[:, 0] < self.seconds(end_ms)) & (self.sounds[:, 1] > self.seconds(start_ms))))

    def has_equals(self, start_ms: int, end_ms: int) -> bool:
        """Whether frames of these times share one."""
        within = self.stored[(self.stored >= start_ms) & (self.stored < end_ms)]
        return len(np.unique(within)) < len(within)

    def place(self, ms: int) -> int:
        """Index of the first frame at a time or after it."""
        return int(np.searchsorted(self.times, ms))


def read_source(path: Path, max_height: int | None, deadline: float | None) -> Source:
    """Reads all packets of the video, and decodes its first frame. max_height: pixels of clips. Raises RefusedVideo."""
    with open_video(path, deadline=deadline) as container:
        video, audio = video_stream(container), audio_stream(container)
        if audio is not None and audio.channels > _MAX_CHANNELS:
            audio = None
        scan = scan_packets(container, video, deadline, audio)
        unit, start = video.time_base or Fraction(1, 1000), Fraction(container.start_time or 0, 1_000_000)
        told = np.array(scan.times, np.int64)
        stamps = spread(np.sort(told), unit)
        stored = _milliseconds(told, unit, start)
        width, height, _ = upright(scan.frame, video)
        is_scaled = video.sample_aspect_ratio not in (None, 0, 1) or min(width, height) < 2
        if max_height is not None and height > max_height:
            width, height, is_scaled = round(width * max_height / height), max_height, True
        return Source(
            path=path, container=container.format.name, video=video.index, audio=audio.index if audio else None,
            codecs=(video.codec.canonical_name, audio.codec.canonical_name if audio else None), start=start,
            unit=unit, is_counted=scan.clock.is_counted, is_crowded=not np.array_equal(stamps, np.sort(told)),
            sounds=np.array(scan.sounds, np.float64).reshape(-1, 2), stamps=stamps, stored=stored,
            times=spread(_milliseconds(stamps, unit, start), Fraction(1, 1000)),
            keys=np.sort(stored[scan.keys]), is_scaled=is_scaled,
            end_ms=round(1000 * ((scan.last[0] + scan.standing(video)) * unit - start)),
            size=(max(2, width // 2 * 2), max(2, height // 2 * 2)),
        )  # fmt: skip


def _milliseconds(stamps: Ints, unit: Fraction, start: Fraction) -> Ints:
    return np.fromiter((round(1000 * (int(at) * unit - start)) for at in stamps), np.int64, len(stamps))


def copied_span(source: Source, start_ms: int, end_ms: int) -> tuple[int, int]:
    """The bounds of the packets that hold [start_ms, end_ms): from a key frame to where no frame between is missing."""
    key = int(np.searchsorted(source.keys, start_ms, "right")) - 1
    start_ms = int(source.keys[max(key, 0)]) if len(source.keys) else int(source.times[0])
    stored = source.stored[int(np.argmax(source.stored == start_ms)) :]
    last, reach = -1, int(np.flatnonzero(stored < end_ms)[-1])
    while last != reach:  # what was stored before a wanted frame may be shown after it
        last, latest = reach, int(stored[: reach + 1].max())
        reach = int(np.flatnonzero(stored <= latest)[-1])
    after = int(np.searchsorted(np.sort(source.stored), latest, "right"))
    return start_ms, int(source.times[after]) if after < len(source.times) else max(source.end_ms, latest + 1)


def seek(source: Source, start_ms: int, back: int = 0) -> float | None:
    """The ms to seek to, so that decoding begins in time for a clip. None: read from the beginning."""
    is_exact = source.container.startswith(_EXACT_SEEK)
    key = int(np.searchsorted(source.keys, start_ms, "right")) - 1 - back - (not is_exact)
    if key <= 0 or source.container in _NO_SEEK:
        return None
    return int(source.keys[key]) + 0.51  # it was rounded; the next frame is a millisecond away at least
