"""Overlap with another set, against what it is defined to be."""

from __future__ import annotations

import csv
import hashlib
import json
import pickle
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.crawl.urls import media_id
from curation.errors import CurationError, InputError
from curation.media.fingerprints import FLAT, hamming
from curation.media.hash_index import HashIndex
from curation.overlap import KEYS, Overlap
from curation.overlap_keys import KeySet, comparable_text, comparable_texts, comparable_url, text_keys, url_keys
from curation.schemas import MANIFEST

_TEXT = "The old lighthouse at the end of the pier"
_URL = "https://example.org/a.jpg"
_SHA = hashlib.sha256(b"a").hexdigest()


def rows(**columns: list[Any]) -> pa.Table:
    """Rows of a manifest with some of its columns; texts as plain texts."""
    made = {}
    for name, values in columns.items():
        kind = MANIFEST.schema.field(name).type
        if name == "texts":
            values = [[dict.fromkeys((field.name for field in kind.value_type)) | {"text": text} for text in texts]
                      for texts in values]  # fmt: skip
            kind = pa.list_(pa.struct([field.with_nullable(True) for field in kind.value_type]))
        made[name] = pa.array(values, kind)
    return pa.table(made)


def load(path: Path | str, by: tuple[str, ...] = KEYS, *, distance: int = 4, chars: int = 20) -> Overlap:
    return Overlap.load(str(path), list(by), distance, chars)


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


# near hashes

_HASH = st.integers(0, 2**64 - 1)


@st.composite
def hash_sets(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Listed hashes, asked ones that are a few bits from these or anything, and a distance."""
    listed = draw(st.lists(_HASH, max_size=12))
    distance = draw(st.integers(0, 16))
    asked = draw(st.lists(_HASH, max_size=4))
    for value in draw(st.lists(st.sampled_from(listed), max_size=8)) if listed else []:
        for bit in draw(st.lists(st.integers(0, 63), max_size=20, unique=True)):
            value ^= 1 << bit
        asked.append(value)
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


# whole sets


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_rows_are_found_by_the_first_key_that_matches(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Against the definition, key by key and row by row."""
    number = st.integers(0, 4)
    texts = st.lists(st.sampled_from([_TEXT, _TEXT.upper() + "!", "a dog", "Ein alter Leuchtturm am Pier, 1902", ""]))
    row = st.tuples(number, number, number, st.integers(0, 2**64 - 1) | number, texts)
    other = data.draw(st.lists(row, min_size=1, max_size=6))
    own = data.draw(st.lists(row, max_size=8))
    path = tmp_path_factory.mktemp("set") / "other.jsonl"

    def url(number: int) -> str:
        return f"https://example.org/{number}"

    def sha(number: int) -> str:
        return hashlib.sha256(bytes([number])).hexdigest()

    write(path, [{"url": url(a), "sha256": sha(b), "fetched_sha256": sha(c), "phash": d, "texts": e}
                 for a, b, c, d, e in other])  # fmt: skip
    table = rows(
        media_url=[url(row[0]) for row in own],
        sha256=[sha(row[1]) for row in own],
        fetched_sha256=[sha(row[2]) for row in own],
        phash=[row[3] for row in own],
        texts=[row[4] for row in own],
    )

    def by(a: Any, b: Any) -> dict[str, bool]:
        letters = [{_letters(text) for text in side[4] if len(_letters(text)) >= 20} for side in (a, b)]
        return {
            "url": a[0] == b[0],
            "sha256": bool({a[1], a[2]} & {b[1], b[2]}),
            "phash": 0 not in {a[3], b[3]} and hamming(a[3], b[3]) <= 4,
            "text": bool(letters[0] & letters[1]),
        }

    expected = [[key for key in KEYS if any(by(row, each)[key] for each in other)] for row in own]
    found = load(path)
    assert found.found(table).to_pylist() == [keys[0] if keys else None for keys in expected]
    for key in KEYS:
        assert found.matches(table, key).tolist() == [key in keys for keys in expected]
    for batch in table.to_batches(max_chunksize=3):
        assert found.found(batch).equals(found.found(pa.Table.from_batches([batch])))


def test_nulls_missing_columns_and_slices_match_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"url": _URL, "sha256": _SHA, "phash": "00000000000000ff", "text": _TEXT}])
    found = load(path)
    assert found.by == KEYS
    table = rows(fetched_sha256=[None, _SHA, None], phash=[None, None, 255], texts=[[], [], []])
    assert found.found(table).to_pylist() == [None, "sha256", "phash"]
    assert found.found(table.slice(1, 2)).to_pylist() == ["sha256", "phash"]
    assert found.found(rows(texts=[["x"], [_TEXT], []]).slice(1)).to_pylist() == ["text", None]
    both = rows(texts=[[_TEXT], [], []]).append_column("text", pa.array([None, _TEXT, _TEXT]))
    assert found.found(both).to_pylist() == ["text", None, None]  # the chosen one is among texts where there are some
    both = both.set_column(0, "texts", pa.array([None, [], None], both.schema.field("texts").type))
    assert found.found(both).to_pylist() == [None, None, "text"]
    assert found.found(pa.table({"text": [_TEXT, None]})).to_pylist() == ["text", None]
    assert found.found(pa.table({"other": [1, 2]})).to_pylist() == [None, None]
    assert found.found(rows(sha256=["no hash", _SHA.upper()])).to_pylist() == [None, "sha256"]


def test_all_shapes_of_files_give_the_same_set(tmp_path: Path) -> None:
    lines = [
        {"media_url": _URL, "sha256": _SHA, "phash": 255, "caption": _TEXT},
        {"media_url": "https://example.org/b.jpg", "sha256": None, "phash": 2**64 - 1, "caption": 'Say "hi", ' + _TEXT},
        {"media_url": None, "sha256": None, "phash": None, "caption": None},
    ]
    columns = {name: [line[name] for line in lines] for name in lines[0]}
    table = pa.table(columns | {"phash": pa.array(columns["phash"], pa.uint64())})
    pq.write_table(table.set_column(3, "caption", table["caption"].dictionary_encode()), tmp_path / "a.parquet")
    write(tmp_path / "a.jsonl", lines)
    for name, delimiter in (("a.csv", ","), ("a.tsv", "\t")):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(
                {**line, "phash": "" if line["phash"] is None else f"{line['phash']:016x}"} for line in lines
            )
    prints = {name: load(tmp_path / name).fingerprint for name in ("a.parquet", "a.jsonl", "a.csv", "a.tsv")}
    assert len(set(prints.values())) == 1, prints
    (tmp_path / "a.txt").write_text(
        f"{_URL}\n\nhttps://example.org/b.jpg\n{_SHA}\n00000000000000ff\nffffffffffffffff\n{_TEXT}\n"
        f'Say "hi", {_TEXT}\n'
    )
    assert load(tmp_path / "a.txt").fingerprint == prints["a.csv"]


def test_a_glob_and_a_folder_take_several_files(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"url": _URL}])
    write(tmp_path / "b.jsonl", [{"text": _TEXT}])
    for location in (tmp_path, tmp_path / "*.jsonl"):
        found = load(location)
        assert found.by == ("url", "text")
        assert found.found(rows(media_url=[_URL, None], texts=[[], [_TEXT]])).to_pylist() == ["url", "text"]


def test_lists_of_texts_and_of_objects(tmp_path: Path) -> None:
    long = ["A second text of some good length", "A third text of some good length"]
    write(tmp_path / "a.jsonl", [{"captions": [_TEXT, long[0]]}, {"texts": [{"text": long[1], "lang": "en"}]}, {}])
    table = rows(texts=[[_TEXT], [long[0]], [long[1]], ["Another one, which is not in the set"]])
    assert load(tmp_path / "a.jsonl").found(table).to_pylist() == ["text"] * 3 + [None]
    pq.write_table(rows(texts=[[_TEXT, long[0]], [long[1]], []]), tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").found(table).to_pylist() == ["text"] * 3 + [None]


def test_media_ids_are_compared_with_the_samples(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [{"media_id": media_id(_URL)}, {"media_id": "7"}])
    found = load(tmp_path / "a.jsonl")
    assert found.sizes["url"] == found.left_out["no_media_id"] == 1
    assert found.found(rows(media_url=[_URL, "https://example.org/z"])).to_pylist() == ["url", None]
    assert found.found(rows(media_id=[media_id(_URL), "x"])).to_pylist() == ["url", None]


def test_short_texts_and_flat_hashes_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": "a dog", "phash": 0, "url": "a.jpg"}, {"text": _TEXT}])
    found = load(path, chars=5)
    assert dict(found.left_out) == {"short_text": 1, "flat_phash": 1, "no_url": 1}
    assert found.by == ("text",)
    assert load(path, chars=4).found(rows(texts=[["A dog!"]])).to_pylist() == ["text"]
    assert load(path, chars=5).found(rows(texts=[["A dog!"]], phash=[0])).to_pylist() == [None]


def test_a_pickled_set_is_its_location_and_settings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": f"A rather long text with a number, {n}"} for n in range(10_000)])
    found = load(path)
    packed = pickle.dumps(found)
    assert len(packed) < 1000
    assert pickle.loads(packed).fingerprint == found.fingerprint
    assert load(path) is found  # read once per process
    write(path, [{"text": "Something else, and long enough"}])
    assert load(path).fingerprint != found.fingerprint
    with pytest.raises(InputError, match="changed while it was compared with"):
        pickle.loads(packed)


def test_the_fingerprint_depends_on_content_and_settings_alone(tmp_path: Path) -> None:
    lines = [{"text": f"A rather long text with a number, {n}", "phash": n} for n in range(10)]
    one, other = write(tmp_path / "a.jsonl", lines), write(tmp_path / "b.jsonl", [*lines[::-1], lines[0]])
    assert load(one).fingerprint == load(other).fingerprint
    different = {load(one, distance=3).fingerprint, load(one, chars=21).fingerprint, load(one, ("text",)).fingerprint,
                 load(one).fingerprint}  # fmt: skip
    assert len(different) == 4


@pytest.mark.parametrize(
    ("values", "hashes"),
    [
        (["00000000000000ff"], [255]),
        (["1111111111111111"], [0x1111111111111111]),  # 16 digits: hex, unless others are numbers
        (["1111111111111111", "42"], [1111111111111111, 42]),
        (["1111111111111111", "FFFFFFFFFFFFFFFF"], [0x1111111111111111, 2**64 - 1]),
        (["-1", "18446744073709551614"], [2**64 - 1, 2**64 - 2]),
    ],
)
def test_hashes_as_text(tmp_path: Path, values: list[str], hashes: list[int]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("phash\n" + "\n".join(values) + "\n")
    assert load(path, distance=0).found(rows(phash=hashes)).to_pylist() == ["phash"] * len(hashes)
    lines = [{"phash": value} for value in values]
    assert load(write(tmp_path / "a.jsonl", lines)).fingerprint == load(path).fingerprint


def test_hashes_as_signed_numbers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"phash": pa.array([-1, None, 5], pa.int64())}), tmp_path / "a.parquet")
    found = load(tmp_path / "a.parquet", distance=0)
    assert found.found(rows(phash=[2**64 - 1, 5, 6, None])).to_pylist() == ["phash", "phash", None, None]


# what cannot be read or compared is an error that says where


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "a,b\n1,2\n", r"a\.csv: no column url, .*; the file has a, b"),
        ("a.jsonl", '{"a": 1}\n', "no column url"),
        ("a.csv", "url,text\nhttps://a.org/1,x\nhttps://a.org/2\n", r"a\.csv, row 2: 1 fields, but the header has 2"),
        ("a.jsonl", '{"url": "https://a.org/1"}\n{"url": \n', r"a\.jsonl, row 2: "),
        ("a.jsonl", '{"url": 7}\n', r"a\.jsonl, row 1: column url holds int, not text"),
        ("a.jsonl", '{"texts": ["x", 7]}\n', r"a\.jsonl, row 1: column texts holds int, not text"),
        ("a.csv", "phash\n12g\n", r"a\.csv, row 1: '12g' in column phash is no perceptual hash: write 16 hex"),
        ("a.csv", "phash\n5\nabcdefabcdefabc\n", "row 2: 'abcdefabcdefabc' in column phash"),
        ("a.csv", "phash\n99999999999999999999\n", "row 1: '99999999999999999999' in column phash"),
        ("a.csv", "phash\n5\nabcdefabcdefabcd\n1111111111111111\n", "both hex digits and whole numbers"),
        ("a.jsonl", '{"phash": 18446744073709551616}\n', "column phash holds int, not text"),
        ("a.csv", "sha256\nabc\n", r"a\.csv, row 1: 'abc' in column sha256 is no SHA-256: write 64 hex digits"),
        ("a.csv", "", "no column"),
        ("a.csv", "url\n", "holds nothing to compare by url, sha256, phash, text"),
        ("a.txt", "\n\n", "holds nothing to compare"),
        ("a.txt", "a dog\na cat\n", r"only texts of fewer than 20 letters and digits \(2\)"),
        ("a.csv", "url,phash\na.jpg,0\n", r"only hashes of flat pictures \(1\), addresses that are no absolute http or https URL \(1\)"),
        ("a.zip", "x", "has a name of no known kind: give .txt"),
        ("a.parquet", "no parquet", "no readable Parquet file"),
        ("a.txt.gz", "\x1f\x8b broken", "a.txt.gz"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a line\n\xff\xfe broken, and long enough to be compared\n")
    with pytest.raises(InputError, match=r"a\.txt, row 2: column text holds 'utf-8' codec"):
        load(tmp_path / "a.txt")


def test_columns_of_types_that_cannot_be_compared(tmp_path: Path) -> None:
    pq.write_table(pa.table({"phash": pa.array([1.5, None])}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="column phash holds double, which cannot be compared"):
        load(tmp_path / "a.parquet")
    pq.write_table(pa.table({"url": pa.array([[1]])}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="column url holds list<.*which cannot be compared"):
        load(tmp_path / "b.parquet")


def test_nothing_there(tmp_path: Path) -> None:
    for location in (tmp_path / "none.csv", tmp_path / "none" / "*.csv", tmp_path):
        with pytest.raises(InputError):
            load(location)
    (tmp_path / "_runs").mkdir()
    (tmp_path / "_runs" / "x").touch()
    with pytest.raises(CurationError, match="has no manifest yet"):
        load(tmp_path)


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"url": _URL}])
    with pytest.raises(InputError, match="cannot compare by colour: choose of url, sha256, phash, text"):
        load(path, ("url", "colour"))
    with pytest.raises(InputError, match="cannot compare by nothing"):
        load(path, ())
    with pytest.raises(InputError, match="no column sha256, fetched_sha256; the file has url"):
        load(path, ("sha256",))


def test_no_text_of_a_set_is_lost_to_how_it_is_written() -> None:
    keys = text_keys(comparable_texts(pa.array(["Café au lait", "CAFE\u0301 AU LAIT!", "cafe au lait"])))
    assert (keys[0] == keys[1]).all()
    assert not (keys[0] == keys[2]).all()
    assert re.fullmatch(r"[a-z0-9]+", comparable_text("A-1 b_2"))
