"""MetaCLIP's definition of a match, in full: an entry matches a text when `pad(entry) in prepare(text)`.

These two functions are the oracle that every matcher is tested against, so they are written to be read.

v1 is the English list of the first paper: every entry is padded with a space on both sides, so it can only
match whole words. v2 is the worldwide recipe (English too): a side is padded only where the entry's outermost
character belongs to a script that writes no spaces, or is punctuation. Case is kept in both.

The definition has holes, kept on purpose because counts are to be comparable: an entry that holds one of the
seven marks right beside another character ("St. Louis") can never match, kana counts as a script with spaces,
and composed and decomposed accents differ.
"""

from __future__ import annotations

import string

from curation.recipe import Definition

SPACED_MARKS = ",.;:?!`"
"""The seven marks that get a space on either side in a text."""

BLANKS = "\t\n\r"
"""Characters of a text that become one space each."""

WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What v2 strips off both ends of a text: everything `str.strip()` calls white space."""

NO_SPACE_RANGES = (
    (0x0E00, 0x0E7F),  # Thai
    (0x0E80, 0x0EFF),  # Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2EFF),  # CJK radicals
    (0x2F00, 0x2FDF),  # Kangxi radicals
    (0x2FF0, 0x2FFF),  # ideographic description characters
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK unified ideographs
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0x20000, 0x2A6DF),  # CJK extension B
    (0x2A700, 0x2B73F),  # CJK extension C
    (0x2B740, 0x2B81F),  # CJK extension D
    (0x2B820, 0x2CEAF),  # CJK extension E
    (0x2CEB0, 0x2EBEF),  # CJK extension F
)
"""First and last code point of each script that v2 does not pad beside (kana and hangul are not among them)."""

NO_SPACE_MARKS = frozenset(string.punctuation + "，。、；：？！“”‘’（）【】《》〈〉「」『』～—")
"""ASCII punctuation and the 25 marks that v2 does not pad beside."""


def prepare(text: str, definition: Definition) -> str:
    """The text as entries are searched in it: stripped (v2 only), a space at both ends, marks spaced, no blanks."""
    prepared = f" {text.strip() if definition == 'v2' else text} "
    for mark in SPACED_MARKS:
        prepared = prepared.replace(mark, f" {mark} ")
    for blank in BLANKS:
        prepared = prepared.replace(blank, " ")
    return prepared


def pad(entry: str, definition: Definition) -> str:
    """The entry as it is searched for: with a space on each side, in v2 only beside characters that need one.

    The empty entry has no outermost character, so both definitions give it two spaces.
    """
    if definition == "v1":
        return f" {entry} "
    left = "" if entry and writes_no_space(entry[0]) else " "
    right = "" if entry and writes_no_space(entry[-1]) else " "
    return f"{left}{entry}{right}"


def writes_no_space(character: str) -> bool:
    """Whether v2 leaves this one character unpadded: scripts without spaces, and punctuation."""
    if character in NO_SPACE_MARKS:
        return True
    code_point = ord(character)
    return any(first <= code_point <= last for first, last in NO_SPACE_RANGES)
