"""fetch: media of kept pairs to the ledger and tar shards. One unit per list of planned media (see fetch_plan).

What is stored is keyed by its media and the settings that its bytes depend on. A further selection, a stopped run or a
lost worker asks hosts only for what is not there yet; a later run asks once more for what failed for passing reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from curation.digests import digest
from curation.errors import StageError
from curation.media.journal import Journal, Row
from curation.media.keeping import refused_row
from curation.media.outcomes import ErrorClass, FetchRequest, FetchStormError, TextTrack
from curation.media.refusals import LISTED, OPTED_OUT, Refusals, Tombstones, loaded_refusals
from curation.recipe import Fetch as FetchSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitReport, UnitWriter, report_name, reports_folder, stored_report
from curation.schemas import KEPT_PAIRS, MEDIA, MEDIA_SHARDS, VIDEOS
from curation.stages.clip_settings import clips_kind
from curation.stages.fetch_images import ImageFetching
from curation.stages.fetch_plan import JOURNALS, LIST, BucketPlanner, PlannedList, plan_buckets
from curation.stages.fetch_videos import VideoFetching
from curation.stages.ledger import ledger_rows, write_rows
from curation.stages.video_sources import Sources, told_units, wanted_kind
from curation.storage import Store

_HALTS = "_runs/fetch/halts"
_AGREED = "_runs/fetch/refusals/agreed.json"
"""Which finished units were held against which lists and tombstones, and need not be read for that again."""
_READERS = 32
_CONSENT = ("refuse", "agents")
"""Settings of the network that decide what is fetched; all others, how."""
_VIDEO_LIMITS = {"max_bytes", "max_duration_s"}
_VIDEO_HOW = {"concurrency", "total_timeout_s", "page_bytes", "segment_bytes", "keep_source", *_VIDEO_LIMITS}
_BEYOND = frozenset((str(ErrorClass.TOO_LARGE), "too_long"))
_WITHDRAWN = (ErrorClass.ROBOTS, ErrorClass.REFUSED)
_REACH = ("hosts", "mirror", "allow_private_addresses", "allowed_networks", "verify_tls", "max_redirects")
_UNREACHED = frozenset(map(str, (ErrorClass.TLS, ErrorClass.REFUSED_ADDRESS, ErrorClass.REDIRECT_LOOP)))
"""Errors that other settings of _REACH might not have made."""


Fetching = ImageFetching | VideoFetching
_FETCHING: dict[str, type[Fetching]] = {"image": ImageFetching, "video": VideoFetching}


class Fetch(UnitStage):
    """Asks for every kept media once, keeps what it gives, and says of every one what became of it."""

    name = "fetch"
    about = "fetch, decode and store the media of the kept pairs"
    after = ("balance",)
    outputs = (MEDIA, MEDIA_SHARDS, VIDEOS)
    laws = (
        Law(("planned_media",), ("rows:media",)),
        Law(("rows:media",), ("ok", "failed:*")),
        Law(("ok",), ("shard_samples", "rows:videos")),
    )
    once = True

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return _section(recipe).model_dump()

    def prepare(self, planning: Planning) -> dict[str, Any]:
        section = FetchSection.model_validate(planning.settings)
        refusals = Refusals(section.opt_out, Tombstones.read(planning.store))
        checked = bool(refusals) or planning.store.read_json(_AGREED) is not None
        buckets = planning.recipe.pairs.media_buckets
        return {
            "kinds": {modality: self._kind(modality, section, buckets) for modality in sorted(section.modalities)},
            "clips": clips_kind(planning.recipe),
            "refusals": refusals.fingerprint if checked else None,
        }

    def _kind(self, modality: str, section: FetchSection, buckets: int) -> str:
        """Digest of what the stored media and the verdicts depend on; a changed time limit is no reason to ask anew."""
        settings = section.model_dump()
        consent = {name: settings["network"][name] for name in _CONSENT}
        if modality == "video":
            video = section.video.model_dump(exclude=_VIDEO_HOW)
            return self.identity(modality, video, consent, buckets)[:16]
        limits = settings["network"]["max_bytes"], buckets
        return self.identity(settings["image"], settings["hooks"], consent, *limits)[:16]

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        section = FetchSection.model_validate(planning.settings)
        finished = planning.store.names(reports_folder(self.name))
        begun = planning.store.names(JOURNALS)
        known_lists = frozenset(name.split(".")[0] for name in finished | begun)
        kept = {
            bucket: (digest(report.content(KEPT_PAIRS.name)), report.paths(KEPT_PAIRS.name))
            for bucket, report in planning.inputs["balance"].reports.items()
        }
        known: list[_Known] = []
        told = told_units(planning.store)
        for modality, kind in context["kinds"].items():
            first = ("video",) if modality == "image" and "video" in context["kinds"] else ()
            size = section.shard_videos if modality == "video" else section.shard_media
            languages = tuple(section.video.subtitles) if modality == "video" else None
            planner = BucketPlanner(planning.store, kind, modality, first, size, known_lists, languages)
            lists = plan_buckets(planning.store, planner, kept, planning.require_engine)
            rounds = [list(self._rounds(entry, modality, finished)) for entry in lists]
            wanted = wanted_kind(section, context["clips"])
            look = partial(self._known, store=planning.store, section=section, told=told, wanted=wanted)
            with ThreadPoolExecutor(_READERS) as readers:
                known += readers.map(look, rounds)
        outdated = _outdated(planning, context, [each for each in known if each.report is not None])
        return [each.following if each.unit.name in outdated else each.unit for each in known]

    def _known(self, rounds: list[Unit], store: Store, section: FetchSection, told: set[str], wanted: str) -> _Known:
        """The unit of a list: its last round that is done, or the one to do next."""
        *done, following = rounds
        modality = following.inputs["modality"]
        if not done:
            return _Known(following, following, None)
        report = stored_report(store, self.name, done[-1])
        first = report if len(done) == 1 else stored_report(store, self.name, done[0])
        if report is None or first is None:
            return _Known(done[-1], following, None)
        age = datetime.now(UTC) - datetime.fromisoformat(first.finished_at)
        passing = report.counts.get("transient", 0) and age < timedelta(days=section.retry_days)
        unreached = any(report.counts.get(f"failed:{error}", 0) for error in _unreached(modality))
        if passing or (unreached and report.facts.get("reach") != _reach(section, modality)):
            return _Known(following, following, None)
        if following.name in told and Sources(store, following.name).are_missed(wanted):
            missing = Unit(following.name, {**following.inputs, "sources": "removed"}, following.identity)
            return _Known(missing, missing, None)
        return _Known(done[-1], following, report)

    def _rounds(self, entry: PlannedList, modality: str, finished: set[str]) -> Iterator[Unit]:
        """The rounds of a list, up to the first that is not done."""
        number, is_done = 0, True
        while is_done:
            inputs = {"list": entry.path, "round": number, "modality": modality}
            unit = Unit(entry.name, inputs, self.identity(entry.name, number))
            yield unit
            is_done = report_name(unit) in finished
            number += 1

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        fetching, section = _fetching(unit, task), FetchSection.model_validate(task.settings)
        media, tracks = _planned(unit, task.store)
        report = self._last_report(unit, task.store)
        earlier = {} if report is None else ledger_rows(report, task.store)
        writer.counts["planned_media"] += len(media)
        refusals = loaded_refusals(task.store, section.opt_out.model_dump_json(), task.context["refusals"])
        refused = _refused([earlier.get(media_id, row) for media_id, row in media.items()], refusals)
        modality = unit.inputs["modality"]
        writer.facts["reach"] = _reach(section, modality)
        again = report is not None and report.facts.get("reach") != writer.facts["reach"]
        final = {
            media_id: row
            for media_id, row in earlier.items()
            if media_id not in refused and _is_final(row) and not (again and row["error"] in _unreached(modality))
        }
        final, sought = fetching.still_there(final), final
        if report is not None:
            fetching.keep(report, list(final.values()), writer)
        with Journal(task.store, _journal(unit), task.run) as journal:
            settled = final.keys() | refused.keys()
            asked = [
                FetchRequest(media_id, row["media_url"], tracks[media_id])
                for media_id, row in media.items()
                if media_id not in settled and not _is_settled(journal, media_id, task.run)
            ]
            _fetch(fetching, asked, media, journal, refusals)
            fetched = [row for row in journal if row["media_id"] not in settled]
            if {row["media_id"] for row in fetched} | settled != media.keys():
                raise StageError(f"{unit.name}: a media was neither fetched nor refused: please report it")
            for row in fetched:
                row["attempts"] += earlier[row["media_id"]]["attempts"] if row["media_id"] in earlier else 0
            new = [row for row in fetched if row["media_id"] not in sought or row["error"] in (None, *_WITHDRAWN)]
            fetching.store([row for row in new if row["status"] == "ok"], journal, writer)
        kept = [sought[media_id] for media_id in sought.keys() - final.keys() - {row["media_id"] for row in new}]
        if report is not None and kept:  # a host that gave it once and does not now: what was made of it stays
            fetching.keep(report, kept, writer)
        fetching.refuse([earlier[media_id] for media_id in refused.keys() & earlier.keys()])
        rows = {row["media_id"]: row for row in (*final.values(), *refused.values(), *new, *kept)}
        write_rows([rows[media_id] for media_id in sorted(rows)], writer)

    def _last_report(self, unit: Unit, store: Store) -> UnitReport | None:
        """That of the round before; None where there was none, or it is damaged, so that all is asked for again."""
        number = unit.inputs["round"] - 1
        if number < 0:
            return None
        return stored_report(store, self.name, Unit(unit.name, {}, self.identity(unit.name, number)))

    def committed(self, unit: Unit, task: Task, report: UnitReport) -> None:
        task.store.remove_tree(_journal(unit))
        _fetching(unit, task).committed()


def _planned(unit: Unit, store: Store) -> tuple[dict[str, Row], dict[str, tuple[TextTrack, ...]]]:
    """The media of a unit, and the timed texts that come with each."""
    media = {row["media_id"]: row for row in store.table([unit.inputs["list"]], LIST).to_pylist()}
    told = {media_id: row.pop("tracks") or () for media_id, row in media.items()}
    return media, {media_id: tuple(TextTrack(**track) for track in tracks) for media_id, tracks in told.items()}


def _fetching(unit: Unit, task: Task) -> Fetching:
    """How the media of a unit are fetched."""
    return _FETCHING[unit.inputs["modality"]](unit, task, FetchSection.model_validate(task.settings))


def _fetch(
    fetching: Fetching, asked: list[FetchRequest], media: dict[str, Row], journal: Journal, refusals: Refusals
) -> None:
    """Asks for what is left of a unit; whatever happens, what came is in the journal."""
    task = fetching.task
    halt = f"{_HALTS}/{task.run}.json"
    if (told := task.store.read_json(halt)) is not None:
        raise StageError(told)
    try:
        fetching.fetch(asked, media, journal, refusals, lambda: not task.check_claim())
    except FetchStormError as storm:
        task.store.put_json(halt, str(storm))
        _pass_over(storm.error, journal, task.run)
        raise


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


def _reach(section: FetchSection, modality: str) -> str:
    limits = section.video.model_dump(include=_VIDEO_LIMITS) if modality == "video" else {}
    return digest(section.network.model_dump(include=set(_REACH)), *([limits] if limits else []))


def _unreached(modality: str) -> frozenset[str]:
    return _UNREACHED | _BEYOND if modality == "video" else _UNREACHED


def _is_final(row: Row) -> bool:
    """Whether a media is not asked for again; the lists that a row speaks of no longer hold it."""
    return not row["transient"] and row["error"] not in (OPTED_OUT, LISTED)
