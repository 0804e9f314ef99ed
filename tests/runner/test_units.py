"""The writer of a unit, and grouping of sorted rows."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import NUMBERS

from curation import schemas
from curation.errors import ConservationError
from curation.runner import units
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.runner.work import split_by_unit
from curation.schemas import KEPT_PAIRS, NEARLY_ALL_DIFFER, Dataset
from curation.storage import Store

UNIT = Unit("u", {}, "identity")
REPORT = "_runs/read/reports/u.identity.json"


def _numbers(values: list[int]) -> pa.RecordBatch:
    return pa.record_batch({"n": pa.array(values, pa.int64())}, schema=NUMBERS.schema)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), max_size=12), st.integers(1, 7))
def test_split_by_unit_equals_groupby(runs: list[tuple[int, int]], size: int) -> None:
    keys = sorted(key for key, count in runs for _ in range(count))
    table = pa.table({"key": pa.array(keys, pa.int32()), "at": pa.array(range(len(keys)), pa.int64())})
    groups = {
        key: [at for batch in group for at in batch.column("at").to_pylist()]
        for key, group in split_by_unit(iter(table.to_batches(max_chunksize=size)))
    }
    assert groups == {key: [at for at, other in enumerate(keys) if other == key] for key in set(keys)}


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(1, 7))
def test_split_by_unit_survives_unread_groups(keys: list[int], size: int) -> None:
    table = pa.table({"key": pa.array(sorted(keys), pa.int32())})
    assert [key for key, _ in split_by_unit(iter(table.to_batches(max_chunksize=size)))] == sorted(set(keys))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_batching_does_not_change_the_bytes(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "GROUP_ROWS", 100)
        patch.setattr(units, "GROUP_BYTES", 16 * 37)
        _same_bytes(tmp_path_factory, sizes)


def _same_bytes(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    store = Store.at(tmp_path_factory.mktemp("store"))
    values = list(range(sum(sizes)))
    one = UnitWriter(store, "read", "v", UNIT)
    one.write(NUMBERS, _numbers(values))
    many = UnitWriter(store, "read", "v", UNIT)
    for size in sizes:
        many.write(NUMBERS, _numbers(values[:size]))
        values = values[size:]
    assert one.commit().content("numbers") == many.commit().content("numbers")


@given(st.lists(st.integers(1, 30), min_size=1, max_size=10))
@pytest.mark.slow
def test_texts_in_lists_of_structs_bound_row_groups_too(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    """As the manifest's: some rows have long ones, some none."""
    item = pa.struct([pa.field("text", pa.string()), pa.field("n", pa.int64())])
    nested = Dataset("nested", 1, "unit", "Texts.", pa.schema([pa.field("texts", pa.list_(item))]))
    lengths = [(row % 4) * (row % 7) for row in range(sum(sizes))]
    rows = [None if row % 5 == 4 else [{"text": "x" * length, "n": 1}] * (row % 3)
            for row, length in enumerate(lengths)]  # fmt: skip
    table = pa.record_batch([pa.array(rows, pa.list_(item))], schema=nested.schema)
    store, found = Store.at(tmp_path_factory.mktemp("store")), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "GROUP_BYTES", 100)
        for cuts in ([len(rows)], sizes):
            writer, begin = UnitWriter(store, "read", "v", UNIT), 0
            for size in cuts:
                writer.write(nested, table.slice(begin, size))
                begin += size
            (path,) = writer.commit().paths("nested")
            file = pq.ParquetFile(store.url(path))
            assert file.read().to_pylist() == table.to_pylist()
            found.append([file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)])
    wanted, total, held = [], 0, 0
    for row in rows:
        total, held = total + 8 + sum(len(each["text"]) + 8 for each in row or ()), held + 1
        if total >= 100:
            wanted, total, held = [*wanted, held], 0, 0
    assert found == [wanted + [held] * (held > 0)] * 2


def test_large_files_are_rolled_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "FILE_BYTES", 100)
    monkeypatch.setattr(units, "GROUP_ROWS", 10)
    writer = UnitWriter(Store.at(tmp_path), "read", "v", UNIT)
    writer.write(NUMBERS, _numbers(list(range(25))))
    report = writer.commit()
    assert [entry.rows for entry in report.files["numbers"]] == [10, 10, 5]
    assert [
        n for path in report.paths("numbers") for n in pq.read_table(tmp_path / path).column("n").to_pylist()
    ] == list(range(25))


ALL = [value for value in vars(schemas).values() if isinstance(value, Dataset)]


@pytest.mark.parametrize("dataset", ALL, ids=lambda dataset: dataset.name)
def test_columns_are_named_as_parquet_names_them(dataset: Dataset) -> None:
    sink = io.BytesIO()
    pq.write_table(dataset.schema.empty_table(), sink)
    stored = pq.ParquetFile(sink).schema
    named = [leaf for field in dataset.schema for leaf in units._leaves(field)]
    assert named == [stored.column(number).path for number in range(len(stored))]


def _some(kind: pa.DataType) -> Any:
    if pa.types.is_struct(kind):
        return {field.name: _some(field.type) for field in kind.fields}
    if pa.types.is_list(kind):
        return [_some(kind.value_type)]
    return "x" if pa.types.is_string(kind) else 1


def test_columns_that_repeat_have_dictionaries_and_the_others_none(tmp_path: Path) -> None:
    columns = [pa.array([_some(kind)] * 3, kind) for kind in KEPT_PAIRS.schema.types]
    writer = UnitWriter(Store.at(tmp_path), "balance", "v", UNIT)
    writer.write(KEPT_PAIRS, pa.RecordBatch.from_arrays(columns, schema=KEPT_PAIRS.schema))
    (path,) = writer.commit().paths("kept_pairs")
    group = pq.ParquetFile(tmp_path / path).metadata.row_group(0)
    stored = [group.column(number) for number in range(group.num_columns)]
    without = {column.path_in_schema for column in stored if not column.has_dictionary_page}
    assert without == NEARLY_ALL_DIFFER & set(KEPT_PAIRS.columns) == {"pair_id", "media_id", "media_url", "text"}


def test_a_report_survives_json(tmp_path: Path) -> None:
    writer = UnitWriter(Store.at(tmp_path), "read", "v", UNIT)
    writer.write(NUMBERS, _numbers([1]))
    writer.reject("bad_row", id="x", file="f", offset=3, detail="d")
    writer.counts["lines"] += 2
    report = writer.commit()
    assert UnitReport.from_json(Store.at(tmp_path).read_json(REPORT)) == report
    assert report.rejected == {"bad_row": 1}


def test_files_that_hold_other_rows_than_written_are_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = UnitWriter(Store.at(tmp_path), "read", "v", UNIT)
    writer.write(NUMBERS, _numbers([1, 2]))
    writer._expected["numbers"] += 1
    with pytest.raises(ConservationError, match="3 rows of numbers were written but the files hold 2"):
        writer.commit()
    assert Store.at(tmp_path).read_json(REPORT) is None


def test_put_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.at(tmp_path)
    store.put("x/_current.json", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put("x/_current.json", b"new and longer")
    assert store.read("x/_current.json") == b"old"
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["_current.json"]


@pytest.fixture
def memory_store() -> Iterator[Store]:
    import fsspec

    yield Store.at("memory://bucket/run")
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def test_the_writer_works_on_an_object_store(memory_store: Store) -> None:
    writer = UnitWriter(memory_store, "read", "v", UNIT)
    writer.write(NUMBERS, _numbers([1, 2, 3]))
    report = writer.commit()
    batches = list(memory_store.batches(report.paths("numbers")))
    assert [n for batch in batches for n in batch.column("n").to_pylist()] == [1, 2, 3]
    assert memory_store.names("_runs/read/reports") == {"u.identity.json"}
    assert memory_store.create("_lease.json", b"a")
    assert not memory_store.create("_lease.json", b"b")
    memory_store.remove("_lease.json")
    memory_store.remove("_lease.json")
    assert memory_store.sizes("numbers") == {entry.path: entry.size_bytes for entry in report.files["numbers"]}
