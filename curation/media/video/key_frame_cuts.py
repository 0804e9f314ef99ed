"""Content values of a video by its key frames: all frames are decoded only where there may be a cut between them.

A group of pictures, a key frame and all up to the next one, is decoded in full only where

- the key frames at its ends differ, and
- one of its packets is nearly as large as the key frame at its end: the frame after a cut has little to be predicted
  from. Where none is, the only cut there can be is at that key frame, if it differs by `threshold`: it is taken for one
  where it comes early, as encoders put them at cuts; else the group is decoded if it is the longest so far, or if its
  ends differ much more than those of the group before it.

Decoding ends early where, after a cut, a frame looks like the key frame at the group's end. The last group, which has
no such frame, is judged by its packets alone.

What is missed: what comes and goes within a group, such as a flash, a short shot between two parts of another, or black
between two likenesses of one picture; a cut between shots that look alike; a cut at a key frame of a fixed rhythm
after a group with motion or another cut. What may be wrongly found: a cut at a key frame that comes early for another
reason.

Frames are numbered by the presentation times of all packets, decoded or not. Where those of a decoded group are not
those of its frames (fields, hidden frames, damage), or packets do not tell times, numbers would be wrong, and nothing
is given.
Damage in a group that is left out is not seen: its frames count, though the exact mode does not have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from curation.media.video.content import Measures, Sample, Sampler
from curation.media.video.frames import FrameReader
from curation.media.video.probe import open_video, video_stream
from curation.recipe.scenes import Scenes

Packets = list["Packet[VideoStream]"]

_MAX_BYTES: Final = 1 << 26
"""Of a group, which is held in memory until the next one is there."""


_CODECS: Final = ("h264", "hevc", "vp9", "av1", "libdav1d", "mpeg1video", "mpeg2video", "mpeg4")
"""Those of which, as a rule, each packet is a frame that is shown. (VP8 has hidden ones.)"""


_LARGE: Final = 0.4
"""Of the key frame after it, what a packet has at least that may begin a shot. (x264 at film cuts: 0.77 to 0.79.)"""
_EARLY: Final = 0.9
"""Of the longest group so far, frames below which the next key frame comes early."""
_STANDS_OUT: Final = 2.0
"""Times by which the ends of a group differ more than those of the one before it."""


class _UnnumberedError(Exception):
    """Frames cannot be numbered by their packets."""


@dataclass(slots=True)
class _Group:
    """Packets from a key frame up to the next one, in decoding order."""

    packets: Packets = field(default_factory=list)

    @property
    def begin(self) -> int:
        """Presentation time of its key frame."""
        return self.packets[0].pts or 0

    @property
    def largest(self) -> int:
        """Bytes of its largest packet but the key frame."""
        return max((packet.size for packet in self.packets[1:]), default=0)

    def leading(self) -> Packets:
        """The key frame and the packets of frames that are shown before it; none where there are no such frames."""
        early = [packet for packet in self.packets if (packet.pts or 0) < self.begin]
        return [self.packets[0], *early] if early else []


@dataclass(slots=True)
class _Seen:
    """What is known of frames, by their presentation times in units of the stream."""

    values: dict[int, float] = field(default_factory=dict)
    levels: dict[int, float] = field(default_factory=dict)
    stamps: list[int] = field(default_factory=list)
    """Of all frames, in decoding order."""
    last: tuple[int, int] = (0, 0)
    """Time and length of the last one."""


def guided_measures(path: Path, settings: Scenes, deadline: float) -> Measures | None:
    """None: it takes decoding all frames to number them. Raises RefusedVideo."""
    with open_video(path, deadline=deadline) as container:
        stream = video_stream(container)
        if stream.codec_context.name not in _CODECS:
            return None
        reader = FrameReader(container, stream, deadline)
        guide = _Guide(reader, settings)
        try:
            guide.run()
        except _UnnumberedError:
            return None
        seen = guide.seen
        stamps = sorted(seen.stamps)
        if reader.corrupt or reader.clock.is_counted or not stamps or len(set(stamps)) < len(stamps):
            return None
        times, end = reader.times(stamps, seen.last[1])
        values = np.array([seen.values.get(stamp, np.nan) for stamp in stamps])
        levels = _filled([seen.levels.get(stamp, np.nan) for stamp in stamps]) if settings.fades else np.zeros(0)
        values[0] = 0.0
        return Measures(values.tolist(), levels.tolist(), times, end, reader.decoded, 0)


class _Guide:
    """Goes through the packets once, with two groups at hand."""

    def __init__(self, reader: FrameReader, settings: Scenes) -> None:
        self.seen = _Seen()
        self._reader, self._settings, self._sampler = reader, settings, Sampler()
        is_content = settings.detector == "content"
        self._cut = settings.threshold if is_content else settings.min_content_value
        self._change, self._longest = 0.0, 0
        self._after_cut = 0 if is_content else settings.window

    def run(self) -> None:
        groups = self._groups()
        group = next(groups, None)
        key = self._key_frame(group) if group else None
        for after in chain(groups, [None]):
            end = self._key_frame(after) if after else None
            if group and key:
                self._judge(group, key, after, end)
            group, key = after, end

    def _judge(self, group: _Group, key: Sample, after: _Group | None, end: Sample | None) -> None:
        """Decodes a group where that is called for, or says that there is a cut at the key frame after it."""
        before, self._change = self._change, key.change(end) if end else 0.0
        length, longest = len(group.packets), self._longest
        self._longest = max(length, longest)
        if end and self._are_alike(key, end):
            return
        if group.largest >= _LARGE * (after or group).packets[0].size or self._changes_side(key, end):
            self._decode(group, after, end)
        elif after and self._change >= self._settings.threshold:
            if length < _EARLY * longest:
                self.seen.values[after.begin] = self._change
            elif longest < _EARLY * length or self._change >= _STANDS_OUT * before:
                self._decode(group, after, end)

    def _groups(self) -> Iterator[_Group]:
        group, size, seen = _Group(), 0, self.seen
        for packet in self._reader.packets():
            if packet.is_keyframe and group.packets:
                yield group
                group, size = _Group(), 0
            size += packet.size
            if packet.pts is None or size > _MAX_BYTES or not (packet.is_keyframe or group.packets):
                raise _UnnumberedError
            if not packet.is_discard:
                seen.stamps.append(packet.pts)
                seen.last = max(seen.last, (packet.pts, packet.duration or 0))
            group.packets.append(packet)
        if group.packets:
            yield group

    def _key_frame(self, group: _Group) -> Sample:
        frames = [*self._reader.decode(group.packets[0]), *self._reader.decode(None)]
        self._reader.restart()
        if [frame.pts for frame in frames] != [group.begin]:
            raise _UnnumberedError
        return self._noted(frames[0], group.begin)

    def _noted(self, frame: VideoFrame, stamp: int) -> Sample:
        sample = self._sampler(frame)
        if self._settings.fades:
            self.seen.levels[stamp] = sample.level
        return sample

    def _are_alike(self, one: Sample, other: Sample) -> bool:
        return one.change(other) < self._settings.key_frame_threshold and not self._changes_side(one, other)

    def _changes_side(self, one: Sample, other: Sample | None) -> bool:
        """Whether one is black and the other is not, where that matters."""
        black = self._settings.fade_threshold
        return self._settings.fades and other is not None and (one.level < black) != (other.level < black)

    def _decode(self, group: _Group, after: _Group | None, end: Sample | None) -> None:
        """Content values of a group's frames and of the key frame after it, whose sample is `end`."""
        leading = after.leading() if after else []
        expected = {p.pts for p in [*group.packets, *leading[1:]] if not p.is_discard and (p.pts or 0) >= group.begin}
        last: Sample | None = None
        since = -1
        for frame in self._frames([p for p in group.packets if (p.pts or 0) >= group.begin] + leading):
            if after and leading and frame.pts == after.begin:
                continue
            if frame.pts not in expected or frame.pts is None:
                raise _UnnumberedError
            expected.remove(frame.pts)
            sample = self._noted(frame, frame.pts)
            if last:
                value = self.seen.values[frame.pts] = sample.change(last)
                since = 0 if value >= self._cut else since + (since >= 0)
            last = sample
            if end and since >= self._after_cut and self._are_alike(sample, end):
                break
        else:
            if expected:
                raise _UnnumberedError
            if after and end and last:
                self.seen.values[after.begin] = end.change(last)
        self._reader.restart()

    def _frames(self, packets: Packets) -> Iterator[VideoFrame]:
        for packet in [*packets, None]:
            yield from self._reader.decode(packet)


def _filled(levels: list[float]) -> npt.NDArray[np.float64]:
    """Each unknown one is that of the last known before it."""
    known = np.maximum.accumulate(np.where(np.isnan(levels), 0, np.arange(len(levels))))
    return np.asarray(levels)[known]
