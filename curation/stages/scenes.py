"""scenes: videos to the frames at which a new shot begins. One unit per unit of fetched videos."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curation.digests import digest
from curation.errors import StageError
from curation.media.video.facts import RefusedVideo
from curation.recipe import Recipe
from curation.recipe import Scenes as ScenesSection
from curation.runner.stage import Law, Planning, Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import MEDIA, SCENES, VIDEOS
from curation.stages.buckets import conformed
from curation.stages.clip_settings import SCENES_CODE, scenes_kind
from curation.stages.following import PASSING, of_unit
from curation.stages.video_sources import Sources
from curation.stages.video_units import (
    FAILED_IN_PASSING,
    SOURCE_GONE,
    Attempts,
    Row,
    SourceGoneError,
    VideoUnitStage,
    local_file,
)
from curation.storage import Store

_OF_MEDIA = ["media_id", "media_bucket", "status", "path", "stored_sha256"]
_LISTS = ("cuts", "times_ms")
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

    def limits(self, planning: Planning) -> str:
        return digest(planning.recipe.scenes.max_seconds)

    def inputs(self, planning: Planning, name: str) -> tuple[dict[str, Any], list[str]]:
        paths, content = of_unit(planning.inputs["fetch"], name, MEDIA.name)
        return {"media": paths}, content

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        report = self.earlier(unit, task, writer)
        known = SceneRows(task.store, [] if report is None else report.paths(SCENES.name))
        settings = ScenesSection.model_validate(task.settings)
        attempts = Attempts(task.store, self.name, unit)
        for media in obtained(task.store, unit.inputs["media"]):
            batch = known.batch(media["media_id"], media["stored_sha256"])
            if batch is None or batch.column("status")[0].as_py() != "ok":
                row = _looked_at(media, settings, attempts, unit)
                batch = pa.RecordBatch.from_pylist([row], schema=SCENES.schema)
            status, error = (batch.column(name)[0].as_py() for name in ("status", "error"))
            writer.counts["ok" if status == "ok" else f"failed:{error}"] += 1
            writer.counts[PASSING] += error in FAILED_IN_PASSING
            writer.write(SCENES, batch)


class SceneRows:
    """Rows of scenes by media and file. The times of all frames stay in Arrow, which takes 4 bytes for each."""

    def __init__(self, store: Store, paths: list[str]) -> None:
        self._table = store.table(paths, SCENES.schema).combine_chunks()
        keys = (self._table.column(name).to_pylist() for name in ("media_id", "sha256"))
        self._places = {key: place for place, key in enumerate(zip(*keys, strict=True))}

    def batch(self, media_id: str, sha256: str) -> pa.RecordBatch | None:
        """The one row; None: there is none."""
        place = self._places.get((media_id, sha256))
        if place is None:
            return None
        (batch,) = self._table.slice(place, 1).to_batches()
        return conformed({name: batch.column(name) for name in SCENES.columns}, SCENES.schema)

    def row(self, media_id: str, sha256: str) -> Row:
        """The row with its lists as numpy arrays. Raises StageError where there is none."""
        batch = self.batch(media_id, sha256)
        if batch is None:
            raise StageError(f"scenes knows nothing of {media_id}: run the same command again")
        told = {name: batch.column(name)[0].as_py() for name in SCENES.columns if name not in _LISTS}
        return told | {name: batch.column(name)[0].values.to_numpy() for name in _LISTS}


def obtained(store: Store, paths: list[str]) -> list[Row]:
    """Obtained media of a ledger: id, bucket, path and digest, by id."""
    rows = [row for batch in store.batches(paths, _OF_MEDIA) for row in batch.to_pylist() if row["status"] == "ok"]
    return sorted(rows, key=lambda row: str(row["media_id"]))


def _looked_at(media: Row, settings: ScenesSection, attempts: Attempts, unit: Unit) -> Row:
    from curation.media.video.cuts import detect_shots  # PyAV's libraries: only where videos are

    store = attempts.store
    row = {"media_id": media["media_id"], "media_bucket": media["media_bucket"], "sha256": media["stored_sha256"]}
    try:
        with local_file(store, media["path"]) as path, attempts.at(media["media_id"]):
            shots = detect_shots(path, settings)
    except SourceGoneError:
        Sources(store, unit.name).miss(media["media_id"], unit.inputs["wanted"])
        words = f"{media['path']} is gone; the next run fetches it again"
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
