"""Every matcher must equal the definition, whatever the entries and texts are."""

import gzip
import json
import os
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.concepts import Matcher, MatchOptions, Vocabulary, matcher, pad, prepare

# Few characters, all of them harmful: collisions are frequent, and each kind of padding, spacing and width occurs.
HARMFUL = [
    " ", "  ", ",", ".", ";", ":", "?", "!", "`", "\t", "\n", "\r", "\x00", "\x0b", "\xa0", "\u3000", "\u2028", "\x85",
    "a", "b", "A", "é", "e", "\u0301", "ß", "猫", "犬", "龘", "\U00020000", "ก", "ำ", "ເ", "ཀ", "က", "ក", "ね", "コ",
    "한", "😀", "\U0001f469\u200d\U0001f680", "，", "。", "“", "—", "#", "(", "-", "\ufeff", "\ufffe", "\U0010ffff",
]  # fmt: skip
pieces = st.lists(st.sampled_from(HARMFUL), max_size=8).map("".join)
entry_lists = st.lists(st.one_of(pieces, st.text(max_size=4)), min_size=1, max_size=25)


@st.composite
def entries_and_texts(draw):
    """Texts are partly glued from entries, so that matches overlap, nest and touch."""
    entries = draw(entry_lists)
    glue = st.sampled_from(["", " ", "  ", ", ", ".", "\n", "\t", "猫", "\x00"])
    glued = st.lists(st.tuples(st.sampled_from(entries), glue), max_size=6).map(
        lambda parts: "".join(entry + between for entry, between in parts)
    )
    texts = draw(st.lists(st.one_of(st.none(), pieces, glued, st.text(max_size=20)), max_size=12))
    return entries, texts


def by_definition(entries, texts, definition):
    padded = [pad(entry, definition) for entry in entries]

    def ids(text):
        prepared = prepare(text, definition)
        return [i for i, entry in enumerate(padded) if entry in prepared]

    return [None if text is None else ids(text) for text in texts]


@settings(max_examples=500, deadline=None)
@given(entries_and_texts(), st.sampled_from(["v1", "v2"]))
def test_equals_the_definition(case, definition):
    entries, texts = case
    vocabulary = Vocabulary.from_entries(entries, definition=definition)
    matches = Matcher(vocabulary).match(pa.array(texts, pa.string()))
    matches.validate(full=True)
    assert matches.type == pa.list_(pa.int32())
    assert matches.to_pylist() == by_definition(entries, texts, definition)


@settings(max_examples=150, deadline=None)
@given(entries_and_texts(), st.integers(1, 30), st.sampled_from(["v1", "v2"]))
def test_block_size_changes_nothing(case, block_bytes, definition):
    entries, texts = case
    whole = Matcher(Vocabulary.from_entries(entries, definition=definition))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matcher, "BLOCK_BYTES", block_bytes)
        assert whole.match(pa.array(texts, pa.string())).to_pylist() == by_definition(entries, texts, definition)


TYPES = [
    pa.string(), pa.large_string(), pa.string_view(),
    pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.large_string()),
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(entries_and_texts(), st.sampled_from(TYPES), st.integers(0, 5), st.integers(0, 5), st.integers(0, 12))
def test_any_string_type_any_slice_any_chunks(case, kind, start, length, cut):
    entries, texts = case
    words = Matcher(Vocabulary.from_entries(entries))
    array = pa.array(texts, pa.string()).cast(kind)
    expected = by_definition(entries, texts, "v1")
    sliced = words.match(array.slice(start, length))
    sliced.validate(full=True)
    assert sliced.to_pylist() == expected[start : start + length]
    chunked = pa.chunked_array([array.slice(0, cut), array.slice(cut)], kind)
    assert isinstance(words.match(chunked), pa.ListArray)
    assert words.match(chunked).to_pylist() == expected


VOCABULARY = ["cat", "cats", "black cat", "cat", "", "black", "t"]


def test_ids_are_ascending_unique_and_include_repeated_entries():
    matches = Matcher(Vocabulary.from_entries(VOCABULARY)).match(pa.array(["black cat cat cat", "cat.", "cats", "CAT"]))
    assert matches.to_pylist() == [[0, 2, 3, 5], [0, 3, 4], [1], []]


def test_nulls_stay_null_and_empty_texts_are_texts():
    words = Matcher(Vocabulary.from_entries(VOCABULARY))
    assert words.match(pa.array([None, "", "cat", None])).to_pylist() == [None, [4], [0, 3], None]
    assert words.match(pa.array([None, None], pa.string())).to_pylist() == [None, None]
    assert words.match(pa.nulls(2)).to_pylist() == [None, None]


@pytest.mark.parametrize("empty", [pa.array([], pa.string()), pa.chunked_array([], pa.string())])
def test_no_texts(empty):
    matches = Matcher(Vocabulary.from_entries(VOCABULARY)).match(empty)
    assert matches.type == pa.list_(pa.int32())
    assert len(matches) == 0


def test_a_vocabulary_that_can_match_nothing():
    words = Matcher(Vocabulary.from_entries(["a\tb", "\n"]))
    assert words.match(pa.array(["a\tb", "\n", "a b"])).to_pylist() == [[], [], []]


@pytest.mark.parametrize("texts", [pa.array([1, 2]), pa.array([b"cat"]), pa.array([["cat"]])])
def test_texts_that_are_no_strings_are_refused(texts):
    with pytest.raises(TypeError, match=r"not strings: cast them to pa.string\(\) first"):
        Matcher(Vocabulary.from_entries(VOCABULARY)).match(texts)


@pytest.mark.parametrize(
    "texts",
    ["cat", ["cat"], None, b"cat", pa.scalar("cat"), pa.table({"text": ["cat"]}), pa.field("text", pa.string())],
)
def test_what_is_no_array_is_refused(texts):
    with pytest.raises(TypeError, match=r"not an array of strings: cast them to pa.string\(\) first"):
        Matcher(Vocabulary.from_entries(VOCABULARY)).match(texts)


def from_bytes(texts):
    """Arrow does not check that they are UTF-8."""
    return pa.Array.from_buffers(pa.string(), len(texts), pa.array(texts, pa.binary()).buffers())


# Cut characters, whole ones, and bytes that are in none; a text's end may complete another's beginning.
BROKEN = [
    b"\xff",
    b"\xc2",
    b"\xa0",
    b"\xe3\x80",
    b"\x80",
    b"\xf0\x9f",
    b"\xed\xa0\x80",
    b"\xc0\xa0",
    b"\xe7",
    b"\x8c\xab",
]
broken_texts = st.lists(st.sampled_from([*BROKEN, *(piece.encode() for piece in HARMFUL)]), max_size=8).map(b"".join)
BROKEN_ENTRIES = ["\ufffd", "a", "猫", "a\ufffd", "", "\ufffd\ufffd", " ", "é", "\ufffd" * 300, "#" * 300, "#\ufffd猫"]


@settings(max_examples=300, deadline=None)
@given(st.lists(broken_texts, max_size=8), st.sampled_from(["v1", "v2"]), st.booleans(), st.booleans())
def test_bytes_that_are_no_utf8_count_as_replacement_characters(texts, definition, nfc, large):
    array = from_bytes(texts).cast(pa.large_string()) if large else from_bytes(texts)
    options = MatchOptions(nfc=nfc)
    found = Matcher(Vocabulary.from_entries(BROKEN_ENTRIES, definition=definition), options).match(array)
    forms = [pad(entry, definition, options) for entry in BROKEN_ENTRIES]
    replaced = [prepare(text.decode(errors="replace"), definition, options) for text in texts]
    assert found.to_pylist() == [[i for i, form in enumerate(forms) if form in text] for text in replaced]


def test_texts_beyond_two_gib_in_their_buffer(tmp_path):
    """In a file of nearly nothing but a hole, so that it takes neither memory nor disk."""
    texts = [b"a cat", b"", b"dogs", b"a dog, \xe7\x8c\xab", b"#" * 300]
    first = 2**31 + 12_345
    with (tmp_path / "texts").open("wb") as file:
        file.seek(first)
        file.write(b"".join(texts))
    data = pa.memory_map(str(tmp_path / "texts")).read_buffer()
    ends = np.cumsum([first, *map(len, texts)])
    array = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(ends), data)
    words = Matcher(Vocabulary.from_entries(["cat", "dog", "猫", "#" * 300], definition="v2"))
    assert words.match(array).to_pylist() == [[0], [], [], [1, 2], [3]]
    assert words.match(array[2:]).to_pylist() == [[], [1, 2], [3]]
    huge = pa.LargeStringArray.from_buffers(1, pa.py_buffer(np.array([0, 2**31])), data)
    with pytest.raises(ValueError, match="a text has 2147483648 bytes: split texts of 2 GiB and more"):
        words.match(huge)


def test_blocks_near_the_end_of_what_32_bits_count(tmp_path):
    with (tmp_path / "texts").open("wb") as file:
        file.truncate(2**31 - 1)
        file.seek(2**31 - 1 - 8)
        file.write(b"cat a ca")
    ends = pa.py_buffer(np.array([2**31 - 9, 2**31 - 6, 2**31 - 1], np.int32))
    texts = pa.StringArray.from_buffers(2, ends, pa.memory_map(str(tmp_path / "texts")).read_buffer())
    assert Matcher(Vocabulary.from_entries(["cat", "ca"])).match(texts).to_pylist() == [[0], [1]]


def test_a_text_longer_than_a_block():
    words = Matcher(Vocabulary.from_entries(["cat", "dog"]))
    long = "x " * matcher.BLOCK_BYTES + "cat"
    assert words.match(pa.array(["dog", long, "cat"])).to_pylist() == [[1], [0], [0]]


REAL = Path(os.environ.get("CURATION_REAL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def real_captions():
    captions = []
    with gzip.open(REAL / "captions" / "flickr8k.token.txt.gz", "rt", encoding="utf-8") as lines:
        captions += [line.rstrip("\n").split("\t", 1)[1] for line in lines]
    with gzip.open(REAL / "captions" / "xflickrco_iglue_test_8lang.jsonl.gz", "rt", encoding="utf-8") as lines:
        captions += [text for line in lines for text in json.loads(line)["sentences"]]
    return random.Random(7).sample(captions, 30)


@pytest.mark.skipif(not (REAL / "vocab").is_dir(), reason=f"no real data at {REAL}: set CURATION_REAL_DATA")
@pytest.mark.parametrize("definition", ["v1", "v2"])
def test_equals_the_definition_on_real_captions_and_442176_entries(definition):
    location = str(REAL / "vocab" / "union_real_vocab.tsv.gz")
    vocabulary = Vocabulary.load(location, "en", definition=definition)
    entries = vocabulary.entries.to_pylist()
    assert len(entries) == 442_176
    chinese = ["女人", "狗", "一个", "男", "ไป", "の"]  # so that entries without padding take part
    vocabulary = Vocabulary.from_entries(entries + chinese, definition=definition)
    texts = real_captions()
    matches = Matcher(vocabulary).match(pa.array(texts)).to_pylist()
    assert matches == by_definition(entries + chinese, texts, definition)
    assert sum(map(len, matches)) > 50
