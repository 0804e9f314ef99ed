"""One line for the running stage: units done, rows, rate, time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Reporter(Protocol):
    """Where a run tells what it does."""

    def say(self, line: str) -> None: ...

    def stage(self, name: str, units: int) -> AbstractContextManager[StageProgress]: ...


class StageProgress(Protocol):
    """The line of one stage."""

    def update(self, units: int, rows: int) -> None: ...


class Silent:
    """Says nothing."""

    def say(self, line: str) -> None:
        return

    @contextmanager
    def stage(self, name: str, units: int) -> Iterator[Silent]:
        yield self

    def update(self, units: int, rows: int) -> None:
        return


class Terminal:
    """A live line on a terminal; on anything else only what is said."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def stage(self, name: str, units: int) -> _Line:
        return _Line(self._console, name, units)


class _Line:
    def __init__(self, console: Console, name: str, units: int) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("units"),
            TextColumn("{task.fields[rows]:>12,} rows"),
            TextColumn("{task.fields[rate]:>9,.0f} rows/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(name, total=units, rows=0, rate=0.0)
        self._started = time.monotonic()

    def __enter__(self) -> _Line:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def update(self, units: int, rows: int) -> None:
        elapsed = max(1e-6, time.monotonic() - self._started)
        self._progress.update(self._task, completed=units, rows=rows, rate=rows / elapsed)
