"""Stages so small that what the runner does to them can be said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, ShuffleStage, Task, UnitStage
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import Dataset

NUMBERS = Dataset("numbers", 1, "file", "toy", pa.schema([pa.field("n", pa.int64(), nullable=False)]))
SUMS = Dataset(
    "sums",
    1,
    "bucket",
    "toy",
    pa.schema([pa.field("bucket", pa.int32(), nullable=False), pa.field("total", pa.int64(), nullable=False)]),
)
RECIPE = Recipe.model_validate(
    {"name": "toy", "inputs": [{"kind": "wat", "paths": ["x"]}], "match": {"vocabularies": {"en": "x"}}}
)


class Read(UnitStage):
    """Reads text files of numbers; `lose` drops a row without counting it, `fail` names units that raise."""

    name = "read"
    about = "toy"
    outputs = (NUMBERS,)
    laws = (Law(("lines",), ("rows:numbers", "skipped:*")),)

    def __init__(
        self, folder: Path, fail: tuple[str, ...] = (), lose: bool = False, unreadable: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.fail, self.lose, self.unreadable = folder, fail, lose, unreadable

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        return [
            Unit(path.name, {"path": str(path)}, self.identity(path.name, path.read_text()))
            for path in sorted(self.folder.iterdir())
        ]

    def is_final(self, unit: Unit, report: UnitReport) -> bool:
        return "unreadable_file" not in report.rejected

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        (self.folder.parent / "calls").open("a").write(f"{unit.name}\n")
        if unit.name in self.unreadable:
            writer.reject("unreadable_file", file=unit.inputs["path"])
            return
        lines = Path(unit.inputs["path"]).read_text().split()
        writer.counts["lines"] += len(lines)
        numbers = [int(line) for line in lines if line.isdigit()]
        writer.counts["skipped:no_number"] += len(lines) - len(numbers)
        for line in lines:
            if not line.isdigit():
                writer.reject("bad_row", file=unit.inputs["path"], detail=line)
        if self.lose:
            numbers = numbers[1:]
        writer.write(NUMBERS, pa.record_batch({"n": pa.array(numbers, pa.int64())}, schema=NUMBERS.schema))
        if unit.name in self.fail:
            raise ValueError("told to fail")


class Total(ShuffleStage):
    """Sums numbers by their last digit."""

    name = "total"
    about = "toy"
    after = ("read",)
    outputs = (SUMS,)
    laws = (Law(("in:numbers",), ("added",)),)
    rows = pa.schema([("bucket", pa.int32()), ("n", pa.int64())])
    order = ("n",)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        identity = self.identity(planning.inputs["read"].content("numbers"))
        return [Unit(f"bucket-{number:05d}", {"number": number}, identity) for number in range(10)]

    def items(self, planning: Planning) -> list[dict[str, Any]]:
        return [{"files": report.paths("numbers")} for report in planning.inputs["read"].reports.values()]

    def map(self, item: dict[str, Any], task: Task, wanted: pa.Array) -> Iterator[pa.RecordBatch]:
        for batch in task.store.batches(item["files"]):
            values = [n for n in batch.column("n").to_pylist() if n % 10 in wanted.to_pylist()]
            buckets = pa.array([n % 10 for n in values], pa.int32())
            yield pa.record_batch({"bucket": buckets, "n": pa.array(values, pa.int64())}, schema=self.rows)

    def reduce(self, batches: Iterator[pa.RecordBatch], task: Task, writer: UnitWriter) -> None:
        seen: list[int] = []
        bucket = 0
        for batch in batches:
            bucket = batch.column("bucket")[0].as_py()
            seen += batch.column("n").to_pylist()
        if seen != sorted(seen):
            raise ValueError("rows came unsorted")
        writer.counts["added"] += len(seen)
        if seen:
            writer.write(
                SUMS,
                pa.record_batch(
                    {"bucket": pa.array([bucket], pa.int32()), "total": pa.array([sum(seen)])}, schema=SUMS.schema
                ),
            )
