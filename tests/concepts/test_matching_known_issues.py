"""Holes of MetaCLIP's definition that are kept on purpose: each test says what a user might expect, and what is.

They may be closed only behind a named option; when one of these tests fails, counts stop being comparable.
"""

import unicodedata

import pyarrow as pa
import pytest

from curation.concepts import Matcher, Vocabulary


def matched(entry, text, definition):
    return Matcher(Vocabulary.from_entries([entry], definition=definition)).match(pa.array([text])).to_pylist() == [[0]]


@pytest.mark.parametrize("definition", ["v1", "v2"])
def test_entries_with_a_mark_beside_a_letter_never_match(definition):
    for entry in ["St. Louis", "e.g.", "3:10 to Yuma", "Yahoo!", "10,000"]:
        assert not matched(entry, entry, definition)
        assert not matched(entry, f"the {entry} thing", definition)


def test_a_mark_on_its_own_matches():
    assert matched(".", "the end.", "v1")
    assert matched("St .  Louis", "St. Louis", "v1")  # spelt as the text is prepared, nobody would


def test_case_is_kept():
    assert not matched("cat", "Cat", "v1")
    assert not matched("cat", "Cat", "v2")


def test_other_punctuation_is_not_split_off():
    for text in ["cat's", "(cat)", '"cat"', "cat-like", "cat/dog"]:
        assert not matched("cat", text, "v1")


def test_composed_and_decomposed_accents_differ():
    cafe = unicodedata.normalize("NFC", "café")
    assert not matched(cafe, unicodedata.normalize("NFD", cafe), "v2")


def test_kana_needs_spaces_though_japanese_writes_none():
    assert matched("猫", "白い猫がいる", "v2")
    assert not matched("ネコ", "白いネコがいる", "v2")
    assert matched("ネコ", "白い ネコ がいる", "v2")


def test_in_v1_scripts_without_spaces_match_only_between_spaces():
    assert not matched("猫", "白い猫", "v1")
    assert matched("猫", "白い 猫", "v1")


def test_in_v2_a_word_next_to_an_ideograph_is_found_only_on_its_open_side():
    assert matched("T恤", "一件 T恤衫", "v2")
    assert not matched("T恤", "一件T恤衫", "v2")


def test_tabs_and_line_breaks_part_words_in_texts_but_never_in_entries():
    assert matched("black cat", "black\tcat", "v1")
    assert not matched("black\tcat", "black\tcat", "v1")


def test_only_v2_strips_texts():
    assert matched(" cat", "  cat", "v1")
    assert not matched(" cat", "  cat", "v2")
    assert matched("cat", "\u3000cat", "v2")
    assert not matched("cat", "\u3000cat", "v1")
