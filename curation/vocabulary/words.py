"""Words of a text in runs: neighbours in a run have nothing but blanks between them.

Most languages write words apart: a word is letters, marks and digits of any script, with single apostrophes or hyphens
inside. Chinese and Japanese, Thai, Lao, Khmer and Burmese write no blanks: ICU's dictionaries cut them (extra
`segment`). Tibetan and Dzongkha part syllables by a tsheg, and words cannot be told from them without a model: a word
is a syllable there. Not cut by a dictionary, as their Wikipedias write blanks: Hakka, Min Nan and Min Dong (Latin
script), Shan, Mon, Karen and Pa'O (Burmese script, which ICU's dictionary of Burmese does not fit).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import regex

from curation.errors import VocabularyError

MAX_WORD_CHARS = 256
"""A longer one is no word and ends a run; MetaCLIP drops entries above 256 characters."""
TSHEG = "\u0f0b"

_ICU_LOCALES = {
    **dict.fromkeys(("zh", "cmn", "zh-classical", "lzh", "wuu", "yue", "zh-yue", "gan", "hsn", "cjy"), "zh"),
    **dict.fromkeys(("ja", "ryu", "ojp"), "ja"),
    **{lang: lang for lang in ("th", "lo", "km", "my")},
}
_SYLLABLES = frozenset({"bo", "dz"})
_WORD = r"[\p{L}\p{M}\p{N}\u200c\u200d]++"  # Python's own re is three times as slow with this class
_BLANKS = " \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"  # all of which str.split() knows
_INNER = "'\u2019\u2010\u2011\u00b7\u05f3\u05f4-"  # also Catalan's l·l, and Hebrew's geresh and gershayim
_UNSEEN = re.compile("[\u00ad\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufe0e\ufe0f]+")  # soft hyphens, directions
_UNPAIRED = re.compile("[\ud800-\udfff]")
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)

Segmenter = Callable[[str], Iterator[list[str]]]
"""Text to runs of words; no run is empty."""


def segmenter(lang: str, *, lower: bool = False) -> Segmenter:
    """How texts of a language (code of its Wikipedia, or ISO 639) are cut into runs of words.

    Never raises on a text. Raises VocabularyError here where a language needs ICU and it is not installed.
    """
    cut: Segmenter
    if lang in _ICU_LOCALES:
        cut = _icu_segmenter(_ICU_LOCALES[lang])
    elif lang in _SYLLABLES:
        cut = _runs_of(_run_pattern(f"{TSHEG}\u0f0c", ""), re.compile(f"[{TSHEG}\u0f0c]+").split)
    else:
        cut = _runs_of(_run_pattern(_BLANKS, _INNER), str.split)
    return lambda text: cut(_UNSEEN.sub("", text.lower() if lower else text).replace("\u200b", " "))


def joiner(lang: str) -> str:
    """What stands between two neighbouring words of a language: a blank, a tsheg, or nothing."""
    if lang in _SYLLABLES:
        return TSHEG
    return "" if lang in _ICU_LOCALES else " "


def join_words(first: str, second: str, lang: str) -> str:
    """Two neighbouring words as one entry; where a language writes no blanks, they stay between foreign words."""
    between = joiner(lang)
    if not between and _SPACELESS.match(first[-1:]) is None and _SPACELESS.match(second[:1]) is None:
        between = " "
    return first + between + second


@cache
def _run_pattern(blanks: str, inner: str) -> regex.Pattern[str]:
    """A run. No repetition gives back what it took, so matching takes linear time."""
    between = f"(?:[{inner}]|[{blanks}]++)" if inner else f"[{blanks}]++"
    return regex.compile(f"{_WORD}(?:{between}{_WORD})*+")


def _runs_of(pattern: regex.Pattern[str], split: Callable[[str], list[str]]) -> Segmenter:
    def runs(text: str) -> Iterator[list[str]]:
        for found in pattern.finditer(text):
            words = split(found[0])
            if len(found[0]) <= MAX_WORD_CHARS:
                yield words
            else:
                yield from _without_giants(words)

    return runs


def _without_giants(words: list[str]) -> Iterator[list[str]]:
    begin = 0
    for at, word in enumerate(words):
        if len(word) > MAX_WORD_CHARS:
            if begin < at:
                yield words[begin:at]
            begin = at + 1
    if begin < len(words):
        yield words[begin:] if begin else words


def _icu_segmenter(locale: str) -> Segmenter:
    try:
        import icu
    except ImportError:
        raise VocabularyError(f"cutting words of {locale} needs ICU: install curation[segment]") from None
    breaks: Any = icu.BreakIterator.createWordInstance(icu.Locale(locale))

    def runs(text: str) -> Iterator[list[str]]:
        for line in _UNPAIRED.sub("\ufffd", text).split("\n"):
            yield from _icu_runs(breaks, line)

    return runs


def _icu_runs(breaks: Any, line: str) -> Iterator[list[str]]:
    """ICU's segments with a status of 100 or more are words: numbers, letters, kana, ideographs."""
    units = line.encode("utf-16-le")  # ICU's positions count these, two bytes each
    is_plain = len(units) == 2 * len(line)
    breaks.setText(line)
    start, run = 0, list[str]()
    for end in breaks:
        segment = line[start:end] if is_plain else units[2 * start : 2 * end].decode("utf-16-le")
        start = end
        if breaks.getRuleStatus() >= 100 and len(segment) <= MAX_WORD_CHARS:
            run.append(segment)
        elif run and not segment.isspace():
            yield run
            run = []
    if run:
        yield run
