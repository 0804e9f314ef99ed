"""The journal gives back what was added, whoever reads it after whatever end; and little is lost by a kill."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import StageError
from curation.media import journal as journal_module
from curation.media.journal import Journal
from curation.schemas import MEDIA
from curation.storage import Store

OUTCOMES = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.none() | st.binary(max_size=300), st.integers(0, 9)), max_size=40
)


def row(media_id: str, attempts: int) -> dict[str, Any]:
    empty: dict[str, Any] = {name: [] if name == "findings" else None for name in MEDIA.columns}
    facts = {"media_id": media_id, "media_bucket": 0, "modality": "image", "media_url": "http://a.test/"}
    return {**empty, **facts, "status": "ok", "transient": False, "attempts": attempts}


@given(OUTCOMES, st.integers(0, 40), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_what_was_flushed_is_there_again(
    tmp_path_factory: pytest.TempPathFactory, outcomes: list[tuple[str, bytes | None, int]], flushed: int, every: int
) -> None:
    """A reader after a kill finds the last row and bytes of each media among the outcomes before the last flush."""
    store, kept = Store(str(tmp_path_factory.mktemp("journal"))), 0
    with Journal(store, "j", "run") as journal:
        for number, (media_id, data, attempts) in enumerate(outcomes[:flushed]):
            journal.add(row(media_id, attempts), data)
            if number % every == 0:
                journal.flush()
                kept = number + 1
        assert [entry["media_id"] for entry in journal] == sorted({media_id for media_id, *_ in outcomes[:flushed]})
    last = {media_id: (data, attempts) for media_id, data, attempts in outcomes[:flushed][:kept]}
    with Journal(store, "j", "later") as again:
        assert {m: (again.data(m), again.rows[m]["attempts"]) for m in again.rows} == last
        assert set(again.runs.values()) <= {"run"}


@pytest.mark.parametrize("first", ["x", None])
def test_a_row_without_bytes_takes_the_place_of_one_with(tmp_path: Path, first: str | None) -> None:
    store = Store(str(tmp_path))
    for attempt, data in enumerate([b"x" if first else None, None, b"y"]):
        with Journal(store, "j", f"run-{attempt}") as journal:
            journal.add(row("a", attempt), data)
            journal.flush()
        with Journal(store, "j", "reader") as again:
            assert (again.data("a"), again.rows["a"]["attempts"], again.runs["a"]) == (data, attempt, f"run-{attempt}")


def test_bytes_make_segments_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "FLUSH_BYTES", 1000)
    store = Store(str(tmp_path))
    with Journal(store, "j", "run") as journal:
        for number in range(10):
            journal.add(row(f"{number}", 1), bytes(600))
        assert len(store.names("j")) == 5


def test_time_makes_segments_fewer_as_it_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(journal_module.time, "monotonic", lambda: now[0])
    store = Store(str(tmp_path))
    with Journal(store, "j", "run") as journal:
        journal.add(row("a", 1), None)
        journal.add(row("b", 1), None)
        assert store.names("j") == set()
        now[0] += journal_module.FLUSH_S
        journal.flush_if_due()
        assert len(store.names("j")) == 1
        now[0] += 1000.0
        journal.flush_if_due()  # nothing new, no segment
        assert len(store.names("j")) == 1
        for number in range(30):  # a second each, but 1 % of a thousand is ten
            now[0] += 1.0
            journal.add(row(f"{number}", 1), None)
            journal.flush_if_due()
        assert len(store.names("j")) in (3, 4)


def _stored(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _no_text(data: bytes) -> bytes:
    """A segment in whose URLs a byte is none of UTF-8."""
    assert b"http://a.test/" in data
    return data.replace(b"http://a.test/", b"http://a.test\xff")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "garbage": lambda data: b"no Parquet at all" * 9,
    "cut": lambda data: data[: len(data) // 2],
    "hole": lambda data: data[:4] + bytes(len(data) // 2) + data[4 + len(data) // 2 :],
    "footer": lambda data: data[:-300] + bytes(292) + data[-8:],
    "no_text": _no_text,
    "foreign": lambda data: _stored(pa.table({"x": [1]})),
    "columns": lambda data: _stored(pq.read_table(io.BytesIO(data)).drop_columns(["run"])),
    "types": lambda data: _stored(pq.read_table(io.BytesIO(data)).set_column(0, "media_id", pa.array([1]))),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_segment_is_as_if_it_had_not_been_written(tmp_path: Path, kind: str) -> None:
    store = Store(str(tmp_path))
    with Journal(store, "j", "run") as journal:
        for media_id in "abc":
            journal.add(row(media_id, 1), media_id.encode() * 50)
            journal.flush()
    for place in (1, 2):  # in the middle, and the last one
        path = tmp_path / "j" / f"{place:06d}.parquet"
        path.write_bytes(DAMAGE[kind](path.read_bytes()))
    with Journal(store, "j", "later") as journal:
        assert {media_id: journal.data(media_id) for media_id in journal.rows} == {"a": b"a" * 50}
        assert store.names("j") == {"000000.parquet"}
        journal.add(row("b", 2), b"new")
        journal.flush()
        assert store.names("j") == {"000000.parquet", "000003.parquet"}  # never a name that there was before
    with Journal(store, "j", "last") as journal:
        assert {media_id: journal.data(media_id) for media_id in journal.rows} == {"a": b"a" * 50, "b": b"new"}


@pytest.mark.parametrize(
    "name", ["notes.txt", "parquet", "x.parquet", "-00001.parquet", "٣٣٣٣٣٣.parquet", "000009.tar"]
)
def test_other_names_are_nothing_to_a_journal(tmp_path: Path, name: str) -> None:
    store = Store(str(tmp_path))
    store.put(f"j/{name}", b"anything")
    with Journal(store, "j", "run") as journal:
        journal.add(row("a", 1), b"x")
        journal.flush()
    assert store.names("j") == {name, "000000.parquet"}


def test_segments_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for number, data in ((999_999, b"older"), (1_000_000, b"newer")):
        with Journal(store, "one", "run") as journal:
            journal.add(row("a", 1), data)
            journal.flush()
        store.put(f"j/{number:06d}.parquet", store.read("one/000000.parquet"))
        store.remove_tree("one")
    with Journal(store, "j", "run") as journal:
        assert journal.data("a") == b"newer"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("size", [10, 1 << 20])
def test_a_full_temporary_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/scratch/of/mine")
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda prefix: Path("/dev/full").open("w+b"))  # noqa: SIM115
    words = r"no space left in the temporary folder /scratch/of/mine \(TMPDIR\): .*free some or set TMPDIR"
    with pytest.raises(StageError, match=words), Journal(Store(str(tmp_path)), "j", "run") as journal:
        journal.add(row("a", 1), bytes(size))
        journal.flush()


def test_no_temporary_folder_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "missing")])
    with pytest.raises(StageError, match=r"temporary folder .*TMPDIR"), Journal(Store(str(tmp_path)), "j", "run"):
        pass
