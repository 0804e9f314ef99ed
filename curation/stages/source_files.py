"""source_files: what a vocabulary is built from, with SHA-256. One unit per file; unchanged files are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from curation.digests import digest
from curation.errors import InputError
from curation.recipe.vocabulary import Bigrams, Titles, Unigrams, VocabularyRecipe, WordList, WordNet
from curation.runner.stage import Manifest, Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import SOURCE_FILES
from curation.storage import Store
from curation.vocabulary.files import sha256, source_files


class SourceFiles(UnitStage):
    """Reads every input once, so that all that follows depends on content and not on places."""

    name = "source_files"
    about = "find the files of the sources and their checksums"
    outputs = (SOURCE_FILES,)

    def settings(self, recipe: VocabularyRecipe) -> dict[str, Any]:
        return {}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        return [
            Unit(
                f"file-{digest(file.location)[:16]}",
                {"location": file.location, "size_bytes": file.size_bytes},
                self.identity(file.location, file.size_bytes, file.state),
            )
            for file in source_files(locations(planning.recipe))
        ]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        row = [unit.inputs["location"], unit.inputs["size_bytes"], sha256(unit.inputs["location"])]
        columns = [pa.array([value], field.type) for value, field in zip(row, SOURCE_FILES.schema, strict=True)]
        writer.write(SOURCE_FILES, pa.RecordBatch.from_arrays(columns, schema=SOURCE_FILES.schema))


def locations(recipe: VocabularyRecipe) -> Iterator[str]:
    """Every path, URL and glob that a recipe's sources read."""
    if recipe.wikipedia and any(isinstance(source, Unigrams | Bigrams) for source in recipe.sources):
        yield from recipe.wikipedia.paths
    for source in recipe.sources:
        if isinstance(source, WordNet | Titles):
            yield from source.paths
        elif isinstance(source, WordList):
            yield source.path
    if recipe.extend:
        yield recipe.extend


class Checksums(dict[str, str]):
    """Location -> SHA-256. Raises InputError for a file that the stage did not see."""

    def __missing__(self, location: str) -> str:
        raise InputError(f"{location} came while the vocabulary was being built: run the same command again")


def checksums(files: Manifest, store: Store) -> Checksums:
    """Those of all files that the stage saw."""
    table = store.table(files.paths(SOURCE_FILES.name), SOURCE_FILES.schema)
    return Checksums(zip(table["location"].to_pylist(), table["sha256"].to_pylist(), strict=True))
