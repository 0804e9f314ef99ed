"""What building a vocabulary takes: files to fetch, what is there already, entries to expect, and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curation.errors import InputError
from curation.inspect.wording import duration, how_many, number, size
from curation.recipe.vocabulary import Bigrams, Limits, Titles, VocabularyRecipe, WordList, WordNet, source_name
from curation.vocabulary.files import source_files

DUMP_MB_PER_CORE_S = 1.0
"""MB of a bzip2 dump that a core counts in a second: 1.2 measured on a slice of English Wikipedia, AMD EPYC."""
VIEWS_MB_PER_CORE_S = 16.0
"""MB of gzipped page views per core and second, likewise."""
_CORES = (1, 16, 64)


@dataclass(frozen=True)
class Place:
    """A path of the recipe, how many files it names now and how large they are; `missing` says what is wrong."""

    path: str
    files: int
    size_bytes: int
    missing: str | None


def places(recipe: VocabularyRecipe) -> dict[str, list[Place]]:
    """Source (or "wikipedia") -> its paths, and what lies there."""
    named = {"wikipedia": recipe.wikipedia.paths} if recipe.wikipedia else {}
    for source in recipe.sources:
        if isinstance(source, WordNet | Titles):
            named[source_name(source)] = source.paths
        elif isinstance(source, WordList):
            named[source_name(source)] = [source.path]
    return {name: [_place(path) for path in paths] for name, paths in named.items()}


def plan_lines(recipe: VocabularyRecipe, cores: int | None = None) -> list[str]:
    """The plan in words; times for `cores`, or for a few numbers of them. Reads and fetches nothing."""
    found = places(recipe)
    return [
        f"vocabulary {recipe.name}, language {recipe.lang}",
        *_downloads(recipe),
        *_there(found),
        *_sources(recipe),
        *_time(recipe, found, (cores,) if cores else _CORES),
    ]


def _place(path: str) -> Place:
    try:
        files = source_files([path])
    except InputError as error:
        return Place(path, 0, 0, str(error))
    return Place(path, len(files), sum(file.size_bytes for file in files), None)


def _downloads(recipe: VocabularyRecipe) -> Iterator[str]:
    if recipe.downloads:
        total = sum(download.size_mb for download in recipe.downloads)
        yield f"to fetch, {size(total * 1_000_000)} in all"
    wikis = [wiki.replace("-", "_") for wiki in recipe.wikis or []]
    for download in recipe.downloads:
        files = how_many(download.files, "file")
        yield f"  {download.about}: {files}, {size(download.size_mb * 1_000_000)}, {download.licence}"
        for wiki in wikis if "{wiki}" in download.url else [""]:
            yield f"    {download.url.replace('{lang}', recipe.lang).replace('{wiki}', wiki)}"


def _there(found: dict[str, list[Place]]) -> Iterator[str]:
    if found:
        yield "there now"
    for name, paths in found.items():
        for place in paths:
            there = f"{how_many(place.files, 'file')}, {size(place.size_bytes)}" if place.missing is None else "missing"
            yield f"  {name:<14}{there:<24}{place.path}"


def _sources(recipe: VocabularyRecipe) -> Iterator[str]:
    yield f"entries, in this order{'rule':>21}{'expected':>44}"
    for source in recipe.sources:
        expected = number(source.expected) if source.expected else ""
        yield f"  {source_name(source):<39}{_rule(source):<39}{expected:>7}".rstrip()
    total = sum(source.expected or 0 for source in recipe.sources if source.kind != "numbers")
    if total:
        yield f"  {'in all':<78}{number(total):>7}"


def _rule(source: object) -> str:
    if not isinstance(source, Limits):
        return "all"
    rules = []
    unit = {"unigrams": "count", "bigrams": "PMI", "titles": "views"}.get(getattr(source, "kind", ""), "score")
    if source.min_score is not None:
        rules.append(f"{unit} >= {source.min_score:g}")
    if source.top_share is not None:
        rules.append(f"the best {source.top_share:.0%}")
    if isinstance(source, Bigrams) and source.share_of_unigrams is not None:
        rules.append(f"{source.share_of_unigrams:.0%} of the unigrams")
    if source.max_entries is not None:
        rules.append(f"at most {number(source.max_entries)}")
    return ", ".join(rules) or "all"


def _time(recipe: VocabularyRecipe, found: dict[str, list[Place]], cores: tuple[int, ...]) -> Iterator[str]:
    """From what is there, or else from what is to be fetched."""
    dumps = sum(place.size_bytes for place in found.get("wikipedia", [])) / 1e6 or _announced(recipe, "dump")
    views = sum(place.size_bytes for place in found.get("titles", [])) / 1e6 or _announced(recipe, "views")
    seconds = dumps / DUMP_MB_PER_CORE_S + views / VIEWS_MB_PER_CORE_S
    if not seconds:
        yield "time: under a minute"
        return
    yield (
        f"time: {size(dumps * 1e6)} of dumps at {DUMP_MB_PER_CORE_S:g} MB a second and core, "
        f"{size(views * 1e6)} of page views at {VIEWS_MB_PER_CORE_S:g}"
    )
    for count in cores:
        yield f"  {number(count):>5} {'core ' if count == 1 else 'cores'}  {duration(seconds / count)}"


def _announced(recipe: VocabularyRecipe, word: str) -> float:
    wanted = recipe.wikipedia is not None if word == "dump" else any(isinstance(s, Titles) for s in recipe.sources)
    return sum(download.size_mb for download in recipe.downloads if wanted and word in download.about)
