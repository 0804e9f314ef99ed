"""Datasets of `curation vocab build`."""

from __future__ import annotations

import pyarrow as pa

from curation.schemas.columns import ENTRY_ID, STRINGS, Dataset, column

_TERM = (
    column("kind", pa.string(), "unigram, bigram (two words with a space between) or title"),
    column("term", pa.string(), "the words, or the title, as they are written"),
)

SOURCE_FILES = Dataset(
    "source_files",
    1,
    "file",
    "The files that a vocabulary is built from.",
    pa.schema(
        [
            column("location", pa.string(), "path or URL"),
            column("size_bytes", pa.int64(), "size of the file"),
            column("sha256", pa.string(), "SHA-256 of its bytes, 64 hex digits"),
        ]
    ),
)

TERM_COUNTS = Dataset(
    "term_counts",
    1,
    "part of a dump, or file of page views",
    "Partial sums: occurrences of words and pairs of words in Wikipedia, and views of titles.",
    pa.schema([*_TERM, column("count", pa.int64(), "occurrences or views in the unit; a term may have several rows")]),
)

TERMS = Dataset(
    "terms",
    1,
    "hash bucket of the term",
    "The sums of term_counts: one row per (kind, term), ordered by both.",
    pa.schema([*_TERM, column("count", pa.int64(), "occurrences or views in all")]),
)

VOCABULARY = Dataset(
    "vocabulary",
    1,
    "language",
    "The entries of one language, ordered by entry_id.",
    pa.schema(
        [
            ENTRY_ID,
            column("entry", pa.string(), "what is looked for in texts"),
            column("lang", pa.string(), "language of the vocabulary"),
            column("source", pa.string(), "the first source of the recipe that named it"),
            column("source_score", pa.float64(), "its score there: count, PMI, views; null: none", nullable=True),
            column("sources", STRINGS, "all sources that name it, in the recipe's order"),
        ]
    ),
)
