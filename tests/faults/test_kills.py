"""kill -9 of the driver, the JVM, a Python worker and an executor, each in three stages, and what comes after it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from faults_harness import (
    CLUSTER,
    LOCAL,
    Job,
    Underway,
    curation,
    kill,
    reports,
    started,
    underway,
    versions,
    wait_until,
)
from faults_pool import Pool, Reference
from faults_reading import Witness, catalog, current_versions, fingerprints

pytestmark = pytest.mark.slow

STAGES = ("extract", "pairs", "match")
_log = logging.getLogger("faults")


@dataclass
class Scene:
    """A run of the whole recipe in a folder where the small one is finished, up to the moment of a kill and after."""

    job: Job
    work: Path
    pool: Pool
    stage: str
    known: set[str]
    record: dict[str, object]
    reports: dict[str, Any] = field(default_factory=dict)
    struck: float = 0.0

    def kill(self, at_least: int, find: Callable[[], psutil.Process | None]) -> None:
        """Kills what `find` finds once so many units of the stage are done, and not all."""

        def strike() -> Underway | None:
            assert self.job.process.poll() is None, f"ended before its time: {self.job.lines()}"
            state = underway(self.work, self.stage, self.known, at_least)
            victim = find() if state else None
            return state if victim is not None and kill(victim) else None

        state = wait_until(strike, f"a moment in {self.stage}")
        self.struck = time.monotonic()
        self.job.family()
        self.record["units done"] = f"{state.done}/{state.pending}"
        self.reports = reports(self.work, self.stage, state.version)

    def busy_worker(self) -> psutil.Process | None:
        return self.job.busy_worker(self.pool.root, self.work)

    def since(self) -> float:
        return round(time.monotonic() - self.struck, 1)

    def rerun(self) -> None:
        """The same command again, at once; what was done before the kill must not be done again."""
        with started(curation(self.pool.whole, self.work), self.work.parent / "logs") as again:
            wait_until(lambda: not self.job.survivors(), "the killed run's processes end", 60)
            self.record["processes gone after s"] = self.since()
            self.record["rerun s"] = round(again.succeed(), 1)
        manifest = catalog(self.work).visible(self.stage).to_json()
        assert {name: manifest["reports"][name] for name in self.reports} == self.reports

    def recovered(self) -> None:
        """The same run ends well, and Spark's log says that it had something to make good."""
        self.job.succeed()
        log = (self.work / "_spark" / "spark.log").read_text()
        self.record |= {"rest of run s": self.since(), "lost tasks": log.count(" Lost task ")}
        assert " Lost task " in log or " Lost executor " in log


Stager = Callable[..., AbstractContextManager[Scene]]


@pytest.fixture
def staged(increment: Path, pool: Pool, small: Reference, whole: Reference) -> Stager:
    """Starts the run under a reader's eyes; at the end the rows must be those of an uninterrupted run."""

    @contextmanager
    def stage_it(victim: str, stage: str, master: str = LOCAL) -> Iterator[Scene]:
        known = versions(increment, stage)
        command = curation(pool.whole, increment, master=master)
        with (
            Witness(increment, small.versions, whole.versions) as witness,
            started(command, increment.parent / "logs") as job,
        ):
            scene = Scene(job, increment, pool, stage, known, {"victim": victim, "stage": stage})
            yield scene
        witness.verdict()
        _log.info("%s", json.dumps(scene.record | dict(witness.looks)))
        assert current_versions(increment) == whole.versions
        assert fingerprints(increment) == whole.prints

    return stage_it


@pytest.mark.parametrize("stage", STAGES)
def test_driver(stage: str, staged: Stager) -> None:
    with staged("driver", stage) as scene:
        if stage == "pairs":  # before any unit is done: all work is on its way into the shuffle
            scene.kill(0, lambda: psutil.Process(scene.job.process.pid) if scene.busy_worker() else None)
        else:
            scene.kill(1, lambda: psutil.Process(scene.job.process.pid))
        scene.record["exit"] = scene.job.wait()
        scene.rerun()


@pytest.mark.parametrize("stage", STAGES)
def test_jvm(stage: str, staged: Stager) -> None:
    with staged("jvm", stage) as scene:
        scene.kill(1, lambda: scene.job.jvms()[0])
        scene.record |= {"line": scene.job.error(), "exit": 2, "exit after s": scene.since()}
        assert scene.since() < 60
        scene.rerun()


@pytest.mark.parametrize("stage", STAGES)
def test_python_worker(stage: str, staged: Stager) -> None:
    with staged("worker", stage) as scene:
        scene.kill(0 if stage == "pairs" else 1, scene.busy_worker)
        scene.recovered()


@pytest.mark.parametrize("stage", STAGES)
def test_executor(stage: str, staged: Stager) -> None:
    with staged("executor", stage, CLUSTER) as scene:
        scene.kill(1, lambda: scene.job.executors()[0])
        scene.recovered()
