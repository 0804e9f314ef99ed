"""kept_clips: scored clips to those that are kept, by the rules of the recipe and without copies. In one piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import ConservationError
from curation.media.video.rules import clip_verdicts
from curation.recipe import Recipe
from curation.recipe.clip_rules import ClipRules
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CLIP_GROUPS, DUPLICATES, KEPT_CLIPS, SCORES
from curation.stages.hash_groups import Ints, joined
from curation.storage import Store

DUPLICATE = "duplicate"
_NOT_SCORED, _COPIED_VIDEO = "not_scored", "copied_video"


class KeptClips(UnitStage):
    """A clip is kept where no rule refuses its scores, its video is no copy of another, and it is no copy itself.

    Of a cluster of near copies the longest clip that the rules let pass is kept (then that of most pixels, then the
    first). Clips without scores are refused (not_scored). Nothing is decoded: another rule costs one reading of scores.

    Everything is in memory at once: some 100 bytes a clip.
    """

    name = "kept_clips"
    about = "choose the clips that are kept, by rules on their scores and without copies"
    after = ("scores", "near_clips", "duplicates")
    outputs = (KEPT_CLIPS,)
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
        copied = _copied_videos(task.store, unit.inputs["duplicates"])
        table, length = _judged(task.store, unit.inputs["scores"], ClipRules.model_validate(task.settings), copied)
        copy_of = _copies(task.store, unit.inputs["groups"], table, length)
        is_copy = copy_of >= 0
        ids = table.column("clip_id").combine_chunks()
        refused = pc.if_else(pa.array(is_copy), DUPLICATE, table.column("refused_by").combine_chunks())
        columns = [
            ids,
            table.column("media_id").combine_chunks(),
            table.column("media_bucket").combine_chunks(),
            pc.is_null(refused),
            refused,
            ids.take(pa.array(copy_of, mask=~is_copy)),
        ]
        rows = pa.RecordBatch.from_arrays(columns, schema=KEPT_CLIPS.schema)
        writer.write(KEPT_CLIPS, rows)
        writer.counts["kept"] += refused.null_count
        for entry in pc.value_counts(refused.drop_null()).to_pylist():
            writer.counts[f"refused:{entry['values']}"] += entry["counts"]


def _copied_videos(store: Store, paths: list[str]) -> pa.Array:
    """media_id of those of which another copy is kept."""
    found = []
    for batch in store.batches(paths, ["media_id", "kept_media_id"]):
        is_other = pc.not_equal(batch.column("media_id"), batch.column("kept_media_id"))
        found.append(batch.column("media_id").filter(is_other))
    return pa.chunked_array(found, pa.string()).combine_chunks()


def _judged(store: Store, paths: list[str], rules: ClipRules, copied: pa.Array) -> tuple[pa.Table, Ints]:
    """clip_id, media_id, media_bucket and refused_by of all clips, and a measure by which the best copy is chosen."""
    parts, sizes = [], []
    names = ["clip_id", "media_id", "media_bucket"]
    schema = pa.schema([*(KEPT_CLIPS.schema.field(name) for name in names), KEPT_CLIPS.schema.field("refused_by")])
    for batch in store.batches(paths):
        failed = pc.not_equal(batch.column("status"), "ok")
        verdicts = pc.if_else(failed, _NOT_SCORED, clip_verdicts(batch, rules))
        verdicts = pc.if_else(pc.is_in(batch.column("media_id"), value_set=copied), _COPIED_VIDEO, verdicts)
        parts.append(pa.RecordBatch.from_arrays([*(batch.column(name) for name in names), verdicts], schema=schema))
        measures = (pc.fill_null(batch.column(name), 0) for name in ("duration_ms", "width", "height"))
        duration, width, height = (np.asarray(measure).astype(np.int64) for measure in measures)
        sizes.append((duration << 32) + width * height)
    table = pa.Table.from_batches(parts, schema=schema)
    return table, np.concatenate([np.zeros(0, np.int64), *sizes])


def _copies(store: Store, paths: list[str], table: pa.Table, best: Ints) -> Ints:
    """For each clip the row of the copy that is kept instead of it; -1 where it is not a copy or is refused anyway."""
    passed = np.asarray(pc.is_null(table.column("refused_by")))
    groups = store.table(paths, CLIP_GROUPS.schema)
    members, firsts = (np.asarray(groups.column(name)).astype(np.int64) for name in ("clip_row", "group_row"))
    if len(members):
        ids = table.column("clip_id").take(pa.array(members))
        if not pc.all(pc.equal(ids, groups.column("clip_id"))).as_py():
            raise ConservationError("kept_clips: clip_groups is about other clips than scores: please report it")
    labels = joined(np.arange(len(best)), members, firsts)
    order = np.flatnonzero(passed)
    order = order[np.lexsort((order, -best[order], labels[order]))]
    starts = np.ones(len(order), bool)
    starts[1:] = labels[order[1:]] != labels[order[:-1]]
    kept = np.full(len(best), -1, np.int64)
    kept[labels[order[starts]]] = order[starts]
    chosen = kept[labels]
    return np.where(passed & (chosen != np.arange(len(best))), chosen, -1)
