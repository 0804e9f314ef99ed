"""Single frames of a video, by their index.

    for index, pixels in read_frames(path, [0, 250, 1200], times_ms):
        ...                                     # (height, width, 3) RGB, upright; None: it cannot be decoded

Frames are known by their time, so it does not matter where a decoder was started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt

from curation.media.video.frames import FrameReader
from curation.media.video.probe import open_video, video_stream

Pixels = npt.NDArray[np.uint8]

_REORDERED: Final = 16  # frames that a decoder holds back at most (H.264, H.265): how far B-frames lie before a key
_LOOKED_AT: Final = 500  # packets that show whether a file tells times
_PATIENCE: Final = 48  # frames that are decoded rather than skipped, until a file shows key frames further apart


def read_frames(
    path: str | Path,
    indexes: Iterable[int],
    times_ms: Sequence[int] | npt.NDArray[np.int64],
    size: tuple[int, int] | None = None,
    deadline: float | None = None,
) -> Iterator[tuple[int, Pixels | None]]:
    """The frames with these indexes, ascending, each once: (index, (height, width, 3) RGB); None: cannot be decoded.

    times_ms: of all frames of the video, increasing. size: (width, height) of what is given, upright; None: as stored.
    deadline: by time.monotonic(). One frame is held at a time. Raises RefusedVideo for a file that cannot be opened, is
    no video or takes too long; IndexError for an index that no frame has.
    """
    wanted = sorted(set(indexes))
    if wanted and not 0 <= wanted[0] <= wanted[-1] < len(times_ms):
        raise IndexError(f"frames {wanted[0]} to {wanted[-1]} of a video with {len(times_ms)}")
    if not wanted:
        return
    with ExitStack() as opened:
        film = _Film(opened, Path(path), np.asarray(times_ms, np.int64), deadline)
        for index in wanted:
            frame = film.frame(index)
            yield index, None if frame is None or frame.is_corrupt else _upright(frame, size)


class _Film:
    """An open file, and where in it the decoder stands."""

    def __init__(self, opened: ExitStack, path: Path, times: npt.NDArray[np.int64], deadline: float | None) -> None:
        self._opened, self._path, self._times, self._deadline = opened, path, times, deadline
        self._patience: float = _PATIENCE
        self._is_counted = self._tells_no_times()
        self._open()

    def _tells_no_times(self) -> bool:
        """Whether its frames are known by their number alone."""
        with open_video(self._path, deadline=self._deadline) as container:
            reader = FrameReader(container, video_stream(container), self._deadline)
            for _ in islice(reader.packets(), _LOOKED_AT):
                pass
            return reader.clock.is_counted

    def frame(self, index: int) -> av.VideoFrame | None:
        """The frame of this index, which is above those asked for before; None: it does not come."""
        if index - self._at > self._patience:
            self._seek(index)
        if not self._reach(index) and not self._counting:
            self._read_through()
            self._reach(index)
        return self._held if self._at == index else None

    def _open(self) -> None:
        """Opens the file, again if it is; the decoder stands before its first frame."""
        self._opened.close()
        container = self._opened.enter_context(open_video(self._path, deadline=self._deadline))
        self._reader = FrameReader(container, video_stream(container), self._deadline)
        self._base = self._reader.stream.time_base or Fraction(1, av.time_base)
        self._begin = Fraction(container.start_time or 0, av.time_base)
        if self._is_counted:
            self._patience = float("inf")
        self._restart(counting=True)

    def _read_through(self) -> None:
        """Times of the file say nothing: from its first frame, without further seeks."""
        self._patience = float("inf")
        self._open()

    def _restart(self, *, counting: bool) -> None:
        """The decoder begins anew. counting: at the first frame, so that even frames without a time are known."""
        self._counting, self._at = counting, -1
        self._held: av.VideoFrame | None = None
        self._frames = self._reader.frames()

    def _reach(self, index: int) -> bool:
        while self._at < index and self._advance():
            pass
        return self._at == index

    def _advance(self) -> bool:
        """To the next frame; whether there is one."""
        for frame in self._frames:
            at = self._at + 1 if self._is_counted else self._index(frame.pts)
            if at <= self._at and self._counting:  # a time that is unknown, repeated or goes back
                at = self._at + 1
            if at > self._at:
                self._at, self._held = at, frame
                return True
        return False

    def _seek(self, index: int) -> None:
        """To the key frame before a frame. Key frames further apart than thought make seeks rarer."""
        stood = self._at
        seconds = Fraction(int(self._times[max(0, index - _REORDERED)]), 1000) + self._begin
        try:
            self._reader.container.seek(int(seconds / self._base), stream=self._reader.stream)
            self._restart(counting=False)
            found = self._advance() and self._at <= index
        except av.error.ExitError:  # its time is over
            raise
        except av.FFmpegError:
            found = False
        if not found:
            self._read_through()
        elif self._at <= stood:
            self._patience = max(self._patience, 2 * (index - stood))

    def _index(self, pts: int | None) -> int:
        """Which frame is shown then: by its time, rounded as the times were or the other way; -1: nobody knows."""
        if pts is None:
            return -1
        time = round(1000 * (pts * self._base - self._begin))
        near = int(np.searchsorted(self._times, time - 1))
        close = [at for at in range(near, min(near + 3, len(self._times))) if abs(int(self._times[at]) - time) <= 1]
        return min(close, key=lambda at: abs(int(self._times[at]) - time), default=-1)


def _upright(frame: av.VideoFrame, size: tuple[int, int] | None) -> Pixels:
    """As players turn it."""
    turns = round(frame.rotation / 90) % 4  # counterclockwise
    width, height = size or (None, None)
    if turns % 2:
        width, height = height, width
    pixels = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA").to_ndarray()
    return np.ascontiguousarray(np.rot90(np.asarray(pixels, np.uint8), turns))
