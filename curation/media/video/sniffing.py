"""What a fetched file is by its first bytes, and whether it ends before what its own header announces.

Reads headers of boxes and elements alone, never their contents: time is linear in their number, which is bounded.
Sources: ISO 14496-12 (MP4, QuickTime), RFC 8794 and RFC 9559 (Matroska, WebM), the AVI RIFF and OpenDML references.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from curation.media.image_headers import sniff
from curation.media.video.facts import RefusedVideo, VideoRefusal, check_deadline

HEAD = 1 << 16
"""Bytes at the beginning of a file by which it is judged."""

_MAX_PARTS = 1_000_000  # ten hours in fragments of a tenth of a second, which have two boxes each
_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"pnot", b"sidx", b"uuid"}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", 0x18538067
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,300})", re.IGNORECASE)
_HTML = re.compile(r"<(!doctype html|html|head|body|script|meta|title|div|p)\b", re.IGNORECASE)
_SEARCHED = 1000  # characters in which a page shows that it is HTML
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MAY_MOVE = ("image/gif", "image/png", "image/avif", "image/heic")
_OTHERS = {
    b"%PDF": "a PDF file", b"PK\x03\x04": "a zip archive", b"\x1f\x8b": "gzip-compressed data",
    b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive", b"\xfd7zXZ": "xz-compressed data",
    b"(\xb5/\xfd": "zstandard-compressed data",
}  # fmt: skip


def check_beginning(path: Path) -> None:
    """Raises RefusedVideo(NOT_A_VIDEO) for an empty file, a page or other text, a picture, an archive."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise _no_video("the file is empty")
    mime = sniff(head)
    if mime == "image/webp" and head[12:16] == b"VP8X" and head[20:21] > b"\0" and head[20] & 2:
        raise RefusedVideo(VideoRefusal.UNSUPPORTED, "an animated WebP: no decoder for it here")
    if mime and mime not in _MAY_MOVE:
        raise _no_video(f"a picture: {mime}")
    other = next((name for magic, name in _OTHERS.items() if head.startswith(magic)), None) or _text(head)
    if other is not None and not (other.startswith("a playlist") and is_playlist(path)):
        raise _no_video(other)


def is_playlist(path: Path) -> bool:
    """Whether a file may be read as an HLS playlist: only where its name says so, for one leads to other files."""
    return path.suffix.lower() == ".m3u8"


def _no_video(detail: str) -> RefusedVideo:
    return RefusedVideo(VideoRefusal.NOT_A_VIDEO, detail)


def _text(head: bytes) -> str | None:
    """What a file of text is, in words; None: it is no text."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    if _NO_TEXT.search(text) or text.count("\ufffd") > len(text) // 10:
        return None
    if text.startswith("#EXTM3U") or "<MPD" in text[:_SEARCHED]:
        return "a playlist, not a video"
    words = " ".join(text[:400].split())[:80]
    if _HTML.search(text[:_SEARCHED]):
        title = _TITLE.search(text)
        return f"an HTML page: {' '.join(title[1].split())[:80] if title else words}"
    if text.startswith(("{", "[")):
        return f"JSON: {words}"
    return f"{'XML' if text.startswith('<') else 'text'}: {words}"


def check_end(path: Path, deadline: float | None) -> None:
    """Raises RefusedVideo(TRUNCATED) where a file ends before what it announces (MP4, Matroska, AVI); CORRUPT where a
    fragment of an MP4 lacks the header that it belongs to.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        if head[4:8] in _BOXES:
            _check_boxes(file, size, deadline)
        elif head.startswith(_EBML):
            _check_elements(file, size, deadline)
        elif head[:4] == b"RIFF" and head[8:11] == b"AVI":
            _check_chunks(file, size)


def _cut(what: str, announced: int, size: int) -> RefusedVideo:
    return RefusedVideo(
        VideoRefusal.TRUNCATED, f"{what} announces {announced} bytes, but the file ends after {size} of them"
    )


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, begin, end) of the boxes of the outermost level, up to what is no box."""
    at = 0
    for _ in range(_MAX_PARTS):
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4]), header[4:8]
        if len(header) < 8 or not kind.isalnum():
            return
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:])
        elif length == 0:  # up to the end of the file
            length = size - at
        if length < 8:
            return
        yield kind, at, at + length
        at += length


def _check_boxes(file: BinaryIO, size: int, deadline: float | None) -> None:
    kinds = set()
    for kind, begin, end in _boxes(file, size):
        check_deadline(deadline, "reading the boxes")
        if end > size and kind in _BOXES:
            raise _cut(f"its box {kind.decode()}", end - begin, size - begin)
        kinds.add(kind)
    if b"moov" in kinds:
        return
    if b"moof" in kinds:
        raise RefusedVideo(VideoRefusal.CORRUPT, "fragments without the header (moov) that they belong to")
    if not kinds & {b"meta"}:  # an AVIF or HEIF picture has that instead
        raise RefusedVideo(VideoRefusal.TRUNCATED, "the file ends before its index: it has no box moov")


def _element(file: BinaryIO, at: int) -> tuple[int, int | None, int] | None:
    """(id, size or None for unknown, begin of the contents) of the EBML element at a place; None: there is none."""
    file.seek(at)
    header = file.read(12)
    if len(header) < 2 or not header[0]:
        return None
    id_length = 9 - header[0].bit_length()
    rest = header[id_length:]
    if id_length > 4 or not rest or not rest[0]:
        return None
    size_length = 9 - rest[0].bit_length()
    if len(rest) < size_length:
        return None
    size = int.from_bytes(rest[:size_length]) - (1 << 7 * size_length)
    unknown = size == (1 << 7 * size_length) - 1
    return int.from_bytes(header[:id_length]), None if unknown else size, at + id_length + size_length


def _check_elements(file: BinaryIO, size: int, deadline: float | None) -> None:
    at = 0
    for _ in range(_MAX_PARTS):
        check_deadline(deadline, "reading the elements")
        element = _element(file, at)
        if element is None:
            return
        name, length, begin = element
        if length is None and name != _SEGMENT:  # a live stream's cluster: its end is where the next one begins
            return
        if length is not None and begin + length > size:
            raise _cut("its segment" if name == _SEGMENT else f"its element {name:X}", length, size - begin)
        at = begin if length is None else begin + length


def _check_chunks(file: BinaryIO, size: int) -> None:
    at = 0
    for _ in range(_MAX_PARTS):
        file.seek(at)
        header = file.read(8)
        length = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):  # a recording that was never closed
            return
        if at + 8 + length > size:
            raise _cut("its RIFF chunk", length, size - at - 8)
        at += 8 + length + length % 2
