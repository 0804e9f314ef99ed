"""Headers of the image formats that are trees: TIFF's directories and AVIF's boxes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from curation.media.image_facts import Header, orientation_of, undecodable

_MAX_PARTS = 1000  # directories, boxes
_SIZES = {1: 1, 3: 2, 4: 4}  # bytes, shorts and longs: all that the tags below may be
_TIFF_MODES = {0: "L", 1: "L", 2: "RGB", 3: "P", 6: "RGB"}  # PhotometricInterpretation; 5 is CMYK, 8 CIELab
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _FORMAT = 256, 257, 258, 262, 277, 339
_DATA = ((273, 279), (324, 325))  # offsets and byte counts of strips, of tiles
_TILE = (322, 323)
_HOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0}  # AVIF's boxes of boxes, and what precedes those

Tags: TypeAlias = "dict[int, np.ndarray]"


def _tags(data: bytes, order: str, at: int) -> tuple[Tags, int]:
    """Whole-number tags of one directory, and where the next one lies (0: nowhere)."""
    (count,) = struct.unpack_from(f"{order}H", data, at)
    tags: Tags = {}
    wanted = {_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _FORMAT, *_DATA[0], *_DATA[1], *_TILE}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length, place = struct.unpack_from(f"{order}HHII", data, entry)
        size = _SIZES.get(kind)
        if tag not in wanted or tag in tags or size is None or not length:
            continue
        begin = place if length * size > 4 else entry + 8
        if begin + length * size > len(data):
            raise struct.error
        tags[tag] = np.frombuffer(data, f"{order}u{size}", length, begin).astype(np.int64)
    (following,) = struct.unpack_from(f"{order}I", data, at + 2 + 12 * count)
    return tags, following


def _pages(data: bytes, order: str, at: int) -> int:
    """Directories of the chain that begins at `at`; a loop and a torn chain end it."""
    seen: set[int] = set()
    while at and at not in seen and len(seen) < _MAX_PARTS and at + 2 <= len(data):
        seen.add(at)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        end = at + 2 + 12 * count
        at = struct.unpack_from(f"{order}I", data, end)[0] if end + 4 <= len(data) else 0
    return len(seen)


def _first(tags: Tags, tag: int, default: int) -> int:
    return int(tags[tag][0]) if tag in tags else default


def read_tiff(data: bytes) -> Header:
    """Header of a TIFF's first page. Whole numbers of up to 16 bits, grey, RGB, YCbCr or palette; else undecodable."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    tags, _ = _tags(data, order, at)
    photometric, samples = _first(tags, _PHOTOMETRIC, 1), _first(tags, _SAMPLES, 1)
    bits = int(tags[_BITS].max()) if _BITS in tags else 1
    if photometric not in _TIFF_MODES or bits > 16 or _first(tags, _FORMAT, 1) != 1 or samples > 4:
        raise undecodable(f"a TIFF of photometric {photometric}, {samples} samples of {bits} bits")
    complete = any(offsets in tags for offsets, _ in _DATA)
    for offsets, counts in _DATA:
        if offsets in tags and counts in tags:
            parts = min(len(tags[offsets]), len(tags[counts]))
            complete &= bool((tags[offsets][:parts] + tags[counts][:parts] <= len(data)).all())
    mode = _TIFF_MODES[photometric] + ("A" if samples in (2, 4) else "")
    tile = _first(tags, _TILE[0], 0) * _first(tags, _TILE[1], 0)
    size = _first(tags, _WIDTH, 0), _first(tags, _HEIGHT, 0)
    return Header("image/tiff", *size, mode, bits, _pages(data, order, at), orientation_of(data), complete, True, tile)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, begin, end) of the boxes in a range; raises struct.error where one is longer than the file."""
    for _ in range(_MAX_PARTS):
        if at == end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        begin = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin)
            begin += 8
        stop = at + size if size else end
        if stop < begin:
            raise undecodable("an AVIF box of impossible size")
        if stop > end:
            raise struct.error
        yield kind, begin, stop
        at = stop


def read_avif(data: bytes) -> Header:
    """Header of an AVIF. The largest image property counts; mirrored and rotated ones (irot, imir) are undecodable."""
    size, depth, channels, has_data = (0, 0), 8, 3, False
    for path, here in _leaves(data):
        if path == b"ispe":
            size = max(size, struct.unpack_from(">II", data, here + 4), key=lambda s: s[0] * s[1])
        elif path == b"pixi":
            channels, depth = data[here + 4], data[here + 5]
        elif path in (b"irot", b"imir"):
            raise undecodable("an AVIF that is to be rotated or mirrored")
        has_data |= path in (b"mdat", b"idat")
    if not has_data:
        raise struct.error
    return Header("image/avif", *size, "RGB" if channels >= 3 else "L", depth)


def _leaves(data: bytes) -> Iterator[tuple[bytes, int]]:
    """(type, where its body begins) of all boxes but those that hold the ones of interest."""
    ranges = [(0, len(data))]
    while ranges:
        for kind, begin, end in _boxes(data, *ranges.pop()):
            if kind in _HOLDERS:
                ranges.append((begin + _HOLDERS[kind], end))
            else:
                yield kind, begin
