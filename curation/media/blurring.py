"""Parts of a picture made unrecognisable: a few colours remain of each box, and no detail comes back from them.

Unlike img2dataset's blur, whose strength varies with the release of albumentations beneath it, which seeds the random
generators of the process, and which takes seconds for a picture of 12 megapixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor

import cv2
import numpy as np

from curation.media.image_decoding import Pixels
from curation.media.image_facts import Box

_MARGIN = 0.15
"""Of a box's width or height, added on either side: finders of faces cut off hair and chin."""
_CELLS = 5
"""Colours along the longer side of what is blurred, so about four along the face within. People still know many
familiar faces from 7 x 10 pixels (Sinha et al., Face Recognition by Humans, 2006).
"""
_LEAST = 4  # pixels of a cell: in little boxes there are fewer cells
_SIGMA = 0.7  # of the Gaussian over the cells, in cells: they blend


def is_box(box: tuple[float, ...]) -> bool:
    """Whether these are left, top, right, bottom as shares from 0 to 1, none before the other."""
    return len(box) == 4 and 0 <= box[0] <= box[2] <= 1 and 0 <= box[1] <= box[3] <= 1


def blurred(picture: Pixels, boxes: Iterable[Box]) -> Pixels:
    """A copy of a picture, uint8 (height, width) or (height, width, 3), with all boxes blurred; their order is nothing.

    Each box is grown by 15 % of its size on every side, clipped, and rounded outwards to whole pixels, at least one; no
    other pixel changes. What was in it is averaged to at most 5 x 5 colours, these are smoothed, and enlarged again.
    Time: the picture's copy, and a few operations for each pixel of each distinct box. Raises ValueError for what is
    no box (`is_box`).
    """
    picture = picture.copy()
    height, width = picture.shape[:2]
    for box in sorted(set(boxes)):
        if not is_box(box):
            raise ValueError(f"{box} is no left, top, right, bottom in shares from 0 to 1")
        left, right = _grown(box[0], box[2], width)
        top, bottom = _grown(box[1], box[3], height)
        picture[top:bottom, left:right] = _smeared(picture[top:bottom, left:right])
    return picture


def _grown(begin: float, end: float, length: int) -> tuple[int, int]:
    """The pixels from one share to another of `length`, with the margin."""
    margin = _MARGIN * (end - begin)
    first = min(floor(max(0.0, begin - margin) * length), length - 1)
    return first, max(first + 1, ceil(min(1.0, end + margin) * length))


def _smeared(part: Pixels) -> Pixels:
    """The few colours of a part of a picture, enlarged to its size: cubic, so that no cell has an edge."""
    height, width = part.shape[:2]
    cell = max(height, width) / max(1, min(_CELLS, max(height, width) // _LEAST))
    columns, rows = max(1, round(width / cell)), max(1, round(height / cell))
    cells = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    cells = cv2.GaussianBlur(cells, (5, 5), _SIGMA, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
