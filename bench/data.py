"""Real data of the benchmarks."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def real_data(*names: str) -> list[Path]:
    """Files of the real data by their paths (globs) in its folder. Raises FileNotFoundError where one is missing."""
    folder = Path(os.environ.get("CURATION_REAL_DATA", ROOT.parent / "shared" / "data"))
    found = []
    for name in names:
        files = sorted(folder.glob(name))
        if not files:
            raise FileNotFoundError(f"no {name} in {folder} (CURATION_REAL_DATA)")
        found += files
    return found
