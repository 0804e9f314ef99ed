"""One pool of inputs for all tests of faults, and what an uninterrupted run makes of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from faults_harness import run
from faults_reading import Prints, current_versions, fingerprints

from curation.testing import Traits, build_table, build_web, starter_entries

TABLES = 10  # of the increment; each is one unit of extract
ROWS = 12_000


@dataclass(frozen=True)
class Pool:
    """Inputs in two helpings: `small` names the first, `whole` both."""

    root: Path
    small: Path
    whole: Path
    files: tuple[Path, ...]

    def recipe(self, name: str, files: list[Path], **sections: object) -> Path:
        """A recipe over some of the files, in the order given."""
        return write_recipe(self.root / f"{name}.yaml", files, **sections)


@dataclass(frozen=True)
class Reference:
    """What an uninterrupted run published."""

    work: Path
    versions: dict[str, str | None]
    prints: Prints


def write_recipe(path: Path, files: list[Path], **sections: object) -> Path:
    wats = [str(file) for file in files if file.suffix == ".gz"]
    tables = [str(file) for file in files if file.suffix == ".parquet"]
    columns = {"media_url": "url", "texts": {"caption": "caption"}, "page_url": "page_url"}
    inputs = [{"kind": "wat", "paths": wats}] if wats else []
    tree = {
        "name": path.stem,
        "inputs": [*inputs, *([{"kind": "table", "paths": tables, "columns": columns}] if tables else [])],
        "pairs": {"media_buckets": 16, "placeholder_texts": 300,
                  "rules": {"min_chars": 3, "drop_file_names": True, "drop_generic": True}},
        "match": {"definition": "v2", "fallback": "en",
                  "vocabularies": {lang: f"demo:{lang}" for lang in ("en", "de", "fr", "ja")}},
        "balance": {"tail_share": 0.3},
        **sections}
    path.write_text(yaml.safe_dump(tree))
    return path


def build_tables(folder: Path, count: int, rows: int) -> list[Path]:
    """Tables that share rows with each other, and a placeholder whose texts are in all of them."""
    folder.mkdir()
    traits = Traits(duplicate_share=0.1, placeholder_texts=60)
    return [build_table(folder / f"table-{number:02d}.parquet", rows, seed=number % (count - 1),
                        vocabulary=starter_entries("en"), traits=traits).path for number in range(count)]


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    root = tmp_path_factory.mktemp("pool")
    files = [*build_web(root / "web").wats, *build_tables(root / "tables", TABLES + 2, ROWS)]
    small = write_recipe(root / "small.yaml", files[:-TABLES])
    return Pool(root, small, write_recipe(root / "whole.yaml", files), tuple(files))


def _reference(recipe: Path, work: Path) -> Reference:
    run(recipe, work)
    return Reference(work, current_versions(work), fingerprints(work))


@pytest.fixture(scope="session")
def small(pool: Pool) -> Reference:
    return _reference(pool.small, pool.root / "small")


@pytest.fixture(scope="session")
def whole(pool: Pool) -> Reference:
    return _reference(pool.whole, pool.root / "whole")


@pytest.fixture
def increment(small: Reference, tmp_path: Path) -> Path:
    """A work folder in which the small recipe is finished; a run of the whole one has work in every stage."""
    work = tmp_path / "work"
    shutil.copytree(small.work, work)
    return work
