"""Disks that are full, folders that cannot be read or written: one line, exit code 2, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults_harness import Job, curation, started, wait_until
from faults_pool import Pool, Reference, write_recipe
from faults_reading import fingerprints

pytestmark = pytest.mark.slow

# Root may read and write everything: without these capabilities it is held to the rights like anybody else.
_AS_ANYBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
SIZES = ("800k", "3m", "6m")


@pytest.fixture
def anybody() -> list[str]:
    """What to put before a command so that it is held to the rights of files."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root without setpriv (util-linux) may read and write everything")
    return _AS_ANYBODY


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A small disk; called again with other options, the same disk is changed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def mount(options: str) -> Path:
        nonlocal mounted
        options = f"remount,{options}" if mounted else options
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False,
                              capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no right to mount a small disk: {done.stderr.strip()}")
        mounted = True
        return folder

    yield mount
    if mounted:
        wait_until(lambda: subprocess.run(["umount", str(folder)], check=False).returncode == 0, "umount", 20, 0.5)


def _refused(command: list[str | Path], log: Path) -> Job:
    with started(command, log) as job:
        job.error()
    return job


def test_a_full_disk(disk: Callable[[str], Path], pool: Pool, small: Reference, tmp_path: Path) -> None:
    """Full in one stage after the other; the same command goes on wherever it was."""
    for size in SIZES:
        work = disk(f"size={size}") / "work"
        said = _refused(curation(pool.small, work), tmp_path / "logs").error()
        assert "no space left" in said
        assert said.endswith("nothing is lost")
    disk("size=256m")
    with started(curation(pool.small, work), tmp_path / "logs") as job:
        job.succeed()
    assert fingerprints(work) == small.prints


def test_an_input_folder_that_cannot_be_read(anybody: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "secret"
    folder.mkdir(mode=0o000)
    recipe = _folder_recipe(tmp_path, folder)
    said = _refused([*anybody, *curation(recipe, tmp_path / "work")], tmp_path / "logs").error()
    assert str(folder) in said
    assert "permission" in said.lower()


def test_an_input_folder_that_is_missing(tmp_path: Path) -> None:
    recipe = _folder_recipe(tmp_path, tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in _refused(curation(recipe, tmp_path / "work"), tmp_path / "logs").error()


@pytest.mark.parametrize("below", ["", "below"])
def test_a_work_folder_that_is_a_file(below: str, pool: Pool, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.write_text("mine")
    said = _refused(curation(pool.small, work / below), tmp_path / "logs").error()
    assert str(work) in said
    assert "choose another" in said or "give a folder" in said
    assert work.read_text() == "mine"


def test_a_work_folder_without_the_right_to_write(anybody: list[str], pool: Pool, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir(mode=0o555)
    said = _refused([*anybody, *curation(pool.small, work)], tmp_path / "logs").error()
    assert str(work) in said
    assert "choose another" in said


@pytest.mark.parametrize("finished", [False, True])
def test_a_work_folder_on_a_read_only_disk(
    finished: bool, disk: Callable[[str], Path], pool: Pool, small: Reference, tmp_path: Path
) -> None:
    work = disk("size=64m") / "work"
    if finished:
        shutil.copytree(small.work, work)
    disk("ro")
    said = _refused(curation(pool.small, work), tmp_path / "logs").error()
    assert str(work) in said
    assert "choose another" in said
    if finished:
        assert fingerprints(work) == small.prints


def _folder_recipe(tmp_path: Path, folder: Path) -> Path:
    recipe = write_recipe(tmp_path / "recipe.yaml", [tmp_path / "x.wat.gz"])
    recipe.write_text(recipe.read_text().replace(str(tmp_path / "x.wat.gz"), str(folder)))
    return recipe
