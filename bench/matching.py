"""Matching: ours beside pyahocorasick, used as MetaCLIP's released code does, and ahocorasick_rs.

Both peers get texts as Python strings, ours as the Arrow array that it finds in Parquet; everybody spaces the texts.
The results are compared once, before anything is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import ahocorasick
import pyarrow as pa

from bench.captions import english, english_vocabulary, spaceless, spaceless_vocabulary
from bench.harness import OURS, Cost, Row, cpu_seconds
from curation.concepts import Matcher, Vocabulary
from curation.concepts.prepare import pad, prepare

PYAHOCORASICK = "pyahocorasick as MetaCLIP"
RUST = "ahocorasick_rs"


def automaton(vocabulary: Vocabulary) -> Any:
    """MetaCLIP's: each padded entry under its id."""
    found = ahocorasick.Automaton()
    for number, entry in enumerate(vocabulary.entries.to_pylist()):
        found.add_word(pad(entry, vocabulary.definition), (number, entry))
    found.make_automaton()
    return found


def with_pyahocorasick(found: Any, vocabulary: Vocabulary, texts: list[str]) -> list[set[int]]:
    """Entry ids of every text, as MetaCLIP's substr_matching gathers them."""
    return [
        {number for _, (number, _) in found.iter(prepare(text, vocabulary.definition))} for text in texts
    ]


def with_rust(found: Any, vocabulary: Vocabulary, texts: list[str]) -> list[set[int]]:
    """Entry ids of every text."""
    definition, find = vocabulary.definition, found.find_matches_as_indexes
    return [{number for number, _, _ in find(prepare(text, definition), overlapping=True)} for text in texts]


@contextmanager
def _english() -> Iterator[dict[str, Cost]]:
    from ahocorasick_rs import AhoCorasick, Implementation

    vocabulary, texts = english_vocabulary(), english()
    strings = texts.to_pylist()
    patterns = [pad(entry, "v1") for entry in vocabulary.entries.to_pylist()]
    rust = AhoCorasick(patterns, implementation=Implementation.ContiguousNFA)
    matcher, python = Matcher(vocabulary), automaton(vocabulary)
    _agree(matcher, texts, with_pyahocorasick(python, vocabulary, strings))
    yield {
        OURS: cpu_seconds(partial(matcher.match, texts)),
        PYAHOCORASICK: cpu_seconds(partial(with_pyahocorasick, python, vocabulary, strings)),
        RUST: cpu_seconds(partial(with_rust, rust, vocabulary, strings)),
    }


@contextmanager
def _spaceless(lang: str) -> Iterator[dict[str, Cost]]:
    vocabulary, texts = spaceless_vocabulary(lang), spaceless(lang)
    strings = texts.to_pylist()
    matcher, python = Matcher(vocabulary), automaton(vocabulary)
    _agree(matcher, texts, with_pyahocorasick(python, vocabulary, strings))
    yield {
        OURS: cpu_seconds(partial(matcher.match, texts)),
        PYAHOCORASICK: cpu_seconds(partial(with_pyahocorasick, python, vocabulary, strings)),
    }


def _agree(matcher: Matcher, texts: pa.StringArray, theirs: list[set[int]]) -> None:
    ours = matcher.match(texts).to_pylist()
    wrong = next((at for at, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != sorted(other)), None)
    if wrong is not None:
        raise ValueError(f"results differ at text {wrong}: {texts[wrong]}: {ours[wrong]} and {sorted(theirs[wrong])}")


@contextmanager
def _build() -> Iterator[dict[str, Cost]]:
    vocabulary = english_vocabulary()
    yield {
        OURS: cpu_seconds(partial(Matcher, vocabulary, cache=False)),
        PYAHOCORASICK: cpu_seconds(partial(automaton, vocabulary)),
    }


_GROWTH = """
import json, resource, sys
from bench.captions import english_vocabulary
from bench.matching import automaton
from curation.concepts import Matcher
import gc, psutil, pyarrow as pa
vocabulary = english_vocabulary()
Matcher(type(vocabulary).from_entries(["warm"], "en"), cache=False).match(pa.array(["up"]))
gc.collect()
before = psutil.Process().memory_info().rss
held = Matcher(vocabulary) if sys.argv[1] == "ours" else automaton(vocabulary)
gc.collect()
print(json.dumps(psutil.Process().memory_info().rss - before))
"""


def _growth(side: str) -> float:
    """Bytes that a fresh process grows by for its matcher: ours maps what a process before it has compiled."""
    command = [sys.executable, "-c", _GROWTH, side]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return float(json.loads(done.stdout))


@contextmanager
def _memory() -> Iterator[dict[str, Cost]]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CURATION_CACHE"] = folder  # filled by the round that does not count
        try:
            yield {OURS: partial(_growth, "ours"), PYAHOCORASICK: partial(_growth, "theirs")}
        finally:
            del os.environ["CURATION_CACHE"]


Sides = Callable[[], AbstractContextManager[dict[str, Cost]]]
_ENTRIES = "442,176 real entries"
ROWS = (
    Row(
        "match-en",
        f"English captions and alt texts, {_ENTRIES}, one core",
        "CPU s",
        {PYAHOCORASICK: 15, RUST: 6},
        _english,
    ),
    *(
        Row(f"match-{lang}", f"{name} texts, one core", "CPU s", {PYAHOCORASICK: 1.5}, partial(_spaceless, lang))
        for lang, name in (("zh", "Chinese"), ("ja", "Japanese"), ("th", "Thai"))
    ),
    Row("match-build", f"building the matcher of {_ENTRIES}", "CPU s", {PYAHOCORASICK: 1}, _build),
    Row("match-memory", f"memory of the matcher of {_ENTRIES}", "bytes", {PYAHOCORASICK: 3}, _memory, 3),
)
