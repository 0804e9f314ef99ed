"""Reading lists and models from any place that fsspec knows; what fails is one line that says what to do."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from fsspec.core import url_to_fs

from curation.crawl.streams import READ_ERRORS, open_binary
from curation.errors import InputError

Digest = Any
"""A running hash of hashlib, whose class has no public name."""

_BLOCK_BYTES = 4 << 20
_MAX_LINE_BYTES = 1 << 20
_LIST_SUFFIXES = (".txt", ".txt.gz")
_BOM = "\ufeff"


def new_digest() -> Digest:
    return hashlib.sha256()


def list_files(folder: str) -> list[tuple[str, str]]:
    """(name without .txt and .gz, location) of the lists in a folder, by name. Raises InputError, also for none."""
    with _readable(folder, "give a folder of .txt or .txt.gz lists"):
        fs, root = url_to_fs(folder)
        if fs.isfile(root):
            raise InputError(f"{folder} is a file: give the folder that holds it")
        paths = {str(path).rstrip("/").rpartition("/")[2]: str(path) for path in fs.ls(root, detail=False)}
    found = [
        (name.removesuffix(".gz").removesuffix(".txt"), fs.unstrip_protocol(path).removeprefix("file://"))
        for name, path in sorted(paths.items())
        if name.endswith(_LIST_SUFFIXES) and not name.startswith(".")
    ]
    if not found:
        raise InputError(f"no list in {folder}: it takes {' '.join(_LIST_SUFFIXES)}; remove it from the recipe")
    return [(name.encode("utf-8", "backslashreplace").decode(), location) for name, location in found]


def read_lines(location: str, digest: Digest) -> Iterator[tuple[int, pa.StringArray]]:
    """(number of its first line, lines) of each block of a UTF-8 file, .gz or not; the content goes into `digest`.

    Memory is bounded by the block. Raises InputError for a file that is missing, damaged, or no text.
    """
    number = 1
    with _readable(location, "give a text file with one item a line"), open_binary(location) as file:
        raw: Any = file  # fsspec's own readlines() reads the whole file
        reader = gzip.GzipFile(fileobj=raw) if location.endswith(".gz") else io.BufferedReader(raw)
        while block := reader.readlines(_BLOCK_BYTES):
            if max(map(len, block)) > _MAX_LINE_BYTES:
                raise InputError(f"{location} has lines of more than {_MAX_LINE_BYTES:,} bytes: give one item a line")
            content = b"".join(block)
            digest.update(content)
            try:
                text = content.decode().removeprefix(_BOM if number == 1 else "")
            except UnicodeDecodeError as error:
                line = number + content.count(b"\n", 0, error.start)
                raise InputError(f"{location}, line {line}, is not UTF-8: convert the file to UTF-8") from None
            yield number, pc.split_pattern(pa.array([text]), "\n").flatten()
            number += len(block)


@contextmanager
def local_copy(location: str, digest: Digest) -> Iterator[str]:
    """A local path of a file, which for a remote one lasts as long as the block; its content goes into `digest`."""
    with tempfile.TemporaryDirectory(prefix="curation-") as scratch:
        path = Path(scratch) / "model"
        with _readable(location, "give a fastText model, .bin or .ftz"), open_binary(location) as file:
            if "://" in location:
                with path.open("wb") as copy:
                    shutil.copyfileobj(file, copy, _BLOCK_BYTES)
            else:
                path = Path(location)
        with path.open("rb") as whole:
            digest.update(hashlib.file_digest(whole, "sha256").digest())
        yield str(path)


@contextmanager
def _readable(location: str, advice: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"nothing at {location}: {advice}") from None
    except (*READ_ERRORS, zlib.error, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {location} ({type(error).__name__}: {reason}): {advice}") from None
