"""Hashtags and tags as labels, and texts without them."""

from __future__ import annotations

import gzip
import json
import re
import sys
import time
from pathlib import Path
from unicodedata import category

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from curation.captions.hashtags import MAX_TAG, Label, fold, hashtags, tag_words, weak_labels, without_hashtags

SIGNS = "#﹟＃"
NEWER = "\u200c\u200d\u30fb\uff65"
"""Joiners and middle dots: parts of words since a Unicode that not every Python has."""
URL = re.compile(r"(?ia:https?://|www\.)[\S\x1c-\x1f]+")  # Unicode's white space, without Python's own four


def goes_on(letter: str) -> bool:
    """XID_Continue, as Python's own identifiers have it."""
    return letter in NEWER or f"a{letter}".isidentifier()


def reference(text: str) -> list[str]:
    """One character after the other."""
    found: list[str] = []
    at, free = 0, True  # free: what stands before is no part of a word, and no sign, slash or ampersand
    while at < len(text):
        url = URL.match(text, at)
        if url:
            at, free = url.end(), False
        elif text[at] in SIGNS and free:
            begin = at
            while begin < len(text) and text[begin] in SIGNS:
                begin += 1
            end = begin
            while end < len(text) and goes_on(text[end]):
                end += 1
            if end > begin:
                tag = text[begin:end]
                if any(letter.isalpha() for letter in tag) and len(tag) <= MAX_TAG:
                    found.append(fold(tag))
                at, free = end, True
            else:
                at, free = end, False
        else:
            free = not (goes_on(text[at]) or text[at] in "/&" + SIGNS)
            at += 1
            continue
    return list(dict.fromkeys(found))


known = st.characters(exclude_categories=["Cn"])  # both sides know another Unicode's
pieces = st.sampled_from(
    ["#cat", "＃Cat", "http://", "www.", "#", " ", "x", "#1", "#1st", ",", "/", "&", "#हिन्दी", "😊", "\ud800",
     "#http://a", "a" * MAX_TAG, "https://a.b/#c"]
)  # fmt: skip
texts = st.text(st.sampled_from("#＃﹟ab1_/& ,.é\nहि🐈😊-") | known, max_size=40) | st.lists(
    pieces | known, max_size=12
).map("".join)


@given(texts)
@example("#a#b c#d")
@example("###a /#b &#c")
@example("#http://x#y")
@example("http:// #a")
def test_the_rule(text: str) -> None:
    assert hashtags(text) == reference(text)


def test_characters_of_a_tag_are_those_of_identifiers() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if category(chr(code)) != "Cn"]
    continuing = [letter for letter in letters if goes_on(letter)]
    assert len(continuing) > 100_000
    assert all(hashtags(f"#a{letter}") == [fold(f"a{letter}")] for letter in continuing)
    others = [letter for letter in letters if not goes_on(letter) and letter not in SIGNS]
    assert all(hashtags(f"#a{letter}") == ["a"] for letter in others)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("My #Cat and my #dog, #cat!", ["cat", "dog"]),
        ("#ＣＡＴ ＃cat ﹟Straße #STRASSE", ["cat", "strasse"]),
        ("a#b 5#c é#d _#e", []),
        ("(#a) -#b .#c \"#d\" 😊#e", ["a", "b", "c", "d", "e"]),
        ("#a#b#a", ["a", "b"]),
        ("##a ###", ["a"]),
        ("#1 #2024 #1_2 #___ #² #Ⅳ", []),
        ("#1st #2024a", ["1st", "2024a"]),
        ("#can't #a-b", ["can", "a"]),
        ("#हिन्दी #日本語、#ไทย", ["हिन्दी", "日本語", "ไทย"]),
        ("#🐈 #cat🐈 🐈#dog", ["cat", "dog"]),
        ("https://a.b/c#d http://a/#b www.a.b/#c HTTPS://A#B a.b/#c a.b/c#d", []),
        ("see http://a.b/ #c", ["c"]),
        ("it&#39;s &#x27; &amp;#a", ["a"]),
        ("C# # a", []),
        ("", []),
        (f"#{'a' * MAX_TAG} #{'b' * (MAX_TAG + 1)}", ["a" * MAX_TAG]),
    ],
)
def test_what_is_a_hashtag(text: str, found: list[str]) -> None:
    assert hashtags(text) == found


def test_folding_twice_changes_nothing() -> None:
    letters = map(chr, range(sys.maxunicode + 1))
    assert all(fold(fold(letter)) == fold(letter) for letter in letters)


@given(texts)
def test_texts_without_hashtags_have_none(text: str) -> None:
    bare = without_hashtags(text)
    assert hashtags(bare) == []
    assert len(bare) <= len(text)
    if not hashtags(text):
        assert bare == text


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("A cat sleeps #Cat #CatsOfInstagram", "A cat sleeps"),
        ("A cat sleeps\n\n#cat, #dog 😊#x\n", "A cat sleeps"),
        ("A #cat and a #Dog", "A cat and a"),
        ("A #cat and a #Dog.", "A cat and a Dog."),
        ("#Cat sleeps", "Cat sleeps"),
        ("#cat", ""),
        ("#cat#dog sleep", "cat dog sleep"),
        ("No tag  ", "No tag  "),
        ("We are #1", "We are #1"),
        ("Read http://a.b/#c #d", "Read http://a.b/#c"),
        ("", ""),
    ],
)
def test_texts_without_hashtags(text: str, bare: str) -> None:
    assert without_hashtags(text) == bare


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("CatsOfInstagram", "Cats Of Instagram"),
        ("cats_of_instagram", "cats of instagram"),
        ("#Cats__OfInstagram_", "Cats Of Instagram"),
        ("catsofinstagram", "catsofinstagram"),
        ("NBAFinals", "NBA Finals"),
        ("CATS", "CATS"),
        ("Top10Songs", "Top10 Songs"),
        ("3DPrinting", "3D Printing"),
        ("4K", "4K"),
        ("ÉtéÀParis", "Été À Paris"),
        ("日本語", "日本語"),
        ("_", ""),
    ],
)
def test_words_of_a_tag(tag: str, words: str) -> None:
    assert tag_words(tag) == words


@given(texts)
def test_words_of_a_tag_lose_no_letter(tag: str) -> None:
    def letters(text: str) -> str:
        return "".join(letter for letter in text if letter not in SIGNS + "_" and not letter.isspace())

    assert letters(tag_words(tag)) == letters(tag.lstrip(SIGNS)) or any(sign in tag.lstrip(SIGNS) for sign in SIGNS)
    assert tag_words(tag_words(tag)) == tag_words(tag) or tag_words(tag)[:1] in SIGNS


def test_labels_say_where_they_were_found_first() -> None:
    tags = ["Cat", "cute  CATS", "#dog", " ", "x" * (MAX_TAG + 1), "Fun"]
    found = weak_labels("#Fyp the cat", "My #cat. #fyp #dog", tags)
    assert found == [
        Label("fyp", "title"),
        Label("cat", "description"),
        Label("dog", "description"),
        Label("cute cats", "tags"),
        Label("fun", "tags"),
    ]
    assert weak_labels(None, None, []) == []


@given(texts, texts, st.lists(texts, max_size=4))
def test_labels_are_unique_and_folded(title: str, description: str, tags: list[str]) -> None:
    found = weak_labels(title, description, tags)
    assert len({label.tag for label in found}) == len(found)
    assert {label.tag for label in found} >= {*hashtags(title), *hashtags(description)}
    assert all(label.tag and len(label.tag) <= MAX_TAG for label in found)


@pytest.mark.parametrize(
    "piece",
    ["#", "#a", "a#", "#a ", "# ", "http", "http://", "www.", "a", "#1#", "#a,", "#a😊", " ", "\ud800", "_"],
)
def test_megabytes_take_linear_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    began = time.process_time()
    hashtags(text)
    without_hashtags(text)
    without_hashtags(f"#a{text}")
    tag_words(text)
    assert time.process_time() - began < 5


def test_real_descriptions(real_data: Path) -> None:
    folder = real_data / "video_text"
    descriptions = pq.read_table(folder / "video2dataset_youtube.parquet")["description"].to_pylist()
    with gzip.open(folder / "3b1b_titles_descriptions.jsonl.gz", "rt", encoding="utf-8") as file:
        descriptions += [json.loads(line).get("description") for line in file]
    said = [text for text in descriptions if text]
    assert [hashtags(text) for text in said] == [reference(text) for text in said]
    assert any(map(hashtags, said))
