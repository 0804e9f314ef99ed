"""kill -9 of the driver, the JVM, a Python worker and an executor, each in three stages, and what comes after it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from faults_harness import CLUSTER, LOCAL, Job, Underway, curation, kill, started, underway, versions, wait_until
from faults_pool import Pool, Reference
from faults_reading import Witness, catalog, current_versions, fingerprints

pytestmark = pytest.mark.slow

STAGES = ("extract", "pairs", "match")
RECORD = Callable[[str, object], None]


class Scene:
    """A run of the whole pool in a folder where the small one is finished, up to the moment of a kill."""

    def __init__(self, job: Job, work: Path, inputs: Path, stage: str) -> None:
        self.job, self.work, self.inputs, self.stage = job, work, inputs, stage
        self.reports: dict[str, Any] = {}
        self.record: dict[str, object] = {"stage": stage}

    def kill(self, known: set[str], at_least: int, find: Callable[[], psutil.Process | None]) -> None:
        """Kills what `find` finds once so many units of the stage are done, and not all."""

        def strike() -> Underway | None:
            assert self.job.process.poll() is None, f"ended before its time: {self.job.lines()}"
            state = underway(self.work, self.stage, known, at_least)
            victim = find() if state else None
            return state if victim is not None and kill(victim) else None

        self.job.family()
        state = wait_until(strike, f"a moment in {self.stage}")
        self.job.family()
        self.struck = time.monotonic()
        self.record |= {"units done": f"{state.done}/{state.units}"}
        folder = self.work / "_runs" / self.stage / state.version / "reports"
        self.reports = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}

    def since(self) -> float:
        return round(time.monotonic() - self.struck, 1)

    def rerun(self, recipe: Path, master: str) -> None:
        """The same command again, at once; what was done before the kill must not be done again."""
        with started(curation(recipe, self.work, master=master), self.work.parent / "logs") as again:
            if self.job.survivors():
                wait_until(lambda: not self.job.survivors(), "the killed run's processes end", 60)
            self.record |= {"processes outlived the kill by s": self.since()}
            self.record |= {"rerun s": round(again.succeed(), 1)}
        manifest = catalog(self.work).visible(self.stage).to_json()
        assert {name: manifest["reports"][name] for name in self.reports} == self.reports


def _expect(scene: Scene, whole: Reference, witness: Witness, record: RECORD) -> None:
    assert current_versions(scene.work) == whole.versions
    assert fingerprints(scene.work) == whole.prints
    record("kill", json.dumps(scene.record | dict(witness.looks)))


def _lost_tasks(work: Path) -> int:
    """Failed attempts that Spark logged and made good."""
    return (work / "_spark" / "spark.log").read_text().count(" Lost task ")


@pytest.mark.parametrize("stage", STAGES)
def test_driver(stage: str, increment: Path, pool: Pool, whole: Reference, small: Reference, record_property: RECORD) -> None:
    known = versions(increment, stage)
    command = curation(pool.whole, increment)
    with Witness(increment, small.versions, whole.versions) as witness, started(command, increment.parent / "logs") as job:
        scene = Scene(job, increment, pool.root, stage)
        in_map = stage == "pairs"  # before any unit is done: all work is on its way to the shuffle
        scene.kill(known, 0 if in_map else 1,
                   lambda: psutil.Process(job.process.pid) if not in_map or job.busy_worker(pool.root, increment) else None)
        scene.record |= {"victim": "driver", "exit": job.wait()}
        scene.rerun(pool.whole, LOCAL)
        witness.verdict()
    _expect(scene, whole, witness, record_property)


@pytest.mark.parametrize("stage", STAGES)
def test_jvm(stage: str, increment: Path, pool: Pool, whole: Reference, small: Reference, record_property: RECORD) -> None:
    known = versions(increment, stage)
    command = curation(pool.whole, increment)
    with Witness(increment, small.versions, whole.versions) as witness, started(command, increment.parent / "logs") as job:
        scene = Scene(job, increment, pool.root, stage)
        scene.kill(known, 1, lambda: job.jvms()[0])
        scene.record |= {"victim": "jvm", "line": job.error(), "exit": 2, "exit after s": scene.since()}
        assert scene.since() < 60
        scene.rerun(pool.whole, LOCAL)
        witness.verdict()
    _expect(scene, whole, witness, record_property)


@pytest.mark.parametrize("stage", STAGES)
def test_python_worker(
    stage: str, increment: Path, pool: Pool, whole: Reference, small: Reference, record_property: RECORD
) -> None:
    known = versions(increment, stage)
    command = curation(pool.whole, increment)
    with Witness(increment, small.versions, whole.versions) as witness, started(command, increment.parent / "logs") as job:
        scene = Scene(job, increment, pool.root, stage)
        scene.kill(known, 0 if stage == "pairs" else 1, lambda: job.busy_worker(pool.root, increment))
        job.succeed()
        scene.record |= {"victim": "worker", "exit": 0, "lost tasks": _lost_tasks(increment), "rest of run s": scene.since()}
        witness.verdict()
    assert _lost_tasks(increment) >= 1
    _expect(scene, whole, witness, record_property)


@pytest.mark.parametrize("stage", STAGES)
def test_executor(
    stage: str, increment: Path, pool: Pool, whole: Reference, small: Reference, record_property: RECORD
) -> None:
    known = versions(increment, stage)
    command = curation(pool.whole, increment, master=CLUSTER)
    with Witness(increment, small.versions, whole.versions) as witness, started(command, increment.parent / "logs") as job:
        scene = Scene(job, increment, pool.root, stage)
        scene.kill(known, 1, lambda: job.executors()[0])
        job.succeed()
        scene.record |= {"victim": "executor", "exit": 0, "lost tasks": _lost_tasks(increment), "rest of run s": scene.since()}
        witness.verdict()
    _expect(scene, whole, witness, record_property)
