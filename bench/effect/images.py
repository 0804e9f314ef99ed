"""Images of glyphs with noise, made of (seed, row) whenever they are asked for: nothing is stored or fetched."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from bench.effect.glyphs import Shape

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
CHUNK = 4096
"""Rows that share a generator; part of the definition of an image."""
_SIZES = (0.5, 0.8)
"""Of the glyph's larger side, as a share of the image's."""
_TURN_DEGREES = 15.0
_CONTRAST = (0.3, 1.0)


def render(shapes: Shape, concepts: npt.ArrayLike, key: tuple[int, ...], noise: float) -> Images:
    """(rows, px, px) of uint8: image i shows concepts[i], and depends on `key`, i and nothing else.

    shapes: (concepts, 2 * px, 2 * px), glyphs of four thirds of px. noise: largest deviation of pixels, of 1.
    """
    shown = np.asarray(concepts, np.int64)
    px = shapes.shape[1] // 2
    images = np.empty((len(shown), px, px), np.uint8)
    for start in range(0, len(shown), CHUNK):
        part = slice(start, min(start + CHUNK, len(shown)))
        draws = np.random.Generator(np.random.Philox(np.random.SeedSequence([*key, start])))
        ink = _drawn(shapes, shown[part], draws, px)
        images[part] = _noisy(ink, draws, noise)
    return images


def _drawn(shapes: Shape, concepts: npt.NDArray[np.int64], draws: np.random.Generator, px: int) -> Floats:
    """Ink of each glyph, 0 to 1, turned, scaled and moved such that it stays inside (but for corners)."""
    rolls = draws.random((CHUNK, 4))
    size = (_SIZES[0] + (_SIZES[1] - _SIZES[0]) * rolls[:, 0]) * px
    turn = np.deg2rad(_TURN_DEGREES) * (2 * rolls[:, 1] - 1)
    middle = px / 2 + (px - size)[:, None] / 2 * (2 * rolls[:, 2:] - 1)
    scale = size / (px * 4 / 3)
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    ink = np.empty((len(concepts), px, px), np.float32)
    for row, concept in enumerate(concepts.tolist()):
        c, s, (x, y) = cosine[row], sine[row], middle[row]
        matrix = np.array([[c, -s, x - px * (c - s)], [s, c, y - px * (s + c)]])
        ink[row] = cv2.warpAffine(shapes[concept], matrix, (px, px), flags=cv2.INTER_LINEAR)
    return ink


def _noisy(ink: Floats, draws: np.random.Generator, noise: float) -> Images:
    """Ink on paper of any brightness, dark on light or light on dark, with pixel noise."""
    rows = len(ink)
    rolls = draws.random((CHUNK, 4), dtype=np.float32)[:rows]
    contrast = _CONTRAST[0] + (_CONTRAST[1] - _CONTRAST[0]) * rolls[:, 0]
    low = (1 - contrast) * rolls[:, 1]
    inked = np.where((rolls[:, 2] < 0.5)[:, None, None], ink, 1 - ink)
    image = low[:, None, None] + contrast[:, None, None] * inked
    grain = draws.standard_normal((CHUNK, *ink.shape[1:]), dtype=np.float32)[:rows]
    image += noise * rolls[:, 3][:, None, None] * grain
    return np.asarray((image * 255).clip(0, 255), np.uint8)
