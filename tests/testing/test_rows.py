"""Generated tables: exact counts, a long tail, the same rows however they are batched."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.errors import InputError
from curation.testing import PLACEHOLDER_URL, Table, Traits, build_table, starter_entries

ENTRIES = tuple(f"concept{number}" for number in range(500))


def built(path: Path, rows: int, **arguments: Any) -> tuple[Table, pa.Table]:
    table = build_table(path, rows, **({"vocabulary": ENTRIES} | arguments))
    return table, pq.read_table(path)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(0, 3000),
    seed=st.integers(0, 2**40),
    share=st.floats(0, 1),
    placeholders=st.integers(0, 500),
    group=st.integers(1, 4000),
)
def test_counts_are_exact(tmp_path: Path, rows: int, seed: int, share: float, placeholders: int, group: int) -> None:
    traits = Traits(duplicate_share=share, placeholder_texts=placeholders, row_group=max(group, 100))
    table, read = built(tmp_path / "t.parquet", rows, seed=seed, traits=traits)
    assert table.rows == read.num_rows == rows + placeholders
    distinct = read.group_by(["url", "caption", "page_url"]).aggregate([]).num_rows
    assert distinct == table.rows - table.duplicates
    about = read.filter(pa.compute.equal(read["url"], PLACEHOLDER_URL))
    assert about.num_rows == len(set(about["caption"].to_pylist())) == placeholders


def test_batches_change_nothing(tmp_path: Path) -> None:
    traits = [Traits(duplicate_share=0.2, placeholder_texts=50, row_group=size) for size in (64, 1000, 1 << 18)]
    tables = [built(tmp_path / f"{number}.parquet", 2500, traits=trait)[1] for number, trait in enumerate(traits)]
    assert tables[0].equals(tables[1])
    assert tables[1].equals(tables[2])


def test_same_bytes_twice_and_other_rows_by_seed(tmp_path: Path) -> None:
    _, first = built(tmp_path / "a.parquet", 1000, seed=1)
    built(tmp_path / "b.parquet", 1000, seed=1)
    _, other = built(tmp_path / "c.parquet", 1000, seed=2)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert not first.equals(other)


def test_shares_and_tail(tmp_path: Path) -> None:
    traits = Traits(duplicate_share=0.25, matched_share=0.5)
    table, read = built(tmp_path / "t.parquet", 200_000, zipf=1.0, traits=traits)
    assert table.duplicates / 200_000 == pytest.approx(0.25, abs=0.01)
    captions = [caption.split() for caption in read["caption"].to_pylist()]
    held = [{word for word in words if word.startswith("concept")} for words in captions]
    assert sum(map(bool, held)) / len(held) == pytest.approx(0.5, abs=0.01)
    assert sum(len(words) == 2 for words in held) / sum(map(bool, held)) == pytest.approx(0.2, abs=0.02)
    counts = Counter(entry for words in held for entry in words)
    assert counts["concept0"] / counts["concept9"] == pytest.approx(10, rel=0.15)
    assert counts["concept0"] > 100 * counts["concept499"] > 0


def test_a_million_rows_in_seconds(tmp_path: Path) -> None:
    started = time.perf_counter()
    traits = Traits(placeholder_texts=200_000)
    table = build_table(tmp_path / "t.parquet", 1_000_000, vocabulary=starter_entries("en"), traits=traits)
    assert time.perf_counter() - started < 15
    assert pq.ParquetFile(table.path).metadata.num_rows == 1_200_000


@pytest.mark.parametrize(
    "arguments",
    [
        {"rows": -1},
        {"rows": 1, "vocabulary": ()},
        {"rows": 1, "traits": Traits(duplicate_share=1.5)},
        {"rows": 1, "traits": Traits(matched_share=-0.1)},
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="build_table"):
        build_table(tmp_path / "t.parquet", **({"vocabulary": ENTRIES} | arguments))
    assert not (tmp_path / "t.parquet").exists()
