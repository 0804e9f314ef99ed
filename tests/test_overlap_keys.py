"""What two sets are compared by, against its definition: near hashes, keys of URLs, files and texts."""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.crawl.urls import media_id
from curation.media.fingerprints import FLAT, hamming
from curation.media.hash_index import HashIndex
from curation.overlap_keys import KeySet, comparable_text, comparable_texts, comparable_url, text_keys, url_keys

# near hashes

_HASH = st.integers(0, 2**64 - 1)


@st.composite
def hash_sets(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Listed hashes, asked ones that are a few bits from these or anything, and a distance."""
    listed = draw(st.lists(_HASH, max_size=12))
    distance = draw(st.integers(0, 16))
    asked = draw(st.lists(_HASH, max_size=4))
    for value in draw(st.lists(st.sampled_from(listed), max_size=8)) if listed else []:
        bits = draw(st.lists(st.integers(0, 63), max_size=20, unique=True))
        asked.append(value ^ sum(1 << bit for bit in bits))
    return listed, asked, distance


@given(hash_sets())
@example(([FLAT, 1], [FLAT, 3], 4))
@settings(max_examples=300, deadline=None)
def test_near_hashes_are_those_within_the_distance(case: tuple[list[int], list[int], int]) -> None:
    listed, asked, distance = case
    near = HashIndex(np.array(listed, np.uint64), distance).near(np.array(asked, np.uint64))
    assert near.tolist() == [
        a != FLAT and any(b != FLAT and hamming(a, b) <= distance for b in listed) for a in asked
    ]  # fmt: skip


@pytest.mark.parametrize("distance", [0, 1, 3, 4, 7, 12, 16])
@pytest.mark.parametrize("listed", [3000, 60_000])  # so many that they are cut into runs, of several widths
def test_near_hashes_among_many(listed: int, distance: int) -> None:
    random = np.random.default_rng(distance)
    hashes = random.integers(1, 2**64, listed, np.uint64)
    asked = []
    for turned in range(20):  # bits turned over, evenly spread or side by side
        for value in hashes[:12].tolist():
            spread = random.choice(64, turned, replace=False).tolist()
            beside = range(int(random.integers(0, 64 - turned + 1)), 64)
            for bits in (spread, list(beside)[:turned]):
                asked.append(value ^ sum(1 << bit for bit in bits))
    values = np.array(asked, np.uint64)
    near = HashIndex(hashes, distance).near(values)
    expected = [bool((np.bitwise_count(hashes ^ value) <= distance).any()) for value in values]
    assert near.tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_many_equal_runs_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curation.media.hash_index._AT_ONCE", 100)
    hashes = np.arange(1, 3001, dtype=np.uint64) << np.uint64(20)  # all alike in most runs
    asked = np.append(hashes[::7] ^ np.uint64(0b101), np.uint64(2**64 - 1))
    assert HashIndex(hashes, 2).near(asked).tolist() == [True] * (len(asked) - 1) + [False]
    assert not HashIndex(hashes, 1).near(asked ^ np.uint64(0xFF << 50)).any()


def test_the_nearest_hash_is_told_with_its_distance() -> None:
    index = HashIndex(np.array([0b1111, 0b1110_0000, 1 << 63], np.uint64), 4)
    assert index.nearest(0b0111) == (0b1111, 1)
    assert HashIndex(np.array([FLAT], np.uint64), 4).nearest(5) is None
    with pytest.raises(ValueError, match="0 to 16, not 17"):
        HashIndex(np.array([1], np.uint64), 17)


# keys


def _letters(text: str) -> str:
    """Letters and digits by their definition: category L or N, of the text in NFKC without case."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(sign for sign in folded if sign.isalnum())


@given(st.lists(st.text(max_size=12)))
@example(["", "ＡＢＣ １２", "abc-12", "Straße", "STRASSE", "a_b", "ﬁn", "e\u0301", "é", "İ", "ͅ", "a\x00b"])
def test_texts_are_compared_by_letters_and_digits(texts: list[str]) -> None:
    made = comparable_texts(pa.array(texts, pa.string()))
    assert made.to_pylist() == [_letters(text) for text in texts] == [comparable_text(text) for text in texts]
    sliced = comparable_texts(pa.array(["é!", *texts], pa.string())[1:])
    assert sliced.equals(made)


def test_letters_agree_with_unicode_categories() -> None:
    for text in ("Ünïcode 12", "日本語、テスト", "АБВ-где", "x² + ½", "👍🏽 ok", "हिन्दी"):
        assert all(unicodedata.category(sign)[0] in "LN" for sign in comparable_text(text))
    assert comparable_text("ＦＵＬＬ Width—Straße №5!") == "fullwidthstrasseno5"


@given(st.lists(st.binary(min_size=16, max_size=16)), st.lists(st.binary(min_size=16, max_size=16)), st.data())
def test_a_key_set_has_what_was_put_in(listed: list[bytes], others: list[bytes], data: st.DataObject) -> None:
    halves = data.draw(st.lists(st.sampled_from(listed), max_size=5)) if listed else []
    asked = [*listed[::2], *others, *(key[:8] + other[8:] for key, other in zip(halves, others, strict=False))]

    def keys(values: list[bytes]) -> np.ndarray[Any, Any]:
        return np.frombuffer(b"".join(values), ">u8").reshape(-1, 2).astype(np.uint64)

    middle = len(listed) // 2
    found = KeySet([keys(listed[:middle]), keys(listed[middle:])])
    assert len(found) == len(set(listed))
    assert found.has(keys(asked)).tolist() == [key in listed for key in asked]


def test_keys_that_share_their_first_half_are_told_apart() -> None:
    listed = np.array([[7, low] for low in (1, 3, 5, 9)] + [[8, 2]], np.uint64)
    asked = np.array([[7, low] for low in range(11)] + [[8, 1], [8, 2], [9, 1], [6, 9]], np.uint64)
    assert KeySet([listed]).has(asked).tolist() == [
        tuple(key) in set(map(tuple, listed.tolist())) for key in asked.tolist()
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://Example.org/a.jpg", "HTTPS://example.ORG/a.jpg#top", True),
        ("https://example.org", "https://example.org/", True),
        (" https://example.org/a.jpg\n", "https://example.org/a.jpg", True),
        ("https://youtu.be/dQw4w9WgXcQ?t=3", "https://www.youtube.com/embed/dQw4w9WgXcQ", True),
        ("https://example.org/A.jpg", "https://example.org/a.jpg", False),
        ("https://example.org/a.jpg?b", "https://example.org/a.jpg", False),
        ("http://example.org/a.jpg", "https://example.org/a.jpg", False),
    ],
)
def test_urls_are_the_same_where_their_addresses_are(one: str, other: str, same: bool) -> None:
    keys = url_keys(pa.array([one, other]))
    assert (keys[0] == keys[1]).all() == same == (comparable_url(one) == comparable_url(other))


def test_a_url_key_is_the_media_id_of_what_the_crawl_keeps() -> None:
    url = "https://example.org/ä b.jpg?x=1"
    assert url_keys(pa.array([url])).astype(">u8").tobytes()[:12].hex() == media_id(url)


def test_no_text_of_a_set_is_lost_to_how_it_is_written() -> None:
    keys = text_keys(comparable_texts(pa.array(["Café au lait", "CAFE\u0301 AU LAIT!", "cafe au lait"])))
    assert (keys[0] == keys[1]).all()
    assert not (keys[0] == keys[2]).all()
    assert comparable_text("A-1 b_2") == "a1b2"
