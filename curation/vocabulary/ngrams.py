"""Counts of words and of pairs of neighbouring words of a Wikipedia, as partial counts that are added up elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from curation.vocabulary.dump import Page
from curation.vocabulary.wikitext import hidden_prefixes, plain_text
from curation.vocabulary.words import segmenter

UNIGRAM, BIGRAM = "unigram", "bigram"
NGRAM_COUNTS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False, metadata={"doc": "unigram or bigram"}),
        pa.field("term", pa.string(), nullable=False, metadata={"doc": "a word, or two with one space between"}),
        pa.field("count", pa.int64(), nullable=False, metadata={"doc": "occurrences; a term may have several rows"}),
    ]
)


@dataclass(frozen=True)
class NgramSettings:
    """How words are counted."""

    lower: bool = False
    """Whether words are put into lower case first; MetaCLIP's matching is case-sensitive."""
    hidden: frozenset[str] = hidden_prefixes({})
    """Prefixes of links without text; see `wikitext.hidden_prefixes`."""
    batch_terms: int = 1_000_000
    """Distinct terms above which counts are handed out; about 150 MB."""


@dataclass
class NgramTotals:
    """What was read. PMI's corpus size N is `tokens`, as nltk counts it."""

    pages: int = 0
    articles: int = 0
    redirects: int = 0
    tokens: int = 0
    bigram_tokens: int = 0


def count_ngrams(
    pages: Iterable[Page], lang: str, settings: NgramSettings, totals: NgramTotals
) -> Iterator[pa.RecordBatch]:
    """Partial counts (NGRAM_COUNTS) of the articles (namespace 0, no redirects) among the pages; adds to `totals`.

    Bigrams are neighbours within a run of words (`words.segmenter`). Batches are ordered by kind, then term (by
    bytes), hold every term once, and are the same for the same pages. Raises VocabularyError where the language's
    segmenter is not installed.
    """
    cut = segmenter(lang, lower=settings.lower)
    unigrams: Counter[str] = Counter()
    bigrams: Counter[str] = Counter()
    for page in pages:
        totals.pages += 1
        totals.redirects += page.redirect
        if page.redirect or page.namespace != 0:
            continue
        totals.articles += 1
        for run in cut(plain_text(page.text, settings.hidden)):
            unigrams.update(run)
            bigrams.update(map(" ".join, pairwise(run)))
            totals.tokens += len(run)
            totals.bigram_tokens += len(run) - 1
            if len(unigrams) + len(bigrams) >= settings.batch_terms:
                yield _batch(unigrams, bigrams)
                unigrams.clear()
                bigrams.clear()
    if unigrams:
        yield _batch(unigrams, bigrams)


def _batch(unigrams: Counter[str], bigrams: Counter[str]) -> pa.RecordBatch:
    parts = [_sorted(BIGRAM, bigrams), _sorted(UNIGRAM, unigrams)]
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


def _sorted(kind: str, counts: Counter[str]) -> pa.RecordBatch:
    terms = pa.array(counts.keys(), pa.string())
    numbers = pa.array(counts.values(), pa.int64())
    order = pc.sort_indices(terms)
    kinds = pa.repeat(pa.scalar(kind, pa.string()), len(terms))
    return pa.RecordBatch.from_arrays([kinds, terms.take(order), numbers.take(order)], schema=NGRAM_COUNTS)
