"""Compiled kernels find a place for their cache, share one compilation, and cost nothing to import."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from curation.balance import critical_thresholds, keep_probabilities
from curation.kernels import readonly

SOURCE = """
from curation.kernels import kernel

@kernel
def double(x):
    return 2.0 * x
"""


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in a folder where nothing can be cached, under a home where nothing can be cached either."""
    source = tmp_path / "source" / "doubling.py"
    source.parent.mkdir()
    source.write_text(SOURCE)
    (source.parent / "__pycache__").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return source


def load(source: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("doubling", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def private(source: Path) -> Path:
    return source.parents[1] / "temporary" / f"curation-kernels-{os.getuid()}"


def test_kernels_cache_in_a_private_folder_where_nothing_else_is_writable(homeless: Path) -> None:
    assert load(homeless).double(2.0) == 4
    assert list(private(homeless).rglob("*.nbc"))
    assert stat.S_IMODE(private(homeless).stat().st_mode) == 0o700
    again = load(homeless).double
    assert again(2.0) == 4
    assert sum(again.stats.cache_hits.values()) == 1


def test_a_folder_others_can_write_is_not_trusted(homeless: Path) -> None:
    private(homeless).mkdir()
    private(homeless).chmod(0o777)
    assert load(homeless).double(2.0) == 4
    assert not list(private(homeless).rglob("*"))


def test_kernels_work_without_any_place(homeless: Path) -> None:
    private(homeless).write_text("in the way")
    assert load(homeless).double(2.0) == 4


def test_all_layouts_share_one_compilation() -> None:
    from curation.balance import _kernels

    frozen = np.array([0, 2], np.int32)
    frozen.flags.writeable = False
    for offsets in (frozen, np.array([0, 2]), [0, 2]):
        for values in (np.array([0, 1], np.int32), np.array([0, 9, 1, 9])[::2]):
            critical_thresholds(offsets, values, [5, 6], np.array([0.5]))
            keep_probabilities(offsets, values, readonly(np.array([0.5, 0.3])))
    assert len(_kernels.critical_thresholds.signatures) == 1  # type: ignore[attr-defined]
    assert len(_kernels.keep_probabilities.signatures) == 1  # type: ignore[attr-defined]


def test_importing_the_package_loads_no_compiler() -> None:
    code = "import sys, curation.balance; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
