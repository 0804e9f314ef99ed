"""Why samples that one manifest has are not in another: for each the first stage of the other's run that is without it.

The same chain as `curation why`, for all samples at once: each step asks one dataset of the run about the samples that
no step has explained yet. Datasets are asked from the end of the pipeline, where they are small: what was kept need
not be looked for among candidates. Every sample gets exactly one reason; one that nothing explains says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from curation.filters.consent import concerns_media
from curation.inspect.explain import threshold_table
from curation.inspect.left_out import COLUMNS, Judge
from curation.inspect.manifest_side import ManifestSide
from curation.pipeline import ALL_STAGES

JUDGED: Final = 100_000
"""Candidates, of a fifth as many media, that are held against the rules of `pairs` anew; what dropped others is not
told."""
UNTOLD: Final = "untold"
"""Stage of the reasons that say that there is none: the run's datasets are not there, or explain nothing."""

STAGES: Final = ("forget", *(stage.name for stage in ALL_STAGES), UNTOLD)
"""In this order reasons are told."""

OVERLAP: Final = r"'^(\S+) is in (.+) by its (\w+)$'"
"""SQL: how the manifest stage rejects a sample that another set has."""
_CLIP = r"'^.*-([0-9]+)-([0-9]+)$'"


@dataclass(frozen=True)
class Lost:
    """Samples that were lost for one reason at one stage: how many, and the smallest sample_id of them."""

    stage: str
    reason: str
    samples: int
    example: str


def lost_samples(missing: str, side: ManifestSide, other: ManifestSide, *, narrowed: bool) -> list[Lost]:
    """Why `side` is without some samples of `other`; the numbers add up to those of the relation `missing`.

    missing: a relation with sample_id (each once), media_id, clip_id, modality, text and archive. narrowed: the samples
    may be in the side's manifest, with a text that does not hold what was asked for.
    """
    reasons = _Reasons(missing, side, other)
    if narrowed:
        reasons.still_there()
    if side.catalog is not None:
        reasons.of_the_run()
    return reasons.told()


class _Reasons:
    """`open`: samples without a reason yet; `reasons`: (sample_id, stage, reason) of the others."""

    def __init__(self, missing: str, side: ManifestSide, other: ManifestSide) -> None:
        self._db: duckdb.DuckDBPyConnection = side.database
        self._side, self._other = side, other
        self._run("CREATE OR REPLACE TEMP TABLE reasons (sample_id VARCHAR, stage VARCHAR, reason VARCHAR)")
        self._run(f"CREATE OR REPLACE TEMP TABLE open AS SELECT * FROM {missing}")

    def _run(self, sql: str) -> None:
        self._db.execute(sql).fetchall()

    def _settle(self, stage: str, reason: str, joined: str = "", *, where: str = "true") -> None:
        """Takes out of `open` what has a reason: an SQL expression, null where it has none, over open and a join."""
        self._run(
            f"CREATE OR REPLACE TEMP TABLE step AS SELECT open.sample_id, ({reason})::VARCHAR AS reason "
            f"FROM open {joined} WHERE {where}"
        )
        self._run(
            f"INSERT INTO reasons SELECT sample_id, '{stage}', any_value(reason) FROM step "
            "WHERE reason IS NOT NULL GROUP BY sample_id"
        )
        self._run(
            "CREATE OR REPLACE TEMP TABLE open AS "
            "SELECT * FROM open ANTI JOIN (FROM step WHERE reason IS NOT NULL) AS settled USING (sample_id)"
        )

    def _is_done(self) -> bool:
        return not self._db.execute("SELECT 1 FROM open LIMIT 1").fetchall()

    def told(self) -> list[Lost]:
        """All reasons, by stage, the most frequent first."""
        why = "no_record" if self._side.catalog is not None else "no_run"
        self._settle(UNTOLD, f"'{why}'")
        rows = self._db.execute(
            "SELECT stage, reason, count(*), min(sample_id) FROM reasons GROUP BY stage, reason"
        ).fetchall()
        lost = [Lost(*row) for row in rows]
        return sorted(lost, key=lambda each: (STAGES.index(each.stage), -each.samples, each.reason))

    def still_there(self) -> None:
        """Samples that are in the manifest, but say something else."""
        self._settle(
            "manifest",
            "CASE WHEN own.text IS NULL THEN NULL WHEN own.text = open.text THEN 'other_entries' ELSE 'other_text' END",
            f"LEFT JOIN (SELECT sample_id, text FROM {self._side.relation}) AS own USING (sample_id)",
        )

    def of_the_run(self) -> None:
        """All steps, as far as the run's datasets are there."""
        self._settle("forget", "'forgotten'", f"SEMI JOIN {self._side.letter}_forgotten USING (media_id)")
        kept, draws, pairs = (self._side.dataset(name) for name in ("kept_pairs", "draws", "pairs"))
        if kept is None or draws is None or pairs is None:
            return
        self._of_samples()
        self._run(
            "CREATE OR REPLACE TEMP TABLE unkept AS SELECT * FROM open "
            f"ANTI JOIN (SELECT media_id, modality FROM ({kept})) AS kept USING (media_id, modality)"
        )
        self._run("CREATE OR REPLACE TEMP TABLE kept AS SELECT * FROM open ANTI JOIN unkept USING (sample_id)")
        self._over("kept", self._after_the_draw)
        self._over("unkept", lambda: self._before_the_draw(draws, pairs))

    def _over(self, some: str, steps: Callable[[], None]) -> None:
        """Does steps with some of the open samples; what they leave stays open."""
        self._run(f"CREATE OR REPLACE TEMP TABLE others AS SELECT * FROM open ANTI JOIN {some} USING (sample_id)")
        held = f"held_{some}"
        self._run(f"CREATE OR REPLACE TEMP TABLE {held} AS SELECT * FROM others")
        self._run(f"CREATE OR REPLACE TEMP TABLE open AS SELECT * FROM {some}")
        if not self._is_done():
            steps()
        self._run(f"INSERT INTO open SELECT * FROM {held}")

    def _of_samples(self) -> None:
        """Samples that the run has; what it made of their texts and of them."""
        samples = self._side.dataset("samples")
        if samples is None:
            return
        own = f"SEMI JOIN (SELECT sample_id FROM ({samples})) AS own USING (sample_id)"
        self._run(f"CREATE OR REPLACE TEMP TABLE present AS SELECT * FROM open {own}")
        self._over("present", self._after_samples)

    def _after_samples(self) -> None:
        rejected = self._side.rejections("manifest")
        if rejected is not None:
            in_set = (
                f"SELECT regexp_extract(detail, {OVERLAP}, ['sample_id', 'name', 'key']) AS found FROM ({rejected})"
            )
            self._settle(
                "manifest",
                "'overlap:' || own.key",
                "JOIN (SELECT found.sample_id, min(found.key) AS key "
                f"FROM ({in_set}) GROUP BY 1) AS own USING (sample_id)",
            )
        chosen, balanced = (self._side.dataset(name) for name in ("chosen_captions", "balanced_captions"))
        if balanced is not None and chosen is not None:
            said = f"SELECT sample_id, len(entry_ids) AS entries FROM ({chosen})"
            self._settle(
                "balanced_captions",
                "CASE WHEN own.entries IS NULL THEN NULL WHEN own.entries = 0 THEN 'no_entry' ELSE 'not_drawn' END",
                f"LEFT JOIN ({said}) AS own USING (sample_id) "
                f"ANTI JOIN (SELECT sample_id FROM ({balanced})) AS stays USING (sample_id)",
            )
        if chosen is not None:
            self._settle(
                "chosen_captions",
                "'no_caption'",
                f"ANTI JOIN (SELECT sample_id FROM ({chosen})) AS own USING (sample_id)",
            )
        if rejected is not None:
            self._settle("manifest", "'no_text'")  # the one thing else that the stage leaves samples out for

    def _after_the_draw(self) -> None:
        """Samples of media that the run keeps pairs of: fetched, no copy, cut, kept once more."""
        media, duplicates = self._side.dataset("media"), self._side.dataset("duplicates")
        if media is None or duplicates is None:
            return
        ledger = (
            f"SELECT media_id, any_value(status) AS status, any_value(error) AS error FROM ({media}) GROUP BY media_id"
        )
        self._settle(
            "fetch",
            "CASE WHEN own.status IS NULL THEN 'not_asked' WHEN own.status <> 'ok' "
            "THEN coalesce(own.error, 'unknown') END",
            f"LEFT JOIN ({ledger}) AS own USING (media_id)",
        )
        self._settle(
            "duplicates",
            "own.kind",
            f"JOIN (SELECT media_id, any_value(kind) AS kind FROM ({duplicates}) "
            "WHERE media_id <> kept_media_id GROUP BY media_id) AS own USING (media_id)",
        )
        self._of_clips()
        self._settle(
            "survive",
            "'other_modality'",
            f"JOIN (SELECT media_id, any_value(modality) AS as_what FROM ({media}) GROUP BY media_id) AS own "
            "USING (media_id)",
            where="open.modality <> own.as_what",
        )
        survivors, final = self._side.dataset("survivors"), self._side.dataset("final_pairs")
        if survivors is not None and final is not None:
            self._settle(
                "rebalance",
                "'not_drawn'",
                f"SEMI JOIN (SELECT kept_media_id AS media_id FROM ({survivors})) AS own USING (media_id) "
                f"ANTI JOIN (SELECT media_id FROM ({final})) AS stays USING (media_id)",
            )

    def _of_clips(self) -> None:
        """Videos: whether they were cut, into these clips, and whether these are kept."""
        kept, pieces, scenes = (self._side.dataset(name) for name in ("kept_clips", "pieces", "scenes"))
        if kept is None or pieces is None or scenes is None:
            self._settle("clips", "'whole_videos'", where="open.modality = 'video' AND open.clip_id IS NOT NULL")
            return
        videos = "open.modality = 'video'"
        self._settle(
            "kept_clips",
            "own.refused_by",
            f"JOIN (SELECT clip_id, refused_by FROM ({kept}) WHERE NOT kept) AS own USING (clip_id)",
            where=videos,
        )
        self._settle(
            "scenes",
            "own.error",
            f"JOIN (SELECT media_id, coalesce(error, 'unknown') AS error FROM ({scenes}) "
            "WHERE status <> 'ok') AS own USING (media_id)",
            where=videos,
        )
        dropped = (
            f"SELECT media_id, start_ms, end_ms, min(dropped) AS dropped FROM ({pieces}) "
            "WHERE dropped IS NOT NULL GROUP BY ALL"
        )
        self._settle(
            "clips",
            "own.dropped",
            f"JOIN ({dropped}) AS own ON own.media_id = open.media_id "
            f"AND own.start_ms = try_cast(regexp_extract(open.clip_id, {_CLIP}, 1) AS BIGINT) "
            f"AND own.end_ms = try_cast(regexp_extract(open.clip_id, {_CLIP}, 2) AS BIGINT)",
            where=videos,
        )
        self._settle(
            "clips",
            "CASE WHEN own.clips > 0 AND open.clip_id IS NULL THEN 'cut_into_clips' "
            "WHEN own.clips > 0 THEN 'other_bounds' ELSE 'no_clip' END",
            f"LEFT JOIN (SELECT media_id, count(clip_id) AS clips FROM ({pieces}) GROUP BY media_id) AS own "
            f"USING (media_id) ANTI JOIN (SELECT clip_id FROM ({kept}) WHERE kept) AS stays USING (clip_id)",
            where=videos,
        )

    def _before_the_draw(self, draws: str, pairs: str) -> None:
        """Samples of media that the run keeps no pair of."""
        self._thresholds()
        drawn = f"""SELECT media_id, modality, bool_or(critical_threshold <= t_other) AS low
            FROM (SELECT media_id, modality, vocabulary_lang, critical_threshold FROM ({draws}))
            SEMI JOIN open USING (media_id, modality) LEFT JOIN other_thresholds USING (modality, vocabulary_lang)
            GROUP BY media_id, modality"""
        self._settle(
            "balance",
            "CASE WHEN own.low THEN 'lower_threshold' WHEN own.low IS NULL THEN 'not_drawn' ELSE 'other_draw' END",
            f"JOIN ({drawn}) AS own USING (media_id, modality)",
        )
        self._settle(
            "match",
            "'no_entry'",
            f"SEMI JOIN (SELECT media_id, modality FROM ({pairs})) AS own USING (media_id, modality)",
        )
        candidates = self._side.dataset("candidates")
        if candidates is not None and not self._is_done():
            self._of_candidates(candidates)

    def _thresholds(self) -> None:
        """The other run's thresholds: a text whose critical threshold here is no higher would be kept by them."""
        balance = self._other.stage("balance")
        empty = pa.table(
            {
                "modality": pa.array([], pa.string()),
                "vocabulary_lang": pa.array([], pa.string()),
                "t": pa.array([], pa.float64()),
            }
        )
        self._db.register("arriving", empty if balance is None else threshold_table(balance))
        self._run(
            "CREATE OR REPLACE TEMP TABLE other_thresholds AS "
            "SELECT modality, vocabulary_lang, t AS t_other FROM arriving"
        )
        self._db.unregister("arriving")

    def _of_candidates(self, candidates: str) -> None:
        """Samples of media of which the run made no pair: not found, refused as a whole, or dropped by rules."""
        for stage in ("extract", "pairs"):
            rejected = self._side.rejections(stage)
            if rejected is not None:
                self._settle(
                    stage,
                    "own.reason",
                    "JOIN (SELECT id AS media_id, min(reason) AS reason "
                    f"FROM ({rejected}) GROUP BY id) AS own USING (media_id)",
                )
        self._run(
            f"CREATE OR REPLACE TEMP TABLE found AS SELECT DISTINCT media_id, modality FROM ({candidates}) "
            "SEMI JOIN open USING (media_id, modality)"
        )
        read = f"SELECT DISTINCT archive FROM ({candidates})"
        self._settle(
            "extract",
            "CASE WHEN open.archive IS NOT NULL AND archives.archive IS NULL THEN 'other_archive' ELSE 'not_found' END",
            f"ANTI JOIN found USING (media_id, modality) "
            f"LEFT JOIN ({read}) AS archives ON archives.archive = open.archive",
        )
        self._judge(candidates)
        self._settle("pairs", "'not_told'", "SEMI JOIN found USING (media_id, modality)")

    def _judge(self, candidates: str) -> None:
        """Holds candidates against the rules of `pairs`: the one that drops most of a media's is its reason."""
        extract, pairs, catalog = self._side.stage("extract"), self._side.stage("pairs"), self._side.catalog
        if extract is None or pairs is None or catalog is None or self._is_done():
            return
        columns = ", ".join(f'"{name}"' for name in COLUMNS)
        wanted = f"SELECT DISTINCT media_id, modality FROM open ORDER BY ALL LIMIT {JUDGED // 5}"
        rows = self._db.sql(
            f"SELECT {columns} FROM ({candidates}) SEMI JOIN ({wanted}) AS wanted USING (media_id, modality) "
            f"ORDER BY media_id, snapshot, archive, record_offset, field_order LIMIT {JUDGED}"
        ).to_arrow_table()
        if not rows.num_rows:
            return
        rules = Judge(catalog.store, extract, pairs).first_rules(rows)
        wide = pa.array(concerns_media(rules)) if self._is_wide(pairs.settings) else pa.array([False] * len(rules))
        told = pa.table({"media_id": rows["media_id"], "modality": rows["modality"], "rule": rules, "wide": wide})
        self._db.register("judged", told)
        # a refusal that holds wherever the media is linked drops what no other rule does
        own = """SELECT media_id, modality, mode(coalesce(rule, of_media) ORDER BY coalesce(rule, of_media)) AS rule
                 FROM (SELECT *, min(rule) FILTER (wide) OVER (PARTITION BY media_id, modality) AS of_media FROM judged)
                 GROUP BY media_id, modality"""
        self._settle("pairs", "own.rule", f"JOIN ({own}) AS own USING (media_id, modality)")
        self._db.unregister("judged")

    @staticmethod
    def _is_wide(settings: Mapping[str, Any]) -> bool:
        return bool(settings["filters"]["consent"]["scope"] == "media")
