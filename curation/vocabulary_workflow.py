"""What `curation vocab build` does: the stages of a vocabulary, the file that comes of them, and its lock."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import curation
from curation.errors import InputError, WorkFolderError
from curation.pipeline import VOCABULARY_STAGES
from curation.recipe.vocabulary import VocabularyRecipe, source_name
from curation.runner.catalog import Catalog
from curation.runner.progress import Reporter
from curation.runner.run import Run
from curation.schemas import SOURCE_FILES, VOCABULARY
from curation.storage import Store, storage_errors
from curation.vocabulary.lock import (
    FORMAT,
    check_inputs,
    check_output,
    check_recipe,
    content_sha256,
    input_rows,
    parameters,
    read_lock,
)
from curation.workflow import clean_scratch, outcome_line, scratch_folder, start_spark


@dataclass(frozen=True)
class Built:
    """A vocabulary and its lock, as they lie in the folder."""

    location: str
    lock: dict[str, Any]
    checked: bool


def build(
    recipe: VocabularyRecipe,
    out: str,
    *,
    reporter: Reporter,
    ending: ExitStack,
    lock: Path | None = None,
    update_lock: bool = False,
) -> Built:
    """Builds `out`/LANG.parquet and LANG.lock.json; what is done already in `out`/_build/LANG is kept.

    ending: closes the Spark that is started where there is work; builds that follow in the meantime use it too.
    lock: a lock file that inputs, parameters and entries are to agree with, unless `update_lock`.
    Raises InputError or VocabularyError where they do not; then `out` stays as it was.
    """
    started = time.monotonic()
    known = read_lock(lock) if lock is not None and not update_lock else None
    if known is not None:
        check_recipe(known, recipe, str(lock))
    folder, store = Store.at(out), Store.at(f"{out}/_build/{recipe.lang}")
    if recipe.extend == folder.url(f"{recipe.lang}.parquet"):
        raise InputError(f"{recipe.extend} would be replaced by its own extension: extend a copy, or change --out")
    with storage_errors(store):
        scratch, name = scratch_folder(store), f"vocabulary {recipe.lang}"
        start = partial(start_spark, recipe.runtime, name, scratch, ending)
        run = Run(store, recipe, VOCABULARY_STAGES, start, reporter)
        with run.lease():  # to the end: what is written beside the lock is what it tells of
            clean_scratch(scratch)
            _refuse_foreign(folder, recipe.lang)
            _run(run, recipe, reporter, known, str(lock))
            built = _described(recipe, run.catalog)
            if known is not None:
                check_output(known, built["output"], str(lock))
            table = _table(run.catalog)
            data = _parquet(table)
            built["output"]["file_sha256"] = hashlib.sha256(data).hexdigest()
            folder.put(built["output"]["file"], data)
            written = (json.dumps(built, ensure_ascii=False, indent=1) + "\n").encode()
            folder.put(f"{recipe.lang}.lock.json", written)
            if update_lock and lock is not None:
                Store.at(lock.parent).put(lock.name, written)
    reporter.say(
        f"{len(table):,} entries in {time.monotonic() - started:.1f} s: {folder.url(built['output']['file'])}"
        + (f", as the lock {lock} has it" if known is not None else "")
    )
    return Built(folder.url(built["output"]["file"]), built, known is not None)


def _refuse_foreign(folder: Store, lang: str) -> None:
    """Raises WorkFolderError where a file would be replaced that no build has written."""
    names = folder.names("")
    if f"{lang}.parquet" in names and f"{lang}.lock.json" not in names:
        place = folder.url(f"{lang}.parquet")
        raise WorkFolderError(f"{place} has no {lang}.lock.json beside it, so no build wrote it: choose another --out")


def _run(run: Run, recipe: VocabularyRecipe, reporter: Reporter, known: dict[str, Any] | None, where: str) -> None:
    """Brings the stages up to date; a lock is checked before hours are spent on counting."""
    for stage in VOCABULARY_STAGES:
        reporter.say(outcome_line(stage, run.execute(stage), width=14))
        if known is not None and stage.name == SOURCE_FILES.name:
            check_inputs(known, _inputs(run.catalog), where)


def source_lines(lock: dict[str, Any]) -> list[str]:
    """What each source gave, as a table of text."""
    counts, names = lock["counts"], lock["counts"]["sources"]
    lines = [f"{'source':<14}{'candidates':>13}{'entries':>11}{'new':>11}  dropped"]
    for name, row in names.items():
        dropped = ", ".join(f"{reason} {rows:,}" for reason, rows in row["dropped"].items())
        lines.append(f"{name:<14}{row['candidates']:>13,}{row['entries']:>11,}{row['new']:>11,}  {dropped}".rstrip())
    if counts["words"]:
        lines.append(f"words counted in Wikipedia: {counts['words']:,}")
    if counts["rejected"]:
        told = ", ".join(f"{reason} {rows:,}" for reason, rows in counts["rejected"].items())
        lines.append(f"rejected while counting: {told} (see _build/{lock['lang']}/rejections)")
    if counts["old_entries"]:
        lines.append(f"entries of the vocabulary that was extended: {counts['old_entries']:,}")
    return lines


def _table(catalog: Catalog) -> pa.Table:
    files = catalog.visible("vocabulary").paths(VOCABULARY.name)
    return catalog.store.table(files, VOCABULARY.schema)


def _inputs(catalog: Catalog) -> list[dict[str, Any]]:
    files = catalog.visible("source_files").paths(SOURCE_FILES.name)
    return input_rows(catalog.store.table(files, SOURCE_FILES.schema).to_pylist())


def _described(recipe: VocabularyRecipe, catalog: Catalog) -> dict[str, Any]:
    """The lock of what was built, but for the bytes of its file."""
    told = catalog.visible("vocabulary").counts
    rejected = Counter(catalog.visible("term_counts").rejected)
    table = _table(catalog)
    sources = {}
    for name in (source_name(source) for source in recipe.sources):
        row = {key.partition(":")[2]: rows for key, rows in told.items() if key.startswith(f"{name}:")}
        taken = {key: row.pop(key, 0) for key in ("candidates", "entries", "new")}
        sources[name] = {**taken, "dropped": row}
    return {
        "format": FORMAT,
        "name": recipe.name,
        "lang": recipe.lang,
        "curation": curation.__version__,
        "parameters": parameters(recipe),
        "inputs": _inputs(catalog),
        "counts": {
            "words": told.get("words", 0),
            "old_entries": told.get("old_entries", 0),
            "sources": sources,
            "rejected": dict(sorted(rejected.items())),
        },
        "output": {
            "file": f"{recipe.lang}.parquet",
            "entries": len(table),
            "content_sha256": content_sha256(table),
        },
    }


def _parquet(table: pa.Table) -> bytes:
    """The file, as small as it gets: lists of it travel in the package."""
    sink = io.BytesIO()
    encodings = {"entry_id": "DELTA_BINARY_PACKED", "entry": "DELTA_BYTE_ARRAY", "source_score": "PLAIN"}
    repeating = ["lang", "source", "sources.list.element"]
    pq.write_table(
        table, sink, compression="zstd", compression_level=19, use_dictionary=repeating, column_encoding=encodings
    )
    return sink.getvalue()
