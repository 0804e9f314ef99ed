"""How long each notebook takes on the demo's output, its kernel's start included.

What they are compared with is the minute that a reader is ready to wait: the ratio says how many times a notebook fits
into it. CURATION_WORK and CURATION_WORK_B say where the demo lies, as for notebooks/run.py; else `make notebooks` makes
both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.data import ROOT
from bench.harness import OURS, Cost, Row, wall_seconds

PEER, MINUTE_S = "a minute", 60.0
_FOLDERS = {"CURATION_WORK": "demo-output/run", "CURATION_WORK_B": "demo-output/run-b"}


def _environment() -> dict[str, str]:
    """Raises FileNotFoundError where the demo has not been run."""
    found = {name: Path(os.environ.get(name) or ROOT / default) for name, default in _FOLDERS.items()}
    for folder in found.values():
        if not (folder / "manifest").is_dir():
            raise FileNotFoundError(f"no manifest in {folder}: make demo notebooks")
    return {**os.environ, **{name: str(folder.resolve()) for name, folder in found.items()}}


def _execute(name: str, environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "notebooks" / "run.py"), "--to", folder, name]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _sides(name: str) -> Iterator[dict[str, Cost]]:
    yield {OURS: wall_seconds(partial(_execute, name, _environment())), PEER: lambda: MINUTE_S}


ROWS = [
    Row(f"notebook-{name[:2]}", f"{name} on the demo's output, by the clock", "s", {PEER: 1}, partial(_sides, name), 3)
    for name in ("01_distributions", "02_choosing_t", "03_media_and_link_rot", "04_clips_and_captions",
                 "05_manifest_audit_and_diff")
]  # fmt: skip
