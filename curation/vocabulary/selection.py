"""Which counted terms of Wikipedia become entries: MetaCLIP's rules over the `terms` dataset, in DuckDB.

    unigrams   by count
    bigrams    by pointwise mutual information, as nltk's BigramAssocMeasures.pmi has it:
               log2(count(a b) * N) - log2(count(a) * count(b)), N the number of all words
    titles     by page views

Terms of equal score are in the order of their code points. PMI is rounded to nine digits first: the last bits of a
logarithm differ between machines, and entry ids must not.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from curation.query import Query
from curation.recipe.vocabulary import Bigrams, Limits
from curation.vocabulary.terms import MAX_CHARACTERS


@dataclass(frozen=True)
class Named:
    """What a source names: entries (string) and their scores (double, null without), the best first.

    candidates: distinct terms before any rule.
    """

    entries: pa.Array
    scores: pa.Array
    candidates: int


def select_counted(query: Query, kind: str, limits: Limits) -> Named:
    """Unigrams or titles of the view `terms`: score is the count."""
    counted = f"SELECT term, count::DOUBLE AS score FROM terms WHERE kind = '{kind}'"
    return _best(query, kind, counted, limits, None)


def select_bigrams(query: Query, bigrams: Bigrams, unigrams: int | None) -> Named:
    """Bigrams of the view `terms`; `unigrams` is the number of entries that share_of_unigrams is of."""
    scored = """
        WITH words AS (SELECT term, count FROM terms WHERE kind = 'unigram'),
             pairs AS (SELECT term, split_part(term, ' ', 1) AS a, split_part(term, ' ', 2) AS b, count
                       FROM terms WHERE kind = 'bigram'),
             size AS (SELECT sum(count)::DOUBLE AS n FROM words)
        SELECT pairs.term, round(log2(pairs.count * n) - log2(x.count::DOUBLE * y.count), 9) AS score
        FROM pairs JOIN words x ON x.term = a JOIN words y ON y.term = b CROSS JOIN size"""
    share = bigrams.share_of_unigrams
    most = None if share is None or unigrams is None else _part(share, unigrams)
    return _best(query, "bigram", scored, bigrams, most)


def corpus_size(query: Query) -> int:
    """N: the number of all words that were counted."""
    return int(query.value("SELECT coalesce(sum(count), 0) FROM terms WHERE kind = 'unigram'"))


def _best(query: Query, kind: str, scored: str, limits: Limits, most: int | None) -> Named:
    """The terms that the limits leave, best first; `top_share` is of all distinct terms, and at least one."""
    candidates = int(query.value("SELECT count(*) FROM terms WHERE kind = ?", [kind]))
    caps = [limit for limit in (limits.max_entries, most) if limit is not None]
    if limits.top_share is not None:
        caps.append(max(1, _part(limits.top_share, candidates)))
    conditions = f"length(term) <= {MAX_CHARACTERS}"
    if limits.min_score is not None:
        conditions += f" AND score >= {limits.min_score!r}"
    limit = f"LIMIT {min(caps)}" if caps else ""
    table = query.table(f"SELECT term, score FROM ({scored}) WHERE {conditions} ORDER BY score DESC, term {limit}")
    return Named(table["term"].combine_chunks(), table["score"].combine_chunks(), candidates)


def _part(share: float, of: int) -> int:
    """As written in decimal: 0.29 of 100 is 29, though the float is a little less."""
    return int(Decimal(str(share)) * of)
