"""One of the manifests that a command looks at: of a work folder, or of Parquet files that were exported from one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import duckdb
import pyarrow as pa
from fsspec.core import url_to_fs

from curation.errors import InputError, WorkFolderError
from curation.media.refusals import Tombstones
from curation.overlap_files import is_work_folder, set_files
from curation.pipeline import ALL_STAGES
from curation.query import columns_of_now, leave_out_forgotten, literal, select, sql_type
from curation.runner.catalog import Catalog
from curation.runner.stage import Manifest
from curation.schemas import DATASETS, ENTRY_PROBABILITIES, MANIFEST
from curation.storage import Store, storage_errors

_KEY = "sample_id"
_MADE_BY = "`curation run` makes a manifest in its work folder"
_ADVICE = "give a work folder, a Parquet file with a manifest's columns, or a folder of such files"


class ManifestSide:
    """A manifest as a relation of DuckDB, and what else its work folder tells.

    `catalog` is None where it is no work folder. Columns that exported files lack are null, see `missing`. Forgotten
    media are left out.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection, location: str, letter: str = "manifest") -> None:
        """letter: begin of the names of what is made in the database. Raises InputError, WorkFolderError."""
        self.database, self.location, self.letter = database, location, letter
        self.catalog: Catalog | None = None
        self.missing: tuple[str, ...] = ()
        _register(database, location)
        if is_work_folder(location):
            store = Store.at(location)
            with storage_errors(store):
                self.catalog = Catalog(store, ALL_STAGES).snapshot()
                self._bury(Tombstones.read(store))
                self.relation = self._own_manifest(self.catalog)
        else:
            self.relation = self._exported(location)

    def _own_manifest(self, catalog: Catalog) -> str:
        found = self.dataset(MANIFEST.name)
        if found is None:
            catalog.visible(catalog.stage_of(MANIFEST.name))  # says what is wrong
            raise WorkFolderError(f"{self.location} has no manifest yet: run `curation run` to make it")
        left = leave_out_forgotten(catalog.store, self.database, MANIFEST, f"{self.letter}_forgotten")
        return f"({found}{left})" if catalog.files(MANIFEST.name) else f"({found})"

    def _bury(self, tombstones: Tombstones) -> None:
        """A table of the media that were forgotten."""
        self.database.register("arriving", pa.table({"media_id": pa.array(sorted(tombstones.media_ids), pa.string())}))
        self.database.execute(f"CREATE TEMP TABLE {self.letter}_forgotten AS SELECT * FROM arriving")
        self.database.unregister("arriving")

    def _exported(self, location: str) -> str:
        """The rows of Parquet files: all that hold samples of a folder or glob, or the one that is named."""
        _check_there(location)
        files = [file.path for file in set_files(location)]
        tables = [path for path in files if path.lower().endswith(".parquet")]
        if not tables:
            raise InputError(f"{files[0]} is no Parquet file: {_ADVICE}")
        listed = ", ".join(map(literal, tables))
        columns = self._asked(f"SELECT file_name, name FROM parquet_schema([{listed}])")
        holding = sorted({path for path, name in columns if name == _KEY})
        if not holding:
            names = ", ".join(dict.fromkeys(name for _, name in columns[1:]))
            raise InputError(f"{location} has no column {_KEY}; it has {names[:200]}: {_ADVICE}")
        # by name, so that files may have their columns in other orders
        source = f"read_parquet([{', '.join(map(literal, holding))}], hive_partitioning = false, union_by_name = true)"
        known = {row[0] for row in self._asked(f"DESCRIBE SELECT * FROM {source}")}
        self.missing = tuple(name for name in MANIFEST.columns if name not in known)
        wanted = (
            f'"{field.name}"' if field.name in known else f'CAST(NULL AS {sql_type(field.type)}) AS "{field.name}"'
            for field in MANIFEST.schema
        )
        return f"(SELECT {', '.join(wanted)} FROM {source})"

    def _asked(self, sql: str) -> list[tuple[str, ...]]:
        try:
            return self.database.execute(sql).fetchall()
        except duckdb.Error as error:
            told = " ".join(str(error).split())[:300]
            raise InputError(f"cannot read {self.location} ({told}): {_ADVICE}") from None

    def dataset(self, name: str) -> str | None:
        """A SELECT of a dataset of the work folder, forgotten media included; None where there is none up to date."""
        if self.catalog is None:
            return None
        try:
            paths = self.catalog.visible(self.catalog.stage_of(name)).paths(name)
        except WorkFolderError:
            return None
        return self._select(name, self.catalog.store, paths)

    def _select(self, name: str, store: Store, paths: list[str]) -> str:
        found = select(DATASETS[name], [store.url(path) for path in paths])
        with columns_of_now(name, self.location):
            self.database.execute(f"{found} LIMIT 0")
        return found

    def rejections(self, stage: str) -> str | None:
        """A SELECT of what a stage rejected; None where the stage is not there."""
        manifest = self.stage(stage)
        if manifest is None or self.catalog is None:
            return None
        return self._select("rejections", self.catalog.store, manifest.paths("rejections"))

    def stage(self, name: str) -> Manifest | None:
        """What is current of a stage; None where it is not there, or not up to date."""
        if self.catalog is None:
            return None
        try:
            return self.catalog.visible(name)
        except WorkFolderError:
            return None

    @cached_property
    def samples(self) -> int:
        """Rows. Raises InputError where a sample stands in several: nothing could be told of it."""
        (rows, different) = self.database.execute(
            f"SELECT count(*), count(DISTINCT {_KEY}) FROM {self.relation}"
        ).fetchall()[0]
        if rows != different:
            raise InputError(
                f"{self.location} has {rows:,} rows but {different:,} different values of {_KEY}: give each sample once"
            )
        return int(rows)

    def names(self) -> bool:
        """Makes the table LETTER_names (vocabulary_lang, entry_id, entry); whether there are names of entries."""
        parts = []
        if (told := self.dataset(ENTRY_PROBABILITIES.name)) is not None:
            parts.append(f"SELECT DISTINCT vocabulary_lang, entry_id, entry FROM ({told})")
        else:
            parts += [*self._vocabularies()]
        empty = "SELECT ''::VARCHAR AS vocabulary_lang, 0::INTEGER AS entry_id, ''::VARCHAR AS entry WHERE false"
        self.database.execute(f"CREATE TEMP TABLE {self.letter}_names AS {' UNION ALL '.join([empty, *parts])}")
        return bool(parts)

    def _vocabularies(self) -> Iterator[str]:
        match = self.stage("match")
        for lang, facts in sorted(match.context["vocabularies"].items()) if match and self.catalog else ():
            file = self.catalog.store.url(f"_vocabularies/{facts['fingerprint']}.parquet") if self.catalog else ""
            yield (
                f"SELECT {_text(lang)} AS vocabulary_lang, file_row_number::INTEGER AS entry_id, entry "
                f"FROM read_parquet([{literal(file)}], file_row_number = true)"
            )


def _check_there(location: str) -> None:
    """Raises InputError for a local path that is not there, and for a folder that holds no table at all."""
    path = Path(location)
    if "://" in location or set("*?[") & set(location) or path.is_file():
        return
    if not path.exists():
        raise InputError(f"nothing at {location}: {_MADE_BY}; {_ADVICE}")
    if path.is_dir() and next(path.rglob("*.parquet"), None) is None:
        raise InputError(
            f"{location} has no manifest, for it is no work folder and holds no Parquet: {_MADE_BY}; {_ADVICE}"
        )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _register(database: duckdb.DuckDBPyConnection, location: str) -> None:
    """Lets a database read the files of a URL."""
    protocol = location.partition("://")[0]
    if "://" in location and protocol != "file" and not database.filesystem_is_registered(protocol):
        try:
            database.register_filesystem(url_to_fs(location)[0])
        except (ValueError, ImportError) as error:
            raise InputError(f"cannot read {location}: {error}") from None
