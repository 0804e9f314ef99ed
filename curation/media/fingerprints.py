"""Perceptual hashes of pictures, and bands that near duplicates share.

The hash is pHash (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010): luminance of
32 x 32, its discrete cosine transform, and one bit for each of 64 low frequencies: above their median or not. Which 64
is ours: in the zigzag order of JPEG, from the first after the mean. On real photographs that loses less to small crops
than the square of 8 x 8 that others take. The transform is computed in whole numbers, so that the same 32 x 32 values
give the same hash on every machine; so are the means that these values are, by area.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

FLAT = 0
"""The hash of pictures without contrast (one colour, or nearly, or a mere ramp): it never makes two pictures near."""

_SIDE = 32
_ZIGZAG = sorted(((u, v) for u in range(11) for v in range(11) if u + v), key=lambda at: (at[0] + at[1], at))[:64]
_ROWS, _COLUMNS = np.array(_ZIGZAG).T
_SCALE = 1 << 14  # of the whole-number cosines
_CONTRAST = 64 * _SCALE * _SCALE
"""A picture whose strongest coefficient is below this is flat: a wave of a quarter of a grey level at most."""

_WAVES = np.rint(  # DCT-II, frequencies 0 to 10
    _SCALE * np.cos(np.pi / _SIDE * np.outer(np.arange(11), np.arange(_SIDE) + 0.5))
).astype(np.int64)
_WEIGHTS = np.left_shift(np.uint64(1), np.arange(63, -1, -1, dtype=np.uint64))


def phash(pixels: npt.NDArray[np.uint8]) -> int:
    """The 64-bit hash of a picture: (height, width) grey or (height, width, 3) BGR, 8 bits. FLAT for no contrast.

    Alike for copies that are resized, re-encoded or a little brighter; not for mirrored, turned or strongly cropped
    ones.
    """
    return int(phash_of_luminance(luminance(pixels)[None])[0])


def luminance(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A picture as (32, 32) exact mean luminances, rounded: the shape is lost, so the aspect does not count."""
    grey = np.asarray(pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
    (height, width), size = grey.shape, grey.size
    edges, parts = _edges(height)
    rows = np.zeros((_SIDE, width), np.int64)
    for row, (begin, end) in enumerate(pairwise(edges)):
        if begin < end:  # five times as fast as INTER_AREA, which rounds as it goes
            rows[row] = cv2.reduce(grey[begin:end], 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    rows = _SIDE * rows + np.diff(grey[np.minimum(edges, height - 1)] * parts[:, None], axis=0)
    edges, parts = _edges(width)
    before = np.zeros((_SIDE, width + 1), np.int64)
    np.cumsum(rows, axis=1, out=before[:, 1:])
    sums = np.diff(_SIDE * before[:, edges] + rows[:, np.minimum(edges, width - 1)] * parts, axis=1)
    return np.asarray((2 * sums + size) // (2 * size), np.uint8)


def _edges(lines: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where 32 bands of lines / 32 begin and end: at this line, and so many 32nds into it."""
    whole, parts = np.divmod(lines * np.arange(_SIDE + 1), _SIDE)
    return whole, parts


def phash_of_luminance(luminances: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """The hashes of (n, 32, 32) luminances: bits in zigzag order, the lowest frequency in the highest bit."""
    waves = (_WAVES @ luminances.astype(np.int64) @ _WAVES.T)[:, _ROWS, _COLUMNS]
    ordered = np.sort(waves, axis=1)
    middle = ordered[:, 31:33].sum(axis=1, keepdims=True)  # twice the median, which is exact
    hashes: npt.NDArray[np.uint64] = ((2 * waves > middle) * _WEIGHTS).sum(axis=1, dtype=np.uint64)
    hashes[np.abs(waves).max(axis=1) < _CONTRAST] = FLAT
    return hashes


def hamming(one: int, other: int) -> int:
    """Bits that differ, 0 to 64."""
    return (one ^ other).bit_count()


def band_runs(bands: int) -> list[tuple[int, int]]:
    """The runs of 64 bits that make the keys, first the highest: (shift, width) in bits. One run is the whole hash."""
    edges = [64 * band // bands for band in range(bands + 1)]
    return [(64 - end, end - begin) for begin, end in pairwise(edges)]


def bands(phash: int, bands: int = 4) -> list[int]:
    """Keys to group by, one for each of `bands` (2 to 16) runs of the hash's bits; none for FLAT.

    Two hashes within a distance of `bands` - 1 share at least one key: fewer differing bits than runs leave a run
    untouched. Those further apart may share one too, so distances are still to be computed. A key is below 2^36; that
    of one run is never that of another.
    """
    if not 2 <= bands <= 16:
        raise ValueError(f"bands must be 2 to 16, not {bands}")
    if phash == FLAT:
        return []
    runs = enumerate(band_runs(bands))
    return [band << 32 | phash >> shift & (1 << width) - 1 for band, (shift, width) in runs]
