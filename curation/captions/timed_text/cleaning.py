"""Timed text as plain speech: without markup, marks of speakers and sounds, and repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from itertools import pairwise

from curation.captions.timed_text.cues import Cue, Word
from curation.captions.timed_text.rolling import without_repeats

_SUSPECT = re.compile("[]\\[(（【♪♩♫♬&<>{:\0\u200b\u2060\ufeff‐‑–—-]").search
"""Where this finds nothing, only white space is to be cleaned."""
_SAID = re.compile(r"[^\W_]").search

_ANYWHERE = re.compile(
    r"</?[A-Za-z][^<>]{0,200}>|\{\\[^{}]{0,200}\}"  # markup that was escaped, or is no format's of this one
    "|[♪♩♫♬\u200b\u2060\ufeff]+"
    r"|\[[^][]{0,200}\]|【[^【】]{0,200}】"
    r"|(?<![^\s\0])>>+"
).sub
_DASH = re.compile("^[ \t\0]*[-‐‑–—](?=[\\s\0]|[^\\W\\d_]|[\"'“‘«¿¡(…])", re.M).sub
_BRACKET = re.compile("^[ \t\0]*[(（]([^()（）]{1,100})[)）]", re.M).sub
_CAPITALS = re.compile(r"\(([^()]{5,100})\)").sub
_NAME = re.compile("^[ \t\0]*([^\\W\\d_][^:\n!?,;]{1,39}):(?=[\\s\0]|$)", re.M).sub
_INK = re.compile(r"\S").sub
_LETTERS = re.compile(r"[^\W\d_]{2}").search
_FORMULA = re.compile(r"[\d=+*/^|\\<>]").search


def clean(cues: Sequence[Cue]) -> list[Cue]:
    """The cues ordered by start, each one line of speech; those that say nothing are left out.

    Taken out: repeats of roll-up captions (`without_repeats`); markup; ">>"; at the begin of a line a dash before a
    word, a NAME: in capitals of three words at most, and (letters in round brackets), which elsewhere have to be IN
    CAPITALS; [all in square brackets]; notes of music, but not the words sung. A cue whose words have times ends where
    the next cue begins.
    """
    shown = [cue for cue in cues if cue.text and not cue.text.isspace()]
    if any(before.start_ms > cue.start_ms for before, cue in pairwise(shown)):
        shown.sort(key=lambda cue: cue.start_ms)
    found: list[Cue] = []
    for cue in without_repeats(shown):
        if _SUSPECT(cue.text):
            cue = _unmarked(cue)  # noqa: PLW2901 - the same cue
        text = " ".join(cue.text.split())
        if _SAID(text):
            found.append(cue if text == cue.text else Cue(cue.start_ms, cue.end_ms, text, cue.words))
    return _apart(found)


def _apart(cues: list[Cue]) -> list[Cue]:
    """A recogniser's line stays on the screen while the next one is said."""
    for number, (cue, after) in enumerate(pairwise(cues)):
        if cue.words and cue.start_ms < after.start_ms < cue.end_ms:
            words = cue.words
            if words[-1].start_ms > after.start_ms:
                words = tuple(Word(min(word.start_ms, after.start_ms), word.text) for word in words)
            cues[number] = Cue(cue.start_ms, after.start_ms, cue.text, words)
    return cues


def _unmarked(cue: Cue) -> Cue:
    text, words = cue.text, cue.words
    if "&" in text:
        text = unescape(text)
        words = tuple(Word(word.start_ms, part) for word in words for part in unescape(word.text).split())
    text = _ANYWHERE(_blank, text)
    text = _DASH(_blank, text)
    text = _BRACKET(_blank_sound, text)
    text = _NAME(_blank_name, text)
    text = _BRACKET(_blank_sound, text)
    text = _CAPITALS(_blank_capitals, text)
    if words and "\0" in text:
        words = _kept(words, "".join(text.split()))
    return Cue(cue.start_ms, cue.end_ms, text.replace("\0", ""), words)


def _kept(words: tuple[Word, ...], compact: str) -> tuple[Word, ...]:
    """What of words is left. compact: their text in a row, NUL in place of what is not."""
    found: list[Word] = []
    place = 0
    for word in words:
        end = place + len(word.text)
        rest = compact[place:end].replace("\0", "")
        if rest:
            found.append(Word(word.start_ms, rest))
        place = end
    return tuple(found)


def _blank(found: re.Match[str]) -> str:
    """NUL for each of its characters: places of what stays do not change, nor do lines."""
    return _INK("\0", found[0])


def _blank_sound(found: re.Match[str]) -> str:
    return _blank(found) if _LETTERS(found[1]) and not _FORMULA(found[1]) else found[0]


def _blank_capitals(found: re.Match[str]) -> str:
    return _blank(found) if found[1].isupper() else found[0]


def _blank_name(found: re.Match[str]) -> str:
    return _blank(found) if found[1].isupper() and len(found[1].split()) <= 3 else found[0]
