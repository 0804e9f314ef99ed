"""Runs `curation` as a process of its own, watches what it publishes, and kills parts of it at chosen moments."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pyspark

from curation.runner.units import Unit, report_name

ROOT = Path(__file__).resolve().parents[2]
SPARK_HOME = Path(pyspark.__file__).parent
LOCAL = "local[2,4]"
CLUSTER = "local-cluster[2,1,2048]"
LIMIT_S = 600.0  # a slow machine is no failure; nothing waits for so long unless it hangs

_DATA = (".parquet", ".gz")
_QUICK_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # half the processor time of so short a life

T = TypeVar("T")

# What a run says on its way. Any other line on stderr is an error or noise.
_STATUS = re.compile(
    r"(extract|pairs|match|count|draw|balance|fetch|near|duplicates|scenes|clips|scores|near_clips|kept_clips|survive|"
    r"rebalance|samples|captions|caption_scores|chosen_captions|balanced_captions|manifest|entry_probabilities|"
    r"shards) +[\d,]+ \w+|"
    r"[\d,]+ units done in|nothing to do: |a run \(.*\) left its lease; taking over| +note: "
)


def wait_until(condition: Callable[[], T | None], what: str, timeout_s: float = LIMIT_S, poll_s: float = 0.01) -> T:
    """The first true value of `condition`; polls, within bounds."""
    deadline = time.monotonic() + timeout_s
    never = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:.0f} s in vain: {what}")
        never.wait(poll_s)
    return value


def environment() -> dict[str, str]:
    """Of a run: nothing that another Spark in this process left behind; workers anywhere find the package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_", "SPARK_"))}
    python = {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    return {**kept, **python, "SPARK_SUBMIT_OPTS": _QUICK_JVM}


@dataclass
class Job:
    """A started command. `seen` are all processes it was ever seen to have, for what outlives their parent."""

    process: subprocess.Popen[bytes]
    errors: Path
    told: Path
    started: float
    seen: dict[int, psutil.Process] = field(default_factory=dict)
    executor_folders: set[Path] = field(default_factory=set)

    def family(self) -> list[psutil.Process]:
        """Its processes that are alive now, itself first; none after its end, when its id may be another's."""
        if self.process.poll() is not None:
            return []
        found = [psutil.Process(self.process.pid)]
        with suppress(psutil.NoSuchProcess):
            found += found[0].children(recursive=True)
        for process in found:
            if process.pid not in self.seen and "CoarseGrainedExecutorBackend" in command(process):
                self._note_folder(process)
            self.seen[process.pid] = process
        return found

    def _note_folder(self, executor: psutil.Process) -> None:
        with suppress(psutil.Error):
            self.executor_folders.add(Path(executor.cwd()).parent)

    def survivors(self) -> list[psutil.Process]:
        """Of all it ever had, those that still run."""
        self.family()
        return [process for process in self.seen.values() if _alive(process)]

    def jvms(self) -> list[psutil.Process]:
        """The driver's JVM; none where Spark was not needed, or not started yet."""
        return [process for process in self.family() if "org.apache.spark.deploy.SparkSubmit" in command(process)]

    def executors(self) -> list[psutil.Process]:
        """Executor JVMs of a local-cluster."""
        return [process for process in self.family() if "CoarseGrainedExecutorBackend" in command(process)]

    def workers(self) -> list[psutil.Process]:
        """Spark's Python workers: children of the daemon that starts them. The JVM's command line names it, too."""
        daemon = "-m curation.runner.python_daemon"
        named = {process.pid: process for process in self.family() if daemon in command(process)}
        return [process for process in named.values() if process.ppid() in named]

    def busy_worker(self, *folders: Path) -> psutil.Process | None:
        """A Python worker with a data file below the folders open: in the middle of a unit or of a map."""
        below = tuple(f"{folder}{os.sep}" for folder in folders)
        for process in self.family():
            if "python_daemon" not in command(process):
                continue
            try:
                if any(file.path.startswith(below) and file.path.endswith(_DATA) for file in process.open_files()):
                    return process
            except psutil.Error:
                continue
        return None

    def wait(self) -> int:
        """Exit code; on the way all its processes are seen."""
        wait_until(lambda: not self.family(), "the end", poll_s=0.2)
        return int(self.process.returncode)

    def lines(self) -> list[str]:
        return self.errors.read_text().splitlines()

    def unexpected(self) -> list[str]:
        """Lines on stderr that are no status: exactly one where a run fails, none where it does not."""
        return [line for line in self.lines() if line.strip() and not _STATUS.match(line)]

    def error(self) -> str:
        """The one line of a run that ended with an error, and with exit code 2."""
        assert self.wait() == 2, self.lines()
        assert len(self.unexpected()) == 1, self.lines()
        assert self.unexpected()[0].startswith("error: "), self.lines()
        return self.unexpected()[0]

    def succeed(self) -> float:
        """Seconds until the end; fails unless the run ended well, without a word too many."""
        code = self.wait()
        assert code == 0, (code, self.lines())
        assert self.unexpected() == []
        return time.monotonic() - self.started

    def end(self) -> None:
        """Whatever is left of it may end by itself, or is killed, each by its own id."""
        if family := self.family():
            kill(family[0])
        _, left = psutil.wait_procs(self.survivors(), timeout=20)
        for process in left:
            kill(process)
        psutil.wait_procs(left, timeout=20)
        self.process.wait(20)  # it was the first to be killed
        for folder in self.executor_folders:  # local-cluster writes below the package, and has no setting for it
            if folder.parent == SPARK_HOME / "work":
                shutil.rmtree(folder, ignore_errors=True)


def command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def kill(process: psutil.Process) -> bool:
    """kill -9; whether it was still there. psutil never hits a stranger that got the same id."""
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return False
    return True


@contextmanager
def started(arguments: Sequence[str | Path], log: Path, cwd: Path = ROOT) -> Iterator[Job]:
    """A command in a process of its own; nothing of it is left behind."""
    log.mkdir(parents=True, exist_ok=True)
    number = len(list(log.glob("*.err")))
    errors, told = log / f"{number}.err", log / f"{number}.out"
    with errors.open("wb") as stderr, told.open("wb") as stdout:
        process = subprocess.Popen([str(part) for part in arguments], cwd=cwd, env=environment(),
                                   stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    job = Job(process, errors, told, time.monotonic())
    try:
        yield job
    finally:
        job.end()


def curation(recipe: Path, work: Path, *settings: str, master: str = LOCAL) -> list[str | Path]:
    """The command line of a run."""
    sets = [word for setting in (f"runtime.master={master}", *settings) for word in ("--set", setting)]
    return [sys.executable, "-m", "curation.cli", "run", recipe, "--work", work, *sets]


def run(recipe: Path, work: Path, *settings: str, master: str = LOCAL) -> Job:
    """A run from start to its good end."""
    with started(curation(recipe, work, *settings, master=master), work.parent / f"{work.name}.logs") as job:
        job.succeed()
    return job


def versions(work: Path, stage: str) -> set[str]:
    """Versions that a stage has planned in a folder, finished or not."""
    return {path.parent.name for path in (work / "_runs" / stage).glob("*/plan.json")}


@dataclass(frozen=True)
class Underway:
    """How far a stage has come: units that have a report, of those that had to be done."""

    version: str
    done: int
    pending: int


def underway(work: Path, stage: str, known: set[str], at_least: int) -> Underway | None:
    """The state of a stage's new version while some units, `at_least` so many, are done and not all are.

    Units that were taken over from the `known` versions had their reports before.
    """
    before = {name for old in known for name in planned(work, stage, old).values()}
    for version in versions(work, stage) - known:
        pending = set(planned(work, stage, version).values()) - before
        done = sum((work / "_runs" / stage / "reports" / name).exists() for name in pending)
        if at_least <= done < len(pending):
            return Underway(version, done, len(pending))
    return None


def planned(work: Path, stage: str, version: str) -> dict[str, str]:
    """Names of a version's units, and of the reports that say that they are done."""
    plan = json.loads((work / "_runs" / stage / version / "plan.json").read_text())
    return {unit["unit"]: report_name(Unit(unit["unit"], {}, unit["identity"])) for unit in plan}


def reports(work: Path, stage: str, version: str) -> dict[str, Any]:
    """The reports there are of a version's units, by unit."""
    folder = work / "_runs" / stage / "reports"
    names = planned(work, stage, version)
    return {unit: json.loads((folder / name).read_text()) for unit, name in names.items() if (folder / name).exists()}
