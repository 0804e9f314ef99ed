"""The images behind the URLs of a generated web, drawn on the spot: the same URL, the same picture.

    data = draw("https://img.gardenpaths.example/pictures/en/dog/0012.jpg")  # the bytes of a JPEG

Colours and shapes are those of the concept, light and places those of the picture, the size is the site's. So copies of
a picture are the same bytes on sites of one size, and near copies on sites of another and under ?w=320.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import shake_128
from random import Random
from typing import Final
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import numpy.typing as npt

from curation.testing.facts import picture_of
from curation.testing.image_plans import INLINE_IMAGE

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

MIMES: Final = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
"""Content types by extension: the formats that are drawn."""

_ONE_PIXEL = base64.b64decode(INLINE_IMAGE.partition(",")[2])
_SPACERS = ("/assets/spacer.gif", "/p.gif")
_CANVAS = 640  # pixels of the longer side of a scene before it gets its size
_WIDTHS = (480, 640, 800, 1024)  # of the sites' pictures
_MAX_WIDTH = 1600  # of ?w=
_ASPECTS = ((4, 3), (3, 2), (16, 9), (1, 1), (3, 4))
_PATCHES = 12  # of light, per side: as fine as perceptual hashes look
_TURNED = 10  # one picture in so many is stored turned, as cameras do
_TURNS = {3: cv2.ROTATE_180, 6: cv2.ROTATE_90_COUNTERCLOCKWISE, 8: cv2.ROTATE_90_CLOCKWISE}  # EXIF: as stored


def extension(url: str) -> str | None:
    """The extension of a URL's path where it is one of MIMES, else None."""
    ending = urlsplit(url).path.rpartition(".")[2].lower()
    return ending if ending in MIMES else None


def draw(url: str) -> bytes:
    """The image file behind any URL, in the format of its extension (JPEG where that is none of MIMES).

    ?w= is the width in pixels, ?q= the quality of a JPEG. One JPEG in ten is stored turned, and its EXIF says so.
    """
    parts, ending = urlsplit(url), extension(url) or "jpg"
    host, path = (parts.hostname or "").removeprefix("img."), parts.path
    if path in _SPACERS:
        return _ONE_PIXEL
    if path.startswith("/avatars/"):
        return _file(_avatar(host + path), ending, 90)
    if path.startswith("/assets/"):
        return _file(_logo(host), ending, 90)
    shown = picture_of(url)
    concept, name = (shown.concept, shown.path) if shown else (host, host + path)
    query = parse_qs(parts.query)
    if width := min(_whole(query, "w"), _MAX_WIDTH):
        return _photo(concept, name, width, ending, min(_whole(query, "q"), 100) or 80)
    return _photo(concept, name, _WIDTHS[_seed(host)[0] % len(_WIDTHS)], ending, None)


def _whole(query: Mapping[str, Sequence[str]], name: str) -> int:
    value = query.get(name, ["0"])[0]
    return int(value[:9]) if value.isascii() and value.isdigit() else 0


def _seed(name: str, size: int = 2) -> bytes:
    return shake_128(name.encode()).digest(size)


@lru_cache(128)
def _photo(concept: str, name: str, width: int, ending: str, quality: int | None) -> bytes:
    """quality None: the original, as a camera stored it; else a variant that a server made of it."""
    drawn = scene(concept, name)
    height = max(1, round(drawn.shape[0] * width / drawn.shape[1]))
    way = cv2.INTER_AREA if width < drawn.shape[1] else cv2.INTER_CUBIC
    pixels = np.asarray(cv2.resize(drawn, (width, height), interpolation=way), np.uint8)
    dice = _seed(f"turned {name}")
    if quality is not None or ending != "jpg" or dice[0] % _TURNED:
        return _file(pixels, ending, quality or 90)
    orientation = tuple(_TURNS)[dice[1] % len(_TURNS)]
    data = _file(np.asarray(cv2.rotate(pixels, _TURNS[orientation]), np.uint8), ending, 90)
    return data[:2] + _exif(orientation) + data[2:]


def scene(concept: str, name: str) -> Pixels:
    """Patches of light in the concept's colours, and some of its shapes upon them."""
    habits, dice = Random(f"scene {concept}"), Random(f"picture {name}")
    wide, high = dice.choice(_ASPECTS)
    size = (_CANVAS * wide // max(wide, high), _CANVAS * high // max(wide, high))
    patches = np.frombuffer(_seed(f"light {name}", _PATCHES**2), np.uint8).reshape(_PATCHES, _PATCHES)
    light = cv2.resize(patches, size, interpolation=cv2.INTER_CUBIC)
    pixels = np.asarray(cv2.applyColorMap(light, _palette(habits)), np.uint8)
    corners, depth = habits.randrange(3, 9), habits.choice((0.45, 0.7, 1.0))
    colours = [_colour(habits) for _ in range(2)]
    for place in range(habits.randrange(2, 5)):
        centre = (dice.randrange(size[0]), dice.randrange(size[1]))
        radius = dice.randrange(min(size) // 8, min(size) // 4)
        cv2.fillPoly(pixels, [_star(centre, radius, corners, depth, dice.random())], colours[place % 2], cv2.LINE_AA)
    return pixels


def _palette(habits: Random) -> npt.NDArray[np.uint8]:
    """(256, 1, 3) BGR from dark to light: two of the concept's colours mixed into grey."""
    ramp = np.arange(256)[:, None]
    low, high = (np.array(_colour(habits)) for _ in range(2))
    mixed = (low * (255 - ramp) + high * ramp) // 255
    return (ramp * 3 // 5 + mixed * 2 // 5).astype(np.uint8)[:, None]


def _colour(habits: Random) -> Colour:
    return habits.randrange(256), habits.randrange(256), habits.randrange(256)


def _star(centre: tuple[int, int], radius: int, corners: int, depth: float, turn: float) -> npt.NDArray[np.int32]:
    """Corners in turn at the radius and at depth times it; depth 1 is a polygon."""
    points = []
    for number in range(2 * corners):
        length = radius * (depth if number % 2 else 1.0)
        angle = math.pi * (number / corners + 2 * turn)
        points.append((round(centre[0] + length * math.cos(angle)), round(centre[1] + length * math.sin(angle))))
    return np.array(points, np.int32)


def _avatar(name: str) -> Pixels:
    """A member's badge of coloured squares."""
    squares = np.frombuffer(_seed(f"avatar {name}", 3 * 8 * 8), np.uint8).reshape(8, 8, 3)
    return np.asarray(cv2.resize(squares, (96, 96), interpolation=cv2.INTER_NEAREST), np.uint8)


def _logo(host: str) -> Pixels:
    """A site's mark: bars of its colours behind its name, the rest transparent."""
    habits = Random(f"logo {host}")
    pixels = np.zeros((80, 240, 4), np.uint8)
    for left in range(0, 240, 24):
        top = habits.randrange(70)
        pixels[top : top + habits.randrange(10, 60), left : left + 24] = (*_colour(habits), 255)
    cv2.putText(pixels, host[:14], (4, 48), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (*_colour(habits), 255), 2)
    return pixels


def _file(pixels: Pixels, ending: str, quality: int) -> bytes:
    options = {"jpg": [cv2.IMWRITE_JPEG_QUALITY, quality], "webp": [cv2.IMWRITE_WEBP_QUALITY, quality]}
    return cv2.imencode(f".{ending}", pixels, options.get(ending, []))[1].tobytes()


def _exif(orientation: int) -> bytes:
    """An APP1 segment that holds the orientation (TIFF tag 0x0112, a SHORT) and nothing else."""
    tiff = b"MM\x00*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(tiff)) + b"Exif\x00\x00" + tiff
