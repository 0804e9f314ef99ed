"""Small videos whose frames are counted: known shots, known times, and in every frame its number, to be read back.

    film = write_video(folder / "film.mp4", [Shot(48, "dog"), Shot(30, "cat")])
    film.cuts, film.times_ms                              # [48], [0, 42, 83 ...]
    read_number(rgb)                                      # which frame a decoded picture is

Containers and codecs follow from the file's name: .mp4 .mov .mkv (H.264, AAC), .webm (VP8, Opus).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import av
import cv2
import numpy as np
import numpy.typing as npt

from curation.testing.pictures import Pixels, scene

RATE: Final = 48_000
"""Samples of sound per second."""
TONE_HZ: Final = 440.0

_BITS = 16  # of a frame's number
_CODECS = {
    **dict.fromkeys((".mp4", ".mov", ".mkv"), ("libx264", "yuv420p", "aac", "fltp")),
    ".webm": ("libvpx", "yuv420p", "libopus", "flt"),
}
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}  # as stored


@dataclass(frozen=True)
class Shot:
    """What one camera sees: `frames` pictures of a concept's scene, which moves by `motion` pixels a frame.

    name tells scenes of one concept apart. fade_in, fade_out: frames from and to black. black: no picture at all.
    """

    frames: int
    concept: str = "dog"
    name: str = ""
    motion: float = 1.0
    fade_in: int = 0
    fade_out: int = 0
    black: bool = False


@dataclass(frozen=True)
class Style:
    """How it is written. size: (width, height), upright. times_ms: one per frame, for a variable frame rate; else fps.

    b_frames, gop: B-frames in a row, frames between key frames. sound: a tone, silence or no track. rotation: degrees
    clockwise by which players have to turn it. codec, pixel_format: instead of the container's. counter: whether frames
    are numbered.
    """

    size: tuple[int, int] = (320, 180)
    fps: Fraction = Fraction(24)
    times_ms: Sequence[int] | None = None
    gop: int = 24
    b_frames: int = 2
    sound: Literal["tone", "silence", "none"] = "tone"
    rotation: int = 0
    codec: str | None = None
    pixel_format: str | None = None
    counter: bool = True


@dataclass(frozen=True)
class Film:
    """A written video. cuts: first frames of all shots but the first; times_ms: of every frame; end_ms: of the last."""

    path: Path
    cuts: tuple[int, ...]
    times_ms: tuple[int, ...]
    end_ms: int

    @property
    def frames(self) -> int:
        return len(self.times_ms)


def write_video(path: Path, shots: Sequence[Shot], style: Style | None = None) -> Film:
    """Writes a video of these shots, in the given order, and says what is in it. Same arguments, same frames."""
    style = style or Style()
    frames = sum(shot.frames for shot in shots)
    times, end = _times(frames, style)
    plain = path.with_name(f"{path.stem}.upright{path.suffix}") if style.rotation else path
    _encode(plain, _frames(shots, style), times, end, style)
    if style.rotation:
        _ffmpeg("-display_rotation", str(-style.rotation), "-i", str(plain), "-c", "copy", str(path))
        plain.unlink()
    begins = np.cumsum([shot.frames for shot in shots])[:-1]
    told = tuple(round(Fraction(1000) * time) for time in times)
    return Film(path, tuple(int(begin) for begin in begins), told, round(Fraction(1000) * end))


def write_hls(film: Film, folder: Path, *, segment_s: float = 1.0) -> Path:
    """The same film as a playlist, folder/index.m3u8, and its segments; they begin at key frames."""
    folder.mkdir(parents=True, exist_ok=True)
    playlist = folder / "index.m3u8"
    options = ("-hls_time", str(segment_s), "-hls_list_size", "0", "-hls_segment_filename", str(folder / "%03d.ts"))
    _ffmpeg("-i", str(film.path), "-c", "copy", "-f", "hls", *options, str(playlist))
    return playlist


def read_number(pixels: Pixels) -> int | None:
    """The number drawn in a frame, (height, width, 3) of any size it was scaled to; None: it cannot be read."""
    cell = pixels.shape[1] / (2 * _BITS + 8)
    grey = pixels.mean(axis=2)
    rows = []
    for row in (0.5, 1.5):
        centres = [(int(row * cell), int((place + 0.5) * cell)) for place in range(_BITS)]
        rows.append([grey[y, x] > 127 for y, x in centres])
    bits, inverse = rows
    if any(bit == other for bit, other in zip(bits, inverse, strict=True)):
        return None
    return sum(1 << place for place, bit in enumerate(bits) if bit)


def _times(frames: int, style: Style) -> tuple[list[Fraction], Fraction]:
    """Seconds of every frame, and of the end of the last: it stays as long as the one before it."""
    if style.times_ms is None:
        return [number / style.fps for number in range(frames)], frames / style.fps
    if len(style.times_ms) != frames:
        raise ValueError(f"{len(style.times_ms)} times for {frames} frames")
    times = [Fraction(time, 1000) for time in style.times_ms]
    return times, times[-1] + (times[-1] - times[-2] if frames > 1 else Fraction(1, 25))


def _frames(shots: Sequence[Shot], style: Style) -> Iterator[Pixels]:
    """All pictures, as they are stored."""
    number = 0
    for shot in shots:
        width, height = style.size
        drawn = scene(shot.concept, f"{shot.concept} {shot.name}")
        ground = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        for place in range(shot.frames):
            frame = np.roll(ground, round(place * shot.motion), axis=1)
            frame = (frame * _light(shot, place)).astype(np.uint8)
            if style.counter:
                _draw_number(frame, number)
            yield frame if not style.rotation else np.asarray(cv2.rotate(frame, _TURNS[style.rotation]), np.uint8)
            number += 1


def _light(shot: Shot, place: int) -> float:
    if shot.black:
        return 0.0
    rise = place / shot.fade_in if shot.fade_in else 1.0
    fall = (shot.frames - 1 - place) / shot.fade_out if shot.fade_out else 1.0
    return min(1.0, rise, fall)


def _draw_number(frame: Pixels, number: int) -> None:
    """Two rows of cells in the upper left corner: the number's bits, lowest first, and their opposites."""
    cell = frame.shape[1] / (2 * _BITS + 8)
    edges = [round(place * cell) for place in range(_BITS + 1)]
    for place in range(_BITS):
        bit = number >> place & 1
        for row, lit in enumerate((bit, 1 - bit)):
            frame[edges[row] : edges[row + 1], edges[place] : edges[place + 1]] = 235 if lit else 16


def _encode(path: Path, frames: Iterator[Pixels], times: Sequence[Fraction], end: Fraction, style: Style) -> None:
    codec, pixel_format, audio_codec, sample_format = _CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        rate = style.fps if style.times_ms is None else 25
        video: Any = container.add_stream(style.codec or codec, rate=rate)
        turned = style.rotation in (90, 270)
        video.width, video.height = style.size[::-1] if turned else style.size
        video.pix_fmt = style.pixel_format or pixel_format
        base = 1 / style.fps if style.times_ms is None else Fraction(1, 1000)
        video.codec_context.time_base = base
        video.codec_context.gop_size = style.gop
        video.codec_context.thread_count = 1
        if video.codec_context.name == "libx264":
            # without mbtree: its AVX-512 code gave other bytes in every fifth process that had used memory before
            video.options = {"crf": "20", "preset": "veryfast", "bf": str(style.b_frames), "sc_threshold": "0",
                             "mbtree": "0"}  # fmt: skip
        elif video.codec_context.name.startswith("libvpx"):
            video.options = {"deadline": "realtime", "cpu-used": "8", "b": "600k"}
        track: Any = None
        if style.sound != "none":
            track = container.add_stream(audio_codec, rate=RATE, layout="mono")
        sound = _sound(end, style.sound, sample_format)
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="bgr24")
            frame.pts, frame.time_base = int(time / base), base
            container.mux(video.encode(frame))
            if track is not None:
                _mux_sound(container, track, sound, time)
        container.mux(video.encode(None))
        if track is not None:
            _mux_sound(container, track, sound, end)
            container.mux(track.encode(None))


def _mux_sound(container: Any, track: Any, sound: Iterator[av.AudioFrame], until: Fraction) -> None:
    """Sound up to a time, so that it lies beside the pictures it belongs to."""
    for frame in sound:
        container.mux(track.encode(frame))
        if Fraction(frame.pts or 0, RATE) > until:
            return


def _sound(end: Fraction, kind: str, sample_format: str) -> Iterator[av.AudioFrame]:
    total, step = int(end * RATE), 960
    for start in range(0, total, step):
        places = np.arange(start, min(start + step, total))
        level = 0.2 if kind == "tone" else 0.0
        samples: npt.NDArray[np.float32] = (level * np.sin(2 * np.pi * TONE_HZ * places / RATE)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format=sample_format, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame


def _ffmpeg(*arguments: str) -> None:
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
