"""Questions about the manifest against its rows in plain Python; and an audit that finds what was damaged."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from curation.errors import InputError, WorkFolderError
from curation.inspect import connect, questions
from curation.schemas import MANIFEST
from curation.testing.manifests import manifest_table, write_manifest

Row = dict[str, Any]
SAMPLES = 400


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    found: list[Row] = manifest_table(SAMPLES, seed=2).to_pylist()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("manifest")
    write_manifest(where, SAMPLES, seed=2)
    return where


@pytest.fixture(scope="module")
def db(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(folder) as connection:
        yield connection


def rows_of(table: Any) -> list[Row]:
    found: list[Row] = table.to_pylist()
    return found


def as_drawn(seed: int) -> Callable[[Row], tuple[str, str]]:
    return lambda row: (hashlib.md5(f"{seed}/{row['sample_id']}".encode()).hexdigest(), row["sample_id"])


@pytest.mark.parametrize("seed", [0, 7])
def test_samples_at_random_are_the_same_for_a_seed(
    db: duckdb.DuckDBPyConnection, rows: list[Row], seed: int
) -> None:
    found = rows_of(questions.samples(db, 9, modality="video", lang="en", seed=seed))
    own = [row for row in rows if row["modality"] == "video" and row["text_lang"] == "en"]
    wanted = sorted(own, key=as_drawn(seed))
    assert [row["sample_id"] for row in found] == [row["sample_id"] for row in wanted[:9]]
    for row, whole in zip(found, wanted, strict=False):
        assert row["texts"] == len(whole["texts"])
        assert all(row[name] == whole[name] for name in ("path", "offset", "size_bytes", "text", "keep_probability"))


@pytest.mark.parametrize("order", ["head", "tail"])
def test_head_and_tail_are_by_the_rarest_entry(db: duckdb.DuckDBPyConnection, rows: list[Row], order: str) -> None:
    pool = {(row["modality"], row["vocabulary_lang"], row["entry_id"]): row["pool_texts"]
            for row in rows_of(db.sql("FROM entry_probabilities").to_arrow_table())}  # fmt: skip
    rarest = {
        row["sample_id"]: min(
            (pool[row["modality"], row["vocabulary_lang"], entry] for entry in row["entry_ids"]), default=None
        )
        for row in rows
    }
    sign = -1 if order == "head" else 1
    wanted = sorted(rows, key=lambda row: (rarest[row["sample_id"]] is None, sign * (rarest[row["sample_id"]] or 0),
                                           *as_drawn(0)(row)))  # fmt: skip
    found = rows_of(questions.samples(db, 30, order))
    assert [row["sample_id"] for row in found] == [row["sample_id"] for row in wanted[:30]]
    assert [row["rarest_texts"] for row in found] == [rarest[row["sample_id"]] for row in wanted[:30]]


def test_samples_of_a_concept_hold_it(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    entries = rows_of(db.sql("FROM entry_probabilities WHERE samples > 0 ORDER BY ALL").to_arrow_table())
    entry, lang, entry_id = next(
        (row["entry"], row["vocabulary_lang"], row["entry_id"]) for row in entries
        if any(row["entry_id"] == one["entry_id"] and row["entry"] != one["entry"] for one in entries)
    )  # another language numbers another entry so
    wanted = sorted((row for row in rows if row["vocabulary_lang"] == lang and entry_id in row["entry_ids"]),
                    key=as_drawn(0))  # fmt: skip
    found = rows_of(questions.samples_of(db, entry, 5, lang=lang))
    assert [row["sample_id"] for row in found] == [row["sample_id"] for row in wanted[:5]]
    assert {row["found"] for row in found} == {len(wanted)}
    some = rows_of(questions.samples_of(db, entry, 5, modality="video"))
    assert {row["modality"] for row in some} <= {"video"}
    with pytest.raises(InputError, match=r"no text of the pool holds the entry .no. such.: .* `curation explain`"):
        questions.samples_of(db, "no' such")


def test_texts_are_all_there_in_the_order_of_the_samples(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    most = sorted(rows, key=lambda row: (-len(row["texts"]), row["sample_id"]))[:3]
    chosen = sorted(most, key=lambda row: row["sample_id"], reverse=True)
    found = rows_of(questions.texts_of_samples(db, [row["sample_id"] for row in chosen]))
    assert [(row["sample_id"], row["place"], row["text"]) for row in found] == [
        (row["sample_id"], place, said["text"]) for row in chosen for place, said in enumerate(row["texts"])
    ]
    assert [row["text"] for row in found if row["place"] == 0] == [row["text"] for row in chosen]
    one = rows_of(questions.texts_of(db, chosen[0]["sample_id"], most=2))
    assert one == [{name: row[name] for name in row if name != "sample_id"} for row in found[:2]]
    with pytest.raises(InputError, match="the manifest has no sample 'nobody'"):
        questions.texts_of_samples(db, [chosen[0]["sample_id"], "nobody"])


def test_kinds_and_numbers_of_texts(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    kinds = Counter((row["modality"], row["text_kind"]) for row in rows)
    whole = Counter(row["modality"] for row in rows)
    found = rows_of(questions.chosen_kinds(db))
    assert {(row["modality"], row["text_kind"]): row["samples"] for row in found} == kinds
    assert all(row["share"] == pytest.approx(row["samples"] / whole[row["modality"]]) for row in found)
    texts = Counter((row["modality"], min(len(row["texts"]), 3)) for row in rows)
    assert {(row["modality"], row["texts"]): row["samples"]
            for row in rows_of(questions.texts_per_sample(db, 3))} == texts  # fmt: skip


def test_sizes_of_the_manifest_at_other_thresholds(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    found = rows_of(questions.samples_at(db, [3, 1, 2]))
    for row in found:
        of = [one for one in rows if (one["modality"], one["vocabulary_lang"]) == (row["modality"], row["lang"])]
        assert (row["of"], row["samples"]) == (len(of), sum(one["critical_threshold"] <= row["t"] for one in of))
    assert sum(row["of"] for row in found) == 3 * SAMPLES
    assert rows_of(questions.samples_at(db, [1, 2, 3], "en")) == [row for row in found if row["lang"] == "en"]


def test_a_manifest_alone_is_broken_down(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    langs = Counter(row["text_lang"] for row in rows)
    for row in rows_of(questions.by_language(db)):
        assert (row["samples"], row["pairs"], row["kept"]) == (langs[row["value"]], None, None)
    sources = Counter(source for row in rows for source in row["texts"][0]["text_sources"])
    found = rows_of(questions.breakdown(db, "text_source"))
    assert {row["value"]: row["samples"] for row in found} == sources
    assert sum(row["samples"] for row in rows_of(questions.by_domain(db, 3))) == SAMPLES
    sizes = rows_of(questions.image_sizes(db))
    assert sum(row["samples"] for row in sizes) == sum(row["modality"] == "image" for row in rows)
    assert {row["fetched"] for row in sizes} == {None}
    lengths = rows_of(questions.clip_lengths(db))
    assert sum(row["samples"] for row in lengths) == sum(row["modality"] == "video" for row in rows)
    assert {row["clips"] for row in lengths} == {None}


def test_nulls_are_counted_by_column(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    found = rows_of(questions.nulls(db))
    assert [row["column"] for row in found] == MANIFEST.columns
    for row in found:
        assert row["nulls"] == sum(one[row["column"]] is None for one in rows)
        assert row["may_be_null"] == MANIFEST.schema.field(row["column"]).nullable


def test_repeated_texts_and_leaks(tmp_path: Path, rows: list[Row]) -> None:
    some = [
        {**row, "split": "val" if place % 3 else "train", "fetched_sha256": f"{place % 10:064}", "phash": place % 7,
         "text": f"text {8 - place % 9}", "texts": [{**row["texts"][0], "text": f"text {8 - place % 9}"}]}
        for place, row in enumerate(rows[:60])
    ]  # fmt: skip
    write_manifest(tmp_path, pa.Table.from_pylist(some, MANIFEST.schema), entries=False)
    with connect(tmp_path) as connection:
        repeated = rows_of(questions.repeated_texts(connection, 5))
        leaks = {by: rows_of(questions.leaks(connection, by)) for by in ("fetched_sha256", "phash", "text", "media_id")}
    counts = Counter(row["text"] for row in some)
    assert [(row["text"], row["samples"]) for row in repeated] == sorted(
        counts.items(), key=lambda item: (-item[1], item[0]))[:5]  # fmt: skip
    for by, found in leaks.items():
        splits: dict[Any, Counter[str]] = defaultdict(Counter)
        for row in some:
            splits[row[by]][row["split"]] += 1
        both = {key: each for key, each in splits.items() if len(each) == 2 and not (by == "phash" and key == 0)}
        shown = {f"{key:016x}" if by == "phash" else key: (each["train"], each["val"]) for key, each in both.items()}
        assert {row["value"]: (row["train"], row["val"]) for row in found} == shown


def damaged(rows: list[Row], **changes: Any) -> list[Row]:
    """The rows, the second one with other values."""
    return [rows[0], {**rows[1], **changes}, *rows[2:]]


_DAMAGES: dict[str, Callable[[list[Row]], Row]] = {
    "repeated_sample_id": lambda rows: {"sample_id": rows[0]["sample_id"], "media_bucket": rows[0]["media_bucket"]},
    "split": lambda rows: {"split": "test"},
    "empty_text": lambda rows: {"text": " ", "texts": [{**rows[1]["texts"][0], "text": " "}]},
    "text_not_listed": lambda rows: {"text": "said by nobody"},
    "no_bytes": lambda rows: {"size_bytes": 0},
    "same_place": lambda rows: {"path": rows[0]["path"], "offset": rows[0]["offset"]},
    "no_extent": lambda rows: {"width": 0},
    "probability": lambda rows: {"keep_probability": float("nan")},
    "leak_media": lambda rows: {"media_id": rows[0]["media_id"], "media_bucket": rows[0]["media_bucket"],
                                "split": "val"},
    "leak_fetched": lambda rows: {"fetched_sha256": rows[0]["fetched_sha256"], "split": "val"},
    "leak_phash": lambda rows: {"phash": rows[0]["phash"], "split": "val"},
    "repeated_sha256": lambda rows: {"sha256": rows[0]["sha256"]},
    "repeated_text": lambda rows: {"text": rows[0]["text"], "texts": [{**rows[1]["texts"][0],
                                                                      "text": rows[0]["text"]}]},
    "no_entry": lambda rows: {"entry_ids": []},
    "no_licence": lambda rows: {"licence": None},
}  # fmt: skip


def sound_rows() -> list[Row]:
    """Images of which no two have anything in common."""
    rows: list[Row] = manifest_table(40, seed=3, videos=0.0).to_pylist()
    return [{**row, "licence": "CC0-1.0", "split": "train", "phash": place + 1, "text": f"text {place}",
             "texts": [{**row["texts"][0], "text": f"text {place}"}]} for place, row in enumerate(rows)]  # fmt: skip


def audit_of(folder: Path, rows: list[Row]) -> dict[str, Row]:
    write_manifest(folder, pa.Table.from_pylist(rows, MANIFEST.schema), entries=False)
    with connect(folder) as connection:
        return {row["check"]: row for row in rows_of(questions.audit(connection))}


def test_a_sound_manifest_has_nothing_to_find(tmp_path: Path) -> None:
    found = audit_of(tmp_path, sound_rows())
    assert {name: row["found"] for name, row in found.items() if row["found"]} == {}
    assert {row["example"] for row in found.values()} == {None}
    assert set(found) - {"null", "leak_text"} == set(_DAMAGES)


@pytest.mark.parametrize("check", _DAMAGES)
@pytest.mark.slow
def test_an_audit_finds_each_damage(tmp_path: Path, check: str) -> None:
    rows = sound_rows()
    rows = damaged(rows, **_DAMAGES[check](rows))
    found = audit_of(tmp_path, rows)
    assert found[check]["found"] == 1
    assert found[check]["share"] == pytest.approx(1 / 40)
    assert found[check]["example"] in (rows[0]["sample_id"], rows[1]["sample_id"])
    others = {name for name, row in found.items() if row["found"]} - {check}
    assert others == set()


@pytest.mark.parametrize(
    "changes",
    [{"keep_probability": 0.0}, {"keep_probability": 1.1}, {"critical_threshold": 0.5},
     {"critical_threshold": float("nan")}, {"critical_threshold": float("inf")}, {"height": 0}, {"offset": -1},
     {"duration_ms": 0}, {"start_ms": 5, "end_ms": 5}],
)  # fmt: skip
@pytest.mark.slow
def test_numbers_that_cannot_be_are_defects(tmp_path: Path, changes: Row) -> None:
    rows = sound_rows()
    found = audit_of(tmp_path, damaged(rows, **changes))
    assert sum(row["found"] for row in found.values() if row["kind"] == "defect") == 1


def test_nothing_flat_is_a_leak(tmp_path: Path) -> None:
    rows = [{**row, "phash": 0, "split": "val" if place < 5 else "train"} for place, row in enumerate(sound_rows())]
    assert audit_of(tmp_path, rows)["leak_phash"]["found"] == 0


def test_an_empty_manifest_has_answers(tmp_path: Path) -> None:
    write_manifest(tmp_path, 0)
    with connect(tmp_path) as connection:
        assert {row["found"] for row in rows_of(questions.audit(connection))} == {0}
        assert {row["nulls"] for row in rows_of(questions.nulls(connection))} == {0}
        for ask in (questions.samples, questions.chosen_kinds, questions.texts_per_sample, questions.by_language,
                    questions.clip_lengths, questions.image_sizes, questions.repeated_texts):  # fmt: skip
            assert ask(connection).num_rows == 0


def test_without_entries_there_is_no_head(tmp_path: Path) -> None:
    write_manifest(tmp_path, 10, entries=False)
    with connect(tmp_path) as connection:
        assert {row["rarest_texts"] for row in rows_of(questions.samples(connection))} == {None}
        with pytest.raises(WorkFolderError, match="reads entry_probabilities"):
            questions.samples(connection, order="tail")
        with pytest.raises(WorkFolderError, match="reads clips"):
            questions.clips_with_key_frames(connection)
        with pytest.raises(InputError, match="order is 'worst': choose one of random, head, tail"):
            questions.samples(connection, order="worst")
        with pytest.raises(InputError, match="modality is 'film'"):
            questions.samples(connection, modality="film")


def test_differences_are_tables(tmp_path: Path, folder: Path) -> None:
    rows = manifest_table(SAMPLES, seed=2)
    write_manifest(tmp_path, rows.slice(0, SAMPLES - 10))
    diff = questions.manifest_diff(folder, tmp_path)
    totals = {row["what"]: row["samples"] for row in rows_of(questions.diff_totals(diff))}
    assert totals == {"in A": SAMPLES, "in B": SAMPLES - 10, "in both": SAMPLES - 10, "only in A": 10, "only in B": 0,
                      "in both, with another text": 0, "in both, with another split": 0,
                      "in both, with other bytes": 0}  # fmt: skip
    assert sum(row["samples"] for row in rows_of(questions.diff_reasons(diff))) == 10
    changes = rows_of(questions.diff_changes(diff))
    assert all(row["change"] == row["b"] - row["a"] < 0 for row in changes)
    assert {"concept", "language"} <= {row["kind"] for row in changes}
    assert rows_of(questions.diff_settings(diff)) == []
