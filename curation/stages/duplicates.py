"""duplicates: groups of copies to clusters, the copy that is kept of each, the text that stands for it. One unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import DUPLICATE_GROUPS, DUPLICATES
from curation.stages.buckets import BATCH_ROWS
from curation.stages.hash_groups import joined
from curation.stages.near import hex_bytes
from curation.storage import Store

Ints = npt.NDArray[np.int64]
Packed = npt.NDArray[np.uint64]

_MEDIA_DIGITS, _PAIR_DIGITS = 24, 32
_NUMBERS = {"pixels": np.int64, "fetched_bytes": np.int64, "source_rank": np.int32, "critical_threshold": np.float64}


class Duplicates(UnitStage):
    """Clusters are the connected components of all groups together, so the ends of a chain may be no copies at all.

    kind is the cluster's, the same for all its members: exact where all of them share one sha256 (it was made of an
    exact group alone), else near. kept_media_id: most pixels, then most fetched bytes, then the smallest id.
    kept_pair_id: the smallest (source_rank, critical_threshold, pair_id) of its members' best pairs.

    Everything is in memory at once: some 100 bytes for each row of the groups, and 100 for each media.
    """

    name = "duplicates"
    about = "join groups of copies and choose the copy and the text that are kept"
    after = ("near",)
    outputs = (DUPLICATES,)
    laws = (
        Law(("in:duplicate_groups",), ("rows:duplicates", "further_groups")),
        Law(("rows:duplicates",), ("clusters", "copies")),
    )

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        near = planning.inputs["near"]
        groups = near.paths(DUPLICATE_GROUPS.name)
        return [Unit("all", {"groups": groups}, self.identity(near.content(DUPLICATE_GROUPS.name)))]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        ids, members, smallest, near = _members(task.store, unit.inputs["groups"])
        writer.counts["further_groups"] += int((np.bincount(members, minlength=len(ids)) - 1).sum())
        labels = joined(np.arange(len(ids)), members, smallest)
        is_near = np.zeros(len(ids), bool)
        is_near[labels[members[near]]] = True
        facts = _facts(task.store, unit.inputs["groups"], members, len(ids))
        kept = _first(labels, [np.arange(len(ids)), -facts["fetched_bytes"], -facts["pixels"]])
        pair = facts["pair_id"]
        best = _first(labels, [pair[:, 1], pair[:, 0], facts["critical_threshold"], facts["source_rank"]])
        writer.counts["clusters"] += len(np.unique(labels))
        writer.counts["copies"] += int((kept != np.arange(len(ids))).sum())
        for start in range(0, len(ids), BATCH_ROWS):
            rows = slice(start, start + BATCH_ROWS)
            columns = [
                _unpacked(ids[rows], _MEDIA_DIGITS),
                _unpacked(ids[labels[rows]], _MEDIA_DIGITS),
                pa.array(np.where(is_near[labels[rows]], "near", "exact")),
                _unpacked(ids[kept[rows]], _MEDIA_DIGITS),
                _unpacked(pair[best[rows]], _PAIR_DIGITS),
            ]
            writer.write(DUPLICATES, pa.RecordBatch.from_arrays(columns, schema=DUPLICATES.schema))


def _packed(column: pa.Array, digits: int) -> Packed:
    """Hex ids of up to 32 digits as (n, 2) numbers, in the same order."""
    wide = np.zeros((len(column), 16), np.uint8)
    wide[:, : digits // 2] = hex_bytes(column, digits)
    return wide.view(">u8").astype(np.uint64)


def _unpacked(packed: Packed, digits: int) -> pa.Array:
    text = np.ascontiguousarray(packed.astype(">u8").view(np.uint8)[:, : digits // 2]).tobytes().hex()
    offsets = np.arange(len(packed) + 1, dtype=np.int32) * np.int32(digits)
    return pa.StringArray.from_buffers(len(packed), pa.py_buffer(offsets), pa.py_buffer(text.encode()))


def _members(store: Store, paths: list[str]) -> tuple[Packed, Ints, Ints, npt.NDArray[np.bool_]]:
    """All media in order; for each row of the groups the places of its media and its group's smallest, and if near."""
    media, groups, near = [np.zeros((0, 2), np.uint64)], [np.zeros((0, 2), np.uint64)], [np.zeros(0, bool)]
    for batch in store.batches(paths, ["media_id", "group_id", "kind"]):
        media.append(_packed(batch.column("media_id"), _MEDIA_DIGITS))
        groups.append(_packed(batch.column("group_id"), _MEDIA_DIGITS))
        near.append(np.asarray(pc.equal(batch.column("kind"), "near")))
    both = np.concatenate(media + groups)
    order = np.lexsort((both[:, 1], both[:, 0]))
    ordered = both[order]
    starts = np.ones(len(both), bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    places = np.empty(len(both), np.int64)
    places[order] = np.cumsum(starts) - 1
    members, smallest = np.split(places, 2)
    return ordered[starts], members, smallest, np.concatenate(near)


def _facts(store: Store, paths: list[str], members: Ints, media: int) -> dict[str, npt.NDArray[Any]]:
    """What every media brings; its rows, of which there is one for each of its groups, say the same."""
    facts: dict[str, npt.NDArray[Any]] = {name: np.zeros(media, kind) for name, kind in _NUMBERS.items()}
    facts["pair_id"] = np.zeros((media, 2), np.uint64)
    done = 0
    for batch in store.batches(paths, [*_NUMBERS, "pair_id"]):
        places = members[done : done + batch.num_rows]
        for name in _NUMBERS:
            facts[name][places] = np.asarray(batch.column(name))
        facts["pair_id"][places] = _packed(batch.column("pair_id"), _PAIR_DIGITS)
        done += batch.num_rows
    return facts


def _first(labels: Ints, keys: list[npt.NDArray[Any]]) -> Ints:
    """For each row the place of the first of its label, in the order of some keys, the last of which counts most."""
    order = np.lexsort((*keys, labels))
    starts = np.ones(len(labels), bool)
    starts[1:] = labels[order[1:]] != labels[order[:-1]]
    first = np.empty(len(labels), np.int64)
    first[labels[order[starts]]] = order[starts]
    chosen: Ints = first[labels]
    return chosen
