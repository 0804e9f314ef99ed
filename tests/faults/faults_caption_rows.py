"""Stages of captions over rows that a test wrote down, without a run: what they plan, do, and count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from curation.concepts import Matcher, Vocabulary
from curation.digests import digest
from curation.recipe import Recipe
from curation.runner.engine import LocalEngine
from curation.runner.stage import Manifest, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitReport, UnitWriter
from curation.runner.work import run_unit
from curation.schemas import DATASETS, Dataset
from curation.stages.match import vocabulary_path
from curation.storage import Store

Row = dict[str, Any]
MATCH = {"definition": "v1", "fallback": None, "all_languages": False, "text_sources": None}


def recipe(captions: Any, **sections: Any) -> Recipe:
    tree = {
        "name": "rows",
        "inputs": [{"kind": "table", "paths": ["urls.parquet"], "columns": "img2dataset"}],
        "match": {"definition": "v1", "vocabularies": {"en": "entries.txt"}, "fallback": "en"},
        "balance": {"t": 1},
        "fetch": {},
        "captions": captions,
        **sections,
    }
    return Recipe.model_validate(tree)


def manifest(
    store: Store, stage: str, units: Mapping[str, Mapping[Dataset, Sequence[Row]]], counts: Sequence[str] = (),
    **facts: Any,
) -> Manifest:  # fmt: skip
    """What a stage before might have published: rows by unit and dataset. counts: rows of datasets, by these names."""
    reports = {}
    for name, datasets in units.items():
        told = {dataset.name: rows for dataset, rows in datasets.items()}
        writer = UnitWriter(store, stage, "made", Unit(name, {}, digest(stage, name, told)))
        for dataset, rows in datasets.items():
            writer.write(dataset, pa.RecordBatch.from_pylist([_filled(dataset, row) for row in rows], dataset.schema))
        for count in counts:
            writer.counts[count] = len(told.get(count, ()))
        writer.counts.update(facts.get("of_units", {}).get(name, {}))
        reports[name] = writer.commit()
    return _manifest(stage, reports, facts.get("settings", {}), facts.get("context", {}))


def _filled(dataset: Dataset, row: Row) -> Row:
    """The row with nothing in the columns that it does not say."""
    return {field.name: row[field.name] if field.name in row else _nothing(field) for field in dataset.schema}


def _nothing(field: pa.Field) -> Any:
    if field.nullable:
        return None
    kind = field.type
    return [] if pa.types.is_list(kind) else "" if pa.types.is_string(kind) else False if kind == pa.bool_() else 0


def _manifest(stage: str, reports: dict[str, UnitReport], settings: Row, context: Row) -> Manifest:
    counts: Counter[str] = Counter()
    for report in reports.values():
        counts.update(report.counts)
    return Manifest(stage, "v", {}, settings, context, "1", dict(counts), {}, reports, 0.0, "")


def done(stage: UnitStage, store: Store, section: Recipe, inputs: dict[str, Manifest]) -> Manifest:
    """All units of a stage, done, and its laws held against what it made."""
    settings = stage.settings(section)
    planning = Planning(store, section, inputs, settings, LocalEngine())
    context = stage.prepare(planning)
    reports = {}
    for unit in stage.plan(planning, context):
        result = run_unit(stage, Task(store, "v", settings, context), unit)
        assert isinstance(result, UnitReport), (result, getattr(result, "trace", ""))
        reports[unit.name] = result
    made = _manifest(stage.name, reports, settings, context)
    counts = dict(made.counts) | {f"rows:{dataset.name}": made.rows(dataset.name) for dataset in stage.outputs}
    for name, source in inputs.items():
        counts |= {f"{name}.{count}": n for count, n in source.counts.items()}
    for dataset in DATASETS:
        counts[f"in:{dataset}"] = sum(source.rows(dataset) for source in inputs.values())
    for law in stage.laws:
        law.check(stage.name, counts)
    return made


def rows_of(store: Store, made: Manifest, dataset: Dataset) -> list[Row]:
    found: list[Row] = store.table(made.paths(dataset.name), dataset.schema).to_pylist()
    return found


def vocabulary(store: Store, entries: Sequence[str], lang: str = "en") -> tuple[Manifest, Matcher]:
    """What match might have published, with one vocabulary; and that vocabulary's matcher."""
    known = Vocabulary.from_entries(pa.array(entries), lang=lang, definition="v1")
    schema = pa.schema([pa.field("entry", pa.string(), nullable=False)])
    store.put_table(vocabulary_path(known.fingerprint), pa.table([known.entries.cast(pa.string())], schema=schema))
    context = {"vocabularies": {lang: {"fingerprint": known.fingerprint, "entries": len(known)}}}
    return manifest(store, "match", {}, settings=MATCH, context=context), Matcher(known)
