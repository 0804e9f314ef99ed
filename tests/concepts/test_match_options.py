"""What each option changes, in examples; that matchers do as the definition says is tested elsewhere."""

import itertools
import time
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.concepts import Matcher, Vocabulary, pad, prepare
from curation.concepts.options import PLAIN, MatchOptions
from curation.concepts.prepare import normalized, writes_no_space
from curation.errors import VocabularyError

SPACED = MatchOptions(spaced_entries=True)
KANA = MatchOptions(no_space_kana=True)
NFC = MatchOptions(nfc=True)
FOLDED = MatchOptions(case_fold=True)


def matched(entry, text, options, definition="v1"):
    words = Matcher(Vocabulary.from_entries([entry], definition=definition), options)
    found = words.match(pa.array([text])).to_pylist() == [[0]]
    assert found == (pad(entry, definition, options) in prepare(text, definition, options))
    return found


@given(st.text(), st.sampled_from(["v1", "v2"]))
def test_without_options_the_definition_is_what_it_was(text, definition):
    left = "" if definition == "v2" and text and writes_no_space(text[0]) else " "
    right = "" if definition == "v2" and text and writes_no_space(text[-1]) else " "
    assert pad(text, definition) == pad(text, definition, PLAIN) == left + text + right
    expected = f" {text.strip() if definition == 'v2' else text} "
    for mark in ",.;:?!`":
        expected = expected.replace(mark, f" {mark} ")
    for blank in "\t\n\r":
        expected = expected.replace(blank, " ")
    assert prepare(text, definition) == prepare(text, definition, PLAIN) == expected


@pytest.mark.parametrize("definition", ["v1", "v2"])
@pytest.mark.parametrize(
    "entry", ["St. Louis", "e.g.", "3:10 to Yuma", "Yahoo!", "10,000", ".22", "a,,b", "?!", "a\tb", "."]
)
def test_spaced_entries_are_found_where_they_stand_as_words(entry, definition):
    for text in (entry, f"the {entry} thing", f"the {entry}, thing", f"({entry})"[1:-1]):
        assert matched(entry, text, SPACED, definition)
    assert not matched(entry, entry.replace(".", "x").replace(",", "x").replace("!", "x").replace(":", "x")
                       .replace("?", "x").replace("\t", "x"), SPACED, definition)  # fmt: skip


def test_spaced_entries_in_full():
    assert pad("St. Louis", "v1", SPACED) == " St .  Louis "
    assert pad("Yahoo!", "v1", SPACED) == " Yahoo ! "
    assert pad("Yahoo!", "v2", SPACED) == " Yahoo !"
    assert pad(".22", "v1", SPACED) == " . 22 "
    assert pad(",", "v1", SPACED) == " , "
    assert pad("?!", "v2", SPACED) == "?  !"
    assert pad("", "v1", SPACED) == "  "


@given(st.text(alphabet=" ab,.!猫#\t", min_size=1, max_size=8), st.sampled_from(["v1", "v2"]))
def test_a_spaced_entry_is_in_every_text_that_holds_it_between_spaces(entry, definition):
    assert pad(entry, definition, SPACED) in prepare(f"x {entry} x", definition, SPACED)


def test_kana_and_hangul_need_no_spaces():
    for entry, text in [
        ("ネコ", "白いネコがいる"),
        ("ねこ", "このねこは"),
        ("고양이", "고양이가 있다"),
        ("人々", "多くの人々が"),
        ("ｶﾅ", "xｶﾅx"),
    ]:
        assert not matched(entry, text, PLAIN, "v2")
        assert matched(entry, text, KANA, "v2")
        assert not matched(entry, text, KANA, "v1")


def test_kana_and_hangul_are_the_characters_unicode_names_so():
    scripts = ("HIRAGANA", "KATAKANA", "HANGUL", "HALFWIDTH KATAKANA", "HALFWIDTH HANGUL", "HENTAIGANA")
    for code_point in range(0x30000):
        character = chr(code_point)
        if unicodedata.name(character, "").startswith(scripts) and code_point not in (0x302E, 0x302F, 0x303F, 0x1F200):
            assert writes_no_space(character, KANA), hex(code_point)
            assert not writes_no_space(character, PLAIN)


def test_accents_match_however_they_are_composed():
    composed, decomposed = "café", unicodedata.normalize("NFD", "café")
    for entry, text in itertools.product([composed, decomposed], repeat=2):
        assert matched(entry, f"un {text}.", NFC)
        assert matched(entry, f"un {text}.", PLAIN) == (entry == text)
    assert not matched("café", "un CAFÉ", NFC)


def test_case_folds_on_both_sides():
    for entry, text in [("cat", "CAT"), ("CAT", "cat"), ("straße", "STRASSE"), ("Σίσυφος", "ΣΊΣΥΦΟΣ"), ("İ", "i̇")]:
        assert matched(entry, text, FOLDED)
        assert not matched(entry, text, PLAIN)


def test_entries_that_become_equal_are_all_found():
    words = Matcher(Vocabulary.from_entries(["Cat", "dog", "cat", "CAT"]), FOLDED)
    assert words.match(pa.array(["a cAt", "DOG cat", ""])).to_pylist() == [[0, 2, 3], [0, 1, 2, 3], []]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from("a\u0300\u0323\u0344\u0f71\u0f73각ᄀ\u1161\u11a8é"), max_size=30).map("".join))
def test_long_texts_compose_as_the_standard_library_does(text):
    text += "x" * 1001
    assert normalized(text, NFC) == unicodedata.normalize("NFC", text)


def test_heaps_of_accents_take_no_quadratic_time():
    started = time.process_time()
    normalized("a" + "\u0301\u0323" * 100_000, MatchOptions(nfc=True, case_fold=True))
    assert time.process_time() - started < 5


def test_options_are_named_and_versioned():
    assert PLAIN.to_json() == {}
    options = MatchOptions(spaced_entries=True, nfc=True)
    assert options.to_json() == {"spaced_entries": 1, "nfc": 1}
    for on in itertools.product([False, True], repeat=4):
        assert MatchOptions.from_json(MatchOptions(*on).to_json()) == MatchOptions(*on)
    for wrong in ({"nfd": 1}, {"nfc": 2}):
        with pytest.raises(VocabularyError, match="unknown matching option"):
            MatchOptions.from_json(wrong)


def test_every_choice_has_a_fingerprint_of_its_own():
    prints = {MatchOptions(*on).fingerprint("0" * 32) for on in itertools.product([False, True], repeat=4)}
    assert len(prints) == 16
    assert PLAIN.fingerprint("0" * 32) == "0" * 32
    assert all(len(each) == 32 for each in prints)
