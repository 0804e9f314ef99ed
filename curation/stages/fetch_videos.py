"""fetch, videos: transferred to this machine's disk, probed, and put into the work folder, one file each.

A video's file is too large for a shard that is written in one go, and may go once its clips are cut: so it lies by
itself, and the ledger points to it as to any other bytes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.digests import digest
from curation.media.journal import Journal, Row
from curation.media.keeping import failed_row, refused_row
from curation.media.outcomes import FetchRequest
from curation.media.refusals import Refusals
from curation.media.video.facts import VideoFacts
from curation.recipe import Fetch as FetchSection
from curation.runner.stage import Task
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import MEDIA, VIDEOS
from curation.stages.buckets import conformed
from curation.stages.video_sources import Sources, wanted_kind
from curation.stages.video_units import Attempts, private_folder
from curation.storage import Store

if TYPE_CHECKING:
    from curation.media.video.info import VideoInfo

FOLDER = f"{MEDIA.name}/videos"
_PART_BYTES = 1 << 20
_SAID = (
    *("title", "description", "licence", "uploader", "upload_date", "language", "platform_id", "webpage_url"),
    *("view_count", "like_count", "age_limit"),
)


def keep_videos(report: UnitReport, rows: list[Row], store: Store, writer: UnitWriter) -> None:
    """Takes over what a unit told of the videos of some rows of its ledger."""
    kept = pa.array([row["media_id"] for row in rows if row["status"] == "ok"], pa.string())
    for batch in store.batches(report.paths(VIDEOS.name)):
        told = batch.filter(pc.is_in(batch.column("media_id"), value_set=kept))
        schema = writer.schema(VIDEOS)
        columns = {name: told.column(name) for name in schema.names}
        writer.write(VIDEOS, conformed(columns, schema))


@dataclass(frozen=True)
class VideoFetching:
    """How the videos of a unit are asked for, and where they are kept."""

    unit: Unit
    task: Task
    section: FetchSection

    def fetch(
        self, asked: list[FetchRequest], media: dict[str, Row], journal: Journal, refusals: Refusals,
        ready: Callable[[], bool],
    ) -> None:  # fmt: skip
        """Raises FetchStormError; whatever happens, what came is in the journal."""
        # yt-dlp and PyAV's libraries: only where videos are
        from curation.captions.timed_text.embedded import EmbeddedTrack, embedded_tracks
        from curation.media.video.downloads import fetch_videos
        from curation.media.video.probe import MAX_PIXELS, probe
        from curation.media.video.transfer import VideoRules

        attempts = self._attempts()

        def judge(path: Path, deadline: float) -> VideoFacts:
            with attempts.at(path.name):
                return probe(path, max_pixels=MAX_PIXELS, deadline=deadline)

        def texts(path: Path, deadline: float) -> list[EmbeddedTrack]:
            with attempts.at(f"{path.name}.texts"):  # what ends processes here, ends no video
                return embedded_tracks(path, deadline=deadline)

        def keep(outcome: Any) -> None:
            row, facts = self._kept(outcome, media[outcome.media_id], refusals)
            journal.add(row, facts)
            journal.flush()
            if outcome.path is not None:
                outcome.path.unlink(missing_ok=True)

        network = self.section.network.shared(self.task.tasks)
        rules = VideoRules(network, self.section.video, self._folder(), judge, refusals.may_ask, texts)
        fetch_videos(asked, rules, on_done=keep, deadline_s=self.section.shard_seconds, ready=ready)

    def _attempts(self) -> Attempts:
        return Attempts(self.task.store, "fetch", self.unit)

    def _folder(self) -> Path:
        """Where transfers lie until they are whole: the same for every attempt on this machine, to go on with them."""
        name = digest(self.task.store.root, self.unit.name)[:24]
        folder = private_folder("transfers") / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _kept(self, outcome: Any, media: Row, refusals: Refusals) -> tuple[Row, bytes | None]:
        """The row of an outcome, and what else is to be remembered of it; its file is in the work folder by then."""
        row = failed_row(media, outcome)
        if row["final_url"] is not None and (error := refusals.of_urls([row])[0]) is not None:
            return refused_row(row, error), None
        if outcome.status == "failed":
            return row, None
        facts, info = outcome.facts, outcome.info
        row |= {
            "fetched_bytes": outcome.size_bytes,
            "sha256": outcome.sha256,
            "mime": _mime(facts, outcome.path.suffix),
            "original_width": facts.width,
            "original_height": facts.height,
        }
        if (error := refusals.of_bytes(row)) is not None:
            return refused_row(row, error), None
        path = f"{FOLDER}/{self.unit.name}/{row['media_id']}-{outcome.sha256[:12]}{outcome.path.suffix}"
        with outcome.path.open("rb") as source, self.task.store.whole(path) as target:
            shutil.copyfileobj(source, target, _PART_BYTES)
        row |= {
            "path": path,
            "offset": 0,
            "size_bytes": outcome.size_bytes,
            "stored_sha256": outcome.sha256,
            "stored_mime": row["mime"],
            "width": facts.width,
            "height": facts.height,
        }
        return row, json.dumps(_told(facts, info, media)).encode()

    def still_there(self, rows: dict[str, Row]) -> dict[str, Row]:
        """Rows of an earlier round, without videos that have to be fetched again."""
        sources, wanted = Sources(self.task.store, self.unit.name), self._wanted()
        return {
            media_id: row
            for media_id, row in rows.items()
            if row["status"] != "ok"
            or not sources.is_missed(media_id, wanted)
            or self.task.store.size(row["path"]) is not None
        }

    def _wanted(self) -> str:
        return wanted_kind(self.section, self.task.context["clips"])

    def keep(self, report: UnitReport, rows: list[Row], writer: UnitWriter) -> None:
        """Takes over what an earlier round stored of some rows."""
        keep_videos(report, rows, self.task.store, writer)

    def store(self, rows: list[Row], journal: Journal, writer: UnitWriter) -> None:
        """What this round got is in the work folder already."""
        for row in rows:
            told = json.loads(journal.data(row["media_id"]) or b"")
            writer.write(VIDEOS, pa.RecordBatch.from_pylist([told], schema=VIDEOS.schema))

    def refuse(self, rows: list[Row]) -> None:
        """Removes the files of what is refused by now."""
        for row in rows:
            if row["status"] == "ok":
                self.task.store.remove(row["path"])

    def committed(self) -> None:
        self._attempts().end()
        Sources(self.task.store, self.unit.name).fetched(self._wanted())
        with suppress(OSError):  # what is left are parts of videos that a later round goes on with
            self._folder().rmdir()


_MIMES = {
    "mpegts": "video/mp2t", "ogg": "video/ogg", "avi": "video/x-msvideo", "flv": "video/x-flv", "gif": "image/gif"
}  # fmt: skip
_OF_WEBM = frozenset(("vp8", "vp9", "av1", "vorbis", "opus", None))


def _mime(facts: VideoFacts, suffix: str) -> str:
    """By content; of containers of one format, by the codecs, or the suffix."""
    name = facts.container.partition(",")[0]
    if name == "mov":
        return "video/quicktime" if suffix == ".mov" else "video/mp4"
    if name == "matroska":
        is_webm = {facts.video_codec, facts.audio_codec} <= _OF_WEBM
        return "video/webm" if is_webm else "video/x-matroska"
    return _MIMES.get(name, f"video/x-{name}")


def _told(facts: VideoFacts, info: VideoInfo, media: Row) -> Row:
    """The row of `videos`."""
    said = {name: getattr(info, name) for name in _SAID}
    return {
        **{name: media[name] for name in ("media_id", "media_bucket")},
        **asdict(facts),
        **said,
        **{name: list(getattr(info, name)) for name in ("tags", "categories", "missing_subtitles")},
        "platform": info.platform or "direct",
        "chapters": [dict(zip(("start_ms", "end_ms", "title"), chapter, strict=True)) for chapter in info.chapters],
        "subtitles": [
            {"lang": each.language, **{name: getattr(each, name) for name in ("kind", "automatic", "format", "text")}}
            for each in info.subtitles
        ],
    }
