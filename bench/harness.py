"""A benchmark is a row: what ours costs beside what a named peer costs, measured in turn in the same run.

Machines are noisy and differ, so a row says a ratio: peer's cost / our cost, of pairs of runs that follow each other;
the median counts, and the smallest and largest show how sure it is. The order within a pair alternates.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

Cost = Callable[[], float]
"""Does the work once and returns what it cost: seconds, bytes; less is better."""
OURS = "curation"
BEGIN, END = "<!-- bench: made by python -m bench --readme -->", "<!-- /bench -->"
"""Marks in a page, around the table of stored results."""


@dataclass(frozen=True)
class Row:
    """One comparison. `sides` opens what both need and gives each side's cost by name, OURS among them."""

    name: str
    about: str
    """What is measured, on what."""
    unit: str
    """Of the cost: s, CPU s, bytes."""
    goals: Mapping[str, float]
    """Peer -> ratio that is aimed at; below 1 where ours may cost more."""
    sides: Callable[[], AbstractContextManager[Mapping[str, Cost]]]
    rounds: int = 5
    notes: dict[str, str] = field(default_factory=dict)
    """Side -> what else its last run said, in words; sides write them, and they are stored behind `about`."""


@dataclass(frozen=True)
class Result:
    """Costs of every round by side, and the ratios of each peer's cost to ours."""

    row: Row
    costs: dict[str, list[float]]

    def ratios(self, peer: str) -> list[float]:
        return [other / own for own, other in zip(self.costs[OURS], self.costs[peer], strict=True)]

    @property
    def peers(self) -> list[str]:
        return [name for name in self.costs if name != OURS]

    def to_json(self) -> dict[str, Any]:
        notes = ", ".join(f"{side} {said}" for side, said in self.row.notes.items())
        return {
            "about": self.row.about + (f": {notes}" if notes else ""),
            "unit": self.row.unit,
            "goals": dict(self.row.goals),
            "costs": self.costs,
            "ratio": {peer: spread(self.ratios(peer)) for peer in self.peers},
        }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest, to four digits."""
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def cpu_seconds(work: Callable[[], object]) -> Cost:
    """CPU time of this process and of those it started: what a core costs, whatever else the machine does."""
    return _timed(work, _cpu_clock)


def _cpu_clock() -> float:
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    running = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(use.ru_utime + use.ru_stime for use in ended) + sum(use.user + use.system for use in running)


def wall_seconds(work: Callable[[], object]) -> Cost:
    """Time by the clock, for work of several processes or threads."""
    return _timed(work, time.perf_counter)


def _timed(work: Callable[[], object], clock: Callable[[], float]) -> Cost:
    def cost() -> float:
        gc.collect()
        start = clock()
        work()
        return clock() - start

    return cost


def measure(row: Row, rounds: int | None = None, *, tell: Callable[[str], None] = lambda _: None) -> Result:
    """Runs a row: once to warm up, then in rounds, every other one in reverse order."""
    with row.sides() as sides:
        costs: dict[str, list[float]] = {name: [] for name in sides}
        for number in range((rounds or row.rounds) + 1):
            order = list(sides.items())
            for name, cost in order if number % 2 else reversed(order):
                found = cost()
                if number:
                    costs[name].append(found)
                tell(f"{row.name} round {number} {name}: {found:.4g} {row.unit}")
    return Result(row, costs)


def machine() -> str:
    """One line about the machine; what else it does is a row's load."""
    model = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        names = (line.partition(":") for line in cpu.read_text().splitlines())
        model = next((value.strip() for name, _, value in names if name.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def store(results: Sequence[Result], path: Path) -> None:
    """Adds results to a JSON file, and writes the Markdown table of all in it beside it."""
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    load = round(os.getloadavg()[0], 1)
    for result in results:
        known[result.row.name] = {"machine": machine(), "load": load, **result.to_json()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    path.with_suffix(".md").write_text(table(known))


def table(known: Mapping[str, Any]) -> str:
    """The Markdown table of stored results."""
    lines = ["| row | peer | peer's cost / ours (min to max) | goal: at least |", "|---|---|---|---|"]
    for name, row in sorted(known.items()):
        for peer, ratio in sorted(row["ratio"].items()):
            said = f"{ratio['median']:.2f}x ({ratio['min']:.2f} to {ratio['max']:.2f})"
            goal = row["goals"][peer]
            missed = "" if ratio["median"] >= goal else ", missed"
            lines.append(f"| {name}: {row['about']} | {peer} | {said} | {goal:g}x{missed} |")
    machines = sorted({row["machine"] for row in known.values()})
    return "\n".join([*lines, "", *(f"Machine: {line}" for line in machines), ""])


def with_table(page: str, known: Mapping[str, Any]) -> str:
    """A Markdown page with the table of stored results between its two marks. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"the page has no {BEGIN} with {END} after it: put them where the table belongs")
    return f"{before}{begin}\n{table(known)}{end}{after}"
