"""A unit of work, what a worker writes for it, and the report whose existence means that it is done."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from curation.errors import ConservationError, WorkFolderError
from curation.schemas import NEARLY_ALL_DIFFER, REJECTIONS, Dataset
from curation.storage import Store

FILE_BYTES = 256 << 20  # target size of Parquet files (design: small-file discipline)
GROUP_ROWS = 32_768  # rows of a row group: what a reader holds in memory at once
REDONE = "redone"
"""Input and fact of a unit: how often it was done anew under the same identity."""
GROUP_BYTES = 8 << 20  # and no more than this, so that wide rows do not swell memory


@dataclass(frozen=True)
class Unit:
    """A content-named piece of work: `inputs` is what its stage needs, `identity` what its result depends on."""

    name: str
    inputs: dict[str, Any]
    identity: str


@dataclass(frozen=True)
class FileEntry:
    """One committed Parquet file; `path` is relative to the work folder."""

    path: str
    rows: int
    size_bytes: int
    xxh128: str


@dataclass(frozen=True)
class UnitReport:
    """What a unit did. Written last; a unit without a report has not happened."""

    unit: str
    identity: str
    counts: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    files: dict[str, list[FileEntry]] = field(default_factory=dict)
    wall_s: float = 0.0
    cpu_s: float = 0.0
    finished_at: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    def rows(self, dataset: str) -> int:
        return sum(entry.rows for entry in self.files.get(dataset, []))

    def paths(self, dataset: str) -> list[str]:
        return [entry.path for entry in self.files.get(dataset, [])]

    def content(self, dataset: str) -> list[str]:
        """Checksums of a dataset's files: equal content, equal list, wherever the files lie."""
        return [entry.xxh128 for entry in self.files.get(dataset, [])]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> UnitReport:
        files = {name: [FileEntry(**entry) for entry in entries] for name, entries in tree["files"].items()}
        return cls(**{**tree, "files": files})


class HashingFile:
    """Counts and hashes what is written through it; `also` gets it, too."""

    def __init__(self, file: BinaryIO, also: Callable[[Any], object] | None = None) -> None:
        self._file, self._also = file, also
        self._hash = xxhash.xxh3_128()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        self._file.write(data)
        self._hash.update(data)
        if self._also is not None:
            self._also(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def sync(self) -> None:
        """To the disk, before a report says that the file is there."""
        self._file.flush()
        if hasattr(self._file, "fileno") and not hasattr(self._file, "fs"):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._file.close()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _cpu_s() -> float:
    """Seconds of one core of this process, and of those that it has waited for (ffmpeg)."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _row_bytes(batch: pa.RecordBatch) -> np.ndarray[Any, Any]:
    """Bytes of each row's texts, and 8 for every column: near enough to bound what a row group holds."""
    total: np.ndarray[Any, Any] = 8 * batch.num_columns + _text_bytes(batch.columns, batch.num_rows)
    return total


def _text_bytes(columns: Sequence[pa.Array], rows: int) -> np.ndarray[Any, Any]:
    total = np.zeros(rows, np.int64)
    for column in columns:
        if pa.types.is_string(column.type):
            total += np.asarray(pc.fill_null(pc.binary_length(column), 0))
        elif pa.types.is_list(column.type) and pa.types.is_struct(column.type.value_type):
            total += _struct_bytes(column)
    return total


def _struct_bytes(lists: pa.ListArray) -> np.ndarray[Any, Any]:
    """The same of lists of structs (texts of the manifest, subtitles), and 8 for each of these."""
    items = lists.flatten()
    fields = [items.field(place) for place in range(items.type.num_fields)]
    sums = np.zeros(len(items) + 1, np.int64)
    np.cumsum(8 + _text_bytes(fields, len(items)), out=sums[1:])
    ends = np.cumsum(np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int64))
    found: np.ndarray[Any, Any] = np.diff(sums[ends], prepend=0)
    return found


def _leaves(field: pa.Field) -> list[str]:
    """Parquet's names of the columns that a field is stored in."""
    if pa.types.is_list(field.type):
        return [f"{field.name}.list.{leaf}" for leaf in _leaves(field.type.value_field.with_name("element"))]
    if pa.types.is_struct(field.type):
        return [f"{field.name}.{leaf}" for child in field.type.fields for leaf in _leaves(child)]
    return [field.name]


class _DatasetWriter:
    """Streams one dataset of one unit into Parquet files of bounded size; the same rows give the same bytes."""

    def __init__(self, store: Store, folder: str, schema: pa.Schema) -> None:
        self._store, self._folder, self._schema = store, folder, schema
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        self._sink: HashingFile | None = None
        self._parquet: pq.ParquetWriter | None = None
        self._path = ""
        self.entries: list[FileEntry] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Appends rows. Where a row group ends depends on the rows alone, never on how they came in batches."""
        if not batch.num_rows:
            return
        ends = np.cumsum(_row_bytes(batch))
        start = 0
        while start < batch.num_rows:
            room = GROUP_BYTES - self._pending_bytes + (ends[start - 1] if start else 0)
            stop = min(int(np.searchsorted(ends, room)) + 1, start + GROUP_ROWS - self._pending_rows, batch.num_rows)
            self._pending.append(batch.slice(start, stop - start))
            self._pending_rows += stop - start
            self._pending_bytes += int(ends[stop - 1] - (ends[start - 1] if start else 0))
            if self._pending_rows >= GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
                self._flush()
            start = stop

    def _flush(self) -> None:
        if not self._pending_rows:
            return
        table = pa.Table.from_batches(self._pending, schema=self._schema)
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
        if self._parquet is None:
            self._path = f"{self._folder}/{len(self.entries):05d}.parquet"
            self._sink = HashingFile(self._store.open_write(self._path))
            leaves = [leaf for field in self._schema for leaf in _leaves(field)]
            self._parquet = pq.ParquetWriter(
                pa.PythonFile(self._sink, mode="w"),
                self._schema,
                compression="zstd",
                use_dictionary=[leaf for leaf in leaves if leaf.rpartition(".")[2] not in NEARLY_ALL_DIFFER],
            )
        self._parquet.write_table(table, row_group_size=GROUP_ROWS)
        if self._sink is not None and self._sink.size >= FILE_BYTES:
            self._end_file()

    def _end_file(self) -> None:
        if self._parquet is None or self._sink is None:
            return
        self._parquet.close()
        self._sink.sync()
        self._sink.close()
        with self._store.parquet(self._path) as written:
            rows = written.metadata.num_rows
        self.entries.append(FileEntry(self._path, rows, self._sink.size, self._sink.hexdigest()))
        self._parquet = self._sink = None

    def close(self) -> list[FileEntry]:
        self._flush()
        self._end_file()
        return self.entries

    def abandon(self) -> None:
        """Lets go of an open file after a failure; the attempt's folder is never referred to."""
        if self._sink is not None:
            with suppress(OSError):  # on a full disk the close fails as the write did
                self._sink.close()


class UnitWriter:
    """What a stage's `process` writes into: rows of its datasets, rejections and named counts, committed together."""

    def __init__(self, store: Store, stage: str, version: str, unit: Unit) -> None:
        self._store, self._stage, self._version = store, stage, version
        self.unit = unit
        self._attempt = uuid4().hex[:12]
        self._writers: dict[str, _DatasetWriter] = {}
        self._expected: Counter[str] = Counter()
        self._rejections: list[tuple[Any, ...]] = []
        self._started = time.monotonic(), _cpu_s()
        self.counts: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.others: dict[str, list[FileEntry]] = {}
        """Files of this unit that are no Parquet, by a name of the stage's: they count as its datasets' files do."""
        self.facts: dict[str, str] = {}
        """What a later plan wants to know of how the unit was done."""

    def _writer(self, dataset: Dataset) -> _DatasetWriter:
        if dataset.name not in self._writers:
            base = dataset.name if dataset is not REJECTIONS else f"{dataset.name}/stage={self._stage}"
            folder = f"{base}/{self._version}/{self.unit.name}/{self._attempt}"
            self._writers[dataset.name] = _DatasetWriter(self._store, folder, self.schema(dataset))
        return self._writers[dataset.name]

    def schema(self, dataset: Dataset) -> pa.Schema:
        """The columns that a dataset's rows are written with."""
        return dataset.schema

    def write(self, dataset: Dataset, batch: pa.RecordBatch) -> None:
        """Appends rows; the batch must have the dataset's schema."""
        self._expected[dataset.name] += batch.num_rows
        self._writer(dataset).write(batch)

    def reject(
        self,
        reason: str,
        *,
        id: str | None = None,
        file: str | None = None,
        offset: int | None = None,
        detail: str | None = None,
    ) -> None:
        """Records one refused thing."""
        self.rejected[str(reason)] += 1
        self._rejections.append((self._stage, self.unit.name, id, file, offset, str(reason), detail))
        if len(self._rejections) >= GROUP_ROWS:
            self._flush_rejections()

    def _flush_rejections(self) -> None:
        if self._rejections:
            columns = [list(column) for column in zip(*self._rejections, strict=True)]
            self._rejections = []
            self.write(
                REJECTIONS,
                pa.RecordBatch.from_arrays(
                    [pa.array(values, kind) for values, kind in zip(columns, REJECTIONS.schema.types, strict=True)],
                    schema=REJECTIONS.schema,
                ),
            )

    def commit(self) -> UnitReport:
        """Closes the files, reads their footers back, and writes the report.

        Raises ConservationError where the files do not hold what was written.
        """
        self._flush_rejections()
        if REDONE in self.unit.inputs:
            self.facts[REDONE] = str(self.unit.inputs[REDONE])
        files = {name: writer.close() for name, writer in self._writers.items()}
        files |= self.others
        for name, entries in files.items():
            committed = sum(entry.rows for entry in entries)
            if name not in self.others and committed != self._expected[name]:
                raise ConservationError(
                    f"{self._stage}/{self.unit.name}: {self._expected[name]} rows of {name} were written but the "
                    f"files hold {committed}: check the disk, then run again"
                )
        wall, cpu = self._started
        report = UnitReport(
            self.unit.name,
            self.unit.identity,
            dict(sorted(self.counts.items())),
            dict(sorted(self.rejected.items())),
            files,
            round(time.monotonic() - wall, 3),
            round(_cpu_s() - cpu, 3),
            datetime.now(UTC).isoformat(timespec="milliseconds"),  # the newest of several is looked for
            dict(sorted(self.facts.items())),
        )
        self._store.put_json(report_path(self._stage, self.unit), report.to_json())
        return report

    def abandon(self) -> None:
        for writer in self._writers.values():
            writer.abandon()


def reports_folder(stage: str) -> str:
    return f"_runs/{stage}/reports"


def report_path(stage: str, unit: Unit) -> str:
    return f"{reports_folder(stage)}/{report_name(unit)}"


def report_name(unit: Unit) -> str:
    """Reports are kept by what a unit's result depends on, so whoever needs it again finds it, in whatever version."""
    return f"{unit.name}.{unit.identity[:16]}.json"


def stored_report(store: Store, stage: str, unit: Unit) -> UnitReport | None:
    """A unit's report; None where there is none or it is damaged, so that the unit is done again."""
    report = read_report(store, report_path(stage, unit))
    return report if report is not None and report.identity == unit.identity else None


def read_report(store: Store, path: str) -> UnitReport | None:
    """A report by its file; None where there is none or it is damaged."""
    try:
        return UnitReport.from_json(store.read_json(path))
    except (WorkFolderError, TypeError, KeyError, AttributeError):
        return None


def worker_name() -> str:
    """Host and process, for messages."""
    return f"{os.uname().nodename}:{os.getpid()}"
