"""One folder of a run, local or on any object store that fsspec speaks to.

Only two guarantees are asked of it, those that object stores give: a put is seen whole or not at all, and a listing
after a put shows it. Nothing is ever appended to or renamed across folders.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import CurationError, WorkFolderError

_CLIENTS = {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "requests"}  # their own kinds of errors
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Store:
    """A root folder; all paths are relative to it with forward slashes. Cheap to pickle."""

    root: str

    @classmethod
    def at(cls, location: str | Path) -> Store:
        """A store at a local folder or a URL such as s3://bucket/run. Raises WorkFolderError for what is neither."""
        text = str(location).removeprefix("file://")
        if not text:
            raise WorkFolderError("the work folder has no name: give one with --work DIR")
        if "://" not in text:
            return cls(str(Path(text).expanduser().resolve()))
        try:
            _file_system(text, os.getpid())
        except (ValueError, ImportError) as error:
            raise WorkFolderError(f"{text} is no place for a work folder: {error}") from None
        return cls(text.rstrip("/"))

    @property
    def is_local(self) -> bool:
        return "://" not in self.root

    @property
    def _fs(self) -> Any:
        return _file_system(self.root, os.getpid())

    def url(self, path: str) -> str:
        """The full name of a file, as DuckDB and users open it.

        Raises WorkFolderError for a path that leaves the folder, which a Parquet file from elsewhere may hold.
        """
        if path.startswith("/") or (".." in path and ".." in path.split("/")):
            raise WorkFolderError(f"{path!r} does not lie below {self.root}: what says so is damaged or altered")
        return f"{self.root}/{path}"

    def read(self, path: str) -> bytes:
        """All bytes of a small file. Raises FileNotFoundError."""
        if self.is_local:
            return Path(self.url(path)).read_bytes()
        data: bytes = self._fs.cat_file(self.url(path))
        return data

    def read_json(self, path: str) -> Any:
        """A small JSON file, or None where there is none. Raises WorkFolderError where it is no JSON."""
        try:
            return json.loads(self.read(path))
        except FileNotFoundError:
            return None
        except ValueError:
            raise WorkFolderError(f"{self.url(path)} is damaged: remove it and run again") from None

    def put(self, path: str, data: bytes) -> None:
        """Writes a small file so that no reader ever sees a part of it; replaces what was there."""
        if not self.is_local:
            self._fs.pipe_file(self.url(path), data)
            return
        with _renamed(Path(self.url(path))) as file:
            file.write(data)

    def put_json(self, path: str, value: Any) -> None:
        self.put(path, json.dumps(value, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))

    def create(self, path: str, data: bytes) -> bool:
        """Writes a small file if it is not there yet; whether it did. Exact on local disks only."""
        if not self.is_local:
            if self._fs.exists(self.url(path)):
                return False
            self._fs.pipe_file(self.url(path), data)
            return True
        target = Path(self.url(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("xb") as file:
                file.write(data)
        except FileExistsError:
            return False
        return True

    def remove(self, path: str) -> None:
        """Removes one file; no error where there is none."""
        try:
            self._fs.rm_file(self.url(path))
        except FileNotFoundError:
            return

    def names(self, folder: str) -> set[str]:
        """Names of the files and folders directly in a folder; empty where there is none. Hidden files are left out."""
        try:
            found = self._fs.ls(self.url(folder), detail=False, refresh=True)
        except FileNotFoundError:
            return set()
        return {name for name in (str(path).rstrip("/").rsplit("/", 1)[-1] for path in found) if name[0] != "."}

    def sizes(self, folder: str) -> dict[str, int]:
        """Sizes in bytes of all files below a folder, by their paths in this store; empty where there is none."""
        if self.is_local:
            root = Path(self.root)
            found = (Path(base) / name for base, _, names in os.walk(root / folder) for name in names)
            return {path.relative_to(root).as_posix(): path.stat().st_size for path in found}
        listed = self._fs.find(self.url(folder), detail=True)
        top = self._fs._strip_protocol(self.root).rstrip("/")
        return {path[len(top) + 1 :]: details["size"] for path, details in listed.items()}

    def open_write(self, path: str) -> BinaryIO:
        """A new file for writing in a stream; readers must not be told of it before it is closed."""
        if self.is_local:
            target = Path(self.url(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            return target.open("wb")
        opened: BinaryIO = self._fs.open(self.url(path), "wb")
        return opened

    @contextmanager
    def whole(self, path: str) -> Iterator[BinaryIO]:
        """A new file that takes its name at the end of the block, complete and on the disk, or never; one at a time."""
        if not self.is_local:
            file = self._fs.open(self.url(path), "wb")
            try:
                yield file
            except BaseException:
                file.discard()
                raise
            file.close()
            return
        target = Path(self.url(path))
        for left in target.parent.glob(f".{target.name}.????????"):  # by writers that were killed
            left.unlink(missing_ok=True)
        with _renamed(target) as local:
            yield local

    def copy(self, path: str, to: str) -> None:
        """A finished file under another name as well: linked where the disk can, and never copied through this process
        where an object store can. Replaces what was there, whole or not at all. Raises FileNotFoundError.
        """
        if not self.is_local:
            self._fs.cp_file(self.url(path), self.url(to))
            return
        target = Path(self.url(to))
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
        try:
            scratch.hardlink_to(self.url(path))
        except FileNotFoundError:
            raise
        except OSError:  # no links here, or too many of this file
            with Path(self.url(path)).open("rb") as source, self.whole(to) as file:
                shutil.copyfileobj(source, file)
            return
        scratch.replace(target)
        _sync_folder(target.parent)

    def size(self, path: str) -> int | None:
        """Bytes of a file; None where there is none."""
        try:
            return int(self._fs.size(self.url(path)))
        except FileNotFoundError:
            return None

    def remove_tree(self, folder: str) -> None:
        """Removes a folder and all that is in it; no error where there is none."""
        try:
            self._fs.rm(self.url(folder), recursive=True)
        except FileNotFoundError:
            return

    def parquet(self, path: str) -> pq.ParquetFile:
        """An open Parquet file."""
        if self.is_local:
            return pq.ParquetFile(self.url(path))
        return pq.ParquetFile(self._fs.open(self.url(path), "rb"))

    def batches(
        self,
        paths: list[str],
        columns: list[str] | None = None,
        rows: int = 65_536,
        holding: tuple[str, int] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of some Parquet files, in order, one row group in memory at a time.

        holding: (column, value); row groups that cannot hold the value by their statistics are passed over.
        """
        for path in paths:
            with self.parquet(path) as file:
                groups = None if holding is None else _groups_with(file.metadata, *holding)
                if groups is None or groups:
                    yield from file.iter_batches(rows, groups, columns, use_threads=False)

    def part(self, path: str, offset: int, size_bytes: int) -> bytes:
        """Some bytes of a file; fewer where it ends before. Raises FileNotFoundError."""
        if self.is_local:
            with Path(self.url(path)).open("rb") as file:
                file.seek(offset)
                return file.read(size_bytes)
        data: bytes = self._fs.cat_file(self.url(path), start=offset, end=offset + size_bytes)
        return data

    def table(self, paths: list[str], schema: pa.Schema) -> pa.Table:
        """Some small Parquet files as one table; empty with `schema` where there are none."""
        return pa.Table.from_batches(list(self.batches(paths, schema.names)), schema=schema)

    def put_table(self, path: str, table: pa.Table) -> None:
        """A small table as one Parquet file, seen whole or not at all."""
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        self.put(path, sink.getvalue())


def _groups_with(metadata: Any, column: str, value: int) -> list[int]:
    """Row groups whose statistics do not rule out that a column holds the value."""
    place = metadata.schema.names.index(column)
    found = []
    for number in range(metadata.num_row_groups):
        known = metadata.row_group(number).column(place).statistics
        if known is None or not known.has_min_max or known.min <= value <= known.max:
            found.append(number)
    return found


@cache
def _file_system(url: str, process: int) -> Any:
    """fsspec's view of a URL: one for all threads, and a new one after a fork, which its event loop does not survive.

    Without its memory of listings: other processes write here, and it would not see that.
    """
    return fsspec.core.url_to_fs(url, use_listings_cache=False)[0]


@contextmanager
def _renamed(target: Path) -> Iterator[BinaryIO]:
    """A local file that takes its name at the end of the block, complete and on the disk, or never."""
    scratch = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with scratch.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)
        _sync_folder(target.parent)
    finally:
        scratch.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes a rename outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(store: Store) -> Iterator[None]:
    """Turns errors of the operating system or of an object store's client into one line that says what to do."""
    try:
        with client_errors(WorkFolderError):
            yield
    except OSError as error:
        raise WorkFolderError(explain_os_error(error, store.root)) from error


@contextmanager
def client_errors(kind: type[CurationError], what: str = "") -> Iterator[None]:
    """Turns errors of an object store's client (no credentials, no endpoint ...) into one line that begins so."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or type(error).__module__.split(".")[0] not in _CLIENTS:
            raise
        told = " ".join(str(error).split())[:200]
        raise kind(f"{what}an object store gave no answer: {told}; check credentials and endpoint") from error


def explain_os_error(error: OSError, where: str) -> str:
    """One line for an error of the operating system: what, where, what to do."""
    if error.errno in _NO_ROOM:
        return f"no space left on the disk of {where}: free some and run the same command again; nothing is lost"
    if isinstance(error, PermissionError):
        return f"no permission for {error.filename or where}: choose another folder or correct its rights"
    if isinstance(error, NotADirectoryError):
        return f"{where} lies below a file: choose another folder"
    if error.errno == errno.EROFS:
        return f"{where} lies on a read-only file system: choose another folder"
    return f"{where}: {error.strerror or error} ({error.filename or type(error).__name__})"
