"""All rows, by name."""

from __future__ import annotations

from bench import (
    cut_detection,
    cutting,
    fetching,
    fetching_faulty,
    fetching_memory,
    language,
    match_stage,
    matching,
    pages,
    wat,
)
from bench.harness import Row

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        *(*matching.ROWS, match_stage.ROW, wat.ROW, language.ROW, pages.PAGES),
        *(fetching.ROW, fetching_faulty.ROW, fetching_memory.ROW),
        *(*cut_detection.ROWS, *cutting.ROWS),
    )
}
"""All rows, by name."""
