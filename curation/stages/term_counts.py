"""term_counts: words and pairs of words of dumps, and views of titles. One unit per part of a dump or file of views."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.streams import open_binary
from curation.errors import Reason, VocabularyError
from curation.recipe.vocabulary import Bigrams, Titles, Unigrams, VocabularyRecipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import REJECTIONS, TERM_COUNTS
from curation.stages.source_files import checksums
from curation.vocabulary.dump import namespace_names, pages, split
from curation.vocabulary.dump_bytes import head_bytes
from curation.vocabulary.files import SourceFile, dump_name, source_files
from curation.vocabulary.ngrams import NgramSettings, NgramTotals, count_ngrams
from curation.vocabulary.pageviews import count_views
from curation.vocabulary.wikitext import hidden_prefixes

_MB = 1 << 20
_DATABASE = re.compile(rb"<dbname>([a-z0-9_]{1,64})</dbname>")
_NO_VIEWS = ("other_projects", "below_hourly", "colon", "no_title", "bad_row", "bad_encoding", "too_large")


class TermCounts(UnitStage):
    """Reads dumps and page views as streams; what a unit counts it may write in several parts."""

    name = "term_counts"
    about = "count words, pairs of words and page views"
    after = ("source_files",)
    outputs = (TERM_COUNTS, REJECTIONS)
    laws = (
        Law(("lines",), ("views", *_NO_VIEWS)),
        Law(("tokens", "bigram_tokens", "title_views"), ("occurrences",)),
    )

    def settings(self, recipe: VocabularyRecipe) -> dict[str, Any]:
        ngrams = [source for source in recipe.sources if isinstance(source, Unigrams | Bigrams)]
        titles = next((source for source in recipe.sources if isinstance(source, Titles)), None)
        return {
            "lang": recipe.lang,
            "wikis": recipe.wikis,
            "lower_case": recipe.wikipedia.lower_case if recipe.wikipedia and ngrams else None,
            "titles": titles and titles.model_dump(include={"min_hourly_views", "merge_mobile", "drop_colon"}),
        }

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        prints = checksums(planning.inputs["source_files"], planning.store)
        return sorted(self._units(planning, prints), key=lambda unit: unit.name)

    def _units(self, planning: Planning, prints: dict[str, str]) -> Iterator[Unit]:
        recipe, settings = planning.recipe, planning.settings
        words = {name: settings[name] for name in ("lang", "lower_case")}
        if settings["lower_case"] is not None:
            for file, print_ in _distinct(recipe.wikipedia.paths, prints):
                for start, end in split(file.size_bytes, recipe.wikipedia.range_mb * _MB):
                    part = {"kind": "dump", "location": file.location, "start": start, "end": end}
                    identity = self.identity(print_, start, end, words)
                    yield Unit(f"{_stem(file, print_)}-{start:012d}", part, identity)
        for source in recipe.sources:
            if isinstance(source, Titles):
                for file, print_ in _distinct(source.paths, prints):
                    views = {"kind": "views", "location": file.location}
                    yield Unit(_stem(file, print_), views, self.identity(print_, recipe.wikis, settings["titles"]))

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        location, settings = unit.inputs["location"], task.settings

        def reject(reason: Reason, *, offset: int | None, detail: str) -> None:
            writer.reject(reason, file=location, offset=offset, detail=detail)

        if unit.inputs["kind"] == "dump":
            _check_wiki(location, settings["wikis"])
            read = pages(location, unit.inputs["start"], unit.inputs["end"], reject)
            counting = NgramSettings(lower=settings["lower_case"], hidden=hidden_prefixes(namespace_names(location)))
            totals = NgramTotals()
            writer.counts["occurrences"] = _written(count_ngrams(read, settings["lang"], counting, totals), writer)
            writer.counts.update(asdict(totals))
        else:
            views = _Told(count_views(location, wikis=settings["wikis"], reject=reject, **settings["titles"]))
            writer.counts["occurrences"] = writer.counts["title_views"] = _written(views, writer)
            writer.counts.update(views.counts)


def _check_wiki(location: str, wikis: list[str]) -> None:
    """Raises VocabularyError for a dump that names itself as another wiki's than the recipe's."""
    with open_binary(location) as file:
        found = _DATABASE.search(head_bytes(file, b"</siteinfo>") or b"")
    names = [f"{dump_name(wiki)}wiki" for wiki in wikis]
    if found and (name := found[1].decode()) not in names:
        told = ", ".join(names[:5]) or "none"
        raise VocabularyError(f"{location} is a dump of {name}, not of the recipe's wikis ({told}): give one of these")


class _Told:
    """A reader's batches, and what it tells at its end."""

    def __init__(self, batches: Generator[pa.RecordBatch, None, Counter[str]]) -> None:
        self._batches = batches
        self.counts: Counter[str] = Counter()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        self.counts = yield from self._batches


def _written(batches: Iterable[pa.RecordBatch], writer: UnitWriter) -> int:
    """Writes partial counts; their sum."""
    total = 0
    for batch in batches:
        total += pc.sum(batch.column("count")).as_py() or 0
        writer.write(TERM_COUNTS, pa.RecordBatch.from_arrays(batch.columns, schema=TERM_COUNTS.schema))
    return total


def _distinct(paths: Iterable[str], prints: Mapping[str, str]) -> list[tuple[SourceFile, str]]:
    """Files with their checksums; of equal files the first, as nothing is to be counted twice."""
    files = {prints[file.location]: file for file in reversed(source_files(paths))}
    return [(file, print_) for print_, file in files.items()]


def _stem(file: SourceFile, print_: str) -> str:
    """Does not change with the folder: what was counted stays so where the files are moved."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", file.location.rsplit("/", 1)[-1])[:80]
    return f"{name}-{print_[:12]}"
