"""Media as files of their own, for shapes whose readers open them by name: copied out of the work folder's tars."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from curation.errors import InputError, WorkFolderError
from curation.export.sample_bytes import Place, SampleBytes
from curation.query import open_duckdb
from curation.storage import Store

COLUMNS: Final = ("path", "offset", "size_bytes", "sha256")
"""Of a manifest's row: where the bytes lie, and what they are."""

Row = Mapping[str, Any]

_LINK: Final = "link:"
_HELD: Final = 1 << 14  # files that are noted in memory


def check_media(mode: str) -> str:
    """copy, none, or link:DIR. Raises InputError for anything else."""
    if mode in ("copy", "none"):
        return mode
    if mode.startswith(_LINK) and Path(mode.removeprefix(_LINK)).is_dir():
        return mode
    if mode.startswith(_LINK):
        raise InputError(f"--media {mode}: there is no folder {mode.removeprefix(_LINK)!r}")
    raise InputError(f"--media {mode!r}: choose copy, none, or link:DIR (the folder of an earlier export)")


def read_bytes(store: Store, rows: Sequence[Row]) -> Iterator[bytes]:
    """The bytes of rows with COLUMNS, in their order, which is best that in which they lie.

    Raises WorkFolderError where they are gone, or not those that the manifest tells of.
    """
    places = [Place(row["path"], row["offset"], row["size_bytes"]) for row in rows]
    with SampleBytes(store) as reader:
        for row, data in zip(rows, reader.read(places), strict=True):
            where = f"{store.url(row['path'])}: the {row['size_bytes']:,} bytes at {row['offset']:,}"
            if data is None:
                raise WorkFolderError(f"{where} are gone: `curation run` with the recipe makes them again")
            if hashlib.sha256(data).hexdigest() != row["sha256"]:
                raise WorkFolderError(f"{where} are not those of SHA-256 {row['sha256'][:12]}...: the file was altered")
            yield data


class MediaFiles:
    """Notes which file every exported sample becomes, and makes them in the order in which they lie in the tars.

    mode: copy; none: nothing is noted or made; link:DIR: a file below DIR with the same name and bytes is hard-linked,
    and what DIR does not have is copied.
    """

    def __init__(self, store: Store, folder: Path, mode: str) -> None:
        self._store, self._folder, self.mode = store, folder, check_media(mode)
        self._database = open_duckdb(Store(str(folder)))
        self._database.execute(
            'CREATE TABLE files (path VARCHAR, "offset" BIGINT, size_bytes BIGINT, sha256 VARCHAR, name VARCHAR)'
        )
        self._waiting: list[tuple[Any, ...]] = []

    def add(self, name: str, row: Row) -> str:
        """Notes the file `name` (below the folder, with / between) of a row with COLUMNS; gives the name.

        Raises WorkFolderError for a name that leaves the folder.
        """
        if ".." in name.split("/") or name.startswith("/") or "\0" in name:
            raise WorkFolderError(f"{name!r} would not lie below the export: the manifest is damaged or was altered")
        if self.mode != "none":
            self._waiting.append((*(row[column] for column in COLUMNS), name))
            if len(self._waiting) >= _HELD:
                self._note()
        return name

    def finish(self) -> int:
        """Makes the files; how many bytes they have. Raises WorkFolderError where bytes are gone, or others."""
        self._note()
        size = 0
        with closing(self._database):
            earlier = self._earlier()
            for rows in self._rows():
                for folder in {str(Path(row["name"]).parent) for row in rows}:
                    (self._folder / folder).mkdir(parents=True, exist_ok=True)
                copied = [row for row in rows if not self._linked(row, earlier)]
                for row, data in zip(copied, read_bytes(self._store, copied), strict=True):
                    (self._folder / row["name"]).write_bytes(data)
                size += sum(row["size_bytes"] for row in rows)
        return size

    def _note(self) -> None:
        if self._waiting:
            names = (*COLUMNS, "name")
            noted = pa.table(dict(zip(names, map(list, zip(*self._waiting, strict=True)), strict=True)))
            self._database.register("noted", noted)
            self._database.execute("INSERT INTO files SELECT * FROM noted").fetchall()
            self._database.unregister("noted")
            self._waiting = []

    def _rows(self) -> Iterator[list[dict[str, Any]]]:
        found = self._database.sql('SELECT * FROM files ORDER BY path, "offset", name')
        for batch in found.to_arrow_reader(2048):
            yield batch.to_pylist()

    def _linked(self, row: Row, earlier: Mapping[str, Path]) -> bool:
        target = self._folder / row["name"]
        old = earlier.get(target.name)
        if old is None or not _holds(old, row):
            return False
        try:
            os.link(old, target)
        except OSError as error:
            raise InputError(
                f"--media {self.mode}: {old} cannot be linked from here ({error.strerror}): take --media copy"
            ) from None
        return True

    def _earlier(self) -> dict[str, Path]:
        """Files of an earlier export by their names, without those of hidden folders."""
        if not self.mode.startswith(_LINK):
            return {}
        top = Path(self.mode.removeprefix(_LINK))
        return {name: Path(base) / name for base, _, names in os.walk(top) for name in names}


def _holds(file: Path, row: Row) -> bool:
    """Whether a file has a row's bytes."""
    try:
        if file.stat().st_size != row["size_bytes"]:
            return False
        with file.open("rb") as opened:
            return bool(hashlib.file_digest(opened, "sha256").hexdigest() == row["sha256"])
    except OSError:
        return False
