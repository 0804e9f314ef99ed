"""What a stage is: two kinds, and nothing else. Stages are Spark-free; the engine hands them their work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from curation.digests import digest
from curation.errors import ConservationError, WorkFolderError
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import Dataset
from curation.storage import Store


@dataclass(frozen=True)
class Law:
    """A conservation law: the sum of the counts on the left equals the sum on the right.

    Names are counts of the unit reports, `rows:DATASET` (committed rows written), `in:DATASET` (committed rows of an
    input), `STAGE.COUNT` (a count of a stage before), `rejected:REASON`; a trailing * takes all that begin so.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]

    def check(self, stage: str, counts: Mapping[str, int]) -> None:
        """Raises ConservationError with both sides where they differ, ValueError for a dataset that is not there."""
        for name in (*self.left, *self.right):
            if name.startswith(("rows:", "in:")) and name not in counts:
                raise ValueError(f"a law of {stage} names {name}, which is none of its datasets")
        left, right = (sum(_matching(names, counts).values()) for names in (self.left, self.right))
        if left != right:
            sides = [
                " + ".join(f"{name} {value:,}" for name, value in _matching(names, counts).items()) or "0"
                for names in (self.left, self.right)
            ]
            raise ConservationError(
                f"{stage}: rows were lost or doubled: {sides[0]} is not {sides[1]}; nothing was published. "
                "This is a defect of curation: please report it with the recipe"
            )


def _matching(names: Sequence[str], counts: Mapping[str, int]) -> dict[str, int]:
    found = {}
    for name in names:
        if name.endswith("*"):
            found.update({key: value for key, value in counts.items() if key.startswith(name[:-1])})
        else:
            found[name] = counts.get(name, 0)
    return found


@dataclass(frozen=True)
class Manifest:
    """A complete version of a stage's datasets: what `_current.json` holds."""

    stage: str
    version: str
    inputs: dict[str, str]
    settings: dict[str, Any]
    context: dict[str, Any]
    code_version: str
    counts: dict[str, int]
    rejected: dict[str, int]
    reports: dict[str, UnitReport]
    wall_s: float
    finished_at: str

    def paths(self, dataset: str) -> list[str]:
        return [path for name in sorted(self.reports) for path in self.reports[name].paths(dataset)]

    def rows(self, dataset: str) -> int:
        return sum(report.rows(dataset) for report in self.reports.values())

    def size_bytes(self, dataset: str) -> int:
        return sum(entry.size_bytes for report in self.reports.values() for entry in report.files.get(dataset, []))

    def content(self, dataset: str) -> str:
        """Digest of a dataset's content, unit by unit."""
        return digest([(name, self.reports[name].content(dataset)) for name in sorted(self.reports)])

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "reports": {name: report.to_json() for name, report in self.reports.items()}}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Manifest:
        reports = {name: UnitReport.from_json(report) for name, report in tree["reports"].items()}
        return cls(**{**tree, "reports": reports})


@dataclass(frozen=True)
class Task:
    """What travels to a worker beside the unit: everything `process` may read."""

    store: Store
    version: str
    settings: dict[str, Any]
    context: dict[str, Any] = field(default_factory=dict)
    run: str = ""  # told apart from every other run, and of no influence on results
    tasks: int = 1  # units that are worked on at the same time, at most
    claim: Any = None  # the lease of a unit that must be done once

    def check_claim(self) -> bool:
        """Raises WorkFolderError where another attempt at the unit took over; False otherwise. Asks nobody."""
        if self.claim is not None and self.claim.lost is not None:
            raise WorkFolderError(self.claim.lost)
        return False


class Engine(Protocol):
    """Hands work to workers: Spark, or this process."""

    def map(self, function: Any, items: Sequence[Any]) -> list[Any]: ...

    def tasks(self) -> int:
        """Tasks that run at the same time."""
        ...


@dataclass(frozen=True)
class Planning:
    """What a stage may look at when it plans, on the driver."""

    store: Store
    recipe: Any  # its pipeline's kind of recipe
    inputs: dict[str, Manifest]
    settings: dict[str, Any]
    engine: Engine | None

    def require_engine(self) -> Engine:
        if self.engine is None:
            raise RuntimeError("this stage's plan needs an engine")
        return self.engine


class Stage(ABC):
    """Common to both kinds. `outputs[0]` is the dataset that carries the version."""

    name: ClassVar[str]
    about: ClassVar[str]
    after: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[tuple[Dataset, ...]]
    laws: ClassVar[tuple[Law, ...]] = ()
    code_version: ClassVar[int] = 1  # raised when the same inputs and settings give another result

    def needs(self, recipe: Any) -> tuple[str, ...]:
        """Names of the stages whose results it reads: `after`, and those that only some recipes have."""
        return self.after

    @abstractmethod
    def settings(self, recipe: Any) -> dict[str, Any]:
        """The part of the recipe that the result depends on, as plain values."""

    def prepare(self, planning: Planning) -> dict[str, Any]:
        """Facts found on the driver before units are planned; plain values, kept in the lineage."""
        return {}

    @abstractmethod
    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        """All units, whether done or not, in a fixed order."""

    def settle(self, planning: Planning, manifest: Manifest) -> None:
        """After every run, whether or not it did something: lets go of what only served to get here. On the driver."""
        return

    def is_final(self, unit: Unit, report: UnitReport) -> bool:
        """Whether a finished unit stays as it is; False where its failure may have passed by the next run."""
        return True

    def identity(self, *content: Any) -> str:
        """Digest of what a unit's result depends on, the stage's code and schemas included."""
        schemas = [(dataset.name, dataset.version) for dataset in self.outputs]
        return digest(self.name, self.code_version, schemas, *content)


class UnitStage(Stage):
    """Independent units, each a function from its inputs to rows.

    Where `once` is set, what a unit does shows outside (requests to hosts): of several attempts at a unit, as
    speculation and lost executors make them, one works and the others wait for it.
    """

    once: ClassVar[bool] = False

    @abstractmethod
    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        """Does one unit; a batch at a time in memory."""

    def committed(self, unit: Unit, task: Task, report: UnitReport) -> None:
        """After a unit's report is written: lets go of what only served to get there. May never come to pass."""
        return


class ShuffleStage(Stage):
    """Rows are mapped from items, brought together by unit, sorted, and reduced unit by unit."""

    rows: ClassVar[pa.Schema]  # of what `map` yields; the first column is the unit's number
    order: ClassVar[tuple[str, ...]]  # columns after the first by which each unit's rows are sorted

    @abstractmethod
    def items(self, planning: Planning) -> list[dict[str, Any]]:
        """What is mapped."""

    @abstractmethod
    def map(self, item: dict[str, Any], task: Task, wanted: pa.Array) -> Iterator[pa.RecordBatch]:
        """Rows of one item, of the units whose numbers are wanted."""

    @abstractmethod
    def reduce(self, batches: Iterator[pa.RecordBatch], task: Task, writer: UnitWriter) -> None:
        """Writes one unit from its sorted rows."""
