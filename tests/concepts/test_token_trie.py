"""The compiled kernels must give the definition's answer for any entries, any texts and any hash."""

import gzip
import itertools
import json
import random
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.concepts import Matcher, Vocabulary, _sorting, matcher, pad, prepare
from curation.concepts.aho_corasick import AhoCorasick
from curation.concepts.compiled import compile_vocabulary
from curation.concepts.forms import normalized_array, padded_forms
from curation.concepts.options import PLAIN, MatchOptions
from curation.concepts.prepare import WHITE_SPACE, normalized

HARMFUL = [
    *" \t\n\r\x00,.;:?!`aAbBé猫ねコ한ก々(#-“。ßİ😀", "\u0301", "\u0323", "\u0344", "\u037e", "\u1fef", "\u3000",
    "\xa0", "\x85", "\x0b", "\x1f", "\u2028", "\u2009", "\U00020000", "\U0001f469\u200d\U0001f680", "  ", " a ",
    "longer than eight", "exactly8", "seven77", "longerthaneight", "longerthaneighT", "ends in eight", "ab", "ba",
    "\ufeff",
]  # fmt: skip
OPTIONS = [MatchOptions(*on) for on in itertools.product([False, True], repeat=4)]
WEAK = [np.uint64(0), np.uint64(1), np.uint64(3)]


def by_definition(entries, texts, definition, options=PLAIN):
    forms = [pad(entry, definition, options) for entry in entries]
    prepared = [prepare(text, definition, options) for text in texts]
    return [[i for i, form in enumerate(forms) if form in text] for text in prepared]


def with_weak_hash(vocabulary, mask):
    """A matcher whose tokens of eight bytes and more share 1, 2 or 4 keys."""
    found = Matcher(vocabulary, cache=False)
    found._kernels = matcher._kernels(
        compile_vocabulary(vocabulary, hash_mask=mask), strip=vocabulary.definition == "v2"
    )
    return found


pieces = st.lists(st.sampled_from(HARMFUL), max_size=7).map("".join)
vocabularies = st.lists(pieces | st.text(max_size=4), min_size=1, max_size=25)


@st.composite
def cases(draw):
    entries = draw(vocabularies)
    glued = st.lists(st.sampled_from(entries) | st.sampled_from(HARMFUL), max_size=8).map("".join)
    return entries, draw(st.lists(pieces | glued | st.text(max_size=20), max_size=10))


@settings(max_examples=400, deadline=None)
@given(cases(), st.sampled_from(["v1", "v2"]), st.sampled_from(OPTIONS))
def test_equals_the_definition_with_any_options(case, definition, options):
    entries, texts = case
    vocabulary = Vocabulary.from_entries(entries, definition=definition)
    found = Matcher(vocabulary, options, cache=False).match(pa.array(texts, pa.string())).to_pylist()
    assert found == by_definition(entries, texts, definition, options)


@settings(max_examples=200, deadline=None)
@given(cases(), st.sampled_from(["v1", "v2"]), st.sampled_from(OPTIONS))
def test_forms_of_whole_arrays_are_the_definitions(case, definition, options):
    entries, texts = case
    vocabulary = Vocabulary.from_entries(entries, definition=definition)
    assert padded_forms(vocabulary, options).to_pylist() == [pad(entry, definition, options) for entry in entries]
    found = normalized_array(pa.array(texts, pa.string()), options).to_pylist()
    assert found == [normalized(text, options) for text in texts]


@pytest.mark.parametrize("definition", ["v1", "v2"])
def test_thirty_thousand_hostile_texts(definition):
    chance = random.Random(definition)
    for _ in range(150):
        alphabet = chance.sample(HARMFUL, chance.randint(2, 8))
        entries = ["".join(chance.choices(alphabet, k=chance.randint(0, 6))) for _ in range(chance.randint(1, 40))]
        texts = ["".join(chance.choices(alphabet, k=chance.randint(0, 30))) for _ in range(100)]
        vocabulary = Vocabulary.from_entries(entries, definition=definition)
        mask = chance.choice([None, *WEAK])
        words = Matcher(vocabulary, cache=False) if mask is None else with_weak_hash(vocabulary, mask)
        assert words.match(pa.array(texts)).to_pylist() == by_definition(entries, texts, definition)


@pytest.mark.parametrize("mask", WEAK)
@pytest.mark.parametrize("definition", ["v1", "v2"])
def test_tokens_that_share_a_key_are_told_apart_by_their_bytes(mask, definition):
    words = ["".join(letters) for letters in itertools.product("xy", repeat=8)]  # of one length, too
    known, unknown = words[::2], words[1::2]
    entries = known + [f"{one} {other}" for one, other in itertools.pairwise(known)]
    texts = (
        known[:60] + unknown[:60] + [f"{a} {b}" for a, b in zip(known[:60], [*unknown[:30], *known[1:31]], strict=True)]
    )
    matching = with_weak_hash(Vocabulary.from_entries(entries, definition=definition), mask)
    assert len(np.unique(matching._kernels[0]._trie.lines[::2])) <= 6
    assert matching.match(pa.array(texts)).to_pylist() == by_definition(entries, texts, definition)


def test_white_space_is_stripped_as_python_does():
    around = [
        "",
        *WHITE_SPACE,
        "\u3000\t",
        "\xa0\x85",
        " \u2028\u205f",
        "\u200b",
        "\xc2",
        "\u20ac",
        "\u1681",
        "\u3001",
        "é",
    ]
    texts = [f"{left}cat{right}" for left in around for right in around] + around
    entries = [" cat", "cat ", "cat", "", " ", *around[1:]]
    matching = Matcher(Vocabulary.from_entries(entries, definition="v2"))
    assert matching.match(pa.array(texts)).to_pylist() == by_definition(entries, texts, "v2")


def test_no_character_but_white_space_is_stripped():
    characters = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    matching = Matcher(Vocabulary.from_entries([" x", "x "], definition="v2"))
    texts = [f"{character}  x  {character}" for character in characters]
    found = matching.match(pa.array(texts)).to_pylist()
    strange = [c for c, ids in zip(characters, found, strict=True) if ids != [0, 1]]
    assert strange == [c for c in characters if c in WHITE_SPACE]


LENGTHS = [1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 257, 300, 1000]


@pytest.mark.parametrize("definition", ["v1", "v2"])
def test_entries_of_any_length_in_symbols_and_bytes(definition):
    words = ["x" * n for n in LENGTHS] + [" ".join("ab"[i % 2] for i in range(n)) for n in LENGTHS]
    ideographs = ["猫" * n for n in LENGTHS] + ["#" + "y" * n for n in LENGTHS]
    entries = words + ideographs
    texts = [
        *entries,
        *(f"b {word} a" for word in words),
        *(f"z{word}" for word in ideographs),
        "x" * 5000,
        "猫" * 5000,
    ]
    matching = Matcher(Vocabulary.from_entries(entries, definition=definition))
    assert matching.match(pa.array(texts)).to_pylist() == by_definition(entries, texts, definition)


@pytest.mark.parametrize("length", [0, 1, 62, 63, 64, 65, 127, 128, 129, 1022, 1023, 1024, 1025, 4096])
@pytest.mark.parametrize("filler", ["x", " ", ",", "猫", "😀", ", x"])
def test_separators_beside_every_border_of_blocks_and_batches(length, filler):
    entries = ["a", "a b", "b", ", a", "", ",", "猫", "猫猫a", "x x", "b,"]
    texts = [filler * length + tail for tail in ("", " a b", ",a b,", "\ta\nb ", "猫猫a b")] * 3
    for definition in ("v1", "v2"):
        matching = Matcher(Vocabulary.from_entries(entries, definition=definition))
        assert matching.match(pa.array(texts)).to_pylist() == by_definition(entries, texts, definition)


def test_a_megabyte_with_a_hundred_thousand_matches():
    entries = [f"w{i}" for i in range(120_000)] + ["w5 w6 w7", "a", *(" ".join("a" * n) for n in range(2, 60))]
    numbers = np.random.default_rng(3).permutation(120_000)
    text = " ".join(f"w{i}" for i in numbers[:100_000]) + " w5 w6 w7 " + "a " * 200_000
    found = Matcher(Vocabulary.from_entries(entries)).match(pa.array(["a", text, "w1"])).to_pylist()
    assert found[0] == [120_001]
    assert found[2] == [1]
    assert found[1] == sorted({*numbers[:100_000].tolist(), 5, 6, 7, *range(120_000, 120_060)})


@pytest.mark.parametrize("definition", ["v1", "v2"])
def test_more_hits_in_a_block_than_are_kept_with_their_repetitions(definition):
    """About two million in 300 texts of very unequal length; each text has its own answer."""
    chance = random.Random(definition)
    sequences = ["".join(letters) for n in range(1, 9) for letters in itertools.product("猫犬", repeat=n)]
    for entries, between in ((sequences, ""), ([" ".join(letters) for letters in sequences], " ")):
        sizes = [chance.choice([0, 3, 8, 100, 5_000]) for _ in range(300)]
        texts = [between.join(chance.choices("猫犬", [1, chance.choice([1, 99])], k=size)) for size in sizes]
        found = Matcher(Vocabulary.from_entries(entries, definition=definition)).match(pa.array(texts)).to_pylist()
        assert found == by_definition(entries, texts, definition)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**31 - 2) | st.integers(0, 5), max_size=150), max_size=6))
def test_hits_are_sorted_and_unique_row_by_row(rows):
    hits = np.array([hit for row in rows for hit in row], np.int32)
    counts = np.array([len(row) for row in rows], np.int64)
    size = _sorting.sort_rows(hits, counts)
    expected = [sorted(set(row)) for row in rows]
    assert hits[:size].tolist() == [hit for row in expected for hit in row]
    assert counts.tolist() == [len(row) for row in expected]


def test_texts_at_the_very_end_of_their_buffer():
    """No bytes beyond the text may count, and none need be there."""
    data = b"a cat,dog"
    for end in range(len(data) + 1):
        buffers = [None, pa.py_buffer(np.array([0, end], np.int32)), pa.py_buffer(data)]
        for content in (data, data[:end], data + b" cat dog " * 30):
            buffers[2] = pa.py_buffer(content)
            texts = pa.Array.from_buffers(pa.string(), 1, buffers)
            found = Matcher(Vocabulary.from_entries(["cat", "dog", "do", "ca"])).match(texts).to_pylist()
            assert found == by_definition(["cat", "dog", "do", "ca"], [data[:end].decode()], "v1")


def test_bytes_that_are_no_utf8_do_no_harm():
    content = bytes(range(1, 256)) * 9 + b"\xf0\x9f"
    offsets = pa.py_buffer(np.array([0, 300, 301, len(content)], np.int32))
    texts = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(content)])
    for definition in ("v1", "v2"):
        vocabulary = Vocabulary.from_entries(["!", "猫", "#", "abc"], definition=definition)
        assert len(Matcher(vocabulary).match(texts)) == 3


def real_texts(folder):
    captions = folder / "captions"
    texts = []
    with gzip.open(captions / "flickr8k.token.txt.gz", "rt", encoding="utf-8") as lines:
        texts += [line.rstrip("\n").split("\t", 1)[1] for line in lines]
    with gzip.open(captions / "mscoco_karpathy_val.json.gz", "rt", encoding="utf-8") as file:
        texts += [text for image in json.load(file) for text in image["captions"]]
    for name in ("en", "de", "fr"):
        with gzip.open(captions / f"multi30k_train.{name}.txt.gz", "rt", encoding="utf-8") as lines:
            texts += lines.read().split("\n")
    with gzip.open(captions / "xflickrco_iglue_test_8lang.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts += [text for line in lines for text in json.loads(line)["sentences"]]
    return texts


@pytest.mark.parametrize("definition", ["v1", "v2"])
@pytest.mark.slow
def test_equals_pyahocorasick_on_all_real_captions(real_data, definition):
    entries = Vocabulary.load(str(real_data / "vocab" / "union_real_vocab.tsv.gz"), "en").entries.to_pylist()
    tags = (real_data / "vocab" / "ram_tag_list_zh.txt").read_text(encoding="utf-8").split()
    vocabulary = Vocabulary.from_entries(dict.fromkeys(entries + tags), definition=definition)
    texts = pa.array(real_texts(real_data))
    assert len(texts) > 150_000
    found = Matcher(vocabulary).match(texts)
    ids = np.arange(len(vocabulary), dtype=np.int32)
    peer = AhoCorasick(padded_forms(vocabulary, PLAIN), ids, strip=definition == "v2")
    expected = [peer.match(block) for block in matcher._blocks(texts)]
    assert np.array_equal(found.value_lengths().to_numpy(), np.concatenate([counts for counts, _ in expected]))
    assert np.array_equal(found.flatten().to_numpy(), np.concatenate([ids for _, ids in expected]))
