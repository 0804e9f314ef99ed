"""Compiled vocabularies in files of this machine, mapped into memory, so that all workers share one copy.

A file is named by everything it depends on: vocabulary and options, this release's format, the machine's byte order.
It holds a magic word, the length of a JSON header and its XXH3 checksum; the header (format, fingerprint, total size,
and each array's type, length, offset and checksum); and the arrays, each at a multiple of 64 bytes.

The folder is $CURATION_CACHE, else `curation/vocabularies` in the user's cache folder, else a private folder under the
temporary directory. Loops trust the arrays, so only files that belong to this user, and that nobody else may write, are
used; whatever is missing, foreign, cut off, damaged or of another format is built anew. A folder that cannot be written
or a full disk costs time, nothing else.
"""

from __future__ import annotations

import json
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from curation.concepts._trie_arrays import Trie
from curation.concepts.compiled import Compiled, Groups

FORMAT = 1
"""To be raised with any change of what `compile_vocabulary` makes or of what its loops expect."""

_MAGIC = b"CURATVOC"
_HEAD = struct.Struct("<8sQQ")  # magic, bytes of the header, their checksum
_ALIGNMENT = 64

_LONG = ("long_offsets", "long_data", "long_ids")
_NAMES = {
    *(f"{kind}.{name}" for kind in ("tokens", "characters") for name in Trie._fields),
    *(f"groups.{name}" for name in Groups._fields),
    *_LONG,
}

Arrays = dict[str, np.ndarray[Any, Any]]


class _UnusableError(Exception):
    """The file is not one that this release wrote for this vocabulary, whole."""


def cached(fingerprint: str, build: Callable[[], Compiled]) -> Compiled:
    """The compiled vocabulary of this fingerprint from its file, or built and, where possible, kept in one."""
    paths = [folder / f"{fingerprint}-{FORMAT}-{sys.byteorder}.vocabulary" for folder in _folders()]
    for path in paths:
        with suppress(OSError, _UnusableError):
            return _read(path, fingerprint)
    compiled = build()
    for path in paths:
        with suppress(OSError, _UnusableError):
            _write(path, fingerprint, compiled)
            return _read(path, fingerprint)
    return compiled


def _folders() -> list[Path]:
    chosen = os.environ.get("CURATION_CACHE")
    if chosen:
        return [Path(chosen).resolve()]
    folders = [Path(tempfile.gettempdir()) / f"curation-vocabularies-{os.getuid()}"]
    with suppress(RuntimeError):  # no home
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folders.insert(0, Path(base).resolve() / "curation" / "vocabularies")
    return folders


def _check_private(facts: os.stat_result) -> None:
    if stat.S_ISLNK(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _UnusableError("others own it, or may write it")


def _read(path: Path, fingerprint: str) -> Compiled:
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        _check_private(facts)
        _check_private(path.parent.lstat())
        content = np.memmap(file, np.uint8, "r").view(np.ndarray) if facts.st_size else np.zeros(0, np.uint8)
    if len(content) < _HEAD.size:
        raise _UnusableError("cut off")
    magic, size, checksum = _HEAD.unpack(content[: _HEAD.size].tobytes())
    described = content[_HEAD.size : _HEAD.size + size].tobytes()
    if magic != _MAGIC or len(described) != size or xxhash.xxh3_64_intdigest(described) != checksum:
        raise _UnusableError("damaged header")
    header = json.loads(described)
    if (header["format"], header["fingerprint"], header["bytes"]) != (FORMAT, fingerprint, len(content)):
        raise _UnusableError("another format or vocabulary, or cut off")
    arrays: Arrays = {}
    for name, kind, begin, end, checksum in header["arrays"]:
        if xxhash.xxh3_64_intdigest(content[begin:end].data) != checksum:
            raise _UnusableError(f"{name} is damaged")
        arrays[name] = content[begin:end].view(kind)
    if set(arrays) != _NAMES:
        raise _UnusableError("other arrays")
    return _from_arrays(arrays)


def _write(path: Path, fingerprint: str, compiled: Compiled) -> None:
    """Writes beside `path`, then gives the file its name: readers see a whole one or none."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(path.parent.lstat())
    header, arrays = _described(fingerprint, _to_arrays(compiled))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_HEAD.pack(_MAGIC, len(header), xxhash.xxh3_64_intdigest(header)) + header)
            for begin, values in arrays:
                file.seek(begin)
                file.write(values.data)
        _publish(Path(name), path, fingerprint)
    finally:
        Path(name).unlink(missing_ok=True)


def _publish(scratch: Path, path: Path, fingerprint: str) -> None:
    """Of processes that built at once the first one wins, so that all of them map the same file."""
    try:
        os.link(scratch, path)
    except OSError:  # it is there by now, and is used unless it is damaged; or the file system has no links
        try:
            _read(path, fingerprint)
        except (OSError, _UnusableError):
            scratch.replace(path)


def _described(fingerprint: str, arrays: Arrays) -> tuple[bytes, list[tuple[int, np.ndarray[Any, Any]]]]:
    """The header, and where each array goes. The header's own length moves them, so a generous one is set aside."""
    at = first = -(-(_HEAD.size + 512 + 128 * len(arrays)) // _ALIGNMENT) * _ALIGNMENT
    facts, placed = [], []
    for name, values in arrays.items():
        facts.append([name, values.dtype.str, at, at + values.nbytes, xxhash.xxh3_64_intdigest(values.data)])
        if values.nbytes:
            placed.append((at, values))
        end = at + values.nbytes
        at = -(-end // _ALIGNMENT) * _ALIGNMENT
    size = max([first] + [begin + values.nbytes for begin, values in placed])
    header = json.dumps({"format": FORMAT, "fingerprint": fingerprint, "bytes": size, "arrays": facts}).encode()
    return header, placed


def _to_arrays(compiled: Compiled) -> Arrays:
    arrays: Arrays = {}
    for kind in ("tokens", "characters"):
        for name, values in getattr(compiled, kind)._asdict().items():
            arrays[f"{kind}.{name}"] = np.atleast_1d(values)
    arrays.update({f"groups.{name}": values for name, values in compiled.groups._asdict().items()})
    arrays.update({name: getattr(compiled, name) for name in _LONG})
    return arrays


def _from_arrays(arrays: Arrays) -> Compiled:
    from curation.kernels import readonly

    values: dict[str, Any] = {name: readonly(array) for name, array in arrays.items()}
    for name in ("tokens.hash_mask", "tokens.depth", "characters.hash_mask", "characters.depth"):
        values[name] = values[name][0]
    tokens, characters = (
        Trie(*(values[f"{kind}.{name}"] for name in Trie._fields)) for kind in ("tokens", "characters")
    )
    offsets, data, ids = (values[name] for name in _LONG)
    groups = Groups(*(values[f"groups.{name}"] for name in Groups._fields))
    return Compiled(tokens, characters, offsets, data, ids, groups)
