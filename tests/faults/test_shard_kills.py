"""kill -9 of the driver, a Python worker and an executor while shards are exported: the same set as without."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from faults_harness import CLUSTER, LOCAL, Job, command, kill, started, underway, wait_until
from faults_shards import ExportedSet, exported, no_engine

from curation.testing.manifests import write_manifest

pytestmark = pytest.mark.slow

SAMPLES, OF_A_TAR = 4000, 50
_SCRATCH = re.compile(r"/\.\d{5}\.tar\.[0-9a-f]{8}$").search
_RUN = """
import sys
sys.path.insert(0, {folder!r})
from faults_shards import export_on
export_on({master!r}, {work!r}, max_samples={samples})
"""


def export_command(work: Path, master: str) -> list[str]:
    folder = str(Path(__file__).parent)
    return [sys.executable, "-c", _RUN.format(folder=folder, master=master, work=str(work), samples=OF_A_TAR)]


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a set that one process exports, without Spark."""
    work = made(tmp_path_factory.mktemp("whole"))
    return ExportedSet.of(work, exported(work, max_samples=OF_A_TAR)).digests()


def made(work: Path) -> Path:
    write_manifest(work, SAMPLES, with_bytes=True, entries=False)
    return work


def strike(job: Job, work: Path, find: Callable[[], psutil.Process | None]) -> None:
    """Kills what `find` finds once some tars are there, and not all."""

    def struck() -> bool:
        assert job.process.poll() is None, f"ended before its time: {job.lines()}"
        victim = find() if underway(work, "shards", set(), 2) else None
        return victim is not None and kill(victim)

    wait_until(struck, "a moment in shards")


def is_whole(work: Path, digests: dict[str, str]) -> None:
    outcome = exported(work, no_engine, max_samples=OF_A_TAR)
    shards = ExportedSet.of(work, outcome)
    assert shards.digests() == digests
    assert not list(shards.folder.rglob(".*"))
    assert len(shards.all_samples()) == SAMPLES


def test_driver(tmp_path: Path, digests: dict[str, str]) -> None:
    work = made(tmp_path / "work")
    with started(export_command(work, LOCAL), tmp_path / "logs") as job:
        strike(job, work, lambda: psutil.Process(job.process.pid))
        job.wait()
        left = len(list(work.glob("shards/*/*/*.tar")))
        assert left < len(digests) - 3, "it was over before it was killed"
        with started(export_command(work, LOCAL), tmp_path / "logs") as again:
            wait_until(lambda: not job.survivors(), "the killed run's processes end", 60)
            again.succeed()
    is_whole(work, digests)


def test_python_worker(tmp_path: Path, digests: dict[str, str]) -> None:
    """In the middle of a tar."""
    work = made(tmp_path / "work")

    def writing(job: Job) -> psutil.Process | None:
        for process in job.family():
            try:
                if "python_daemon" in command(process) and any(_SCRATCH(file.path) for file in process.open_files()):
                    return process
            except psutil.Error:
                continue
        return None

    with started(export_command(work, LOCAL), tmp_path / "logs") as job:
        strike(job, work, lambda: writing(job))
        job.succeed()
    is_whole(work, digests)


def test_executor(tmp_path: Path, digests: dict[str, str]) -> None:
    work = made(tmp_path / "work")
    with started(export_command(work, CLUSTER), tmp_path / "logs") as job:
        strike(job, work, lambda: next(iter(job.executors()), None))
        job.succeed()
    is_whole(work, digests)
