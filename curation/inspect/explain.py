"""One entry on its way through a run: texts after every stage, threshold, rank, hosts and samples.

How many candidates' texts hold an entry is not known, because only pairs are matched; the way starts there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import entry_probabilities
from curation.concepts.lint import never_matches
from curation.query import Query, open_query
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import DRAWS, ENTRY_COUNTS, KEPT_COUNTS, MATCHES, PAIRS
from curation.stages.match import match_options
from curation.storage import Store

HOSTS = 10  # page hosts listed
SAMPLES = 5  # texts listed of the kept, and of the dropped
NEAREST = 5  # entries proposed of each kind
_ENTRIES = pa.schema([pa.field("entry", pa.string(), nullable=False)])
_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)"


@dataclass(frozen=True)
class ModalityStory:
    """Texts of one modality that hold the entry, after each stage.

    matched: in `pairs`; picked: left after one text per media was picked; kept: left after the draw. counted: the count
    that p_e is made from (`matched`, or all modalities' sum with count.pool_modalities). rank: 1 + entries of the
    vocabulary with more texts in this modality.
    """

    modality: str
    matched: int
    picked: int
    kept: int
    counted: int
    rank: int
    threshold: float
    probability: float


@dataclass(frozen=True)
class HostCount:
    """Texts with the entry by host of the page ("" where the page is not known)."""

    host: str
    matched: int
    kept: int


@dataclass(frozen=True)
class Sample:
    """A text with the entry; `critical_threshold` is infinite where another text of its media was picked."""

    pair_id: str
    modality: str
    text: str
    critical_threshold: float


@dataclass(frozen=True)
class EntryStory:
    """The entry in one vocabulary; without `modalities` no text holds it."""

    vocabulary_lang: str
    entry_id: int
    vocabulary_entries: int
    modalities: list[ModalityStory]
    hosts: list[HostCount]
    kept_samples: list[Sample]
    dropped_samples: list[Sample]


@dataclass(frozen=True)
class ConceptStory:
    """The entry in every vocabulary that has it; where none has, `nearest` holds (vocabulary_lang, entry).

    `never` says why no text can match it, by the run's definition and options; None where some text could.
    """

    concept: str
    vocabularies: list[str]
    entries: list[EntryStory]
    nearest: list[tuple[str, str]]
    never: str | None


def explain(catalog: Catalog, concept: str, *, hosts: int = HOSTS, samples: int = SAMPLES) -> ConceptStory:
    """How one entry fared. Reads matches and draws in full and the pairs that hold the entry.

    Samples are those with the smallest pair_id: a hash of media and text, so the choice is random but always the same.
    Raises WorkFolderError where the run is not complete.
    """
    match, balance = catalog.visible("match"), catalog.visible("balance")
    never = never_matches(concept, match.settings["definition"], match_options(match.settings))
    places = entry_ids(match, catalog.store, concept)
    with open_query(catalog.store) as query:
        if places:
            _open(query, catalog, places)
        entries = [
            EntryStory(lang, entry_id, match.context["vocabularies"][lang]["entries"],
                       _modalities(query, balance, lang, entry_id), _hosts(query, lang, hosts),
                       _samples(query, lang, True, samples), _samples(query, lang, False, samples))
            for lang, entry_id in places]
    return ConceptStory(
        concept, sorted(match.context["vocabularies"]), entries,
        [] if places else _nearest(match, catalog.store, concept), never)


def entry_ids(match: Manifest, store: Store, concept: str) -> list[tuple[str, int]]:
    """(vocabulary_lang, entry_id) of every vocabulary of a run that has exactly this entry."""
    found = ((lang, pc.index(entries, concept).as_py()) for lang, entries in _vocabularies(match, store))
    return [(lang, entry_id) for lang, entry_id in found if entry_id >= 0]


def _vocabularies(match: Manifest, store: Store) -> list[tuple[str, pa.ChunkedArray]]:
    return [(lang, store.table([f"_vocabularies/{facts['fingerprint']}.parquet"], _ENTRIES).column("entry"))
            for lang, facts in sorted(match.context["vocabularies"].items())]


def _nearest(match: Manifest, store: Store, concept: str) -> list[tuple[str, str]]:
    """Entries that differ in case only, then those that go on after the concept, then those it goes on after."""
    wanted = concept.strip().lower()
    nearest: list[tuple[str, str]] = []
    if not wanted:
        return nearest
    for lang, entries in _vocabularies(match, store):
        lower = pc.utf8_lower(entries)
        beginnings = pa.array([wanted[:end] for end in range(max(2, len(wanted) // 2), len(wanted))], pa.string())
        kinds = (pc.equal(lower, wanted), pc.starts_with(lower, wanted), pc.is_in(lower, value_set=beginnings))
        for position, mask in enumerate(kinds):
            found = sorted(entries.filter(mask).to_pylist(), key=_by_length, reverse=position == 2)
            nearest += [(lang, entry) for entry in found[:NEAREST] if (lang, entry) not in nearest]
    return nearest


def _by_length(entry: str) -> tuple[int, str]:
    return len(entry), entry


def holding(places: list[tuple[str, int]]) -> str:
    """SQL condition on a row of matches or kept_pairs: its text holds one of these entries."""
    # Only the languages need quoting: they come from the recipe.
    terms = [f"(vocabulary_lang = '{lang.replace(chr(39), chr(39) * 2)}' AND list_contains(entry_ids, {entry_id}))"
             for lang, entry_id in places]
    return f"({' OR '.join(terms) or 'false'})"


def _open(query: Query, catalog: Catalog, places: list[tuple[str, int]]) -> None:
    """entry_counts, kept_counts, and `holder_texts`: every text with the entry, its draw and its page's host."""
    manifests = {dataset: catalog.visible(stage) for dataset, stage in (
        (PAIRS, "pairs"), (MATCHES, "match"), (ENTRY_COUNTS, "count"), (DRAWS, "draw"), (KEPT_COUNTS, "balance"))}
    for dataset, manifest in manifests.items():
        query.view(dataset.name, dataset, manifest.paths(dataset.name))
    query.keep("holders", f"SELECT pair_id, modality, vocabulary_lang FROM matches WHERE {holding(places)}")
    query.arrow("thresholds", threshold_table(manifests[KEPT_COUNTS]))
    query.keep("holder_texts", f"""
        SELECT pair_id, holders.modality, holders.vocabulary_lang, text, picked, critical_threshold,
               critical_threshold <= t AS kept, lower(regexp_extract(coalesce(page_url, ''), '{_HOST}', 1)) AS host
        FROM holders JOIN draws USING (pair_id) JOIN pairs USING (pair_id)
        JOIN thresholds ON thresholds.modality = holders.modality
                       AND thresholds.vocabulary_lang = holders.vocabulary_lang""")


def threshold_table(balance: Manifest) -> pa.Table:
    """The run's thresholds as rows (modality, vocabulary_lang, t)."""
    rows = [(modality, lang, float(t)) for modality, of_lang in sorted(balance.context["thresholds"].items())
            for lang, t in sorted(of_lang.items())]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    names = ("modality", "vocabulary_lang", "t")
    return pa.table(dict(zip(names, columns, strict=True)),
                    schema=pa.schema(zip(names, (pa.string(), pa.string(), pa.float64()), strict=True)))


def _hosts(query: Query, lang: str, limit: int) -> list[HostCount]:
    return [HostCount(**row) for row in query.rows(
        "SELECT host, count(*) AS matched, count(*) FILTER (kept) AS kept FROM holder_texts WHERE vocabulary_lang = ? "
        "GROUP BY host ORDER BY matched DESC, host LIMIT ?", [lang, limit])]


def _samples(query: Query, lang: str, kept: bool, limit: int) -> list[Sample]:
    return [Sample(**row) for row in query.rows(
        "SELECT pair_id, modality, text, critical_threshold FROM holder_texts WHERE vocabulary_lang = ? AND kept = ? "
        "ORDER BY pair_id LIMIT ?", [lang, kept, limit])]


def _modalities(query: Query, balance: Manifest, lang: str, entry_id: int) -> list[ModalityStory]:
    """One story per modality in which the entry was found."""
    rows = query.rows("""
        WITH counts AS (SELECT modality, entry_id, sum(texts)::BIGINT AS texts FROM entry_counts
                        WHERE vocabulary_lang = $1 GROUP BY modality, entry_id),
             own AS (SELECT modality, texts FROM counts WHERE entry_id = $2),
             draws_ AS (SELECT modality, count(*) FILTER (picked) AS picked FROM holder_texts
                        WHERE vocabulary_lang = $1 GROUP BY modality),
             kept_ AS (SELECT modality, sum(texts)::BIGINT AS kept FROM kept_counts
                       WHERE vocabulary_lang = $1 AND entry_id = $2 GROUP BY modality)
        SELECT modality, texts AS matched, coalesce(picked, 0) AS picked, coalesce(kept, 0) AS kept,
               (SELECT sum(texts)::BIGINT FROM own) AS pooled,
               (SELECT 1 + count(*) FROM counts
                WHERE counts.modality = own.modality AND counts.texts > own.texts) AS rank
        FROM own LEFT JOIN draws_ USING (modality) LEFT JOIN kept_ USING (modality)
        ORDER BY modality""", [lang, entry_id])
    return [_modality(row, balance, lang) for row in rows]


def _modality(row: dict[str, Any], balance: Manifest, lang: str) -> ModalityStory:
    counted = row["pooled"] if balance.settings["pool_modalities"] else row["matched"]
    t = float(balance.context["thresholds"][row["modality"]][lang])
    return ModalityStory(row["modality"], row["matched"], row["picked"], row["kept"], counted, row["rank"], t,
                         float(entry_probabilities([counted], t)[0]))
