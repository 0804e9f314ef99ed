"""img2dataset's Resizer for pictures that are decoded already: the same code, without its decoder.

Shrinking by area is ours, with the same bytes (`area`), and so is blurring, with others (`blurring`).
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import FunctionType, SimpleNamespace
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for news
os.environ.setdefault("WANDB_MODE", "disabled")

import albumentations  # type: ignore[import-untyped]
import cv2
import img2dataset.resizer as img2dataset_resizer  # type: ignore[import-untyped]

from curation.media.area import shrink
from curation.media.blurring import blurred
from curation.media.image_decoding import Pixels
from curation.media.image_facts import Box, undecodable

_mine = threading.local()


class PixelResizer:
    """img2dataset's Resizer with its options. A picture at a time per thread; threads are not in each other's way."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._resizer = img2dataset_resizer.Resizer(**options, blurrer=_blur)

    def __call__(self, pixels: Pixels, boxes: Sequence[Box], original: bytes | None) -> tuple[bytes, int, int]:
        """(bytes to store, width, height) of upright pixels: (height, width) grey or (height, width, 3) BGR, 8 bits.

        original: bytes of the file, where they say just that and may be kept if nothing is to be done (skip_reencode).
        boxes are blurred, and never kept. Raises RefusedImage.
        """
        file = io.BytesIO(b"" if original is None or boxes else original)
        _mine.pixels = pixels
        stored, width, height, _, _, error = _resize(self._resizer, file, list(boxes) or None)
        _mine.pixels = None
        if error is not None:
            raise undecodable(error)
        return stored, width, height


def _once(make: Callable[..., Any]) -> Callable[..., Any]:
    """One transform per thread and options: they hold state while they work, and making one costs as much as encoding a
    picture of 256 x 256.
    """

    def made(**options: Any) -> Any:
        key = f"{make.__name__} {options}"
        if key not in vars(_mine):
            setattr(_mine, key, make(**options))
        return getattr(_mine, key)

    return made


def _blur(img: Pixels, bbox_list: Sequence[Box]) -> Pixels:
    """`blurred` by the names that the Resizer calls it with."""
    return blurred(img, bbox_list)


class _Area:
    """Albumentations' resizing transforms, with `shrink` in the place of cv2's INTER_AREA."""

    interpolation: int

    def apply(self, img: Pixels, scale: float, **params: Any) -> Pixels:
        if self.interpolation != cv2.INTER_AREA:
            return super().apply(img, scale, **params)  # type: ignore[misc, no-any-return]
        height, width = (max(1, round(side * scale)) for side in img.shape[:2])
        return img if (height, width) == img.shape[:2] else shrink(img, width, height)


class SmallestMaxSize(_Area, albumentations.SmallestMaxSize):  # type: ignore[misc]
    """The smaller side becomes max_size pixels."""


class LongestMaxSize(_Area, albumentations.LongestMaxSize):  # type: ignore[misc]
    """The longer side becomes max_size pixels."""


_TRANSFORMS = (SmallestMaxSize, LongestMaxSize, albumentations.CenterCrop, albumentations.PadIfNeeded)
_method = img2dataset_resizer.Resizer.__call__
_resize = FunctionType(
    _method.__code__,
    {
        **vars(img2dataset_resizer),
        "A": SimpleNamespace(**{make.__name__: _once(make) for make in _TRANSFORMS}),
        "cv2": SimpleNamespace(**{**vars(cv2), "imdecode": lambda *_: _mine.pixels}),
        "SuppressStdoutStderr": nullcontext,  # nothing writes there after decoding; it would silence all threads
    },
    argdefs=_method.__defaults__,
)
"""The Resizer's own method, with other globals: what it decodes is the picture at hand."""
