"""Entries of several sources to one vocabulary: who comes first gets the id, and everybody who names it is remembered.

Ids depend on the order of the sources, then on scores (best first, none last), then on the entries' code points; an
older vocabulary that is extended keeps its ids, and what is new comes after them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.errors import VocabularyError
from curation.schemas import VOCABULARY


@dataclass(frozen=True)
class SourceEntries:
    """What one source names: distinct clean entries and their scores (double, null without one), the best first."""

    name: str
    entries: pa.Array
    scores: pa.Array


def merged(lang: str, sources: Sequence[SourceEntries], old: pa.Table | None = None) -> pa.Table:
    """The vocabulary, with the columns of VOCABULARY.

    old: a vocabulary whose entries keep entry_id, source and source_score; `sources` of each says who names it now,
    which may be nobody.
    """
    ids: dict[str, int] = {} if old is None else {entry: i for i, entry in enumerate(old["entry"].to_pylist())}
    named_by: list[list[str]] = [[] for _ in ids]
    first: list[str] = [] if old is None else old["source"].to_pylist()
    scores: list[float | None] = [] if old is None else old["source_score"].to_pylist()
    for source in sources:
        for entry, score in zip(source.entries.to_pylist(), source.scores.to_pylist(), strict=True):
            at = ids.setdefault(entry, len(ids))
            if at == len(named_by):
                named_by.append([])
                first.append(source.name)
                scores.append(score)
            named_by[at].append(source.name)
    columns = [np.arange(len(ids), dtype=np.int32), list(ids), [lang] * len(ids), first, scores, named_by]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, VOCABULARY.schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=VOCABULARY.schema)


def read_vocabulary(location: str) -> pa.Table:
    """A file that `vocab build` wrote, ordered by entry_id. Raises VocabularyError for another, or ids with gaps."""
    try:
        with fsspec.open(location, "rb") as file:
            table = pq.read_table(io.BytesIO(file.read()))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise VocabularyError(f"cannot read the vocabulary {location}: {' '.join(str(error).split())}") from None
    missing = [name for name in VOCABULARY.columns if name not in table.column_names]
    if missing:
        raise VocabularyError(f"{location} has no column {missing[0]}: give a vocabulary that `vocab build` wrote")
    try:
        ordered = table.select(VOCABULARY.columns).cast(VOCABULARY.schema).sort_by("entry_id")
    except (ValueError, KeyError, pa.ArrowException) as error:
        raise VocabularyError(f"{location} is no vocabulary ({error}): give one that `vocab build` wrote") from None
    if not np.array_equal(ordered["entry_id"].to_numpy(), np.arange(len(ordered))):
        raise VocabularyError(f"{location}: entry_id is not 0 to {len(ordered) - 1}, each once: number it anew")
    if pc.count_distinct(ordered["entry"]).as_py() != len(ordered):
        raise VocabularyError(f"{location} has repeated entries: an older vocabulary must have each once")
    return ordered
