"""The pixels and the EXIF of an image file: decoded, of 8 bits, upright.

One picture at a time per process: decoders write what they think of a file to standard error, which is listened to
while one works (file descriptor 2, so for all threads). A lock sees to it; lines that other threads write to standard
error meanwhile are lost. Use one process per core.
"""

from __future__ import annotations

import io
import json
import logging
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import cv2
import exifread  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from curation.media.image_facts import Header, ImageRefusal, RefusedImage, undecodable
from curation.media.image_headers import read_header

Pixels = npt.NDArray[np.uint8]

_EXIF_BYTES = 1 << 20
"""Bytes that reading EXIF may cost; real blocks have at most 64 KiB, hostile ones say the same bytes often."""
_EXIF_ERRORS = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError, struct.error)
_ROWS = 256  # converted at a time, so that wide intermediate types stay small
_HEARD = 1 << 16  # bytes, what a pipe holds

_decoding = threading.Lock()
logging.getLogger("exifread").setLevel(logging.CRITICAL)
cv2.setNumThreads(1)


def decode(data: bytes) -> Pixels:
    """Upright 8-bit pixels of a file, (height, width) grey or (height, width, 3) BGR. Raises RefusedImage.

    The caller judges the size first (`read_header`): nothing here bounds it.
    """
    header = read_header(data)
    with listening():
        return upright(eight_bit(decode_raw(data, header), header), header)


def read_exif(data: bytes) -> str | None:
    """EXIF as img2dataset writes it: a JSON object of strings; null where it cannot be read."""
    try:
        tags = exifread.process_file(_Metered(data), details=False)
        return json.dumps({name: str(value).strip() for name, value in tags.items() if value is not None})
    except _EXIF_ERRORS:
        return None


class _Metered(io.BytesIO):
    """A file of which only so much may be read: directories may overlap, and so be far longer than their file."""

    left = _EXIF_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.left -= len(found) + 16
        if self.left < 0:
            raise ValueError("too much EXIF")
        return found


@contextmanager
def listening() -> Iterator[None]:
    """Hears what decoders say to standard error, and refuses pictures that they call damaged.

    libjpeg fills what is missing with grey and says so nowhere else. What does not fit the pipe is dropped.
    """
    verdict: RefusedImage | None = None
    with _decoding:
        ear, mouth = os.pipe()
        os.set_blocking(ear, False)
        os.set_blocking(mouth, False)
        before = os.dup(2)
        os.dup2(mouth, 2)
        os.close(mouth)
        heard = b""
        try:
            yield
        except RefusedImage as refusal:
            verdict = refusal
        finally:
            os.dup2(before, 2)
            os.close(before)
            with suppress(BlockingIOError):  # nothing was said, and a child of another thread still holds the pipe
                heard = os.read(ear, _HEARD).lower()
            os.close(ear)
    if b"premature end" in heard:
        raise RefusedImage(ImageRefusal.TRUNCATED, "the picture ends before its last line")
    if verdict is not None:
        raise verdict
    if b"corrupt jpeg data" in heard and b"extraneous bytes" not in heard:
        raise undecodable(heard.decode("ascii", "replace").strip()[:200])


def upright_size(header: Header) -> tuple[int, int]:
    """(width, height) once the orientation is applied."""
    return (header.height, header.width) if header.orientation > 4 else (header.width, header.height)


def decode_raw(data: bytes, header: Header) -> npt.NDArray[Any]:
    """The first picture as its decoder gives it; already upright in TIFF, else as stored. Raises RefusedImage."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise undecodable(error.err) from None
    if pixels is None:
        raise undecodable("no picture in it")
    size = upright_size(header) if header.mime == "image/tiff" else (header.width, header.height)
    if (pixels.shape[1], pixels.shape[0]) != size:
        raise undecodable(f"the header says {size}, the picture is {pixels.shape[1::-1]}")
    return np.asarray(pixels)


def eight_bit(pixels: npt.NDArray[Any], header: Header) -> Pixels:
    """Grey or BGR of 8 bits, transparency on white as img2dataset has it. Raises RefusedImage for other samples.

    A BMP whose fourth channel is all zero has no transparency: the byte is unused there.
    """
    if pixels.dtype == np.uint16:
        pixels = _narrow(pixels)
    if pixels.dtype != np.uint8 or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise undecodable(f"samples of type {pixels.dtype}, shape {pixels.shape}")
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels
    if header.mime == "image/bmp" and not pixels[..., 3].any():
        return np.ascontiguousarray(pixels[..., :3])
    matted = np.empty((*pixels.shape[:2], 3), np.uint8)
    for row in range(0, len(pixels), _ROWS):
        part = pixels[row : row + _ROWS]
        alpha = part[..., 3:]
        matted[row : row + _ROWS] = np.rint((alpha / 255 * part[..., :3] + 255 - alpha).clip(0, 255))
    return matted


def _narrow(pixels: npt.NDArray[np.uint16]) -> Pixels:
    """16 bits to 8 (65535 becomes 255). Values that fit in 8 bits are left as they are: else all would be black."""
    if pixels.max() <= 255:
        return pixels.astype(np.uint8)
    narrow = np.empty(pixels.shape, np.uint8)
    for row in range(0, len(pixels), _ROWS):
        narrow[row : row + _ROWS] = (pixels[row : row + _ROWS].astype(np.uint32) + 128) // 257
    return narrow


def upright(pixels: Pixels, header: Header) -> Pixels:
    """Applies EXIF orientation: 5 to 8 swap the axes, then rows or columns are reversed. TIFF's decoder did it."""
    if header.mime == "image/tiff" or header.orientation == 1:
        return pixels
    turned = cv2.transpose(pixels) if header.orientation > 4 else pixels  # ten times as fast as numpy's copy
    if header.orientation in (3, 4, 7, 8):
        turned = cv2.flip(turned, 0)
    if header.orientation in (2, 3, 6, 7):
        turned = cv2.flip(turned, 1)
    return np.asarray(turned, np.uint8)
