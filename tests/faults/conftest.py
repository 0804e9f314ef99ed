"""One pool of inputs for all tests of faults, and what an uninterrupted run makes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults_pool import Pool, Reference, build_pool, reference


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return build_pool(tmp_path_factory.mktemp("pool"), tables=(2, 10), rows=12_000)


@pytest.fixture(scope="session")
def small(pool: Pool) -> Reference:
    return reference(pool.small, pool.root / "small")


@pytest.fixture(scope="session")
def whole(pool: Pool) -> Reference:
    return reference(pool.whole, pool.root / "whole")


@pytest.fixture
def increment(small: Reference, tmp_path: Path) -> Path:
    """A work folder in which the small recipe is finished: a run of the whole one has work to do in every stage."""
    work = tmp_path / "work"
    shutil.copytree(small.work, work)
    return work
