"""Makes inspect_runs, card_pools and the filters' filter_rows importable: pytest does not touch sys.path here."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "filters")]
