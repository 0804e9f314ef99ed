"""A unit whose failure may have passed is done again, and whatever was made from the old one is made anew."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from toys import RECIPE, Read, Total

from curation.errors import StageError, StaleDatasetError
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.runner.stage import Manifest, Stage, Task
from curation.runner.units import REDONE, Unit, UnitReport
from curation.runner.work import run_unit
from curation.storage import Store

FILES = {"a": "1 2 3", "b": "11 12", "c": "21"}


class Once(Read):
    """As Read, by one attempt at a time."""

    once = True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    numbers = tmp_path / "in"
    numbers.mkdir()
    for name, text in FILES.items():
        (numbers / name).write_text(text)
    return numbers


def done(folder: Path, stage: Stage, *others: Stage) -> StageOutcome:
    run = _run(folder, stage, *others)
    with run.lease():  # another token each time: another run
        return run.execute(stage)


def _run(folder: Path, *stages: Stage) -> Run:
    return Run(Store.at(folder.parent / "work"), RECIPE, stages, LocalEngine, Silent())


def calls(folder: Path) -> list[str]:
    log = folder.parent / "calls"
    found = sorted(log.read_text().split()) if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def redone(manifest: Manifest) -> dict[str, str]:
    return {name: report.facts[REDONE] for name, report in manifest.reports.items() if REDONE in report.facts}


@pytest.mark.parametrize("kind", [Read, Once])
def test_what_is_not_final_is_done_again_by_each_run_until_it_is(folder: Path, kind: type[Read]) -> None:
    versions = []
    for times in range(3):
        outcome = done(folder, kind(folder, unreadable=("b",)))
        assert calls(folder) == (["b"] if times else ["a", "b", "c"])
        assert (outcome.units_done, outcome.manifest.rejected) == (1 if times else 3, {"unreadable_file": 1})
        assert redone(outcome.manifest) == ({"b": str(times)} if times else {})
        versions.append(outcome.manifest.version)
    last = done(folder, kind(folder))
    assert (calls(folder), last.units_done, last.manifest.rejected) == (["b"], 1, {})
    assert redone(last.manifest) == {"b": "3"}
    assert len({*versions, last.manifest.version}) == 4
    for _ in range(2):
        still = done(folder, kind(folder))
        assert (calls(folder), still.units_done, still.published) == ([], 0, False)
        assert still.manifest.version == last.manifest.version


@pytest.mark.parametrize("kind", [Read, Once])
def test_readers_of_the_old_version_are_stale(folder: Path, kind: type[Read]) -> None:
    total, broken, whole = Total(), kind(folder, unreadable=("b",)), kind(folder)
    done(folder, broken, total)
    old = done(folder, total, broken)
    run = _run(folder, whole, total)
    before = run.catalog.snapshot()
    assert sums(run) == {1: 22, 2: 2, 3: 3}
    done(folder, whole, total)
    with pytest.raises(StaleDatasetError, match="finish `curation run`"):
        run.catalog.files("sums")
    new = done(folder, total, whole)
    assert new.manifest.version != old.manifest.version
    assert new.manifest.inputs["read"] != old.manifest.inputs["read"]
    assert sums(run) == {1: 33, 2: 14, 3: 3}
    assert before.visible("total").version == old.manifest.version


def sums(run: Run) -> dict[int, int]:
    files = run.catalog.files("sums")
    return {row["bucket"]: row["total"] for file in files for row in pq.read_table(file).to_pylist()}


def test_done_again_for_the_same_rows_costs_readers_nothing(folder: Path) -> None:
    """Another version, but the same content: only lineage is told anew."""
    total, broken = Total(), Once(folder, unreadable=("b",))
    first = done(folder, broken, total)
    done(folder, total, broken)
    second = done(folder, broken, total)
    assert second.manifest.version != first.manifest.version
    after = done(folder, total, broken)
    assert (after.units_done, after.manifest.inputs) == (0, {"read": second.manifest.version})


def test_a_run_that_stopped_behind_a_unit_done_again_does_not_do_it_a_third_time(folder: Path) -> None:
    """Its report is there, and is final, but nothing was published of it."""
    done(folder, Once(folder, unreadable=("b",)))
    (folder / "d").write_text("4")
    calls(folder)
    with pytest.raises(StageError, match="unit d"):
        done(folder, Once(folder, fail=("d",)))
    assert calls(folder) == ["b", "d"]
    outcome = done(folder, Once(folder))
    assert calls(folder) == ["d"]
    assert (outcome.manifest.rejected, redone(outcome.manifest)) == ({}, {"b": "1"})
    assert done(folder, Once(folder)).manifest.version == outcome.manifest.version


def test_an_unfinished_report_of_the_same_run_is_taken_and_of_another_is_not(tmp_path: Path) -> None:
    """Attempts of one run, as speculation makes them, ask once; the next run asks again."""
    path = tmp_path / "in" / "a"
    path.parent.mkdir()
    path.write_text("1 2")
    store, unit = Store(str(tmp_path / "work")), Unit("a", {"path": str(path)}, "identity")
    broken, whole = Once(path.parent, unreadable=("a",)), Once(path.parent)

    def attempt(stage: Once, run: str) -> UnitReport:
        result = run_unit(stage, Task(store, "v", {}, run=run), unit)
        assert isinstance(result, UnitReport), result
        return result

    first = attempt(broken, "one")
    assert attempt(whole, "one") == first and first.rejected == {"unreadable_file": 1}
    assert calls(path.parent) == ["a"]
    second = attempt(whole, "two")
    assert (second.rejected, calls(path.parent)) == ({}, ["a"])
    assert attempt(broken, "three") == second, "what is final stays"
    assert calls(path.parent) == []


@pytest.mark.parametrize("kind", [Read, Once])
def test_what_is_redone_for_a_lost_file_is_no_other_version(folder: Path, kind: type[Read]) -> None:
    """It did not fail: what readers were made from is the same once more."""
    first = done(folder, kind(folder))
    (victim,) = first.manifest.reports["b"].paths("numbers")
    (folder.parent / "work" / victim).unlink()
    calls(folder)
    again = done(folder, kind(folder))
    assert (again.manifest.version, calls(folder)) == (first.manifest.version, ["b"])
    assert redone(again.manifest) == {}
