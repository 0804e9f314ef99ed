"""kept_clips: scored clips to those that are kept, by the rules of the recipe and without copies. In one piece."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.media.video.rules import clip_verdicts
from curation.recipe import Recipe
from curation.recipe.clip_rules import ClipRules
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CLIP_GROUPS, DUPLICATES, KEPT_CLIPS, KEPT_VIDEOS, SCORES
from curation.stages.hash_groups import Ints, joined
from curation.stages.near_clips import ids_of_rows
from curation.storage import Store

DUPLICATE = "duplicate"
_NOT_SCORED, _COPIED_VIDEO = _OTHERS = "not_scored", "copied_video"
_PASSED = -1
_OF_SCORES = ["clip_id", "media_id", "media_bucket"]
Codes = npt.NDArray[np.int16]


class KeptClips(UnitStage):
    """A clip is kept where no rule refuses its scores, its video is no copy of another, and it is no copy itself.

    Of a cluster of near copies the longest clip that the rules let pass is kept (then that of most pixels, then the
    first). Clips without scores are refused (not_scored). Nothing is decoded: another rule costs one reading of scores.

    Some 50 bytes a clip are in memory at once; ids and texts are streamed.
    """

    name = "kept_clips"
    about = "choose the clips that are kept, by rules on their scores and without copies"
    after = ("scores", "near_clips", "duplicates")
    outputs = (KEPT_CLIPS, KEPT_VIDEOS)
    laws = (Law(("in:scores",), ("rows:kept_clips",)), Law(("rows:kept_clips",), ("kept", "refused:*")))

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return recipe.kept_clips.rules.model_dump()

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        scores, groups = planning.inputs["scores"], planning.inputs["near_clips"]
        copies = planning.inputs["duplicates"]
        inputs = {
            "scores": scores.paths(SCORES.name),
            "groups": groups.paths(CLIP_GROUPS.name),
            "duplicates": copies.paths(DUPLICATES.name),
        }
        content = scores.content(SCORES.name), groups.content(CLIP_GROUPS.name), copies.content(DUPLICATES.name)
        return [Unit("all", inputs, self.identity(planning.settings, *content))]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        rules = ClipRules.model_validate(task.settings)
        copied = _copied_videos(task.store, unit.inputs["duplicates"])
        names = [*_OTHERS, *ClipRules.model_fields]
        verdicts, best = _judged(task.store, unit.inputs["scores"], rules, copied, names)
        copy_of = _copies(task.store, unit.inputs["groups"], verdicts, best)
        wanted = np.unique(copy_of[copy_of >= 0])
        originals = ids_of_rows(task.store, unit.inputs["scores"], wanted)
        labels = pa.array([DUPLICATE, *names])
        begin = 0
        videos: Counter[tuple[str, int]] = Counter()
        for batch in task.store.batches(unit.inputs["scores"], _OF_SCORES):
            rows = slice(begin, begin + batch.num_rows)
            copies, codes = copy_of[rows], np.where(copy_of[rows] >= 0, 0, verdicts[rows] + 1)
            kept = (copies < 0) & (verdicts[rows] == _PASSED)
            refused = labels.take(pa.array(np.where(kept, 0, codes), mask=kept))
            places = pa.array(np.searchsorted(wanted, copies), mask=copies < 0)
            columns = [*(batch.column(name) for name in _OF_SCORES), pa.array(kept), refused, originals.take(places)]
            writer.write(KEPT_CLIPS, pa.RecordBatch.from_arrays(columns, schema=KEPT_CLIPS.schema))
            writer.counts["kept"] += int(kept.sum())
            for entry in pc.value_counts(refused.drop_null()).to_pylist():
                writer.counts[f"refused:{entry['values']}"] += entry["counts"]
            _write_videos(batch.filter(pa.array(kept)), videos, writer, last=False)
            begin += batch.num_rows
        _write_videos(None, videos, writer, last=True)


def _write_videos(
    kept: pa.RecordBatch | None, videos: Counter[tuple[str, int]], writer: UnitWriter, *, last: bool
) -> None:
    """One row per video with kept clips. Clips of a video stand together, so that only the last one may go on."""
    if kept is not None:
        videos.update(zip(kept.column("media_id").to_pylist(), kept.column("media_bucket").to_pylist(), strict=True))
    done = list(videos) if last else list(videos)[:-1]
    rows = [{"media_id": key[0], "media_bucket": key[1], "clips": videos.pop(key)} for key in done]
    if rows:
        writer.write(KEPT_VIDEOS, pa.RecordBatch.from_pylist(rows, schema=KEPT_VIDEOS.schema))


def _copied_videos(store: Store, paths: list[str]) -> pa.Array:
    """media_id of those of which another copy is kept."""
    found = []
    for batch in store.batches(paths, ["media_id", "kept_media_id"]):
        is_other = pc.not_equal(batch.column("media_id"), batch.column("kept_media_id"))
        found.append(batch.column("media_id").filter(is_other))
    return pa.chunked_array(found, pa.string()).combine_chunks()


def _judged(
    store: Store, paths: list[str], rules: ClipRules, copied: pa.Array, names: list[str]
) -> tuple[Codes, Ints]:
    """For every clip the place in `names` of what refuses it, _PASSED where nothing does, and a measure by which the
    best copy is chosen.
    """
    codes, sizes = [np.zeros(0, np.int16)], [np.zeros(0, np.int64)]
    known = pa.array(names)
    for batch in store.batches(paths):
        failed = pc.not_equal(batch.column("status"), "ok")
        verdicts = pc.if_else(failed, _NOT_SCORED, clip_verdicts(batch, rules))
        verdicts = pc.if_else(pc.is_in(batch.column("media_id"), value_set=copied), _COPIED_VIDEO, verdicts)
        codes.append(np.asarray(pc.fill_null(pc.index_in(verdicts, value_set=known), _PASSED)).astype(np.int16))
        measures = (pc.fill_null(batch.column(name), 0) for name in ("duration_ms", "width", "height"))
        duration, width, height = (np.asarray(measure).astype(np.int64) for measure in measures)
        sizes.append((duration << 32) + width * height)
    return np.concatenate(codes), np.concatenate(sizes)


def _copies(store: Store, paths: list[str], verdicts: Codes, best: Ints) -> Ints:
    """For each clip the row of the copy that is kept instead of it; -1 where it is not a copy or is refused anyway."""
    labels = np.arange(len(best))
    members, firsts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for batch in store.batches(paths, ["clip_row", "group_row"]):
        members.append(np.asarray(batch.column("clip_row")))
        firsts.append(np.asarray(batch.column("group_row")))
    labels = joined(labels, np.concatenate(members), np.concatenate(firsts))
    order = np.flatnonzero(verdicts == _PASSED)
    order = order[np.lexsort((order, -best[order], labels[order]))]
    starts = np.ones(len(order), bool)
    starts[1:] = labels[order[1:]] != labels[order[:-1]]
    kept = np.full(len(best), -1, np.int64)
    kept[labels[order[starts]]] = order[starts]
    chosen = kept[labels]
    return np.where((verdicts == _PASSED) & (chosen != np.arange(len(best))), chosen, -1)
