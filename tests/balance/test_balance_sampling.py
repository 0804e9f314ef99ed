"""Ids, hashes and draws: bytes fixed by golden vectors, independent between salts, no dependence on the layout."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.balance import SALTS, hashes, pair_id, pair_ids, pick_one, uniforms
from curation.errors import BalanceError

WORD = 2**64
IDS = st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def mixed(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % WORD
    return word ^ (word >> 31)


def defined_hash(identity: str, seed: int, salt: int) -> int:
    """The module's definition in plain integers."""
    key = mixed(mixed((seed + 0x9E3779B97F4A7C15) % WORD) ^ salt)
    return mixed(mixed(int(identity[:16], 16) ^ key) ^ int(identity[16:], 16))


def many(number: int) -> pa.Array:
    return pair_ids(pa.array([f"{row:024x}" for row in range(number)]), pa.array(["a text"] * number))


@settings(deadline=None)
@given(st.lists(IDS, max_size=20), st.integers(0, 2**63 - 1), st.sampled_from([*SALTS, *SALTS.values(), 0, WORD - 1]))
def test_hashes_and_draws_are_the_definition(ids: list[str], seed: int, salt: int | str) -> None:
    expected = [defined_hash(identity, seed, SALTS[salt] if isinstance(salt, str) else salt) for identity in ids]
    column = pa.array(ids, pa.string())
    assert hashes(column, seed, salt).tolist() == expected
    assert hashes(column, seed, salt).dtype == np.uint64
    assert uniforms(column, seed, salt).tolist() == [(number >> 11) / 2**53 for number in expected]


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=20))
def test_pair_ids_are_pair_id_of_each_row(rows: list[tuple[str, str]]) -> None:
    media, texts = (pa.array([row[side] for row in rows], pa.string()) for side in (0, 1))
    found = pair_ids(media, texts)
    assert found.type == pa.string()
    found.validate(full=True)
    assert found.to_pylist() == [pair_id(*row) for row in rows]
    assert pair_ids(media.cast(pa.large_string()), pa.chunked_array([texts])).equals(found)
    assert pair_ids(media[3:], texts[3:]).equals(found[3:])


def test_golden_pair_ids() -> None:
    assert pair_id("", "") == xxhash.xxh3_128_hexdigest(b"\x00") == "a6cd5e9392000f6ac44bdff4074eecdb"
    assert pair_id("ab12", "a photo of a cat") == "faee6923bab60a18bc65bee8e5f0ea8b"
    assert pair_id("ab12", "Grüße, 世界 🌍") == "f7b63d9b4b935ed820b007f24a3298fd"
    assert pair_id("ab12", "x" * 1000) == "115134b712a00fe167660e060d520b9f"


def test_golden_hashes() -> None:
    ids = pa.array(["0" * 32, "f" * 32, "0123456789abcdef" * 2])
    golden = {
        "draw": ["9b2dfcb7e5385f4e", "40544f3390571057", "f8cb2c18fe28d37f"],
        "pick": ["8dc7be12a7ac064b", "b854569ce53153e3", "f6d29e4cac4ec733"],
        "split": ["1a07502f6965ac77", "73260bbc6e604523", "439b443c9a883a14"],
        "shuffle": ["fbf4dfaadb94a601", "9fe908acbbac446c", "70fb8e933bdd6861"],
        "sample": ["4b34cd285bbc8ed5", "4311303bb653c2dd", "53826df78ea81ace"],
        "recaption": ["0af63a1ab0f27c31", "9534277cdc51d0c9", "dfb65efbb0d83434"],
    }
    assert {name: [f"{number:016x}" for number in hashes(ids, 0, name).tolist()] for name in SALTS} == golden
    assert [f"{number:016x}" for number in hashes(ids, 2**63 - 1, "draw").tolist()] == [
        "688ac747525e4db4",
        "903ce58d4102afaf",
        "0e89353af9a26341",
    ]
    assert [draw.hex() for draw in uniforms(ids, 0, "draw").tolist()] == [
        "0x1.365bf96fca70bp-1",
        "0x1.01513cce415c4p-2",
        "0x1.f1965831fc51ap-1",
    ]


def test_salts_are_what_their_comment_says() -> None:
    assert set(SALTS) >= {"draw", "pick", "split", "shuffle"}
    for name, salt in SALTS.items():
        assert salt == int.from_bytes(hashlib.sha256(b"curation.balance:" + name.encode()).digest()[:8])
    with pytest.raises(TypeError):
        SALTS["draw"] = 0  # type: ignore[index]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_layout_does_not_matter(kind: pa.DataType) -> None:
    ids = many(1000)
    whole = hashes(ids, 5, "draw")
    column = ids.dictionary_encode() if pa.types.is_dictionary(kind) else ids.cast(kind)
    assert np.array_equal(hashes(column, 5, "draw"), whole)
    assert np.array_equal(hashes(column[333:777], 5, "draw"), whole[333:777])
    assert np.array_equal(hashes(pa.chunked_array([column[:10], column[10:10], column[10:]]), 5, "draw"), whole)
    assert hashes(column[:0], 5, "draw").shape == (0,)


def test_draws_are_uniform_and_salts_and_seeds_independent() -> None:
    ids = many(200_000)
    draws = [uniforms(ids, 0, name) for name in SALTS] + [uniforms(ids, seed, "draw") for seed in (1, 2, 2**62)]
    for u in draws:
        assert u.min() >= 0 and u.max() < 1
        cells = np.bincount((u * 1000).astype(int), minlength=1000)
        assert ((cells - 200) ** 2 / 200).sum() < 1200  # chi-squared with 999 degrees of freedom: 4.5 sigma
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 5 / np.sqrt(len(ids))
    for other in draws[1:]:
        both = np.mean((draws[0] < 0.1) & (other < 0.1))
        assert both == pytest.approx(0.01, abs=5 * np.sqrt(0.01 / len(ids)))


def test_picking_and_drawing_with_one_salt_would_be_biased() -> None:
    ids = many(200_000)
    media = pa.array(np.repeat(np.arange(100_000), 2)).cast(pa.string())
    u = uniforms(ids, 0, "draw")
    apart = pick_one(media, hashes(ids, 0, "pick"), ids)
    assert np.mean(u[apart] < 0.3) == pytest.approx(0.30, abs=0.01)
    same = pick_one(media, hashes(ids, 0, "draw"), ids)
    assert np.mean(u[same] < 0.3) == pytest.approx(0.51, abs=0.01)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), IDS), max_size=30))
def test_pick_one_takes_the_smallest_hash_then_the_smaller_id(rows: list[tuple[int, int, str]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    media = pa.array([str(row[0]) for row in rows], pa.string())
    ids = pa.array([row[2] for row in rows], pa.string())
    mask = pick_one(media, np.array([row[1] for row in rows], np.uint64), ids)
    assert mask.dtype == np.bool_ and mask.shape == (len(rows),)
    picked = [row for row, chosen in zip(rows, mask, strict=True) if chosen]
    assert picked == [min(row for row in rows if row[0] == group) for group in sorted({row[0] for row in rows})]


def test_picks_are_even_among_a_medias_texts() -> None:
    ids = many(90_000)
    media = pa.array(np.repeat(np.arange(30_000), 3)).cast(pa.string())
    mask = pick_one(media, hashes(ids, 3, "pick"), ids).reshape(-1, 3)
    assert np.all(mask.sum(axis=1) == 1)
    assert mask.mean(axis=0) == pytest.approx([1 / 3] * 3, abs=0.01)


@pytest.mark.parametrize(
    "bad", ["", "0" * 31, "0" * 33, "G" * 32, "0" * 31 + "F", "0" * 31 + "g", "é" * 16, " " + "0" * 31, "/" + "0" * 31]
)
def test_malformed_ids_are_named(bad: str) -> None:
    with pytest.raises(BalanceError, match=r"row 1: .* is no id"):
        hashes(pa.array(["0" * 32, bad]), 0, "draw")


def test_bad_arguments_are_errors() -> None:
    ids = pa.array(["0" * 32])
    for seed, salt in ((-1, 0), (WORD, 0), (0, -1), (0, WORD)):
        with pytest.raises(BalanceError, match="2\\*\\*64"):
            uniforms(ids, seed, salt)
    with pytest.raises(BalanceError, match="no salt named 'drow'"):
        uniforms(ids, 0, "drow")
    with pytest.raises(BalanceError, match="1 of 2 rows have no id"):
        hashes(pa.array(["0" * 32, None]), 0, "draw")
    with pytest.raises(BalanceError, match="column of strings, not of int64"):
        hashes(pa.array([1]), 0, "draw")
    with pytest.raises(BalanceError, match="no text"):
        pair_ids(pa.array(["a"]), pa.array([None], pa.string()))
    with pytest.raises(BalanceError, match="one text per media id"):
        pair_ids(pa.array(["a"]), pa.array(["b", "c"]))
    with pytest.raises(BalanceError, match="one per row"):
        pick_one(ids, np.zeros(2, np.uint64), ids)
    with pytest.raises(BalanceError, match="not Unicode"):
        pair_id("a", "\ud800")
