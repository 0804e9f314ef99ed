"""One run at a time, whoever dies."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from curation.errors import WorkFolderError
from curation.runner.lease import Lease
from curation.storage import Store

FAST = {"beat_s": 0.05, "dead_s": 0.5}


def test_a_second_run_is_refused_while_the_first_beats(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    with (
        Lease(store, **FAST),
        pytest.raises(WorkFolderError, match=r"another run \(.*:\d+\) is at work"),
        Lease(store, **FAST),
    ):
        pass
    with Lease(store, **FAST):
        pass
    assert not (tmp_path / "_lease.json").exists()


def test_a_silent_lease_is_taken_over_and_said(tmp_path: Path) -> None:
    (tmp_path / "_lease.json").write_text(json.dumps({"token": "dead", "holder": "host:1", "beat": 7}))
    said: list[str] = []
    with Lease(Store.at(tmp_path), **FAST, say=said.append) as lease:
        lease.check()
    assert said == ["a run (host:1) left its lease; taking over if it stays silent for 0 s"]


def test_a_run_that_lost_its_lease_stops(tmp_path: Path) -> None:
    with Lease(Store.at(tmp_path), **FAST) as lease:
        (tmp_path / "_lease.json").write_text(json.dumps({"token": "other", "holder": "host:2", "beat": 0}))
        lease._thread.join(timeout=10)  # type: ignore[union-attr]
        with pytest.raises(WorkFolderError, match="another run took over"):
            lease.check()
    assert json.loads((tmp_path / "_lease.json").read_text())["token"] == "other"


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    got: list[int] = []
    refused: list[int] = []
    start = threading.Barrier(8)
    hold = threading.Barrier(8)

    def contend(number: int) -> None:
        start.wait()
        try:
            with Lease(store, **FAST):
                got.append(number)
                hold.wait()
        except WorkFolderError:
            refused.append(number)
            hold.wait()

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 7)


def test_a_torn_lease_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "_lease.json").write_text("[]")
    with Lease(Store.at(tmp_path), **FAST):
        pass


def test_of_many_that_wait_for_a_dead_run_one_gets_it(tmp_path: Path) -> None:
    (tmp_path / "_lease.json").write_text(json.dumps({"token": "dead", "holder": "host:1", "beat": 7}))
    test_of_many_at_once_one_gets_it(tmp_path)


def test_an_error_of_any_kind_loses_the_lease_and_not_the_thread(tmp_path: Path) -> None:
    class Broken(Store):
        def put(self, path: str, data: bytes) -> None:
            raise RuntimeError("503 from the bucket")

    with Lease(Broken.at(tmp_path), beat_s=0.05, dead_s=0.2) as lease:
        lease._thread.join(timeout=10)  # type: ignore[union-attr]
        with pytest.raises(WorkFolderError, match="cannot be renewed: 503 from the bucket"):
            lease.check()
