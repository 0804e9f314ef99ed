"""near_clips: clips whose key frames look alike. One unit per run of the perceptual hash's bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.media.fingerprints import FLAT, band_runs
from curation.recipe import Recipe
from curation.runner.stage import Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CLIP_GROUPS, CLIPS
from curation.stages.hash_groups import Hashes, Ints, near_labels
from curation.storage import Store


class NearClips(UnitStage):
    """Two clips are near copies where each key frame of one is within max_distance of the same one of the other.

    They share then a run of the bits of the middle key frame's hash, by which a unit groups what it compares. Clips
    without key frames, and those whose middle one is too flat to be told apart, are not compared.

    Everything is in memory at once: some 100 bytes a clip.
    """

    name = "near_clips"
    about = "find clips whose key frames are near copies"
    after = ("clips",)
    outputs = (CLIP_GROUPS,)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {"max_distance": recipe.kept_clips.max_distance}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        clips, distance = planning.inputs["clips"], planning.settings["max_distance"]
        if distance is None:
            return []
        inputs = {"clips": clips.paths(CLIPS.name)}
        content = clips.content(CLIPS.name)
        return [
            Unit(f"run-{band:02d}", {**inputs, "band": band}, self.identity(distance, band, content))
            for band in range(distance + 1)
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        rows, hashes = key_frame_hashes(task.store, unit.inputs["clips"])
        distance = task.settings["max_distance"]
        groups, stopped = clip_groups(hashes, unit.inputs["band"], distance)
        writer.counts["not_compared"] += stopped
        members = np.flatnonzero(groups >= 0)
        ids = ids_of_rows(task.store, unit.inputs["clips"], rows[members])
        places = np.searchsorted(members, groups[members])
        media_ids = pc.utf8_slice_codeunits(ids, 0, 24)
        columns = [ids, media_ids, ids.take(pa.array(places)), pa.array(rows[members]), pa.array(rows[groups[members]])]
        writer.write(CLIP_GROUPS, pa.RecordBatch.from_arrays(columns, schema=CLIP_GROUPS.schema))


def key_frame_hashes(store: Store, paths: Sequence[str]) -> tuple[Ints, Hashes]:
    """Rows of clips that can be compared, counted from 0 over all paths, and the hashes (n, key frames) of each, the
    middle one first. All clips of a work folder have equally many key frames; those with fewer are left out.
    """
    rows, hashes, before = [], [], 0
    for batch in store.batches(list(paths), ["key_frames"]):
        stills = batch.column("key_frames")
        lengths = np.diff(np.asarray(stills.offsets))
        values = np.asarray(stills.flatten().field("phash"))
        most = int(lengths.max(initial=0))
        whole = np.flatnonzero(lengths == most) if most else np.zeros(0, np.int64)
        begins = (np.cumsum(lengths) - lengths)[whole]
        found = values[begins[:, None] + _middle_first(most)]
        seen = found[:, 0] != FLAT if most else np.zeros(0, bool)
        rows.append(before + whole[seen])
        hashes.append(found[seen])
        before += batch.num_rows
    width = max((each.shape[1] for each in hashes), default=0)
    fit = [place for place, each in enumerate(hashes) if each.shape[1] == width and width]
    if not fit:
        return np.zeros(0, np.int64), np.zeros((0, 1), np.uint64)
    return np.concatenate([rows[place] for place in fit]), np.concatenate([hashes[place] for place in fit])


def _middle_first(count: int) -> Ints:
    middle = count // 2
    return np.array([middle, *range(middle), *range(middle + 1, count)], np.int64)


def clip_groups(hashes: Hashes, band: int, distance: int) -> tuple[Ints, int]:
    """For each row of hashes (n, k) the smallest place in its group of near copies, -1 where it is alone, as far as
    they share the given run of the first hash's bits; and how many were not compared with all that they might be near.
    """
    nodes, of_node = np.unique(hashes, axis=0, return_inverse=True)
    of_node = of_node.reshape(-1)
    shift, width = band_runs(distance + 1)[band]
    first = np.ascontiguousarray(nodes[:, 0])
    runs = first >> np.uint64(shift) & np.uint64((1 << width) - 1) if width < 64 else first
    keys = np.unique(runs, return_inverse=True)[1].astype(np.int64)  # the whole hash is above 2^47

    def alike(one: Ints, other: Ints) -> npt.NDArray[np.bool_]:
        near: npt.NDArray[np.bool_] = (np.bitwise_count(nodes[one, 1:] ^ nodes[other, 1:]) <= distance).all(axis=1)
        return near

    labels, unfinished = near_labels(keys, first, band, distance, alike)
    groups = labels[of_node]
    smallest = np.full(len(nodes), len(hashes), np.int64)
    np.minimum.at(smallest, groups, np.arange(len(hashes)))
    several = np.bincount(groups, minlength=len(nodes))[groups] > 1
    if band:  # what is equal in all is told by the first run
        equal = np.bincount(of_node, minlength=len(nodes))[of_node] == np.bincount(groups, minlength=len(nodes))[groups]
        several &= ~equal
    return np.where(several, smallest[groups], -1), int(unfinished.sum())


def ids_of_rows(store: Store, paths: list[str], rows: Ints) -> pa.Array:
    """clip_id of some rows of clips or scores, ascending, counted from 0 over all paths."""
    found, before = [], 0
    for batch in store.batches(paths, ["clip_id"]):
        begin, end = np.searchsorted(rows, (before, before + batch.num_rows))
        found.append(batch.column("clip_id").take(pa.array(rows[begin:end] - before)))
        before += batch.num_rows
    return pa.chunked_array(found, pa.string()).combine_chunks()
