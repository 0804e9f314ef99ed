"""The frames of a video in presentation order, their times, and what of it could not be decoded.

One thread decodes: a job works on many videos at once, and what is lost of a damaged frame does not depend on how many
cores a machine has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from curation.media.image_headers import sniff
from curation.media.video.facts import RefusedVideo, VideoRefusal, check_deadline

MICROSECONDS: Final = 1_000_000
"""Units of a second in which FFmpeg says when a file starts."""

_DOING = "looking for shots"
_USUAL_RATE = Fraction(25)  # of a video that says nothing


class FrameReader:
    """The packets and frames of one video stream, of a container that was just opened. Counts what is damaged."""

    def __init__(self, container: InputContainer, stream: VideoStream, deadline: float | None) -> None:
        """deadline: by time.monotonic()."""
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        stream.thread_type = "NONE"
        stream.codec_context.options = {"skip_loop_filter": "noref"}  # of frames on which no other depends
        self.container, self.stream, self._deadline = container, stream, deadline
        self.decoded, self.corrupt, self._error = 0, 0, ""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """In decoding order, up to the end or to what cannot be read; the last one, which is empty, is left out."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.ExitError:  # its time is over
                raise
            except av.FFmpegError as error:
                self._damaged(error)
                return
            except IndexError:  # PyAV, at the end, where a stream began late in the file
                return
            if packet is None or not packet.size:
                return
            yield packet

    def frames(self) -> Iterator[VideoFrame]:
        """All frames. Raises RefusedVideo(TIMEOUT)."""
        for packet in self.packets():
            yield from self.decode(packet)
        yield from self.decode(None)

    def decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """The frames that are complete with this packet; None: those that are left. A damaged packet is counted."""
        check_deadline(self._deadline, _DOING)
        try:
            frames = self.stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            self._damaged(error)
            return []
        self.decoded += len(frames)
        return frames

    def restart(self) -> None:
        """Makes the decoder forget what it has; the next packet is a key frame."""
        self.stream.codec_context.flush_buffers()

    def _damaged(self, error: av.FFmpegError) -> None:
        self.corrupt += 1
        self._error = self._error or error.strerror or str(error)

    def times(self, stamps: Sequence[int | None], length: int) -> tuple[npt.NDArray[np.int64], int]:
        """Milliseconds from the container's start, one per frame and increasing, and where the last frame ends.

        stamps: presentation times in units of the stream, None: unknown. length: of the last frame, 0: unknown.
        """
        unit = Fraction(self.stream.time_base or Fraction(1, 1000))
        start = Fraction(self.container.start_time or 0, MICROSECONDS)
        distance = 1 / Fraction(self.stream.average_rate or self.stream.base_rate or _USUAL_RATE)
        times: list[int] = []
        for stamp in stamps:
            after = times[-1] if times else -1
            if stamp is not None:
                time = _rounded(1000 * stamp * unit.numerator, unit.denominator, 1000 * start)
            else:
                time = after + round(1000 * distance) if times else 0
            times.append(max(time, after + 1) if times else time)
        last = stamps[-1]
        if length > 0 and last is not None:
            end = round(1000 * ((last + length) * unit - start))
        else:
            usual = np.median(np.diff(times)) if len(times) > 1 else 1000 * distance
            end = times[-1] + max(1, round(float(usual)))
        return np.array(times, np.int64), max(end, times[-1] + 1)

    def check_any(self, frames: int, path: Path) -> None:
        """Raises RefusedVideo where there are no frames, or there is one, of a picture."""
        if not frames and self.corrupt:
            raise RefusedVideo(VideoRefusal.CORRUPT, f"no frame can be decoded: {self._error}")
        if not frames:
            raise RefusedVideo(VideoRefusal.NO_FRAMES, "a video stream without a frame")
        if frames == 1:
            with path.open("rb") as file:
                mime = sniff(file.read(4096))
            if mime:
                raise RefusedVideo(VideoRefusal.NOT_A_VIDEO, f"a picture: {mime} of one frame")


def _rounded(numerator: int, denominator: int, less: Fraction) -> int:
    """round(numerator / denominator - less), without the cost of fractions."""
    numerator = numerator * less.denominator - less.numerator * denominator
    whole, rest = divmod(numerator, denominator * less.denominator)
    twice = 2 * rest - denominator * less.denominator
    return whole + (twice > 0 or (twice == 0 and whole % 2 == 1))
