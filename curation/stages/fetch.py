"""fetch: media of kept pairs to the ledger and tar shards. One unit per list of planned media (see fetch_plan).

What is stored is keyed by its media and the settings that its bytes depend on. A further selection, a stopped run or a
lost worker asks hosts only for what is not there yet; a later run asks once more for what failed for passing reasons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from curation.errors import StageError
from curation.media.fetching import fetch_all
from curation.media.journal import Journal, Row
from curation.media.keeping import Keeper
from curation.media.outcomes import FetchRequest, FetchStormError
from curation.media.shards import Sample, sidecar, write_shard
from curation.recipe import Fetch as FetchSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import (
    FileEntry,
    HashingFile,
    Unit,
    UnitWriter,
    digest,
    report_name,
    reports_folder,
    stored_report,
)
from curation.schemas import KEPT_PAIRS, MEDIA, MEDIA_SHARDS
from curation.stages.fetch_plan import JOURNALS, LIST, BucketPlanner, PlannedList, plan_buckets
from curation.storage import Store

TARS = "tars"
_HALTS = "_runs/fetch/halts"
_READERS = 32
_ROWS = 1000
_CONSENT = ("refuse", "agents")
"""Settings of the network that decide what is fetched; all others, how."""


class Fetch(UnitStage):
    """Asks for every kept media once, keeps what it gives, and says of every one what became of it."""

    name = "fetch"
    about = "fetch, decode and store the media of the kept pairs"
    after = ("balance",)
    outputs = (MEDIA, MEDIA_SHARDS)
    laws = (
        Law(("planned_media",), ("rows:media",)),
        Law(("rows:media",), ("ok", "failed:*")),
        Law(("ok",), ("shard_samples",)),
    )
    once = True

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return _section(recipe).model_dump()

    def prepare(self, planning: Planning) -> dict[str, Any]:
        return {"kind": self._kind(planning.settings)}

    def _kind(self, settings: dict[str, Any]) -> str:
        """Digest of what the stored media and the verdicts depend on; a changed time limit is no reason to ask anew."""
        consent = {name: settings["network"][name] for name in _CONSENT}
        return self.identity(settings["image"], consent, settings["network"]["max_bytes"])[:16]

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        section = FetchSection.model_validate(planning.settings)
        finished = planning.store.names(reports_folder(self.name))
        begun = planning.store.names(JOURNALS)
        planner = BucketPlanner(
            planning.store,
            context["kind"],
            tuple(sorted(section.modalities)),
            section.shard_media,
            frozenset(name.split(".")[0] for name in finished | begun),
        )
        kept = {
            bucket: (digest(report.content(KEPT_PAIRS.name)), report.paths(KEPT_PAIRS.name))
            for bucket, report in planning.inputs["balance"].reports.items()
        }
        lists = plan_buckets(planning.store, planner, kept, planning.require_engine)
        with ThreadPoolExecutor(_READERS) as readers:
            return list(readers.map(lambda entry: self._unit(entry, planning.store, section, finished), lists))

    def _unit(self, entry: PlannedList, store: Store, section: FetchSection, finished: set[str]) -> Unit:
        """The unit of a list: its last round that is done, or the one to do next."""
        *done, following = self._rounds(entry, finished)
        if not done:
            return following
        report, first = (stored_report(store, self.name, unit) for unit in (done[-1], done[0]))
        if report is None or first is None:
            return done[-1]
        age = datetime.now(UTC) - datetime.fromisoformat(first.finished_at)
        if report.counts.get("transient", 0) and age < timedelta(days=section.retry_days):
            return following
        return done[-1]

    def _rounds(self, entry: PlannedList, finished: set[str]) -> Iterator[Unit]:
        """The rounds of a list, up to the first that is not done."""
        number, is_done = 0, True
        while is_done:
            unit = Unit(entry.name, {"list": entry.path, "round": number}, self.identity(entry.name, number))
            yield unit
            is_done = report_name(unit) in finished
            number += 1

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        section = FetchSection.model_validate(task.settings)
        media = {row["media_id"]: row for row in task.store.table([unit.inputs["list"]], LIST).to_pylist()}
        earlier = self._earlier(unit, task.store, writer)
        writer.counts["planned_media"] += len(media)
        final = {media_id: row for media_id, row in earlier.items() if not row["transient"]}
        with Journal(task.store, _journal(unit), task.run) as journal:
            asked = [
                FetchRequest(media_id, row["media_url"])
                for media_id, row in media.items()
                if media_id not in final and not _is_settled(journal, media_id, task.run)
            ]
            self._fetch(asked, media, journal, task, section)
            if journal.rows.keys() | final.keys() != media.keys():
                raise StageError(f"{unit.name}: a media was neither fetched nor refused: please report it")
            for media_id, row in journal.rows.items():
                row["attempts"] += earlier[media_id]["attempts"] if media_id in earlier else 0
            _store(unit, journal, task.store, writer)
            rows = {**final, **journal.rows}
            _write_rows([rows[media_id] for media_id in sorted(rows)], writer)

    def _earlier(self, unit: Unit, store: Store, writer: UnitWriter) -> dict[str, Row]:
        """Rows of the round before, whose shards stay part of the unit."""
        if unit.inputs["round"] == 0:
            return {}
        last = Unit(unit.name, {}, self.identity(unit.name, unit.inputs["round"] - 1))
        report = stored_report(store, self.name, last)
        if report is None:
            raise StageError(f"{unit.name}: the report of its last round is damaged: run again with fetch.retry_days=0")
        writer.others[TARS] = list(report.files.get(TARS, []))
        for batch in store.batches(report.paths(MEDIA_SHARDS.name)):
            writer.counts["shard_samples"] += sum(batch.column("samples").to_pylist())
            writer.write(MEDIA_SHARDS, batch)
        rows = store.table(report.paths(MEDIA.name), MEDIA.schema)
        return {row["media_id"]: row for row in rows.to_pylist()}

    def _fetch(
        self, asked: list[FetchRequest], media: dict[str, Row], journal: Journal, task: Task, section: FetchSection
    ) -> None:
        """Asks for what is left of a unit; whatever happens, what came is in the journal."""
        halt = f"{_HALTS}/{task.run}.json"
        if (told := task.store.read_json(halt)) is not None:
            raise StageError(told)
        with Keeper(section.image, media, journal) as keeper:
            try:
                fetch_all(
                    asked,
                    section.network.shared(task.tasks),
                    on_done=keeper.take,
                    deadline_s=section.shard_seconds,
                )
            except FetchStormError as storm:
                task.store.put_json(halt, str(storm))
                raise

    def committed(self, unit: Unit, task: Task) -> None:
        task.store.remove_tree(_journal(unit))


def _section(recipe: Recipe) -> FetchSection:
    if recipe.fetch is None:
        raise StageError("the recipe has no section fetch: add one, e.g. fetch: {}")
    return recipe.fetch


def _journal(unit: Unit) -> str:
    return f"{JOURNALS}/{unit.name}.{unit.inputs['round']}"


def _is_settled(journal: Journal, media_id: str, run: str) -> bool:
    """Whether a stopped attempt got to an end with it: an earlier run's passing failures are tried once more."""
    row = journal.rows.get(media_id)
    return row is not None and (not row["transient"] or journal.runs[media_id] == run)


def _store(unit: Unit, journal: Journal, store: Store, writer: UnitWriter) -> None:
    """The unit's images as a shard, by media_id. Its name follows from its content: twice is once."""
    rows = [row for row in journal if row["status"] == "ok"]
    if not rows:
        return
    content = digest([(row["media_id"], row["stored_sha256"]) for row in rows])[:12]
    path = f"{MEDIA.name}/{TARS}/{unit.name}-{unit.inputs['round']}-{content}.tar"
    with store.whole(path) as file:
        sha256 = hashlib.sha256()
        sink = HashingFile(file, sha256.update)
        members = write_shard(sink, (_sample(row, journal) for row in rows))
    found = {member.key: member for member in members if member.ext != "json"}
    for row in rows:
        member = found[row["media_id"]]
        row["path"], row["offset"], row["size_bytes"] = path, member.offset, member.size_bytes
    writer.others.setdefault(TARS, []).append(FileEntry(path, len(rows), sink.size, sink.hexdigest()))
    shard = {"path": path, "samples": len(rows), "size_bytes": sink.size, "sha256": sha256.hexdigest()}
    writer.counts["shard_samples"] += len(rows)
    writer.write(MEDIA_SHARDS, pa.RecordBatch.from_pylist([shard], schema=MEDIA_SHARDS.schema))


_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}


def _sample(row: Row, journal: Journal) -> Sample:
    columns = {name: row[name] for name in ("width", "height", "original_width", "original_height", "exif", "sha256")}
    facts = sidecar({"url": row["media_url"], "key": row["media_id"], "status": "success", **columns})
    data = journal.data(row["media_id"])
    if data is None:
        raise StageError(f"the bytes of {row['media_id']} are gone: please report it")
    subtype = (row["stored_mime"] or "").partition("/")[2].partition("+")[0]
    return Sample(row["media_id"], {_EXTENSIONS.get(row["stored_mime"], subtype or "bin"): data, "json": facts})


def _write_rows(rows: list[Row], writer: UnitWriter) -> None:
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        writer.write(MEDIA, pa.RecordBatch.from_pylist(part, schema=MEDIA.schema))
    for row in rows:
        writer.counts["ok" if row["status"] == "ok" else f"failed:{row['error']}"] += 1
        writer.counts["transient"] += row["transient"]
