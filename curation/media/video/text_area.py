"""How much of a picture is text, where an engine that finds text is installed."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, Final, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from curation.errors import RecipeError

Pixels = npt.NDArray[np.uint8]

LONGEST_SIDE: Final = 960
"""Pixels of a picture's longer side in which text is looked for: det_limit_side_len of PaddleOCR."""


class TextFinder(Protocol):
    """Finds text in a picture, uint8 (height, width, 3) BGR, upright."""

    def __call__(self, picture: Pixels, /) -> npt.NDArray[np.float32]:
        """Quadrilaterals around lines of text, float (n, 4, 2): x and y in pixels of four corners in turn."""


@cache
def text_finder(name: str) -> TextFinder:
    """The finder that Scores.text_finder names, loaded once per process. Raises RecipeError."""
    try:
        if name == "rapidocr":
            return _rapidocr()
        module, _, factory = name.partition(":")
        finder: TextFinder = getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError) as error:
        install = "pip install rapidocr onnxruntime" if name == "rapidocr" else "install its package"
        raise RecipeError(f"text_finder {name} cannot be loaded: {error}: {install} here and on every worker") from None
    return finder


def _rapidocr() -> TextFinder:
    """RapidOCR 3 (PP-OCR models in its wheel, on onnxruntime): detection alone, on one core."""
    engine: Any = importlib.import_module("rapidocr").RapidOCR(
        params={"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": 1}
    )

    def find(picture: Pixels, /) -> npt.NDArray[np.float32]:
        boxes = engine(picture, use_det=True, use_cls=False, use_rec=False).boxes
        return np.zeros((0, 4, 2), np.float32) if boxes is None else np.asarray(boxes, np.float32)

    return find


def text_share(finder: TextFinder, frame: VideoFrame) -> float:
    """Share of a frame's area that lies in boxes of text; where boxes overlap it counts once. Raises RecipeError."""
    scale = min(1.0, LONGEST_SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
    stored = frame.to_ndarray(format="bgr24", width=width, height=height)
    picture = np.ascontiguousarray(np.rot90(stored, round(frame.rotation / 90)), np.uint8)
    covered = np.zeros(picture.shape[:2], np.uint8)
    try:
        boxes = np.asarray(finder(picture), np.float32).reshape(-1, 4, 2)
    except Exception as error:  # whatever a stranger's code raises says nothing of the video
        raise RecipeError(f"text_finder failed: {type(error).__name__}: {error}") from error
    for box in boxes:
        # the pixels of an outline are filled too, and those on the far sides lie outside the box
        cv2.fillPoly(covered, [np.round(box - (box > box.mean(axis=0))).astype(np.int32)], 1)
    return cv2.countNonZero(covered) / covered.size
