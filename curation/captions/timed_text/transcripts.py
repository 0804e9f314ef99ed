"""Transcripts with times of words as TVTS has them (Zeng et al. 2023): times for corrected words, and segments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from curation.captions.timed_text.cues import Word

SEGMENTS: Final = 4
"""Of a sample, one after the other."""
SEGMENT_MS: Final = (3000, 5000)
"""Length of each segment of a sample, drawn once, evenly between these."""
SEGMENT_GAP_MS: Final = 1000
MIN_CHARACTERS: Final = 10
"""Of a segment's text."""
BAND: Final = 300
"""Words by which two transcripts may drift apart, besides the difference of their lengths; so far warping is exact."""
MAX_CELLS: Final = 1 << 27
"""Bytes for the ways of a warping; the band of longer transcripts is narrower."""

_NO_LETTERS = re.compile(r"[\W_]+").sub
_FAR: Final = 1 << 40
_DIAGONAL, _NEXT_WORD, _SAME_WORD = 0, 1, 2


class Segment(NamedTuple):
    """A part of a video and what is said in it."""

    start_ms: int
    end_ms: int
    text: str


def plain_tokens(words: Iterable[Word]) -> list[Word]:
    """Without what is left of HTML references: words that begin with & or end with a semicolon."""
    return [word for word in words if not word.text.startswith("&") and not word.text.endswith(";")]


def align_words(raw: Sequence[Word], corrected: Sequence[str]) -> list[Word]:
    """Times for corrected words, by dynamic time warping to the words that were recognised.

    Words cost nothing where they are the same but for case and punctuation, otherwise 1. Of several recognised words
    for one the same counts, or else the first. raw: times never fall. Empty where raw is.
    """
    if not raw or not corrected:
        return []
    numbers: dict[str, int] = {}
    left, right = (
        np.array([numbers.setdefault(_folded(text), len(numbers)) for text in texts], np.int64)
        for texts in (corrected, [word.text for word in raw])
    )
    places = _warped(left, right)
    return [Word(raw[place].start_ms, text) for place, text in zip(places, corrected, strict=True)]


def sample_segments(words: Sequence[Word], duration_ms: int, seed: int | str) -> tuple[Segment, ...] | None:
    """SEGMENTS of one length with gaps between them, drawn evenly from a video by a hash of the seed, the same always.

    A segment says the words that begin strictly inside of it. None: the video is too short, or a text is shorter than
    MIN_CHARACTERS. seed: of one draw; a video's id belongs into it.
    """
    one, two = (_even(f"{seed}:{name}") for name in ("length", "start"))
    length = round(SEGMENT_MS[0] + one * (SEGMENT_MS[1] - SEGMENT_MS[0]))
    step = length + SEGMENT_GAP_MS
    free = duration_ms - SEGMENTS * step + SEGMENT_GAP_MS
    if free < 0:
        return None
    first = int(two * (free + 1))
    found: list[Segment] = []
    for start in range(first, first + SEGMENTS * step, step):
        text = " ".join(word.text for word in words if start < word.start_ms < start + length)
        if len(text) < MIN_CHARACTERS:
            return None
        found.append(Segment(start, start + length, text))
    return tuple(found)


def _even(name: str) -> float:
    """Evenly distributed in [0, 1), 53 bits."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, person=b"tvts").digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53


def _folded(text: str) -> str:
    return _NO_LETTERS("", text).casefold() or text


def _warped(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> list[int]:
    """For each number on the left its place on the right: the first of those warped to it that is equal, or the first.

    Of ways of one cost the one that goes on in both.
    """
    rows, columns = len(left), len(right)
    slope = columns // rows + 1
    half = max(slope, min(BAND + abs(rows - columns), MAX_CELLS // (2 * rows)))
    width = min(columns, 2 * half + 1)
    lows = [min(max(row * columns // rows - half, 0), columns - width) for row in range(rows)]
    ways = np.empty((rows, width), np.uint8)
    before = np.full(width, _FAR)  # what it costs to come to each place of the band, in the row above
    low = lows[0]
    for row in range(rows):
        shift, low = lows[row] - low, lows[row]
        padded = np.concatenate(([_FAR], before, np.full(shift, _FAR)))
        costs = (right[low : low + width] != left[row]).astype(np.int64)
        diagonal, above = padded[shift : shift + width], padded[shift + 1 : shift + 1 + width]
        if row == 0:
            diagonal = diagonal.copy()
            diagonal[0] = 0
        entered = np.minimum(diagonal, above)
        sums = np.cumsum(costs)
        before = np.minimum.accumulate(entered + costs - sums) + sums
        ways[row] = np.where(diagonal <= above, _DIAGONAL, _SAME_WORD)
        ways[row, 1:][before[:-1] < entered[1:]] = _NEXT_WORD
    return _traced(ways, lows, left, right)


def _traced(
    ways: npt.NDArray[np.uint8], lows: list[int], left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> list[int]:
    row, place = len(left) - 1, len(right) - 1
    found = [0] * len(left)
    is_same = False
    while row >= 0:
        same = bool(left[row] == right[place])
        if same or not is_same:  # from the last to the first: the first that is the same stays
            found[row] = place
        is_same |= same
        way = ways[row, place - lows[row]]
        place -= way != _SAME_WORD
        if way != _NEXT_WORD:
            row, is_same = row - 1, False
    return found
