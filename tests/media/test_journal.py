"""The journal gives back what was added, whoever reads it after whatever end; and little is lost by a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
