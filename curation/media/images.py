"""The bytes of a fetched file to the bytes that are stored: judged, decoded, turned upright, resized, encoded.

Pixels are img2dataset's: its Resizer resizes and encodes, under the option names its users know. Before it:
sizes are judged ahead of any decoder (`image_headers`), the file is decoded once, turned upright and made a plain 8-bit
picture where the Resizer would get it wrong (16 bits, transparency, animations, TIFF: `image_decoding`), and the
perceptual hash, the hooks and the lists of refused hashes look at that picture.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, fields
from typing import Any

from curation.media.fingerprints import hamming, phash
from curation.media.hash_lists import HashLists
from curation.media.hooks import Hooks
from curation.media.image_decoding import Pixels, decode_raw, eight_bit, listening, read_exif, upright, upright_size
from curation.media.image_facts import Box, Header, ImageRefusal, RefusedImage
from curation.media.image_headers import read_header, sniff
from curation.media.resizing import PixelResizer
from curation.recipe.media import ImageSettings

_OURS = {"max_pixels", "keep_original", "min_image_size", "max_image_area", "max_aspect_ratio"}  # judged here
_WRITTEN = {"image/jpeg", "image/png", "image/webp"}


@dataclass(frozen=True)
class ProcessedImage:
    """What became of one file: `data` to store, or a `reason` why not and `detail`; and the facts as far as known.

    sha256: of the fetched bytes, as img2dataset's compute_hash; stored_sha256: of `data`. mime: by content, of the
    fetched bytes; stored_mime: of `data`. original_width, original_height: the picture upright; width, height: of
    `data` (upright, also where the kept bytes say so in EXIF only). orientation: EXIF's, 1 to 8; applied: whether
    `data` no longer needs it. frames: pictures in the file, of which the first is taken. mode, bit_depth: as fetched.
    exif: JSON as img2dataset gives it, "{}" where there is none, null where it cannot be read or is absurdly large.
    phash: of the whole upright picture (`fingerprints.phash`), null where it was not decoded. findings: what hooks saw,
    as in the ledger's column.
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
    phash: int | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)

    def facts(self) -> dict[str, object]:
        """All of it but the bytes."""
        return {fact.name: getattr(self, fact.name) for fact in fields(self) if fact.name != "data"}


class ImageProcessor:
    """`processor(data)` gives a ProcessedImage and never raises for what a file holds.

    Files and pictures on the lists are refused (`listed`), and so are those of which a hook says so (`unsafe`,
    `hook_failed`). Cheap to pickle, but for the hooks.
    """

    def __init__(self, settings: ImageSettings, hooks: Hooks | None = None, lists: HashLists | None = None) -> None:
        self.settings = settings
        self._hooks, self._lists = hooks, lists
        self._looks = bool(hooks) or (lists is not None and lists.has_pictures)
        self._resizer = PixelResizer(settings.model_dump(exclude=_OURS))

    def __call__(self, data: bytes) -> ProcessedImage:
        known: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest(), "mime": sniff(data) or None}
        try:
            if self._lists is not None and self._lists.has_file(known["sha256"]):
                raise RefusedImage(ImageRefusal.LISTED, "the SHA-256 of the file is on a list of refused ones")
            header = read_header(data)
            known |= _facts(header)
            self._judge(header)
            stored, (width, height), applied = self._stored(data, header, known)
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

    def _stored(self, data: bytes, header: Header, known: dict[str, Any]) -> tuple[bytes, tuple[int, int], bool]:
        """(bytes, (width, height), whether they are upright); adds what the picture says. Raises RefusedImage."""
        settings = self.settings
        as_it_came = settings.keep_original or settings.disable_all_reencoding
        if settings.disable_all_reencoding and not settings.keep_original and not self._looks:
            return data, upright_size(header), header.orientation == 1
        with listening():
            pixels = upright(eight_bit(decode_raw(data, header), header), header)
        boxes = self._seen(pixels, known)
        if as_it_came:
            return data, upright_size(header), header.orientation == 1
        stored, width, height = self._resizer(pixels, boxes, data if _is_plain(header) else None)
        return stored, (width, height), True

    def _seen(self, pixels: Pixels, known: dict[str, Any]) -> list[Box]:
        """Looks at the picture, adds what is found, and gives the boxes to blur. Raises RefusedImage."""
        known["phash"] = phash(pixels)
        if self._lists is not None and (listed := self._lists.nearest(known["phash"])) is not None:
            far = hamming(listed, known["phash"])
            words = f"the picture is {far} bits from {listed:016x} on a list of refused ones"
            raise RefusedImage(ImageRefusal.LISTED, words)
        if not self._hooks:
            return []
        findings = self._hooks(pixels)
        known["findings"] = findings.rows
        if findings.unsafe:
            raise RefusedImage(ImageRefusal.UNSAFE, findings.unsafe)
        return findings.blur


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
    """Whether the file is what the Resizer would write, so that its bytes may be kept (skip_reencode)."""
    plain = header.mode in ("L", "RGB", "P") and header.bit_depth <= 8 and header.mime in _WRITTEN
    return plain and header.frames == 1 and header.orientation == 1
