"""The data card's numbers, computed by DuckDB over the committed Parquet files; only aggregates reach Python.

Pairs, matches and kept pairs lie in media buckets, so they are joined some buckets at a time: memory stays flat
however large the pool is, and what DuckDB cannot hold it spills.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb

from curation.inspect.entry_tables import EntryTables, entries_sql, head_and_tail_sql, top_entries_sql
from curation.query import select
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import (
    CANDIDATES,
    DRAW_HISTOGRAMS,
    ENTRY_COUNTS,
    KEPT_COUNTS,
    KEPT_PAIRS,
    MATCHES,
    PAIRS,
    Dataset,
)

Row = dict[str, Any]
CHUNK_ROWS = 1_000_000  # pairs joined at a time; measured: 0.6 GB for the whole process on 2 threads
TOP_VALUES = 20  # values listed of facets that have many
FACETS = ("modality", "text_source", "lang", "page_lang", "platform", "licence", "page_host", "snapshot")
_LONG_FACETS = ("page_lang", "platform", "licence", "page_host", "snapshot")
_UNKNOWN = {"lang": ("candidates",), "page_lang": ("pairs", "matched", "kept")}  # what rows of a step do not carry
_ALL = 2**31
_STEPS = ("candidates", "pairs", "matched", "kept")

# What follows :// up to the next slash, cheap enough for every row; user, port and query come off the sums.
_AUTHORITY = "CASE WHEN contains(page_url, '://') THEN split_part(page_url, '/', 3) END"
_HOST = "nullif(lower(regexp_extract(value, '^(?:[^?#@]*@)?([^?#:]*)', 1)), '')"


class CardTables(EntryTables):
    """Temporary tables of a run that the card's sections are read from."""

    def __init__(self, catalog: Catalog, manifests: dict[str, Manifest], database: duckdb.DuckDBPyConnection) -> None:
        self._catalog, self._manifests = catalog, manifests
        histograms = f"({self._select(DRAW_HISTOGRAMS, DRAW_HISTOGRAMS.columns)})"
        super().__init__(database, "entries", histograms, pools=self.pools_modalities)
        database.execute("SET preserve_insertion_order = false")  # every listing says its own order
        self._make_entries()
        self._make_tallies()

    def _select(self, dataset: Dataset, columns: list[str], units: list[str] | None = None) -> str:
        """The columns of a dataset, of all units or of some."""
        manifest = self._manifests[self._catalog.stage_of(dataset.name)]
        chosen = sorted(manifest.reports) if units is None else [unit for unit in units if unit in manifest.reports]
        paths = [path for unit in chosen for path in manifest.reports[unit].paths(dataset.name)]
        return select(dataset, [self._catalog.store.url(path) for path in paths], columns)

    def _make_entries(self) -> None:
        """entries: see `entries_sql`; thresholds: (modality, lang, t)."""
        thresholds = self._manifests["balance"].context.get("thresholds", {})
        self._db.execute("CREATE TEMP TABLE thresholds (modality VARCHAR, lang VARCHAR, t DOUBLE)")
        rows = [[modality, lang, t] for modality, of_lang in thresholds.items() for lang, t in of_lang.items()]
        if rows:
            self._db.executemany("INSERT INTO thresholds VALUES (?, ?, ?)", rows)
        counted = f"({self._select(ENTRY_COUNTS, ENTRY_COUNTS.columns)})"
        kept = f"({self._select(KEPT_COUNTS, KEPT_COUNTS.columns)})"
        entries = entries_sql(counted, kept, "thresholds", pools=self.pools_modalities)
        self._db.execute(f"CREATE TEMP TABLE entries AS {entries}")

    @property
    def pools_modalities(self) -> bool:
        return bool(self._manifests["balance"].settings.get("pool_modalities", False))

    def _make_tallies(self) -> None:
        """tallies: rows per value of every facet; sizes: rows and distinct media per dataset, modality and language."""
        self._db.execute(
            "CREATE TEMP TABLE tallies (facet VARCHAR, value VARCHAR, modality VARCHAR, text_sources VARCHAR[], "
            "candidates BIGINT, pairs BIGINT, matched BIGINT, kept BIGINT)"
        )
        self._db.execute(
            "CREATE TEMP TABLE sizes (dataset VARCHAR, level INTEGER, modality VARCHAR, lang VARCHAR, "
            "found BIGINT, media BIGINT)"
        )
        self._tally_candidates()
        for units in self._chunks():
            self._tally_pairs(units)
            self._db.execute(f"""
                INSERT INTO sizes SELECT 'pairs', 2, NULL, NULL, count(*), count(DISTINCT media_id)
                FROM ({self._select(PAIRS, ["media_id"], units)})""")
            for dataset in (MATCHES, KEPT_PAIRS):
                self._db.execute(f"""
                    INSERT INTO sizes
                    SELECT '{dataset.name}', grouping(modality) + grouping(vocabulary_lang), modality, vocabulary_lang,
                           count(*), count(DISTINCT media_id)
                    FROM ({self._select(dataset, ["modality", "vocabulary_lang", "media_id"], units)})
                    GROUP BY GROUPING SETS ((), (modality), (modality, vocabulary_lang))""")

    def _chunks(self) -> Iterator[list[str]]:
        """Media buckets by name, so many at a time that their pairs come to CHUNK_ROWS."""
        reports = self._manifests["pairs"].reports
        chunk: list[str] = []
        rows = 0
        for unit in sorted(reports):
            found = reports[unit].rows(PAIRS.name)
            if chunk and rows + found > CHUNK_ROWS:
                yield chunk
                chunk, rows = [], 0
            chunk.append(unit)
            rows += found
        if chunk:
            yield chunk

    def _tally_candidates(self) -> None:
        columns = ["modality", "snapshot", "page_url", "page_lang", "platform", "licence", "text_source"]
        self._db.execute(f"""
            INSERT INTO tallies
            SELECT {_facet_of("snapshot", "page_host", "page_lang", "platform", "licence", sources="text_source")},
                   CASE WHEN grouping(modality) = 0 THEN modality END,
                   CASE WHEN grouping(text_source) = 0 THEN [text_source] END, count(*), 0, 0, 0
            FROM (SELECT modality, snapshot, {_AUTHORITY} AS page_host, text_source, platform, licence,
                         lower(page_lang) AS page_lang
                  FROM ({self._select(CANDIDATES, columns)}))
            GROUP BY GROUPING SETS (
                (modality), (snapshot), (page_host), (page_lang), (platform), (licence), (modality, text_source))""")

    def _tally_pairs(self, units: list[str]) -> None:
        columns = ["pair_id", "modality", "lang", "snapshot", "page_url", "platform", "licence", "text_sources"]
        self._db.execute(f"""
            INSERT INTO tallies
            WITH p AS ({self._select(PAIRS, columns, units)}),
            m AS ({self._select(MATCHES, ["pair_id"], units)}),
            k AS ({self._select(KEPT_PAIRS, ["pair_id"], units)}),
            joined AS (
                SELECT p.modality, p.lang, p.snapshot, {_AUTHORITY} AS page_host, p.platform, p.licence,
                       p.text_sources, m.pair_id IS NOT NULL AS matched, k.pair_id IS NOT NULL AS kept
                FROM p LEFT JOIN m ON m.pair_id = p.pair_id LEFT JOIN k ON k.pair_id = p.pair_id)
            SELECT {_facet_of("lang", "snapshot", "page_host", "platform", "licence", sources="text_sources")},
                   CASE WHEN grouping(modality) = 0 THEN modality END,
                   CASE WHEN grouping(text_sources) = 0 THEN text_sources END,
                   0, count(*), count(*) FILTER (matched), count(*) FILTER (kept)
            FROM joined
            GROUP BY GROUPING SETS (
                (modality), (lang), (snapshot), (page_host), (platform), (licence), (modality, text_sources))""")

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """The result of a SELECT that gives few rows."""
        cursor = self._db.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def breakdown(self, facet: str) -> Row:
        """Values of a facet with their counts, the most frequent first; long facets end in a sum of the others.

        A pair counts for every field that said it, so text sources (whose rows have their modality) do not add up.
        """
        limit = TOP_VALUES if facet in _LONG_FACETS else _ALL
        value = {"page_host": _HOST, "modality": "modality"}.get(facet, "value")
        rows = self.rows(
            f"""
            WITH flat AS (
                SELECT {value} AS value, '' AS of_modality, candidates, pairs, matched, kept
                FROM tallies WHERE facet = $1 AND text_sources IS NULL
                UNION ALL
                SELECT unnest(text_sources), modality, candidates, pairs, matched, kept
                FROM tallies WHERE facet = $1 AND text_sources IS NOT NULL),
            summed AS (
                SELECT value, of_modality, sum(candidates)::BIGINT AS candidates, sum(pairs)::BIGINT AS pairs,
                       sum(matched)::BIGINT AS matched, sum(kept)::BIGINT AS kept
                FROM flat GROUP BY value, of_modality),
            ranked AS (
                SELECT *, row_number() OVER (
                    ORDER BY of_modality, pairs DESC, candidates DESC, value NULLS LAST) AS place
                FROM summed)
            SELECT least(place, $2 + 1) AS place, CASE WHEN place <= $2 THEN value END AS value,
                   CASE WHEN place <= $2 THEN of_modality END AS of_modality, count(*) AS merged,
                   sum(candidates)::BIGINT AS candidates, sum(pairs)::BIGINT AS pairs,
                   sum(matched)::BIGINT AS matched, sum(kept)::BIGINT AS kept
            FROM ranked GROUP BY 1, 2, 3 ORDER BY 1""",
            facet,
            limit,
        )
        listed = [{name: row[name] for name in ("value", *_STEPS)} for row in rows if row["place"] <= limit]
        if facet == "text_source":
            listed = [{"modality": row["of_modality"], **found} for row, found in zip(rows, listed, strict=True)]
        others = [
            {"values": row["merged"], **{name: row[name] for name in _STEPS}} for row in rows if row["place"] > limit
        ]
        unknown = _UNKNOWN.get(facet, ())
        for row in (*listed, *others):
            row.update(dict.fromkeys(unknown))
        return {"values": listed, "others": others[0] if others else None}

    def size(self, dataset: str, modality: str | None = None, lang: str | None = None) -> tuple[int, int]:
        """(rows, distinct media) of pairs, or of matches or kept_pairs, these of all or of one modality or language.

        A media with texts in two languages counts in both, and once in the sum over all.
        """
        level = 2 - (modality is not None) - (lang is not None)
        found = self.rows(
            "SELECT coalesce(sum(found), 0)::BIGINT AS found, coalesce(sum(media), 0)::BIGINT AS media FROM sizes "
            "WHERE dataset = ? AND level = ? AND modality IS NOT DISTINCT FROM ? AND lang IS NOT DISTINCT FROM ?",
            dataset,
            level,
            modality,
            lang,
        )[0]
        return found["found"], found["media"]

    def head_and_tail(self) -> list[Row]:
        """Per (modality, lang): entries and their matches above and below t, in the pool and among what was kept."""
        return self.rows(head_and_tail_sql("entries", "thresholds"))

    def top_entries(self, number: int) -> list[Row]:
        """The most frequent entries of each modality, with their rank and count before and after."""
        return self.rows(top_entries_sql("entries"), number)

    def matched_entries(self) -> dict[str, int]:
        """Entries with at least one match, in whatever modality, per vocabulary."""
        rows = self.rows("SELECT lang, count(DISTINCT entry_id) AS entries FROM entries GROUP BY lang")
        return {row["lang"]: row["entries"] for row in rows}


def _facet_of(*columns: str, sources: str) -> str:
    """Two expressions, facet and value, for a row of GROUPING SETS in which each column stands alone.

    The sets (modality, sources) and (modality) are facets text_source and modality; their values are in own columns.
    """
    names = " ".join(f"WHEN grouping({column}) = 0 THEN '{column}'" for column in columns)
    values = " ".join(f"WHEN grouping({column}) = 0 THEN {column}" for column in columns)
    return (f"CASE {names} WHEN grouping({sources}) = 0 THEN 'text_source' ELSE 'modality' END, "
            f"CASE {values} END")
