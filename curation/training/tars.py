"""Samples of WebDataset tars, read front to back in large pieces; what is not asked for is passed over, not read.

    with open("00000.tar", "rb") as file:
        for sample in read_samples(file, "00000.tar"):
            sample.key, sample.parts["jpg"]

A tar is a chain of blocks of 512 bytes (POSIX.1-1988 ustar, with the long names and sizes of pax and GNU tar). Members
that follow each other and share their name up to its first dot are one sample.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol
from zlib import adler32

from curation.media.shards import BLOCK, ShardError

READ: Final = 1 << 20
"""Bytes of a read: what still lies in a core's cache when it is taken apart."""

_HOP: Final = 16 << 10  # bytes of a read on the way to a sample that is wanted: a header, and small members behind it
_PLAIN: Final = b"0\x007"
_OF_OTHERS: Final = b"gK"  # headers: for all members behind them, and a long name of what the next one links to
_META: Final = re.compile(r"__[^/]*__($|/)")
_ADLER: Final = 65521
_EMPTY: Final = bytes(BLOCK)
_BLANKS: Final = 8 * 32


class Readable(Protocol):
    """A file open for reading, local or of fsspec."""

    def read(self, size: int, /) -> bytes: ...

    def readinto(self, buffer: memoryview, /) -> int | None: ...

    def seek(self, offset: int, /) -> int: ...


@dataclass(slots=True)
class TarSample:
    """position: counted within its tar from 0. parts: bytes by extension, in the order of the tar."""

    key: str
    position: int
    parts: dict[str, bytes] = field(default_factory=dict)


def read_samples(
    file: Readable,
    name: str,
    wanted: Iterable[int] | None = None,
    without: frozenset[str] = frozenset(),
    total: int | None = None,
) -> Iterator[TarSample]:
    """The samples at some positions, ascending; all of them where wanted is None. One is in memory, and READ bytes.

    name: of the tar, for messages. without: last parts of extensions that are not read. total: how many samples the tar
    is said to hold. Stops after the last wanted one. Raises ShardError for a tar that is torn or none, ends before a
    wanted position, or goes on behind its last: in place of that one, as nobody may ask for more.
    """
    places = None if wanted is None else iter(wanted)
    at = 0 if places is None else next(places, None)
    tape, position, key = _Tape(file, name), -1, None
    sample: TarSample | None = None
    while at is not None:
        found = tape.header()
        base, size = found or ("", 0)
        stem, ext = _split(base)
        if found is not None and stem is None:
            tape.skip(size, READ if sample is not None else _HOP)
            continue
        if stem != key or found is None:
            if found is not None and position + 1 == total:
                raise ShardError(f"{name} has more than the {total} samples that are told of")
            if sample is not None:
                yield sample
                sample, at = None, position + 1 if places is None else next(places, None)
            if found is None:
                break
            key, position = stem, position + 1
            if position == at:
                sample = TarSample(stem or "", position)
        if at is None:
            return
        if sample is None or ext.rpartition(".")[2] in without:
            tape.skip(size, READ if sample is not None or position + 1 == at else _HOP)
        elif ext in sample.parts:
            raise ShardError(f"{name}: sample {position} has two members {base!r}")
        else:
            sample.parts[ext] = tape.data(size)
    if places is not None and at is not None:
        raise ShardError(f"{name} has {position + 1} samples, and number {at} (from 0) was asked for")


def count_samples(file: Readable, name: str) -> int:
    """How many samples a tar holds, by its headers. Raises ShardError as `read_samples` does."""
    tape, key, count = _Tape(file, name), None, 0
    while (found := tape.header()) is not None:
        stem = _split(found[0])[0]
        count += stem is not None and stem != key
        key = stem or key
        tape.skip(found[1], _HOP)
    return count


def _split(name: str) -> tuple[str | None, str]:
    """(key, extension), as WebDataset splits names: at the first dot of the last part; extensions in lower case.

    No key: the file is of no sample, as `README`, macOS's `._x.jpg` and `__meta__/x.txt` are.
    """
    folder, slash, base = name.rpartition("/")
    stem, dot, ext = base.partition(".")
    if not stem or not dot or (name.startswith("__") and _META.match(name)):
        return None, ""
    return folder + slash + stem, ext.lower()


class _Tape:
    """A tar and where reading stands in it: at a header, or at the data of the member whose header was read."""

    def __init__(self, file: Readable, name: str) -> None:
        self._file, self._name = file, name
        self._piece = memoryview(bytearray(READ))
        self._at = self._end = 0  # within the piece: where reading stands, and where what was read ends
        self._begin, self._size = 0, READ  # bytes of the tar before the piece, and of the next read

    def header(self) -> tuple[str, int] | None:
        """(name, bytes) of the next plain file; None at the end."""
        told: dict[str, str] = {}
        while True:
            block = self._take(BLOCK)
            if block == _EMPTY:
                return None
            size = self._checked(block)
            kind = block[156:157]
            if kind in _PLAIN:
                size = int(told.get("size", size))
                return told.get("path") or _name(block), size
            if kind == b"x":
                told |= self._records(self._take(size))
            elif kind == b"L":
                told["path"] = self._take(size).rstrip(b"\0").decode("utf-8", "surrogateescape")
            else:  # folders, links, and what holds for all members
                if kind not in _OF_OTHERS:
                    told = {}  # was told of this one
                self.skip(size, self._size)
                continue
            self._at += -size % BLOCK

    def data(self, size: int) -> bytes:
        """Those of the member."""
        self._size = READ
        found = self._take(size)
        self._at += -size % BLOCK  # may lie behind the piece: the next read begins there
        return found

    def skip(self, size: int, read: int) -> None:
        """Passes over the member. read: bytes of the next read, should it need one."""
        self._size = read
        self._at += size + -size % BLOCK

    def _take(self, size: int) -> bytes:
        if self._at + size > self._end:
            if size > READ:
                return self._take_large(size)
            self._fill(size)
        found = bytes(self._piece[self._at : self._at + size])
        self._at += size
        return found

    def _fill(self, size: int) -> None:
        """Lets the piece begin where reading stands, and hold so many bytes from there."""
        kept = self._move(min(self._at, self._end))
        wanted = max(min(self._size, READ), size)
        while kept < wanted:
            more = self._file.readinto(self._piece[kept:wanted])
            kept += more or 0
            if not more:
                break
        self._end = kept
        if kept < size:
            raise self._torn(self._begin + kept)

    def _move(self, start: int) -> int:
        """Lets the piece begin where reading stands. start: of what is kept of it, which it gives the length of."""
        kept = self._end - start
        if self._at > self._end:
            self._file.seek(self._begin + self._at)
        self._piece[:kept] = self._piece[start : self._end]
        self._begin, self._at, self._end = self._begin + self._at, 0, kept
        return kept

    def _take_large(self, size: int) -> bytes:
        parts = [bytes(self._piece[: self._move(min(self._at, self._end))])]
        missing = size - len(parts[0])
        while missing:
            parts.append(self._file.read(missing))
            if not parts[-1]:
                raise self._torn(self._begin + size - missing)
            missing -= len(parts[-1])
        self._begin, self._at, self._end = self._begin + size, 0, 0
        return b"".join(parts)

    def _torn(self, at: int) -> ShardError:
        return ShardError(f"{self._name} is torn: it ends at byte {at}, within a member or before its end mark")

    def _checked(self, block: bytes) -> int:
        """The size that a header tells. Raises ShardError where it is none."""
        where = f"{self._name} at byte {self._begin + self._at - BLOCK}"
        told, field_ = block[148:156], block[124:136]
        try:
            total = _octal(told.strip(b" \0"))
            size = int.from_bytes(field_[1:]) if field_[0] == 0x80 else _octal(field_.strip(b" \0") or b"0")
        except ValueError:
            raise ShardError(f"{where}: no tar header; the shard is torn, compressed or no tar") from None
        # the checksum is the sum of all bytes, with blanks for itself; adler32's low half is a sum + 1 (mod 65521)
        summed = (adler32(block) & 0xFFFF) - (adler32(told) & 0xFFFF) + _BLANKS
        if (summed - total) % _ADLER:
            raise ShardError(f"{where}: a damaged tar header; the shard was altered")
        return size

    def _records(self, data: bytes) -> dict[str, str]:
        """The names and values of a pax header: `LENGTH NAME=VALUE` and a line feed each."""
        found, at = {}, 0
        while at < len(data):
            length = data[at:].partition(b" ")[0]
            if not length.isdigit() or not int(length):
                raise ShardError(f"{self._name}: a damaged pax header")
            name, _, value = data[at + len(length) + 1 : at + int(length) - 1].partition(b"=")
            found[name.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
            at += int(length)
        return found


def _octal(digits: bytes) -> int:
    """Raises ValueError for all else; int alone would read an `o` behind the first zero."""
    if not digits.isdigit():
        raise ValueError(digits)
    return int(digits, 8)


def _name(block: bytes) -> str:
    name = block[:100].partition(b"\0")[0]
    if block[345] and block[257:263] == b"ustar\0":
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    return name.decode("utf-8", "surrogateescape")
