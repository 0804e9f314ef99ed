"""Why a media or a pair is in the selection, or is not: its whole way through the stages, from what they published.

What a rule or filter dropped is not stored by any stage; `left_out` decides it anew from the candidates.
All of a media's rows after `candidates` lie in one bucket, so only that bucket's files are read; candidates lie by
archive, so their media_id column is searched as a whole.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import SALTS, entry_probabilities, keep_probability, pair_ids, uniforms
from curation.concepts import prepare
from curation.errors import CurationError, WorkFolderError
from curation.inspect.left_out import COLUMNS, Judge, LeftOut
from curation.inspect.story import MatchedEntry, MediaFacts, MediaStory, Occurrence, PairStory, Refusal
from curation.inspect.wording import apart, how_many, listed, number
from curation.media.refusals import Tombstones
from curation.query import Query, open_query
from curation.recipe import Pairs as PairsSection
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import CANDIDATES, DRAWS, ENTRY_COUNTS, KEPT_PAIRS, MATCHES, PAIRS, REJECTIONS
from curation.stages.match import match_options, source_ranks, vocabulary_of
from curation.text import redact

OCCURRENCES = 20  # candidates that are listed; all are counted
PAIRS_TOLD = 50  # pairs of one media that are told; all are counted
_JUDGED = 100_000  # candidates of one media that are judged anew
_STAGES = ("extract", "pairs", "match", "count", "draw", "balance")
_PLACE = "snapshot, archive, record_offset, field_order"


def why(catalog: Catalog, id: str, *, occurrences: int = OCCURRENCES, pairs: int = PAIRS_TOLD) -> MediaStory:
    """The story of a media_id (24 hex digits), or of a pair_id (32) and its media.

    A pair_id alone does not say its bucket, so the column pairs.pair_id is searched in all of them. At most
    `occurrences` candidates and `pairs` pairs, kept ones first, are listed; the rest is counted. Raises CurationError
    where the id is malformed or not in the pool, WorkFolderError where nothing was extracted yet.
    """
    wanted = id.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{24}|[0-9a-f]{32}", wanted):
        raise CurationError(f"{id[:80]!r} is no id: {_LOOKS}")
    pool = _Pool(catalog)
    with open_query(catalog.store) as query:
        pair_id = wanted if len(wanted) == 32 else None
        media_id = _media_of(pool, query, wanted) if pair_id else wanted
        story = _found(pool, query, media_id, pair_id, occurrences)
        if "pairs" not in pool.stages:
            return story
        bucket = _Bucket(pool, query, media_id)
        wanted_rows = [row for row in bucket.rows if pair_id in (None, row["pair_id"])][:pairs]
        known = {row["pair_id"] for row in bucket.rows}
        left_out = LeftOut([], {}, []) if story.is_placeholder else _left_out(pool, query, known)
        told = [replace(_told(pool, bucket, row), refused=dict(left_out.of_pairs.get(row["pair_id"], Counter())))
                for row in wanted_rows]
    return replace(story, media_bucket=pool.bucket(media_id), pairs_in_all=len(bucket.rows), pairs=told,
                   filtered=left_out.texts if pair_id is None else [], notes=[*story.notes, *left_out.notes])


_LOOKS = ("a media_id has 24 hex digits and a pair_id 32, both in lower case, as in the columns of those names "
          "in pairs and kept_pairs; a sample_id is a media_id, or a clip_id (media_id-start-end)")


class _Pool:
    """The manifests of the stages that can be read, and which of their files hold one media."""

    def __init__(self, catalog: Catalog) -> None:
        self.root = catalog.store.root
        self.store = catalog.store
        self.stages: dict[str, Manifest] = {"extract": catalog.visible("extract")}
        self.notes: list[str] = []
        for stage in _STAGES[1:]:
            try:
                self.stages[stage] = catalog.visible(stage)
            except WorkFolderError as error:  # not run yet, or being redone: what comes before it can still be told
                self.notes.append(str(error))
                break

    def bucket(self, media_id: str) -> int:
        return int(media_id[:8], 16) % int(self.stages["pairs"].settings["media_buckets"])

    def bucket_files(self, stage: str, dataset: str, media_id: str) -> list[str]:
        if stage not in self.stages:
            return []
        report = self.stages[stage].reports.get(f"bucket-{self.bucket(media_id):05d}")
        return report.paths(dataset) if report else []


class _Bucket:
    """What the stages after extract have of one media, read from its bucket's files.

    `rows` are its pairs, kept ones first, with what match, draw and balance say of each (null: nothing). `counts` are
    the texts of the entries in them, by (modality, vocabulary_lang, entry_id); modality "" where they are pooled.
    """

    def __init__(self, pool: _Pool, query: Query, media_id: str) -> None:
        for stage, dataset in (("pairs", PAIRS), ("match", MATCHES), ("draw", DRAWS), ("balance", KEPT_PAIRS)):
            query.view(f"all_{dataset.name}", dataset, pool.bucket_files(stage, dataset.name, media_id))
            query.keep(dataset.name, f"SELECT * FROM all_{dataset.name} WHERE media_id = ?", [media_id])
        self.rows = query.rows("""
            SELECT pairs.*, entry_ids, picked, critical_threshold, pair_id IN (SELECT pair_id FROM kept_pairs) AS kept
            FROM pairs LEFT JOIN (SELECT pair_id, entry_ids FROM matches) USING (pair_id)
            LEFT JOIN (SELECT pair_id, picked, critical_threshold FROM draws) USING (pair_id)
            ORDER BY kept DESC, pair_id""")
        self.pooled = "draw" in pool.stages and bool(pool.stages["draw"].settings["pool_modalities"])
        counted = pool.stages["count"].paths(ENTRY_COUNTS.name) if "count" in pool.stages else []
        query.view("entry_counts", ENTRY_COUNTS, counted)
        self._counts = {(row["modality"], row["lang"], row["entry_id"]): row for row in query.rows("""
            WITH found AS (SELECT DISTINCT vocabulary_lang, unnest(entry_ids) AS entry_id FROM matches)
            SELECT if(?, '', modality) AS modality, vocabulary_lang AS lang, entry_id, any_value(entry) AS entry,
                   sum(texts)::BIGINT AS texts
            FROM entry_counts SEMI JOIN found USING (vocabulary_lang, entry_id) GROUP BY ALL""", [self.pooled])}

    def entries(self, row: dict[str, Any], lang: str) -> list[MatchedEntry]:
        """The entries of one pair with their counts."""
        modality = "" if self.pooled else row["modality"]
        found = (self._counts[modality, lang, entry_id] for entry_id in row["entry_ids"])
        return [MatchedEntry(count["entry_id"], count["entry"], count["texts"], None) for count in found]

    def picked(self) -> str | None:
        """The pair that was picked for the media."""
        return next((row["pair_id"] for row in self.rows if row["picked"]), None)


def _media_of(pool: _Pool, query: Query, pair_id: str) -> str:
    if "pairs" not in pool.stages:
        raise CurationError(f"no pair can be looked up: {pool.notes[0]}; give a media_id of 24 hex digits")
    query.view("every_pair", PAIRS, pool.stages["pairs"].paths(PAIRS.name))
    media_id = query.value("SELECT media_id FROM every_pair WHERE pair_id = ?", [pair_id])
    if media_id is None:
        raise CurationError(
            f"pair {pair_id} is not in {pool.root}; a text that a rule dropped has no pair, so ask for its media_id"
            + _perhaps_forgotten(pool))
    return str(media_id)


def _perhaps_forgotten(pool: _Pool) -> str:
    gone = len(Tombstones.read(pool.store).media_ids)
    return f". Of {how_many(gone, 'forgotten media', 'forgotten media')} no pair is known any more" if gone else ""


def _found(pool: _Pool, query: Query, media_id: str, pair_id: str | None, limit: int) -> MediaStory:
    """Where the media was found, and what refused it as a whole."""
    query.view("all_candidates", CANDIDATES, pool.stages["extract"].paths(CANDIDATES.name))
    query.keep("candidates", "SELECT * FROM all_candidates WHERE media_id = ?", [media_id])
    refused = _refusals(pool, query, media_id)
    total = query.rows(
        "SELECT count(*) AS candidates, count(DISTINCT (snapshot, archive)) AS archives FROM candidates")[0]
    if not total["candidates"] and not refused:
        raise CurationError(f"media {media_id} is not in {pool.root}: no page or table that was read names it")
    first = query.rows(f"SELECT media_url, modality FROM candidates ORDER BY {_PLACE} LIMIT 1")
    places = _places(pool, query, pair_id, limit)
    return MediaStory(
        media_id, first[0]["media_url"] if first else "", first[0]["modality"] if first else "", None,
        total["candidates"], total["archives"], places, _facts(query), refused=refused, notes=list(pool.notes))


def _facts(query: Query) -> MediaFacts:
    """What the candidates say about the media: of each fact the first."""
    names = ("platform", "platform_id", "width", "height", "duration_ms", "upload_date", "poster_url")
    firsts = ", ".join(f"first({name} ORDER BY {_PLACE}) FILTER ({name} IS NOT NULL) AS {name}" for name in names)
    row = query.rows(
        f"SELECT {firsts}, coalesce(list_sort(list(DISTINCT licence) FILTER (licence IS NOT NULL)), []) AS licences, "
        "coalesce(max(len(tracks)), 0) AS tracks FROM candidates")[0]
    return MediaFacts(**row)


def _places(pool: _Pool, query: Query, pair_id: str | None, limit: int) -> list[Occurrence]:
    """The first candidates in order of provenance; of one pair only those that say its text."""
    texts = query.table("SELECT DISTINCT media_id, text FROM candidates")
    if pair_id is not None:
        texts = texts.filter(pc.equal(_pair_ids(pool, texts), pair_id))
    query.arrow("wanted_texts", texts.select(["text"]))
    rows = query.rows(
        "SELECT text, text_source, start_ms, end_ms, licence, page_url, robots, snapshot, archive, record_offset, "
        f"field_order FROM candidates SEMI JOIN wanted_texts USING (text) ORDER BY {_PLACE} LIMIT {limit}")
    return [Occurrence(**row) for row in rows]


def _refusals(pool: _Pool, query: Query, media_id: str) -> list[Refusal]:
    paths = pool.stages["extract"].paths(REJECTIONS.name)
    if "pairs" in pool.stages:
        paths += pool.bucket_files("pairs", REJECTIONS.name, media_id)
    query.view("rejections", REJECTIONS, paths)
    return [Refusal(**row) for row in query.rows(
        "SELECT stage, reason, min(detail) AS detail, count(*) AS times FROM rejections "
        "WHERE id = ? GROUP BY stage, reason ORDER BY stage, reason", [media_id])]


def _settings(pool: _Pool) -> PairsSection:
    return PairsSection.model_validate(pool.stages["pairs"].settings)


def _pair_ids(pool: _Pool, texts: pa.Table) -> pa.Array:
    """The pair_id that each candidate's (media_id, text) has after the recipe's redactions."""
    return pair_ids(texts.column("media_id"), redact(texts.column("text").combine_chunks(), _settings(pool).rules))


def _left_out(pool: _Pool, query: Query, known: set[str]) -> LeftOut:
    """The texts of this media that made no pair, each with what drops it, and what could not be told."""
    found = query.table(f"SELECT {', '.join(COLUMNS)} FROM candidates ORDER BY {_PLACE} LIMIT {_JUDGED + 1}")
    if not found.num_rows:
        return LeftOut([], {}, [])
    judge = Judge(pool.store, pool.stages["extract"], pool.stages["pairs"])
    judged = judge.left_out(found.slice(0, _JUDGED), known)
    if found.num_rows <= _JUDGED:
        return judged
    return replace(judged, notes=[*judged.notes, f"only the first {_JUDGED:,} candidates were judged anew"])


def _told(pool: _Pool, bucket: _Bucket, row: dict[str, Any]) -> PairStory:
    """What each stage after `pairs` made of one pair."""
    base = PairStory(
        **{name: row[name] for name in (
            "pair_id", "text", "text_sources", "lang", "lang_score", "occurrences", "start_ms", "end_ms")},
        vocabulary_lang=None, vocabulary="", prepared="", entries=[], u=None, picked=row["picked"],
        keep_probability=None, critical_threshold=row["critical_threshold"], threshold=None, kept=None, verdict="")
    if "match" not in pool.stages:
        return replace(base, verdict="not decided: match has not run")
    match = pool.stages["match"]
    if row["entry_ids"] is None and (why_not := _other_source(match, row)):
        return replace(base, kept=False, verdict=f"not kept: {why_not}")
    lang = vocabulary_of(row["lang"], match.settings, match.context["vocabularies"])
    prepared = prepare(row["text"], match.settings["definition"], match_options(match.settings))
    base = replace(base, vocabulary_lang=lang, prepared=prepared)
    if lang is None:
        language = f"the language {row['lang']!r}" if row["lang"] else "an unknown language"
        return replace(base, kept=False, verdict=(
            f"not kept: there is no vocabulary for {language}, and match.fallback is not set"))
    base = replace(base, vocabulary=match.context["vocabularies"][lang]["location"])
    if row["entry_ids"] is None:
        return replace(base, kept=False, verdict=f"not kept: no entry of the vocabulary {lang} stands in the text")
    if "count" not in pool.stages:
        return replace(base, verdict="not decided: its entries have not been counted yet")
    return _decided(replace(base, **_drawn(pool, bucket, row, lang)), bucket, row)


def _other_source(match: Manifest, row: dict[str, Any]) -> str | None:
    """Why a pair was not searched for its text sources; None where it was."""
    wanted = match.settings["text_sources"]
    batch = pa.RecordBatch.from_pydict({name: [row[name]] for name in ("modality", "text_sources")})
    if not source_ranks(batch, wanted).null_count:
        return None
    counting = wanted.get(row["modality"])
    named = f"counts {listed(counting)} for {row['modality']}" if counting else f"names none for {row['modality']}"
    return f"none of its text sources counts for matching: match.text_sources {named}"


def _drawn(pool: _Pool, bucket: _Bucket, row: dict[str, Any], lang: str) -> dict[str, Any]:
    """Entries with counts, the draw, and what the threshold makes of both, as far as the stages have run."""
    entries = bucket.entries(row, lang)
    facts: dict[str, Any] = {"entries": entries}
    if "draw" in pool.stages:
        u = uniforms(pa.array([row["pair_id"]]), pool.stages["draw"].settings["seed"], SALTS["draw"])
        facts["u"] = float(u[0])
    if "balance" in pool.stages:
        t = float(pool.stages["balance"].context["thresholds"][row["modality"]][lang])
        p = entry_probabilities([entry.texts for entry in entries], t).tolist()
        facts |= {"entries": [replace(entry, probability=p_e) for entry, p_e in zip(entries, p, strict=True)],
                  "threshold": t, "keep_probability": keep_probability(range(len(p)), p)}
    return facts


def _decided(story: PairStory, bucket: _Bucket, row: dict[str, Any]) -> PairStory:
    """The pair with its fate and the reason for it."""
    if story.picked is False:
        return replace(story, kept=False, verdict=(
            f"not kept: of this media's texts another was picked, pair {bucket.picked()}"))
    if story.critical_threshold is None:
        return replace(story, verdict="not decided: its draw has not been made yet")
    if story.threshold is None:
        needed = number(story.critical_threshold)
        return replace(story, verdict=f"not decided: its draw needs t >= {needed}, but no threshold has been set yet")
    needed, t = apart(story.critical_threshold, story.threshold)
    return replace(story, kept=row["kept"], verdict=(
        f"{'kept' if row['kept'] else 'not kept'}: its draw needs t >= {needed}, "
        f"the threshold for {row['modality']}/{story.vocabulary_lang} is {t}"))
