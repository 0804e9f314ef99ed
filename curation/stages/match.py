"""match: every pair's text against the vocabulary of its language. One unit per media bucket."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.concepts import Matcher, MatchOptions, Vocabulary
from curation.crawl.page import TEXT_SOURCES
from curation.recipe import Definition, Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import MATCH_COUNTS, MATCHES, PAIRS
from curation.stages.buckets import BATCH_ROWS
from curation.storage import Store
from curation.vocabulary.languages import OTHER, vocabulary_lang

PAIR_COLUMNS = ["pair_id", "media_id", "modality", "lang", "text", "text_sources"]
"""Columns of PAIRS that the stage reads."""
_NO_SOURCE = np.iinfo(np.int16).max
_ENTRIES = pa.schema([pa.field("entry", pa.string(), nullable=False)])


class Match(UnitStage):
    """Texts to entry ids, and the bucket's partial counts of texts per entry."""

    name = "match"
    code_version = 3
    about = "find the vocabulary's entries in every text"
    after = ("pairs",)
    outputs = (MATCHES, MATCH_COUNTS)
    laws = (Law(("in:pairs",), ("rows:matches", "unmatched", "no_vocabulary", "other_source")),)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        options = MatchOptions.of(recipe.match.options).to_json()
        described = recipe.match.model_dump(exclude={"vocabularies", "options"})
        # Only where there are some: without options all is as it was before there were any.
        return described | ({"options": options} if options else {})

    def prepare(self, planning: Planning) -> dict[str, Any]:
        """Brings the vocabularies into the work folder, named by content, so that every worker can read them."""
        described = {}
        for lang, location in sorted(planning.recipe.match.vocabularies.items()):
            vocabulary = Vocabulary.load(location, lang, definition=planning.recipe.match.definition)
            path = vocabulary_path(vocabulary.fingerprint)
            if not planning.store.names(path):
                planning.store.put_table(path, pa.table([vocabulary.entries.cast(pa.string())], schema=_ENTRIES))
            described[lang] = {
                "fingerprint": vocabulary.fingerprint,
                "entries": len(vocabulary),
                "duplicates_dropped": vocabulary.duplicates_dropped,
                "location": location,
            }
        return {"vocabularies": described}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        prints = {lang: facts["fingerprint"] for lang, facts in context["vocabularies"].items()}
        return [
            Unit(
                name,
                {"pairs": report.paths(PAIRS.name)},
                self.identity(planning.settings, prints, report.content(PAIRS.name)),
            )
            for name, report in sorted(planning.inputs["pairs"].reports.items())
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        counts: dict[tuple[str, str], np.ndarray[Any, Any]] = {}
        for pairs in task.store.batches(unit.inputs["pairs"], PAIR_COLUMNS, BATCH_ROWS):
            ranks = source_ranks(pairs, task.settings["text_sources"])
            batch = pairs.filter(pc.is_valid(ranks)) if ranks.null_count else pairs
            writer.counts["other_source"] += ranks.null_count
            langs = vocabulary_langs(batch.column("lang"), task)
            matched = matched_entries(batch, langs, task)
            hits = pc.greater(pc.fill_null(pc.list_value_length(matched), 0), 0)
            rows = pa.RecordBatch.from_arrays(
                [
                    batch.column("pair_id"),
                    batch.column("media_id"),
                    batch.column("modality"),
                    langs,
                    matched,
                    ranks.drop_null(),
                ],
                names=MATCHES.columns,
            ).filter(hits)
            writer.counts["no_vocabulary"] += langs.null_count
            writer.counts["unmatched"] += batch.num_rows - langs.null_count - rows.num_rows
            writer.counts["entry_matches"] += len(rows.column("entry_ids").flatten())
            writer.write(MATCHES, rows.cast(MATCHES.schema))
            add_counts(counts, rows, task)
        write_counts(counts, MATCH_COUNTS, writer)


def source_ranks(pairs: pa.RecordBatch, wanted: dict[str, list[str]] | None) -> pa.Array:
    """Place of each pair's best text source in its modality's list; null where none of them counts for matching.

    Without lists every source counts, in the order of TEXT_SOURCES, and behind them all others (a table's) alike.
    """
    best = np.full(pairs.num_rows, _NO_SOURCE, np.int16)
    for modality, rows in groups(pairs.column("modality")):
        order = list(TEXT_SOURCES) if wanted is None else wanted.get(modality, [])
        lists = taken(pairs.column("text_sources"), rows)
        places = pc.index_in(lists.flatten(), value_set=pa.array(order, pa.string()))
        missing = len(order) if wanted is None else _NO_SOURCE
        of_texts = np.asarray(places.fill_null(missing)).astype(np.int16)
        np.minimum.at(best, rows[np.asarray(pc.list_parent_indices(lists))], of_texts)
    return pa.array(best, mask=best == _NO_SOURCE)


def vocabulary_path(fingerprint: str) -> str:
    return f"_vocabularies/{fingerprint}.parquet"


def vocabulary_langs(langs: pa.Array, task: Task) -> pa.Array:
    """Which vocabulary each text is matched against; null where there is none."""
    coded = langs.dictionary_encode()
    known = task.context["vocabularies"]
    chosen = [vocabulary_of(lang, task.settings, known) for lang in coded.dictionary.to_pylist()]
    return pa.array(chosen, pa.string()).take(coded.indices)


def vocabulary_of(lang: str, settings: Mapping[str, Any], known: Collection[str]) -> str | None:
    """The vocabulary for texts of a language: its own, that of the language it is a variety of, or the fallback.

    As MetaCLIP 2 has it: Cantonese (yue) and Wu (wuu) go to zh where they have no list of their own.
    """
    if settings["all_languages"]:
        return settings["fallback"]  # type: ignore[no-any-return]
    if lang in known:
        return lang
    merged = vocabulary_lang(lang)
    return merged if merged != OTHER and merged in known else settings["fallback"]


def vocabulary_entries(store: Store, fingerprint: str) -> pa.Array:
    """The entries of a vocabulary that a run has brought into its work folder."""
    return store.table([vocabulary_path(fingerprint)], _ENTRIES).column("entry").combine_chunks()


def match_options(settings: Mapping[str, Any]) -> MatchOptions:
    """The options in a version's settings. Raises VocabularyError for one that this release does not know."""
    return MatchOptions.from_json(settings.get("options", {}))


@lru_cache(maxsize=512)
def _matcher(store: Store, fingerprint: str, lang: str, definition: Definition, options: MatchOptions) -> Matcher:
    """Built once per worker process."""
    entries = vocabulary_entries(store, fingerprint)
    return Matcher(Vocabulary.from_entries(entries, lang=lang, definition=definition), options)


def matched_entries(batch: pa.RecordBatch, langs: pa.Array, task: Task) -> pa.Array:
    """Entry ids of each text, in the order of the texts; null without a vocabulary."""
    options = match_options(task.settings)
    back = np.zeros(len(langs), np.int64)
    parts: list[pa.Array] = []
    done = 0
    for lang, rows in groups(langs):
        back[rows] = np.arange(done, done + len(rows))
        done += len(rows)
        if lang is None:
            parts.append(pa.nulls(len(rows), pa.list_(pa.int32())))
            continue
        fingerprint = task.context["vocabularies"][lang]["fingerprint"]
        matcher = _matcher(task.store, fingerprint, lang, task.settings["definition"], options)
        parts.append(matcher.match(taken(batch.column("text"), rows)))
    return taken(pa.concat_arrays(parts), back) if parts else pa.nulls(0, pa.list_(pa.int32()))


def add_counts(counts: dict[tuple[str, str], np.ndarray[Any, Any]], rows: pa.RecordBatch, task: Task) -> None:
    """Adds the texts per entry of some matches to dense arrays per (modality, vocabulary_lang)."""
    for lang, of_lang in groups(rows.column("vocabulary_lang")):
        size = task.context["vocabularies"][lang]["entries"]
        modalities, entry_ids = taken(rows.column("modality"), of_lang), taken(rows.column("entry_ids"), of_lang)
        for modality, of_both in groups(modalities):
            ids = taken(entry_ids, of_both).flatten()
            total = counts.setdefault((modality, lang), np.zeros(size, np.int64))
            np.add.at(total, np.asarray(ids), 1)


def groups(column: pa.Array) -> Iterator[tuple[Any, np.ndarray[Any, Any]]]:
    """Each distinct value, null too, and the rows where it stands, ascending."""
    coded = column.dictionary_encode(null_encoding="encode")
    codes = np.asarray(coded.indices)
    if len(coded.dictionary) < 1 << 15:
        codes = codes.astype(np.int16)  # numpy sorts these in one pass
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(coded.dictionary)))
    return zip(coded.dictionary.to_pylist(), np.split(order, ends)[:-1], strict=True)


def taken(column: pa.Array, rows: np.ndarray[Any, Any]) -> pa.Array:
    """Some rows of a column, each at most once; the column itself where it has no others, in their order."""
    if len(rows) == len(column) and (np.diff(rows) > 0).all():
        return column
    return column.take(pa.array(rows))


def write_counts(counts: dict[tuple[str, str], np.ndarray[Any, Any]], dataset: Any, writer: UnitWriter) -> None:
    """Writes the non-zero counts, in a fixed order."""
    for (modality, lang), total in sorted(counts.items()):
        ids = np.flatnonzero(total)
        writer.write(
            dataset,
            pa.RecordBatch.from_arrays(
                [
                    pa.repeat(pa.scalar(modality, pa.string()), len(ids)),
                    pa.repeat(pa.scalar(lang, pa.string()), len(ids)),
                    pa.array(ids.astype(np.int32)),
                    pa.array(total[ids]),
                ],
                schema=dataset.schema,
            ),
        )
