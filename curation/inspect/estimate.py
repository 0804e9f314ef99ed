"""What a run would do now, and why: units per stage, the reason for each, and estimates of rows, bytes and time.

Nothing is started and nothing is written: stages are planned on a store that forgets what it is told to write, and an
engine that is asked for work ends the planning of that stage.

A stage whose inputs are up to date is planned exactly. One behind it can only be bounded: it redoes what its changed
inputs touch, at most everything. How many rows, bytes and seconds that is: see `curation.inspect.rates`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import pyarrow as pa

from curation.errors import CurationError
from curation.inspect.caption_costs import cost_lines, sample_pool
from curation.inspect.rates import RateBook
from curation.inspect.wording import changed_settings, changed_thresholds, changed_vocabularies, how_many, listed
from curation.recipe import Recipe, Target
from curation.runner.catalog import Catalog
from curation.runner.progress import Silent
from curation.runner.run import Run, StagePlan
from curation.runner.stage import Manifest, Stage
from curation.runner.units import REDONE, Unit
from curation.stages.captions import Captions
from curation.storage import Store

_NAMED = 3  # archives that a reason names
_IN_ONE_PIECE = {"count", "duplicates", "kept_clips", "entry_probabilities"}
_WHEN_IT_RUNS = {
    "fetch": "which media it lacks is found when it runs",
    "shards": "where its shards begin is found when it runs",
}


@dataclass(frozen=True)
class StageForecast:
    """What one stage would do. `to_do` is the most it can be where `exact` is false; no `reasons`: nothing to do.

    rows, size_bytes: what would be written into its datasets (rows of the first). core_s: seconds of one core. None:
    not known. basis: where these estimates come from. last_s: what the stage took when it last did something here.
    costs: what others will be asked for, in words.
    """

    stage: str
    about: str
    units: int
    to_do: int
    exact: bool
    reasons: list[str]
    rows: int | None = None
    size_bytes: int | None = None
    core_s: float | None = None
    basis: str = ""
    last_s: float | None = None
    costs: list[str] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        return not self.reasons


@dataclass(frozen=True)
class Forecast:
    """All stages in order. cores: of this machine as the recipe uses it, None on a cluster.

    work_s: seconds of work on those cores; starting Spark and handing out tasks is not in it. None: not known.
    """

    stages: list[StageForecast]
    cores: int | None
    work_s: float | None

    @property
    def is_current(self) -> bool:
        return all(stage.is_current for stage in self.stages)


def forecast(store: Store, recipe: Recipe, stages: tuple[Stage, ...]) -> Forecast:
    """What `curation run` would do with this recipe in this folder, which need not exist yet.

    Raises RecipeError, InputError, VocabularyError or BalanceError where the run would, as far as planning finds out.
    """
    run = Run(_Forgetful(store.root), recipe, stages, _no_engine, Silent())
    planner = _Planner(run)
    found = [planner.stage(stage) for stage in stages]
    cores = usable_cores(recipe.runtime.master)
    return Forecast(found, cores, _work_s(found, cores))


def usable_cores(master: str | None) -> int | None:
    """Cores that a Spark master local, local[N] or local[*] uses; None where it is a cluster."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if master is None:
        return here
    if master == "local":
        return 1
    if not master.startswith("local["):
        return None
    cores = master.removeprefix("local[").removesuffix("]").split(",")[0]
    return int(cores) if cores.isdecimal() else here


class _EngineNeededError(CurationError):
    """A stage's plan asked for distributed work."""


def _no_engine() -> NoReturn:
    raise _EngineNeededError("planning starts no engine")


@dataclass(frozen=True)
class _Forgetful(Store):
    """Reads a work folder and writes nothing: what planning would store, the run plans again."""

    def put(self, path: str, data: bytes) -> None:
        return

    def put_table(self, path: str, table: pa.Table) -> None:
        return

    def create(self, path: str, data: bytes) -> NoReturn:
        raise TypeError("planning takes no lease")

    def remove(self, path: str) -> NoReturn:
        raise TypeError("planning removes nothing")

    def open_write(self, path: str) -> NoReturn:
        raise TypeError("planning writes no data")


class _Planner:
    """Plans stage after stage, and remembers which ones would change and how many rows each would have."""

    def __init__(self, run: Run) -> None:
        self._run, self._recipe = run, run.recipe
        self._rates = RateBook(run.catalog)
        self._changing: set[str] = set()
        self._rows: dict[str, int | None] = {}  # rows of each stage's first dataset after the run

    def stage(self, stage: Stage) -> StageForecast:
        waiting = [name for name in stage.needs(self._recipe) if name in self._changing]
        found = self._behind(stage, waiting) if waiting else self._planned(stage)
        if not found.is_current:
            self._changing.add(stage.name)
        return replace(found, costs=self._costs(found)) if isinstance(stage, Captions) and found.to_do else found

    def _costs(self, found: StageForecast) -> list[str]:
        """What models are asked at most: of all samples, as far as nothing is known of them by the same captioner."""
        section, catalog = self._recipe.captions, self._run.catalog
        if section is None:
            return []
        samples = catalog.current("samples")
        pool = sample_pool(self._run.store, self._recipe, samples)
        version = None if samples is None or "samples" in self._changing else samples.version
        return list(cost_lines(section, pool, catalog.current(found.stage), version))

    def _planned(self, stage: Stage) -> StageForecast:
        """A stage whose inputs are there and stay as they are."""
        try:
            plan = self._run.plan(stage)
        except _EngineNeededError:
            return self._unsolved(stage)
        pending = plan.pending
        if plan.is_current and not pending and plan.published is not None:
            self._rows[stage.name] = plan.published.rows(stage.outputs[0].name)
            return StageForecast(stage.name, stage.about, len(plan.units), 0, True, [])
        why = reasons(plan, self._run.catalog)
        line = StageForecast(stage.name, stage.about, len(plan.units), len(pending), True, why)
        kept = sum(report.rows(stage.outputs[0].name) for report in plan.reusable.values())
        expected = self._rates.kept(plan.context["thresholds"]) if "thresholds" in plan.context else None
        return self._estimated(stage, line, archives=pending, already=kept, expected=expected)

    def _unsolved(self, stage: Stage) -> StageForecast:
        """A stage whose plan takes work that only a run does: a target is solved, new media are listed."""
        published = self._run.catalog.current(stage.name)
        told = _WHEN_IT_RUNS.get(stage.name, "its target is solved when it runs")
        line = StageForecast(
            stage.name, stage.about, self._count(stage), self._count(stage), False,
            [told, *_setting_changes(stage, published, self._recipe)])
        return self._estimated(stage, line)

    def _behind(self, stage: Stage, waiting: list[str]) -> StageForecast:
        """A stage whose inputs will be other ones."""
        published = self._run.catalog.current(stage.name)
        units = self._count(stage)
        why = ["never run"] if published is None else [
            _inputs(waiting, "changes", "change"), *_setting_changes(stage, published, self._recipe)]
        line = StageForecast(stage.name, stage.about, units, units, published is None, why)
        return self._estimated(stage, line)

    def _count(self, stage: Stage) -> int:
        """Units of a stage after extract."""
        if stage.name == "shards":
            return self._shards(self._rows.get("manifest") or 0)
        return 1 if stage.name in _IN_ONE_PIECE else self._recipe.pairs.media_buckets

    def _estimated(self, stage: Stage, line: StageForecast, *, archives: Sequence[Unit] = (), already: int = 0,
                   expected: int | None = None) -> StageForecast:
        """The line with estimates. archives: what extract reads; expected: rows in all, where they are known better."""
        rates, basis = self._rates.of(stage) if stage.after else self._rates.of_archives(stage, archives)
        published = self._run.catalog.current(stage.name)
        share = line.to_do / max(1, line.units)
        inputs = None if stage.after else self._rates.archive_bytes(archives)
        if stage.after:
            source = self._rows.get(self._rates.source_stage(stage))
            inputs = None if source is None else source * share
            if stage.name == "shards" and inputs:  # of as many samples as the recipe says, or all there are
                shards, bytes_per_sample = self._shards(inputs), rates.rows * rates.size_bytes
                rates = replace(rates, rows=shards / inputs, size_bytes=bytes_per_sample * inputs / shards)
        expected = self._target() if stage.name == "balance" and expected is None else expected
        lists = len(self._recipe.match.vocabularies)
        rows = None if inputs is None else self._rates.rows(stage, rates, inputs, lists)
        if expected is not None:
            rows, basis = round(expected * share), f"{basis}; rows from the draws or the target"
        self._rows[stage.name] = None if rows is None else already + rows
        return replace(
            line, rows=rows, basis=basis, last_s=published.wall_s if published else None,
            size_bytes=None if rows is None else round(rows * rates.size_bytes),
            core_s=None if inputs is None else inputs / 1e6 * rates.core_s)

    def _shards(self, samples: float) -> int:
        """How many there are of so many samples, where max_samples alone bounds them; one at least."""
        section = self._recipe.shards
        return max(1, math.ceil(samples / section.max_samples)) if section is not None else 1

    def _target(self) -> int | None:
        target = self._recipe.balance.target
        return round(target.pairs / target.survival) if isinstance(target, Target) and target.pairs else None


def _work_s(stages: Sequence[StageForecast], cores: int | None) -> float | None:
    working = [stage for stage in stages if stage.to_do]
    if not working:
        return 0.0
    if cores is None or any(stage.core_s is None for stage in working):
        return None
    return sum((stage.core_s or 0.0) / min(cores, stage.to_do) for stage in working)


def _setting_changes(stage: Stage, published: Manifest | None, recipe: Recipe) -> list[str]:
    if published is None:
        return []
    return changed_settings(published.settings, stage.settings(recipe), stage.name)


def _inputs(names: Sequence[str], one: str, several: str) -> str:
    return f"its inputs {listed(names)} {several}" if len(names) > 1 else f"its input {listed(names)} {one}"


def reasons(plan: StagePlan, catalog: Catalog) -> list[str]:
    """Why a planned stage has something to do."""
    published, stage = plan.published, plan.stage
    kept = {} if published is None else {name: report.identity for name, report in published.reports.items()}
    done = sum(kept.get(name) != report.identity for name, report in plan.reusable.items())
    stopped = [f"{how_many(done, 'unit')} of it done already, by a run that stopped or an earlier one"] if done else []
    if published is None:
        return ["never run", *stopped]
    found = [
        *changed_settings(published.settings, plan.settings, stage.name),
        *changed_vocabularies(published.context, plan.context), *changed_thresholds(published.context, plan.context)]
    inputs = [name for name in plan.planning.inputs if published.inputs.get(name) != catalog.visible(name).version]
    if inputs:
        found.append(_inputs(inputs, "changed", "changed"))
    if removed := sum("sources" in unit.inputs for unit in plan.pending):
        found.append(f"{how_many(removed, 'unit')} with removed videos: they are fetched again for other clips")
    if rounds := sum(bool(unit.inputs.get("round")) and "sources" not in unit.inputs for unit in plan.pending):
        found.append(f"{how_many(rounds, 'unit')} with media that failed for passing reasons: they are asked for again")
    if again := sum(REDONE in unit.inputs and not unit.inputs.get("round") for unit in plan.pending if stage.after):
        found.append(f"{how_many(again, 'unit')} with what failed for passing reasons: it is tried again")
    if not stage.after:
        found += _archives(plan, published, settings_changed=bool(found))
    return [*(found or [f"made by another version of curation ({published.code_version})"]), *stopped]


def _archives(plan: StagePlan, published: Manifest, *, settings_changed: bool) -> list[str]:
    """New, changed and dropped archives of extract."""
    new = [unit.name for unit in plan.pending if unit.name not in published.reports]
    changed = [unit.name for unit in plan.pending if unit.name in published.reports and not settings_changed]
    dropped = sorted(published.reports.keys() - {unit.name for unit in plan.units})
    return [f"{how_many(len(names), kind + ' archive')}: {', '.join(names[:_NAMED])}" + " ..." * (len(names) > _NAMED)
            for kind, names in (("new", new), ("changed", changed), ("dropped", dropped)) if names]
