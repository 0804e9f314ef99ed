"""Runs beside and after each other in one folder: refused, idle, incremental, and the same rows whatever the path."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
from faults_harness import CLUSTER, LOCAL, curation, planned, run, started, versions, wait_until
from faults_pool import Pool, Reference, write_recipe
from faults_reading import fingerprints

pytestmark = pytest.mark.slow

PARTITIONS = (1, 3, 16)
_SEVERAL = """
import json, sys
from curation.cli import main
from curation.recipe import Runtime
from curation.session import spark_session

session = spark_session(Runtime(master=sys.argv[1]), "several runs", sys.argv[2])
for arguments in json.loads(sys.argv[3]):
    sys.argv = ["curation", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
session.range(1).count()  # it is still there
session.stop()
"""


def test_a_second_run_at_the_same_time_is_refused(pool: Pool, small: Reference, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with started(curation(pool.small, work), tmp_path / "logs") as first:
        wait_until(lambda: versions(work, "extract"), "the first run begins")
        with started(curation(pool.small, work), tmp_path / "logs") as second:
            assert "another run (" in second.error()
            assert second.error().endswith("wait for it or stop it, or choose another --work folder")
            assert first.process.poll() is None
        first.succeed()
    assert fingerprints(work) == small.prints


def test_a_run_of_a_finished_folder_starts_nothing(pool: Pool, small: Reference, tmp_path: Path) -> None:
    def seen_java() -> bool:
        return any("java" in process.name() for process in job.family())

    with started(curation(pool.small, small.work), tmp_path / "logs") as job:
        wait_until(lambda: seen_java() or job.process.poll() is not None, "the end")
        assert not seen_java()
        assert job.succeed() < 15
    assert job.lines()[-1].startswith("nothing to do: all is up to date")
    assert not list((small.work / "_spark").iterdir())  # where a JVM would have written its log
    assert fingerprints(small.work) == small.prints


def test_a_third_archive_costs_one_unit(pool: Pool, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipes = [write_recipe(tmp_path / f"{count}.yaml", pool.files[:count]) for count in (2, 3)]
    run(recipes[0], work)
    known = versions(work, "extract")
    before = fingerprints(work, ("candidates",))["candidates"][0]
    run(recipes[1], work)
    (fresh,) = versions(work, "extract") - known
    units = planned(work, "extract", fresh)
    (old,) = known
    done = sorted(set(units.values()) - set(planned(work, "extract", old).values()))
    assert len(units) == 3
    assert len(done) == 1
    assert done[0].startswith(pool.files[2].name)
    assert fingerprints(work, ("candidates",))["candidates"][0] > before


@pytest.mark.parametrize("master", [LOCAL, CLUSTER])
def test_partitions_order_and_increments_change_nothing(
    master: str, pool: Pool, small: Reference, tmp_path: Path
) -> None:
    """All in one process with a session of its own, as in a notebook."""
    files = pool.files[: pool.helping]
    commands: list[list[str]] = []
    for partitions in PARTITIONS:
        random.Random(partitions).shuffle(files)
        half = write_recipe(tmp_path / f"half-{partitions}.yaml", files[::2])
        whole = write_recipe(tmp_path / f"all-{partitions}.yaml", files)
        for recipe in (half, whole):
            command = curation(recipe, tmp_path / f"work-{partitions}", f"runtime.shuffle_partitions={partitions}")
            commands.append([str(word) for word in command[3:]])
    script = [sys.executable, "-c", _SEVERAL, master, tmp_path, json.dumps(commands)]
    with started(script, tmp_path / "logs") as job:
        job.succeed()
    for partitions in PARTITIONS:
        assert fingerprints(tmp_path / f"work-{partitions}") == small.prints
