"""Why a media or a pair is in the selection, or is not: its whole way through the stages, from what they published.

What a text rule dropped is not stored by any stage; it is recomputed here from the candidates and the rules' settings.
All of a media's rows after `candidates` lie in one bucket, so only that bucket's files are read; candidates lie by
archive, so their media_id column is searched as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import SALTS, entry_probabilities, keep_probability, pair_ids, uniforms
from curation.concepts import prepare
from curation.errors import CurationError, Reason, WorkFolderError
from curation.inspect.query import Query, open_query
from curation.inspect.wording import apart, number
from curation.recipe import Pairs as PairsSection
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import CANDIDATES, DRAWS, ENTRY_COUNTS, KEPT_PAIRS, MATCHES, PAIRS, REJECTIONS
from curation.text import judge, redact

OCCURRENCES = 20  # candidates that are listed; all are counted
PAIRS_TOLD = 50  # pairs of one media that are told; all are counted
_TEXTS = 2000  # distinct texts of one media that are judged anew: above any sensible pairs.placeholder_texts
_STAGES = ("extract", "pairs", "match", "count", "draw", "balance")
_PLACE = "snapshot, archive, record_offset, field_order"


@dataclass(frozen=True)
class Occurrence:
    """One candidate: where a text was said about the media. `record_offset` in bytes (rows in a table)."""

    text: str
    text_source: str
    page_url: str | None
    robots: list[str]
    snapshot: str
    archive: str
    record_offset: int
    field_order: int


@dataclass(frozen=True)
class MatchedEntry:
    """An entry in the text: texts in the pool that hold it, and p_e at the threshold (None before balance has run)."""

    entry_id: int
    entry: str
    texts: int
    probability: float | None


@dataclass(frozen=True)
class PairStory:
    """One pair from its text to its fate. What a stage that has not run would say is None.

    `prepared` is the text as entries are searched in it; `u` the draw in [0, 1) that is held against keep_probability.
    """

    pair_id: str
    text: str
    text_sources: list[str]
    lang: str
    lang_score: float
    occurrences: int
    vocabulary_lang: str | None
    vocabulary: str
    prepared: str
    entries: list[MatchedEntry]
    u: float | None
    picked: bool | None
    keep_probability: float | None
    critical_threshold: float | None
    threshold: float | None
    kept: bool | None
    verdict: str


@dataclass(frozen=True)
class FilteredText:
    """A text that a rule of `pairs` drops: recomputed. `text` is as found, before redaction."""

    text: str
    lang: str
    rule: str
    occurrences: int


@dataclass(frozen=True)
class Refusal:
    """What a stage put among its rejections about this media, and how often; `reason` is a code of errors.Reason."""

    stage: str
    reason: str
    detail: str | None
    times: int


@dataclass(frozen=True)
class MediaStory:
    """What is known about a media. `occurrences` are the first of its `candidates`, `pairs` of its `pairs_in_all`."""

    media_id: str
    media_url: str
    modality: str
    media_bucket: int | None
    candidates: int
    archives: int
    occurrences: list[Occurrence]
    pairs_in_all: int = 0
    pairs: list[PairStory] = field(default_factory=list)
    filtered: list[FilteredText] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_placeholder(self) -> bool:
        """Whether it was refused as a whole, for too many distinct texts."""
        return any(refusal.reason == Reason.PLACEHOLDER for refusal in self.refused)


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
        told = [_told(pool, bucket, row) for row in wanted_rows]
        whole = pair_id is None and not story.is_placeholder
        known = {row["pair_id"] for row in bucket.rows}
        filtered, unsure = _filtered(pool, query, known) if whole else ([], [])
    return replace(story, media_bucket=pool.bucket(media_id), pairs_in_all=len(bucket.rows), pairs=told,
                   filtered=filtered, notes=[*story.notes, *unsure])


_LOOKS = ("a media_id has 24 hex digits and a pair_id 32, both in lower case, as in the columns of those names "
          "in pairs and kept_pairs")


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
            f"pair {pair_id} is not in the pool of {pool.root}: {_LOOKS}; a text that a rule dropped has no pair, "
            "so ask for its media_id")
    return str(media_id)


def _found(pool: _Pool, query: Query, media_id: str, pair_id: str | None, limit: int) -> MediaStory:
    """Where the media was found, and what refused it as a whole."""
    query.view("all_candidates", CANDIDATES, pool.stages["extract"].paths(CANDIDATES.name))
    query.keep("candidates", "SELECT * FROM all_candidates WHERE media_id = ?", [media_id])
    refused = _refusals(pool, query, media_id)
    total = query.rows(
        "SELECT count(*) AS candidates, count(DISTINCT (snapshot, archive)) AS archives FROM candidates")[0]
    if not total["candidates"] and not refused:
        raise CurationError(f"media {media_id} is not in the pool of {pool.root}: {_LOOKS}")
    first = query.rows(f"SELECT media_url, modality FROM candidates ORDER BY {_PLACE} LIMIT 1")
    listed = _listed(pool, query, pair_id, limit)
    return MediaStory(
        media_id, first[0]["media_url"] if first else "", first[0]["modality"] if first else "", None,
        total["candidates"], total["archives"], listed, refused=refused, notes=list(pool.notes))


def _listed(pool: _Pool, query: Query, pair_id: str | None, limit: int) -> list[Occurrence]:
    """The first candidates in order of provenance; of one pair only those that say its text."""
    texts = query.table("SELECT DISTINCT media_id, text FROM candidates")
    if pair_id is not None:
        texts = texts.filter(pc.equal(_pair_ids(pool, texts), pair_id))
    query.arrow("wanted_texts", texts.select(["text"]))
    rows = query.rows(
        "SELECT text, text_source, page_url, robots, snapshot, archive, record_offset, field_order "
        f"FROM candidates SEMI JOIN wanted_texts USING (text) ORDER BY {_PLACE} LIMIT {limit}")
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


def _filtered(pool: _Pool, query: Query, known: set[str]) -> tuple[list[FilteredText], list[str]]:
    """The texts of this media that made no pair, each with the rule that drops it, and what could not be told."""
    found = query.table(
        "SELECT media_id, text, count(*) AS occurrences FROM candidates GROUP BY media_id, text "
        f"ORDER BY text LIMIT {_TEXTS + 1}")
    notes = [f"only the first {_TEXTS:,} distinct texts were judged anew"] if found.num_rows > _TEXTS else []
    found = found.slice(0, _TEXTS)
    if found.num_rows:
        gone = pc.invert(pc.is_in(_pair_ids(pool, found), value_set=pa.array(sorted(known), pa.string())))
        found = found.filter(gone)
    if not found.num_rows:
        return [], notes
    settings = _settings(pool)
    langs, _, rules = judge(redact(found.column("text").combine_chunks(), settings.rules), settings)
    texts = [FilteredText(text, lang, rule or "", times) for text, lang, rule, times in zip(
        found.column("text").to_pylist(), langs.to_pylist(), rules.to_pylist(),
        found.column("occurrences").to_pylist(), strict=True)]
    return texts, notes


def _told(pool: _Pool, bucket: _Bucket, row: dict[str, Any]) -> PairStory:
    """What each stage after `pairs` made of one pair."""
    base = PairStory(
        **{name: row[name] for name in ("pair_id", "text", "text_sources", "lang", "lang_score", "occurrences")},
        vocabulary_lang=None, vocabulary="", prepared="", entries=[], u=None, picked=row["picked"],
        keep_probability=None, critical_threshold=row["critical_threshold"], threshold=None, kept=None, verdict="")
    if "match" not in pool.stages:
        return replace(base, verdict="not decided: match has not run")
    match = pool.stages["match"]
    lang = _vocabulary_of(match, row["lang"])
    base = replace(base, vocabulary_lang=lang, prepared=prepare(row["text"], match.settings["definition"]))
    if lang is None:
        return replace(base, kept=False, verdict=(
            f"not kept: there is no vocabulary for the language {row['lang']!r}, and match.fallback is not set"))
    base = replace(base, vocabulary=match.context["vocabularies"][lang]["location"])
    if row["entry_ids"] is None:
        return replace(base, kept=False, verdict=f"not kept: no entry of the vocabulary {lang} stands in the text")
    if "count" not in pool.stages:
        return replace(base, verdict="not decided: its entries have not been counted yet")
    return _decided(replace(base, **_drawn(pool, bucket, row, lang)), bucket, row)


def _vocabulary_of(match: Manifest, lang: str) -> str | None:
    """The vocabulary that a text of this language is matched against."""
    fallback: str | None = match.settings["fallback"]
    return lang if lang in match.context["vocabularies"] and not match.settings["all_languages"] else fallback


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
