"""How much the picture changes from one frame to the next: PySceneDetect's content value, of frames sampled small.

A frame is sampled from its decoded planes at the points where OpenCV's resize (INTER_LINEAR) of the whole frame in BGR
would take it, and only those are converted: with the rounding of FFmpeg's fast conversion (libswscale's yuv2rgb, where
every product is rounded down), for it decides the hue of dark frames. What is left, interpolating before the conversion
and taking the nearest colour, changed no content value by more than 0.4 of 55, or 0.15 of 5, on real videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from curation.kernels import kernel, readonly

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.uint32]

SIDE: Final = 256
"""Pixels of the longer side of a sampled frame; smaller frames keep their size. (PySceneDetect: DEFAULT_MIN_WIDTH)"""

_PLANAR: Final = {
    "gray": (0, 0), "yuv444p": (0, 0), "yuvj444p": (0, 0), "yuv440p": (0, 1), "yuvj440p": (0, 1), "yuv422p": (1, 0),
    "yuvj422p": (1, 0), "yuv420p": (1, 1), "yuvj420p": (1, 1), "yuv411p": (2, 0), "yuv410p": (2, 2),
}  # fmt: skip
"""Formats of one byte a sample that are sampled as they are -> halvings of the colour planes, across and down."""

_LUMA_SHARES: Final = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Colour space of a frame (ITU-T H.273, MatrixCoefficients) -> shares of red and blue in luma; others: BT.601's."""

_FULL_RANGE: Final = 2  # ITU-T H.273, VideoFullRangeFlag, as FFmpeg counts it


class Taps(NamedTuple):
    """Of every new line: the two old ones that it is made of, and the weight of the second."""

    first: Places
    second: Places
    weight: Floats


class Grid(NamedTuple):
    """Which points of the planes are sampled; colour_columns, colour_rows: of Cb and Cr, those that lie nearest."""

    across: Taps
    colour_columns: Places
    down: Taps
    colour_rows: Places


@dataclass(frozen=True, slots=True)
class Measures:
    """What cuts are found by, one number per frame.

    values: content values, 0 for the first frame, NaN for what was not compared with the frame before it. levels:
    brightness, 0 to 255; empty where it was not asked for.
    times_ms, end_ms: from the container's start. decoded: frames; corrupt: packets that could not be decoded.
    """

    values: Sequence[float]
    levels: Sequence[float]
    times_ms: npt.NDArray[np.int64]
    end_ms: int
    decoded: int
    corrupt: int


class Sample(NamedTuple):
    """A frame made small: (rows, columns, 3) of blue, green, red, and of hue (0 to 179), saturation, brightness."""

    bgr: Pixels
    hsv: Pixels

    def change(self, other: Sample) -> float:
        """The content value between two frames: how much a pixel's three numbers differ, 0 to 255, on average."""
        return cv2.norm(self.hsv, other.hsv, cv2.NORM_L1) / self.hsv.size

    @property
    def level(self) -> float:
        """Brightness: the mean of blue, green and red, 0 to 255."""
        return sum(cv2.sumElems(self.bgr)) / self.bgr.size


class Sampler:
    """Frames of any format and size to samples of one size, that of the first frame with SIDE as its longer side."""

    def __init__(self) -> None:
        self._rows = self._columns = 0
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Sample:
        if not self._rows:
            scale = max(1.0, max(frame.width, frame.height) / SIDE)
            self._columns, self._rows = max(1, round(frame.width / scale)), max(1, round(frame.height / scale))
        name = frame.format.name
        if name not in _PLANAR:
            name = "yuv420p" if name.startswith(("yuv420p", "nv12", "p01")) else "yuv444p"
            frame = self._reformatter.reformat(frame, format=name, threads=1)
        planes = [readonly(np.frombuffer(memoryview(p), np.uint8).reshape(-1, p.line_size)) for p in frame.planes[:3]]
        if name == "gray":
            planes += [_NEUTRAL, _NEUTRAL]
        is_full = frame.color_range == _FULL_RANGE or name.startswith(("yuvj", "gray"))
        rows = np.empty((self._rows, 3 * self._columns), np.uint8)
        grid = _grid(frame.width, frame.height, self._columns, self._rows, name)
        _sample((planes[0], planes[1], planes[2]), grid, _colours(frame.colorspace, is_full), rows)
        bgr = rows.reshape(self._rows, self._columns, 3)
        return Sample(bgr, np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV), np.uint8))


_NEUTRAL = readonly(np.full((1, 1), 128, np.uint8))
"""A plane without colour."""


@lru_cache(maxsize=16)
def _grid(width: int, height: int, columns: int, rows: int, name: str) -> Grid:
    across, down = (31, 31) if name == "gray" else _PLANAR[name]
    return Grid(
        _taps(width, columns), _nearest_places(width, columns, across),
        _taps(height, rows), _nearest_places(height, rows, down),
    )  # fmt: skip


def _places(lines: int, new: int) -> npt.NDArray[np.float64]:
    """Where the new lines lie among the old ones, by OpenCV's rule: the picture's edges on its edges."""
    return np.clip((np.arange(new) + 0.5) * (lines / new) - 0.5, 0, lines - 1)


def _taps(lines: int, new: int) -> Taps:
    places = _places(lines, new)
    first = np.floor(places).astype(np.uint32)
    second = np.minimum(first + 1, lines - 1).astype(np.uint32)
    return Taps(readonly(first), readonly(second), readonly((places - first).astype(np.float32)))


def _nearest_places(lines: int, new: int, halvings: int) -> Places:
    """In a plane of 1 / 2^halvings as many lines."""
    nearest = np.minimum(np.floor(_places(lines, new) + 0.5), lines - 1).astype(np.uint32)
    return readonly(nearest >> np.uint32(halvings))


@lru_cache(maxsize=16)
def _colours(space: int, is_full: bool) -> Floats:
    """(offset and gain of luma, blue of Cb, green of Cb, green of Cr, red of Cr), by ITU-T H.273, 8.3."""
    red, blue = _LUMA_SHARES.get(int(space), (0.299, 0.114))
    green = 1 - red - blue
    luma, colour = (1.0, 1.0) if is_full else (255 / 219, 255 / 224)
    of_red, of_blue = 2 * (1 - red) * colour, 2 * (1 - blue) * colour
    numbers = (0 if is_full else 16, luma, of_blue, -of_blue * blue / green, -of_red * red / green, of_red)
    return readonly(np.array(numbers, np.float32))


@kernel
def _sample(planes: tuple[Pixels, Pixels, Pixels], grid: Grid, colours: Floats, picture: Pixels) -> None:
    """planes: Y, Cb, Cr of (rows, bytes of a row), padding included. picture: (rows, 3 * columns), filled with BGR."""
    luma, blues, reds = planes
    rows, columns = len(picture), len(grid.colour_columns)
    line = np.empty(luma.shape[1], np.float32)
    lumas, cbs, crs = np.empty(columns, np.float32), np.empty(columns, np.float32), np.empty(columns, np.float32)
    blue, green, red = np.empty(columns, np.uint8), np.empty(columns, np.uint8), np.empty(columns, np.uint8)
    for row in range(rows):
        _mix(luma[grid.down.first[row]], luma[grid.down.second[row]], grid.down.weight[row], line)
        _pick(line, grid.across, lumas)
        _nearest(blues[grid.colour_rows[row]], grid.colour_columns, cbs)
        _nearest(reds[grid.colour_rows[row]], grid.colour_columns, crs)
        _convert((lumas, cbs, crs), colours, blue, green, red)
        _interleave(blue, green, red, picture[row])


@kernel
def _mix(first: Pixels, second: Pixels, weight: np.float32, line: Floats) -> None:
    for at in range(len(first)):
        value = np.float32(first[at])
        line[at] = value + (np.float32(second[at]) - value) * weight


@kernel
def _pick(line: Floats, taps: Taps, points: Floats) -> None:
    """Indices are unsigned here and below: no wrap."""
    first, second, weight = taps
    for at in range(np.uint32(len(points))):
        value = line[first[at]]
        points[at] = value + (line[second[at]] - value) * weight[at]


@kernel
def _nearest(line: Pixels, places: Places, points: Floats) -> None:
    for at in range(np.uint32(len(points))):
        points[at] = np.float32(line[places[at]])


@kernel
def _convert(points: tuple[Floats, Floats, Floats], colours: Floats, blue: Pixels, green: Pixels, red: Pixels) -> None:
    """Y, Cb, Cr of one row to B, G, R."""
    lumas, cbs, crs = points
    least, most, middle = np.float32(0), np.float32(255), np.float32(128)
    offset, gain, to_blue, cb_to_green, cr_to_green, to_red = colours
    for at in range(len(lumas)):
        luma = np.floor((lumas[at] - offset) * gain)
        cb, cr = cbs[at] - middle, crs[at] - middle
        blue[at] = np.uint8(np.int32(min(max(luma + np.floor(to_blue * cb), least), most)))
        grey = luma + np.floor(cb_to_green * cb) + np.floor(cr_to_green * cr)
        green[at] = np.uint8(np.int32(min(max(grey, least), most)))
        red[at] = np.uint8(np.int32(min(max(luma + np.floor(to_red * cr), least), most)))


@kernel
def _interleave(blue: Pixels, green: Pixels, red: Pixels, row: Pixels) -> None:
    for at in range(np.uint32(len(blue))):
        to = np.uint32(3) * at
        row[to] = blue[at]
        row[to + np.uint32(1)] = green[at]
        row[to + np.uint32(2)] = red[at]
