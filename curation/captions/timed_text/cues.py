"""What timed text is made of: cues, the words in them whose times are known, tracks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

LONGEST_MS: Final = 1_000_000 * 3_600_000
"""Times from here on, a million hours, are not read."""
UNSPACED: Final = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\uabff\uf900-\ufaff\ufe30-\ufe4f"
    "\uff01-\uffdc\U0001b000-\U0001b16f\U00020000-\U000323af"
)
"""For a class of a regular expression: characters of scripts whose words stand without spaces, and their marks."""

_UNSPACED_EDGE = re.compile(f"[{UNSPACED}]").match


class TimedTextError(ValueError):
    """A text is none of the formats that are read; one line that says so."""


class Word(NamedTuple):
    """A word, or of scripts without spaces what the recogniser took for one, and when it begins."""

    start_ms: int
    text: str


class Cue(NamedTuple):
    """A text that is shown from start_ms to end_ms, milliseconds, start_ms < end_ms.

    text: without markup; as read its lines are divided by \\n. words: where their times are told, all words of the text
    in order, so that both are the same but for white space; their times never fall and lie within the cue's.
    """

    start_ms: int
    end_ms: int
    text: str
    words: tuple[Word, ...] = ()


class Track(NamedTuple):
    """What was read. format: vtt, srt, ass, ttml, srv or json3. skipped: cues without readable times, or without any
    length, which are left out.
    """

    cues: list[Cue]
    format: str
    skipped: int


def is_unspaced(character: str) -> bool:
    """Whether words of the character's script stand without spaces."""
    return character >= "\u0e00" and _UNSPACED_EDGE(character) is not None


def timed_words(pieces: Iterable[tuple[int, str]], start_ms: int, end_ms: int) -> tuple[Word, ...]:
    """Words of a cue that comes in pieces, (moment from which on it is shown, text).

    A word that goes on in the next piece is one word that begins where it began, unless its script has no spaces.
    """
    words: list[Word] = []
    now, glued = start_ms, False
    for moment, text in pieces:
        if moment > now:
            now = min(moment, end_ms)
        tokens = text.split()
        if not tokens:
            glued = glued and not text
            continue
        if glued and not text[0].isspace() and not (is_unspaced(text[0]) or is_unspaced(words[-1].text[-1])):
            words[-1] = Word(words[-1].start_ms, words[-1].text + tokens.pop(0))
        for token in tokens:
            words.append(Word(now, token))
        glued = not text[-1].isspace()
    return tuple(words)
