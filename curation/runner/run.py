"""One run: for every stage in order, plan, skip what is done, do the rest, check, publish."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import curation
from curation.digests import digest
from curation.errors import ConservationError, StageError, WorkFolderError
from curation.runner.catalog import Catalog
from curation.runner.engine import WorkEngine
from curation.runner.lease import Lease
from curation.runner.progress import Reporter
from curation.runner.stage import Manifest, Planning, ShuffleStage, Stage, Task, UnitStage
from curation.runner.units import REDONE, Unit, UnitReport, report_name, reports_folder, stored_report
from curation.runner.work import Result, UnitFailure, run_reduce
from curation.storage import Store

_READERS = 32  # reports of a stopped run read at once: an object store answers each in tens of milliseconds

EngineFactory = Callable[[], WorkEngine]


@dataclass(frozen=True)
class StagePlan:
    """What a stage would do now."""

    stage: Stage
    version: str
    planning: Planning
    context: dict[str, Any]
    units: list[Unit]
    reusable: dict[str, UnitReport]
    published: Manifest | None

    @property
    def settings(self) -> dict[str, Any]:
        return self.planning.settings

    @property
    def pending(self) -> list[Unit]:
        return [unit for unit in self.units if unit.name not in self.reusable]

    @property
    def is_current(self) -> bool:
        return self.published is not None and self.published.version == self.version


def _told_times(unit: Unit, report: UnitReport | None, again: bool) -> Unit:
    """The unit with how often it was done anew, or is to be, though it is the same: its failures may have passed.

    What readers were made from is another version then.
    """
    times = 0 if report is None else int(report.facts.get(REDONE, 0)) + again
    return replace(unit, inputs={**unit.inputs, REDONE: times}) if times else unit


@dataclass(frozen=True)
class StageOutcome:
    """What a run did for a stage."""

    manifest: Manifest
    units_done: int
    units_reused: int
    published: bool
    wall_s: float


class _LazyEngine:
    """An engine that is started when the first work needs it: a run with nothing to do never starts Spark."""

    def __init__(self, factory: EngineFactory) -> None:
        self._factory = factory
        self._engine: WorkEngine | None = None

    def get(self) -> WorkEngine:
        if self._engine is None:
            self._engine = self._factory()
        return self._engine

    def map(self, function: Any, items: Any) -> list[Any]:
        return self.get().map(function, items)

    def tasks(self) -> int:
        return self.get().tasks()


class Run:
    """A recipe on a work folder."""

    def __init__(
        self, store: Store, recipe: Any, stages: tuple[Stage, ...], engine: EngineFactory, reporter: Reporter
    ) -> None:
        self.store, self.recipe, self.stages = store, recipe, stages
        self.catalog = Catalog(store, stages)
        self._engine = _LazyEngine(engine)
        self._reporter = reporter
        self._lease: Lease | None = None

    def lease(self) -> AbstractContextManager[Lease]:
        """The right to change the folder; taken once around everything a run does."""
        self._lease = Lease(self.store, say=self._reporter.say)
        return self._lease

    def plan(self, stage: Stage) -> StagePlan:
        """Plans one stage from what is published of the stages before it. Changes nothing in the folder's datasets."""
        catalog = self.catalog.snapshot()
        inputs = {name: catalog.visible(name) for name in stage.needs(self.recipe)}
        settings = stage.settings(self.recipe)
        planning = Planning(self.store, self.recipe, inputs, settings, self._engine)
        context = stage.prepare(planning)
        units = stage.plan(planning, context)
        if len({unit.name for unit in units}) < len(units):
            raise StageError(f"{stage.name} plans two units of one name: please report it with the recipe")
        published = catalog.current(stage.name)
        known = self._known(stage, units, published)
        final = [known[unit.name] for unit in units if unit.name in known and stage.is_final(unit, known[unit.name])]
        reusable = {report.unit: report for report in self._whole(final)}
        again = {name for name, report in known.items() if report not in final}
        units = [_told_times(unit, known.get(unit.name), unit.name in again) for unit in units]
        told = [(unit.name, unit.identity, *([unit.inputs[REDONE]] if REDONE in unit.inputs else [])) for unit in units]
        version = digest(stage.name, told)[:16]
        return StagePlan(stage, version, planning, context, units, reusable, published)

    def _known(self, stage: Stage, units: list[Unit], published: Manifest | None) -> dict[str, UnitReport]:
        """Reports of units that were done already, by whatever run."""
        known: dict[str, UnitReport] = {}
        if published is not None:
            known = {
                unit.name: published.reports[unit.name]
                for unit in units
                if unit.name in published.reports and published.reports[unit.name].identity == unit.identity
            }
        unread = [unit for unit in units if unit.name not in known]
        if unread:
            finished = self.store.names(reports_folder(stage.name))
            unread = [unit for unit in unread if report_name(unit) in finished]
        with ThreadPoolExecutor(_READERS) as readers:
            reports = readers.map(lambda unit: stored_report(self.store, stage.name, unit), unread)
            known.update((report.unit, report) for report in reports if report is not None)
        return known

    def _whole(self, reports: list[UnitReport]) -> list[UnitReport]:
        """The reports whose files are all there in full size."""
        entries = {report.unit: [entry for files in report.files.values() for entry in files] for report in reports}
        folders = {entry.path.rsplit("/", 3)[0] for files in entries.values() for entry in files}
        sizes: dict[str, int] = {}
        for folder in sorted(folders):
            sizes.update(self.store.sizes(folder))
        return [
            report
            for report in reports
            if all(sizes.get(entry.path) == entry.size_bytes for entry in entries[report.unit])
        ]

    def execute(self, stage: Stage) -> StageOutcome:
        """Brings one stage up to date. Raises StageError or ConservationError; then nothing is published."""
        started = time.monotonic()
        plan = self.plan(stage)
        pending = plan.pending
        inputs = {name: manifest.version for name, manifest in plan.planning.inputs.items()}
        if plan.is_current and plan.published is not None and not pending:
            # Other inputs or settings may lead to the very same content: only what is told about it changes.
            manifest = replace(plan.published, inputs=inputs, settings=plan.settings, context=plan.context)
            if manifest != plan.published:
                self._publish(plan, manifest)
            stage.settle(plan.planning, manifest)
            return StageOutcome(manifest, 0, len(plan.units), False, time.monotonic() - started)
        self.store.put_json(
            f"_runs/{stage.name}/{plan.version}/plan.json",
            [{"unit": unit.name, "identity": unit.identity, "inputs": unit.inputs} for unit in plan.units],
        )
        reports = dict(plan.reusable)
        if pending:
            reports.update(self._do(plan, pending))
        manifest = self._manifest(plan, reports, inputs, time.monotonic() - started)
        self._check(plan, manifest)
        self._publish(plan, manifest)
        stage.settle(plan.planning, manifest)
        return StageOutcome(manifest, len(pending), len(plan.reusable), True, time.monotonic() - started)

    def _publish(self, plan: StagePlan, manifest: Manifest) -> None:
        """Refuses where this run no longer has the folder, or the inputs are no longer those that were planned with."""
        if self._lease is not None:
            self._lease.check()
        for name, version in manifest.inputs.items():
            pointer = self.catalog.pointer(name)
            if pointer is None or pointer.version != version:
                raise WorkFolderError(f"{name} was replaced while {plan.stage.name} ran: run the same command again")
        self.catalog.publish(manifest)

    def _do(self, plan: StagePlan, pending: list[Unit]) -> dict[str, UnitReport]:
        token = self._lease.token if self._lease is not None else uuid4().hex
        tasks = min(self._engine.get().tasks(), len(pending))
        stage, task = plan.stage, Task(self.store, plan.version, plan.settings, plan.context, token, tasks)
        with self._reporter.stage(stage.name, len(pending)) as line:
            if isinstance(stage, ShuffleStage):
                items = stage.items(plan.planning)
                results = self._engine.get().shuffle(stage, task, items, pending, line.update)
                results += self._empty(stage, task, pending, results)
            elif isinstance(stage, UnitStage):
                results = self._engine.get().units(stage, task, pending, line.update)
            else:
                raise TypeError(f"{stage.name} is neither a UnitStage nor a ShuffleStage")
        self._raise_failures(stage, results)
        reports = [result for result in results if isinstance(result, UnitReport)]
        if len(self._whole(reports)) < len(reports):
            raise StageError(
                f"{stage.name}: the workers wrote files that this process does not see: --work must be a folder or URL "
                "that all machines share"
            )
        return {report.unit: report for report in reports}

    def _empty(self, stage: ShuffleStage, task: Task, pending: list[Unit], results: list[Result]) -> list[Result]:
        """Units that got no row at all; the conservation law still sees any row that went missing."""
        seen = {result.unit for result in results}
        return [run_reduce(stage, task, unit, iter(())) for unit in pending if unit.name not in seen]

    def _raise_failures(self, stage: Stage, results: list[Result]) -> None:
        failures = [result for result in results if isinstance(result, UnitFailure)]
        if not failures:
            return
        first = failures[0]
        log = f"_logs/{stage.name}-{first.unit}.txt"
        hint = ""
        if first.trace and "no space left" not in first.message:
            self.store.put(log, first.trace.encode("utf-8", "replace"))
            hint = f" (details in {self.store.url(log)})"
        more = f", and {len(failures) - 1} more units" if len(failures) > 1 else ""
        raise StageError(f"{stage.name}: unit {first.unit}{more}: {first.message}{hint}")

    def _manifest(
        self, plan: StagePlan, reports: dict[str, UnitReport], inputs: dict[str, str], wall_s: float
    ) -> Manifest:
        counts: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        for report in reports.values():
            counts.update(report.counts)
            rejected.update(report.rejected)
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        return Manifest(
            plan.stage.name,
            plan.version,
            inputs,
            plan.settings,
            plan.context,
            curation.__version__,
            dict(sorted(counts.items())),
            dict(sorted(rejected.items())),
            {unit.name: reports[unit.name] for unit in plan.units},
            round(wall_s, 2),
            finished,
        )

    def _check(self, plan: StagePlan, manifest: Manifest) -> None:
        """Holds the stage's laws against committed rows."""
        stage = plan.stage
        if manifest.reports.keys() != {unit.name for unit in plan.units}:
            raise ConservationError(f"{stage.name}: units are missing or too many; nothing was published")
        counts = dict(manifest.counts)
        counts.update({f"rejected:{reason}": n for reason, n in manifest.rejected.items()})
        counts.update({f"rows:{dataset.name}": manifest.rows(dataset.name) for dataset in stage.outputs})
        for name, source in plan.planning.inputs.items():
            counts.update({f"{name}.{count}": n for count, n in source.counts.items()})
            outputs = self.catalog.stages[name].outputs
            counts.update({f"in:{dataset.name}": source.rows(dataset.name) for dataset in outputs})
        for law in stage.laws:
            law.check(stage.name, counts)
