"""What is known of a video file, and why one is refused."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum


class VideoRefusal(StrEnum):
    """Why a fetched file is not kept as a video, or a step with it came to nothing."""

    NOT_A_VIDEO = "not_a_video"  # a page, a picture, a playlist, sound alone: no moving pictures in it
    TRUNCATED = "truncated"  # the file ends before what its header announces
    CORRUPT = "corrupt_video"  # a video by its header, but it cannot be decoded
    NO_FRAMES = "no_frames"  # a video stream without a single frame
    UNSUPPORTED = "unsupported_codec"  # no decoder here, or encrypted
    TOO_LONG = "too_long"  # longer than fetch.video.max_duration_s
    TOO_MANY_PIXELS = "too_many_pixels"  # a frame is larger than may be decoded
    CLOCK = "broken_times"  # its clock begins anew on the way, or its times contradict the order of its frames
    LIVE = "live_stream"  # a stream without an end
    UNAVAILABLE = "unavailable"  # private, taken down, for some countries or for members only
    CRASHED = "crashed"  # looking at it ended the process, more than once
    TIMEOUT = "video_timeout"  # reading or decoding took longer than its limit


class RefusedVideo(Exception):  # noqa: N818 - what was refused, as RefusedImage
    """A file cannot be used; the words say why, one line."""

    def __init__(self, reason: VideoRefusal, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a file says of itself, checked by decoding its first frame.

    width, height: pixels upright and with square pixels; coded_width, coded_height: as stored. rotation: degrees
    clockwise by which players turn the stored frames, 0, 90, 180 or 270. fps: frames per second on average. is_vfr:
    whether the distance of frames varies. duration_ms: from the container's start to the end of the last frame.
    frames: as counted or declared, None: unknown. audio_codec: None where there is no sound.
    """

    container: str
    duration_ms: int
    width: int
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    fps: float
    is_vfr: bool
    frames: int | None
    video_codec: str
    pixel_format: str
    audio_codec: str | None
    audio_rate: int | None
    bit_rate: int | None


def check_deadline(deadline: float | None, doing: str) -> None:
    """deadline: by time.monotonic(), None: there is none. Raises RefusedVideo(TIMEOUT) when it is over."""
    if deadline is not None and time.monotonic() > deadline:
        raise RefusedVideo(VideoRefusal.TIMEOUT, f"{doing} took longer than its limit")
