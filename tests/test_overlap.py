"""Overlap with another set, against what it is defined to be."""

from __future__ import annotations

import csv
import hashlib
import json
import pickle
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.crawl.urls import media_id
from curation.errors import CurationError, InputError
from curation.media.fingerprints import hamming
from curation.overlap import KEYS, Overlap
from curation.overlap_files import set_files
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.schemas import MANIFEST
from curation.testing.manifests import write_manifest

_TEXT = "The old lighthouse at the end of the pier"
_URL = "https://example.org/a.jpg"
_SHA = hashlib.sha256(b"a").hexdigest()


def rows(**columns: list[Any]) -> pa.Table:
    """Rows of a manifest with some of its columns; texts as plain texts."""
    made = {}
    for name, values in columns.items():
        kind = MANIFEST.schema.field(name).type
        if name == "texts":
            empty = dict.fromkeys(field.name for field in kind.value_type)
            told = [[{**empty, "text": text} for text in texts] for texts in values]
            made[name] = pa.array(told, pa.list_(pa.struct([field.with_nullable(True) for field in kind.value_type])))
        else:
            made[name] = pa.array(values, kind)
    return pa.table(made)


def _letters(text: str) -> str:
    """Letters and digits by their definition: category L or N, of the text in NFKC without case."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(sign for sign in folded if sign.isalnum())


def load(path: Path | str, by: tuple[str, ...] = KEYS, *, distance: int = 4, chars: int = 20) -> Overlap:
    return Overlap.load(str(path), list(by), distance, chars)


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path



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
        ("a.csv", "url,phash\na.jpg,0\n", r"only hashes of flat pictures \(1\), addresses that are no absolute"),
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
    with pytest.raises(InputError, match=r"column url holds list<.*which cannot be compared"):
        load(tmp_path / "b.parquet")


def test_nothing_there(tmp_path: Path) -> None:
    for location in (tmp_path / "none.csv", tmp_path / "none" / "*.csv", tmp_path):
        with pytest.raises(InputError):
            load(location)
    (tmp_path / "_runs").mkdir()
    (tmp_path / "_runs" / "x").touch()
    with pytest.raises(CurationError, match="has no manifest yet"):
        load(tmp_path)


def test_a_work_folder_by_its_url(tmp_path: Path) -> None:
    """Its name may end in what looks like the ending of a file."""
    table = write_manifest(tmp_path / "run-2026.11", 20)
    known = Catalog(table, ALL_STAGES).files(MANIFEST.name)
    assert known
    found = load(f"file://{tmp_path}/run-2026.11", ("url",))
    assert found.fingerprint == load(tmp_path / "run-2026.11", ("url",)).fingerprint
    assert len(set_files(f"file://{tmp_path}/run-2026.11")) == len(known)


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"url": _URL}])
    with pytest.raises(InputError, match="cannot compare by colour: choose of url, sha256, phash, text"):
        load(path, ("url", "colour"))
    with pytest.raises(InputError, match="cannot compare by nothing"):
        load(path, ())
    with pytest.raises(InputError, match="no column sha256, fetched_sha256; the file has url"):
        load(path, ("sha256",))
