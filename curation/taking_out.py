"""Takes forgotten media out of all that a work folder holds, current or not.

A unit's files are written anew under the report that they have; then the manifests are told; then the old files go.
Until they are gone they tell what is left to do, so the work can stop anywhere and be taken up again.
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.export.webdataset import FOLDER as EXPORTED
from curation.media.journal import read_segment
from curation.media.keeping import refused_row
from curation.media.refusals import ABOUT, FORGOTTEN, Mask, Tombstones, about_in_lists, blanked
from curation.runner.catalog import Catalog
from curation.runner.lease import RUN_FILE, Lease
from curation.runner.stage import Manifest, Stage
from curation.runner.units import Unit, UnitReport, UnitWriter, read_report, report_path, reports_folder
from curation.schemas import CANDIDATES, CLIPS, MANIFEST, MEDIA, REJECTIONS, SHARD_SAMPLES, Dataset
from curation.stages.buckets import conformed
from curation.stages.captions import ANSWERS
from curation.stages.clips import PARTS, keep_clips
from curation.stages.fetch_plan import JOURNALS, LIST, LISTS
from curation.stages.fetch_videos import FOLDER as VIDEO_FILES
from curation.stages.fetch_videos import keep_videos
from curation.stages.ledger import IMAGE_SHARDS, ledger_rows, write_rows
from curation.stages.pairs import origin_path
from curation.stages.row_shards import TARS
from curation.stages.shard_files import keep_samples
from curation.stages.shard_index import renew_index
from curation.storage import Store

_URLS = ("media_url", "final_url")
_SCRATCH = re.compile(r"\..+\.[0-9a-f]{8}").fullmatch
"""Names of files that a killed process was about to give their real name (Store.put, Store.whole)."""

Reports = dict[tuple[str, str], UnitReport]
"""By unit and identity."""


def parquet_files(store: Store, folder: str) -> list[str]:
    """All Parquet files below a folder, of whatever version; not those that a kill left under a scratch name."""
    files = (path for path in store.sizes(folder) if path.endswith(".parquet"))
    return sorted(path for path in files if not path.rpartition("/")[2].startswith("."))


@dataclass
class TakingOut:
    """media: taken out of the ledger or the candidates; shards, files: rewritten or removed; bytes: of files."""

    store: Store
    catalog: Catalog
    tombstones: Tombstones
    lease: Lease
    shards: int = 0
    files: int = 0
    bytes_removed: int = 0
    bytes_written: int = 0
    _media: set[str] = field(default_factory=set)
    _touched: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))

    @property
    def media(self) -> int:
        return len(self._media)

    def run(self) -> None:
        self._touched = self._media_with_forgotten_texts()
        # Exports first: a tar does not say of whom a text in it was said, as the datasets do that are touched after it.
        for stage in sorted(self.catalog.stages.values(), key=lambda stage: SHARD_SAMPLES not in stage.outputs):
            self._stage(stage)
        self._plans()
        self._journals()
        self._shards()
        self._scratch()

    def _stage(self, stage: Stage) -> None:
        """One stage's datasets, of all versions."""
        dirty = {
            path
            for dataset in stage.outputs
            if set(ABOUT) & set(dataset.columns)
            for path in parquet_files(self.store, _folder(stage, dataset))
            if self._is_dirty(path, dataset)
        }
        if not dirty:
            return
        reports = stored_reports(self.store, stage)
        for key, report in reports.items():
            if dirty & _paths(report):
                reports[key] = self._rewritten(stage, report, dirty)
        for version in sorted(self.store.names(f"_runs/{stage.name}")):
            manifest = self.catalog.stored(stage.name, version)
            if manifest is not None:
                self._tell(stage, manifest, reports, dirty)
        for path in sorted(dirty):
            self._remove(path)
            self.files += 1

    def _mask(self, batch: pa.RecordBatch) -> Mask:
        """Rows that are about forgotten media."""
        nothing = pa.nulls(batch.num_rows, pa.string())
        mask = np.zeros(batch.num_rows, np.bool_)
        for name in ABOUT:
            if name in batch.schema.names:
                mask |= self.tombstones.of(batch.column(name), nothing)
        for name in _URLS:
            if name in batch.schema.names:
                mask |= self.tombstones.of(nothing, batch.column(name))
        for name, about in about_in_lists(batch.schema):
            lists = batch.column(name)
            ids = pc.struct_field(lists.flatten(), about)
            gone = self.tombstones.of(ids, pa.nulls(len(ids), pa.string()))
            mask[np.asarray(pc.list_parent_indices(lists))[gone]] = True
            mask |= np.asarray(pc.is_in(batch.column("media_id"), value_set=self._touched))  # captions of them, too
        if "captioner" in batch.schema.names:  # what models said may repeat what they were told
            is_ours = pc.and_(pc.is_in(batch.column("media_id"), value_set=self._touched),
                              pc.is_null(batch.column("text_media_id")))  # fmt: skip
            mask |= np.asarray(is_ours)
        return mask

    def _media_with_forgotten_texts(self) -> pa.Array:
        """media_id of media that stay, of which a text was said about one that goes: a copy of it."""
        found: set[str] = set()
        for stage in self.catalog.stages.values():
            for dataset in stage.outputs:
                if {"media_id", "text_media_id"} <= set(dataset.columns):
                    paths = parquet_files(self.store, _folder(stage, dataset))
                    for batch in self.store.batches(paths, ["media_id", "text_media_id"]):
                        nothing = pa.nulls(batch.num_rows, pa.string())
                        gone = self.tombstones.of(batch.column("text_media_id"), nothing)
                        found |= set(batch.column("media_id").filter(pa.array(gone)).to_pylist())
        return pa.array(sorted(found - self.tombstones.media_ids), pa.string())

    def _is_dirty(self, path: str, dataset: Dataset) -> bool:
        """Whether there is anything left in a file of a dataset."""
        columns = dataset.columns
        wanted = [name for name in (*ABOUT, *_URLS, "captioner") if name in columns]
        wanted += [f"{name}.list.element.{about}" for name, about in about_in_lists(dataset.schema)]
        dirty = False
        for batch in self.store.batches([path], wanted):
            left = self._left(batch)
            if dataset is SHARD_SAMPLES:
                left |= np.asarray(pc.is_in(batch.column("media_id"), value_set=self._touched))
            dirty = dirty or bool(left.any())
            if "media_url" in columns and dataset is not MANIFEST:  # it holds media that stay, with texts that go
                self._media |= set(batch.column("media_id").filter(pa.array(left)).to_pylist())
        return dirty

    def _left(self, batch: pa.RecordBatch) -> Mask:
        """The rows of the mask that are not blank yet."""
        mask = self._mask(batch)
        if "media_url" in batch.schema.names:
            mask &= np.asarray(pc.not_equal(batch.column("media_url"), ""))
        return mask

    def _rewritten(self, stage: Stage, report: UnitReport, dirty: set[str]) -> UnitReport:
        """The unit's files without forgotten media, under the same report."""
        version = min(dirty & _paths(report)).split("/")[-4]
        unit = Unit(report.unit, {}, report.identity)
        writer = UnitWriter(self.store, stage.name, version, unit)
        if MEDIA in stage.outputs:
            self._ledger(report, writer)
        elif CLIPS in stage.outputs:
            keep_clips(report, self.tombstones.media_ids, self.store, writer)
        elif SHARD_SAMPLES in stage.outputs:
            keep_samples(report, self._not_exported, self.store, writer)
            self.shards += len(report.files.get(TARS, []))
            self.bytes_removed += sum(entry.size_bytes for entry in report.files.get(TARS, []))
        else:
            self._rows(stage, report, dirty, writer)
        told = {name: getattr(report, name) for name in ("finished_at", "wall_s", "cpu_s")}
        made = writer.commit()
        done = replace(made, **told, facts={**report.facts, **made.facts})
        self.store.put_json(report_path(stage.name, unit), done.to_json())
        before = {entry for entries in report.files.values() for entry in entries}
        self.bytes_written += sum(
            entry.size_bytes for entries in done.files.values() for entry in entries if entry not in before
        )
        return done

    @property
    def _not_exported(self) -> frozenset[str]:
        """Media whose samples leave exported tars: what these tell of a text is not told apart from the rest."""
        return self.tombstones.media_ids | set(self._touched.to_pylist())

    def _ledger(self, report: UnitReport, writer: UnitWriter) -> None:
        """Rows of forgotten media say nothing but that; shards are written anew without them."""
        rows = list(ledger_rows(report, self.store).values())
        columns = {name: [row[name] for row in rows] for name in ("media_id", *_URLS)}
        types = [pa.field(name, pa.string()) for name in columns]
        mask = self._mask(pa.RecordBatch.from_pydict(columns, schema=pa.schema(types)))
        rows = [refused_row(row, FORGOTTEN) if gone else row for row, gone in zip(rows, mask, strict=True)]
        writer.counts["planned_media"] += report.counts["planned_media"]
        kept = [row for row in rows if row["status"] == "ok"]
        IMAGE_SHARDS.keep(report, [row for row in kept if row["modality"] == "image"], self.store, writer)
        keep_videos(report, kept, self.store, writer)
        write_rows(sorted(rows, key=lambda row: str(row["media_id"])), writer)

    def _rows(self, stage: Stage, report: UnitReport, dirty: set[str], writer: UnitWriter) -> None:
        """Candidates of forgotten media become blank, so that every count stays true; all other rows go."""
        writer.counts.update(report.counts)
        writer.rejected.update(report.rejected)
        datasets = {dataset.name: dataset for dataset in stage.outputs}
        for name, entries in report.files.items():
            if not dirty & {entry.path for entry in entries}:
                writer.others[name] = entries
                continue
            schema = datasets[name].schema
            for batch in self.store.batches([entry.path for entry in entries]):
                rows = conformed({column: batch.column(column) for column in schema.names}, schema)
                gone = self._mask(rows)
                blank = name == CANDIDATES.name
                writer.write(datasets[name], blanked(rows, gone) if blank else rows.filter(pa.array(~gone)))

    def _tell(self, stage: Stage, manifest: Manifest, reports: Reports, dirty: set[str]) -> None:
        """A manifest of the files that are there now, for what referred to the old ones."""
        changed = {}
        for name, old in manifest.reports.items():
            if not dirty & _paths(old):
                continue
            key = old.unit, old.identity
            if key not in reports or dirty & _paths(reports[key]):
                reports[key] = self._rewritten(stage, old, dirty)
            changed[name] = reports[key]
            if stage.name == "extract":
                self._put_origins(old, reports[key])
        if not changed:
            return
        told = {**manifest.reports, **changed}
        counts: Counter[str] = Counter()
        for report in told.values():
            counts.update(report.counts)
        manifest = replace(manifest, reports=told, counts=dict(sorted(counts.items())))
        self.lease.check()
        if SHARD_SAMPLES in stage.outputs:
            renew_index(self.store, manifest)
        pointer = self.catalog.pointer(stage.name)
        if pointer is not None and pointer.version == manifest.version:
            self.catalog.publish(replace(manifest, inputs=pointer.inputs))
        else:
            self.store.put_json(f"_runs/{stage.name}/{manifest.version}/manifest.json", manifest.to_json())

    def _put_origins(self, old: UnitReport, new: UnitReport) -> None:
        for name in new.files:
            before, after = old.content(name), new.content(name)
            if before != after:
                known = self.store.read_json(origin_path(before))
                self.store.put_json(origin_path(after), before if known is None else known)

    def _plans(self) -> None:
        """Lists of planned media keep their names and ids."""
        for path in parquet_files(self.store, LISTS):
            table = self.store.table([path], LIST).combine_chunks()
            for batch in table.to_batches():  # one: a list is a small file
                if (left := self._left(batch)).any():
                    rows = [refused_row(row, FORGOTTEN) if gone else row
                            for row, gone in zip(batch.to_pylist(), left, strict=True)]  # fmt: skip
                    self.store.put_table(path, pa.Table.from_pylist(rows, schema=LIST))
                    self.files += 1

    def _journals(self) -> None:
        """What stopped units have so far."""
        for path in parquet_files(self.store, JOURNALS):
            table = read_segment(self.store.read(path))
            if table is None:
                self._remove(path)  # damaged: nobody can tell what it holds
                self.files += 1
                continue
            gone = np.concatenate([np.zeros(0, np.bool_), *map(self._mask, table.to_batches())])
            if not gone.any():
                continue
            self._media |= set(table.column("media_id").filter(pa.array(gone)).to_pylist())
            if gone.all():
                self._remove(path)
            else:
                sink = io.BytesIO()
                pq.write_table(table.filter(pa.array(~gone)), sink, compression="none")
                self.store.put(path, sink.getvalue())
            self.files += 1

    def _shards(self) -> None:
        """Shards that nothing refers to any more, and that hold forgotten media."""
        holding = {MEDIA, CLIPS, SHARD_SAMPLES}
        stages = [stage for stage in self.catalog.stages.values() if holding & set(stage.outputs)]
        folders = (f"{MEDIA.name}/{TARS}", f"{CLIPS.name}/{TARS}", EXPORTED)
        paths = {path for folder in folders for path in self.store.sizes(folder) if path.endswith(".tar")}
        for stage in stages if paths else []:
            paths -= {path for report in stored_reports(self.store, stage).values() for path in _paths(report)}
            for version in self.store.names(f"_runs/{stage.name}"):
                manifest = self.catalog.stored(stage.name, version)
                reports = {} if manifest is None else manifest.reports
                paths -= {path for report in reports.values() for path in _paths(report)}
        for path in sorted(paths):
            exported = path.startswith(f"{EXPORTED}/")
            if (self._not_exported if exported else self.tombstones.media_ids) & set(_keys(self.store, path)):
                self._remove(path)
                self.shards += 1
        for path in [*self.store.sizes(VIDEO_FILES), *self.store.sizes(PARTS)]:
            if path.rpartition("/")[2].partition("-")[0] in self.tombstones.media_ids:
                self._remove(path)
                self.files += 1

    def _scratch(self) -> None:
        """What killed runs left: half-written files, causes of failures, and Spark's, which may hold any row."""
        self.store.remove_tree("_logs")
        self.store.remove_tree(ANSWERS)  # of stopped units; nobody can tell whose captions they are
        self.store.remove_tree("_runs/fetch/halts")  # why fetching was stopped, with names of hosts
        if self.store.is_local:
            shutil.rmtree(Path(self.store.root) / "_spark", ignore_errors=True)
        for path in self.store.sizes(""):
            if _SCRATCH(path.rpartition("/")[2]) and RUN_FILE not in path:  # our own lease beats
                self._remove(path)

    def _remove(self, path: str) -> None:
        self.bytes_removed += self.store.size(path) or 0
        self.store.remove(path)


def stored_reports(store: Store, stage: Stage) -> Reports:
    """All reports of a stage; one that is damaged counts as none, as a run has it."""
    found = {}
    folder = reports_folder(stage.name)
    for name in sorted(store.names(folder)):
        report = read_report(store, f"{folder}/{name}")
        if report is not None:
            found[report.unit, report.identity] = report
    return found


def _folder(stage: Stage, dataset: Dataset) -> str:
    return f"{dataset.name}/stage={stage.name}" if dataset is REJECTIONS else dataset.name


def _paths(report: UnitReport) -> set[str]:
    return {entry.path for entries in report.files.values() for entry in entries}


def _keys(store: Store, path: str) -> Iterator[str]:
    """Keys of a shard's samples, as far as it is whole."""
    with fsspec.open(store.url(path), "rb") as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    yield member.name.partition(".")[0].partition("-")[0]  # of clips: media_id-begin-end
        except tarfile.TarError:
            return
