"""Vocabularies: from lists, from files of every kind, and everything that can be wrong with them."""

import gzip
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.concepts import Vocabulary, packaged, packaged_folder, vocabulary, vocabulary_files
from curation.errors import VocabularyError

ENTRIES = ["cat", "#hashtag", "black cat", "猫", " spaced ", "x\u2028y", "a\x0bb", '"quoted"', "cat "]
# Characters that part lines or columns cannot be part of an entry in a text file.
line_entries = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\t\ufeff")).filter(lambda e: e.strip()),
    min_size=1, unique=True,
)  # fmt: skip


def write(path: Path, entries: list[str]) -> str:
    kind = path.name.removesuffix(".gz")
    text = {
        "list.txt": "\n".join(entries) + "\n",
        "list.tsv": "".join(f"{entry}\tsource,{i}\textra\n" for i, entry in enumerate(entries)),
        "list.json": json.dumps(entries),
    }[kind]
    content = text.encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


TEXT_FILES = ["list.txt", "list.tsv", "list.json", "list.txt.gz", "list.tsv.gz", "list.json.gz"]


@given(entries=line_entries)
def test_text_files_give_back_the_entries_they_were_written_from(tmp_path_factory, entries):
    folder = tmp_path_factory.mktemp("lists")
    for name in TEXT_FILES:
        loaded = Vocabulary.load(write(folder / name, entries), "en")
        assert loaded.entries.to_pylist() == entries
        assert loaded.duplicates_dropped == 0


@pytest.mark.parametrize("name", TEXT_FILES)
def test_first_of_repeated_entries_is_kept(tmp_path, name):
    loaded = Vocabulary.load(write(tmp_path / name, [*ENTRIES, "cat", "猫", "dog", "cat"]), "en", definition="v2")
    assert loaded.entries.to_pylist() == [*ENTRIES, "dog"]
    assert loaded.duplicates_dropped == 3
    assert isinstance(loaded.entries, pa.StringArray)
    assert (loaded.lang, loaded.definition, len(loaded)) == ("en", "v2", len(ENTRIES) + 1)


def test_blank_lines_and_line_ends(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_bytes("\ufeffcat\r\n\r\n   \n\t\ndog\r\n\n#1".encode())
    assert Vocabulary.load(str(path), "en").entries.to_pylist() == ["cat", "dog", "#1"]


def test_tsv_lines_without_an_entry_are_ignored(tmp_path):
    path = tmp_path / "list.tsv"
    path.write_text("cat\twordnet\n\twordnet\ndog\n")
    assert Vocabulary.load(str(path), "en").entries.to_pylist() == ["cat", "dog"]


def test_parquet_with_and_without_ids(tmp_path):
    path = str(tmp_path / "list.parquet")
    pq.write_table(pa.table({"entry": ["cat", "dog", "cat"], "count": [1, 2, 3]}), path)
    loaded = Vocabulary.load(path, "en")
    assert (loaded.entries.to_pylist(), loaded.duplicates_dropped) == (["cat", "dog"], 1)
    entries = pa.array(["cat", "dog", "ant"]).cast(pa.large_string()).dictionary_encode()
    pq.write_table(pa.table({"entry": entries, "entry_id": [2, 0, 1]}), path)
    assert Vocabulary.load(path, "en").entries.to_pylist() == ["dog", "ant", "cat"]


def test_fsspec_urls():
    with fsspec.open("memory://lists/list.tsv.gz", "wb") as file:
        file.write(gzip.compress(b"cat\t1\ndog\t2\n"))
    assert Vocabulary.load("memory://lists/list.tsv.gz", "en").entries.to_pylist() == ["cat", "dog"]


def test_starter_lists(tmp_path, monkeypatch):
    (tmp_path / "de.txt").write_text("Katze\nHund\n")
    monkeypatch.setattr(packaged, "packaged_folder", lambda _: tmp_path)
    assert Vocabulary.load("demo:de", "de").entries.to_pylist() == ["Katze", "Hund"]
    for bad in ["demo:xx", "demo:", "demo:../de", "demo:/etc/passwd"]:
        with pytest.raises(VocabularyError, match=r"no demo vocabulary .*: choose one of de$"):
            Vocabulary.load(bad, "de")


def test_the_folder_of_packaged_vocabularies_prefers_the_wheels_own_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(packaged, "__file__", str(tmp_path / "curation" / "concepts" / "packaged.py"))
    with pytest.raises(VocabularyError, match="reinstall"):
        packaged_folder("demo")
    checkout = tmp_path / "metadata" / "demo"
    checkout.mkdir(parents=True)
    assert packaged_folder("demo") == checkout
    wheel = tmp_path / "curation" / "_data" / "metadata" / "demo"
    wheel.mkdir(parents=True)
    assert packaged_folder("demo") == wheel


def test_from_entries_keeps_positions():
    made = Vocabulary.from_entries(iter(["cat", "", "cat", " "]))
    assert made.entries.to_pylist() == ["cat", "", "cat", " "]
    assert (made.lang, made.definition, made.duplicates_dropped) == ("en", "v1", 0)
    assert Vocabulary.from_entries(pa.chunked_array([["a"], ["b", "a"]])).entries.to_pylist() == ["a", "b", "a"]


def test_fingerprint_changes_with_language_definition_and_entries():
    prints = [
        Vocabulary.from_entries(["ab", "c"]).fingerprint,
        Vocabulary.from_entries(["a", "bc"]).fingerprint,
        Vocabulary.from_entries(["c", "ab"]).fingerprint,
        Vocabulary.from_entries(["ab", "c", ""]).fingerprint,
        Vocabulary.from_entries(["ab", "c"], "de").fingerprint,
        Vocabulary.from_entries(["ab", "c"], definition="v2").fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    sliced = pa.array(["x", "ab", "c", "y"]).slice(1, 2)
    assert Vocabulary.from_entries(sliced).fingerprint == prints[0] == "d61f323ec61ea51d6b40be061dd63db1"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "has no entries"),
        (["a", 1], "entry 1 is 1, not a string"),
        (["a", None], "entry 1 is None, not a string"),
        ([b"a"], "not a string"),
        ("cat", "got one string"),
        (["\ud800"], "half a character"),
        (pa.array([1]), "entries are int64, not strings"),
        (pa.array(["a", None]), "1 entries are null"),
    ],
)
def test_bad_lists_are_refused_in_one_line(entries, message):
    with pytest.raises(VocabularyError, match=message) as caught:
        Vocabulary.from_entries(entries)
    assert "\n" not in str(caught.value)


def test_too_many_entries(monkeypatch):
    monkeypatch.setattr(vocabulary, "MAX_ENTRIES", 2)
    with pytest.raises(VocabularyError, match="has 3 entries, ids reach 2"):
        Vocabulary.from_entries(["a", "b", "c"])


def test_unknown_definition():
    with pytest.raises(VocabularyError, match="unknown definition 'v3': choose one of v1, v2"):
        Vocabulary.from_entries(["a"], definition="v3")


BAD_FILES = {
    "missing.txt": (None, "no vocabulary at .*missing.txt: give a"),
    "empty.txt": (b"", "has no entries"),
    "blank.txt": (b"\n \n\n", "has no entries"),
    "latin.txt": ("ok\ncafé\n".encode("latin-1"), "line 2 is not UTF-8"),
    "list.csv": (b"a,b", "unknown kind of file"),
    "list.parquet.gz": (b"", "unknown kind of file"),
    "torn.txt.gz": (gzip.compress(b"cat\n" * 1000)[:-12], "no whole gzip file"),
    "plain.txt.gz": (b"cat\n", "no whole gzip file"),
    "broken.json": (b'["a",', "is no JSON"),
    "object.json": (b'{"a": 1}', "holds dict"),
    "numbers.json": (b'["a", 1]', "entry 1 is 1, not a string"),
    "broken.parquet": (b"PAR1", "no readable Parquet"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_in_one_line(tmp_path, name):
    content, message = BAD_FILES[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(VocabularyError, match=message) as caught:
        Vocabulary.load(str(tmp_path / name), "en")
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"word": ["a"]}, "has columns word: it needs a column 'entry'"),
        ({"entry": [1]}, "not strings"),
        ({"entry": ["a", None]}, "null"),
        ({"entry": ["a", "b"], "entry_id": [1, 2]}, "entry_id is not 0 to 1, each once"),
        ({"entry": ["a", "b"], "entry_id": [0, 0]}, "entry_id is not 0 to 1, each once"),
        ({"entry": ["a", "b"], "entry_id": [0, None]}, "entry_id is not 0 to 1, each once"),
        ({"entry": ["a", "b"], "entry_id": ["0", "1"]}, "entry_id is not 0 to 1, each once"),
        ({"entry": ["a", "a"], "entry_id": [0, 1]}, "1 repeated entries, but its entry_id column fixes every id"),
    ],
)
def test_bad_parquet_is_refused(tmp_path, table, message):
    path = str(tmp_path / "list.parquet")
    pq.write_table(pa.table(table), path)
    with pytest.raises(VocabularyError, match=message):
        Vocabulary.load(path, "en")


def test_folders_and_unknown_protocols(tmp_path):
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(VocabularyError, match="cannot read the vocabulary"):
        Vocabulary.load(str(tmp_path / "folder.txt"), "en")
    with pytest.raises(VocabularyError, match="cannot read the vocabulary"):
        Vocabulary.load("nosuch://host/list.txt", "en")


@pytest.mark.parametrize("name", ["missing.txt", "list.docx", "demo:xx"])
def test_check_location_finds_what_reading_would_not_survive(tmp_path, name):
    location = name if name.startswith("demo:") else str(tmp_path / name)
    with pytest.raises(VocabularyError):
        vocabulary_files.check_location(location)


def test_check_location_accepts_what_can_be_read(tmp_path):
    (tmp_path / "list.txt").write_text("dog\n")
    vocabulary_files.check_location(str(tmp_path / "list.txt"))
    vocabulary_files.check_location("demo:en")
