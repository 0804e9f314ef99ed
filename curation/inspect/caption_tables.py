"""The numbers of the card's section on captions, computed by DuckDB over the committed files, a unit at a time."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from curation.query import select
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import CAPTION_COUNTS, CAPTION_SCORES, CAPTIONS, SAMPLES, Dataset

Row = dict[str, Any]

ALT = "alt"


class CaptionTables:
    """The datasets of captions as queries."""

    def __init__(self, catalog: Catalog, manifests: dict[str, Manifest], database: duckdb.DuckDBPyConnection) -> None:
        self._catalog, self._manifests, self._db = catalog, manifests, database

    def _rows(self, sql: str) -> list[Row]:
        table = self._db.sql(sql).to_arrow_table()
        found: list[Row] = table.to_pylist()
        return found

    def _select(self, dataset: Dataset, columns: list[str]) -> str:
        paths = self._manifests[self._catalog.stage_of(dataset.name)].paths(dataset.name)
        return select(dataset, [self._catalog.store.url(path) for path in paths], columns)

    def entries(self) -> dict[tuple[str, str], int]:
        """Distinct entries by captioner and kind; a modality and a language each has its own."""
        rows = self._rows(f"""
            SELECT captioner, kind, count(DISTINCT (modality, vocabulary_lang, entry_id)) AS entries
            FROM ({self._select(CAPTION_COUNTS, CAPTION_COUNTS.columns)}) GROUP BY ALL""")
        return {(row["captioner"], row["kind"]): row["entries"] for row in rows}

    def coverage(self, alts: list[str]) -> Row:
        """Distinct entries in the texts of captioners of source alt, in all others, and in both."""
        names = ", ".join("'" + name + "'" for name in alts) or "''"
        (row,) = self._rows(f"""
            SELECT count(*) FILTER (in_alt) AS alt, count(*) FILTER (in_others) AS captions,
                   count(*) FILTER (in_alt AND in_others) AS both
            FROM (SELECT bool_or(captioner IN ({names})) AS in_alt, bool_or(captioner NOT IN ({names})) AS in_others
                  FROM ({self._select(CAPTION_COUNTS, CAPTION_COUNTS.columns)})
                  GROUP BY modality, vocabulary_lang, entry_id)""")
        return row

    def similarities(self) -> dict[tuple[str, str], float]:
        """Mean similarity by captioner and kind, of those that have one; empty where none was asked for."""
        if "caption_scores" not in self._manifests:
            return {}
        rows = self._rows(f"""
            SELECT captioner, kind, avg(similarity) AS mean
            FROM ({self._select(CAPTION_SCORES, ["captioner", "kind", "similarity"])})
            WHERE similarity IS NOT NULL GROUP BY ALL""")
        return {(row["captioner"], row["kind"]): row["mean"] for row in rows}

    def well_captioned(self, captioners: list[str], min_score: float | None) -> npt.NDArray[np.bool_]:
        """(samples, captioners): whether one of the captioner's is good. Of all samples, in no order.

        Good is a similarity of min_score at least; without one, being there.
        """
        if not captioners:
            return np.zeros((0, 0), np.bool_)
        if min_score is not None and "caption_scores" in self._manifests:
            source = self._select(CAPTION_SCORES, ["sample_id", "captioner", "similarity"])
            good = f"similarity >= {float(min_score)!r}::FLOAT AND NOT isnan(similarity)"  # to DuckDB NaN is the most
        else:
            source, good = self._select(CAPTIONS, ["sample_id", "captioner", "status"]), "status = 'ok'"
        names = [f"c{n}" for n in range(len(captioners))]
        each = ", ".join(f"coalesce(bool_or(captioner = '{captioner}' AND {good}), false) AS {name}"
                         for name, captioner in zip(names, captioners, strict=True))  # fmt: skip
        rows = self._rows(f"""
            SELECT {", ".join(names)}, count(*) AS samples
            FROM (SELECT sample_id, {each} FROM ({source}) GROUP BY sample_id) GROUP BY ALL ORDER BY ALL
            """)  # at most two to the power of their number
        (every,) = self._rows(f"SELECT count(*) AS samples FROM ({self._select(SAMPLES, ['sample_id'])})")
        nothing = {"samples": every["samples"] - sum(row["samples"] for row in rows)}
        told = np.array([[row.get(name, False) for name in names] for row in (*rows, nothing)], np.bool_)
        return np.repeat(told, [row["samples"] for row in (*rows, nothing)], axis=0)
