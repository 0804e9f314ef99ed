"""The bytes of a fetched file to the bytes that are stored: judged, decoded, turned upright, resized, encoded.

Pixels are img2dataset's: its Resizer decodes, resizes and encodes, under the option names its users know. Around it:
sizes are judged before a decoder runs (`image_headers`), EXIF orientation is applied, and what the Resizer would get
wrong (16 bits, transparency, animations, TIFF) is made a plain 8-bit picture first (`image_decoding`).
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # img2dataset imports it, and it asks the network for news
os.environ.setdefault("WANDB_MODE", "disabled")

import cv2
import img2dataset.resizer as img2dataset_resizer  # type: ignore[import-untyped]

from curation.media.image_decoding import decode_raw, eight_bit, listening, read_exif, upright, upright_size
from curation.media.image_facts import Header, ImageRefusal, RefusedImage, undecodable
from curation.media.image_headers import read_header, sniff
from curation.recipe.media import ImageSettings

_OURS = {"max_pixels", "keep_original", "min_image_size", "max_image_area", "max_aspect_ratio"}  # judged here
_WRITTEN = {"image/jpeg", "image/png", "image/webp"}

vars(img2dataset_resizer)["SuppressStdoutStderr"] = nullcontext  # it would silence what `listening` is to hear


@dataclass(frozen=True)
class ProcessedImage:
    """What became of one file: `data` to store, or a `reason` why not and `detail`; and the facts as far as known.

    sha256: of the fetched bytes, as img2dataset's compute_hash; stored_sha256: of `data`. mime: by content, of the
    fetched bytes; stored_mime: of `data`. original_width, original_height: the picture upright; width, height: of
    `data` (upright, also where the kept bytes say so in EXIF only). orientation: EXIF's, 1 to 8; applied: whether
    `data` no longer needs it. frames: pictures in the file, of which the first is taken. mode, bit_depth: as fetched.
    exif: JSON as img2dataset gives it, "{}" where there is none, null where it cannot be read or is absurdly large.
    """

    data: bytes | None = None
    reason: ImageRefusal | None = None
    detail: str = ""
    sha256: str = ""
    stored_sha256: str | None = None
    mime: str | None = None
    stored_mime: str | None = None
    width: int | None = None
    height: int | None = None
    original_width: int | None = None
    original_height: int | None = None
    orientation: int | None = None
    orientation_applied: bool | None = None
    frames: int | None = None
    mode: str | None = None
    bit_depth: int | None = None
    exif: str | None = None

    def facts(self) -> dict[str, object]:
        """All of it but the bytes."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "data"}


class ImageProcessor:
    """`processor(data)` gives a ProcessedImage and never raises for what a file holds. Cheap to pickle."""

    def __init__(self, settings: ImageSettings) -> None:
        self.settings = settings
        self._resizer = img2dataset_resizer.Resizer(**settings.model_dump(exclude=_OURS))

    def __call__(self, data: bytes) -> ProcessedImage:
        known: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "mime": sniff(data) or None}
        try:
            header = read_header(data)
            known |= _facts(header)
            self._judge(header)
            stored, (width, height), applied = self._stored(data, header)
        except RefusedImage as refusal:
            return ProcessedImage(reason=refusal.reason, detail=str(refusal), **known)
        return ProcessedImage(
            data=stored,
            stored_sha256=known["sha256"] if stored is data else hashlib.sha256(stored).hexdigest(),
            stored_mime=sniff(stored),
            width=width,
            height=height,
            orientation_applied=applied,
            exif=read_exif(data) if header.has_exif else "{}",
            **known,
        )

    def _judge(self, header: Header) -> None:
        """Everything that can be said before decoding. Raises RefusedImage."""
        width, height, settings = header.width, header.height, self.settings
        most = max(header.pixels, self._pixels_made(width, height))
        if most > settings.max_pixels:
            raise RefusedImage(ImageRefusal.TOO_MANY_PIXELS, f"{width} x {height} asks for {most} pixels")
        if not header.complete:
            raise RefusedImage(ImageRefusal.TRUNCATED, "the file ends within its picture")
        if min(width, height) < settings.min_image_size:
            raise RefusedImage(ImageRefusal.FILTERED_SIZE, f"{width} x {height}")
        if settings.max_image_area is not None and width * height > settings.max_image_area:
            raise RefusedImage(ImageRefusal.FILTERED_AREA, f"{width} x {height}")
        ratio = settings.max_aspect_ratio
        if ratio is not None and max(width, height) > ratio * min(width, height):
            raise RefusedImage(ImageRefusal.FILTERED_ASPECT, f"{width} x {height}")

    def _pixels_made(self, width: int, height: int) -> int:
        """Pixels after resizing: a line one pixel high, resized by its shorter side, is a bomb of our own making."""
        settings, short, long = self.settings, min(width, height), max(width, height)
        if settings.keep_original or settings.disable_all_reencoding or settings.resize_mode == "no":
            return 0
        by_short = settings.resize_mode in ("keep_ratio", "center_crop")
        if settings.resize_only_if_bigger and (short if by_short else long) <= settings.image_size:
            return 0
        return settings.image_size**2 * math.ceil(long / short) if by_short else settings.image_size**2

    def _stored(self, data: bytes, header: Header) -> tuple[bytes, tuple[int, int], bool]:
        """(bytes, (width, height), whether they are upright). Raises RefusedImage."""
        settings = self.settings
        if settings.keep_original or settings.disable_all_reencoding:
            if settings.keep_original:
                with listening():
                    decode_raw(data, header)
            return data, upright_size(header), header.orientation == 1
        with listening():
            source = data if _is_plain(header) else _as_bmp(data, header)
            stored, width, height, before, down, error = self._resizer(io.BytesIO(source))
            if error is not None:
                raise undecodable(error)
        if (before, down) != upright_size(header):
            raise undecodable(f"the header says {upright_size(header)}, the picture is {(before, down)}")
        return stored, (width, height), True


def _facts(header: Header) -> dict[str, Any]:
    width, height = upright_size(header)
    return {
        "original_width": width,
        "original_height": height,
        "orientation": header.orientation,
        "frames": header.frames,
        "mode": header.mode,
        "bit_depth": header.bit_depth,
    }


def _is_plain(header: Header) -> bool:
    """Whether the Resizer reads such a file as it is meant, and may keep its bytes (skip_reencode)."""
    plain = header.mode in ("L", "RGB", "P") and header.bit_depth <= 8 and header.mime in _WRITTEN
    return plain and header.frames == 1 and header.orientation == 1


def _as_bmp(data: bytes, header: Header) -> bytes:
    """The picture in plain form, in a file that costs a copy and loses nothing: the Resizer reads files only."""
    pixels = upright(eight_bit(decode_raw(data, header), header), header)
    return bytes(cv2.imencode(".bmp", pixels)[1].tobytes())
