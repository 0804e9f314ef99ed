"""Fixtures of all tests: real data where it is, one Spark session for the whole run, and no ERROR in its log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from curation.recipe import Runtime
from curation.session import spark_session

ROOT = Path(__file__).resolve().parent.parent

# How long an example takes is the machine's affair. CI runs `thorough`: pytest --hypothesis-profile=thorough.
settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None)
settings.load_profile("quick")


@pytest.fixture(autouse=True, scope="session")
def vocabulary_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled vocabularies of the tests go to a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURATION_CACHE", str(tmp_path_factory.mktemp("vocabularies")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real crawl files and captions; skips where a clone does not have them."""
    folder = Path(os.environ.get("CURATION_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (CURATION_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A local Spark; an ERROR line in its log fails the run."""
    scratch = tmp_path_factory.mktemp("spark")
    os.environ["PYTHONPATH"] = str(ROOT / "tests" / "runner")  # workers unpickle the toy stages by name
    session = spark_session(Runtime(master="local[2,4]"), "tests", str(scratch))
    yield session
    session.stop()
    errors = [line for line in (scratch / "spark.log").read_text().splitlines() if " ERROR " in line]
    if errors:
        pytest.fail("Spark logged errors:\n" + "\n".join(errors[:20]))
