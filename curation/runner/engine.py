"""Who does the work: Spark, or this very process. Both hand out the same Spark-free functions."""

from __future__ import annotations

import gc
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from curation.errors import StageError
from curation.runner.stage import ShuffleStage, Task, UnitStage
from curation.runner.units import Unit
from curation.runner.work import Result, UnitFailure, run_reduce, run_unit, split_by_unit

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

OnDone = Callable[[int, int], None]  # units done, rows written so far
_POLL_S = 0.2


class WorkEngine(Protocol):
    """What the runner asks of an engine."""

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Applies a function to each item; results in order."""

    def tasks(self) -> int:
        """Tasks that run at the same time."""

    def units(self, stage: UnitStage, task: Task, units: Sequence[Unit], on_done: OnDone) -> list[Result]:
        """Does units."""

    def shuffle(
        self, stage: ShuffleStage, task: Task, items: Sequence[dict[str, Any]], units: Sequence[Unit], on_done: OnDone
    ) -> list[Result]:
        """Maps items and reduces the given units; units without rows are missing from the results."""


class LocalEngine:
    """Everything in this process, one after the other: for tests and for reading along."""

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return [function(item) for item in items]

    def tasks(self) -> int:
        return 1

    def units(self, stage: UnitStage, task: Task, units: Sequence[Unit], on_done: OnDone) -> list[Result]:
        results: list[Result] = []
        rows = 0
        for unit in units:
            results.append(run_unit(stage, task, unit))
            rows += _rows(results[-1])
            on_done(len(results), rows)
        return results

    def shuffle(
        self, stage: ShuffleStage, task: Task, items: Sequence[dict[str, Any]], units: Sequence[Unit], on_done: OnDone
    ) -> list[Result]:
        wanted = pa.array([unit.inputs["number"] for unit in units], stage.rows.field(0).type)
        batches = [batch for item in items for batch in stage.map(item, task, wanted)]
        table = pa.Table.from_batches(batches, schema=stage.rows)
        table = table.sort_by([(name, "ascending") for name in (stage.rows.names[0], *stage.order)])
        results = list(_reduce(stage, task, units, iter(table.to_batches(max_chunksize=1000))))
        on_done(len(results), sum(map(_rows, results)))
        return results


class SparkEngine:
    """Spark hands out units, one task each, and does the one shuffle; workers read and write files themselves."""

    def __init__(self, spark: SparkSession, shuffle_partitions: int | None = None) -> None:
        self._spark = spark
        self._partitions = shuffle_partitions

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        return self._watched(lambda: self._spread(items).map(function).collect(), lambda units, rows: None)

    def tasks(self) -> int:
        return int(self._spark.sparkContext.defaultParallelism)

    def units(self, stage: UnitStage, task: Task, units: Sequence[Unit], on_done: OnDone) -> list[Result]:
        done, rows = self._accumulators()

        def work(unit: Unit) -> Result:
            result = run_unit(stage, task, unit)
            done.add(1)
            rows.add(_rows(result))
            _spare_the_collector()
            return result

        return self._watched(lambda: self._spread(units).map(work).collect(), on_done, done, rows)

    def shuffle(
        self, stage: ShuffleStage, task: Task, items: Sequence[dict[str, Any]], units: Sequence[Unit], on_done: OnDone
    ) -> list[Result]:
        done, rows = self._accumulators()
        key = stage.rows.names[0]

        def reduce(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for result in _reduce(stage, task, units, batches):
                done.add(1)
                rows.add(_rows(result))
                yield pa.RecordBatch.from_arrays([pa.array([pickle.dumps(result)])], ["result"])

        def job() -> list[Result]:
            frame = self._mapped(stage, task, items, [unit.inputs["number"] for unit in units])
            parted = _parted(frame, self._shuffle_partitions(len(units)), key)
            results = parted.sortWithinPartitions(key, *stage.order).mapInArrow(reduce, "result binary")
            return [pickle.loads(row.result) for row in results.collect()]

        return self._watched(job, on_done, done, rows)

    def _mapped(
        self, stage: ShuffleStage, task: Task, items: Sequence[dict[str, Any]], numbers: list[int]
    ) -> DataFrame:
        from pyspark.sql.pandas.types import from_arrow_schema

        def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            wanted = pa.array(numbers, stage.rows.field(0).type)
            for batch in batches:
                for position in batch.column(0).to_pylist():
                    yield from stage.map(items[position], task, wanted)

        positions = self._spark.range(0, len(items), 1, max(1, len(items)))
        return positions.mapInArrow(read, from_arrow_schema(stage.rows))

    def _shuffle_partitions(self, units: int) -> int:
        if self._partitions is not None:
            return self._partitions
        return min(units, 4 * self._spark.sparkContext.defaultParallelism)

    def _spread(self, items: Sequence[Any]) -> Any:
        return self._spark.sparkContext.parallelize(items, max(1, len(items)))

    def _accumulators(self) -> tuple[Any, Any]:
        """For the progress line only; what counts is read from committed footers."""
        context = self._spark.sparkContext
        return context.accumulator(0), context.accumulator(0)

    def _watched(self, job: Callable[[], list[Any]], on_done: OnDone, done: Any = None, rows: Any = None) -> list[Any]:
        """Runs a Spark job in a thread while the progress line follows; a dead JVM becomes one line."""
        outcome: dict[str, Any] = {}

        def run() -> None:
            try:
                outcome["value"] = job()
            except Exception as error:  # noqa: BLE001 - carried to the main thread below
                outcome["error"] = error

        thread = threading.Thread(target=run, name="spark-job", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(_POLL_S)
                if done is not None:
                    on_done(done.value, rows.value)
        except KeyboardInterrupt:
            self._spark.sparkContext.cancelAllJobs()
            raise
        if "error" in outcome:
            raise StageError(_spark_message(outcome["error"])) from outcome["error"]
        value: list[Any] = outcome["value"]
        return value


def _parted(frame: DataFrame, partitions: int, key: str) -> DataFrame:
    """Units dealt out evenly by their number; a hash of it, all there is before Spark 4.1, fills some tasks twice."""
    if hasattr(frame, "repartitionById"):
        return frame.repartitionById(partitions, key)
    return frame.repartition(partitions, key)


@cache
def _spare_the_collector() -> None:
    """Once per worker: Spark collects its garbage after every task, and would walk all that modules hold (0.1 s)."""
    gc.collect()
    gc.freeze()


def _reduce(
    stage: ShuffleStage, task: Task, units: Sequence[Unit], batches: Iterator[pa.RecordBatch]
) -> Iterator[Result]:
    wanted = {unit.inputs["number"]: unit for unit in units}
    for number, group in split_by_unit(batches):
        if number in wanted:
            yield run_reduce(stage, task, wanted[number], group)


def _rows(result: Result) -> int:
    if isinstance(result, UnitFailure):
        return 0
    return sum(entry.rows for entries in list(result.files.values())[:1] for entry in entries)


def _spark_message(error: Exception) -> str:
    """One line from what Spark raised, which may be a hundred lines of Java."""
    from py4j.protocol import Py4JError, Py4JJavaError, Py4JNetworkError

    if "No space left on device" in str(error):
        return "no space left for Spark's shuffle files: free some and run the same command again; nothing is lost"
    if isinstance(error, Py4JJavaError):
        reason = str(error.java_exception.getMessage() or error).strip().splitlines()[0]
        return f"Spark gave up: {reason[:300]}; the same command continues where this run stopped"
    if isinstance(error, (Py4JNetworkError, Py4JError, ConnectionError, EOFError)):
        return "Spark's JVM is gone (killed, or out of memory): the same command continues where this run stopped"
    return f"Spark gave up: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
