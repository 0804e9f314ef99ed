"""The concepts: 200 glyphs of DejaVu Sans, named by Unicode, and their shapes.

The rule. All characters that DejaVu Sans draws and whose category is a letter, a number or a symbol (L, N, S), in the
order of the SHA-256 of their names. One is taken if no taken name is a part of its name by whole words, nor the other
way round; if no taken name has the same words in another order; and if its shape, drawn as large as fits, correlates
with every taken shape by less than 0.8. The first 200 are the vocabulary, in vocabulary.txt, in lower case.
"""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.effect.settings import CONCEPTS, FOLDER

Shape = npt.NDArray[np.float32]
VOCABULARY = FOLDER / "vocabulary.txt"
ALIKE = 0.8
"""Correlation from which two shapes count as one: accents and look-alikes of other scripts."""
_POINTS = 200  # drawn this large once, then scaled down


def names() -> list[str]:
    """The stored vocabulary: lower-case Unicode names."""
    return VOCABULARY.read_text(encoding="utf-8").split("\n")[:-1]


def font_path() -> Path:
    """DejaVu Sans as matplotlib ships it. Raises ImportError without matplotlib."""
    import matplotlib as mpl

    return Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def shape(character: str, side: int) -> Shape:
    """The glyph, (2 * side, 2 * side), ink 1 on 0, its larger side four thirds of `side`, in the middle."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(font_path()), _POINTS)
    large = Image.new("L", (4 * _POINTS, 4 * _POINTS))
    ImageDraw.Draw(large).text((2 * _POINTS, 2 * _POINTS), character, fill=255, font=font, anchor="mm")
    ink = np.asarray(large)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    canvas = np.zeros((2 * side, 2 * side), np.float32)
    if not len(rows):
        return canvas
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = side * 4 / 3 / max(ink.shape)
    size = [max(1, round(length * scale)) for length in ink.shape]
    small = cv2.resize(ink, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    top, left = ((2 * side - length) // 2 for length in size)
    canvas[top : top + size[0], left : left + size[1]] = small
    return canvas


def shapes(of: list[str], side: int) -> Shape:
    """`shape` of every named glyph: (names, 2 * side, 2 * side)."""
    return np.stack([shape(unicodedata.lookup(name.upper()), side) for name in of])


def choose(concepts: int = CONCEPTS) -> list[str]:
    """The rule above, applied to the installed font."""
    taken: list[str] = []
    normed: list[Shape] = []
    for name in _candidates():
        if any(_is_part(name, other) or _is_part(other, name) or _same_words(name, other) for other in taken):
            continue
        drawn = shape(unicodedata.lookup(name.upper()), 24).ravel()
        if not drawn.any():
            continue
        drawn = cv2.GaussianBlur(drawn.reshape(48, 48), (0, 0), 2).ravel()
        drawn = (drawn - drawn.mean()) / np.linalg.norm(drawn - drawn.mean())
        if normed and (np.stack(normed) @ drawn).max() >= ALIKE:
            continue
        taken.append(name)
        normed.append(drawn)
        if len(taken) == concepts:
            return taken
    raise ValueError(f"the font has {len(taken)} glyphs by the rule, {concepts} are asked for")


def _candidates() -> list[str]:
    from matplotlib.ft2font import FT2Font

    drawn = (chr(code) for code in FT2Font(str(font_path())).get_charmap())
    fitting = (character for character in drawn if unicodedata.category(character)[0] in "LNS")
    named = [unicodedata.name(character, "").lower() for character in fitting]
    return sorted(filter(None, named), key=lambda name: hashlib.sha256(name.encode()).digest())


def _is_part(name: str, other: str) -> bool:
    return f" {name} " in f" {other} "


def _same_words(name: str, other: str) -> bool:
    return sorted(name.split()) == sorted(other.split())
