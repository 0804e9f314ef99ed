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

import curation
from curation.errors import StageError
from curation.recipe import Recipe
from curation.runner.catalog import Catalog
from curation.runner.engine import WorkEngine
from curation.runner.lease import Lease
from curation.runner.progress import Reporter
from curation.runner.stage import Manifest, Planning, ShuffleStage, Stage, Task, UnitStage
from curation.runner.units import Unit, UnitReport, digest, report_path
from curation.runner.work import Result, UnitFailure
from curation.storage import Store

_READERS = 32  # reports of a stopped run read at once: an object store answers each in tens of milliseconds

EngineFactory = Callable[[], WorkEngine]


@dataclass(frozen=True)
class StagePlan:
    """What a stage would do now."""

    stage: Stage
    version: str
    settings: dict[str, Any]
    context: dict[str, Any]
    units: list[Unit]
    reusable: dict[str, UnitReport]
    published: Manifest | None

    @property
    def pending(self) -> list[Unit]:
        return [unit for unit in self.units if unit.name not in self.reusable]

    @property
    def is_current(self) -> bool:
        return self.published is not None and self.published.version == self.version


@dataclass(frozen=True)
class StageOutcome:
    """What a run did for a stage."""

    manifest: Manifest
    units_done: int
    units_reused: int
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


class Run:
    """A recipe on a work folder."""

    def __init__(
        self, store: Store, recipe: Recipe, stages: tuple[Stage, ...], engine: EngineFactory, reporter: Reporter
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
        inputs = {name: self.catalog.visible(name) for name in stage.after}
        settings = stage.settings(self.recipe)
        planning = Planning(self.store, self.recipe, inputs, settings, self._engine)
        context = stage.prepare(planning)
        units = stage.plan(planning, context)
        version = digest(stage.name, [(unit.name, unit.identity) for unit in units])[:16]
        published = self.catalog.current(stage.name)
        reusable = self._reusable(stage, version, units, published)
        return StagePlan(stage, version, settings, context, units, reusable, published)

    def _reusable(
        self, stage: Stage, version: str, units: list[Unit], published: Manifest | None
    ) -> dict[str, UnitReport]:
        """Reports of units that are done already: in this version, an earlier run of it, or the published one."""
        stored = self.catalog.stored(stage.name, version)
        known = dict(stored.reports) if stored else {}
        if published is not None:
            for unit in units:
                report = published.reports.get(unit.name)
                if report is not None and report.identity == unit.identity:
                    known.setdefault(unit.name, report)
        folder = f"_runs/{stage.name}/{version}/reports"
        finished = self.store.names(folder)
        unread = [unit.name for unit in units if unit.name not in known and f"{unit.name}.json" in finished]
        with ThreadPoolExecutor(_READERS) as readers:
            trees = readers.map(lambda name: self.store.read_json(report_path(stage.name, version, name)), unread)
            known.update((name, UnitReport.from_json(tree)) for name, tree in zip(unread, trees, strict=True))
        return {
            unit.name: known[unit.name]
            for unit in units
            if unit.name in known and known[unit.name].identity == unit.identity and stage.is_final(known[unit.name])
        }

    def execute(self, stage: Stage) -> StageOutcome:
        """Brings one stage up to date. Raises StageError or ConservationError; then nothing is published."""
        started = time.monotonic()
        plan = self.plan(stage)
        pending = plan.pending
        inputs = {name: self.catalog.visible(name).version for name in stage.after}
        if plan.is_current and plan.published is not None and not pending:
            # Other inputs or settings may lead to the very same content: only what is told about it changes.
            manifest = replace(plan.published, inputs=inputs, settings=plan.settings, context=plan.context)
            if manifest != plan.published:
                self.catalog.publish(manifest)
            return StageOutcome(manifest, 0, len(plan.units), time.monotonic() - started)
        self.store.put_json(
            f"_runs/{stage.name}/{plan.version}/plan.json",
            [{"unit": unit.name, "identity": unit.identity, "inputs": unit.inputs} for unit in plan.units],
        )
        reports = dict(plan.reusable)
        if pending:
            reports.update(self._do(plan, pending))
        manifest = self._manifest(plan, reports, inputs, time.monotonic() - started)
        self._check(stage, manifest)
        if self._lease is not None:
            self._lease.check()
        self.catalog.publish(manifest)
        return StageOutcome(manifest, len(pending), len(plan.reusable), time.monotonic() - started)

    def _do(self, plan: StagePlan, pending: list[Unit]) -> dict[str, UnitReport]:
        stage, task = plan.stage, Task(self.store, plan.version, plan.settings, plan.context)
        with self._reporter.stage(stage.name, len(pending)) as line:
            if isinstance(stage, ShuffleStage):
                inputs = {name: self.catalog.visible(name) for name in stage.after}
                items = stage.items(Planning(self.store, self.recipe, inputs, plan.settings, self._engine))
                results = self._engine.get().shuffle(stage, task, items, pending, line.update)
                results += self._empty(stage, task, pending, results)
            elif isinstance(stage, UnitStage):
                results = self._engine.get().units(stage, task, pending, line.update)
            else:
                raise TypeError(f"{stage.name} is neither a UnitStage nor a ShuffleStage")
        self._raise_failures(stage, results)
        return {result.unit: result for result in results if isinstance(result, UnitReport)}

    def _empty(self, stage: ShuffleStage, task: Task, pending: list[Unit], results: list[Result]) -> list[Result]:
        """Units that got no row at all; the conservation law still sees any row that went missing."""
        from curation.runner.work import run_reduce

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

    def _check(self, stage: Stage, manifest: Manifest) -> None:
        counts = dict(manifest.counts)
        counts.update({f"rejected:{reason}": n for reason, n in manifest.rejected.items()})
        counts.update({f"rows:{dataset.name}": manifest.rows(dataset.name) for dataset in stage.outputs})
        for name in stage.after:
            source = self.catalog.visible(name)
            counts.update({f"{name}.{count}": n for count, n in source.counts.items()})
            datasets = {dataset for report in source.reports.values() for dataset in report.files}
            counts.update({f"in:{dataset}": source.rows(dataset) for dataset in datasets})
        for law in stage.laws:
            law.check(stage.name, counts)
