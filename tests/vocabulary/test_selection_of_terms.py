"""Selection of counted terms: against plain Python, and nltk's pointwise mutual information."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.collocations import BigramAssocMeasures, BigramCollocationFinder

from curation.query import Query, open_query
from curation.recipe.vocabulary import Bigrams, Limits
from curation.schemas import TERMS
from curation.storage import Store
from curation.vocabulary.selection import Named, corpus_size, select_bigrams, select_counted

COUNTS = st.dictionaries(st.text("aAzé０\uffee\U00010000😀", min_size=1, max_size=3), st.integers(1, 5), max_size=20)
SHARES = st.one_of(st.none(), st.sampled_from(["0.1", "0.29", "0.3", "0.57", "0.76", "1"]))
CAPS = st.one_of(st.none(), st.integers(1, 12))
SCORES = st.one_of(st.none(), st.integers(0, 4), st.sampled_from([1.5, 2.000000001]))


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Query]:
    with open_query(Store.at(tmp_path_factory.mktemp("terms"))) as opened:
        yield opened


def given_terms(query: Query, *kinds: tuple[str, dict[str, int]]) -> None:
    rows = [(kind, term, count) for kind, counts in kinds for term, count in counts.items()]
    columns = [[row[at] for row in rows] for at in range(3)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, TERMS.schema, strict=True)]
    query.arrow("terms", pa.Table.from_arrays(arrays, schema=TERMS.schema))


def best(scores: dict[str, float], share: str | None, cap: int | None, least: float | None) -> list[tuple[str, float]]:
    """The definition."""
    order = sorted(scores.items(), key=lambda item: (-item[1], [ord(sign) for sign in item[0]]))
    if share is not None:
        order = order[: max(1, int(Fraction(share) * len(scores)))]
    return [item for item in order[:cap] if least is None or item[1] >= least]


def pairs_of(named: Named) -> list[tuple[str, float]]:
    return list(zip(named.entries.to_pylist(), named.scores.to_pylist(), strict=True))


def limits(share: str | None, cap: int | None, least: float | None) -> dict[str, Any]:
    return {"top_share": share and float(share), "max_entries": cap, "min_score": least}


@settings(max_examples=60, deadline=None)
@given(counts=COUNTS, share=SHARES, cap=CAPS, least=SCORES, kind=st.sampled_from(["unigram", "title"]))
def test_counted_terms_are_chosen_as_defined(query: Query, counts: dict, share, cap, least, kind: str) -> None:
    given_terms(query, (kind, counts), ("bigram", {"a a": 9}))
    named = select_counted(query, kind, Limits(**limits(share, cap, least)))
    assert pairs_of(named) == best(counts, share, cap, least)
    assert named.candidates == len(counts)
    assert corpus_size(query) == (sum(counts.values()) if kind == "unigram" else 0)


def test_a_share_is_meant_in_decimal_and_gives_at_least_one(query: Query) -> None:
    given_terms(query, ("unigram", {f"{number:03}": number + 1 for number in range(100)}))
    for share, entries in ((0.29, 29), (0.57, 57), (0.001, 1), (1.0, 100)):
        assert len(select_counted(query, "unigram", Limits(top_share=share)).entries) == entries
    given_terms(query, ("unigram", {"a": 4, "b": 4}), ("bigram", {"a b": 4, "b a": 2, "a a": 1, "b b": 1}))
    for share, unigrams, entries in ((0.29, 100, 4), (0.29, 10, 2), (0.57, 100, 4), (0.29, 3, 0), (0.75, 4, 3)):
        bigrams = Bigrams(kind="bigrams", share_of_unigrams=share)
        assert len(select_bigrams(query, bigrams, unigrams).entries) == entries


def test_a_share_of_many_unigrams_is_meant_in_decimal(query: Query) -> None:
    words = {f"w{number:03}": 3 for number in range(40)}
    given_terms(query, ("unigram", words), ("bigram", {f"{word} w000": 1 for word in words}))
    bigrams = Bigrams(kind="bigrams", share_of_unigrams=0.29)
    assert len(select_bigrams(query, bigrams, 100).entries) == 29


WORDS = st.lists(st.lists(st.sampled_from(["a", "b", "c", "dé", "東", "Ab"]), max_size=12), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(runs=WORDS, share=SHARES, cap=CAPS, least=st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])))
def test_pmi_is_that_of_nltk(query: Query, runs: list[list[str]], share, cap, least) -> None:
    finder = BigramCollocationFinder.from_documents(runs)
    words = Counter(word for run in runs for word in run)
    pairs = Counter({" ".join(pair): count for pair, count in finder.ngram_fd.items()})
    total = words.total()
    scores = {
        pair: round(BigramAssocMeasures.pmi(count, tuple(words[word] for word in pair.split()), total), 9)
        for pair, count in pairs.items()
        if all(pair.split())
    }
    given_terms(query, ("unigram", words), ("bigram", pairs), ("title", {"a b": 7}))
    named = select_bigrams(query, Bigrams(kind="bigrams", **limits(share, cap, least)), None)
    assert pairs_of(named) == best(scores, share, cap, least)
    assert named.candidates == len(scores)


def test_nltk_ranks_a_whole_corpus_alike(query: Query) -> None:
    words = [f"w{(number * number) % 37 % 23}" for number in range(2000)]
    finder = BigramCollocationFinder.from_words(words)
    pairs = {" ".join(pair): count for pair, count in finder.ngram_fd.items()}
    given_terms(query, ("unigram", dict(finder.word_fd)), ("bigram", pairs))
    ours = dict(pairs_of(select_bigrams(query, Bigrams(kind="bigrams"), None)))
    nltk = {" ".join(pair): score for pair, score in finder.score_ngrams(BigramAssocMeasures.pmi)}
    assert ours == pytest.approx(nltk, abs=1e-9) and len(ours) > 20


def test_the_smaller_of_two_caps_holds(query: Query) -> None:
    given_terms(query, ("unigram", {"a": 4, "b": 4}), ("bigram", {"a b": 4, "b a": 2, "a a": 1, "b b": 1}))
    for cap, unigrams, entries in ((3, 2, 1), (1, 8, 1), (3, 8, 3), (3, None, 3)):
        bigrams = Bigrams(kind="bigrams", max_entries=cap, share_of_unigrams=0.5)
        assert len(select_bigrams(query, bigrams, unigrams).entries) == entries


def test_long_terms_are_none_and_counts_may_be_huge(query: Query) -> None:
    given_terms(query, ("title", {"x" * 257: 9, "é" * 256: 2**40, "b": 2**62}))
    assert pairs_of(select_counted(query, "title", Limits())) == [("b", 2.0**62), ("é" * 256, 2.0**40)]
    given_terms(query, ("unigram", {"a": 2**40, "b": 2**40}), ("bigram", {"a b": 2**39}))
    ((pair, score),) = pairs_of(select_bigrams(query, Bigrams(kind="bigrams"), None))
    assert (pair, score) == ("a b", 0.0)


def test_nothing_gives_nothing(query: Query) -> None:
    given_terms(query)
    assert corpus_size(query) == 0
    assert pairs_of(select_counted(query, "unigram", Limits(top_share=0.5, max_entries=3, min_score=1))) == []
    assert pairs_of(select_bigrams(query, Bigrams(kind="bigrams", share_of_unigrams=0.4), 0)) == []
