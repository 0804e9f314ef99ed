"""Sentences with times, out of cues that begin and end anywhere in them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from curation.captions.timed_text.cues import UNSPACED, Cue, Word, is_unspaced

MAX_GAP_MS: Final = 2000
"""A silence that ends a sentence, whatever its text says; and the longest that a word of known begin lasts."""
MAX_WORDS: Final = 50
"""Of a sentence; one that goes on ends there, since speech recognition may write no full stops. Two characters of a
script without spaces count as a word.
"""
ABBREVIATIONS: Final = frozenset(
    [
        *("mr", "mrs", "ms", "dr", "prof", "st", "mt", "rev", "gen", "col", "sgt", "capt", "lt", "sen", "rep", "gov"),
        *("hon", "vs", "no", "nos", "vol", "fig", "figs", "eq", "sec", "approx", "dept", "e.g", "i.e", "cf", "viz"),
    ]
)
"""Before a full stop that ends no sentence."""

_END = re.compile("[.!?…。！？｡؟۔।॥]+[\"'”’»」』）)\\]]*").finditer
_FULL_WIDTH = re.compile("[。！？｡]").search
_UNIT = re.compile(f"[{UNSPACED}]{{1,2}}|[^\\s{UNSPACED}]+").finditer
_OPENING = "(\"'“‘«[¿¡"


class _Piece(NamedTuple):
    """A word of known begin, or all that a cue says, in the text of its run."""

    offset: int
    start_ms: int
    end_ms: int
    text: str
    is_word: bool


class _Run(NamedTuple):
    """What is said without a silence."""

    text: str
    pieces: list[_Piece]


def sentences(cues: Sequence[Cue]) -> list[Cue]:
    """Sentences in the order of the cues, which are cleaned ones.

    They end at . ! ? … 。 ！ ？ ؟ ۔ ।, but not after ABBREVIATIONS, initials and the number of a list, nor before a
    small letter in a text that has capitals; at MAX_GAP_MS and at MAX_WORDS. Times: of words where they are known,
    otherwise in proportion to the characters of the cue. words: where all of the sentence's times are known.
    """
    found: list[Cue] = []
    for run in _runs(cues):
        offsets = [piece.offset for piece in run.pieces]
        begin = 0
        for end in _ends(run.text):
            found.append(_sentence(run, offsets, begin, end))
            begin = end + run.text.startswith(" ", end)
    return found


def _runs(cues: Sequence[Cue]) -> Iterator[_Run]:
    texts: list[str] = []
    pieces: list[_Piece] = []
    offset = latest = 0
    for start, end, space, text, is_word in _parts(cues):
        if pieces and start > latest + MAX_GAP_MS:
            yield _Run("".join(texts), pieces)
            texts, pieces, offset = [], [], 0
        if pieces and space:
            texts.append(" ")
            offset += 1
        heard = start if is_word else end
        latest = max(heard, latest) if pieces else heard
        pieces.append(_Piece(offset, start, end, text, is_word))
        texts.append(text)
        offset += len(text)
    if pieces:
        yield _Run("".join(texts), pieces)


def _parts(cues: Sequence[Cue]) -> Iterator[tuple[int, int, bool, str, bool]]:
    """Start, end, whether a space stands before, text, whether that is a word of known begin."""
    last = " "
    for cue in cues:
        text = " ".join(cue.text.split())
        if not text:
            continue
        space = not (is_unspaced(last) and is_unspaced(text[0]))
        last = text[-1]
        if not cue.words:
            yield cue.start_ms, cue.end_ms, space, text, False
            continue
        ends = [word.start_ms for word in cue.words[1:]] + [cue.end_ms]
        place = 0
        for word, end in zip(cue.words, ends, strict=True):
            space = space if not place else text.startswith(" ", place)
            yield word.start_ms, min(end, word.start_ms + MAX_GAP_MS), space, word.text, True
            place += len(word.text) + (space and place > 0)


def _ends(text: str) -> Iterator[int]:
    """Where sentences end, in order, the text's end the last; none twice."""
    begin = 0
    has_capitals = text != text.lower()
    for found in _END(text):
        end = found.end()
        if end < len(text) and _is_end(text, begin, found, has_capitals):
            yield from _shortened(text, begin, end)
            begin = end + text.startswith(" ", end)
    if begin < len(text):
        yield from _shortened(text, begin, len(text))


def _is_end(text: str, begin: int, found: re.Match[str], has_capitals: bool) -> bool:
    marks, end = found[0], found.end()
    if _FULL_WIDTH(marks):
        return True
    if text[end] != " ":
        return False
    if has_capitals and text[end + 1].islower() and marks[0] in ".…":
        return False
    if marks != ".":
        return True
    start = text.rfind(" ", begin, found.start()) + 1 or begin
    word = text[start : found.start()].lstrip(_OPENING)
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    return not (is_initial or word.lower() in ABBREVIATIONS or (start == begin and word.isdigit()))


def _shortened(text: str, begin: int, end: int) -> Iterator[int]:
    """The end of a sentence, and those that one too long has before it."""
    if end - begin > MAX_WORDS:
        units = [unit.end() for unit in _UNIT(text, begin, end)]
        yield from units[MAX_WORDS - 1 : -1 : MAX_WORDS]
    yield end


def _sentence(run: _Run, offsets: list[int], begin: int, end: int) -> Cue:
    pieces = run.pieces[bisect_right(offsets, begin) - 1 : bisect_left(offsets, end)]
    words: list[Word] = []
    if all(piece.is_word for piece in pieces):
        for piece in pieces:
            part = piece.text[max(0, begin - piece.offset) : end - piece.offset]
            words.append(Word(_at(piece, max(begin, piece.offset)), part))
    start = _at(pieces[0], begin)
    stop = _at(pieces[-1], end)
    return Cue(start, max(stop, start + 1), run.text[begin:end], tuple(words))


def _at(piece: _Piece, offset: int) -> int:
    """The moment of a character of the run, milliseconds."""
    share = min(1.0, (offset - piece.offset) / len(piece.text))
    return round(piece.start_ms + share * (piece.end_ms - piece.start_ms))
