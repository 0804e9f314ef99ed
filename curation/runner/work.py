"""What runs on a worker: one unit, from its inputs to its committed report. Knows nothing of Spark."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import CurationError
from curation.runner.lease import Lease
from curation.runner.stage import ShuffleStage, Task, UnitStage
from curation.runner.units import Unit, UnitReport, UnitWriter, report_name, stored_report
from curation.storage import explain_os_error


@dataclass(frozen=True)
class UnitFailure:
    """A unit that could not be done, for a reason that concerns the whole run."""

    unit: str
    message: str
    trace: str = field(repr=False, default="")


Result = UnitReport | UnitFailure


def run_unit(stage: UnitStage, task: Task, unit: Unit) -> Result:
    """Does and commits one unit; one that must be done once is done by whoever is at it."""
    if not stage.once:
        return _done(stage, task, unit)
    while True:
        claim = Lease(task.store, f"_runs/{stage.name}/claims/{report_name(unit)}")
        try:
            while claim.attempt() is not None:
                pass  # that took as long as a sign of life
            try:
                result = _of_another_attempt(stage, task, unit) or _done(stage, replace(task, claim=claim), unit)
            finally:
                claim.release()
        except Exception as error:  # noqa: BLE001 - as below
            return _failure(unit.name, error, task)
        if claim.lost is None or isinstance(result, UnitReport):
            return result  # else it was frozen, and another attempt is at it or done


def _of_another_attempt(stage: UnitStage, task: Task, unit: Unit) -> UnitReport | None:
    """The report of an attempt of this run, or of a worker that a run before left at it; none that is to be redone, as
    it is not final, or its files are gone.
    """
    report = stored_report(task.store, stage.name, unit)
    if report is None or not (report.facts.get("run") == task.run or stage.is_final(unit, report)):
        return None
    entries = [entry for files in report.files.values() for entry in files]
    return report if all(task.store.size(entry.path) == entry.size_bytes for entry in entries) else None


def _done(stage: UnitStage, task: Task, unit: Unit) -> Result:
    writer = UnitWriter(task.store, stage.name, task.version, unit)
    if stage.once:
        writer.facts["run"] = task.run
    try:
        stage.process(unit, task, writer)
        report = writer.commit()
        stage.committed(unit, task, report)
        return report
    except Exception as error:  # noqa: BLE001 - the boundary: an error becomes one line on the driver, not a Java trace
        writer.abandon()
        return _failure(unit.name, error, task)


def run_reduce(stage: ShuffleStage, task: Task, unit: Unit, batches: Iterator[pa.RecordBatch]) -> Result:
    """Reduces and commits one unit from its sorted rows."""
    writer = UnitWriter(task.store, stage.name, task.version, unit)
    try:
        stage.reduce(batches, task, writer)
        return writer.commit()
    except Exception as error:  # noqa: BLE001 - as above
        writer.abandon()
        return _failure(unit.name, error, task)


def _failure(unit: str, error: Exception, task: Task) -> UnitFailure:
    if isinstance(error, CurationError):
        message = str(error)
    elif isinstance(error, OSError):
        message = explain_os_error(error, task.store.root)
    else:
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return UnitFailure(unit, message, traceback.format_exc())


def split_by_unit(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
    """Groups sorted batches by their first column, as itertools.groupby does: take each group before the next."""
    pieces = _pieces(batches)
    piece = next(pieces, None)
    while piece is not None:
        key = piece[0]
        rest: list[tuple[int, pa.RecordBatch] | None] = [piece]

        def group(key: int = key, rest: list[tuple[int, pa.RecordBatch] | None] = rest) -> Iterator[pa.RecordBatch]:
            while rest[0] is not None and rest[0][0] == key:
                batch = rest[0][1]
                rest[0] = next(pieces, None)
                yield batch

        yield key, group()
        while rest[0] is not None and rest[0][0] == key:  # what the consumer left
            rest[0] = next(pieces, None)
        piece = rest[0]


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            keys = batch.column(0)
            key = keys[start].as_py()
            length = pc.sum(pc.equal(keys.slice(start), key)).as_py()  # sorted: equal keys stand together
            yield key, batch.slice(start, length)
            start += length
