"""scores: clips to numbers that rules read later. One unit per unit of clips."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from curation.media.video.facts import RefusedVideo
from curation.recipe import Recipe
from curation.recipe import Scores as ScoresSection
from curation.runner.stage import Law, Planning, Task
from curation.runner.units import Unit, UnitWriter, digest
from curation.schemas import CLIPS, SCORES
from curation.stages.video_units import Attempts, Row, VideoUnitStage, local_file, of_unit
from curation.storage import Store

_OF_CLIPS = ["clip_id", "media_id", "media_bucket", "path", "offset", "size_bytes", "stored_sha256"]
_KEPT = ("clip_id", "media_id", "media_bucket", "stored_sha256")
_EMPTY: Row = dict.fromkeys(SCORES.columns)


class Scores(VideoUnitStage):
    """Measures every clip once. A clip that cannot be read has a row that says why."""

    name = "scores"
    about = "score the clips"
    after = ("clips",)
    outputs = (SCORES,)
    laws = (Law(("in:clips",), ("rows:scores",)), Law(("rows:scores",), ("ok", "failed:*")))
    source = ("clips", CLIPS.name)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return recipe.scores.model_dump()

    def kind(self, planning: Planning) -> str:
        return digest(self.name, self.code_version, planning.settings)[:16]

    def inputs(self, planning: Planning, name: str) -> tuple[dict[str, Any], list[str]]:
        paths, content = of_unit(planning.inputs["clips"], name, CLIPS.name)
        return {"clips": paths}, content

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        report = self.earlier(unit, task, writer)
        rows = [] if report is None else task.store.table(report.paths(SCORES.name), SCORES.schema).to_pylist()
        known = {(row["clip_id"], row["stored_sha256"]): row for row in rows if row["status"] == "ok"}
        settings = ScoresSection.model_validate(task.settings)
        attempts = Attempts(task.store, self.name, unit)
        for batch in task.store.batches(unit.inputs["clips"], _OF_CLIPS):
            for clip in batch.to_pylist():
                row = known.get((clip["clip_id"], clip["stored_sha256"]))
                row = row or _scored(clip, task.store, settings, attempts)
                writer.counts["ok" if row["status"] == "ok" else f"failed:{row['error']}"] += 1
                writer.write(SCORES, pa.RecordBatch.from_pylist([row], schema=SCORES.schema))


def _scored(clip: Row, store: Store, settings: ScoresSection, attempts: Attempts) -> Row:
    from curation.media.video.scores import score_clip  # PyAV's libraries: only where videos are

    row = {**_EMPTY, **{name: clip[name] for name in _KEPT}}
    try:
        place = clip["path"], clip["offset"], clip["size_bytes"]
        with local_file(store, *place) as path, attempts.at(clip["clip_id"]):
            return {**row, "status": "ok", **asdict(score_clip(path, settings))}
    except RefusedVideo as refusal:
        return {**row, "status": "failed", "error": str(refusal.reason), "detail": str(refusal)}
