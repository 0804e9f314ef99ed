"""extract: archives and tables to candidates. One unit per file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curation.crawl import InputFile, Reading, ReadLog, expand_inputs, table_batches, warc_batches, wat_batches
from curation.digests import digest
from curation.errors import InputError, Reason
from curation.recipe import Recipe, TableColumns
from curation.runner.stage import Law, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.schemas import CANDIDATES, REJECTIONS, SITE_RULES, Dataset


class Extract(UnitStage):
    """Reads each input file once; a file that did not change is never read again."""

    name = "extract"
    code_version = 2
    about = "read links and texts out of archives and tables"
    outputs = (CANDIDATES, SITE_RULES, REJECTIONS)
    laws = (Law(("texts",), ("rows:candidates", "skipped:*", "rejected_texts")),)

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return recipe.extract.model_dump(exclude={"limit_archives"})

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        files = expand_inputs(planning.recipe.inputs)
        if all(file.missing for file in files):
            raise InputError(f"none of the {len(files)} inputs is there, e.g. {files[0].path}: check inputs.paths")
        limit = planning.recipe.extract.limit_archives
        return [self._unit(file, planning) for file in (files if limit is None else files[:limit])]

    def _unit(self, file: InputFile, planning: Planning) -> Unit:
        source = planning.recipe.inputs[file.input_index].model_dump(exclude={"paths", "base"})
        if "columns" in source:  # the order of the text columns means something, and JSON objects have none
            source["columns"]["texts"] = list(source["columns"]["texts"].items())
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", file.path.rsplit("/", 1)[-1])[:60]
        state = (file.path, file.size_bytes, file.fingerprint, file.missing)
        return Unit(
            f"{stem}-{digest(file.path, source)[:16]}",
            {"path": file.path, "size_bytes": file.size_bytes, "missing": file.missing, "source": source},
            self.identity(planning.settings, source, state),
        )

    def is_final(self, unit: Unit, report: UnitReport) -> bool:
        """A file that was not there on reading, or not to its end, is tried again: networks fail, and recover."""
        known_missing = unit.inputs["missing"]  # then its appearance changes the unit's identity
        failed = {Reason.UNREADABLE_FILE} if known_missing else {Reason.UNREADABLE_FILE, Reason.MISSING_FILE}
        return not failed & report.rejected.keys()

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        log = ReadLog(unit.inputs["path"])
        if unit.inputs["missing"]:
            log.reject(None, Reason.MISSING_FILE, "named by the recipe or a list, but not there")
        else:
            for dataset, batch in _batches(unit.inputs, task.settings, log):
                writer.write(dataset, batch)
        writer.counts.update(log.counts)
        for rejection in log.rejections:
            writer.reject(
                rejection.reason, id=rejection.id, file=rejection.file, offset=rejection.offset, detail=rejection.detail
            )


def _batches(
    inputs: dict[str, Any], settings: dict[str, Any], log: ReadLog
) -> Iterator[tuple[Dataset, pa.RecordBatch]]:
    path, source = inputs["path"], inputs["source"]
    if source["kind"] == "table":
        columns = TableColumns(**{**source["columns"], "texts": dict(source["columns"]["texts"])})
        batches = table_batches(path, columns, log, modality=source["modality"], snapshot=source["snapshot"])
    else:
        modalities = tuple(settings["modalities"])
        reading = Reading(**{**settings, "modalities": modalities}, snapshot=source["snapshot"])
        if source["kind"] == "warc":
            yield from warc_batches(path, log, reading)
            return
        batches = wat_batches(path, log, reading)
    for batch in batches:
        yield CANDIDATES, batch
