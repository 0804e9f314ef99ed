"""A standalone cluster whose workers are another user's, with a packed environment and nothing else of ours."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_harness import ROOT, Job, started
from faults_pool import reference, write_recipe
from faults_reading import fingerprints

from curation.testing import build_web

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start workers as another user"),
]

USER = "nobody"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can read; pytest's own are closed to all but its user."""
    folder = Path(tempfile.mkdtemp(prefix="curation-test-cluster-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _rehearsed(archive: Path, recipe: Path, work: Path) -> Job:
    command = [sys.executable, ROOT / "jobs" / "standalone.py", archive, recipe, "--work", work, "--limit-s", "500"]
    with started(command, work.parent / "job") as job:
        code = job.wait()
        said = job.lines()
        assert job.survivors() == []
    if code == 2 and said[-1].endswith("put it where all users can read it"):
        pytest.skip(said[-1])
    assert code == 0, said
    return job


def test_the_same_rows_as_on_a_laptop(shared: Path) -> None:
    web = build_web(shared / "web")
    recipe = write_recipe(shared / "recipe.yaml", [*sorted(web.wats), *sorted(web.warcs)])
    archive, work = shared / "environment.tar.gz", shared / "work"
    with started([sys.executable, ROOT / "jobs" / "pack.py", archive], shared / "job") as packing:
        assert packing.wait() == 0, packing.lines()
    _rehearsed(archive, recipe, work)
    plain = reference(recipe, shared / "plain")
    assert fingerprints(work) == plain.prints
    assert (work / "card.json").is_file()
    data = list(work.glob("*/*/*/*/*.parquet"))
    assert {path.stat().st_uid for path in data} == {pwd.getpwnam(USER).pw_uid}  # written by the workers, all of it
    for number in (0, 1):
        log = (shared / "work.logs" / "0" / f"worker-{number}" / "log").read_text()
        assert "Asked to launch executor" in log
