"""Counts and mutual information are nltk's; partial counts add up, and the terms held are bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from math import isclose, log2
from pathlib import Path

import pytest
from dump_builder import an_article, read
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.vocabulary.dump import Page
from curation.vocabulary.ngrams import NGRAM_COUNTS, NgramSettings, NgramTotals, count_ngrams
from curation.vocabulary.wikitext import plain_text
from curation.vocabulary.words import segmenter

SLICE = "vocab/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
TEXTS = st.lists(st.text("abB .\n'", max_size=40), max_size=8)


def articles_of(texts: Iterable[str]) -> list[Page]:
    return [Page(number, f"T{number}", 0, False, text) for number, text in enumerate(texts)]


def counted(pages: list[Page], settings_: NgramSettings) -> tuple[Counter[str], Counter[str], NgramTotals]:
    totals = NgramTotals()
    sums = {"unigram": Counter[str](), "bigram": Counter[str]()}
    for batch in count_ngrams(pages, "en", settings_, totals):
        assert batch.schema == NGRAM_COUNTS
        rows = batch.to_pylist()
        keys = [(row["kind"], row["term"].encode()) for row in rows]
        assert keys == sorted(set(keys))
        for row in rows:
            sums[row["kind"]][row["term"]] += row["count"]
    return sums["unigram"], sums["bigram"], totals


def check_against_nltk(pages: list[Page]) -> None:
    collocations = pytest.importorskip("nltk.collocations")
    cut = segmenter("en")
    runs = [run for page in pages if not page.redirect and page.namespace == 0 for run in cut(plain_text(page.text))]
    finder = collocations.BigramCollocationFinder.from_documents(runs)
    unigrams, bigrams, totals = counted(pages, NgramSettings())
    assert unigrams == Counter(dict(finder.word_fd))
    assert bigrams == Counter({" ".join(pair): count for pair, count in finder.ngram_fd.items()})
    assert (totals.tokens, totals.bigram_tokens) == (finder.word_fd.N(), finder.ngram_fd.N())
    for pair, pmi in finder.score_ngrams(collocations.BigramAssocMeasures.pmi):
        ours = log2(bigrams[" ".join(pair)] * totals.tokens / (unigrams[pair[0]] * unigrams[pair[1]]))
        assert isclose(ours, pmi, rel_tol=1e-12, abs_tol=1e-9)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_counts_and_pmi_are_nltks(texts: list[str]) -> None:
    check_against_nltk(articles_of(texts))


@pytest.mark.slow
def test_counts_and_pmi_are_nltks_on_the_real_slice(real_data: Path) -> None:
    path = real_data / SLICE
    if not path.is_file():
        pytest.skip(f"no dump at {path}")
    check_against_nltk(read(str(path))[0])


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.integers(1, 12))
def test_partial_counts_add_up(texts: list[str], batch_terms: int) -> None:
    pages = articles_of(texts)
    whole = counted(pages, NgramSettings())
    assert counted(pages, NgramSettings(batch_terms=batch_terms)) == whole
    batches = [list(count_ngrams(pages, "en", NgramSettings(batch_terms=batch_terms), NgramTotals())) for _ in "ab"]
    assert batches[0] == batches[1]


def test_terms_held_are_bounded() -> None:
    pages = articles_of(f"w{number} v{number} u{number}.\n" * 3 for number in range(500))
    batches = list(count_ngrams(pages, "en", NgramSettings(batch_terms=100), NgramTotals()))
    assert len(batches) > 20
    assert all(batch.num_rows <= 105 for batch in batches)


def test_only_articles_count_and_pairs_stay_in_their_run() -> None:
    pages = [
        an_article(1, "one two. three\n{{x}} four {{y}} five"),
        Page(2, "R", 0, True, "redirect words"),
        Page(3, "Talk:A", 1, False, "talk words"),
    ]
    unigrams, bigrams, totals = counted(pages, NgramSettings())
    assert set(unigrams) == {"one", "two", "three", "four", "five", "1"}
    assert bigrams == {"one two": 1, "five 1": 1}
    assert totals == NgramTotals(pages=3, articles=1, redirects=1, tokens=6, bigram_tokens=2)


def test_case_and_links_without_text() -> None:
    page = articles_of(["New new [[Datei:x.tgz|hidden]]"])
    assert counted(page, NgramSettings())[0] == {"New": 1, "new": 1, "hidden": 1}
    assert counted(page, NgramSettings(lower=True, hidden=frozenset({"datei"})))[0] == {"new": 2}


def test_nothing_gives_nothing() -> None:
    assert counted([], NgramSettings()) == (Counter(), Counter(), NgramTotals())
    assert counted(articles_of(["...", ""]), NgramSettings())[0] == {}


def test_bigrams_are_the_pairs_of_each_run() -> None:
    text = "a b a b. b a"
    assert counted(articles_of([text]), NgramSettings())[1] == Counter(
        " ".join(pair) for run in (["a", "b", "a", "b"], ["b", "a"]) for pair in pairwise(run)
    )
