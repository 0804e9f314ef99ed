"""What is packed for a cluster's workers does not hide what Python itself brings."""

from __future__ import annotations

import runpy
from importlib.metadata import PackagePath
from pathlib import Path

import pytest

PACK = runpy.run_path(str(Path(__file__).resolve().parents[2] / "jobs" / "pack.py"))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("pyarrow/lib.py", True),
        ("dataclasses.py", False),  # PyPI's, of 2018: Python 3.11 does not start a process pool with it
        ("enum/__init__.py", False),
        ("enum34-1.0.dist-info/METADATA", True),
        ("../../bin/tool", False),
        ("numpy/tests/test_all.py", False),
        ("numpy/__pycache__/core.cpython-311.pyc", False),
    ],
)
def test_files(file: str, expected: bool) -> None:
    assert PACK["packed"](PackagePath(file)) is expected
