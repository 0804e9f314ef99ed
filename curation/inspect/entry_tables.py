"""Entries with their texts before and after balancing, as SQL over any relations: of the data card and of questions."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt


def entries_sql(counted: str, kept: str, thresholds: str, *, pools: bool) -> str:
    """One row per (modality, lang, entry) with a match: texts before (`texts`) and after (`kept`), and the threshold t.

    counted, kept: relations with the columns of entry_counts and kept_counts; thresholds: of (modality, lang, t). pool
    is the count that decides: the texts of this modality, or of all where the recipe pools them.
    """
    pool = "sum(texts) OVER (PARTITION BY vocabulary_lang, entry_id)" if pools else "texts"
    return f"""
        WITH counted AS (SELECT * FROM {counted}),
        left_over AS (SELECT modality, vocabulary_lang, entry_id, sum(texts)::BIGINT AS kept
                      FROM {kept} GROUP BY ALL)
        SELECT c.modality, c.vocabulary_lang AS lang, c.entry_id, c.entry, c.texts, c.pool,
               coalesce(k.kept, 0) AS kept, limits.t
        FROM (SELECT *, ({pool})::BIGINT AS pool FROM counted) AS c
        LEFT JOIN left_over AS k USING (modality, vocabulary_lang, entry_id)
        LEFT JOIN {thresholds} AS limits ON limits.modality = c.modality AND limits.lang = c.vocabulary_lang"""


def head_and_tail_sql(entries: str, thresholds: str) -> str:
    """Per (modality, lang): entries and their matches above and below t, in the pool and among what was kept."""
    return f"""
        SELECT limits.modality, limits.lang, any_value(limits.t) AS t,
               count(entry_id) AS entries_matched,
               count(entry_id) FILTER (pool > found.t) AS entries_above_t,
               coalesce(sum(texts), 0)::BIGINT AS matches_before,
               coalesce(sum(texts) FILTER (pool > found.t), 0)::BIGINT AS above_t_before,
               coalesce(sum(texts) FILTER (pool < found.t), 0)::BIGINT AS tail_before,
               coalesce(sum(kept), 0)::BIGINT AS matches_after,
               coalesce(sum(kept) FILTER (pool > found.t), 0)::BIGINT AS above_t_after,
               coalesce(sum(kept) FILTER (pool < found.t), 0)::BIGINT AS tail_after
        FROM {thresholds} AS limits LEFT JOIN {entries} AS found USING (modality, lang)
        GROUP BY limits.modality, limits.lang ORDER BY limits.modality, limits.lang"""


def top_entries_sql(entries: str) -> str:
    """The most frequent entries of each modality, with their rank and count before and after; parameter: how many."""
    return f"""
        SELECT modality, rank_before, CASE WHEN after > 0 THEN rank_after END AS rank_after,
               entry, lang, t, before, after
        FROM (
            SELECT modality, lang, entry, t, texts AS before, kept AS after,
                   row_number() OVER (PARTITION BY modality ORDER BY texts DESC, lang, entry_id) AS rank_before,
                   row_number() OVER (
                       PARTITION BY modality ORDER BY kept DESC, texts DESC, lang, entry_id) AS rank_after
            FROM {entries})
        WHERE rank_before <= ? ORDER BY modality, rank_before"""


class EntryTables:
    """What sizes at other thresholds are computed from."""

    def __init__(self, database: duckdb.DuckDBPyConnection, entries: str, histograms: str, *, pools: bool) -> None:
        """entries: a relation as `entries_sql` gives it; histograms: one with the columns of draw_histograms."""
        self._db, self._entries, self._histograms, self._pools = database, entries, histograms, pools

    def counts(self, modality: str) -> dict[str, npt.NDArray[np.int64]]:
        """The non-zero counts that decide in a modality, per language; in no particular order."""
        languages = self._db.execute(
            f"SELECT DISTINCT lang FROM {self._entries} WHERE modality = ? ORDER BY lang", [modality]
        ).fetchall()
        return {
            lang: np.asarray(
                self._db.execute(
                    f"SELECT sum(texts)::BIGINT AS texts FROM {self._entries} "
                    "WHERE lang = ? AND (? OR modality = ?) GROUP BY entry_id",
                    [lang, self._pools, modality],
                ).fetchnumpy()["texts"],
                np.int64,
            )
            for (lang,) in languages
        }

    def histogram(self, modality: str, lang: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        """Bins of critical thresholds that are not empty, with pairs and media."""
        columns = self._db.execute(
            f"""
            SELECT bin, sum(pairs)::BIGINT AS pairs, sum(media)::BIGINT AS media FROM {self._histograms}
            WHERE modality = ? AND vocabulary_lang = ? GROUP BY bin ORDER BY bin""",
            [modality, lang],
        ).fetchnumpy()
        return np.asarray(columns["bin"]), np.asarray(columns["pairs"]), np.asarray(columns["media"])
