"""What the datasets hold: columns, types and meanings from `curation.schemas`, and what of them lies in a work folder.

docs/schemas.md is `schema_reference()`; `curation describe --markdown > docs/schemas.md` writes it anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from curation.errors import CurationError, WorkFolderError
from curation.inspect.wording import how_many, size
from curation.pipeline import ALL_STAGES, VOCABULARY_STAGES
from curation.runner.catalog import Catalog
from curation.schemas import DATASETS, VOCABULARY_DATASETS, Dataset

_ALL = DATASETS | VOCABULARY_DATASETS


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type in short, whether it may be null, and what it means."""

    name: str
    type: str
    nullable: bool
    meaning: str


@dataclass(frozen=True)
class Holdings:
    """A dataset in a work folder: rows and bytes of the current version, or in `missing` why there is none."""

    location: str
    rows: int
    size_bytes: int
    files: int
    missing: str | None = None


@dataclass(frozen=True)
class DatasetDescription:
    """A dataset of the contract. `stages` write it; `unit` is what its files are named by."""

    name: str
    schema_version: int
    unit: str
    about: str
    stages: list[str]
    columns: list[Column]
    holdings: Holdings | None = None


def describe(name: str, catalog: Catalog | None = None) -> DatasetDescription:
    """One dataset; with a catalog also what lies in its work folder, unless a vocabulary's build has it in its own.

    Raises CurationError for an unknown name.
    """
    if name not in _ALL:
        raise CurationError(f"no dataset is called {name!r}: choose one of {', '.join(_ALL)}")
    dataset = _ALL[name]
    stages = [stage.name for stage in (*ALL_STAGES, *VOCABULARY_STAGES) if dataset in stage.outputs]
    columns = [Column(field.name, type_name(field.type), field.nullable, field.metadata[b"doc"].decode())
               for field in dataset.schema]
    return DatasetDescription(name, dataset.version, dataset.unit, dataset.about, stages, columns,
                              _holdings(dataset, catalog) if catalog is not None and name in DATASETS else None)


def type_name(kind: pa.DataType) -> str:
    """list<string> for a list of strings, else Arrow's own name."""
    return f"list<{type_name(kind.value_type)}>" if pa.types.is_list(kind) else str(kind)


def _holdings(dataset: Dataset, catalog: Catalog) -> Holdings:
    """Over all stages that write the dataset; those that have not run are left out unless none has."""
    location = catalog.store.url(dataset.name)
    stages = [stage.name for stage in catalog.stages.values() if dataset in stage.outputs]
    manifests, missing = [], ""
    for stage in stages:
        try:
            manifests.append(catalog.visible(stage))
        except WorkFolderError as error:
            missing = missing or str(error)
    if not manifests:
        return Holdings(location, 0, 0, 0, missing)
    return Holdings(location, *(sum(numbers) for numbers in zip(*(
        (manifest.rows(dataset.name), manifest.size_bytes(dataset.name), len(manifest.paths(dataset.name)))
        for manifest in manifests), strict=True)))


def describe_lines(description: DatasetDescription) -> list[str]:
    """The description for a terminal."""
    lines = [f"{description.name}: {description.about}",
             f"schema version {description.schema_version}; written by {' and '.join(description.stages)}, "
             f"one unit per {description.unit}", ""]
    names = max(len(column.name) for column in description.columns)
    types = max(len(column.type) for column in description.columns)
    for column in description.columns:
        null = " (may be null)" if column.nullable else ""
        lines.append(f"  {column.name:<{names}}  {column.type:<{types}}  {column.meaning}{null}")
    held = description.holdings
    if held is None:
        return lines
    if held.missing is not None:
        return [*lines, "", held.missing]
    return [*lines, "", f"{how_many(held.rows, 'row')}, {size(held.size_bytes)} in {how_many(held.files, 'file')} "
            f"under {held.location}"]


def overview_lines() -> list[str]:
    """All datasets, one line each."""
    width = max(map(len, _ALL))
    return [f"  {name:<{width}}  {dataset.about}" for name, dataset in _ALL.items()]


def schema_reference() -> str:
    """Markdown for docs/schemas.md: every dataset and column."""
    parts = [
        "# Datasets", "",
        "Made from `curation/schemas/` by `curation describe --markdown > docs/schemas.md`; do not edit by hand.", "",
        "All datasets are Parquet. Read them through `_current.json` (`curation.inspect.connect` does), never by "
        "listing folders: files of unfinished and of earlier versions lie beside the current ones.", ""]
    for name in _ALL:
        description = describe(name)
        writers = " and ".join(f"`{stage}`" for stage in description.stages)
        parts += [f"## {name}", "", description.about, "",
                  f"Schema version {description.schema_version}. Written by {writers}, "
                  f"one unit per {description.unit}.", "",
                  "| column | type | null | meaning |", "| --- | --- | --- | --- |"]
        parts += [_row(column) for column in description.columns]
        parts.append("")
    return "\n".join(parts)


def _row(column: Column) -> str:
    meaning = column.meaning.replace("|", "\\|")
    return f"| `{column.name}` | `{column.type}` | {'yes' if column.nullable else 'no'} | {meaning} |"
