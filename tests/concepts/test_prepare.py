"""The definition of a match, word for word against design section 5, and its examples."""

import string
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.concepts import pad, prepare
from curation.concepts.prepare import WHITE_SPACE, writes_no_space

TWENTY_FIVE_MARKS = "，。、；：？！“”‘’（）【】《》〈〉「」『』～—"

# Written out again as the specification has it, so that a slip in the module's own table shows.
UNPADDED = [
    range(0x2E80, 0x2FE0), range(0x2FF0, 0x3000), range(0x3400, 0x4DC0), range(0x4E00, 0xA000),
    range(0xF900, 0xFB00), range(0x20000, 0x2A6E0), range(0x2A700, 0x2EBF0), range(0x0E00, 0x0E80),
    range(0x0E80, 0x0F00), range(0x0F00, 0x1000), range(0x1000, 0x10A0), range(0x1780, 0x1800),
]  # fmt: skip


def test_unpadded_characters_are_exactly_the_specified_ones():
    expected = {code_point for block in UNPADDED for code_point in block}
    expected |= {ord(mark) for mark in string.punctuation + TWENTY_FIVE_MARKS}
    assert len(TWENTY_FIVE_MARKS) == 25
    assert {c for c in range(sys.maxunicode + 1) if writes_no_space(chr(c))} == expected


@given(st.text())
def test_v1_text_is_padded_spaced_and_blanks_are_spaces(text):
    expected = " "
    for character in text:
        expected += f" {character} " if character in ",.;:?!`" else " " if character in "\t\n\r" else character
    assert prepare(text, "v1") == expected + " "


@given(st.text())
def test_v2_text_is_the_stripped_text_prepared_as_in_v1(text):
    assert prepare(text, "v2") == prepare(text.strip(), "v1")


@given(st.text())
def test_v1_entry_has_a_space_on_both_sides(entry):
    assert pad(entry, "v1") == f" {entry} "


@pytest.mark.parametrize(
    ("entry", "padded"),
    [
        ("cat", " cat "),
        ("猫", "猫"),
        ("猫cat", "猫cat "),
        ("cat猫", " cat猫"),
        ("ねこ", " ねこ "),  # kana is padded
        ("고양이", " 고양이 "),  # so is hangul
        ("แมว", "แมว"),
        ("ແມວ", "ແມວ"),
        ("ཞི་མི", "ཞི་མི"),
        ("ကြောင်", "ကြောင်"),
        ("ឆ្មា", "ឆ្មា"),
        ("\U0002a700", "\U0002a700"),
        ("\U0002ebf0", " \U0002ebf0 "),  # just beyond the ranges
        ("#1", "#1 "),
        ("cat)", " cat)"),
        ("「猫」", "「猫」"),
        ("", "  "),
        (" ", "   "),
    ],
)
def test_v2_padding(entry, padded):
    assert pad(entry, "v2") == padded


def test_white_space_is_what_python_strips():
    assert set(WHITE_SPACE) == {chr(c) for c in range(sys.maxunicode + 1) if not chr(c).strip()}


def test_prepared_example():
    assert prepare("St. Louis\tzoo!\n", "v1") == " St .  Louis zoo !   "
    assert prepare("St. Louis\tzoo!\n", "v2") == " St .  Louis zoo !  "
    assert unicodedata.normalize("NFC", prepare("e\u0301", "v2")) != prepare("e\u0301", "v2")
