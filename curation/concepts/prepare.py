"""MetaCLIP's definition of a match, in full: an entry matches a text when `pad(entry) in prepare(text)`.

`prepare` and `pad` are the oracle that every matcher is tested against, so they are written to be read.

v1 is the English list of the first paper: every entry is padded with a space on both sides, so it can only
match whole words. v2 is the worldwide recipe (English too): a side is padded only where the entry's outermost
character belongs to a script that writes no spaces, or is punctuation. Case is kept in both.

The definition has holes, kept on purpose because counts are to be comparable: an entry that holds one of the
seven marks right beside another character ("St. Louis") can never match, kana counts as a script with spaces,
and composed and decomposed accents differ. `MatchOptions` close them, each by its name.
"""

from __future__ import annotations

import itertools
import string
import unicodedata

from curation.concepts.options import PLAIN, MatchOptions
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

KANA_AND_HANGUL_RANGES = (
    (0x1100, 0x11FF),  # hangul jamo
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark and zero
    (0x3031, 0x3035),  # kana repeat marks
    (0x3040, 0x309F),  # hiragana
    (0x30A0, 0x30FF),  # katakana
    (0x3130, 0x318F),  # hangul compatibility jamo
    (0x31F0, 0x31FF),  # katakana phonetic extensions
    (0xA960, 0xA97F),  # hangul jamo extended A
    (0xAC00, 0xD7FF),  # hangul syllables, jamo extended B
    (0xFF65, 0xFFDC),  # halfwidth katakana and hangul
    (0x1AFF0, 0x1B16F),  # kana extended B, supplement, extended A, small kana
)
"""What the option no_space_kana adds to NO_SPACE_RANGES."""

NO_SPACE_MARKS = frozenset(string.punctuation + "，。、；：？！“”‘’（）【】《》〈〉「」『』～—")
"""ASCII punctuation and the 25 marks that v2 does not pad beside."""


_LONG_TEXT = 1000  # characters; the standard library orders accents in quadratic time, nothing to notice below that


def prepare(text: str, definition: Definition, options: MatchOptions = PLAIN) -> str:
    """The text as entries are searched in it: stripped (v2 only), a space at both ends, marks spaced, no blanks."""
    text = normalized(text, options)
    return _spaced(f" {text.strip() if definition == 'v2' else text} ")


def pad(entry: str, definition: Definition, options: MatchOptions = PLAIN) -> str:
    """The entry as it is searched for: with a space on each side, in v2 only beside characters that need one.

    The empty entry has no outermost character, so both definitions give it two spaces. The option spaced_entries
    spaces marks and blanks as in a text, but puts no space outside the entry's own ends: ".5" is ". 5", so that it
    is found wherever the text's words "." and "5" follow each other.
    """
    entry = normalized(entry, options)
    left = "" if definition == "v2" and entry and writes_no_space(entry[0], options) else " "
    right = "" if definition == "v2" and entry and writes_no_space(entry[-1], options) else " "
    if options.spaced_entries:
        spaced = _spaced(entry)
        begin = int(entry.startswith(tuple(SPACED_MARKS)))
        end = len(spaced) - int(entry.endswith(tuple(SPACED_MARKS)))
        entry = spaced[begin:end]
    return f"{left}{entry}{right}"


def writes_no_space(character: str, options: MatchOptions = PLAIN) -> bool:
    """Whether v2 leaves this one character unpadded: scripts without spaces, and punctuation."""
    if character in NO_SPACE_MARKS:
        return True
    code_point = ord(character)
    ranges = NO_SPACE_RANGES + (KANA_AND_HANGUL_RANGES if options.no_space_kana else ())
    return any(first <= code_point <= last for first, last in ranges)


def normalized(text: str, options: MatchOptions) -> str:
    """NFC, then case folding, then NFC again, as far as they are asked for (folding can undo composition)."""
    if options.nfc:
        text = _composed(text)
    if options.case_fold:
        text = text.casefold()
        if options.nfc:
            text = _composed(text)
    return text


def _spaced(text: str) -> str:
    for mark in SPACED_MARKS:
        text = text.replace(mark, f" {mark} ")
    for blank in BLANKS:
        text = text.replace(blank, " ")
    return text


def _composed(text: str) -> str:
    """Unicode NFC, in nearly linear time however many accents a hostile text heaps up."""
    if len(text) > _LONG_TEXT and not text.isascii():
        # Decomposed, with each run of accents in order, it is the same text by the standard, and quick to compose.
        text = text.translate({ord(character): unicodedata.normalize("NFD", character) for character in set(text)})
        runs = itertools.groupby(text, key=lambda character: unicodedata.combining(character) > 0)
        text = "".join("".join(sorted(run, key=unicodedata.combining) if accents else run) for accents, run in runs)
    return unicodedata.normalize("NFC", text)
