"""Columns of pairs that take more than a merge: lists, and the site rules that candidates are held against."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.filters import hosts as candidate_hosts
from curation.recipe.filters import Consent
from curation.schemas import PAIRS, SITE_RULES
from curation.storage import Store

HELD_RULES = 1_000_000
"""Rules of sites for our agents that a worker keeps in memory (about 160 MB); of more it searches the files."""

_TRACKS = PAIRS.schema.field("tracks").type


def packed_tracks(tracks: pa.ListArray) -> pa.StringArray:
    """Lists of tracks as JSON, null for empty ones: most are, and Spark moves strings cheaply."""
    some = pc.greater(pc.list_value_length(tracks), 0)
    if not pc.any(some, min_count=0).as_py():
        return pa.nulls(len(tracks), pa.string())
    packed = [msgspec.json.encode(item).decode() if item else None for item in tracks.to_pylist()]
    return pa.array(packed, pa.string())


def unpacked_tracks(packed: pa.ChunkedArray) -> pa.Array:
    """What packed_tracks was given."""
    if packed.null_count == len(packed):
        return pa.ListArray.from_arrays(pa.array(np.zeros(len(packed) + 1, np.int32)), pa.array([], _TRACKS.value_type))
    return pa.array([msgspec.json.decode(item) if item else [] for item in packed.to_pylist()], _TRACKS)


def site_rules(store: Store, paths: list[str], consent: Consent, candidates: pa.RecordBatch) -> pa.Table | None:
    """The rules for some candidates that concern the recipe's agents; None where recipe or archives have none."""
    if not paths or not consent.site_rules:
        return None
    hosts = candidate_hosts(candidates)
    held = _held_rules(store, tuple(paths), tuple(consent.agents))
    table = _concerning(store, paths, consent.agents, hosts) if held is None else held
    return table.filter(pc.is_in(table.column("host"), value_set=hosts))


@lru_cache(maxsize=2)
def _held_rules(store: Store, paths: tuple[str, ...], agents: tuple[str, ...]) -> pa.Table | None:
    held: list[pa.RecordBatch] = []
    for batch in store.batches(list(paths), SITE_RULES.columns):
        held.append(_for_agents(batch, agents))
        if sum(part.num_rows for part in held) > HELD_RULES:
            return None
    return pa.Table.from_batches(held, SITE_RULES.schema)


def _concerning(store: Store, paths: list[str], agents: list[str], hosts: pa.Array) -> pa.Table:
    parts = (_for_agents(batch, agents) for batch in store.batches(paths, SITE_RULES.columns))
    kept = [part.filter(pc.is_in(part.column("host"), value_set=hosts)) for part in parts]
    return pa.Table.from_batches(kept, SITE_RULES.schema)


def _for_agents(batch: pa.RecordBatch, agents: Sequence[str]) -> pa.RecordBatch:
    return batch.filter(pc.is_in(batch.column("agent"), value_set=pa.array([*agents, "*"])))


def united(group: np.ndarray[Any, Any], groups: int, column: pa.ChunkedArray, *, split: bool = False) -> pa.Array:
    """Sorted distinct values of each group as lists; with `split`, values are comma-separated lists themselves."""
    if split:
        lists = pc.split_pattern(column.combine_chunks(), ",")
        lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        group = group[np.asarray(pc.list_parent_indices(lists))]
        values = lists.flatten()
    else:
        values = column.combine_chunks()
    encoded = values.dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    rank = np.argsort(np.argsort(np.array(encoded.dictionary.to_pylist(), dtype=object), kind="stable"))
    ordered = encoded.dictionary.take(pa.array(np.argsort(rank)))
    wide = max(1, len(ordered))
    keys = np.unique(group * wide + rank[np.asarray(encoded.indices)])
    if len(ordered) and ordered[0].as_py() == "":  # pages without directives
        keys = keys[keys % wide != 0]
    offsets = np.searchsorted(keys, np.arange(groups + 1) * wide).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), ordered.take(pa.array(keys % wide)))
