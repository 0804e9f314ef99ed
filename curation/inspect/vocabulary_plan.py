"""What building a vocabulary takes: files to fetch, what is there already, entries to expect, and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curation.errors import InputError
from curation.inspect.wording import duration, how_many, listed, number, size
from curation.recipe.vocabulary import (
    Bigrams,
    Download,
    Limits,
    Titles,
    VocabularyRecipe,
    WordList,
    WordNet,
    source_name,
)
from curation.vocabulary.files import dump_name, source_files

DUMP_MB_PER_CORE_S = 1.0
"""MB of a bzip2 dump that a core counts in a second: 1.2 measured on a slice of English Wikipedia, AMD EPYC."""
VIEWS_MB_PER_CORE_S = 16.0
"""MB of gzipped page views per core and second, likewise."""
_CORES = (1, 16, 64)
_NAMED_WIKIS = 10


@dataclass(frozen=True)
class Place:
    """A path of the recipe, how many files it names now and how large they are; `missing` says what is wrong.

    undivided_bytes: the largest of them that is one bzip2 stream by its name, so that one core has to read all of it.
    """

    path: str
    files: int
    size_bytes: int
    missing: str | None
    undivided_bytes: int = 0


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
    undivided = [file.size_bytes for file in files if _is_undivided(file.location)]
    return Place(path, len(files), sum(file.size_bytes for file in files), None, max(undivided, default=0))


def _is_undivided(location: str) -> bool:
    """Whether a file is one bzip2 stream, as far as its name tells: streams are what cores share out."""
    name = location.rpartition("/")[2]
    return name.endswith(".bz2") and "multistream" not in name


def _wanted(recipe: VocabularyRecipe) -> list[Download]:
    """The downloads but for those of Wikipedias where the language has none."""
    return [download for download in recipe.downloads if recipe.wikis or "{wiki}" not in download.url]


def _downloads(recipe: VocabularyRecipe) -> Iterator[str]:
    wanted, wikis = _wanted(recipe), [dump_name(wiki) for wiki in recipe.wikis or []]
    if wanted:
        yield f"to fetch, {size(sum(download.size_mb for download in wanted) * 1_000_000)} in all"
    named = listed(wikis) if len(wikis) <= _NAMED_WIKIS else f"{wikis[0]} and {len(wikis) - 1} more"
    for download in wanted:
        of_each = wikis if "{wiki}" in download.url else [""]
        files, bytes_ = how_many(download.files, "file"), size(download.size_mb * 1_000_000)
        if len(of_each) > 1:
            files, bytes_ = f"{files} of each of {len(wikis)} wikis", f"{bytes_} together"
        yield f"  {_filled(download.about, recipe.lang, named)}: {files}, {bytes_}, {download.licence}"
        for wiki in of_each:
            yield f"    {_filled(download.url, recipe.lang, wiki)}"


def _filled(text: str, lang: str, wiki: str) -> str:
    return text.replace("{lang}", lang).replace("{wiki}", wiki)


def _there(found: dict[str, list[Place]]) -> Iterator[str]:
    if any(found.values()):
        yield "there now"
    for name, paths in found.items():
        for place in paths:
            there = f"{how_many(place.files, 'file')}, {size(place.size_bytes)}" if place.missing is None else "missing"
            yield f"  {name:<14}{there:<24}{place.path}"


def _sources(recipe: VocabularyRecipe) -> Iterator[str]:
    yield f"entries, in this order{'rule':>21}{'expected':>44}"
    for source in recipe.sources:
        expected = number(source.expected) if source.expected else ""
        yield f"  {source_name(source):<38} {_rule(source):<38} {expected:>7}".rstrip()
    total = sum(source.expected or 0 for source in recipe.sources)
    if total:
        yield f"  {'in all':<78}{number(total):>7}"


def _rule(source: object) -> str:
    if not isinstance(source, Limits):
        return "all"
    rules = []
    unit = {"unigrams": "count", "bigrams": "PMI", "titles": "views"}.get(getattr(source, "kind", ""), "score")
    if isinstance(source, Bigrams) and source.min_count > 1:
        rules.append(f"count >= {number(source.min_count)}")
    if source.min_score is not None:
        rules.append(f"{unit} >= {_exact(source.min_score)}")
    if source.top_share is not None:
        rules.append(f"the best {_exact(source.top_share * 100)}%")
    if isinstance(source, Bigrams) and source.share_of_unigrams is not None:
        rules.append(f"{_exact(source.share_of_unigrams * 100)}% of the unigrams")
    if source.max_entries is not None:
        rules.append(f"at most {number(source.max_entries)}")
    return ", ".join(rules) or "all"


def _exact(value: float) -> str:
    """All digits that a recipe would write, but not those that binary fractions add."""
    return f"{value:,.12g}"


def _time(recipe: VocabularyRecipe, found: dict[str, list[Place]], cores: tuple[int, ...]) -> Iterator[str]:
    """From what is there, or else from what is to be fetched."""
    dumps = _there_mb(found, "wikipedia") or _announced(recipe, "dump")
    views = _there_mb(found, "titles") or _announced(recipe, "views")
    seconds = dumps / DUMP_MB_PER_CORE_S + views / VIEWS_MB_PER_CORE_S
    if not seconds:
        yield "time: under a minute"
        return
    read = [f"{size(dumps * 1e6)} of dumps at {DUMP_MB_PER_CORE_S:g} MB"] if dumps else []
    if views:
        read.append(f"{size(views * 1e6)} of page views, read once per language, at {VIEWS_MB_PER_CORE_S:g} MB")
    yield f"time: {', '.join(read)} a second and core"
    yield "  and Spark's start, summing and choosing, which these figures leave out"
    alone = _undivided_mb(recipe, found)
    if alone:
        yield f"  never less than one core takes for {size(alone * 1e6)}, the largest dump file of one bzip2 stream"
    for count in cores:
        least = max(seconds / count, alone / DUMP_MB_PER_CORE_S)
        yield f"  {number(count):>5} {'core ' if count == 1 else 'cores'}  {duration(least)}"


def _there_mb(found: dict[str, list[Place]], source: str) -> float:
    return sum(place.size_bytes for place in found.get(source, [])) / 1e6


def _undivided_mb(recipe: VocabularyRecipe, found: dict[str, list[Place]]) -> float:
    """The largest dump file that one core reads; of dumps yet to be fetched the mean, which is never more."""
    there = found.get("wikipedia", [])
    if _there_mb(found, "wikipedia"):
        return max(place.undivided_bytes for place in there) / 1e6
    if not any(_is_undivided(place.path) for place in there):
        return 0.0
    dumps = [download for download in _wanted(recipe) if "dump" in download.about]
    wikis = len(recipe.wikis or [])
    means = (d.size_mb / (d.files * (wikis if "{wiki}" in d.url else 1)) for d in dumps)
    return max(means, default=0.0)


def _announced(recipe: VocabularyRecipe, word: str) -> float:
    wanted = recipe.wikipedia is not None if word == "dump" else any(isinstance(s, Titles) for s in recipe.sources)
    return sum(download.size_mb for download in _wanted(recipe) if wanted and word in download.about)
