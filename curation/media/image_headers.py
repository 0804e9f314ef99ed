"""What the header of an image file says, read before any decoder sees the file.

A decoder allocates what a header asks for, so the size in pixels is judged here, and here it is seen whether a file
ends too early. Sources: ITU T.81 (JPEG), PNG 3rd edition, GIF89a, RFC 9649 (WebP), BITMAPINFOHEADER, TIFF 6.0 and
ISO 23008-12 (AVIF). Time is linear in the length of the file, whatever it holds.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from curation.media.image_boxes import read_avif, read_tiff
from curation.media.image_facts import Header, ImageRefusal, RefusedImage, orientation_of, undecodable

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # restart markers and stuffed zeros belong to the scan
_MAX_SCANS = 100  # encoders write about ten; each costs the decoder a pass over the whole picture
_MAX_PARTS = 20_000  # segments, chunks, blocks: libpng's 8 KiB chunks reach it at 160 MB
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = {0x01, 0xD8, *range(0xD0, 0xD8)}  # markers without a length
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}


def sniff(data: bytes) -> str:
    """Media type by content; empty for what is no raster image (SVG is none)."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        brands = data[8 : min(8 + 64, int.from_bytes(data[:4]))]
        if b"avif" in brands or b"avis" in brands:
            return "image/avif"
        return "image/heic" if any(brand in brands for brand in (b"heic", b"heix", b"mif1", b"msf1")) else ""
    if data[:2] == b"BM":  # two letters are little: any text may begin so
        return "image/bmp" if data[14:18] in _BMP_HEADERS else ""
    return next((mime for magic, mime in _MAGIC if data.startswith(magic)), "")


def read_header(data: bytes) -> Header:
    """The header of a file. Raises RefusedImage: not_an_image, truncated (within the header) or undecodable."""
    mime = sniff(data)
    if not mime:
        raise RefusedImage(ImageRefusal.NOT_AN_IMAGE, "no image format begins like this")
    parse = _PARSERS.get(mime)
    if parse is None:
        raise RefusedImage(ImageRefusal.UNDECODABLE, f"{mime} is not supported")
    try:
        return parse(data)
    except (IndexError, struct.error):
        raise RefusedImage(ImageRefusal.TRUNCATED, "the file ends within its header") from None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, begin, end) of the segments up to the end of the image; ends early where the file does."""
    at, scans, after = 2, 0, _MARKER
    for _ in range(_MAX_PARTS):
        found = after.search(data, at)
        if found is None:
            return
        marker, begin = data[found.start() + 1], found.end()
        at, after = begin, _MARKER
        if marker == _EOI:
            yield marker, begin, begin
            return
        if marker in _BARE:
            continue
        if begin + 2 > len(data):
            return
        at = begin + int.from_bytes(data[begin : begin + 2])
        if at < begin + 2:
            raise undecodable("a JPEG segment without a length")
        yield marker, begin + 2, at
        if marker == _SOS:
            scans, after = scans + 1, _AFTER_SCAN
        if scans > _MAX_SCANS:
            raise undecodable(f"more than {_MAX_SCANS} scans")
    raise undecodable(f"more than {_MAX_PARTS} segments")


def _jpeg(data: bytes) -> Header:
    frame: tuple[int, int, int, int] | None = None
    exif, complete = b"", False
    for marker, begin, end in _jpeg_segments(data):
        if marker in _FRAMES and frame is None:
            frame = struct.unpack_from(">BHHB", data, begin)
        elif marker == _APP1 and not exif and data[begin : begin + 6] == b"Exif\0\0":
            exif = data[begin + 6 : end]
        complete = marker == _EOI
    if frame is None:
        raise undecodable("a JPEG without a frame") if complete else struct.error
    precision, height, width, components = frame
    if components not in _JPEG_MODES:
        raise undecodable(f"a JPEG of {components} components")
    mode = _JPEG_MODES[components]
    return Header("image/jpeg", width, height, mode, precision, 1, orientation_of(exif), complete, bool(exif))


def _png(data: bytes) -> Header:
    length, kind, width, height, depth, colour = struct.unpack_from(">I4sIIBB", data, 8)
    if kind != b"IHDR" or length != 13 or colour not in _PNG_MODES:
        raise undecodable("a PNG without a sound IHDR")
    at, frames, transparent, exif = 33, 1, "", b""
    for _ in range(_MAX_PARTS):
        kind, body = data[at + 4 : at + 8], at + 8
        at = body + int.from_bytes(data[at : at + 4]) + 4
        if kind == b"IEND" or at > len(data):
            break
        if kind == b"IHDR":
            raise undecodable("a PNG with two IHDR")
        if kind == b"acTL":
            frames = max(1, int.from_bytes(data[body : body + 4]))
        elif kind == b"tRNS":
            transparent = "A"
        elif kind == b"eXIf":
            exif = data[body : at - 4]
    else:
        raise undecodable(f"more than {_MAX_PARTS} chunks")
    mode = _PNG_MODES[colour] + transparent
    whole = kind == b"IEND" and at <= len(data)
    return Header("image/png", width, height, mode, depth, frames, orientation_of(exif), whole, bool(exif))


def _gif_blocks(data: bytes, at: int) -> int:
    """Where a chain of sub-blocks ends; IndexError where the file ends first."""
    while data[at]:
        at += data[at] + 1
    return at + 1


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    frames, pixels, complete = 0, 0, True
    try:
        while frames < _MAX_PARTS and data[at] != 0x3B:
            if data[at] == 0x21:
                at = _gif_blocks(data, at + 2)
            elif data[at] == 0x2C:
                _, _, across, down, flags = struct.unpack_from("<HHHHB", data, at + 1)
                pixels = max(pixels, across * down)
                frames += 1
                at = _gif_blocks(data, at + 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0))
            else:
                break
    except (IndexError, struct.error):
        complete = False  # the decoder looks through all pictures before it gives the first
    if complete and not frames:
        raise undecodable("a GIF without a picture")
    return Header("image/gif", width, height, "P", 8, max(1, frames), complete=complete, pixels=pixels)


def _webp_frame(kind: bytes, body: bytes) -> tuple[int, int, bool]:
    """Width, height and whether it may hold alpha, of a chunk that says so."""
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1, bool(body[0] & 0x10)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF, False


def _webp(data: bytes) -> Header:
    end = 8 + int.from_bytes(data[4:8], "little")
    at, frames, exif, width, height, alpha = 12, 0, b"", 0, 0, False
    for _ in range(_MAX_PARTS):
        if at + 8 > min(end, len(data)):
            break
        kind, size = struct.unpack_from("<4sI", data, at)
        if kind in (b"VP8X", b"VP8 ", b"VP8L"):
            across, down, clear = _webp_frame(kind, data[at + 8 : at + 18])
            width, height, alpha = max(width, across), max(height, down), alpha or clear
        elif kind == b"EXIF":
            exif = data[at + 8 : at + 8 + size].removeprefix(b"Exif\0\0")
        frames += kind == b"ANMF"
        at += 8 + size + size % 2
    else:
        raise undecodable(f"more than {_MAX_PARTS} chunks")
    if not width:
        raise undecodable("a WebP without a picture") if end <= len(data) else struct.error
    mode = "RGBA" if alpha else "RGB"
    whole = end <= len(data) + 1  # some writers leave out the last byte of padding
    return Header("image/webp", width, height, mode, 8, max(1, frames), orientation_of(exif), whole, bool(exif))


def _bmp(data: bytes) -> Header:
    offset, size = struct.unpack_from("<I I", data, 10)
    packing = 0
    if size == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, depth, packing = struct.unpack_from("<iiHHI", data, 18)
    rows = offset + (width * depth + 31) // 32 * 4 * abs(height)
    mode = "P" if depth <= 8 else "RGBA" if depth == 32 else "RGB"
    return Header("image/bmp", width, abs(height), mode, 8, complete=packing not in (0, 3) or rows <= len(data))


_BMP_HEADERS = {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\0\0\0\x0cjP  ", "image/jp2"),
    (b"\0\0\0\x0cJXL ", "image/jxl"),
    (b"\xff\x0a", "image/jxl"),
    (b"\0\0\x01\0", "image/x-icon"),
)
_PARSERS: dict[str, Callable[[bytes], Header]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/bmp": _bmp,
    "image/tiff": read_tiff,
    "image/avif": read_avif,
}
