"""SubRip: numbers, a line of times, text to the next line of times. There is no standard; read as players do."""

from __future__ import annotations

import re

from curation.captions.timed_text.arrows import blocks_of
from curation.captions.timed_text.cues import Cue, Track

_TAG = re.compile(r"<[ ]{0,9}/?[ ]{0,9}[A-Za-z][^<>]*+>").sub
_OVERRIDE = re.compile(r"\{(?:\\|[A-Za-z]:)[^{}]*+\}").sub  # {\an8} of SubStation, {y:i} of MicroDVD
_TIME_LIKE = re.compile(r"[ \t]*+[-0-9]").match


def read_subrip(text: str) -> Track:
    """text: as lines_of gives it. An arrow between words is text, one after a digit is a time that cannot be read."""
    found: list[tuple[int, int, list[str]]] = []
    for start, end, before, line, body in blocks_of(text):
        if start >= 0:
            found.append((start, end, [body]))
        elif _TIME_LIKE(before):
            found.append((0, 0, [body]))
        elif found:
            found[-1][2].append(f"{before}-->{line}\n{body}")
    last = len(found) - 1
    cues = [
        Cue(start, end, plain_subrip(_body("".join(parts), number < last)))
        for number, (start, end, parts) in enumerate(found)
        if start < end
    ]
    return Track(cues, "srt", len(found) - len(cues))


def plain_subrip(text: str) -> str:
    """What the text of one cue says, without markup."""
    if "<" in text:
        text = _TAG("", text)
    if "{" in text:
        text = _OVERRIDE("", text)
    return text.strip()


def _body(body: str, is_followed: bool) -> str:
    """Without the last line if that is the number of the next cue: digits that stand right above its times, or alone
    between empty lines.
    """
    text = body.rstrip()
    cut = text.rfind("\n") + 1
    last = text[cut:].strip()
    if not (is_followed and last.isascii() and last.isdigit() and len(last) < 10):
        return text
    above = text[:cut]
    is_number = body.count("\n", len(text)) == 1 or above == "\n" or above.endswith("\n\n")
    return above if is_number else text
