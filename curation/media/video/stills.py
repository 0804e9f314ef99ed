"""Stills of a clip: a few of its frames as JPEG, each with its perceptual hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from curation.media.fingerprints import phash
from curation.media.video.facts import RefusedVideo, VideoRefusal, check_deadline
from curation.media.video.probe import open_video, scan_packets, upright, video_stream

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, slots=True)
class Still:
    """A frame of a clip: its index there, its ms since the clip's start, a JPEG file, and the picture's hash."""

    frame: int
    time_ms: int
    data: bytes
    phash: int


def key_frames(
    path: str | Path, shares: Sequence[float], *, quality: int = 90, max_height: int | None = None,
    deadline: float | None = None,
) -> list[Still]:  # fmt: skip
    """The frames at these shares of a clip (0: the first, 1: the last), upright and with square pixels, each once and
    in the clip's order. quality: of JPEG, 1 to 100; max_height: pixels, taller ones are scaled down.

    Decodes the clip up to the last of them, one frame at a time. Raises RefusedVideo where fewer can be decoded.
    """
    with open_video(path, deadline=deadline) as container:
        frames = scan_packets(container, video_stream(container), deadline).packets
    wanted = sorted({round(share * (frames - 1)) for share in shares})
    stills: list[Still] = []
    if not wanted:
        return stills
    with open_video(path, deadline=deadline) as container:
        stream = video_stream(container)
        stream.codec_context.thread_count = 1  # workers use all cores as it is
        start = (container.start_time or 0) / 1_000_000
        for index, frame in enumerate(container.decode(stream)):
            check_deadline(deadline, "decoding stills")
            if index == wanted[len(stills)]:
                pixels = _pixels(frame, stream, max_height)
                time_ms = round(1000 * ((frame.time or 0.0) - start))
                stills.append(Still(index, time_ms, _jpeg(pixels, quality), phash(pixels)))
            if len(stills) == len(wanted):
                return stills
    detail = f"no frame {wanted[len(stills)]} of {frames} can be decoded"
    raise RefusedVideo(VideoRefusal.CORRUPT, detail)


def _pixels(frame: VideoFrame, stream: VideoStream, max_height: int | None) -> npt.NDArray[np.uint8]:
    """(height, width, 3) BGR, upright."""
    width, height, rotation = upright(frame, stream)
    if max_height is not None and height > max_height:
        width, height = max(1, round(width * max_height / height)), max_height
    if rotation in (90, 270):
        width, height = height, width
    pixels = np.asarray(frame.reformat(width, height, "bgr24").to_ndarray(), np.uint8)
    return np.asarray(cv2.rotate(pixels, _TURNS[rotation]), np.uint8) if rotation else pixels


def _jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
