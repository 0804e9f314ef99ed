"""A unit whose work shows outside is done by one attempt at a time, and its report taken by the others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from toys import NUMBERS, Read

from curation.errors import StageError
from curation.runner.stage import Task
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.runner.work import UnitFailure, run_unit
from curation.storage import Store


class Once(Read):
    """Counts how often it is done; `during` runs in the middle."""

    once = True

    def __init__(self, folder: Path, during: Any) -> None:
        super().__init__(folder)
        self.during, self.done = during, 0

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        self.done += 1
        self.during(self, task)
        super().process(unit, task, writer)


def unit_of(folder: Path) -> Unit:
    (folder / "numbers").mkdir()
    (folder / "numbers" / "a").write_text("1\n2\n")
    return Unit("a", {"path": str(folder / "numbers" / "a")}, "identity")


def claims(folder: Path) -> list[Path]:
    return list((folder / "work" / "_runs" / "read" / "claims").iterdir())


def test_attempts_at_the_same_time_do_it_once(tmp_path: Path) -> None:
    started = threading.Event()
    stage = Once(tmp_path, lambda stage, task: started.wait(10))
    unit, task, results = unit_of(tmp_path), Task(Store(str(tmp_path / "work")), "v", {}), []
    attempts = [threading.Thread(target=lambda: results.append(run_unit(stage, task, unit))) for _ in range(3)]
    for attempt in attempts:
        attempt.start()
    started.set()
    for attempt in attempts:
        attempt.join(60)
    assert stage.done == 1
    assert results[0] == results[1] == results[2]
    assert isinstance(results[0], UnitReport) and results[0].rows(NUMBERS.name) == 2
    assert claims(tmp_path) == []


def test_an_attempt_that_lost_its_claim_takes_what_the_other_made(tmp_path: Path) -> None:
    """A worker that was frozen finds its claim taken: it must neither fail the run nor do the work again."""
    store = Store(str(tmp_path / "work"))
    unit, task = unit_of(tmp_path), Task(store, "v", {})

    def overtaken(stage: Once, task: Task) -> None:
        if stage.done == 1:  # meanwhile another attempt does all of it
            (claim,) = claims(tmp_path)
            claim.unlink()
            other = run_unit(Once(tmp_path, lambda stage, task: None), Task(store, "v", {}), unit)
            assert isinstance(other, UnitReport)
            task.claim.lost = "another attempt took over"
            task.check_claim()

    stage = Once(tmp_path, overtaken)
    result = run_unit(stage, task, unit)
    assert isinstance(result, UnitReport), result
    assert stage.done == 1


def test_a_failure_lets_the_claim_go(tmp_path: Path) -> None:
    def fail(stage: Once, task: Task) -> None:
        raise StageError("no")

    unit, task = unit_of(tmp_path), Task(Store(str(tmp_path / "work")), "v", {})
    assert isinstance(run_unit(Once(tmp_path, fail), task, unit), UnitFailure)
    assert claims(tmp_path) == []
