"""The web that these tests read; and archive_reading importable (pytest does not touch sys.path)."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from curation.testing import Web, build_web

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Web:
    """The web that build_web writes by default, within the promised five seconds."""
    started = time.process_time()  # of this process: neighbours on the machine do not count
    web = build_web(tmp_path_factory.mktemp("web"))
    assert time.process_time() - started < 5
    return web
