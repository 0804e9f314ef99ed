"""All rows, by name."""

from __future__ import annotations

from bench.harness import Row
from bench.pages import PAGES

ROWS: dict[str, Row] = {row.name: row for row in (PAGES,)}
