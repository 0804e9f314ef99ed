"""The frames of a video in presentation order, their times, and what of it could not be decoded.

One thread decodes: a job works on many videos at once, and what is lost of a damaged frame does not depend on how many
cores a machine has.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
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
_RESTART = Fraction(1, 4)  # seconds by which a key frame lies before one stored earlier where a clock begins anew
_UNKNOWN = 0.01  # of all packets, those without a time with which the others are not believed either
_BACKWARDS = 0.01  # of all frames, those that may lie before the frame shown before them
_RAW = ("h264", "hevc", "vvc", "mpegvideo", "m4v", "av1", "obu")  # a stream in no container: all times are made up
_PLACES = "avi"  # a container that has no times, only places: with B-frames, those of the storage order
_REORDERED = ("h264", "hevc", "vvc")  # codecs of which FFmpeg takes those places for times


class Clock:
    """When the frames of a stream are shown, as far as its packets tell: the same for all who read them.

    Frames are known by their times, or, where `is_counted`, by their number alone: of those no packet tells the time,
    but all together tell them all. Raises RefusedVideo(CLOCK) where the times begin anew on the way.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.unit = Fraction(stream.time_base or Fraction(1, 1000))
        self.start = Fraction(container.start_time or 0, MICROSECONDS)
        """Seconds."""
        codec, name = stream.codec_context, container.format.name
        self._is_raw = name in _RAW
        self._has_places = name == _PLACES and codec.has_b_frames and codec.name in _REORDERED
        self._distance = 1 / Fraction(stream.average_rate or stream.base_rate or _USUAL_RATE)
        self._pts, self._dts, self._packets = array("q"), array("q"), 0
        self._shift, self._latest, self._length, self._is_ascending = 0, 0, 0, True

    def add(self, packet: Packet[VideoStream]) -> None:
        """Notes a packet of a frame to be shown, in the order they are stored."""
        self._packets += 1
        self._length = self._length or packet.duration or 0
        if packet.dts is not None:
            self._dts.append(packet.dts)
        pts = packet.pts
        if pts is None:
            return
        if not self._pts:
            self._latest, self._shift = pts - 1, 0 if packet.dts is None else pts - packet.dts
        if packet.is_keyframe and (self._latest - pts) * self.unit > _RESTART:
            at, back = (float(each * self.unit - self.start) for each in (self._latest, pts))
            raise RefusedVideo(VideoRefusal.CLOCK, f"its clock begins anew: after {at:.3f} s comes {back:.3f} s")
        self._is_ascending = self._is_ascending and pts > self._latest
        self._latest = max(self._latest, pts)
        self._pts.append(pts)

    @property
    def is_counted(self) -> bool:
        unknown = self._packets - len(self._pts)
        is_by_place = self._has_places and self._is_ascending and self._packets > 1
        return self._is_raw or is_by_place or unknown > _UNKNOWN * self._packets

    def stamps(self) -> list[int]:
        """Of counted frames: presentation times in units of the stream, one per packet, ascending."""
        if len(self._pts) == self._packets and not self._has_places:
            return sorted(self._pts)
        if len(self._dts) == self._packets:  # the same times, but for the delay that reordering takes
            return sorted(dts + self._shift for dts in self._dts)
        begin, step = self.start / self.unit, self._distance / self.unit
        if self._length and abs(self._length - step) > 1:  # more than rounded
            step = Fraction(self._length)
        return [round(begin + place * step) for place in range(self._packets)]


def spread(stamps: npt.NDArray[np.int64], unit: Fraction) -> npt.NDArray[np.int64]:
    """Ascending times in units of so many seconds, each as late as it takes to be 1 ms after the one before it."""
    away = np.arange(len(stamps), dtype=np.int64) * ceil(Fraction(1, 1000) / unit)
    return np.maximum.accumulate(stamps - away) + away


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
        self.clock = Clock(container, stream)
        self.decoded, self.corrupt, self._error = 0, 0, ""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """In decoding order, up to the end or to what cannot be read; the last one, which is empty, is left out."""
        packets, self.clock = self.container.demux(self.stream), Clock(self.container, self.stream)
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
            if not packet.is_discard:
                self.clock.add(packet)
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

        stamps: presentation times in units of the stream, None: unknown; by the number of counted frames, not by these.
        length: of the last frame, 0: unknown. Raises RefusedVideo(CLOCK) where times contradict the frames' order.
        """
        unit, start = self.clock.unit, self.clock.start
        if self.clock.is_counted:
            told = self.clock.stamps()[: len(stamps)]
            stamps, length = [*told, *[None] * (len(stamps) - len(told))], 0
        self._check_order(stamps)
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

    def _check_order(self, stamps: Sequence[int | None]) -> None:
        known = np.array([stamp for stamp in stamps if stamp is not None], np.int64)
        back = int(np.count_nonzero(np.diff(known) < 0))
        if back > max(2, _BACKWARDS * len(known)):
            detail = f"{back} of its {len(stamps)} frames are shown after frames of a later time"
            raise RefusedVideo(VideoRefusal.CLOCK, detail)

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
