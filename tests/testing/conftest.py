"""Makes archive_reading importable beside the tests (pytest imports test modules without touching sys.path)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
