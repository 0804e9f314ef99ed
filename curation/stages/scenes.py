"""scenes: videos to the frames at which a new shot begins. One unit per unit of fetched videos."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curation.media.video.facts import RefusedVideo
from curation.recipe import Recipe
from curation.recipe import Scenes as ScenesSection
from curation.runner.stage import Law, Planning, Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import MEDIA, SCENES, VIDEOS
from curation.stages.clip_settings import SCENES_CODE, scenes_kind
from curation.stages.video_units import SOURCE_GONE, Attempts, Row, VideoUnitStage, local_file, of_unit
from curation.storage import Store

_OF_MEDIA = ["media_id", "media_bucket", "status", "path", "stored_sha256"]
_EMPTY: Row = {"error": None, "detail": None, "cuts": [], "times_ms": [], "end_ms": None, "corrupt_frames": None}


class Scenes(VideoUnitStage):
    """Looks at every obtained video once, whatever is made of its shots afterwards."""

    name = "scenes"
    about = "find the shots of the videos"
    after = ("fetch",)
    outputs = (SCENES,)
    laws = (Law(("in:videos",), ("rows:scenes",)), Law(("rows:scenes",), ("ok", "failed:*")))
    code_version = SCENES_CODE
    source = ("fetch", VIDEOS.name)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return recipe.scenes.model_dump()

    def kind(self, planning: Planning) -> str:
        return scenes_kind(planning.recipe)

    def inputs(self, planning: Planning, name: str) -> tuple[dict[str, Any], list[str]]:
        paths, content = of_unit(planning.inputs["fetch"], name, MEDIA.name)
        return {"media": paths}, content

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        report = self.earlier(unit, task, writer)
        known = {}
        if report is not None:
            rows = task.store.table(report.paths(SCENES.name), SCENES.schema).to_pylist()
            known = {(row["media_id"], row["sha256"]): row for row in rows if row["status"] == "ok"}
        settings = ScenesSection.model_validate(task.settings)
        attempts = Attempts(task.store, self.name, unit)
        for media in obtained(task.store, unit.inputs["media"]):
            row = known.get((media["media_id"], media["stored_sha256"]))
            row = row or _looked_at(media, task.store, settings, attempts)
            writer.counts["ok" if row["status"] == "ok" else f"failed:{row['error']}"] += 1
            writer.write(SCENES, pa.RecordBatch.from_pylist([row], schema=SCENES.schema))


def obtained(store: Store, paths: list[str]) -> list[Row]:
    """Obtained media of a ledger: id, bucket, path and digest, by id."""
    rows = [row for batch in store.batches(paths, _OF_MEDIA) for row in batch.to_pylist() if row["status"] == "ok"]
    return sorted(rows, key=lambda row: str(row["media_id"]))


def _looked_at(media: Row, store: Store, settings: ScenesSection, attempts: Attempts) -> Row:
    from curation.media.video.cuts import detect_shots  # PyAV's libraries: only where videos are

    row = {"media_id": media["media_id"], "media_bucket": media["media_bucket"], "sha256": media["stored_sha256"]}
    try:
        with local_file(store, media["path"]) as path, attempts.at(media["media_id"]):
            shots = detect_shots(path, settings)
    except FileNotFoundError:
        words = f"{media['path']} is gone: to fetch it again, remove its unit's reports in _runs/fetch/reports"
        return {**_EMPTY, **row, "status": "failed", "error": SOURCE_GONE, "detail": words}
    except RefusedVideo as refusal:
        return {**_EMPTY, **row, "status": "failed", "error": str(refusal.reason), "detail": str(refusal)}
    return {
        **_EMPTY,
        **row,
        "status": "ok",
        "cuts": shots.cuts,
        "times_ms": shots.times_ms.tolist(),
        "end_ms": shots.end_ms,
        "corrupt_frames": shots.corrupt,
    }
