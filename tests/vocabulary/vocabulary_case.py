"""A small vocabulary's inputs and recipe, its build in this process, and what must come of it by definition."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from curation import vocabulary_workflow
from curation.recipe import load_vocabulary_recipe
from curation.recipe.vocabulary import VocabularyRecipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.stages import terms
from curation.testing.dumps import write_dump, write_views, write_wndb
from curation.vocabulary_workflow import Built, build

BUCKETS = 4
WORDS = ["cat", "dog", "Dog", "house", "garden", "Zürich", "東", "the", "of", "rare"]
RECIPE: dict[str, Any] = {
    "name": "small",
    "lang": "en",
    "wikis": ["en"],
    "wikipedia": {"paths": ["dumps/{wiki}wiki-*.bz2"]},
    "sources": [
        {"kind": "numbers"},
        {"kind": "wordnet", "paths": ["wordnet/data.*"]},
        {"kind": "unigrams", "min_score": 12},
        {"kind": "bigrams", "min_count": 2, "share_of_unigrams": 0.9},
        {"kind": "titles", "paths": ["views/pageviews-*.gz"], "min_hourly_views": 2, "min_score": 6, "max_entries": 4},
        {"kind": "list", "name": "tags", "path": "lists/tags.txt", "strip_hash": True},
    ],
}
LEMMAS = [["house", "Dog", "old_town"], ["run", "house"]]
VIEWS = [
    {("en", "Cat"): 4, ("en.m", "Cat"): 3, ("en", "Old_town"): 9, ("en", "Talk:Cat"): 90, ("fr", "Chat"): 50},
    {("en", "Cat"): 1, ("en", "New_town"): 6, ("en", "house"): 8, ("en", "Berlin"): 6, ("en", "Aachen"): 6},
]
TAGS = ["#sunset", "house", "caf\u00e9", "cafe\u0301", "!!!", "x" * 257, "a\tb", "y" * 256]


class Reporter(Silent):
    """Notes what is said, and how many units each stage did."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done: dict[str, int] = {}

    def say(self, line: str) -> None:
        self.lines.append(line)

    @contextmanager
    def stage(self, name: str, units: int) -> Iterator[Silent]:
        self.done[name] = units
        yield self


class Case:
    """The inputs in a folder, and builds from them."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.folder = folder
        self.reporter = Reporter()
        self.texts = [_texts(random.Random(f"{seed} {dump}")) for dump in range(2)]
        for number, texts in enumerate(self.texts):
            write_dump(folder / f"dumps/enwiki-{number}.xml.bz2", texts, first=1 + 100 * number, wiki="enwiki")
            write_views(folder / f"views/pageviews-20220801-0{number}0000.gz", VIEWS[number])
            write_wndb(folder / "wordnet" / ("data.noun", "data.verb")[number], LEMMAS[number])
        self.write("lists/tags.txt", "\n".join(TAGS))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def recipe_file(self, *, sources: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
        tree = {**copy.deepcopy(RECIPE), **changes}
        if sources is not None:
            tree["sources"] = sources
        return self.write("recipe.yaml", yaml.safe_dump(tree, allow_unicode=True))

    def recipe(self, **changes: Any) -> VocabularyRecipe:
        return load_vocabulary_recipe(self.recipe_file(**changes))

    def build(
        self, out: str = "out", *, lock: Path | None = None, update_lock: bool = False, **changes: Any
    ) -> Built:
        self.reporter = Reporter()
        recipe = self.recipe(**changes)
        place, ending = str(self.folder / out), ExitStack()
        return build(recipe, place, reporter=self.reporter, ending=ending, lock=lock, update_lock=update_lock)

    def bytes(self, out: str = "out", lang: str = "en") -> tuple[bytes, bytes]:
        return tuple((self.folder / out / f"{lang}.{kind}").read_bytes() for kind in ("parquet", "lock.json"))

    def rows(self, out: str = "out", lang: str = "en") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.folder / out / f"{lang}.parquet").to_pylist()
        return rows

    def entries(self, out: str = "out", lang: str = "en") -> list[str]:
        return [row["entry"] for row in self.rows(out, lang)]


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Builds in this process, with few buckets: each writes a report to the disk."""
    monkeypatch.setattr(terms, "BUCKETS", BUCKETS)
    monkeypatch.setattr(vocabulary_workflow, "start_spark", lambda *_: LocalEngine())
    return Case(tmp_path)


def _texts(source: random.Random) -> list[str]:
    """Articles of sentences; the words' frequencies differ."""
    weights = [2.0**-at for at in range(len(WORDS))]
    return [
        ". ".join(" ".join(source.choices(WORDS, weights, k=source.randint(1, 9))) for _ in range(4))
        for _ in range(12)
    ]


def counted(texts: list[list[str]]) -> tuple[Counter[str], Counter[str]]:
    """Words, and pairs of neighbours within a sentence."""
    words: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for text in (text for part in texts for text in part):
        for sentence in text.split(". "):
            words.update(sentence.split())
            pairs.update(f"{a} {b}" for a, b in pairwise(sentence.split()))
    return words, pairs


def expected(case: Case) -> list[tuple[str, str, float | None, list[str]]]:
    """What RECIPE gives, written plainly: (entry, source, score, sources) in the order of ids."""
    words, pairs = counted(case.texts)
    total = sum(words.values())
    unigrams = ranked({word: count for word, count in words.items() if count >= 12})
    pmi = {}
    for pair, count in pairs.items():
        a, b = pair.split()
        pmi[pair] = round(log2(count * total) - log2(words[a] * words[b]), 9)
    bigrams = ranked({pair: score for pair, score in pmi.items() if pairs[pair] >= 2})[: len(unigrams) * 9 // 10]
    titles = ranked({"Cat": 7, "Old town": 9, "New town": 6, "house": 8, "Berlin": 6, "Aachen": 6})[:4]
    named = {
        "numbers": [(text, None) for text in sorted(map(str, range(100)))],
        "wordnet": [(text, None) for text in ("dog", "house", "old town", "run")],
        "unigrams": unigrams,
        "bigrams": bigrams,
        "titles": titles,
        "tags": [(text, None) for text in ("caf\u00e9", "house", "sunset", "y" * 256)],
    }
    return merged_plainly(named)


def ranked(scores: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def merged_plainly(
    named: dict[str, list[tuple[str, float | None]]],
) -> list[tuple[str, str, float | None, list[str]]]:
    rows: dict[str, tuple[str, str, float | None, list[str]]] = {}
    for source, entries in named.items():
        for entry, score in entries:
            rows.setdefault(entry, (entry, source, score, []))[3].append(source)
    return list(rows.values())
