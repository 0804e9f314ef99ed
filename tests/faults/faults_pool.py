"""Inputs for tests of faults: a small web and tables that share rows, in two helpings, and recipes over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from faults_harness import run
from faults_reading import Prints, current_versions, fingerprints

from curation.testing import Traits, build_table, build_web, starter_entries

_COLUMNS = {"media_url": "url", "texts": {"caption": "caption"}, "page_url": "page_url"}


@dataclass(frozen=True)
class Pool:
    """All input files, a recipe over the first helping, and one over all of them."""

    root: Path
    files: list[Path]
    helping: int
    """How many of the files the first helping has."""
    small: Path
    whole: Path


@dataclass(frozen=True)
class Reference:
    """What an uninterrupted run published."""

    work: Path
    versions: dict[str, str | None]
    prints: Prints


def write_recipe(path: Path, files: Sequence[Path], **sections: Any) -> Path:
    """A recipe over WAT files, WARC files and Parquet tables, in the order given."""
    wats = [str(file) for file in files if file.name.endswith(".wat.gz")]
    warcs = [str(file) for file in files if file.name.endswith(".gz") and str(file) not in wats]
    tables = [str(file) for file in files if file.suffix == ".parquet"]
    inputs = [{"kind": kind, "paths": paths} for kind, paths in (("wat", wats), ("warc", warcs)) if paths]
    inputs += [{"kind": "table", "paths": tables, "columns": _COLUMNS}] if tables else []
    tree = {
        "name": path.stem,
        "inputs": inputs,
        "pairs": {
            "media_buckets": 16,
            "placeholder_texts": 300,
            "rules": {"min_chars": 3, "drop_file_names": True, "drop_generic": True},
        },
        "match": {
            "definition": "v2",
            "vocabularies": {lang: f"demo:{lang}" for lang in ("en", "de", "fr", "ja")},
            "fallback": "en",
        },
        "balance": {"tail_share": 0.3},
        **sections,
    }
    path.write_text(yaml.safe_dump(tree))
    return path


def build_tables(folder: Path, count: int, rows: int) -> list[Path]:
    """Tables of which the last repeats the first one's rows, and a placeholder whose texts are spread over all."""
    folder.mkdir(parents=True)
    traits = Traits(duplicate_share=0.1, placeholder_texts=60)
    entries = starter_entries("en")
    return [
        build_table(
            folder / f"table-{number:02d}.parquet", rows, seed=number % (count - 1), vocabulary=entries, traits=traits
        ).path
        for number in range(count)
    ]


def build_pool(root: Path, *, tables: tuple[int, int], rows: int) -> Pool:
    """A web of five archives (one damaged) with the first of the two numbers of tables, then the second."""
    web = build_web(root / "web")
    archives = [*sorted(web.wats), *sorted(web.warcs)]
    files = [*archives, *build_tables(root / "tables", sum(tables), rows)]
    helping = len(archives) + tables[0]
    small = write_recipe(root / "small.yaml", files[:helping])
    return Pool(root, files, helping, small, write_recipe(root / "whole.yaml", files))


def reference(recipe: Path, work: Path) -> Reference:
    """Does an uninterrupted run in a fresh folder."""
    run(recipe, work)
    return Reference(work, current_versions(work), fingerprints(work))
