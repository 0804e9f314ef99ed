"""The files that a vocabulary is built from: found, measured, and known by their SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import fsspec
from fsspec.core import url_to_fs

from curation.concepts.packaged import resolved
from curation.errors import InputError
from curation.storage import client_errors

_CHUNK = 4 << 20


@dataclass(frozen=True)
class SourceFile:
    """location: path or URL. state: changes with the file's content as far as its storage can tell without reading."""

    location: str
    size_bytes: int
    state: str


def source_files(locations: Iterable[str]) -> list[SourceFile]:
    """The files that paths, URLs and globs name, each once, sorted by location.

    Raises InputError where one of them finds nothing or cannot be looked at.
    """
    found: dict[str, SourceFile] = {}
    for location in locations:
        for file in _expanded(location):
            found[file.location] = file
    return [found[name] for name in sorted(found)]


def _expanded(location: str) -> list[SourceFile]:
    location = resolved(location)
    with client_errors(InputError, f"cannot look at {location}: "):
        files = _found(location)
    if not files:
        raise InputError(f"nothing is at {location}: fetch it first, see `curation vocab plan RECIPE`")
    return files


def _found(location: str) -> list[SourceFile]:
    try:
        fs, path = url_to_fs(location)
        if any(mark in location for mark in "*?[") and not fs.exists(path):
            return [_described(fs, name) for name in fs.glob(path) if not fs.isdir(name)]
        return [_described(fs, path)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"cannot look at {location}: {' '.join(str(error).split())}") from None


def _described(fs: object, name: str) -> SourceFile:
    info = fs.info(name)  # type: ignore[attr-defined]
    if info["type"] == "directory":
        raise InputError(f"{name} is a folder: name the files in it, such as {name}/*")
    size = info.get("size")
    if size is None:
        raise InputError(f"{name} does not tell its size: fetch it first")
    state = next((str(info[key]) for key in ("ETag", "etag", "mtime", "LastModified") if key in info), "")
    return SourceFile(fs.unstrip_protocol(name).removeprefix("file://"), int(size), state)  # type: ignore[attr-defined]


def dump_name(wiki: str) -> str:
    """What the files and database of a Wikipedia are called, before `wiki`: en, zh_yue. One kept its old name."""
    return "be_x_old" if wiki == "be-tarask" else wiki.replace("-", "_")


def sha256(location: str) -> str:
    """Hex SHA-256 of a file's bytes. Raises OSError where it cannot be read."""
    digest = hashlib.sha256()
    with fsspec.open(location, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
