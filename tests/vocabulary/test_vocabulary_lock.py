"""The lock: what differs from it is named in one line, and nothing is written then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from vocabulary_case import RECIPE, Case, case

from curation.errors import CurationError, InputError, VocabularyError
from curation.stages import vocabulary as vocabulary_stage
from curation.vocabulary.lock import content_sha256, input_rows, read_lock

__all__ = ["case"]

LISTS = [{"kind": "list", "name": name, "path": f"{name}/words.txt"} for name in ("a", "b")]


@pytest.fixture
def locked(case: Case) -> Case:
    """A case with the lock of its build beside the recipe."""
    case.build("first")
    (case.folder / "en.lock.json").write_bytes(case.bytes("first")[1])
    return case


def lock_of(case: Case) -> Path:
    return case.folder / "en.lock.json"


def refused(case: Case, kind: type[CurationError], message: str, **changes: Any) -> str:
    """The build's error; it must leave nothing, and stop before anything is counted where inputs differ."""
    before = lock_of(case).read_bytes()
    with pytest.raises(kind, match=message) as raised:
        case.build(lock=lock_of(case), **changes)
    assert not list((case.folder / "out").glob("en.*"))
    assert lock_of(case).read_bytes() == before
    assert "\n" not in str(raised.value)
    if kind is InputError:
        assert set(case.reporter.done) <= {"source_files"}
    return str(raised.value)


def changed(at: int, **update: Any) -> dict[str, Any]:
    sources = [dict(source) for source in RECIPE["sources"]]
    sources[at].update(update)
    return {"sources": sources}


def test_an_equal_build_says_so(locked: Case) -> None:
    assert locked.build(lock=lock_of(locked)).checked
    assert locked.reporter.lines[-1].endswith(f", as the lock {lock_of(locked)} has it")
    assert locked.bytes() == locked.bytes("first")


def test_places_and_hints_are_not_locked(locked: Case) -> None:
    (locked.folder / "lists").rename(locked.folder / "moved")
    change = changed(5, path="moved/tags.txt", expected=7)
    assert locked.build(lock=lock_of(locked), runtime={"master": "local[1]"}, **change).checked


def test_a_changed_file_is_named(locked: Case) -> None:
    locked.write("lists/tags.txt", "other")
    told = refused(locked, InputError, r"tags.txt is another file than in the lock .*en.lock.json: SHA-256 ")
    assert "fetch the locked files, or accept these with --update-lock" in told


def test_a_missing_file_is_named(locked: Case) -> None:
    (locked.folder / "wordnet/data.verb").unlink()
    refused(locked, InputError, r"data.verb is in the lock .*en.lock.json but not among the inputs: fetch")


def test_an_extra_file_is_named(locked: Case) -> None:
    (locked.folder / "wordnet/data.adj").write_bytes((locked.folder / "wordnet/data.verb").read_bytes())
    refused(locked, InputError, r"data.adj is not in the lock .*en.lock.json: fetch")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (changed(2, min_score=13), r"sources.unigrams.min_score is 13.0, not 12.0;"),
        (changed(3, min_count=3), r"sources.bigrams.min_count is 3, not 2;"),
        (changed(3, max_entries=3), r"sources.bigrams.max_entries is 3, not null;"),
        (changed(5, name="hashtags"), r"order of sources is .*hashtags.*, not .*tags"),
        ({"sources": RECIPE["sources"][:-1]}, r"order of sources is .*, not .*tags"),
        ({"sources": [RECIPE["sources"][5], *RECIPE["sources"][:5]]}, r"order of sources is \[.tags.*, not \[.numbers"),
        ({"wikis": ["en", "simple"], "wikipedia": {"paths": ["dumps/enwiki-*.bz2"]}}, r"wikis is \[.*simple.\], not"),
        ({"wikipedia": {**RECIPE["wikipedia"], "lower_case": True}}, r"wikipedia.lower_case is true, not false"),
        ({"extend": "first/en.parquet"}, r"extend is true, not false"),
    ],
)
def test_a_changed_parameter_is_named(locked: Case, change: dict[str, Any], difference: str) -> None:
    told = refused(locked, InputError, "the recipe is not that of the lock .*en.lock.json: " + difference, **change)
    assert told.endswith("take it back, or --update-lock")
    assert not (locked.folder / "out").exists()  # not even files are hashed


def test_the_lock_of_another_vocabulary_is_told(locked: Case) -> None:
    refused(locked, InputError, "is of the vocabulary small, not worldwide: build that one, or", name="worldwide")


def test_other_entries_from_equal_inputs_are_told(locked: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary_stage, "numbers", lambda: ["0", "1"])
    told = refused(locked, VocabularyError, "the same inputs and parameters gave other entries")
    assert "--update-lock" in told and "vocab diff" in told


def test_an_update_accepts_and_writes_both_locks(locked: Case) -> None:
    locked.write("lists/tags.txt", "other")
    built = locked.build(lock=lock_of(locked), update_lock=True, name="renamed")
    assert not built.checked
    assert lock_of(locked).read_bytes() == locked.bytes()[1]
    assert json.loads(lock_of(locked).read_text())["name"] == "renamed"
    assert locked.build(lock=lock_of(locked), name="renamed").checked


def test_without_a_lock_nothing_is_checked_and_an_update_makes_one(case: Case) -> None:
    assert not case.build(lock=lock_of(case)).checked
    assert not lock_of(case).exists()
    case.build(lock=lock_of(case), update_lock=True)
    assert case.build(lock=lock_of(case)).checked


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"format": 2}', '{"format": 1}', "[" * 100_000, "\x00", '{"format": 1, "name": 3}'],
)
def test_a_damaged_lock_is_refused_before_anything_is_done_and_an_update_mends_it(case: Case, content: str) -> None:
    lock_of(case).write_text(content)
    refused(case, VocabularyError, "en.lock.json is no whole lock file of format 1 .*restore it, or .*--update-lock")
    assert not (case.folder / "out").exists()


@pytest.mark.parametrize("key", ["name", "parameters", "inputs", "output"])
def test_a_lock_that_lacks_something_is_refused(locked: Case, key: str) -> None:
    lock = json.loads(lock_of(locked).read_text())
    lock.pop(key)
    lock_of(locked).write_text(json.dumps(lock))
    refused(locked, VocabularyError, f"no whole lock file of format 1 [(]{key} is missing or wrong")
    locked.build(lock=lock_of(locked), update_lock=True)
    assert json.loads(lock_of(locked).read_text())[key]


def test_a_lock_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="restore it"):
        read_lock(tmp_path)


def test_files_of_one_name_in_different_folders_are_not_confused(case: Case) -> None:
    case.write("a/words.txt", "cat\n")
    case.write("b/words.txt", "dog\n")
    case.build(lock=lock_of(case), update_lock=True, sources=LISTS)
    assert case.build(lock=lock_of(case), sources=LISTS).checked
    lock = json.loads(lock_of(case).read_text())
    assert [row["file"] for row in lock["inputs"]] == ["words.txt"] * 2
    for name in ("a", "b"):
        kept = (case.folder / name / "words.txt").read_text()
        case.write(f"{name}/words.txt", "horse\n")
        case.reporter.done.clear()
        with pytest.raises(InputError, match=r"words.txt is another file than in the lock"):
            case.build("again", lock=lock_of(case), sources=LISTS)
        case.write(f"{name}/words.txt", kept)
    case.write("a/words.txt", "dog\n")
    case.write("b/words.txt", "cat\n")
    with pytest.raises(VocabularyError, match="other entries"):
        case.build("again", lock=lock_of(case), sources=LISTS)
    case.write("a/words.txt", "cat\n")
    with pytest.raises(InputError, match=r"words.txt is another file than in the lock"):
        case.build("again", lock=lock_of(case), sources=LISTS)
    assert not list((case.folder / "again").glob("en.*"))


def test_rows_of_inputs_do_not_depend_on_places() -> None:
    rows = [{"location": f"{folder}/{name}", "size_bytes": 1, "sha256": folder} for folder, name in ("xa", "ya", "xb")]
    assert [(row["file"], row["sha256"]) for row in input_rows(rows)] == [("a", "x"), ("a", "y"), ("b", "x")]
    assert input_rows(reversed(rows)) == input_rows(rows)


def test_the_content_s_checksum_is_of_rows_not_of_chunks(case: Case) -> None:
    case.build()
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(case.folder / "out/en.parquet")
    parts = pa.concat_tables([table.slice(0, 7), table.slice(7)])
    assert content_sha256(parts) == content_sha256(table) == json.loads(case.bytes()[1])["output"]["content_sha256"]
    assert content_sha256(table.slice(1)) != content_sha256(table)
