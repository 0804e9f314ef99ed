"""Small pictures of samples for the report: read from the work folder, decoded, scaled down, encoded anew.

What is shown are always own JPEGs, never the stored bytes: a browser decodes nothing that came from the web.
"""

from __future__ import annotations

import base64
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import cv2

from curation.captions.media import MAX_PIXELS
from curation.media.image_decoding import Pixels, decode
from curation.media.image_facts import RefusedImage
from curation.media.image_headers import read_header
from curation.media.video.facts import RefusedVideo
from curation.media.video.stills import key_frames
from curation.storage import Store

Row = dict[str, Any]

SIDE: Final = 224
"""Pixels of a thumbnail's longest side."""
MAX_BYTES: Final = 64 << 20
"""Of a file that is read for a thumbnail."""
_QUALITY: Final = 72
_SECONDS: Final = 20.0  # that decoding one frame may take


class NoThumbnail(Exception):  # noqa: N818 - a verdict, not a fault
    """Why there is no picture, in words."""


def thumbnail(store: Store, sample: Row) -> bytes:
    """A JPEG of a sample (columns of MANIFEST; key_frame: (offset, size_bytes) in the same file, or None).

    Raises NoThumbnail with the reason.
    """
    if sample["modality"] == "image":
        return _of_image(_read(store, sample["path"], sample["offset"], sample["size_bytes"]))
    if sample["key_frame"] is not None:
        return _of_image(_read(store, sample["path"], *sample["key_frame"]))
    return _of_video(_read(store, sample["path"], sample["offset"], sample["size_bytes"]), sample["extension"])


def data_url(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"


def _read(store: Store, path: str, offset: int, size_bytes: int) -> bytes:
    if size_bytes > MAX_BYTES:
        raise NoThumbnail("too large to be read for a picture this small")
    try:
        data = store.part(path, offset, size_bytes)
    except OSError as error:
        raise NoThumbnail(f"its bytes are gone ({error.strerror or type(error).__name__})") from None
    if len(data) < size_bytes:
        raise NoThumbnail("its file ends before its bytes do")
    return data


def _of_image(data: bytes) -> bytes:
    try:
        header = read_header(data)
        if header.pixels > MAX_PIXELS:
            raise NoThumbnail(f"{header.pixels:,} pixels are too many for a picture this small")
        return _small(decode(data))
    except RefusedImage as refused:
        raise NoThumbnail(f"it cannot be decoded ({refused})") from None


def _small(pixels: Pixels) -> bytes:
    height, width = pixels.shape[:2]
    part = min(1.0, SIDE / max(width, height))
    size = max(1, round(width * part)), max(1, round(height * part))
    scaled = pixels if part == 1.0 else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return bytes(cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])


def _of_video(data: bytes, extension: str) -> bytes:
    """Its first frame."""
    with tempfile.TemporaryDirectory(prefix="curation-report-") as folder:
        file = Path(folder) / f"clip.{extension if extension.isalnum() else 'bin'}"
        file.write_bytes(data)
        try:
            (still,) = key_frames(file, [0.0], max_height=SIDE, deadline=time.monotonic() + _SECONDS)
        except RefusedVideo as refused:
            raise NoThumbnail(f"it cannot be decoded ({refused})") from None
    return _of_image(still.data)
