"""Plain lists in every format: written from random entries, real files, and broken ones."""

from __future__ import annotations

import bz2
import csv
import gzip
import importlib.util
import io
import json
import random
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import VocabularyError
from curation.vocabulary.lists import read_list

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(str.strip)
SCORES = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 10**9).map(float))
PAIRS = st.lists(st.tuples(TEXTS, SCORES), min_size=1, max_size=8)
PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}
PACKED = st.sampled_from(list(PACKERS))


def written(folder: Path, name: str, content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    suffix = Path(name).suffix.lower()
    (folder / name).write_bytes(PACKERS[suffix](data) if suffix in PACKERS else data)
    return str(folder / name)


def csv_text(rows: list[list[object]], **options: object) -> str:
    out = io.StringIO()
    csv.writer(out, **options).writerows(rows)
    return out.getvalue()


def cells(pairs: list[tuple[str, float | None]]) -> list[list[object]]:
    return [[number, "" if score is None else repr(score), text] for number, (text, score) in enumerate(pairs)]


@given(PAIRS, PACKED, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\ufeff"]), st.booleans())
def test_txt(tmp_path_factory: pytest.TempPathFactory, pairs, packed, end, bom, ended) -> None:
    lines = [text for text, _ in pairs]
    lines[0] = lines[0].lstrip("\ufeff") or "a"
    content = bom + (end + "  " + end).join(lines) + (end if ended else "")
    path = written(tmp_path_factory.mktemp("txt"), f"list.txt{packed}", content)
    assert read_list(path) == [(line, None) for line in lines]


@given(PAIRS, PACKED, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_csv(tmp_path_factory: pytest.TempPathFactory, pairs, packed, end, named) -> None:
    header = ["id", "count", "term"] if named else ["id", "score", "entry"]
    content = csv_text([header, *cells(pairs), []], lineterminator=end)
    path = written(tmp_path_factory.mktemp("csv"), f"list.csv{packed}", content)
    assert read_list(path, **({"entry_column": "term", "score_column": "count"} if named else {})) == pairs


@given(PAIRS, PACKED)
def test_csv_and_tsv_without_header(tmp_path_factory: pytest.TempPathFactory, pairs, packed) -> None:
    folder = tmp_path_factory.mktemp("bare")
    path = written(folder, f"list.csv{packed}", csv_text(cells(pairs)))
    assert read_list(path, entry_column=3, score_column=2) == pairs
    assert read_list(path, entry_column=3) == [(text, None) for text, _ in pairs]
    tsv = written(folder, f"list.tsv{packed}", "".join("\t".join(map(str, row)) + "\n" for row in cells(pairs)))
    assert read_list(tsv, entry_column=3, score_column=2) == pairs


@given(PAIRS, PACKED, st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_json(tmp_path_factory: pytest.TempPathFactory, pairs, packed, bom) -> None:
    folder, texts = tmp_path_factory.mktemp("json"), [text for text, _ in pairs]
    scored = {text: score or 0.0 for text, score in pairs}
    assert read_list(written(folder, f"a.json{packed}", bom + json.dumps(texts).encode())) == [(t, None) for t in texts]
    assert read_list(written(folder, f"b.json{packed}", json.dumps(scored))) == list(scored.items())


@given(PAIRS, st.sampled_from([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]))
def test_parquet(tmp_path_factory: pytest.TempPathFactory, pairs, kind) -> None:
    folder = tmp_path_factory.mktemp("parquet")
    texts, scores = pa.array([text for text, _ in pairs]).cast(kind), pa.array([s for _, s in pairs], pa.float64())
    pq.write_table(pa.table({"x": scores, "score": scores, "entry": texts}), folder / "a.parquet")
    pq.write_table(pa.table({"term": texts, "views": scores}), folder / "b.parquet")
    assert read_list(str(folder / "a.parquet")) == pairs
    assert read_list(str(folder / "b.parquet"), entry_column="term", score_column="views") == pairs
    assert read_list(str(folder / "b.parquet"), entry_column="term") == [(text, None) for text, _ in pairs]


@given(st.lists(st.lists(TEXTS, max_size=3), min_size=1, max_size=400), PACKED)
def test_centibels(tmp_path_factory: pytest.TempPathFactory, buckets, packed) -> None:
    buckets[-1].append("last")
    data = msgspec.msgpack.encode([{"format": "cB", "version": 1}, *buckets])
    path = written(tmp_path_factory.mktemp("pack"), f"large_en.msgpack{packed}", data)
    expected = [(word, 10 ** (-position / 100)) for position, words in enumerate(buckets) for word in words]
    assert read_list(path) == [(word, pytest.approx(score)) for word, score in expected]


@pytest.mark.parametrize("name", ["tags.txt", "tags.TXT.GZ", "tags.json", "tags.csv"])
def test_hashes(tmp_path: Path, name: str) -> None:
    tags = [" #cat", "＃猫", "##dog", "c#", "#"]
    content = json.dumps(tags) if name.endswith("json") else "\n".join((["entry"] if "csv" in name else []) + tags)
    path = written(tmp_path, name, content)
    assert [text for text, _ in read_list(path, strip_hash=True)] == ["cat", "猫", "#dog", "c#", ""]
    assert [text for text, _ in read_list(path)] == tags


def test_quotes_and_urls(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'entry,score\r\n"das , was",4\r\n"say ""hi""",\r\n"two\nlines",1e3\r\n')
    assert read_list(path) == [("das , was", 4.0), ('say "hi"', None), ("two\nlines", 1000.0)]
    assert read_list(f"file://{path}") == read_list(path)
    assert read_list(written(tmp_path, "a.tsv", 'entry\n"quoted"\n\'hood\n')) == [('"quoted"', None), ("'hood", None)]


def real(folder: Path, name: str) -> Path:
    path = folder / "vocab" / name
    if not path.is_file():
        pytest.skip(f"no {path} (CURATION_REAL_DATA)")
    return path


def test_real_class_names(real_data: Path) -> None:
    path = real(real_data, "openimages_dict.csv")
    with path.open(newline="") as file:
        expected = [(row[1], None) for row in csv.reader(file)]
    assert read_list(str(path), entry_column=2) == expected
    assert ("volcanic landform", None) in expected
    with pytest.raises(VocabularyError, match="no column 'entry'"):
        read_list(str(path))
    for name in ("ram_tag_list_en.txt", "ram_tag_list_zh.txt"):
        tags = [text for text, _ in read_list(str(real(real_data, name)))]
        assert tags == real(real_data, name).read_text().rstrip("\n").split("\n")
        assert len(tags) == 4585


def test_real_counts(real_data: Path) -> None:
    for path in sorted(real(real_data, "google_ngrams/1grams_english.csv.gz").parent.glob("*.csv.gz")):
        with gzip.open(path, "rt", newline="") as file:
            expected = [(row["ngram"], float(row["freq"])) for row in csv.DictReader(file)]
        assert read_list(str(path), entry_column="ngram", score_column="freq") == expected


def test_real_word_frequencies() -> None:
    wordfreq = pytest.importorskip("wordfreq")
    folder = Path(importlib.util.find_spec("wordfreq").origin).parent / "data"
    entries = read_list(str(folder / "large_en.msgpack.gz"))
    assert len(entries) == len(dict(entries)) == 321_180
    assert dict(entries) == pytest.approx(wordfreq.get_frequency_dict("en", wordlist="large"))
    with pytest.raises(VocabularyError, match="no cBpack"):
        read_list(str(folder / "_chinese_mapping.msgpack.gz"))


PACK = msgspec.msgpack.encode([{"format": "cB", "version": 1}, [], ["a"]])
BROKEN = [
    ("a.txt", b"cat\ndog\xff\n", "line 2 is not UTF-8"),
    ("a.txt", "cat\n".encode("utf-16"), "line 1 is not UTF-8"),
    ("a.txt", bytes(range(256)), "is not UTF-8"),
    ("a.txt", "", "holds no entry"),
    ("a.txt", " \n\t\n\r\n", "holds no entry"),
    ("a.csv", "", "no column 'entry' .it has none"),
    ("a.csv", "entry,score\n", "holds no entry"),
    ("a.csv", "term,score\ncat,1\n", "no column 'entry' .it has 'term', 'score'"),
    ("a.csv", "score,entry\n1,cat\n2\n", "line 3 has 1 columns"),
    ("a.csv", "entry,score\ncat,1\ndog,many\n", "line 3: score 'many'"),
    ("a.csv", "entry,score\ncat,nan\n", "line 2: score 'nan'"),
    ("a.csv", "entry,score\ncat,-inf\n", "line 2: score '-inf'"),
    ("a.csv", 'entry,score\n"cat,1\n', "line 2 is no CSV"),
    ("a.csv", 'entry,score\n"cat"dog,1\n', "line 2 is no CSV"),
    ("a.csv", "entry\n" + "a" * 200_000, "line 2 is no CSV"),
    ("a.csv", b"entry\ncat\n\xff\n", "line 3 is not UTF-8"),
    ("a.tsv", "entry\rcat\r", "is no CSV"),
    ("a.json", "", "no list of strings"),
    ("a.json", '["cat", 1]', "no list of strings"),
    ("a.json", '{"cat": "many"}', "no list of strings"),
    ("a.json", '{"cat": NaN}', "no list of strings"),
    ("a.json", '["cat"', "no list of strings"),
    ("a.json", "[" * 1_000_000, "no list of strings"),
    ("a.json", "[]", "holds no entry"),
    ("a.json", b'["\xff"]', "no list of strings"),
    ("a.json", '["\\ud800"]', "no list of strings"),
    ("a.parquet", "no parquet at all", "no Parquet file"),
    ("a.parquet", "", "no Parquet file"),
    ("a.msgpack", b"\x91" * 1_000_000, "no cBpack"),
    ("a.msgpack", b"\xdd\xff\xff\xff\xff", "no cBpack"),
    ("a.msgpack", b"\x90", "no cBpack"),
    ("a.msgpack", PACK[:-1], "no cBpack"),
    ("a.msgpack", msgspec.msgpack.encode([["a"], ["b"]]), "no cBpack"),
    ("a.msgpack", msgspec.msgpack.encode([{"format": "cB", "version": 2}, ["b"]]), "no cBpack"),
    ("a.msgpack", msgspec.msgpack.encode([{"format": "cB", "version": 1}, {"b": 1}]), "no cBpack"),
    ("a.msgpack", msgspec.msgpack.encode([{"format": "cB", "version": 1}, [1]]), "no cBpack"),
    ("a.msgpack", b"\x92" + PACK[1:21] + b"\x91\xa1\xff", "no cBpack"),
    ("a.msgpack", msgspec.msgpack.encode([{"format": "cB", "version": 1}, []]), "holds no entry"),
    ("a.doc", "cat", "unknown kind of list"),
    ("a.gz", "cat", "unknown kind of list"),
    ("a.parquet.gz", "cat", "unknown kind of list"),
    ("txt", "cat", "unknown kind of list"),
]


@pytest.mark.parametrize(("name", "content", "complaint"), BROKEN)
def test_broken_lists_are_one_line_that_names_them(
    tmp_path: Path, name: str, content: str | bytes, complaint: str
) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(VocabularyError, match=complaint) as raised:
        read_list(path)
    assert path in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"entry": pa.array([1, 2])}, "column of entries is of type"),
        ({"entry": pa.array([b"\xff"])}, "column of entries is of type"),
        ({"entry": pa.array([["a"]])}, "column of entries is of type"),
        ({"entry": pa.array(["a"]), "score": pa.array(["many"])}, "no Parquet file of entries"),
        ({"entry": pa.array(["a"]), "score": pa.array([float("nan")])}, "score nan"),
        ({"term": pa.array(["a"])}, "no column 'entry' .it has 'term'"),
        ({"entry": pa.array([None], pa.string())}, "holds no entry"),
    ],
)
def test_parquet_of_other_columns(tmp_path: Path, columns: dict[str, pa.Array], complaint: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(VocabularyError, match=complaint):
        read_list(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    ("name", "columns", "complaint"),
    [
        ("a.txt", {"entry_column": "entry"}, "has no columns"),
        ("a.json", {"score_column": "score"}, "has no columns"),
        ("a.csv", {"entry_column": "other"}, "no column 'other'"),
        ("a.csv", {"score_column": "other"}, "no column 'other'"),
        ("a.csv", {"entry_column": 0}, "count them from 1"),
        ("a.csv", {"entry_column": 1, "score_column": -1}, "count them from 1"),
        ("a.csv", {"entry_column": 1, "score_column": "score"}, "give names, or numbers"),
        ("a.csv", {"score_column": 1}, "give names, or numbers"),
        ("a.csv", {"entry_column": 9}, "line 1 has 2 columns"),
    ],
)
def test_columns_that_do_not_fit(tmp_path: Path, name: str, columns: dict[str, str | int], complaint: str) -> None:
    path = written(tmp_path, name, '["cat"]' if name == "a.json" else "entry,score\ncat,1\n")
    with pytest.raises(VocabularyError, match=complaint):
        read_list(path, **columns)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    words = "\n".join(f"{random.Random(number).random()}" for number in range(1000)).encode()
    damaged = bytearray(gzip.compress(words))
    damaged[len(damaged) // 2] ^= 255
    files = {"cut.txt.gz": gzip.compress(words)[:-100], "cut.txt.bz2": bz2.compress(words)[:-100], "no.txt.gz": words}
    for name, content in (files | {"no.txt.bz2": words, "damaged.txt.gz": bytes(damaged)}).items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(VocabularyError, match=f"cannot read .*{name}"):
            read_list(str(tmp_path / name))
    (tmp_path / "folder.txt").mkdir()
    for name in ("missing.txt", "missing.parquet", "folder.txt", "nul\0.txt"):
        with pytest.raises(VocabularyError, match="cannot read"):
            read_list(str(tmp_path / name))
    for url in ("nosuch://host/list.txt", "http://127.0.0.1:9/list.txt", f"file://{tmp_path}/missing.txt"):
        with pytest.raises(VocabularyError, match="cannot read"):
            read_list(url)
