"""The files that a recipe's inputs name, local or on anything fsspec speaks to."""

from __future__ import annotations

import gzip
import posixpath
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from curation.crawl.members import GZIP_MAGIC
from curation.crawl.streams import READ_ERRORS, open_binary, truly_missing
from curation.errors import InputError
from curation.recipe import ArchiveInput, Input, TableInput

SUFFIXES = {
    "wat": (".wat.gz", ".wat"),
    "warc": (".warc.gz", ".warc"),
    "table": (
        ".parquet",
        ".csv",
        ".csv.gz",
        ".tsv",
        ".tsv.gz",
        ".jsonl",
        ".jsonl.gz",
        ".ndjson",
        ".ndjson.gz",
    ),
}
"""What is taken from a folder, by kind. A file that is named itself may be called anything."""
LIST_SUFFIXES = (".paths", ".paths.gz")
"""Lists of files, one path a line, as Common Crawl publishes them (wat.paths.gz)."""

_TAGS = ("ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems call the thing that changes with a file's content, best first."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read."""

    input_index: int
    """Position of its entry in the recipe's inputs."""
    kind: str
    """wat, warc or table."""
    path: str
    """Absolute local path, or URL."""
    size_bytes: int | None
    """None where it is missing or was not asked for: the files of a remote list are not, one request each."""
    fingerprint: str | None
    """Changes when the file does: its etag or time of change."""
    missing: bool
    """It was named, but is not there."""


def expand_inputs(inputs: Sequence[Input]) -> list[InputFile]:
    """All files that inputs name, sorted by path, each once per kind of reading it: the order of inputs never matters.

    A path may be a file, a folder (searched recursively; names that begin with "." or "_" are left out), a glob, or a
    list of files (*.paths, *.paths.gz). Lines of a list are relative to the input's `base`, else to the list's folder.
    A file that is named but absent comes back as missing; whether the files of a remote list exist shows on reading.

    Raises InputError, one line, where nothing is found or a folder or list cannot be read.
    """
    files: dict[tuple[str, str], InputFile] = {}
    for index, entry in enumerate(inputs):
        reading = entry.model_dump_json(exclude={"paths", "base"})
        for location in entry.paths:
            for file in _Expansion(index, entry).files(location):
                files.setdefault((file.path, reading), file)
    return [files[key] for key in sorted(files)]


class _Expansion:
    """Expands the paths of one input."""

    def __init__(self, index: int, entry: ArchiveInput | TableInput) -> None:
        self._index = index
        self._kind = entry.kind
        self._base = entry.base if isinstance(entry, ArchiveInput) else None

    def files(self, location: str) -> list[InputFile]:
        try:
            fs, root = url_to_fs(location)
            return list(self._expand(location, fs, root))
        except (*READ_ERRORS, ValueError, ImportError) as error:
            raise InputError(f"cannot look at the input {location}: {type(error).__name__}: {error}") from None

    def _expand(self, location: str, fs: Any, root: str) -> Iterator[InputFile]:
        if location.endswith(LIST_SUFFIXES):
            yield from self._listed(_name(fs, root))
            return
        details = self._details(fs, root)
        remote_folder = _is_http(location) and location.endswith("/")
        if remote_folder or (details is not None and details["type"] == "directory"):
            yield from self._inside(location, fs, root)
        elif details is None and any(mark in location for mark in ("*" if _is_http(location) else "*?[")):
            yield from self._matching(location, fs, root)
        else:
            yield self._file(_name(fs, root) if "::" not in location else location, details)

    def _inside(self, location: str, fs: Any, root: str) -> Iterator[InputFile]:
        suffixes = SUFFIXES[self._kind]
        count = 0
        for name, details in _walk(fs, root):
            if name.lower().endswith(suffixes):
                count += 1
                yield self._file(_name(fs, name), details)
        if not count:
            raise InputError(f"no {self._kind} file in the folder {location}: it takes {' '.join(suffixes)}")

    def _matching(self, location: str, fs: Any, root: str) -> Iterator[InputFile]:
        found = fs.glob(root, detail=True)
        found = {name: details for name, details in found.items() if details["type"] != "directory"}
        if not found:
            raise InputError(f"nothing matches {location}: check the pattern and the folder")
        for name, details in sorted(found.items()):
            if name.endswith(LIST_SUFFIXES):
                yield from self._listed(_name(fs, name))
            else:
                yield self._file(_name(fs, name), details)

    def _listed(self, location: str) -> Iterator[InputFile]:
        folder = self._base or location.rpartition("/")[0] or "."
        lines = _read_list(location)
        if not lines:
            raise InputError(f"the list {location} names no file: give one path a line")
        for line in lines:
            absolute = line.startswith("/") or "://" in line
            fs, root = url_to_fs(line if absolute else f"{folder.rstrip('/')}/{line}")
            if isinstance(fs, LocalFileSystem) or "memory" in fs.protocol:
                yield self._file(_name(fs, root), self._details(fs, root))
            else:
                yield InputFile(self._index, self._kind, _name(fs, root), None, None, missing=False)

    def _details(self, fs: Any, root: str) -> dict[str, Any] | None:
        try:
            details: dict[str, Any] = fs.info(root)
        except FileNotFoundError as error:
            if truly_missing(error) is error:
                return None
            raise truly_missing(error) from error
        return details

    def _file(self, path: str, details: dict[str, Any] | None) -> InputFile:
        if details is None:
            return InputFile(self._index, self._kind, path, None, None, missing=True)
        tag = next((key for key in _TAGS if details.get(key) is not None), None)
        value = None if tag is None else details[tag]
        if isinstance(value, datetime):
            value = value.timestamp()
        fingerprint = None if tag is None else f"{tag.lower()}:{value}"
        return InputFile(self._index, self._kind, path, details.get("size"), fingerprint, missing=False)


def _walk(fs: Any, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of a folder and of those inside it, but for hidden ones. fsspec's walk leaves unreadable ones out."""
    for details in fs.ls(folder, detail=True):
        name = details["name"].rstrip("/")
        if name == folder.rstrip("/") or name.rpartition("/")[2].startswith(("_", ".")):
            continue
        if details["type"] == "directory":
            yield from _walk(fs, name)
        else:
            yield name, details


def _is_http(location: str) -> bool:
    return location.startswith(("http://", "https://"))


def _name(fs: Any, root: str) -> str:
    """How this file is opened again: a plain path where it is local, else a full URL."""
    if isinstance(fs, LocalFileSystem):
        return posixpath.normpath(root)
    url: str = fs.unstrip_protocol(root)
    return url


def _read_list(location: str) -> list[str]:
    try:
        with open_binary(location) as file:
            data = file.read()
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
        lines = [line.strip() for line in data.decode().splitlines()]
    except (*READ_ERRORS, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the list {location}: {type(error).__name__}: {error}") from None
    return [line for line in lines if line and not line.startswith("#")]
