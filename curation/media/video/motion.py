"""How much moves: by the codec's own motion vectors, and by what changes from frame to frame."""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import PictureType, VideoFrame

Luma = npt.NDArray[np.uint8]

_side_data: Any = SideDataContainer
"""frame.side_data would be kept by the frame that it keeps: a gigabyte of them, until Python looks for such rings."""

RANGE: Final = 219.0
"""Levels of luma from black (16) to white (235): ITU-R BT.601 and BT.709."""
STILL: Final = 0.001
"""Mean difference, of that range, up to which a frame is still: the default noise of FFmpeg's freezedetect."""


class MotionVectors:
    """Mean length of the vectors by which a codec predicts (MMTrail's motion score), in pixels per frame.

    Vectors of P frames alone are read: they lead to the I or P frame before, so their length divided by the distance to
    it is motion per frame. FFmpeg does not say which frame a vector of a B frame leads to, and a P frame that skips its
    nearest reference is counted as if it did not. Vectors count by the area of their blocks; blocks without a vector
    (new content, which is coded as in a still picture) do not count.
    """

    def __init__(self) -> None:
        self._length = self._area = 0.0
        self._place = 0
        self._anchor: int | None = None

    def add(self, frame: VideoFrame) -> None:
        """The next frame in presentation order, from a decoder with flags2=+export_mvs."""
        kind = frame.pict_type
        vectors = _side_data(frame).get("MOTION_VECTORS") if kind == PictureType.P else None
        if vectors is not None and self._anchor is not None:
            found = vectors.to_ndarray()
            area = found["w"].astype(np.float64) * found["h"]
            scale = np.maximum(found["motion_scale"], 1) * float(self._place - self._anchor)
            length = np.hypot(found["motion_x"], found["motion_y"]) / scale
            self._length += float((area * length).sum())  # a product of vectors would wake the threads of BLAS
            self._area += float(area.sum())
        if kind in (PictureType.I, PictureType.P):
            self._anchor = self._place
        self._place += 1

    def mean(self) -> float | None:
        """Pixels of the stored picture per frame; None where the codec gave no vectors (VP8, VP9, AV1, HEVC; I frames
        alone).
        """
        return self._length / self._area if self._area else None


class Differences:
    """What changes in luma between successive frames."""

    def __init__(self) -> None:
        self._before: Luma | None = None
        self._sum = 0.0
        self._pairs = self._still = 0

    def add(self, luma: Luma) -> None:
        """The next frame; one of another size is scaled to that of the frame before."""
        if self._before is not None:
            height, width = self._before.shape
            if luma.shape != self._before.shape:
                luma = np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
            difference = cv2.norm(luma, self._before, cv2.NORM_L1) / luma.size / RANGE
            self._sum += min(difference, 1.0)
            self._still += difference <= STILL
            self._pairs += 1
        self._before = luma

    def mean(self) -> float | None:
        """Mean absolute difference over all pixels and pairs of frames, 1: from black to white; None: one frame."""
        return self._sum / self._pairs if self._pairs else None

    def still_share(self) -> float | None:
        """Share of pairs whose mean absolute difference is at most STILL; None: one frame."""
        return self._still / self._pairs if self._pairs else None


def of_diagonal(pixels: float | None, width: int, height: int) -> float | None:
    """A length in pixels as a share of a picture's diagonal."""
    return None if pixels is None else pixels / math.hypot(width, height)
