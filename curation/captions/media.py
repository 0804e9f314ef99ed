"""The bytes of a sample, as models want them: pictures, frames, sound.

    film = VideoMedia(folder / "clip.mp4")
    film.pictures([0, 2000], longest_side=1024)             # two JPEGs
    film.sound()                                            # its whole track, 16 kHz, mono
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import SOUND_RATE, Frames, Picture, Sound
from curation.media.image_decoding import decode
from curation.media.image_facts import Header, RefusedImage
from curation.media.image_headers import read_header
from curation.media.video.facts import RefusedVideo, VideoRefusal, check_deadline
from curation.media.video.picking import read_frames
from curation.media.video.probe import audio_stream, open_video
from curation.media.video.sources import Source, read_source

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS: Final = 1 << 27
"""Of an image that is decoded: 400 MB."""
MAX_SOUND_S: Final = 7200
"""Seconds of sound that are heard, from the begin: 460 MB."""
SECONDS: Final = 600.0
"""That reading one video for one purpose may take."""

_QUALITY: Final = 90  # of JPEG
_SENT_AS_THEY_ARE: Final = ("image/jpeg", "image/png")
"""What every server reads: llama.cpp's has no WebP."""
_OPAQUE: Final = ("L", "RGB", "P")
_GAP: Final = Fraction(1, 10)  # seconds of missing sound that become silence; less is rounding of its clock


@contextmanager
def _faults() -> Iterator[None]:
    """What refuses a file becomes this sample's fault."""
    try:
        yield
    except (RefusedImage, RefusedVideo) as refused:
        late = refused.reason == VideoRefusal.TIMEOUT
        raise CaptionFaultError(Fault.TIMEOUT if late else Fault.UNREADABLE, f"{refused.reason}: {refused}") from None
    except OSError as error:
        raise CaptionFaultError(Fault.NO_MEDIA, error.strerror or str(error)) from None


class ImageMedia:
    """An image file."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def pictures(self, times_ms: Sequence[int], longest_side: int | None = None) -> list[Picture]:
        """One picture, whatever the times. Its own bytes, unless servers would show something else, or it is larger."""
        with _faults():
            header = self._header()
            if _is_plain(header) and max(header.width, header.height) <= (longest_side or MAX_PIXELS):
                return [Picture(self._data, header.mime)]
            pixels = decode(self._data)
            return [_jpeg(_shrunk(pixels, longest_side))]

    def frames(self, times_ms: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Frames]]:
        """The image once, under the first time."""
        with _faults():
            self._header()
            pixels = decode(self._data)
        resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        code = cv2.COLOR_GRAY2RGB if resized.ndim == 2 else cv2.COLOR_BGR2RGB
        yield (times_ms[0] if times_ms else 0), np.asarray(cv2.cvtColor(resized, code), np.uint8)[None]

    def sound(self) -> Sound | None:
        return None

    def _header(self) -> Header:
        header = read_header(self._data)
        if not header.complete:
            raise CaptionFaultError(Fault.UNREADABLE, "the picture ends before its last line")
        if header.pixels > MAX_PIXELS:
            raise CaptionFaultError(Fault.UNREADABLE, f"{header.pixels} pixels, more than {MAX_PIXELS}")
        return header


def _is_plain(header: Header) -> bool:
    """Whether all that read it see the same: those that know no orientation, transparency, or more than 8 bits, too."""
    is_known = header.mime in _SENT_AS_THEY_ARE and header.mode in _OPAQUE
    return is_known and header.orientation == 1 and header.frames == 1 and header.bit_depth <= 8


def _shrunk(pixels: Pixels, longest_side: int | None) -> Pixels:
    height, width = pixels.shape[:2]
    if longest_side is None or max(width, height) <= longest_side:
        return pixels
    return np.asarray(cv2.resize(pixels, _fitted(width, height, longest_side), interpolation=cv2.INTER_AREA), np.uint8)


def _fitted(width: int, height: int, longest_side: int | None) -> tuple[int, int]:
    """(width, height) of the same shape that is no larger."""
    share = min(1.0, (longest_side or MAX_PIXELS) / max(width, height))
    return max(1, round(width * share)), max(1, round(height * share))


def _jpeg(pixels: Pixels) -> Picture:
    """pixels: grey or BGR. Raises CaptionFaultError for more than JPEG holds."""
    try:
        return Picture(bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]))
    except cv2.error as error:
        raise CaptionFaultError(Fault.UNREADABLE, f"no JPEG of shape {pixels.shape}: {error.err}") from None


class VideoMedia:
    """A clip's file, or a whole video's. Times count from where its container starts, as frames' times do."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def pictures(self, times_ms: Sequence[int], longest_side: int | None = None) -> list[Picture]:
        """JPEGs in the order of the times, upright and with square pixels."""
        with _faults():
            size = _fitted(*self._source.size, longest_side)
            frames = dict(self._frames(sorted(set(times_ms)), size))
        shown = {time_ms: _jpeg(np.ascontiguousarray(pixels[..., ::-1])) for time_ms, pixels in frames.items()}
        return [shown[time_ms] for time_ms in times_ms]

    def frames(self, times_ms: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Frames]]:
        """One frame is held at a time."""
        with _faults():
            for time_ms, pixels in self._frames(times_ms, size):
                yield time_ms, pixels[None]

    def sound(self) -> Sound | None:
        """What lies MAX_SOUND_S in, or later, is left out. Silence where there is none, so that times stay true."""
        deadline = time.monotonic() + SECONDS
        with _faults(), open_video(self._path, deadline=deadline) as container:
            return _heard(container, deadline)

    @cached_property
    def _source(self) -> Source:
        source = read_source(self._path, None, time.monotonic() + SECONDS)
        if not len(source.times):
            raise CaptionFaultError(Fault.UNREADABLE, "a video without frames")
        return source

    def _frames(self, times_ms: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Pixels]]:
        """(time, (height, width, 3) RGB), ascending; times outside of it give its first or last frame."""
        places = np.searchsorted(self._source.times, np.asarray(times_ms, np.int64), "right") - 1
        wanted = places.clip(0, len(self._source.times) - 1).tolist()
        frames = read_frames(self._path, wanted, self._source.times, size, time.monotonic() + SECONDS)
        index, pixels = -1, None
        for time_ms, place in zip(times_ms, wanted, strict=True):
            while index < place:
                index, pixels = next(frames)
            if pixels is None:
                raise CaptionFaultError(Fault.UNREADABLE, f"the frame at {time_ms} ms cannot be decoded")
            yield time_ms, pixels


def _heard(container: InputContainer, deadline: float) -> Sound | None:
    stream = audio_stream(container)
    if stream is None:
        return None
    track, start, error = _Track(), Fraction(container.start_time or 0, av.time_base), ""
    for packet in container.demux(stream):
        check_deadline(deadline, "reading sound")
        try:
            frames = packet.decode()
        except av.error.ExitError:  # its time is over
            raise
        except av.FFmpegError as damage:  # becomes silence
            error = damage.strerror or str(damage)
            continue
        for frame in frames:
            at = None if frame.pts is None else frame.pts * Fraction(frame.time_base or stream.time_base or 1) - start
            track.add(frame, at)
        if track.taken >= MAX_SOUND_S:
            break
    if error and not track.taken:
        raise CaptionFaultError(Fault.UNREADABLE, f"its sound cannot be decoded: {error}")
    return track.finish() if track.taken else None


class _Track:
    """Sound of any kind, put together at its times as 16 kHz, mono."""

    def __init__(self) -> None:
        self.taken = Fraction(0)
        """Seconds so far."""
        self._parts: list[Sound] = []
        self._resampler: AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None

    def add(self, frame: AudioFrame, at: Fraction | None) -> None:
        """at: seconds at which it begins; None: after the last one. What is there already, or before 0, is left out."""
        missing = Fraction(0) if at is None else min(at, Fraction(MAX_SOUND_S)) - self.taken
        if missing < -_GAP:
            return
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or kind != self._kind or missing > _GAP:
            self._flush()
            self._kind, self._resampler = kind, AudioResampler(format="flt", layout="mono", rate=SOUND_RATE)
        if missing > _GAP:
            self.taken += missing
            known = sum(map(len, self._parts))
            self._parts.append(np.zeros(max(0, round(self.taken * SOUND_RATE) - known), np.float32))
        frame.pts = None
        self._take(self._resampler.resample(frame))
        self.taken += Fraction(frame.samples, frame.sample_rate)

    def finish(self) -> Sound:
        """When all frames were added."""
        self._flush()
        return np.concatenate(self._parts)[: MAX_SOUND_S * SOUND_RATE].clip(-1, 1)

    def _flush(self) -> None:
        if self._resampler is not None:
            self._take(self._resampler.resample(None))

    def _take(self, frames: list[AudioFrame]) -> None:
        self._parts += [np.asarray(frame.to_ndarray()[0], np.float32) for frame in frames]
