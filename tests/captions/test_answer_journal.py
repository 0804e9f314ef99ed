"""The journal gives back what was put, to whoever reads it after whatever end; damage loses no more than its line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.captions import journal as journal_module
from curation.captions.journal import AnswerJournal
from curation.errors import WorkFolderError
from curation.storage import Store

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(st.none() | st.integers(-(2**53), 2**53) | TEXTS, lambda each: st.lists(each, max_size=3))
PUTS = st.lists(st.tuples(TEXTS, VALUES), max_size=20)


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "local":
        yield Store(str(tmp_path))
        return
    root = f"memory://{uuid4().hex}"
    yield Store(root)
    memory = fsspec.filesystem("memory")
    if memory.exists(root):
        memory.rm(root, recursive=True)


@given(PUTS, PUTS)
@settings(max_examples=60, deadline=None)
def test_what_was_put_is_there_again(
    tmp_path_factory: pytest.TempPathFactory, first: list[tuple[str, object]], second: list[tuple[str, object]]
) -> None:
    """A key has the value of its last put of its process; a later process finds those of all before it."""
    store = Store(str(tmp_path_factory.mktemp("journal")))
    for number, puts in enumerate((first, second)):
        with AnswerJournal(store, f"j{number}") as journal:
            for key, value in puts:
                journal.put(key, value)
                assert journal.get(key) == value
        with AnswerJournal(store, f"j{number}") as again:
            assert {key: again.get(key) for key, _ in puts} == dict(puts)
            assert len(again) == len(dict(puts))


def test_several_processes_write_and_all_is_read(store: Store) -> None:
    with AnswerJournal(store, "j") as one, AnswerJournal(store, "j") as other:
        one.put("a", ["x", 1])
        other.put("b", {"y": None})
        assert one.get("b") is None and other.get("a") is None
    with AnswerJournal(store, "j") as later:
        assert (later.get("a"), later.get("b"), later.get("c"), len(later)) == (["x", 1], {"y": None}, None, 2)


def test_threads_put_and_get(store: Store) -> None:
    with AnswerJournal(store, "j") as journal, ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: journal.put(f"{n}", "x" * n), range(500)))
        assert list(threads.map(lambda n: journal.get(f"{n}"), range(500))) == ["x" * n for n in range(500)]
    with AnswerJournal(store, "j") as later:
        assert all(later.get(f"{n}") == "x" * n for n in range(500))


KILLED = """
import os, sys
from curation.captions.journal import AnswerJournal
from curation.storage import Store
with AnswerJournal(Store(sys.argv[1]), "j") as journal:
    for number in range(100):
        journal.put(str(number), "an answer")
    os.write(1, b"x")
    sys.stdin.read()
"""


def test_a_killed_process_loses_nothing_on_a_local_disk(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None and child.stdout.read(1) == b"x"
        os.kill(child.pid, signal.SIGKILL)
    with AnswerJournal(Store(str(tmp_path)), "j") as later:
        assert len(later) == 100


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda data: data[:-5], {"a", "b"}),
        (lambda data: data[:-1], {"a", "b", "c"}),
        (lambda data: data + b"\x00" * 4096, {"a", "b", "c"}),
        (lambda data: data.replace(b'["b"', b'["\xff"'), {"a", "c"}),
        (lambda data: data.replace(b'"b"', b"17"), {"a", "c"}),
        (lambda data: data.replace(b'["b"', b"[" * 100_000), {"a", "c"}),
        (lambda data: data.replace(b"\n", b""), set()),
        (lambda data: b"\n\n" + data, {"a", "b", "c"}),
        (lambda data: b"", set()),
        (lambda data: b'{"a": 1}\n[]\nnull\n' + data, {"a", "b", "c"}),
    ],
)
def test_damage_loses_its_lines_alone(tmp_path: Path, damage: object, left: set[str]) -> None:
    store = Store(str(tmp_path))
    with AnswerJournal(store, "j") as journal:
        for key in "abc":
            journal.put(key, f"value {key}")
    (path,) = (tmp_path / "j").iterdir()
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with AnswerJournal(store, "j") as later:
        assert {key for key in "abc" if later.get(key) == f"value {key}"} == left
        later.put("new", 1)
    with AnswerJournal(store, "j") as last:
        assert last.get("new") == 1


def test_an_object_store_gets_segments_as_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that gathered, without a further put; none where nothing is new."""
    store, written = Store(f"memory://{uuid4().hex}"), threading.Event()
    monkeypatch.setattr(journal_module, "FLUSH_S", 0.001)
    put = Store.put

    def told(store: Store, path: str, data: bytes) -> None:
        put(store, path, data)
        written.set()

    monkeypatch.setattr(Store, "put", told)
    with AnswerJournal(store, "j") as journal:
        journal.put("a", 1)
        assert written.wait(10)
        assert len(store.names("j")) == 1
    assert len(store.names("j")) == 1
    with AnswerJournal(store, "j") as later:
        assert later.get("a") == 1


def test_a_store_that_takes_no_more_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    store, tried = Store(f"memory://{uuid4().hex}"), threading.Event()
    monkeypatch.setattr(journal_module, "FLUSH_S", 0.001)

    def full(*args: object) -> None:
        tried.set()
        raise OSError(28, "No space left on device")

    with pytest.raises(WorkFolderError, match="no space left"), AnswerJournal(store, "j") as journal:
        monkeypatch.setattr(Store, "put", full)
        journal.put("a", 1)
        assert tried.wait(10)
        journal._flusher.join(10)
        with pytest.raises(WorkFolderError, match="no space left"):
            journal.put("b", 1)
        monkeypatch.undo()
        raise WorkFolderError("no space left, as was told")
    with AnswerJournal(store, "j") as later:  # the end tried once more
        assert later.get("a") == 1
