"""Tar shards in WebDataset's layout whose bytes depend on their samples alone, and reads of single members.

The headers are written here, field by field (POSIX.1-1988 ustar): a library's defaults for owners, times, formats and
padding differ by version and machine. A shard is its members, each padded to 512 bytes, and two blocks of zeros.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import fsspec

from curation.errors import CurationError
from curation.storage import Store

BLOCK = 512
END = bytes(2 * BLOCK)
COLUMNS = (
    "url",
    "caption",
    "key",
    "status",
    "error_message",
    "width",
    "height",
    "original_width",
    "original_height",
    "exif",
    "sha256",
)
"""Columns of img2dataset's sidecars, with extract_exif and compute_hash as they are by default."""

_MAX_NAME = 100  # bytes of the name field
_MAX_SIZE = 8**11 - 1  # eleven octal digits


class ShardError(CurationError):
    """A shard cannot be written as asked, or is not what it was when it was written."""


@dataclass(frozen=True)
class Sample:
    """One sample: `parts` by extension (jpg, json, txt ...), in the order they are to be written."""

    key: str
    parts: Mapping[str, bytes]


@dataclass(frozen=True)
class Member:
    """One file of a shard: `size_bytes` bytes from `offset`, which is that of its data, not of its header."""

    key: str
    ext: str
    offset: int
    size_bytes: int


class Sink(Protocol):
    """What a shard is written to."""

    def write(self, data: bytes, /) -> object: ...


def write_shard(file: Sink, samples: Iterable[Sample]) -> list[Member]:
    """Writes samples in their order, one at a time in memory; gives their members in that order.

    The file is left open, and its caller answers for its name: see `Store.whole`.
    Raises ShardError for names that readers could take for others: see `member_name`.
    """
    members: list[Member] = []
    keys: set[str] = set()
    at = 0
    for sample in samples:
        if sample.key in keys:
            raise ShardError(f"key {sample.key!r} comes twice: readers would merge the two samples")
        if not sample.parts:
            raise ShardError(f"sample {sample.key!r} has no parts: it would vanish")
        keys.add(sample.key)
        for ext, data in sample.parts.items():
            file.write(header(member_name(sample.key, ext), len(data)))
            file.write(data)
            file.write(bytes(-len(data) % BLOCK))
            members.append(Member(sample.key, ext, at + BLOCK, len(data)))
            at += BLOCK + _padded(len(data))
    file.write(END)
    return members


def member_name(key: str, ext: str) -> str:
    """`key.ext`. WebDataset splits a base name at its first dot and lowers the case of the extension, so a key's last
    part holds no dot and an extension no capitals. Raises ShardError for that, for what is no plain relative path,
    for names over 100 bytes of UTF-8.
    """
    name = f"{key}.{ext}"
    folders = key.split("/")
    if "." in folders[-1] or any(part in ("", ".", "..") for part in folders):
        raise ShardError(f"{key!r} cannot be a key: it needs a name without dots, and no empty, . or .. folders")
    if not ext or ext != ext.lower() or "/" in ext or any(not part for part in ext.split(".")):
        raise ShardError(f"{ext!r} cannot be an extension: lower case, without slashes or empty parts")
    if "\\" in name or not (name.isascii() and name.isprintable()):
        raise ShardError(f"{name!a} cannot be a member's name: printable ASCII without \\ only")
    if len(name) > _MAX_NAME:
        raise ShardError(f"{name!r} is longer than {_MAX_NAME} bytes: use shorter keys")
    return name


def header(name: str, size_bytes: int) -> bytes:
    """One ustar header: a plain file, rw-r--r--, of nobody in particular (0, no names), of 1970. 512 bytes."""
    if size_bytes > _MAX_SIZE:
        raise ShardError(f"{name} has {size_bytes} bytes; a tar member has at most {_MAX_SIZE}")
    block = bytearray(BLOCK)
    encoded = name.encode()
    block[: len(encoded)] = encoded
    block[100:136] = b"0000644\x000000000\x000000000\0%011o" % size_bytes + b"\0"
    block[136:148] = b"00000000000\0"
    block[148:157] = b" " * 8 + b"0"  # the checksum counts as blanks; 0 is a plain file
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def check_shard(path: str | Path) -> list[Member]:
    """The members of a local shard that is whole, read from its headers and its length; the data is not looked at.

    Raises ShardError with the place of what `write_shard` would have written otherwise: a torn end, an altered or
    foreign header, bytes behind the end. Altered data shows in the sha256 of the members.
    """
    members: list[Member] = []
    with Path(path).open("rb") as file:
        end = os.fstat(file.fileno()).st_size - len(END)
        at = 0
        while at < end:
            file.seek(at)
            block = file.read(BLOCK)
            key, ext, size = _read_header(block, f"{path} at byte {at}")
            members.append(Member(key, ext, at + BLOCK, size))
            at += BLOCK + _padded(size)
            if at <= end:
                file.seek(at - _padded(size) + size)
                if any(file.read(_padded(size) - size)):
                    raise ShardError(f"{path}: bytes behind the data of {key}.{ext}")
        file.seek(max(end, 0))
        if at != end or file.read() != END:
            raise ShardError(f"{path} is torn: it does not end after its last member")
    return members


def _read_header(block: bytes, where: str) -> tuple[str, str, int]:
    """(key, extension, size) of a header that is exactly ours."""
    try:
        name = block[:_MAX_NAME].rstrip(b"\0").decode()
        size = int(block[124:135], 8)
        folder, _, base = name.rpartition("/")
        stem, _, ext = base.partition(".")
        key = f"{folder}/{stem}" if folder else stem
        if header(member_name(key, ext), size) == block:
            return key, ext, size
    except (ValueError, ShardError):
        pass
    raise ShardError(f"{where}: no header of this writer; the shard is torn or was altered")


def read_member(store: Store | str, path: str, offset: int, size_bytes: int) -> bytes:
    """One member's data by one range read, from a local folder or any URL that fsspec speaks.

    Raises ShardError where the file ends before it, FileNotFoundError where there is no file.
    """
    root = Store.at(store) if isinstance(store, str) else store
    url = root.url(path)
    if root.is_local:
        with Path(url).open("rb") as file:
            file.seek(offset)
            data = file.read(size_bytes)
    else:
        fs, place = fsspec.core.url_to_fs(url)
        data = bytes(fs.cat_file(place, start=offset, end=offset + size_bytes)) if size_bytes else b""
    if len(data) != size_bytes:
        raise ShardError(f"{url} ends before byte {offset + size_bytes}: it is torn or another shard")
    return data


def sidecar(columns: Mapping[str, object]) -> bytes:
    """Canonical JSON of one sample: img2dataset's columns (null where not given) and any others, names sorted, no
    blanks, UTF-8; a lone surrogate is escaped. Raises ShardError for values JSON does not have.
    """
    row = {**dict.fromkeys(COLUMNS), **columns}
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ShardError(f"the sidecar of {row['key']!r} cannot be JSON: {error}") from None
    return text.encode("utf-8", "backslashreplace")


def _padded(size: int) -> int:
    return size + -size % BLOCK
