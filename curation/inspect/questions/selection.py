"""Questions about the selection: entries before and after balancing, sizes at other thresholds, and who says what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from curation.inspect.card_sizes import Histograms, histograms_of, sizes_of_all, sizes_of_language
from curation.inspect.entry_tables import EntryTables, entries_sql, head_and_tail_sql, top_entries_sql
from curation.inspect.questions.asking import (
    HOST,
    Database,
    ask,
    bounded,
    checked_modality,
    checked_thresholds,
    has,
    one_of,
    require,
    stage_facts,
)

_THRESHOLDS = "(SELECT modality, vocabulary_lang AS lang, t FROM thresholds WHERE stage = 'balance')"
_SELECTION = ("entry_counts", "kept_counts", "draw_histograms", "kept_pairs")


def thresholds(db: Database) -> pa.Table:
    """The thresholds of a run: stage (balance; rebalance: after losses), modality, vocabulary_lang, t in texts."""
    return ask(db, "SELECT * FROM thresholds ORDER BY stage, modality, vocabulary_lang")


def cumulative_counts(db: Database, modality: str = "image", lang: str = "en", *, points: int = 1000) -> pa.Table:
    """MetaCLIP's figure: entries from the rarest to the most frequent, and matches up to each, before and after.

    rank: 1 is the rarest entry with a match; entry, t (of the run); count_before and count_after: texts that hold the
    entry, in the pool and among kept pairs; cumulative_before, cumulative_after: their sums up to this rank. Entries of
    the same count are by entry_id. At most `points` rows, evenly spread, the first and the last entry among them.
    """
    require(db, "entry_counts", "kept_counts")
    places = bounded("points", points, 2) - 1
    return ask(
        db,
        f"""
        WITH ranked AS (
            SELECT row_number() OVER rarest AS rank, count(*) OVER () AS ranks, entry, t,
                   texts AS count_before, kept AS count_after,
                   sum(texts) OVER rarest AS cumulative_before, sum(kept) OVER rarest AS cumulative_after
            FROM {_entries(db)} WHERE modality = $1 AND lang = $2
            WINDOW rarest AS (ORDER BY texts, entry_id ROWS UNBOUNDED PRECEDING))
        SELECT rank, entry, t, count_before, count_after, cumulative_before::BIGINT AS cumulative_before,
               cumulative_after::BIGINT AS cumulative_after
        FROM ranked WHERE rank = 1 OR rank * $3 // ranks > (rank - 1) * $3 // ranks ORDER BY rank""",
        [checked_modality(modality), lang, places],
    )


def cumulative_at(
    db: Database, ts: Iterable[float], modality: str = "image", lang: str = "en", *, points: int = 200
) -> pa.Table:
    """`cumulative_counts` at other thresholds, of the pairs that each would keep: the paper's family of curves.

    t, rank, count, cumulative; by t, then rank; entries are ranked by their count in the pool. At most `points` rows a
    threshold. Reads matches and draws of the language in full.
    """
    require(db, "entry_counts", "matches", "draws", "kept_counts")
    found = checked_thresholds(ts)
    places = bounded("points", points, 2) - 1
    held = ", ".join(f"count(*) FILTER (critical_threshold <= {t!r}) AS kept{place}" for place, t in enumerate(found))
    sums = ", ".join(f"coalesce(kept{place}, 0) AS kept{place}, coalesce(sum(kept{place}) OVER rarest, 0)::BIGINT "
                     f"AS sum{place}" for place in range(len(found)))  # fmt: skip
    each = " UNION ALL ".join(f"SELECT {t!r}::DOUBLE AS t, rank, kept{place} AS count, sum{place} AS cumulative "
                              "FROM chosen" for place, t in enumerate(found))  # fmt: skip
    return ask(
        db,
        f"""
        WITH held AS (
            SELECT unnest(matches.entry_ids) AS entry_id, draws.critical_threshold
            FROM matches JOIN draws USING (pair_id)
            WHERE matches.modality = $1 AND matches.vocabulary_lang = $2),
        kept AS (SELECT entry_id, {held} FROM held GROUP BY entry_id),
        ranked AS (
            SELECT row_number() OVER rarest AS rank, count(*) OVER () AS ranks, {sums}
            FROM (SELECT entry_id, texts FROM {_entries(db)} WHERE modality = $1 AND lang = $2)
            LEFT JOIN kept USING (entry_id)
            WINDOW rarest AS (ORDER BY texts, entry_id ROWS UNBOUNDED PRECEDING)),
        chosen AS MATERIALIZED (
            SELECT * FROM ranked WHERE rank = 1 OR rank * $3 // ranks > (rank - 1) * $3 // ranks)
        SELECT * FROM ({each}) ORDER BY t, rank""",
        [checked_modality(modality), lang, places],
    )


def head_and_tail(db: Database) -> pa.Table:
    """Entries and matches above and below t, in the pool (before) and among kept pairs (after).

    One row per modality and lang: t, entries_matched, entries_above_t, and numbers of matches: matches_before,
    above_t_before (the head), tail_before (below t), and the same after. What has exactly t is in neither.
    """
    require(db, "entry_counts", "kept_counts")
    return ask(db, head_and_tail_sql(_entries(db), _THRESHOLDS))


def top_entries(db: Database, number: int = 20) -> pa.Table:
    """The most frequent entries of each modality.

    modality, rank_before, rank_after (null: none is kept), entry, lang, t, before and after: texts that hold it.
    """
    require(db, "entry_counts", "kept_counts")
    return ask(db, top_entries_sql(_entries(db)), [bounded("number", number)])


def matches_per_text(db: Database, most: int = 10) -> pa.Table:
    """How many entries texts hold: modality, matches, texts (of the pool), kept (of those).

    Only texts with a match are there; the row `most` stands for texts with as many or more.
    """
    require(db, "matches", "kept_pairs")
    least = "least(len(entry_ids), $1)"
    return ask(
        db,
        f"""
        SELECT modality, matches::BIGINT AS matches, sum(texts)::BIGINT AS texts, sum(kept)::BIGINT AS kept
        FROM (SELECT modality, {least} AS matches, count(*) AS texts, 0 AS kept FROM matches GROUP BY ALL
              UNION ALL
              SELECT modality, {least}, 0, count(*) FROM kept_pairs GROUP BY ALL)
        GROUP BY ALL ORDER BY modality, matches""",
        [bounded("most", most)],
    )


def sizes_at(db: Database, ts: Iterable[float], modality: str = "image", lang: str | None = None) -> pa.Table:
    """What would be kept at other thresholds, each language on its own: read off histograms, without drawing again.

    lang, t, factor (of the run's t), pairs and media, each with _at_least and _at_most, which are certain: bins are
    1.6 % of t wide at most; at the run's own t they are counted. By lang, then t. lang None: every language.
    """
    require(db, *_SELECTION)
    steps = checked_thresholds(ts)
    present = _present(db, checked_modality(modality))
    tables = _Selection(db)
    rows: list[dict[str, Any]] = []
    for name in sorted(present) if lang is None else [one_of("lang", lang, sorted(present))]:
        of_run = [(t / present[name], t) for t in steps]
        rows += sizes_of_language(tables, modality, name, of_run, histograms_of(tables, modality, name))
    return pa.Table.from_pylist(rows, _sizes_schema("pairs", "media"))


def sizes_following(db: Database, ts: Iterable[float], modality: str = "image") -> pa.Table:
    """What would be kept in all languages if t of the pivot (English) were another, and the others followed.

    lang (the pivot), t, factor, tail_share (of the pivot at t: what the others follow), pairs, pairs_at_least and
    pairs_at_most. Empty where the pivot has no match.
    """
    require(db, *_SELECTION)
    steps = checked_thresholds(ts)
    present = _present(db, checked_modality(modality))
    settings = stage_facts(db, "balance")[0]
    pivot = settings.get("pivot", "en")
    if pivot not in present:
        return pa.Table.from_pylist([], _sizes_schema("pairs", share=True))
    tables = _Selection(db)
    histograms: dict[str, Histograms] = {name: histograms_of(tables, modality, name) for name in sorted(present)}
    rows = sizes_of_all(
        tables, modality, [(t / present[pivot], t) for t in steps], histograms,
        (pivot, settings.get("other_languages", "step")))  # fmt: skip
    return pa.Table.from_pylist(rows, _sizes_schema("pairs", share=True))


def breakdown(db: Database, facet: str, top: int = 20) -> pa.Table:
    """Rows per value of a facet: lang, page_host, media_host, licence, platform, snapshot, text_source or modality.

    value (null: not known), others (0; in the last row how many further values it is the sum of), pairs, matched, kept
    (of the selection), samples (of the manifest, by their chosen text). Null: the folder has no such dataset. The most
    frequent first; a pair counts for each of its text sources, so those do not add up.
    """
    one_of("facet", facet, _FACETS)
    bounded("top", top)
    selection = all(has(db, name) for name in ("pairs", "matches", "kept_pairs"))
    manifest = has(db, "manifest")
    if not selection:
        require(db, "manifest")
    zero, none = "0", "NULL::BIGINT"
    parts = [
        *([_PAIRS.format(value=_FACETS[facet][0], samples=zero if manifest else none)] if selection else []),
        *([_SAMPLES.format(value=_FACETS[facet][1], pairs=zero if selection else none)] if manifest else []),
    ]
    return ask(
        db,
        f"""
        WITH summed AS (
            SELECT value, {", ".join(f"sum({step})::BIGINT AS {step}" for step in _STEPS)}
            FROM ({" UNION ALL ".join(parts)}) GROUP BY value),
        ranked AS (
            SELECT *, row_number() OVER (
                ORDER BY pairs DESC NULLS LAST, samples DESC NULLS LAST, value NULLS LAST) AS place
            FROM summed)
        SELECT CASE WHEN least(place, $1 + 1) <= $1 THEN any_value(value) END AS value,
               CASE WHEN least(place, $1 + 1) <= $1 THEN 0 ELSE count(*) END AS others,
               {", ".join(f"sum({step})::BIGINT AS {step}" for step in _STEPS)}
        FROM ranked GROUP BY least(place, $1 + 1) ORDER BY least(place, $1 + 1)""",
        [top],
    )


def by_language(db: Database, top: int = 40) -> pa.Table:
    """`breakdown` by the language of the text."""
    return breakdown(db, "lang", top)


def by_domain(db: Database, top: int = 20) -> pa.Table:
    """`breakdown` by the host of the page."""
    return breakdown(db, "page_host", top)


def licences(db: Database, top: int = 20) -> pa.Table:
    """`breakdown` by the licence that the page gives."""
    return breakdown(db, "licence", top)


_STEPS = ("pairs", "matched", "kept", "samples")
# facet: its value in pairs, and in the manifest; the chosen text is the first of texts
_FACETS = {
    "lang": ("nullif(lang, '')", "nullif(text_lang, '')"),
    "page_host": (HOST.format(url="page_url"), HOST.format(url="page_url")),
    "media_host": (HOST.format(url="media_url"), HOST.format(url="media_url")),
    "licence": ("licence", "licence"),
    "platform": ("platform", "platform"),
    "snapshot": ("snapshot", "snapshot"),
    "text_source": ("unnest(text_sources)", "unnest(texts[1].text_sources)"),
    "modality": ("modality", "modality"),
}
_PAIRS = """
    SELECT value, count(*) AS pairs, count(*) FILTER (is_matched) AS matched, count(*) FILTER (is_kept) AS kept,
           {samples} AS samples
    FROM (SELECT {value} AS value, m.pair_id IS NOT NULL AS is_matched, k.pair_id IS NOT NULL AS is_kept
          FROM pairs LEFT JOIN (SELECT pair_id FROM matches) AS m USING (pair_id)
          LEFT JOIN (SELECT pair_id FROM kept_pairs) AS k USING (pair_id))
    GROUP BY value"""
_SAMPLES = """
    SELECT value, {pairs} AS pairs, {pairs} AS matched, {pairs} AS kept, count(*) AS samples
    FROM (SELECT {value} AS value FROM manifest) GROUP BY value"""


def _entries(db: Database) -> str:
    """The relation of `entries_sql` over the views."""
    pools = bool(stage_facts(db, "balance")[0].get("pool_modalities", False))
    return f"({entries_sql('entry_counts', 'kept_counts', _THRESHOLDS, pools=pools)})"


def _present(db: Database, modality: str) -> dict[str, float]:
    """The run's threshold of every language of a modality."""
    rows = db.execute(f"SELECT lang, t FROM {_THRESHOLDS} WHERE modality = ? ORDER BY lang", [modality]).fetchall()
    return dict(rows)


def _sizes_schema(*units: str, share: bool = False) -> pa.Schema:
    sizes = [(f"{unit}{end}", pa.int64()) for unit in units for end in ("", "_at_least", "_at_most")]
    shares = [("tail_share", pa.float64())] if share else []
    return pa.schema([("lang", pa.string()), ("t", pa.float64()), ("factor", pa.float64()), *shares, *sizes])


class _Selection(EntryTables):
    """What sizes are computed from, over the views."""

    def __init__(self, db: Database) -> None:
        pools = bool(stage_facts(db, "balance")[0].get("pool_modalities", False))
        super().__init__(db, _entries(db), "draw_histograms", pools=pools)

    def size(self, dataset: str, modality: str | None = None, lang: str | None = None) -> tuple[int, int]:
        """(rows, distinct media) of kept_pairs, of one modality, or one language of it."""
        rows = self._db.execute(
            f"SELECT count(*), count(DISTINCT media_id) FROM {dataset} "
            "WHERE modality = ? AND (? IS NULL OR vocabulary_lang = ?)",
            [modality, lang, lang],
        ).fetchall()
        return rows[0]
