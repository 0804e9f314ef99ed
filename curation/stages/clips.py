"""clips: shots to clips, cut out of the videos into tar shards. One unit per unit of fetched videos.

What is done of a unit is kept video by video, so that a killed worker cuts one video again, not all of them.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from typing import Any

import pyarrow as pa

from curation.digests import digest
from curation.errors import StageError
from curation.layouts import stored_rows
from curation.media.video.facts import RefusedVideo, VideoRefusal
from curation.recipe import Clips as ClipsSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Manifest, Planning, Task
from curation.runner.units import Unit, UnitReport, UnitWriter, report_name
from curation.schemas import CLIP_SHARDS, CLIPS, KEPT_PAIRS, MEDIA, PIECES, SCENES, VIDEOS
from curation.stages.buckets import bucket_of
from curation.stages.clip_settings import CLIPS_CODE, clips_kind
from curation.stages.following import PASSING, of_unit
from curation.stages.row_shards import TARS, Place, RowShards
from curation.stages.scenes import SceneRows, obtained
from curation.stages.video_parts import digest_of_marks, parts_of
from curation.stages.video_sources import Sources, told_units
from curation.stages.video_units import (
    FAILED_IN_PASSING,
    SOURCE_GONE,
    Attempts,
    Row,
    SourceGoneError,
    VideoUnitStage,
    local_file,
    scratch_folder,
)
from curation.storage import Store

PARTS = "_runs/clips/parts"
_ROWS = 1000
_READERS = 32
_PASSING = FAILED_IN_PASSING | {"cut_late"}
_FAILED = frozenset((SOURCE_GONE, "cut_failed", *map(str, VideoRefusal))) | _PASSING
"""Why a piece, or a whole video, may be tried again from its source."""
_BY_PARTS = "chapters"
_BY_MARKS = (_BY_PARTS, "subtitles")
"""Split sets whose bounds the texts of a video give, and of these the one that asks for what pages say of its parts."""
_ABOUT = ("media_id", "start_ms", "end_ms", "start_frame", "end_frame", "frames", "duration_ms", "width", "height",
          "fps", "has_audio", "text")  # fmt: skip


def _files(row: Row) -> list[tuple[str, Place]]:
    return [(row["extension"], row), *((f"{number}.jpg", place) for number, place in enumerate(row["key_frames"]))]


def _about(row: Row) -> Row:
    times = [{"frame": still["frame"], "time_ms": still["time_ms"]} for still in row["key_frames"]]
    return {"key": row["clip_id"], "status": "success", "sha256": row["stored_sha256"], "key_frames": times} | {
        name: row[name] for name in _ABOUT
    }


SHARDS = RowShards(CLIP_SHARDS, "clip_id", _files, _about)


class Clips(VideoUnitStage):
    """Splits every video by its shots (or chapters, subtitles, a stride), and cuts what is to be a clip."""

    name = "clips"
    about = "split the videos and cut their clips"
    after = ("fetch", "scenes")
    outputs = (CLIPS, CLIP_SHARDS, PIECES)
    laws = (
        Law(("in:videos",), ("videos",)),
        Law(("rows:pieces",), ("rows:clips", "dropped:*")),
        Law(("rows:clips",), ("shard_samples",)),
    )
    code_version = CLIPS_CODE
    source = ("fetch", VIDEOS.name)

    def needs(self, recipe: Recipe) -> tuple[str, ...]:
        by_parts = recipe.clips is not None and recipe.clips.split.set == _BY_PARTS
        return (*self.after, "balance") if by_parts else self.after

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        section = recipe.clips
        if section is None or recipe.fetch is None:
            raise StageError("the recipe has no section clips: add one, e.g. clips: {}")
        return {**section.model_dump(), "keep_source": recipe.fetch.video.keep_source}

    def kind(self, planning: Planning) -> str:
        return str(clips_kind(planning.recipe))

    def limits(self, planning: Planning) -> str:
        settings = planning.settings
        return digest(settings["seconds_per_video"], settings["cut"]["process_seconds"])

    def inputs(self, planning: Planning, name: str) -> tuple[dict[str, Any], list[str]]:
        scenes = of_unit(planning.inputs["scenes"], name, SCENES.name)
        media, videos = (of_unit(planning.inputs["fetch"], name, each.name) for each in (MEDIA, VIDEOS))
        content, split = scenes[1] + media[1], planning.settings["split"]["set"]
        told = {"scenes": scenes[0], "media": media[0], "videos": videos[0]}
        if split in _BY_MARKS:
            content = content + videos[1]
        if split == _BY_PARTS:
            told["kept_pairs"], pairs = of_unit(planning.inputs["balance"], bucket_of(name), KEPT_PAIRS.name)
            content = content + pairs
        return told, content

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        report = self.earlier(unit, task, writer)
        videos = _videos(unit, task.store, task.settings["split"]["set"])
        pieces, clips = ([], []) if report is None else _carried(report, videos, task.store)
        if report is not None:
            SHARDS.keep(report, clips, task.store, writer)
        done = {row["media_id"] for row in pieces}
        settings = {name: value for name, value in task.settings.items() if name != "keep_source"}
        section = ClipsSection.model_validate(settings)
        new: list[Row] = []
        attempts, scenes = Attempts(task.store, self.name, unit), SceneRows(task.store, unit.inputs["scenes"])
        for video in videos:
            if video["media_id"] not in done:
                part = f"{_parts(unit)}/{video['media_id']}-{video['sha256'][:12]}"
                found = task.store.read_json(f"{part}.json")
                if found is None:
                    shots = scenes.row(video["media_id"], video["sha256"])
                    found = _made({**video, **shots}, section, part, attempts, unit)
                pieces += found["pieces"]
                new += found["clips"]
        writer.counts["videos"] += len(videos)
        new.sort(key=_by_begin)
        with SHARDS.reading(new, task.store) as data:
            name = f"{CLIPS.name}/{TARS}/{unit.name}-{task.context['kind'][:8]}"
            SHARDS.write(new, name, data, task.store, writer)
        _write(pieces, [*clips, *new], writer)

    def committed(self, unit: Unit, task: Task, report: UnitReport) -> None:
        super().committed(unit, task, report)
        task.store.remove_tree(_parts(unit))
        if not task.settings["keep_source"]:
            _remove_sources(unit.name, report, unit.inputs["media"], task.context["kind"], task.store)

    def settle(self, planning: Planning, manifest: Manifest) -> None:
        super().settle(planning, manifest)
        store, fetch = planning.store, planning.inputs["fetch"]
        done = {name: Unit(name, {}, report.identity) for name, report in manifest.reports.items()}
        left = store.names(PARTS)
        for unit in done.values():
            if _parts(unit).rpartition("/")[2] in left:
                store.remove_tree(_parts(unit))
        if planning.settings["keep_source"]:
            return
        kind, told = manifest.context["kind"], told_units(store)

        def may_go(name: str) -> bool:
            return name not in told or Sources(store, name).may_go(kind)

        names = sorted(done)
        with ThreadPoolExecutor(_READERS) as readers:  # an object store answers each in tens of milliseconds
            found = list(readers.map(may_go, names))
        for name in compress(names, found):
            _remove_sources(name, manifest.reports[name], of_unit(fetch, name, MEDIA.name)[0], kind, store)


def _remove_sources(name: str, report: UnitReport, ledger: list[str], kind: str, store: Store) -> None:
    """Removes the sources of a unit, but those that gave no clips for reasons that may pass."""
    pieces = store.batches(report.paths(PIECES.name), ["media_id", "dropped"])
    rows = (row for batch in pieces for row in batch.to_pylist())
    kept = {row["media_id"] for row in rows if row["dropped"] in _FAILED}
    paths = [row["path"] for row in obtained(store, ledger) if row["media_id"] not in kept]
    Sources(store, name).remove(paths, kind)


def keep_clips(report: UnitReport, without: frozenset[str], store: Store, writer: UnitWriter) -> None:
    """Writes a unit anew without the clips of some media."""
    every, clips = (stored_rows(each, store, report.paths(each.name)) for each in (PIECES, CLIPS))
    pieces, clips = ([row for row in rows if row["media_id"] not in without] for rows in (every, clips))
    writer.counts["videos"] += report.counts.get("videos", 0) - len({row["media_id"] for row in every} & without)
    writer.facts.update(report.facts)
    SHARDS.keep(report, clips, store, writer)
    _write(pieces, clips, writer)


def _parts(unit: Unit) -> str:
    return f"{PARTS}/{report_name(unit).removesuffix('.json')}"


def _by_begin(row: Row) -> tuple[str, int, int]:
    return row["media_id"], row["start_ms"], row["end_ms"]


def _write(pieces: list[Row], clips: list[Row], writer: UnitWriter) -> None:
    for dataset, told in ((PIECES, pieces), (CLIPS, clips)):
        rows = sorted(told, key=_by_begin)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            writer.write(dataset, pa.RecordBatch.from_pylist(part, schema=writer.schema(dataset)))
    for piece in pieces:
        if piece["dropped"] is not None:
            writer.counts[f"dropped:{piece['dropped']}"] += 1
            writer.counts[PASSING] += piece["dropped"] in _PASSING


def _videos(unit: Unit, store: Store, split: str) -> list[Row]:
    """What is known of each video of a unit, by id, but its shots: where it lies, its texts, and what its bounds are
    made of. parts: None where it is not in the selection any more, so that what was known of them is not, either.
    """
    table = store.table(unit.inputs["videos"], VIDEOS.schema)
    told: dict[str, Row] = {row["media_id"]: row for row in table.to_pylist()}
    parts = parts_of(store, unit.inputs["kept_pairs"], told) if split == _BY_PARTS else dict.fromkeys(told, ())
    found = []
    for row in obtained(store, unit.inputs["media"]):
        media_id = row["media_id"]
        own = {**told[media_id], "path": row["path"], "sha256": row["stored_sha256"], "parts": parts.get(media_id)}
        marks = digest_of_marks(split, own, own["parts"] or ()) if split in _BY_MARKS else None
        found.append({**own, "marks": marks})
    return found


def _carried(report: UnitReport, videos: list[Row], store: Store) -> tuple[list[Row], list[Row]]:
    """(pieces, clips) that an earlier unit of the same settings made of the same files, by the same marks."""
    same = {video["media_id"]: (video["sha256"], video["marks"]) for video in videos}
    left = {video["media_id"]: video["sha256"] for video in videos if video["parts"] is None}
    pieces = store.table(report.paths(PIECES.name), PIECES.schema).to_pylist()
    failed = {row["media_id"] for row in pieces if row["dropped"] in _FAILED}

    def stays(row: Row) -> bool:
        media_id, sha256 = row["media_id"], row["sha256"]
        return same.get(media_id) == (sha256, row["marks"]) or left.get(media_id) == sha256

    kept = [row for row in pieces if row["media_id"] not in failed and stays(row)]
    media = {row["media_id"] for row in kept}
    clips = store.table(report.paths(CLIPS.name), CLIPS.schema).to_pylist()
    return kept, [row for row in clips if row["media_id"] in media]


def _made(
    video: Row, section: ClipsSection, part: str, attempts: Attempts, unit: Unit
) -> dict[str, list[Row]]:
    """The pieces and clips of a video, the clips' files in a tar of its own; kept for a later attempt."""
    from curation.media.video.clipping import clip_video, whole_video  # PyAV's libraries: only where videos are

    store, pieces, clips = attempts.store, [], []
    try:
        if video["status"] != "ok":
            raise RefusedVideo(video["error"], video["detail"])
        with local_file(store, video["path"]) as path, scratch_folder() as folder:
            with attempts.at(video["media_id"]):
                made = clip_video(path, video, section, folder, time.monotonic() + section.seconds_per_video)
            pieces, clips = made.pieces, made.clips
            if clips:
                SHARDS.put(clips, f"{part}.tar", made.read, store)
    except SourceGoneError:
        Sources(store, unit.name).miss(video["media_id"], unit.inputs["wanted"])
        pieces = [whole_video(video, SOURCE_GONE, f"{video['path']} is gone; the next run fetches it again")]
    except RefusedVideo as refusal:
        pieces, clips = [whole_video(video, str(refusal.reason), str(refusal))], []
    found = {"pieces": pieces, "clips": clips}
    store.put_json(f"{part}.json", found)
    return found
