"""Which entries no text can ever hold, by the definition of a match."""

from __future__ import annotations

import re

from curation.concepts import pad
from curation.concepts.prepare import BLANKS, SPACED_MARKS
from curation.recipe import Definition

_TOUCHED = re.compile(f"[^ ][{re.escape(SPACED_MARKS)}]|[{re.escape(SPACED_MARKS)}][^ ]")
_CLOSE = re.compile(f"[{re.escape(SPACED_MARKS)}] [{re.escape(SPACED_MARKS)}]")


def never_matches(entry: str, definition: Definition) -> str | None:
    """Why no text can hold the entry, or None where some text does.

    Texts get a space on either side of each of , . ; : ? ! ` before they are searched, so a mark that touches another
    character, or stands one space from another mark (texts have two there), is never found; nor are tab, newline and
    carriage return, which become spaces. Exact: for every other entry a text exists.
    """
    searched = pad(entry, definition)
    blank = next((sign for sign in BLANKS if sign in searched), None)
    if blank is not None:
        return f"it holds {blank!r}, which becomes a space in every text"
    touched = _TOUCHED.search(searched)
    if touched is not None:
        mark = next(sign for sign in touched[0] if sign in SPACED_MARKS)
        return (f"it holds {mark!r} beside another character, but every text gets a space on either side of "
                f"{' '.join(SPACED_MARKS)} before it is searched")
    close = _CLOSE.search(searched)
    if close is not None:
        return f"it holds {close[0]!r}, but between two such marks every text has two spaces"
    return None
