"""Words: nothing of a word is cut off in any script, and only blanks may stand between the words of a run."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import VocabularyError
from curation.vocabulary.words import MAX_WORD_CHARS, TSHEG, join_words, joiner, segmenter

LETTERS = "aÉßжहिंதமிழ்العَرَבּ漢ไ٣7"
TEXT = st.text(st.sampled_from(LETTERS + " \t\u00a0\u3000.,—'’-\n\u200d"), max_size=40)


def runs_of(text: str, lang: str = "en", **options: bool) -> list[list[str]]:
    return list(segmenter(lang, **options)(text))


def by_definition(text: str) -> list[list[str]]:
    """Character by character: a run ends at what is neither part of a word nor a blank."""

    def is_part(at: int) -> bool:
        return 0 <= at < len(text) and (unicodedata.category(text[at])[0] in "LMN" or text[at] == "\u200d")

    runs: list[list[str]] = [[]]
    word = ""
    for at, char in enumerate(text):
        if is_part(at) or (word and char in "'’-" and is_part(at + 1)):
            word += char
            continue
        runs[-1] += [word] if word else []
        word = ""
        if char not in " \t\u00a0\u3000":
            runs.append([])
    runs[-1] += [word] if word else []
    return [run for run in runs if run]


@settings(max_examples=500, deadline=None)
@given(TEXT)
def test_runs_are_those_of_the_definition(text: str) -> None:
    assert runs_of(text) == by_definition(text)


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "Don't stop-me now, O'Neil’s cat's ‘x’", [["Don't", "stop-me", "now"], ["O'Neil’s", "cat's"], ["x"]]),
        ("en", "a--b 'c' -d e- 3.14", [["a"], ["b"], ["c"], ["d", "e"], ["3"], ["14"]]),
        ("en", "co\u00adop \u200eleft\u200f na\u0308ive", [["coop", "left", "na\u0308ive"]]),
        ("hi", "हिन्दी में क्\u200dष है।", [["हिन्दी", "में", "क्\u200dष", "है"]]),
        ("bn", "বাংলা ভাষা", [["বাংলা", "ভাষা"]]),
        ("ta", "தமிழ் மொழி", [["தமிழ்", "மொழி"]]),
        ("ar", "العَرَبِيَّة لغة، نعم", [["العَرَبِيَّة", "لغة"], ["نعم"]]),
        ("fa", "می\u200cخواهم", [["می\u200cخواهم"]]),
        ("he", "צה״ל הוא", [["צה״ל", "הוא"]]),
        ("ca", "col·legi", [["col·legi"]]),
        ("bo", "བོད་ཀྱི་སྐད་ཡིག། དང་པོ", [["བོད", "ཀྱི", "སྐད", "ཡིག"], ["དང", "པོ"]]),
        ("hak", "Hak-kâ-fa he", [["Hak-kâ-fa", "he"]]),
    ],
)
def test_scripts_with_marks_between_words(lang: str, text: str, expected: list[list[str]]) -> None:
    assert runs_of(text, lang) == expected


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("zh", "我愛北京天安門。2008年 New York", [["我", "愛", "北京", "天安門"], ["2008", "年", "New", "York"]]),
        ("zh", "𠮷野家\ud800好", [["𠮷", "野家"], ["好"]]),
        ("yue", "香港，大學", [["香港"], ["大學"]]),
        ("ja", "コーヒーを飲む", [["コーヒー", "を", "飲む"]]),
        ("th", "ฉันรักภาษาไทย", [["ฉัน", "รัก", "ภาษา", "ไทย"]]),
        ("lo", "ພາສາລາວ", [["ພາສາ", "ລາວ"]]),
        ("km", "ខ្ញុំស្រឡាញ់", [["ខ្ញុំ", "ស្រឡាញ់"]]),
        ("my", "မြန်မာစာ", [["မြန်မာ", "စာ"]]),
    ],
)
def test_scripts_without(lang: str, text: str, expected: list[list[str]]) -> None:
    pytest.importorskip("icu")
    assert runs_of(text, lang) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["zh", "ja", "th", "my"]))
def test_icu_gives_parts_of_the_text_in_order(text: str, lang: str) -> None:
    pytest.importorskip("icu")
    clean = "".join(
        char for char in text if unicodedata.category(char) not in {"Cs", "Cf"} and char not in "\ufe0e\ufe0f"
    )
    at = 0
    for word in (word for run in runs_of(clean, lang) for word in run):
        at = clean.index(word, at) + len(word)
    letters = sum(unicodedata.category(char) in {"Lu", "Ll", "Nd"} for char in clean)
    assert sum(len(word) for run in runs_of(clean, lang) for word in run) >= letters


def test_icu_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "icu", None)
    with pytest.raises(VocabularyError, match=r"install curation\[segment\]"):
        segmenter("th")
    assert runs_of("a b", "en") == [["a", "b"]]


def test_lower_and_joiners() -> None:
    assert runs_of("New YORK", lower=True) == [["new", "york"]]
    assert (joiner("en"), joiner("zh"), joiner("dz")) == (" ", "", TSHEG)
    assert join_words("New", "York", "zh") == "New York"
    assert join_words("2008", "年", "zh") == "2008年"
    assert join_words("コーヒー", "豆", "ja") == "コーヒー豆"
    assert join_words("a", "b", "en") == "a b"


def test_giants_are_no_words_and_end_runs() -> None:
    giant = "x" * (MAX_WORD_CHARS + 1)
    assert runs_of(f"a b {giant} c {giant}") == [["a", "b"], ["c"]]
    assert runs_of("x" * MAX_WORD_CHARS + " c") == [["x" * MAX_WORD_CHARS, "c"]]


@pytest.mark.parametrize(
    "part", ["a", "a ", "a'", "'", " ", "a  !", "-", "\u200d", "語", "\ud800", "\u00ad", "ไ", "\n"]
)
@pytest.mark.slow
def test_hostile_texts_take_linear_time(part: str) -> None:
    for lang in ("en", "bo", "zh"):
        began = time.process_time()
        sum(map(len, runs_of((part * 500_000)[:500_000], lang)))
        assert time.process_time() - began < 4
