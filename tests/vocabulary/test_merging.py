"""Merging of sources: ids and who named what, against the definition; and old vocabularies that cannot be read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vocabulary_case import merged_plainly

from curation.errors import VocabularyError
from curation.schemas import VOCABULARY
from curation.vocabulary.merging import SourceEntries, merged, read_vocabulary
from curation.vocabulary.terms import ranked

TEXTS = st.text(st.sampled_from("abé東\U00010000"), min_size=1, max_size=2)
SOURCES = st.lists(st.dictionaries(TEXTS, st.one_of(st.none(), st.integers(0, 3)), max_size=8), max_size=4)


def sources_of(found: list[dict[str, Any]], order: Any = list) -> list[SourceEntries]:
    """Each as a stage makes it: ranked; `order` is that in which the source lists them."""
    arrays = []
    for source in found:
        terms = order(source)
        arrays.append(ranked(terms, pa.array([source[term] for term in terms], pa.float64())))
    return [
        SourceEntries(f"s{at}", entries.cast(pa.string()), scores) for at, (entries, scores) in enumerate(arrays)
    ]


def plainly(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return merged_plainly(
        {
            f"s{at}": sorted(source.items(), key=lambda item: (item[1] is None, -(item[1] or 0), item[0]))
            for at, source in enumerate(found)
        }
    )


def told(table: pa.Table) -> list[tuple[Any, ...]]:
    return [(row["entry"], row["source"], row["source_score"], row["sources"]) for row in table.to_pylist()]


@given(SOURCES, st.randoms())
def test_merged_is_the_definition_in_whatever_order_a_source_lists(found: list[dict[str, Any]], random: Any) -> None:
    table = merged("en", sources_of(found))
    assert table.schema.equals(VOCABULARY.schema)
    assert told(table) == plainly(found)
    assert table["entry_id"].to_pylist() == list(range(len(table)))
    assert set(table["lang"].to_pylist()) <= {"en"}
    assert merged("en", sources_of(found, lambda source: random.sample(list(source), len(source)))).equals(table)


@given(SOURCES, SOURCES)
def test_an_extended_vocabulary_keeps_the_old_and_appends_the_new(before: list, after: list) -> None:
    old = merged("en", sources_of(before))
    new = merged("en", sources_of(after), old)
    head, known = new.slice(0, len(old)), set(old["entry"].to_pylist())
    for column in ("entry_id", "entry", "lang", "source", "source_score"):
        assert head[column].equals(old[column])
    plain = {row[0]: row for row in plainly(after)}
    assert head["sources"].to_pylist() == [plain[entry][3] if entry in plain else [] for entry in known_order(old)]
    assert told(new.slice(len(old))) == [row for entry, row in plain.items() if entry not in known]
    assert new["entry_id"].to_pylist() == list(range(len(new)))


def known_order(table: pa.Table) -> list[str]:
    return table["entry"].to_pylist()


def written(folder: Path, table: pa.Table) -> str:
    pq.write_table(table, folder / "old.parquet")
    return str(folder / "old.parquet")


def test_an_old_vocabulary_is_read_in_the_order_of_its_ids(tmp_path: Path) -> None:
    table = merged("en", sources_of([{"a": 1, "b": 2, "é": None}]))
    assert read_vocabulary(written(tmp_path, table.take([2, 0, 1]))).equals(table)


TABLE = merged("en", sources_of([{"a": 1, "b": 2}]))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.drop_columns("sources"), "has no column sources"),
        (TABLE.set_column(0, "entry_id", pa.array([0, 2])), "entry_id is not 0 to 1, each once"),
        (TABLE.set_column(0, "entry_id", pa.array([1, 1])), "entry_id is not 0 to 1, each once"),
        (TABLE.set_column(1, "entry", pa.array(["a", "a"])), "has repeated entries"),
        (TABLE.set_column(1, "entry", pa.array([["a"], ["b"]])), "is no vocabulary"),
        (TABLE.set_column(1, "entry", pa.array([{"x": 1}, None])), "is no vocabulary"),
        (TABLE.set_column(1, "entry", pa.array(["a", None])), "is no vocabulary"),
        (TABLE.set_column(0, "entry_id", pa.array(["x", "y"])), "is no vocabulary"),
        (TABLE.set_column(0, "entry_id", pa.array([2**40, 0])), "is no vocabulary"),
        (pa.table([*TABLE.columns, TABLE["entry"]], [*TABLE.column_names, "entry"]), "cannot read the vocabulary"),
    ],
)
def test_what_is_no_vocabulary_is_refused_in_one_line(tmp_path: Path, table: pa.Table, message: str) -> None:
    with pytest.raises(VocabularyError, match=message) as raised:
        read_vocabulary(written(tmp_path, table))
    assert "old.parquet" in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"entry\ncat\n"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    for location in (tmp_path / "x.parquet", tmp_path, tmp_path / "none.parquet"):
        with pytest.raises(VocabularyError, match="cannot read the vocabulary"):
            read_vocabulary(str(location))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    (tmp_path / "x.parquet").write_bytes(sink.getvalue()[:-30])
    with pytest.raises(VocabularyError, match="cannot read the vocabulary"):
        read_vocabulary(str(tmp_path / "x.parquet"))
