"""Stages whose units are those of a stage before, and take over what an earlier unit of the same name made."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from curation.runner.stage import Manifest, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitReport, UnitWriter, read_report, reports_folder

PASSING = "passing"
"""Count of a report: rows that failed for what may be over, or allowed, in another run."""


class FollowingStage(UnitStage):
    """One unit per unit of the stage before it that has rows of a dataset, of the same name.

    A unit that is done anew, as its input grew, takes over the rest from the last report of the same name and `kind`
    (settings that its rows depend on).
    """

    source: ClassVar[tuple[str, str]]
    """Stage and dataset that its units follow."""

    @abstractmethod
    def inputs(self, planning: Planning, name: str) -> tuple[dict[str, Any], list[str]]:
        """What a unit reads, and the digests of its content."""

    @abstractmethod
    def kind(self, planning: Planning) -> str:
        """Digest of the settings that a row depends on, beside its inputs."""

    def limits(self, planning: Planning) -> str | None:
        """Digest of what made some rows fail that might not have: they are tried again where it is another. None: by
        every run.
        """
        return None

    def more(self, planning: Planning) -> dict[str, Any]:
        """What else units are told, which their results do not depend on."""
        return {}

    def prepare(self, planning: Planning) -> dict[str, Any]:
        return {"kind": self.kind(planning), "limits": self.limits(planning), **self.more(planning)}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        stage, dataset = self.source
        finished: dict[str, list[str]] = {}
        for name in sorted(planning.store.names(reports_folder(self.name))):
            finished.setdefault(name.partition(".")[0], []).append(name)
        units = []
        for name, report in sorted(planning.inputs[stage].reports.items()):
            if not report.rows(dataset):
                continue
            inputs, content = self.inputs(planning, name)
            unit = Unit(name, inputs, self.identity(context["kind"], content))
            more = {"earlier": finished.get(name, []), "limits": context["limits"]}
            more |= {key: context[key] for key in self.more(planning)}
            units.append(Unit(name, {**inputs, **more}, unit.identity))
        return units

    def is_final(self, unit: Unit, report: UnitReport) -> bool:
        """What failed for what may be over is tried again: by every run, or under other limits."""
        limits = unit.inputs["limits"]
        return not report.counts.get(PASSING) or (limits is not None and report.facts.get("limits") == limits)

    def earlier(self, unit: Unit, task: Task, writer: UnitWriter) -> UnitReport | None:
        """The last report of the same name and kind; marks the unit's own."""
        writer.facts["kind"], writer.facts["limits"] = task.context["kind"], unit.inputs["limits"]
        folder = reports_folder(self.name)
        reports = [read_report(task.store, f"{folder}/{name}") for name in unit.inputs["earlier"]]
        same = [report for report in reports if report and report.facts.get("kind") == task.context["kind"]]
        return max(same, key=lambda report: report.finished_at, default=None)


def of_unit(manifest: Manifest, name: str, dataset: str) -> tuple[list[str], list[str]]:
    """(paths, content) of a dataset of one unit; empty where the stage has no such unit."""
    report = manifest.reports.get(name)
    return (report.paths(dataset), report.content(dataset)) if report else ([], [])
