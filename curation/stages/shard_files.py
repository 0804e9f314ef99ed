"""One exported tar and what is told of it: written from samples, linked from another set, written anew without some."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import fsspec
import msgspec
import pyarrow as pa

from curation.export.webdataset import read_shard
from curation.layouts import stored_rows
from curation.media.shards import BLOCK, Sample, write_shard
from curation.runner.units import FileEntry, HashingFile, Unit, UnitReport, UnitWriter, stored_report
from curation.schemas import REJECTIONS, SHARD_SAMPLES, SHARDS
from curation.stages.row_shards import TARS
from curation.storage import Store

CONTENT: Final = "content"
"""Fact of a unit's report: what is in its tar, by the rows of the manifest; empty where some of them are not."""
SHA256: Final = "sha256"
"""Fact of a unit's report: of its tar."""

_ROWS = 4096


class Exported(msgspec.Struct, frozen=True):
    """What is told of a sample that a tar holds; read from its JSON, too."""

    sample_id: str
    media_id: str
    modality: str


@dataclass
class TarWriter:
    """Writes the tar of one unit, `path`, under its final name once it is whole, and tells of it."""

    writer: UnitWriter
    split: str
    path: str
    _told: list[Exported] = field(default_factory=list)

    def write(self, store: Store, samples: Iterable[tuple[Exported, Sample]], content: str) -> None:
        """One sample at a time is in memory. content: see CONTENT; told unless a sample was refused on the way."""
        with store.whole(self.path) as file:
            sha256 = hashlib.sha256()
            sink = HashingFile(file, sha256.update)
            members = write_shard(sink, self._noted(samples))
        starts: dict[str, int] = {}
        for member in members:
            starts.setdefault(member.key, member.offset - BLOCK)
        entry = FileEntry(self.path, len(self._told), sink.size, sink.hexdigest())
        columns = {
            "sample_id": pa.array([each.sample_id for each in self._told], pa.string()),
            "media_id": pa.array([each.media_id for each in self._told], pa.string()),
            "offset": pa.array(starts.values(), pa.int64()),
        }
        videos = sum(each.modality == "video" for each in self._told)
        facts = {SHA256: sha256.hexdigest(), CONTENT: "" if self.writer.rejected else content}
        self.tell(entry, pa.table(columns), videos, facts)

    def _noted(self, samples: Iterable[tuple[Exported, Sample]]) -> Iterator[Sample]:
        for told, sample in samples:
            self._told.append(told)
            yield sample

    def tell(self, entry: FileEntry, samples: pa.Table, videos: int, facts: dict[str, str]) -> None:
        """samples: sample_id, media_id, offset. videos: how many of them are."""
        writer, rows = self.writer, samples.num_rows
        writer.others[TARS] = [entry]
        writer.facts.update(facts)
        both = {"image": rows - videos, "video": videos}
        writer.counts.update({f"samples:{modality}": number for modality, number in both.items() if number})
        fixed = {"split": self.split, "path": self.path}
        columns = {name: samples.column(name) for name in SHARD_SAMPLES.columns if name not in fixed}
        columns |= {name: pa.repeat(pa.scalar(value), rows) for name, value in fixed.items()}
        table = pa.table([columns[name] for name in SHARD_SAMPLES.columns], schema=SHARD_SAMPLES.schema)
        for batch in table.to_batches(max_chunksize=_ROWS):
            writer.write(SHARD_SAMPLES, batch)
        sizes = {"samples": rows, "images": both["image"], "videos": videos, "size_bytes": entry.size_bytes}
        shard = {**fixed, "name": self.path.rpartition("/")[2], **sizes, "sha256": facts[SHA256]}
        writer.write(SHARDS, pa.RecordBatch.from_pylist([shard], schema=SHARDS.schema))


def linked(store: Store, stage: str, tar: TarWriter, same: list[list[str]], content: str) -> bool:
    """Takes over the tar of another set that has the same content; whether one was there still.

    same: name and identity of units that had it, before anything was forgotten.
    """
    for name, identity in same:
        report = stored_report(store, stage, Unit(name, {}, identity))
        if report is None or report.facts.get(CONTENT) != content:
            continue
        (entry,) = report.files[TARS]
        if store.size(entry.path) != entry.size_bytes:
            continue
        store.copy(entry.path, tar.path)
        samples = store.table(report.paths(SHARD_SAMPLES.name), SHARD_SAMPLES.schema)
        entry = FileEntry(tar.path, entry.rows, entry.size_bytes, entry.xxh128)
        facts = {SHA256: report.facts[SHA256], CONTENT: content}
        tar.tell(entry, samples, report.counts.get("samples:video", 0), facts)
        return True
    return False


def keep_samples(report: UnitReport, without: frozenset[str], store: Store, writer: UnitWriter) -> None:
    """Writes the tar of a unit anew in its place, without the samples of some media, and tells of what is left.

    Everything is read from the tar itself, so it may have been written anew already, by who was killed before telling.
    """
    rejections = stored_rows(REJECTIONS, store, report.paths(REJECTIONS.name))
    for row in rejections:
        if row["id"] not in without:
            writer.reject(row["reason"], **{name: row[name] for name in ("id", "file", "offset", "detail")})
    writer.counts.update({name: n for name, n in report.counts.items() if not name.startswith("samples:")})
    for entry in report.files.get(TARS, []):
        with fsspec.open(store.url(entry.path), "rb") as file:
            TarWriter(writer, entry.path.split("/")[-2], entry.path).write(store, _left(file, without), "")


def _left(file: Any, without: frozenset[str]) -> Iterator[tuple[Exported, Sample]]:
    for sample in read_shard(file):
        told = msgspec.json.decode(sample.parts["json"], type=Exported)
        if told.media_id not in without:
            yield told, sample
