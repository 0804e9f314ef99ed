"""Rows whose bytes lie in tar shards: written once, taken over by later units, and written anew without what goes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa

from curation.digests import digest
from curation.errors import StageError
from curation.layouts import stored_rows
from curation.media.shards import Sample, sidecar, write_shard
from curation.runner.units import FileEntry, HashingFile, UnitReport, UnitWriter
from curation.schemas import Dataset
from curation.storage import Store

TARS = "tars"

Row = dict[str, Any]
Place = dict[str, Any]
"""What is told where a file lies: its `offset` and `size_bytes`. A row, or a part of one."""
Data = Callable[[Row, str], bytes | None]


@dataclass(frozen=True)
class RowShards:
    """How the rows of one dataset lie in shards.

    dataset: one row per shard (path, samples, size_bytes, sha256). key: the column that names a sample. files: of a
    row, the extension and the place of each file. about: what its JSON says.
    """

    dataset: Dataset
    key: str
    files: Callable[[Row], list[tuple[str, Place]]]
    about: Callable[[Row], Row]

    def put(self, rows: list[Row], path: str, data: Data, store: Store) -> tuple[FileEntry, str]:
        """Writes a shard of these rows, in their order, and tells them where they lie; also gives the shard's SHA-256.

        data: the bytes of a row's file by its extension. One sample at a time is in memory.
        """
        with store.whole(path) as file:
            sha256 = hashlib.sha256()
            sink = HashingFile(file, sha256.update)
            members = write_shard(sink, (self._sample(row, data) for row in rows))
        found = {(member.key, member.ext): member for member in members}
        for row in rows:
            row["path"] = path
            for ext, place in self.files(row):
                member = found[row[self.key], ext]
                place["offset"], place["size_bytes"] = member.offset, member.size_bytes
        return FileEntry(path, len(rows), sink.size, sink.hexdigest()), sha256.hexdigest()

    def write(self, rows: list[Row], name: str, data: Data, store: Store, writer: UnitWriter) -> None:
        """Rows as a shard of the unit. Its name ends in a digest of what rows say and of their files' SHA-256: twice is
        once. data: as for `put`; other settings of what is not in these digests need another `name`.
        """
        if not rows:
            return
        content = digest([(row[self.key], row["stored_sha256"], self.about(row)) for row in rows])[:12]
        entry, sha256 = self.put(rows, f"{name}-{content}.tar", data, store)
        shard = {"path": entry.path, "samples": entry.rows, "size_bytes": entry.size_bytes, "sha256": sha256}
        self._add(entry, shard, writer)

    def keep(self, report: UnitReport, rows: list[Row], store: Store, writer: UnitWriter) -> None:
        """Takes over a unit's shards, with those of their samples alone that some rows are about.

        A shard of which less is left is written anew, and the rows told so; the old one stays for who refers to it.
        """
        own: dict[str, list[Row]] = {}
        for row in rows:
            own.setdefault(row["path"], []).append(row)
        told = {row["path"]: row for row in stored_rows(self.dataset, store, report.paths(self.dataset.name))}
        for entry in report.files.get(TARS, []):
            left = sorted(own.get(entry.path, []), key=lambda row: str(row[self.key]))
            if len(left) == entry.rows:
                sizes = {"samples": entry.rows, "size_bytes": entry.size_bytes}
                self._add(entry, {**told.get(entry.path, {}), "path": entry.path, **sizes}, writer)
                continue
            with self.reading(left, store) as data:
                self.write(left, entry.path.rpartition("-")[0], data, store, writer)

    @contextmanager
    def reading(self, rows: list[Row], store: Store) -> Iterator[Data]:
        """Reads the files of rows where they lie now, also after the rows were told of another place."""
        places = {
            (row[self.key], ext): (row["path"], place["offset"], place["size_bytes"])
            for row in rows
            for ext, place in self.files(row)
        }
        with ExitStack() as opened:
            files: dict[str, Any] = {}

            def data(row: Row, ext: str) -> bytes:
                path, offset, size = places[row[self.key], ext]
                if path not in files:
                    opened.close()  # rows of a shard stand together: one is open at a time
                    files.clear()
                    files[path] = opened.enter_context(fsspec.open(store.url(path), "rb"))
                files[path].seek(offset)
                return bytes(files[path].read(size))

            yield data

    def _sample(self, row: Row, data: Data) -> Sample:
        parts = {}
        for ext, _ in self.files(row):
            found = data(row, ext)
            if found is None:
                raise StageError(f"the bytes of {row[self.key]} are gone: please report it")
            parts[ext] = found
        return Sample(row[self.key], {**parts, "json": sidecar(self.about(row))})

    def _add(self, entry: FileEntry, shard: Row, writer: UnitWriter) -> None:
        writer.others.setdefault(TARS, []).append(entry)
        writer.counts["shard_samples"] += shard["samples"]
        writer.write(self.dataset, pa.RecordBatch.from_pylist([shard], schema=writer.schema(self.dataset)))
