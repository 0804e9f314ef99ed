"""Compiled vocabularies in files of this machine, mapped into memory, so that all workers share one copy.

A file is named by everything it depends on: vocabulary and options, the modules that make and read it (a digest of
their source), Python's Unicode tables, the machine's byte order. It holds a magic word, the length of a JSON header and
its XXH3 checksum; the header (format, fingerprint, total size, and each array's type, length, offset and checksum); and
the arrays, each at a multiple of 64 bytes.

The folder is $CURATION_CACHE, else `curation/vocabularies` in the user's cache folder, else a private folder under the
temporary directory. Loops trust the arrays, so only files that belong to this user, and that nobody else may write, are
used; whatever is missing, foreign, cut off, damaged or of another format is built anew. A folder that cannot be written
or a full disk costs time, nothing else; of $CURATION_CACHE a warning tells. Nothing is ever removed.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import sys
import tempfile
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from curation.concepts._trie_arrays import Trie
from curation.concepts.compiled import Compiled, Groups
from curation.machine_cache import is_private, source_digest, user_folders

_SOURCES = ("concepts/compiled", "concepts/forms", "concepts/options", "concepts/vocabulary_cache")
"""Beside all kernels: the modules that decide what `compile_vocabulary` makes and how it is kept."""

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

_warned: set[Path] = set()


class _UnusableError(Exception):
    """The file is not one that this release wrote for this vocabulary, whole."""


def cached(fingerprint: str, build: Callable[[], Compiled]) -> Compiled:
    """The compiled vocabulary of this fingerprint from its file, or built and, where possible, kept in one."""
    try:
        name = f"{fingerprint}-{_format()}-{sys.byteorder}.vocabulary"
    except OSError:  # imported from an archive
        return build()
    paths = [folder / name for folder in _folders()]
    for path in paths:
        with suppress(OSError, _UnusableError):
            return _read(path, fingerprint)
    compiled = build()
    for path in paths:
        try:
            _write(path, fingerprint, compiled)
            return _read(path, fingerprint)
        except (OSError, _UnusableError) as error:
            if os.environ.get("CURATION_CACHE"):
                _warn(path.parent, str(error))
    return compiled


@cache
def _format() -> str:
    """Changes with all code that makes or reads a file's arrays. Raises OSError where no source is found."""
    from curation.kernels import SOURCES

    return f"{source_digest(*SOURCES, *_SOURCES)}-{unicodedata.unidata_version}"


def _folders() -> list[Path]:
    chosen = os.environ.get("CURATION_CACHE")
    if not chosen:
        return user_folders("vocabularies")
    try:
        return [Path(chosen).expanduser().resolve()]
    except (OSError, RuntimeError) as error:  # "~" without a home, links in a circle
        _warn(Path(chosen), str(error))
        return []


def _warn(folder: Path, reason: str) -> None:
    if folder not in _warned:
        _warned.add(folder)
        logging.getLogger(__name__).warning(
            "CURATION_CACHE: %s keeps no compiled vocabularies (%s): every process builds its own", folder, reason
        )


def _check_private(facts: os.stat_result) -> None:
    if not is_private(facts):
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
    if (header["format"], header["fingerprint"], header["bytes"]) != (_format(), fingerprint, len(content)):
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
    header = json.dumps({"format": _format(), "fingerprint": fingerprint, "bytes": size, "arrays": facts}).encode()
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
