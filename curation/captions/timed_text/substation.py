"""SubStation Alpha, .ssa and .ass: the lines of dialogue in its [Events]."""

from __future__ import annotations

import re
from typing import Final

from curation.captions.timed_text.arrows import time_ms
from curation.captions.timed_text.cues import Cue, Track

_FIELDS: Final = ["layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text"]
_OVERRIDE = re.compile(r"\{([^}]*+)\}").split
_DRAWING = re.compile(r"\\p([0-9])").findall  # vectors stand for text from \p1 to \p0


def read_substation(text: str) -> Track:
    """text: as lines_of gives it. Lines of comment are no cues."""
    cues: list[Cue] = []
    skipped = 0
    fields, is_events = _FIELDS, False
    for line in text.split("\n"):
        kind, _, rest = line.partition(":")
        if line.startswith("["):
            is_events = line.strip().lower() == "[events]"
        elif is_events and kind == "Format":
            fields = [name.strip().lower() for name in rest.split(",")]
        elif is_events and kind == "Dialogue":
            values = dict(zip(fields, rest.split(",", len(fields) - 1), strict=False))
            start, end = (time_ms(values.get(name, "").strip()) for name in ("start", "end"))
            if 0 <= start < end:
                cues.append(Cue(start, end, dialogue(values.get("text", ""))))
            else:
                skipped += 1
    return Track(cues, "ass", skipped)


def dialogue(text: str) -> str:
    """What a line of dialogue says, without overrides and drawings."""
    if "{" in text:
        closed = text.rfind("}") + 1
        said, is_drawn = "", False
        pieces = _OVERRIDE(text[:closed])
        pieces[-1] += text[closed:]
        for override, piece in zip(["", *pieces[1::2]], pieces[::2], strict=True):
            is_drawn = ([is_drawn] + [scale != "0" for scale in _DRAWING(override)])[-1]
            said += "" if is_drawn else piece
        text = said
    if "\\" in text:
        text = text.replace(r"\N", "\n").replace(r"\n", "\n").replace(r"\h", " ")
    return text.strip()
