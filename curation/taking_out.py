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
import pyarrow.parquet as pq

from curation.export.webdataset import FOLDER as EXPORTED
from curation.forgotten_rows import URLS, ForgottenRows, dataset_folder, parquet_files
from curation.layouts import RewritingWriter, fitted, stored_rows, stored_schema
from curation.media.journal import read_segment
from curation.media.keeping import refused_row
from curation.media.refusals import FORGOTTEN, Tombstones, blanked
from curation.runner.catalog import Catalog
from curation.runner.lease import RUN_FILE, Lease
from curation.runner.stage import Manifest, Stage
from curation.runner.units import UnitReport, UnitWriter, read_report, report_path, reports_folder
from curation.schemas import CANDIDATES, CLIPS, MEDIA, SHARD_SAMPLES
from curation.stages.captions import ANSWERS
from curation.stages.clips import PARTS, keep_clips
from curation.stages.fetch_plan import JOURNALS, LISTS
from curation.stages.fetch_videos import FOLDER as VIDEO_FILES
from curation.stages.fetch_videos import keep_videos
from curation.stages.ledger import IMAGE_SHARDS, write_rows
from curation.stages.pairs import origin_path
from curation.stages.row_shards import TARS
from curation.stages.shard_files import keep_samples
from curation.stages.shard_index import renew_index
from curation.storage import Store

_HOLDING = frozenset({MEDIA, CLIPS, SHARD_SAMPLES})
"""Datasets whose rows tell of bytes in shards."""
_SCRATCH = re.compile(r"\..+\.[0-9a-f]{8}").fullmatch
"""Names of files that a killed process was about to give their real name (Store.put, Store.whole)."""

Reports = dict[tuple[str, str], UnitReport]
"""By unit and identity."""


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

    @property
    def media(self) -> int:
        return len(self._media)

    def run(self) -> None:
        self._gone = ForgottenRows(self.store, self.catalog, self.tombstones)
        # Bytes first, and of these exports: a tar does not say of whom a text in it was said, as other datasets do,
        # and whatever goes wrong with a row must not leave a picture.
        stages = sorted(self.catalog.stages.values(), key=lambda stage: SHARD_SAMPLES not in stage.outputs)
        for stage in stages:
            if _HOLDING & set(stage.outputs):
                self._stage(stage)
        self._shards()
        self._journals()
        self._scratch()
        for stage in stages:
            if not _HOLDING & set(stage.outputs):
                self._stage(stage)
        self._plans()

    def _stage(self, stage: Stage) -> None:
        """One stage's datasets, of all versions."""
        dirty = set()
        for dataset in stage.outputs:
            for path in parquet_files(self.store, dataset_folder(stage, dataset)):
                is_dirty, media = self._gone.in_file(path, dataset)
                self._media |= media
                dirty |= {path} if is_dirty else set()
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

    def _rewritten(self, stage: Stage, report: UnitReport, dirty: set[str]) -> UnitReport:
        """The unit's files without forgotten media, under the same report."""
        version = min(dirty & _paths(report)).split("/")[-4]
        writer = RewritingWriter(self.store, stage.name, version, report)
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
        self.store.put_json(report_path(stage.name, writer.unit), done.to_json())
        before = {entry for entries in report.files.values() for entry in entries}
        self.bytes_written += sum(
            entry.size_bytes for entries in done.files.values() for entry in entries if entry not in before
        )
        return done

    @property
    def _not_exported(self) -> frozenset[str]:
        """Media whose samples leave exported tars: what these tell of a text is not told apart from the rest."""
        return self.tombstones.media_ids | set(self._gone.touched.to_pylist())

    def _ledger(self, report: UnitReport, writer: UnitWriter) -> None:
        """Rows of forgotten media say nothing but that; shards are written anew without them."""
        rows = stored_rows(MEDIA, self.store, report.paths(MEDIA.name))
        columns = {name: [row[name] for row in rows] for name in ("media_id", *URLS)}
        types = [pa.field(name, pa.string()) for name in columns]
        mask = self._gone.mask(pa.RecordBatch.from_pydict(columns, schema=pa.schema(types)))
        rows = [refused_row(row, FORGOTTEN) if gone else row for row, gone in zip(rows, mask, strict=True)]
        writer.counts["planned_media"] += report.counts.get("planned_media", 0)
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
            dataset = datasets[name]
            for batch in self.store.batches([entry.path for entry in entries]):
                rows = fitted(batch, writer.schema(dataset))
                gone = self._gone.mask(rows, dataset)
                blank = name == CANDIDATES.name
                writer.write(dataset, blanked(rows, gone) if blank else rows.filter(pa.array(~gone)))

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
            schema = stored_schema(self.store, path)
            table = self.store.table([path], schema).combine_chunks()
            for batch in table.to_batches():  # one: a list is a small file
                if not (left := self._gone.left(batch)).any():
                    continue
                rows = [refused_row(row, FORGOTTEN) if gone else row
                        for row, gone in zip(batch.to_pylist(), left, strict=True)]  # fmt: skip
                blank = fitted(pa.RecordBatch.from_pylist(rows, schema=schema), schema)
                if not blank.equals(batch):
                    self.store.put_table(path, pa.Table.from_batches([blank]))
                    self.files += 1

    def _journals(self) -> None:
        """What stopped units have so far."""
        for path in parquet_files(self.store, JOURNALS):
            table = read_segment(self.store.read(path))
            if table is None:
                self._remove(path)  # damaged: nobody can tell what it holds
                self.files += 1
                continue
            gone = np.concatenate([np.zeros(0, np.bool_), *map(self._gone.mask, table.to_batches())])
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
        stages = [stage for stage in self.catalog.stages.values() if _HOLDING & set(stage.outputs)]
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
