"""Roll-up captions: what each cue repeats of the one before is taken out.

Recognisers and live captions show a line again above the next one, and write a line word by word: as WebVTT, YouTube's
automatic captions say everything three times.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from curation.captions.timed_text.cues import Cue, Word, is_unspaced

MAX_ROWS: Final = 15
"""Lines that a screen has (CEA-608; its roll-up takes 2 to 4 of them)."""
ROLL_GAP_MS: Final = 100
"""Between two cues of one roll, or for both, at most: each takes the place of the one before, but for rounding."""
SHORT_MS: Final = 50
"""Of a cue that only holds a finished line, at most; YouTube's last 10."""
ROLL_SHARE: Final = 0.5
"""Of the pairs of cues that follow each other at once, those that have to repeat something for a track to be a roll."""


def without_repeats(cues: Sequence[Cue]) -> list[Cue]:
    """Every word once, where it came first; the cues as they are where the track does not roll. cues: ordered by start,
    none empty.

    The same words in two cues of a length to be read were said twice, unless the rest of the track rolls.
    """
    carried = [0]
    adjoining = evidence = 0
    for before, cue in pairwise(cues):
        size = 0
        if abs(cue.start_ms - before.end_ms) <= ROLL_GAP_MS:
            adjoining += 1
            if before.text[before.text.rfind("\n") + 1 :] in cue.text:
                size = _carried(before.text, cue.text)
                evidence += size > 0 and (cue.text != before.text or cue.end_ms - cue.start_ms <= SHORT_MS)
        carried.append(size)
    if not evidence or evidence < ROLL_SHARE * adjoining:
        return list(cues)
    return [_rest(cue, size) if size else cue for cue, size in zip(cues, carried, strict=True) if size < len(cue.text)]


def _carried(before: str, text: str) -> int:
    """How many characters of a text were there in the one before: its first lines, that one's last; or all of it."""
    if text.startswith(before):
        rest = text[len(before) :]
        if not rest or rest[0].isspace() or is_unspaced(rest[0]):
            return len(before)
    above = [line.strip() for line in before.rsplit("\n", MAX_ROWS)[-MAX_ROWS:]]
    lines = text.split("\n", MAX_ROWS)[:MAX_ROWS]
    below = [line.strip() for line in lines]
    for rows in range(min(len(above), len(below)), 0, -1):
        if above[-rows:] == below[:rows]:
            return min(len(text), sum(len(line) + 1 for line in lines[:rows]))
    return 0


def _rest(cue: Cue, size: int) -> Cue:
    """What a cue says after its first characters."""
    words = cue.words
    if words:
        skipped, number = len("".join(cue.text[:size].split())), 0
        while number < len(words) and skipped >= len(words[number].text):
            skipped -= len(words[number].text)
            number += 1
        words = words[number:]
        if skipped and words:
            words = (Word(words[0].start_ms, words[0].text[skipped:]), *words[1:])
    return Cue(cue.start_ms, cue.end_ms, cue.text[size:].strip(), words)
