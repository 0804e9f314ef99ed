"""The jobs through pyspark's own spark-submit: the same selection, and a quiet terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from faults_harness import CLUSTER, LOCAL, ROOT, SPARK_HOME, Job, started
from faults_pool import Pool, Reference
from faults_reading import fingerprints

pytestmark = pytest.mark.slow

STAGE_JOBS = ("10_extract", "20_pairs", "30_match", "40_count", "50_draw", "60_balance")
# What Spark's launcher says before it has read any setting of ours.
_LAUNCHER = re.compile(
    r"WARNING: Using incubator modules|Using Spark's default log4j profile|Setting Spark log level to \"WARN\"|"
    r"[\d/]{8} [\d:]{8} (INFO|WARN) (Utils|SparkContext|NativeCodeLoader): "
)


def _submit(job: str, recipe: Path, work: Path, master: str = LOCAL) -> Job:
    submit = SPARK_HOME / "bin" / "spark-submit"
    command = [submit, "--master", master, ROOT / "jobs" / f"{job}.py", recipe, "--work", work]
    with started(command, work.parent / "logs") as submitted:
        assert submitted.wait() == 0, submitted.lines()
    assert [line for line in submitted.unexpected() if not _LAUNCHER.match(line)] == []
    return submitted


def test_stage_by_stage(pool: Pool, small: Reference, tmp_path: Path) -> None:
    for job in STAGE_JOBS:
        _submit(job, pool.small, tmp_path / "work")
    assert fingerprints(tmp_path / "work") == small.prints


@pytest.mark.parametrize("master", [LOCAL, CLUSTER])
def test_all_at_once(master: str, pool: Pool, small: Reference, tmp_path: Path) -> None:
    _submit("00_all", pool.small, tmp_path / "work", master)
    assert fingerprints(tmp_path / "work") == small.prints
