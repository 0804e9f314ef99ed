"""What is known of an image file without decoding it, and why a file may be refused."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class ImageRefusal(StrEnum):
    """Why a file gave no image."""

    NOT_AN_IMAGE = "not_an_image"
    TRUNCATED = "truncated"
    UNDECODABLE = "undecodable"
    TOO_MANY_PIXELS = "too_many_pixels"
    FILTERED_SIZE = "filtered_size"
    FILTERED_AREA = "filtered_area"
    FILTERED_ASPECT = "filtered_aspect"
    UNSAFE = "unsafe"  # by a hook's finding
    HOOK_FAILED = "hook_failed"
    LISTED = "listed"  # its hash is on a list of refused ones


Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares (0 to 1) of the upright picture's width and height."""


class RefusedImage(Exception):  # noqa: N818 - a verdict, not a fault
    """A file gives no image; `reason` is the class that the ledger counts, the text says what was found."""

    def __init__(self, reason: ImageRefusal, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Header:
    """Facts of the first picture of a file.

    width, height: pixels as stored, before `orientation` (EXIF, 1 to 8) is applied. pixels: what a decoder allocates,
    at least width times height. mode: L, LA, RGB, RGBA, P, PA (palette with alpha) or CMYK. bit_depth: bits per
    sample. frames: pictures in the file. complete: whether the bytes of the first picture are all there. has_exif:
    whether the file holds EXIF.
    """

    mime: str
    width: int
    height: int
    mode: str
    bit_depth: int
    frames: int = 1
    orientation: int = 1
    complete: bool = True
    has_exif: bool = False
    pixels: int = 0

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise RefusedImage(ImageRefusal.UNDECODABLE, f"{self.width} x {self.height} pixels")
        object.__setattr__(self, "pixels", max(self.pixels, self.width * self.height))


def orientation_of(exif: bytes) -> int:
    """EXIF orientation (1 to 8) in a TIFF block; 1 where it does not say."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if (tag, kind) == (0x0112, 3):
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def undecodable(detail: str) -> RefusedImage:
    return RefusedImage(ImageRefusal.UNDECODABLE, detail)
