"""The report's numbers, computed by DuckDB over a work folder's views; only aggregates reach Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from curation.inspect.entry_tables import EntryTables

Row = dict[str, Any]
Counts = npt.NDArray[np.int64]

FACETS = ("text_lang", "licence", "page_host", "media_host", "platform", "snapshot")
BINS_PER_OCTAVE = 2
"""Of sizes, lengths and texts."""
SIDES = (64, 128, 224, 256, 336, 384, 448, 512, 768, 1024)
"""Pixels of the shorter side that trainers ask for: what ViTs read (224, 336, 384, 448), and usual limits."""
STEPS_PER_OCTAVE = 16
"""Of critical thresholds on the curve of a manifest."""
LOWER_STEPS = (0.1, 0.2, 0.5)
"""Multiples of the present t at which samples are counted exactly."""

_HOST = "nullif(lower(regexp_extract({0}, '^(?:[^?#@]*@)?([^?#:]*)', 1)), '')"
_EXTENT = "least({0}width, {0}height)"


class ReportTables:
    """A connection of `curation.inspect.connect`, and the tables that several sections read."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._db = database
        self._names = {name for (name,) in database.execute("SELECT view_name FROM duckdb_views()").fetchall()}
        self._tallied: set[str] = set()
        self._make_limits()
        self._make_entries()

    def has(self, *datasets: str) -> bool:
        """Whether all of these are published and fresh."""
        return self._names >= set(datasets)

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """A statement without a result."""
        self._db.execute(sql, list(parameters))

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """The result of a SELECT that gives few rows."""
        cursor = self._db.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row:
        return self.rows(sql, parameters)[0]

    def arrays(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, npt.NDArray[Any]]:
        """The result of a SELECT as one array per column."""
        return dict(self._db.execute(sql, list(parameters)).fetchnumpy())

    def _make_limits(self) -> None:
        """limits: t by modality and language, of the last balancing there is; kept_t of the one before fetching."""
        known = [
            "SELECT modality, vocabulary_lang AS lang, NULL AS t, t AS kept_t FROM thresholds WHERE stage = 'balance'",
            "SELECT modality, vocabulary_lang, t, NULL FROM thresholds WHERE stage = 'rebalance'",
        ]
        if self.has("entry_probabilities"):
            known.append(
                "SELECT modality, vocabulary_lang, any_value(threshold), NULL FROM entry_probabilities GROUP BY ALL"
            )
        self._db.execute(f"""
            CREATE TEMP TABLE limits AS
            SELECT modality, lang, coalesce(max(t), max(kept_t)) AS t, coalesce(max(kept_t), max(t)) AS kept_t
            FROM ({" UNION ALL ".join(known)}) GROUP BY modality, lang""")

    def _make_entries(self) -> None:
        """found: per (modality, lang, entry) texts in the pool and among kept pairs, and samples; 0 where not known.

        deciding: the count that balancing goes by, of all modalities where the recipe pools them.
        """
        parts = [
            "SELECT '' AS modality, '' AS vocabulary_lang, 0 AS entry_id, '' AS entry, 0 AS pool, 0 AS kept, "
            "0 AS samples WHERE false"
        ]
        if self.has("entry_counts"):
            parts.append("SELECT modality, vocabulary_lang, entry_id, entry, texts, 0, 0 FROM entry_counts")
        if self.has("kept_counts"):
            parts.append("SELECT modality, vocabulary_lang, entry_id, NULL, 0, texts, 0 FROM kept_counts")
        if self.has("entry_probabilities"):
            pool = "0" if self.has("entry_counts") else "pool_texts"
            parts.append(
                f"SELECT modality, vocabulary_lang, entry_id, entry, {pool}, 0, samples FROM entry_probabilities"
            )
        group = "PARTITION BY vocabulary_lang, entry_id"
        deciding = f"sum(sum(pool)) OVER ({group})" if self._pools_modalities() else "sum(pool)"
        self._db.execute(f"""
            CREATE TEMP TABLE found AS
            SELECT modality, vocabulary_lang AS lang, entry_id, any_value(entry) AS entry, sum(pool)::BIGINT AS pool,
                   sum(kept)::BIGINT AS kept, sum(samples)::BIGINT AS samples, ({deciding})::BIGINT AS deciding
            FROM ({" UNION ALL ".join(parts)})
            GROUP BY modality, vocabulary_lang, entry_id HAVING sum(pool) + sum(samples) > 0""")

    def _pools_modalities(self) -> bool:
        known = self.rows("SELECT settings FROM stages WHERE stage = 'balance'")
        return any(json.loads(row["settings"]).get("pool_modalities", False) for row in known)

    def counts(self, stage: str) -> dict[str, int]:
        """What a stage counted; empty where it is not fresh."""
        rows = self.rows("SELECT counts FROM stages WHERE stage = ?", [stage])
        return dict(rows[0]["counts"]) if rows else {}

    def totals(self) -> list[Row]:
        """Per modality of the manifest: samples and what they come to."""
        return self.rows("""
            SELECT modality, count(*) AS samples, count(*) FILTER (split = 'val') AS val,
                   count(DISTINCT media_id) AS sources,
                   count(*) FILTER (len(entry_ids) > 0) AS matched, sum(size_bytes)::BIGINT AS size_bytes,
                   coalesce(sum(duration_ms), 0)::BIGINT AS duration_ms
            FROM manifest GROUP BY modality ORDER BY modality""")

    def facet(self, name: str, most: int) -> Row:
        """Values of one of FACETS with their samples by modality, the most frequent first.

        {values: [{value, samples, images}], others: {values, samples, images} or None}; value None: not known.
        """
        self._tally()
        value = _HOST.format("value") if name.endswith("_host") else "value"
        rows = self.rows(
            f"""
            WITH summed AS (
                SELECT {value} AS value, sum(samples)::BIGINT AS samples,
                       coalesce(sum(samples) FILTER (modality = 'image'), 0)::BIGINT AS images
                FROM tallies WHERE facet = ? GROUP BY 1),
            ranked AS (SELECT *, row_number() OVER (ORDER BY samples DESC, value NULLS LAST) AS place FROM summed)
            SELECT least(place, ?) AS place, CASE WHEN place < ? THEN value END AS value, count(*) AS merged,
                   sum(samples)::BIGINT AS samples, sum(images)::BIGINT AS images
            FROM ranked GROUP BY 1, 2 ORDER BY 1""",
            [name, most + 1, most + 1],
        )
        listed = [{key: row[key] for key in ("value", "samples", "images")} for row in rows if row["place"] <= most]
        others = [
            {"values": row["merged"], "samples": row["samples"], "images": row["images"]}
            for row in rows
            if row["place"] > most
        ]
        return {"values": listed, "others": others[0] if others else None}

    def languages_of_texts(self) -> int:
        """Languages that chosen texts are in."""
        self._tally()
        row = self.row("SELECT count(DISTINCT value) AS languages FROM tallies WHERE facet = 'text_lang'")
        return int(row["languages"])

    def _tally(self) -> None:
        """tallies: samples by facet, value and modality, in one pass over the manifest."""
        if "tallies" in self._tallied:
            return
        self._tallied.add("tallies")
        names = " ".join(f"WHEN grouping({name}) = 0 THEN '{name}'" for name in FACETS)
        values = " ".join(f"WHEN grouping({name}) = 0 THEN {name}" for name in FACETS)
        sets = ", ".join(f"(modality, {name})" for name in FACETS)
        hosts = ", ".join(
            f"CASE WHEN contains({name}_url, '://') THEN split_part({name}_url, '/', 3) END AS {name}_host"
            for name in ("page", "media")
        )
        self._db.execute(f"""
            CREATE TEMP TABLE tallies AS
            SELECT CASE {names} END AS facet, CASE {values} END AS value, modality, count(*) AS samples
            FROM (SELECT modality, nullif(text_lang, '') AS text_lang, licence, {hosts}, platform, snapshot
                  FROM manifest)
            GROUP BY GROUPING SETS ({sets})""")

    @cached_property
    def kinds(self) -> list[Row]:
        """Per CAPTIONER.KIND: samples that have such a text, such texts, and samples for which one was chosen.

        The column texts is most of a manifest: it is read once.
        """
        return self.rows("""
            WITH labels AS (
                SELECT list_transform(texts, lambda said: said.captioner || '.' || said.kind) AS said FROM manifest),
            counted AS (
                SELECT label, count(*) AS samples, sum(times)::BIGINT AS texts
                FROM (SELECT unnest(map_keys(times)) AS label, unnest(map_values(times)) AS times
                      FROM (SELECT list_histogram(said) AS times FROM labels))
                GROUP BY label),
            chosen AS (SELECT text_kind AS label, count(*) AS chosen FROM manifest GROUP BY text_kind)
            SELECT label, coalesce(samples, 0) AS samples, coalesce(texts, 0) AS texts, coalesce(chosen, 0) AS chosen
            FROM counted FULL JOIN chosen USING (label) ORDER BY samples DESC, label""")

    def histogram(self, what: str, split_by: str, where: str) -> list[Row]:
        """Samples by bins of a number, BINS_PER_OCTAVE: {bin, yes, no}, yes where split_by holds."""
        return self.rows(f"""
            SELECT floor({BINS_PER_OCTAVE} * log2({what}))::INTEGER AS bin,
                   count(*) FILTER ({split_by}) AS yes, count(*) FILTER (NOT coalesce({split_by}, false)) AS no
            FROM manifest WHERE {where} AND {what} > 0 GROUP BY 1 ORDER BY 1""")

    def sides(self) -> Row:
        """Images by their shorter side: as stored, as fetched; at_least: (stored, fetched) per size of SIDES."""
        stored, fetched = _EXTENT.format(""), _EXTENT.format("original_")
        least = ", ".join(
            f"count(*) FILTER ({side} >= {size}) AS {name}_{size}"
            for name, side in (("stored", stored), ("fetched", fetched))
            for size in SIDES
        )
        row = self.row(f"""
            SELECT count(*) AS images, count(original_width) AS known, {least},
                   median({stored}) AS median_stored, median({fetched}) AS median_fetched
            FROM manifest WHERE modality = 'image'""")
        return {
            **{name: row[name] for name in ("images", "known", "median_stored", "median_fetched")},
            "at_least": [(size, row[f"stored_{size}"], row[f"fetched_{size}"]) for size in SIDES],
            "stored": self.histogram(stored, "true", "modality = 'image'"),
            "fetched": self.histogram(fetched, "true", "modality = 'image' AND original_width IS NOT NULL"),
        }

    def shapes(self) -> list[Row]:
        """Images by bins of width and height, as fetched, or as stored where that is not known."""
        bins = (
            f"floor({BINS_PER_OCTAVE} * log2(coalesce(original_{side}, {side})))::INTEGER AS {side}_bin"
            for side in ("width", "height")
        )
        return self.rows(f"""
            SELECT {", ".join(bins)}, count(*) AS images FROM manifest
            WHERE modality = 'image' AND width > 0 AND height > 0 GROUP BY ALL ORDER BY ALL""")

    def lengths(self) -> Row:
        """Clips and videos: how many, how long, with sound, and by height."""
        row = self.row("""
            SELECT count(*) AS clips, count(DISTINCT media_id) AS sources, coalesce(sum(duration_ms), 0)::BIGINT AS ms,
                   median(duration_ms) AS median_ms, quantile_cont(duration_ms, 0.9) AS long_ms,
                   count(*) FILTER (has_audio) AS with_sound, median(fps) AS fps
            FROM manifest WHERE modality <> 'image'""")
        heights = self.rows("""
            SELECT least(width, height) AS side, count(*) AS clips FROM manifest WHERE modality <> 'image'
            GROUP BY 1 ORDER BY clips DESC, side LIMIT 8""")
        bins = self.histogram("duration_ms / 1000", "has_audio", "modality <> 'image'")
        return {**row, "heights": heights, "bins": bins}

    def losses(self) -> list[Row]:
        """The ledger by modality and error, the most frequent first; error None: obtained."""
        return self.rows("""
            SELECT modality, error, count(*) AS media, count(*) FILTER (transient) AS transient
            FROM media GROUP BY modality, error ORDER BY modality, media DESC, error""")

    def failing_hosts(self, most: int) -> list[Row]:
        """Hosts that lost most media: how many were asked for, how many failed, and why most often."""
        return self.rows(
            f"""
            WITH asked AS (
                SELECT {_HOST.format("split_part(media_url, '/', 3)")} AS host, error FROM media WHERE media_url <> ''),
            by_error AS (SELECT host, error, count(*) AS media FROM asked GROUP BY host, error)
            SELECT host, sum(media)::BIGINT AS asked, sum(media) FILTER (error IS NOT NULL)::BIGINT AS failed,
                   arg_max(error, (media, error)) FILTER (error IS NOT NULL) AS mostly
            FROM by_error GROUP BY host HAVING failed > 0 ORDER BY failed DESC, asked, host LIMIT ?""",
            [most],
        )

    def balanced(self) -> list[Row]:
        """Per (modality, lang) with a threshold: t, entries in the pool, those above t, and matches above, at, below t.

        of_pool, of_kept, of_samples: matches [above, at, below], in the pool, the kept pairs, the manifest's samples.
        """
        sides = ("deciding > kept_t", "deciding = kept_t", "deciding < kept_t")
        splits = ", ".join(
            "[" + ", ".join(f"coalesce(sum({of}) FILTER ({side}), 0)::BIGINT" for side in sides) + f"] AS of_{of}"
            for of in ("pool", "kept", "samples")
        )
        return self.rows(f"""
            SELECT modality, lang, any_value(kept_t) AS t, count(*) FILTER (pool > 0) AS entries,
                   count(*) FILTER (samples > 0) AS covered, count(*) FILTER (deciding > kept_t) AS above, {splits}
            FROM found JOIN limits USING (modality, lang)
            GROUP BY modality, lang ORDER BY sum(pool) DESC, modality, lang""")

    def languages(self, modality: str) -> list[str]:
        """Languages of the vocabulary that hold matches of a modality, most matches first."""
        rows = self.rows(
            "SELECT lang FROM found WHERE modality = ? GROUP BY lang ORDER BY sum(pool) DESC, lang", [modality]
        )
        return [row["lang"] for row in rows]

    def modalities(self) -> list[str]:
        """Modalities with matches, most first."""
        rows = self.rows("SELECT modality FROM found GROUP BY modality ORDER BY sum(pool) DESC, modality")
        return [row["modality"] for row in rows]

    def entry_counts(self, modality: str, lang: str | None = None) -> dict[str, Counts]:
        """pool, kept and samples of every entry of a modality (and a language), from the rarest in the pool on."""
        found = self.arrays(
            "SELECT pool, kept, samples FROM found WHERE modality = ? AND (? IS NULL OR lang = ?) "
            "ORDER BY pool, lang, entry_id",
            [modality, lang, lang],
        )
        return {name: np.asarray(values, np.int64) for name, values in found.items()}

    def histograms(self) -> EntryTables:
        """What reads critical thresholds of the pool; where there is draw_histograms."""
        return EntryTables(self._db, "found", "draw_histograms", pools=False)

    def kept_pairs(self) -> dict[tuple[str, str], int]:
        """Pairs that were kept, by modality and language; empty where they are not there."""
        if not self.has("kept_pairs"):
            return {}
        rows = self.rows("SELECT modality, vocabulary_lang AS lang, count(*) AS pairs FROM kept_pairs GROUP BY ALL")
        return {(row["modality"], row["lang"]): row["pairs"] for row in rows}

    def critical(self) -> list[Row]:
        """Samples by modality, vocabulary's language and step of their critical threshold.

        Step s holds those of 2 ** ((s - 1) / STEPS_PER_OCTAVE) < t* <= 2 ** (s / STEPS_PER_OCTAVE).
        """
        return self.rows(f"""
            SELECT modality, vocabulary_lang AS lang, count(*) AS samples,
                   ceil({STEPS_PER_OCTAVE} * log2(critical_threshold))::INTEGER AS step
            FROM manifest WHERE isfinite(critical_threshold) AND critical_threshold >= 1
            GROUP BY ALL ORDER BY modality, lang, step""")

    def smaller(self) -> list[Row]:
        """Per (modality, lang): samples, and those that a t of LOWER_STEPS times the present one keeps; null below 1.

        No t is below 1.
        """
        steps = ", ".join(
            f"CASE WHEN {step} * any_value(t) >= 1 THEN count(*) FILTER (critical_threshold <= {step} * t) END "
            f"AS at_{place}"
            for place, step in enumerate(LOWER_STEPS)
        )
        return self.rows(f"""
            SELECT m.modality, m.vocabulary_lang AS lang, any_value(limits.t) AS t, count(*) AS samples, {steps}
            FROM manifest AS m JOIN limits ON limits.modality = m.modality AND limits.lang = m.vocabulary_lang
            GROUP BY ALL ORDER BY samples DESC, m.modality, lang""")

    def shards(self) -> list[Row]:
        """Per split of the exported shards: tars, samples, bytes."""
        return self.rows("""
            SELECT split, count(*) AS shards, sum(samples)::BIGINT AS samples, sum(size_bytes)::BIGINT AS size_bytes,
                   min(samples) AS least, max(samples) AS most
            FROM shards GROUP BY split ORDER BY split""")
