"""All rows, by name."""

from __future__ import annotations

from bench import (
    caption_server,
    chapters,
    cut_detection,
    cutting,
    export,
    fetching,
    fetching_faulty,
    fetching_memory,
    language,
    loader,
    match_stage,
    matching,
    notebooks,
    pages,
    report,
    subtitles,
    wat,
)
from bench.harness import Row

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        *(*matching.ROWS, match_stage.ROW, wat.ROW, language.ROW, pages.PAGES),
        chapters.ROW,
        caption_server.ROW,
        subtitles.ROW,
        *(fetching.ROW, fetching_faulty.ROW, fetching_memory.ROW),
        *(*cut_detection.ROWS, *cutting.ROWS),
        *loader.ROWS,
        *export.ROWS,
        report.ROW,
        *notebooks.ROWS,
    )
}
"""All rows, by name."""
