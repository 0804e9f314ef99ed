"""All rows, by name."""

from __future__ import annotations

from bench import language, matching, pages, wat
from bench.harness import Row

ROWS: dict[str, Row] = {row.name: row for row in (*matching.ROWS, wat.ROW, language.ROW, pages.PAGES)}
