"""Languages of timed texts: as the recipe would name them, and which of them it wants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from curation.media.video.info import UNKNOWN

_TAG = re.compile(r"([A-Za-z]{2,8})((?:[-_][A-Za-z0-9]{1,8}){0,6})").fullmatch
_BIBLIOGRAPHIC: Final = {
    "alb": "sq", "arm": "hy", "baq": "eu", "bur": "my", "chi": "zh", "cze": "cs", "dut": "nl", "fre": "fr",
    "geo": "ka", "ger": "de", "gre": "el", "ice": "is", "mac": "mk", "mao": "mi", "may": "ms", "per": "fa",
    "rum": "ro", "slo": "sk", "tib": "bo", "wel": "cy",
}  # fmt: skip
"""ISO 639-2's second codes, which files in Matroska have."""


def language_of(said: str | None) -> str:
    """A language as the recipe would name it, en-US for eng_US; UNKNOWN for what is no language tag."""
    found = _TAG(said.strip()) if said and len(said) <= 100 else None
    if found is None:
        return UNKNOWN
    return _shortest(found[1].lower()) + found[2].replace("_", "-")


def is_language(language: str, wanted: str) -> bool:
    """Whether a text in a language is in the wanted one: en-US, EN_us and eng are en; en is not en-US."""
    return _folded(language).startswith(_folded(wanted))


def place_of(language: str, languages: Sequence[str]) -> int | None:
    """Of a language in a list; UNKNOWN comes behind all that are in it. None: it is not wanted."""
    if language == UNKNOWN:
        return len(languages) if languages else None
    return next((place for place, one in enumerate(languages) if is_language(language, one)), None)


def _folded(tag: str) -> str:
    primary, hyphen, rest = tag.lower().replace("_", "-").partition("-")
    return f"{_shortest(primary)}{hyphen}{rest}-"


def _shortest(primary: str) -> str:
    """ISO 639-1's code where there is one."""
    if len(primary) != 3:
        return primary
    from yt_dlp.utils import ISO639Utils  # a list of sites comes with it: only for codes of three letters

    return _BIBLIOGRAPHIC.get(primary) or ISO639Utils.long2short(primary) or primary
