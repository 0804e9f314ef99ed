"""Shrinking pictures by area averages: the bytes of cv2.resize(..., INTER_AREA) at about half its cost.

The arithmetic is OpenCV's (ResizeArea in modules/imgproc/src/resize.cpp), in its order and in its single precision:
every row of the picture is averaged to the new width, rows so averaged are weighted and summed to the new height, and
sums are rounded to the nearest, halves to even. What saves time: pixels that count in full are converted and weighted
a row at a time, in vectors, and a row that two new rows share is averaged once.

What is not done here is handed to cv2: pictures without three channels, enlarging in any direction, two whole scales
(OpenCV sums those in whole numbers), and machines whose OpenCV computes otherwise, such as with fused multiplications
on ARM: the first call of a process compares the two. OpenCV for x86-64 has one code path here for all processors, by
its sources; only the one at hand was tried.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from curation.kernels import kernel, readonly

Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_LEAST: Final = 1e-3
"""OpenCV's: a smaller part of a pixel does not count."""


class Spans(NamedTuple):
    """Which lines each new line is the mean of: from `begin`, before `end`, with the weights of the first, of the last
    where there are several, and (one number) of those between. even (one too): whether the latter are all the same;
    rounding may make the last span another.
    """

    begin: Ints
    end: Ints
    first: Floats
    last: Floats
    middle: Floats
    even: npt.NDArray[np.bool_]


def shrink(pixels: Pixels, width: int, height: int) -> Pixels:
    """cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), bit for bit.

    pixels: (rows, columns, 3) for speed, of any strides; whatever cv2 takes is taken. Raises cv2.error as it does.
    """
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and _agrees():
        shrunk = _shrunk(pixels, width, height)
        if shrunk is not None:
            return shrunk
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def _shrunk(pixels: Pixels, width: int, height: int) -> Pixels | None:
    """The same, of (rows, columns, 3); None for what is handed to cv2."""
    rows, columns = pixels.shape[:2]
    if not (0 < width <= columns and 0 < height <= rows) or columns % width == rows % height == 0:
        return None
    even, shrunk = _averaged(readonly(pixels.reshape(rows, -1)), width, height)
    return shrunk.reshape(height, width, 3) if even else None


@cache
def _agrees() -> bool:
    """Whether this machine's cv2 gives the same bytes, tried on a picture of noise with weights of many kinds."""
    noise = np.random.default_rng(0).integers(0, 256, (211, 307, 3), dtype=np.uint8)
    shrunk = _shrunk(noise, 67, 90)
    expected = cv2.resize(noise, (67, 90), interpolation=cv2.INTER_AREA)
    return shrunk is not None and np.array_equal(shrunk, expected)


@kernel
def _spans(lines: int, new: int) -> Spans:
    """The means that shrink `lines` to `new`, 0 < new <= lines, as OpenCV weights them."""
    scale = 1 / (new / lines)
    spans = Spans(
        np.zeros(new, np.int64),
        np.zeros(new, np.int64),
        np.zeros(new, np.float32),
        np.zeros(new, np.float32),
        np.full(1, 1 / scale, np.float32),
        np.ones(1, np.bool_),
    )
    for line in range(new):
        start = line * scale
        stop = start + scale
        cell = min(scale, lines - start)
        whole_stop = min(np.floor(stop), lines - 1)
        whole = min(np.ceil(start), whole_stop)
        before, after = whole - start, stop - whole_stop
        begin = whole - 1 if before > _LEAST else whole
        end = whole_stop + 1 if after > _LEAST else whole_stop
        last = min(after, 1.0, cell) / cell if after > _LEAST else 1 / cell
        first = before / cell if before > _LEAST else 1 / cell if whole < whole_stop else last
        spans.begin[line], spans.end[line] = int(begin), int(end)
        spans.first[line], spans.last[line] = first, last
        spans.even[0] &= begin < end and (end - begin < 3 or np.float32(1 / cell) == spans.middle[0])
    return spans


@kernel
def _averaged(pixels: Pixels, width: int, height: int) -> tuple[bool, Pixels]:
    """pixels: (rows, 3 * columns). Gives (height, 3 * width), and whether that is right: all spans are even."""
    across, down = _spans(pixels.shape[1] // 3, width), _spans(len(pixels), height)
    new = 3 * width
    shrunk = np.empty((height, new), np.uint8)
    weighted = np.empty(pixels.shape[1], np.float32)
    mean, total = np.empty(new, np.float32), np.empty(new, np.float32)
    done = -1
    for line in range(height):
        begin, end = down.begin[line], down.end[line]
        for row in range(begin, end):
            if row > done:
                _average_row(pixels[row], across, weighted, mean)
                done = row
            weight = down.middle[0]
            if row == begin:
                weight = down.first[line]
            elif row == end - 1:
                weight = down.last[line]
            if row == begin:
                for at in range(new):
                    total[at] = weight * mean[at]
            else:
                for at in range(new):
                    total[at] += weight * mean[at]
        for at in range(new):
            shrunk[line, at] = np.uint8(np.rint(min(np.float32(255), total[at])))
    return across.even[0] and down.even[0], shrunk


@kernel
def _average_row(row: Pixels, across: Spans, weighted: Floats, mean: Floats) -> None:
    """One row to the new width, in `mean`; `weighted` is room to work in. Indices are unsigned: no wrap, no checks."""
    three, middle = np.uint64(3), across.middle[0]
    for place in range(len(row)):
        weighted[place] = np.float32(row[place]) * middle
    for column in range(len(across.begin)):
        at, end = np.uint64(3 * across.begin[column]), np.uint64(3 * across.end[column] - 3)
        weight = across.first[column]
        blue, green, red = row[at] * weight, row[at + np.uint64(1)] * weight, row[at + np.uint64(2)] * weight
        if at < end:
            at += three
            while at < end:
                blue += weighted[at]
                green += weighted[at + np.uint64(1)]
                red += weighted[at + np.uint64(2)]
                at += three
            weight = across.last[column]
            blue += row[at] * weight
            green += row[at + np.uint64(1)] * weight
            red += row[at + np.uint64(2)] * weight
        to = np.uint64(3 * column)
        mean[to], mean[to + np.uint64(1)], mean[to + np.uint64(2)] = blue, green, red
