"""Planning, committing, resuming, reusing, refusing: on toy stages, in this process and on Spark."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from toys import RECIPE, Read, Total

from curation.errors import ConservationError, StageError, StaleDatasetError, WorkFolderError
from curation.runner.catalog import Catalog
from curation.runner.engine import LocalEngine, SparkEngine, WorkEngine
from curation.runner.progress import Silent
from curation.runner.run import Run
from curation.runner.stage import Law, Stage
from curation.storage import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    numbers = tmp_path / "in"
    numbers.mkdir()
    for name, text in (("a", "1 2 3"), ("b", "11 x 12"), ("c", "21 22 23 24")):
        (numbers / name).write_text(text)
    return numbers


def _run(folder: Path, *stages: Stage, engine: WorkEngine | None = None) -> Run:
    return Run(Store.at(folder.parent / "work"), RECIPE, stages, lambda: engine or LocalEngine(), Silent())


def _calls(folder: Path) -> list[str]:
    log = folder.parent / "calls"
    calls = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return calls


def _numbers(run: Run) -> list[int]:
    return sorted(n for path in run.catalog.files("numbers") for n in pq.read_table(path).column("n").to_pylist())


def test_a_second_run_does_nothing(folder: Path) -> None:
    first = _run(folder, Read(folder)).execute(Read(folder))
    assert (first.units_done, sorted(_calls(folder))) == (3, ["a", "b", "c"])
    again = _run(folder, Read(folder)).execute(Read(folder))
    assert (again.units_done, again.units_reused, _calls(folder)) == (0, 3, [])
    assert again.manifest.version == first.manifest.version


def test_a_changed_or_added_file_costs_its_own_unit(folder: Path) -> None:
    _run(folder, Read(folder)).execute(Read(folder))
    _calls(folder)
    (folder / "b").write_text("5")
    (folder / "d").write_text("6")
    run = _run(folder, Read(folder))
    outcome = run.execute(Read(folder))
    assert (outcome.units_done, outcome.units_reused, sorted(_calls(folder))) == (2, 2, ["b", "d"])
    assert _numbers(run) == [1, 2, 3, 5, 6, 21, 22, 23, 24]


def test_a_removed_file_leaves_with_its_rows(folder: Path) -> None:
    _run(folder, Read(folder)).execute(Read(folder))
    (folder / "a").unlink()
    run = _run(folder, Read(folder))
    assert run.execute(Read(folder)).units_done == 0
    assert _numbers(run) == [11, 12, 21, 22, 23, 24]


def test_a_failed_unit_publishes_nothing_and_the_rest_is_kept(folder: Path) -> None:
    run = _run(folder, Read(folder, fail=("b",)))
    with pytest.raises(StageError, match=r"read: unit b: ValueError: told to fail \(details in .*_logs/read-b.txt\)"):
        run.execute(Read(folder, fail=("b",)))
    with pytest.raises(WorkFolderError, match="has no read yet"):
        run.catalog.visible("read")
    _calls(folder)
    run = _run(folder, Read(folder))
    assert run.execute(Read(folder)).units_done == 1
    assert _calls(folder) == ["b"]
    assert _numbers(run) == [1, 2, 3, 11, 12, 21, 22, 23, 24]


def test_what_may_have_passed_is_tried_again(folder: Path) -> None:
    stage = Read(folder, unreadable=("b",))
    run = _run(folder, stage)
    assert run.execute(stage).manifest.rejected == {"unreadable_file": 1}
    assert _numbers(run) == [1, 2, 3, 21, 22, 23, 24]
    outcome = run.execute(Read(folder))
    assert (outcome.units_done, outcome.manifest.rejected) == (1, {"bad_row": 1})
    assert _numbers(run) == [1, 2, 3, 11, 12, 21, 22, 23, 24]


def test_a_failed_increment_leaves_the_old_version_visible(folder: Path) -> None:
    run = _run(folder, Read(folder))
    run.execute(Read(folder))
    before = _numbers(run)
    (folder / "b").write_text("99")
    with pytest.raises(StageError):
        run.execute(Read(folder, fail=("b",)))
    assert _numbers(run) == before


def test_lost_rows_are_found(folder: Path) -> None:
    run = _run(folder, Read(folder, lose=True))
    with pytest.raises(ConservationError, match=r"lines 10 is not rows:numbers 6 \+ skipped:no_number 1"):
        run.execute(Read(folder, lose=True))
    with pytest.raises(WorkFolderError):
        run.catalog.visible("read")


def test_rejections_name_unit_and_reason(folder: Path) -> None:
    run = _run(folder, Read(folder))
    manifest = run.execute(Read(folder)).manifest
    assert manifest.rejected == {"bad_row": 1}
    table = pq.read_table(run.store.url(manifest.paths("rejections")[0]))
    assert table.select(["stage", "unit", "reason", "detail"]).to_pylist() == [
        {"stage": "read", "unit": "b", "reason": "bad_row", "detail": "x"}
    ]


def test_a_reader_is_told_of_staleness(folder: Path) -> None:
    stages = (Read(folder), Total())
    run = _run(folder, *stages)
    for stage in stages:
        run.execute(stage)
    (folder / "a").write_text("7")
    run.execute(stages[0])
    with pytest.raises(StaleDatasetError, match="finish `curation run`"):
        run.catalog.files("sums")
    run.execute(stages[1])
    assert run.catalog.files("sums")


def test_same_content_from_new_inputs_redoes_nothing_downstream(folder: Path) -> None:
    stages = (Read(folder), Total())
    run = _run(folder, *stages)
    for stage in stages:
        run.execute(stage)
    (folder / "a").write_text("1  2  3")  # another unit, the same rows
    assert run.execute(stages[0]).units_done == 1
    assert run.execute(stages[1]).units_done == 0
    assert run.catalog.files("sums")


def test_returning_to_an_earlier_state_redoes_nothing(folder: Path) -> None:
    run = _run(folder, Read(folder))
    run.execute(Read(folder))
    (folder / "a").write_text("7")
    run.execute(Read(folder))
    (folder / "a").write_text("1 2 3")
    assert run.execute(Read(folder)).units_done == 0
    assert _numbers(run) == [1, 2, 3, 11, 12, 21, 22, 23, 24]


def test_reports_without_manifest_are_taken_up(folder: Path) -> None:
    """As after a kill between the last unit and the publication."""
    run = _run(folder, Read(folder))
    run.execute(Read(folder))
    work = Path(run.store.root)
    (work / "numbers" / "_current.json").unlink()
    _report(work, "read", "c").unlink()
    _calls(folder)
    assert run.execute(Read(folder)).units_done == 1
    assert _calls(folder) == ["c"]


def test_files_of_an_unfinished_attempt_are_not_read(folder: Path) -> None:
    run = _run(folder, Read(folder))
    manifest = run.execute(Read(folder)).manifest
    torn = Path(run.store.root) / "numbers" / manifest.version / "a" / "deadbeef" / "00000.parquet"
    torn.parent.mkdir()
    torn.write_bytes(b"PAR1 torn")
    assert len(_numbers(run)) == 9


def test_the_manifest_tells_lineage(folder: Path) -> None:
    stages = (Read(folder), Total())
    run = _run(folder, *stages)
    first, second = (run.execute(stage).manifest for stage in stages)
    current = json.loads((Path(run.store.root) / "sums" / "_current.json").read_text())
    assert current["inputs"] == {"read": first.version}
    assert current["version"] == second.version
    assert current["rows"] == {"sums": 4}
    manifest = json.loads((Path(run.store.root) / current["manifest"]).read_text())
    assert manifest["counts"] == {"added": 9}


@pytest.mark.parametrize("partitions", [1, 3, 16])
def test_spark_gives_what_this_process_gives(folder: Path, spark: Any, partitions: int) -> None:
    results: list[Any] = []
    for engine in (LocalEngine(), SparkEngine(spark, partitions)):
        stages = (Read(folder), Total())
        run = _run(folder, *stages, engine=engine)
        for stage in stages:
            run.execute(stage)
        results.append(sorted(map(str, (pq.read_table(path).to_pylist() for path in run.catalog.files("sums")))))
        _remove(Path(run.store.root))
    assert results[0] == results[1]
    # A worker that has done a unit has spared the collector; which of them this meets is Spark's choice.
    assert any(SparkEngine(spark).map(lambda _: gc.get_freeze_count(), range(16)))
    assert results[0] == sorted(
        map(str, ([{"bucket": b, "total": t}] for b, t in ((1, 33), (2, 36), (3, 26), (4, 24))))
    )


@pytest.mark.parametrize("where", ["here", "spark"])
def test_a_stopped_shuffle_does_only_the_units_that_are_missing(folder: Path, spark: Any, where: str) -> None:
    engine: WorkEngine = LocalEngine() if where == "here" else SparkEngine(spark)
    stages = (Read(folder), Total())
    run = _run(folder, *stages, engine=engine)
    manifests = [run.execute(stage).manifest for stage in stages]
    work = Path(run.store.root)
    (work / "sums" / "_current.json").unlink()
    for bucket in ("bucket-00001", "bucket-00009"):
        _report(work, "total", bucket).unlink()
    outcome = run.execute(stages[1])
    assert (outcome.units_done, outcome.units_reused) == (2, 8)
    assert outcome.manifest.counts == manifests[1].counts
    assert outcome.manifest.content("sums") == manifests[1].content("sums")


def test_a_failure_on_spark_is_one_line(folder: Path, spark: Any) -> None:
    stage = Read(folder, fail=("a", "b"))
    with pytest.raises(StageError, match=r"^read: unit a, and 1 more units: ValueError: told to fail") as error:
        _run(folder, stage, engine=SparkEngine(spark)).execute(stage)
    assert "\n" not in str(error.value)


def test_unknown_dataset_names_are_refused(folder: Path) -> None:
    with pytest.raises(WorkFolderError, match="no dataset is called 'numberz'"):
        Catalog(Store.at(folder), (Read(folder),)).files("numberz")


def _report(work: Path, stage: str, unit: str) -> Path:
    return next((work / "_runs" / stage / "reports").glob(f"{unit}.*.json"))


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)


def test_units_of_a_stopped_run_count_for_another_list_of_inputs(folder: Path) -> None:
    """As when a file is repaired or added after a failure."""
    with pytest.raises(StageError):
        _run(folder, Read(folder)).execute(Read(folder, fail=("c",)))
    _calls(folder)
    (folder / "c").write_text("30")
    (folder / "d").write_text("40")
    run = _run(folder, Read(folder))
    run.execute(Read(folder))
    assert sorted(_calls(folder)) == ["c", "d"]


@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_a_file_that_went_missing_is_made_again(folder: Path, damage: str) -> None:
    run = _run(folder, Read(folder))
    manifest = run.execute(Read(folder)).manifest
    victim = Path(run.store.root) / manifest.reports["b"].paths("numbers")[0]
    if damage == "removed":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-1])
    _calls(folder)
    run.execute(Read(folder))
    assert _calls(folder) == ["b"]
    assert _numbers(run) == [1, 2, 3, 11, 12, 21, 22, 23, 24]


def test_a_damaged_report_is_no_report(folder: Path) -> None:
    run = _run(folder, Read(folder))
    run.execute(Read(folder))
    work = Path(run.store.root)
    (work / "numbers" / "_current.json").unlink()
    for name, content in (("a", b""), ("b", b"{}"), ("c", b"[1]")):
        _report(work, "read", name).write_bytes(content)
    _calls(folder)
    run.execute(Read(folder))
    assert sorted(_calls(folder)) == ["a", "b", "c"]


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", '{"version": "x", "colour": "red"}'])
def test_a_damaged_pointer_is_one_line(folder: Path, content: str) -> None:
    run = _run(folder, Read(folder))
    run.execute(Read(folder))
    (Path(run.store.root) / "numbers" / "_current.json").write_text(content)
    with pytest.raises(WorkFolderError, match=r"_current.json (is damaged: remove it|was written by another version)"):
        run.execute(Read(folder))


def test_nothing_is_published_on_inputs_that_were_replaced_meanwhile(folder: Path) -> None:
    stages = (Read(folder), Total())
    run = _run(folder, *stages)
    run.execute(stages[0])

    class Slow(Total):
        def items(self, planning: Any) -> Any:
            (folder / "a").write_text("7")
            run.execute(stages[0])
            return super().items(planning)

    with pytest.raises(WorkFolderError, match="read was replaced while total ran"):
        run.execute(Slow())
    with pytest.raises(WorkFolderError, match="has no total yet"):
        run.catalog.visible("total")


def test_a_snapshot_does_not_see_what_comes_later(folder: Path) -> None:
    run = _run(folder, Read(folder))
    run.execute(Read(folder))
    snapshot = run.catalog.snapshot()
    before = snapshot.files("numbers")
    (folder / "a").write_text("7")
    run.execute(Read(folder))
    assert snapshot.files("numbers") == before != run.catalog.files("numbers")


def test_units_of_one_name_are_refused(folder: Path) -> None:
    class Twice(Read):
        def plan(self, planning: Any, context: Any) -> Any:
            return 2 * super().plan(planning, context)

    with pytest.raises(StageError, match="two units of one name"):
        _run(folder, Twice(folder)).execute(Twice(folder))


def test_a_law_about_no_dataset_is_a_defect(folder: Path) -> None:
    class Misspelt(Read):
        laws = (Law(("rows:numberz",), ("nothing",)),)

    with pytest.raises(ValueError, match="names rows:numberz"):
        _run(folder, Misspelt(folder)).execute(Misspelt(folder))


def test_nothing_is_published_without_the_lease(folder: Path) -> None:
    run = _run(folder, Read(folder))
    with pytest.raises(WorkFolderError, match="another run took over"), run.lease():
        (Path(run.store.root) / "_lease.json").write_text('{"token": "other"}')
        run.execute(Read(folder))
    with pytest.raises(WorkFolderError, match="has no read yet"):
        run.catalog.visible("read")
