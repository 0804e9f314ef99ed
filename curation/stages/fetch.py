"""fetch: media of kept pairs to the ledger and tar shards. One unit per list of planned media (see fetch_plan).

What is stored is keyed by its media and the settings that its bytes depend on. A further selection, a stopped run or a
lost worker asks hosts only for what is not there yet; a later run asks once more for what failed for passing reasons.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import fsspec
import pyarrow as pa

from curation.errors import StageError
from curation.media.fetching import fetch_all
from curation.media.hooks import loaded_hooks
from curation.media.journal import Journal, Row
from curation.media.keeping import Keeper, refused_row
from curation.media.outcomes import ErrorClass, FetchRequest, FetchStormError
from curation.media.refusals import LISTED, OPTED_OUT, Refusals, Tombstones, loaded_refusals
from curation.media.shards import Sample, sidecar, write_shard
from curation.recipe import Fetch as FetchSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import (
    FileEntry,
    HashingFile,
    Unit,
    UnitReport,
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
_AGREED = "_runs/fetch/refusals/agreed.json"
"""Which finished units were held against which lists and tombstones, and need not be read for that again."""
_READERS = 32
_ROWS = 1000
_CONSENT = ("refuse", "agents")
"""Settings of the network that decide what is fetched; all others, how."""
_REACH = ("hosts", "mirror", "allow_private_addresses", "allowed_networks", "verify_tls", "max_redirects")
_UNREACHED = frozenset(map(str, (ErrorClass.TLS, ErrorClass.REFUSED_ADDRESS, ErrorClass.REDIRECT_LOOP)))
"""Errors that other settings of _REACH might not have made."""


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
        section = FetchSection.model_validate(planning.settings)
        refusals = Refusals(section.opt_out, Tombstones.read(planning.store))
        checked = bool(refusals) or planning.store.read_json(_AGREED) is not None
        kind = self._kind(planning.settings, planning.recipe.pairs.media_buckets)
        return {"kind": kind, "refusals": refusals.fingerprint if checked else None}

    def _kind(self, settings: dict[str, Any], buckets: int) -> str:
        """Digest of what the stored media and the verdicts depend on; a changed time limit is no reason to ask anew."""
        consent = {name: settings["network"][name] for name in _CONSENT}
        limits = settings["network"]["max_bytes"], buckets
        return self.identity(settings["image"], settings["hooks"], consent, *limits)[:16]

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
            known = list(readers.map(lambda entry: self._known(entry, planning.store, section, finished), lists))
        outdated = _outdated(planning, context, [each for each in known if each.report is not None])
        return [each.following if each.unit.name in outdated else each.unit for each in known]

    def _known(self, entry: PlannedList, store: Store, section: FetchSection, finished: set[str]) -> _Known:
        """The unit of a list: its last round that is done, or the one to do next."""
        *done, following = self._rounds(entry, finished)
        if not done:
            return _Known(following, following, None)
        report = stored_report(store, self.name, done[-1])
        first = report if len(done) == 1 else stored_report(store, self.name, done[0])
        if report is None or first is None:
            return _Known(done[-1], following, None)
        age = datetime.now(UTC) - datetime.fromisoformat(first.finished_at)
        passing = report.counts.get("transient", 0) and age < timedelta(days=section.retry_days)
        unreached = any(report.counts.get(f"failed:{error}", 0) for error in _UNREACHED)
        if passing or (unreached and report.facts.get("reach") != _reach(section)):
            return _Known(following, following, None)
        return _Known(done[-1], following, report)

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
        report = self._last_report(unit, task.store)
        earlier = {} if report is None else ledger_rows(report, task.store)
        writer.counts["planned_media"] += len(media)
        refusals = loaded_refusals(task.store, section.opt_out.model_dump_json(), task.context["refusals"])
        refused = _refused([earlier.get(media_id, row) for media_id, row in media.items()], refusals)
        writer.facts["reach"] = _reach(section)
        again = report is not None and report.facts.get("reach") != writer.facts["reach"]
        final = {
            media_id: row
            for media_id, row in earlier.items()
            if media_id not in refused and _is_final(row) and not (again and row["error"] in _UNREACHED)
        }
        if report is not None:
            keep_shards(report, list(final.values()), task.store, writer)
        with Journal(task.store, _journal(unit), task.run) as journal:
            settled = final.keys() | refused.keys()
            asked = [
                FetchRequest(media_id, row["media_url"])
                for media_id, row in media.items()
                if media_id not in settled and not _is_settled(journal, media_id, task.run)
            ]
            self._fetch(asked, media, journal, task, refusals)
            fetched = [row for row in journal if row["media_id"] not in settled]
            if {row["media_id"] for row in fetched} | settled != media.keys():
                raise StageError(f"{unit.name}: a media was neither fetched nor refused: please report it")
            for row in fetched:
                row["attempts"] += earlier[row["media_id"]]["attempts"] if row["media_id"] in earlier else 0
            new = f"{MEDIA.name}/{TARS}/{unit.name}-{unit.inputs['round']}"
            write_shard_of([row for row in fetched if row["status"] == "ok"], new, journal.data, task.store, writer)
        rows = {**final, **refused, **{row["media_id"]: row for row in fetched}}
        write_rows([rows[media_id] for media_id in sorted(rows)], writer)

    def _last_report(self, unit: Unit, store: Store) -> UnitReport | None:
        """That of the round before; None where there was none, or it is damaged, so that all is asked for again."""
        if unit.inputs["round"] == 0:
            return None
        return stored_report(store, self.name, Unit(unit.name, {}, self.identity(unit.name, unit.inputs["round"] - 1)))

    def _fetch(
        self, asked: list[FetchRequest], media: dict[str, Row], journal: Journal, task: Task, refusals: Refusals
    ) -> None:
        """Asks for what is left of a unit; whatever happens, what came is in the journal."""
        from curation.media.images import ImageProcessor  # img2dataset takes two seconds, which no command should

        section = FetchSection.model_validate(task.settings)
        halt = f"{_HALTS}/{task.run}.json"
        if (told := task.store.read_json(halt)) is not None:
            raise StageError(told)
        hooks = loaded_hooks(json.dumps(task.settings["hooks"]))
        processor = ImageProcessor(section.image, hooks, refusals.hash_lists)
        storm: FetchStormError | None = None
        with Keeper(processor, media, journal, refusals) as keeper:
            try:
                fetch_all(
                    asked,
                    section.network.shared(task.tasks),
                    on_done=keeper.take,
                    deadline_s=section.shard_seconds,
                    ready=lambda: task.check_claim() or keeper.ready(),
                    may_follow=refusals.may_ask,
                )
            except FetchStormError as error:
                storm = error
                task.store.put_json(halt, str(storm))
        if storm is not None:
            _pass_over(storm.error, journal, task.run)
            raise storm

    def committed(self, unit: Unit, task: Task) -> None:
        task.store.remove_tree(_journal(unit))


def _section(recipe: Recipe) -> FetchSection:
    if recipe.fetch is None:
        raise StageError("the recipe has no section fetch: add one, e.g. fetch: {}")
    return recipe.fetch


def _journal(unit: Unit) -> str:
    return f"{JOURNALS}/{unit.name}.{unit.inputs['round']}"


def _pass_over(error: ErrorClass, journal: Journal, run: str) -> None:
    """What a storm made of media says nothing about them: the next run asks for them."""
    for media_id in [media_id for media_id, row in journal.rows.items() if row["error"] == error]:
        if journal.runs[media_id] == run:
            journal.add({**journal.rows[media_id], "transient": True}, None)
    journal.flush()


def _is_settled(journal: Journal, media_id: str, run: str) -> bool:
    """Whether a stopped attempt got to an end with it: an earlier run's passing failures are tried once more."""
    row = journal.rows.get(media_id)
    return row is not None and (not row["transient"] or journal.runs[media_id] == run)


@dataclass(frozen=True)
class _Known:
    """The unit of a list as far as it is known; report: where it is done and stays, unless it is outdated."""

    unit: Unit
    following: Unit
    report: UnitReport | None


@dataclass(frozen=True)
class _Disagreement:
    """Whether the ledger of a unit, on a worker, is not what the lists and tombstones of now say."""

    store: Store
    opt_out: str
    fingerprint: str

    def __call__(self, paths: list[str]) -> bool:
        refusals = loaded_refusals(self.store, self.opt_out, self.fingerprint)
        columns = ["media_id", "media_url", "final_url", "sha256", "phash", "error"]
        return any(refusals.disagrees(batch.to_pylist()) for batch in self.store.batches(paths, columns))


def _outdated(planning: Planning, context: dict[str, Any], known: Sequence[_Known]) -> set[str]:
    """Names of units that keep what is refused by now, or refused what no longer is."""
    if context["refusals"] is None:
        return set()
    told = planning.store.read_json(_AGREED)
    agreed = set(told["units"]) if told is not None and told["fingerprint"] == context["refusals"] else set()
    unsure = [each for each in known if report_name(each.unit) not in agreed]
    opt_out = FetchSection.model_validate(planning.settings).opt_out.model_dump_json()
    check = _Disagreement(planning.store, opt_out, context["refusals"])
    paths = [each.report.paths(MEDIA.name) for each in unsure if each.report is not None]
    found = planning.require_engine().map(check, paths) if paths else []
    outdated = {each.unit.name for each, differs in zip(unsure, found, strict=True) if differs}
    units = sorted(report_name(each.unit) for each in known if each.unit.name not in outdated)
    now = {"fingerprint": context["refusals"], "units": units}
    if now != told:
        planning.store.put_json(_AGREED, now)
    return outdated


def _refused(rows: list[Row], refusals: Refusals) -> dict[str, Row]:
    """By media_id the rows that are refused, as they are from now on. rows: of the ledger, or of the plan."""
    errors = zip(rows, refusals.of(rows), strict=True)
    return {row["media_id"]: refused_row(row, error) for row, error in errors if error is not None}


def _reach(section: FetchSection) -> str:
    return digest(section.network.model_dump(include=set(_REACH)))


def _is_final(row: Row) -> bool:
    """Whether a media is not asked for again; the lists that a row speaks of no longer hold it."""
    return not row["transient"] and row["error"] not in (OPTED_OUT, LISTED)


def ledger_rows(report: UnitReport, store: Store) -> dict[str, Row]:
    """A unit's rows of the ledger by media_id."""
    return {row["media_id"]: row for row in store.table(report.paths(MEDIA.name), MEDIA.schema).to_pylist()}


def keep_shards(report: UnitReport, rows: list[Row], store: Store, writer: UnitWriter) -> None:
    """Takes over a unit's shards, with those of their samples alone that some rows of the ledger are about.

    A shard of which less is left is written anew, and the rows told so; the old one stays for who refers to it.
    """
    own: dict[str, list[Row]] = {}
    for row in rows:
        own.setdefault(row["path"], []).append(row)
    told = store.table(report.paths(MEDIA_SHARDS.name), MEDIA_SHARDS.schema).to_pylist()
    entries = {entry.path: entry for entry in report.files.get(TARS, [])}
    for shard in told:
        left = sorted(own.get(shard["path"], []), key=lambda row: row["media_id"])
        if len(left) == shard["samples"]:
            _add_shard(entries[shard["path"]], shard, writer)
            continue
        with fsspec.open(store.url(shard["path"]), "rb") as tar:
            places = {row["media_id"]: (row["offset"], row["size_bytes"]) for row in left}

            def data(media_id: str, tar: Any = tar, places: dict[str, tuple[int, int]] = places) -> bytes:
                tar.seek(places[media_id][0])
                return bytes(tar.read(places[media_id][1]))

            write_shard_of(left, shard["path"].rpartition("-")[0], data, store, writer)


def write_shard_of(
    rows: list[Row], name: str, data: Callable[[str], bytes | None], store: Store, writer: UnitWriter
) -> None:
    """Rows with bytes, by media_id, as a shard; they are told where they lie. Its name ends in its content's digest:
    twice is once. data: media_id -> bytes.
    """
    if not rows:
        return
    content = digest([(row["media_id"], row["stored_sha256"]) for row in rows])[:12]
    path = f"{name}-{content}.tar"
    with store.whole(path) as file:
        sha256 = hashlib.sha256()
        sink = HashingFile(file, sha256.update)
        members = write_shard(sink, (_sample(row, data(row["media_id"])) for row in rows))
    found = {member.key: member for member in members if member.ext != "json"}
    for row in rows:
        member = found[row["media_id"]]
        row["path"], row["offset"], row["size_bytes"] = path, member.offset, member.size_bytes
    shard = {"path": path, "samples": len(rows), "size_bytes": sink.size, "sha256": sha256.hexdigest()}
    _add_shard(FileEntry(path, len(rows), sink.size, sink.hexdigest()), shard, writer)


def _add_shard(entry: FileEntry, shard: Row, writer: UnitWriter) -> None:
    writer.others.setdefault(TARS, []).append(entry)
    writer.counts["shard_samples"] += shard["samples"]
    writer.write(MEDIA_SHARDS, pa.RecordBatch.from_pylist([shard], schema=MEDIA_SHARDS.schema))


_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}


def _sample(row: Row, data: bytes | None) -> Sample:
    columns = {name: row[name] for name in ("width", "height", "original_width", "original_height", "exif", "sha256")}
    facts = sidecar({"url": row["media_url"], "key": row["media_id"], "status": "success", **columns})
    if data is None:
        raise StageError(f"the bytes of {row['media_id']} are gone: please report it")
    subtype = (row["stored_mime"] or "").partition("/")[2].partition("+")[0]
    return Sample(row["media_id"], {_EXTENSIONS.get(row["stored_mime"], subtype or "bin"): data, "json": facts})


def write_rows(rows: list[Row], writer: UnitWriter) -> None:
    """Rows of the ledger, and the counts of what became of them."""
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        writer.write(MEDIA, pa.RecordBatch.from_pylist(part, schema=MEDIA.schema))
    for row in rows:
        writer.counts["ok" if row["status"] == "ok" else f"failed:{row['error']}"] += 1
        writer.counts["transient"] += row["transient"]
