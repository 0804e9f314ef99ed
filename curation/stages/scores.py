"""scores: clips to numbers that rules read later. One unit per unit of clips."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa

from curation.digests import digest
from curation.media.video.facts import RefusedVideo
from curation.recipe import Recipe
from curation.recipe import Scores as ScoresSection
from curation.runner.stage import Law, Planning, Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CLIPS, SCORES
from curation.stages.following import of_unit
from curation.stages.video_units import Attempts, Row, VideoUnitStage, local_file, refusing
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
        before = [] if report is None else task.store.table(report.paths(SCORES.name), SCORES.schema).to_pylist()
        known = {(row["clip_id"], row["stored_sha256"]): row for row in before if row["status"] == "ok"}
        settings = ScoresSection.model_validate(task.settings)
        attempts = Attempts(task.store, self.name, unit)
        clips = (clip for batch in task.store.batches(unit.inputs["clips"], _OF_CLIPS) for clip in batch.to_pylist())
        for media_id, own in groupby(clips, itemgetter("media_id")):
            told = [known.get((clip["clip_id"], clip["stored_sha256"])) or clip for clip in own]
            new = [row for row in told if "status" not in row]
            scored = iter(_scored(media_id, new, settings, attempts) if new else [])
            rows = [row if "status" in row else next(scored) for row in told]
            for row in rows:
                writer.counts["ok" if row["status"] == "ok" else f"failed:{row['error']}"] += 1
            writer.write(SCORES, pa.RecordBatch.from_pylist(rows, schema=SCORES.schema))


def _scored(media_id: str, clips: list[Row], settings: ScoresSection, attempts: Attempts) -> list[Row]:
    """The scores of clips of one video."""
    try:
        with attempts.at(media_id):
            return [_score(clip, attempts.store, settings) for clip in clips]
    except RefusedVideo as refusal:
        return [_failed(clip, refusal) for clip in clips]


def _score(clip: Row, store: Store, settings: ScoresSection) -> Row:
    from curation.media.video.scores import score_clip  # PyAV's libraries: only where videos are

    place = clip["path"], clip["offset"], clip["size_bytes"]
    try:
        with local_file(store, *place) as path, refusing():
            found = asdict(score_clip(path, settings))
    except RefusedVideo as refusal:
        return _failed(clip, refusal)
    return {**_EMPTY, **{name: clip[name] for name in _KEPT}, "status": "ok", **found}


def _failed(clip: Row, refusal: RefusedVideo) -> Row:
    told = {"status": "failed", "error": str(refusal.reason), "detail": str(refusal)}
    return {**_EMPTY, **{name: clip[name] for name in _KEPT}, **told}
