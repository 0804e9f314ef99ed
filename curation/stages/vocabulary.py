"""vocabulary: what every source names, merged into the entries of one language. One unit."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from curation.errors import VocabularyError
from curation.query import Query, open_query
from curation.recipe.vocabulary import (
    Bigrams,
    Limits,
    Numbers,
    Source,
    Titles,
    Unigrams,
    VocabularyRecipe,
    WordList,
    WordNet,
    source_name,
)
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import TERMS, VOCABULARY
from curation.stages.source_files import checksums
from curation.vocabulary.files import source_files
from curation.vocabulary.languages import wordnet_codes
from curation.vocabulary.lists import read_list
from curation.vocabulary.merging import SourceEntries, merged, read_vocabulary
from curation.vocabulary.selection import Named, corpus_size, select_bigrams, select_counted
from curation.vocabulary.terms import Scored, clean_rows, numbers, top
from curation.vocabulary.wordnet import read_wordnet
from curation.vocabulary.words import join_words, joiner

LightSource = Numbers | WordNet | WordList
_COUNTED = {"unigrams": "unigram", "titles": "title"}


class Vocabulary(UnitStage):
    """Chooses the entries; ids follow from the sources' order, scores and texts alone."""

    name = "vocabulary"
    about = "choose the entries of every source and give them ids"
    after = ("source_files", "terms")
    outputs = (VOCABULARY,)
    laws = (Law(("old_entries", "new_entries"), ("rows:vocabulary",)),)

    def settings(self, recipe: VocabularyRecipe) -> dict[str, Any]:
        sources = [source.model_dump(exclude={"expected", "paths", "path"}) for source in recipe.sources]
        return {"lang": recipe.lang, "sources": sources}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        """Where the rows and files are that the sources read."""
        return {"terms": planning.inputs["terms"].paths(TERMS.name)}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        recipe, prints = planning.recipe, checksums(planning.inputs["source_files"], planning.store)
        files = {
            source_name(source): [file.location for path in _paths(source) for file in source_files([path])]
            for source in recipe.sources
        }
        read = [[prints[name] for name in files[source_name(source)]] for source in recipe.sources]
        old = source_files([recipe.extend])[0].location if recipe.extend else None
        content = planning.inputs["terms"].content(TERMS.name)
        inputs = {"files": files, "sources": [source.model_dump() for source in recipe.sources], "old": old}
        return [Unit("all", inputs, self.identity(planning.settings, content, read, old and prints[old]))]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        lang = task.settings["lang"]
        old = _old(unit.inputs["old"], lang) if unit.inputs["old"] else None
        found: list[SourceEntries] = []
        with open_query(task.store) as query:
            query.view("terms", TERMS, task.context["terms"])
            writer.counts["words"] = corpus_size(query)
            for source in TypeAdapter(list[Source]).validate_python(unit.inputs["sources"]):
                named = self._named(source, unit, task, query, found)
                found.append(_cleaned(source_name(source), named, source, writer))
        table = merged(lang, found, old)
        if not len(table):
            raise VocabularyError("the sources name no entry that could be kept: look at their limits and files")
        writer.counts["old_entries"] = 0 if old is None else len(old)
        writer.counts["new_entries"] = len(table) - writer.counts["old_entries"]
        for name in table["source"][writer.counts["old_entries"] :].to_pylist():
            writer.counts[f"{name}:new"] += 1
        for batch in table.to_batches():
            writer.write(VOCABULARY, batch)

    def _named(self, source: Source, unit: Unit, task: Task, query: Query, before: list[SourceEntries]) -> Named:
        lang = task.settings["lang"]
        if isinstance(source, Unigrams | Bigrams) and not corpus_size(query):
            where = task.store.url("rejections/stage=term_counts")
            raise VocabularyError(f"not one word was counted in wikipedia.paths: {where} tells why")
        if isinstance(source, Unigrams | Titles):
            return select_counted(query, _COUNTED[source.kind], source)
        if isinstance(source, Bigrams):
            unigrams = next((len(other.entries) for other in before if other.name == "unigrams"), None)
            named = select_bigrams(query, source, unigrams)
            return Named(_written(named.entries, lang), named.scores, named.candidates)
        terms = _read(source, unit.inputs["files"][source_name(source)], lang)
        entries = pa.array([entry for entry, _ in terms], pa.large_string())
        return Named(entries, pa.array([score for _, score in terms], pa.float64()), len(set(entries.to_pylist())))


def _old(location: str, lang: str) -> pa.Table:
    table = read_vocabulary(location)
    langs = table["lang"].unique().to_pylist()
    if langs not in ([], [lang]):
        raise VocabularyError(f"{location} is of language {langs[0]}, not {lang}: extend one of the same language")
    return table


def _written(bigrams: pa.Array, lang: str) -> pa.Array:
    """Bigrams as the language writes them; counted, all have a blank."""
    if joiner(lang) == " ":
        return bigrams
    words = (bigram.split(" ", 1) for bigram in bigrams.to_pylist())
    return pa.array([join_words(first, second, lang) for first, second in words], pa.string())


def _paths(source: Any) -> list[str]:
    if isinstance(source, WordNet):
        return list(source.paths)
    return [source.path] if isinstance(source, WordList) else []


def _read(source: LightSource, files: list[str], lang: str) -> list[Scored]:
    if isinstance(source, Numbers):
        return [(number, None) for number in numbers()]
    if isinstance(source, WordNet):
        return [
            term
            for file in files
            for term in read_wordnet(
                [file], format=source.format, lang=_file_lang(source, file, lang), lemmas=source.lemmas
            )
        ]
    columns = {"entry_column": source.entry_column, "score_column": source.score_column}
    terms = [term for file in files for term in read_list(file, **columns, strip_hash=source.strip_hash)]
    return [("".join(entry.split()), score) for entry, score in terms] if source.join_words else terms


def _file_lang(source: WordNet, file: str, lang: str) -> str:
    """What a wordnet file calls the language: a language's tab files (cmn, qcn) tell which by their names."""
    codes = wordnet_codes(lang) if source.format == "tab" else ()
    name = file.rsplit("/", 1)[-1].lower()
    named = [code for code in codes if code in re.split("[^a-z]+", name)]
    return source.file_lang or [*named, *codes, lang][0]


def _cleaned(name: str, named: Named, source: Any, writer: UnitWriter) -> SourceEntries:
    """Distinct entries that can be concepts; lists are limited here, counted terms have been already."""
    tidy, dropped = clean_rows(named.entries)
    limits = source.model_dump(include=set(Limits.model_fields)) if isinstance(source, WordList) else {}
    if limits.get("min_score") is not None and not named.scores.is_valid().true_count:
        raise VocabularyError(f"the list {name} has no scores: leave min_score out, or name its score_column")
    kept = pc.is_valid(tidy)
    entries, scores = top(tidy.filter(kept), named.scores.filter(kept), **limits)
    writer.counts[f"{name}:candidates"] = named.candidates
    writer.counts[f"{name}:entries"] = len(entries)
    writer.counts.update({f"{name}:{reason}": rows for reason, rows in dropped.items() if rows})
    return SourceEntries(name, entries.cast(pa.string()), scores)
