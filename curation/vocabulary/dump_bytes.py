"""Bytes of a range of a dump: plain, or in bzip2 of one stream or of many.

A bzip2 file may consist of several streams one after another (Wikipedia's multistream dumps, pbzip2). A range has the
streams that begin in it. A stream begins at byte 0 and where another one ends. A range that begins in the middle looks
for the ten bytes that a stream begins with (the magic "BZh", the level, and the magic of its first block): elsewhere
they occur with a chance of 2^-77 per byte, and what follows them there is no bzip2 block: it is rejected and passed
over, and gives no pages. https://en.wikipedia.org/wiki/Bzip2#File_format
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Generator, Iterator
from typing import BinaryIO, NamedTuple, Protocol

from curation.errors import Reason

HEAD_BYTES = 1 << 20
_READ_BYTES = 1 << 20
_FEED_BYTES = 1 << 14  # less than a block, so that an error in one block costs no data of the block before it
_OUTPUT_BYTES = 64 << 20  # more than a block, 46 MB at most: its checksum is compared before its bytes are handed out
_BOMB_BYTES, _BOMB_RATIO = 256 << 20, 1000  # real dumps shrink to a fourth or a twentieth
_MAGIC = re.compile(rb"BZh[1-9]1AY&SY")
_ANY_MAGIC = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")  # the latter begins a stream of no blocks
_MAGIC_BYTES = 10


class Reject(Protocol):
    """Takes what could not be read; `offset` is in bytes of the file as it lies there (compressed)."""

    def __call__(self, reason: Reason, *, offset: int | None, detail: str) -> None: ...


class Chunk(NamedTuple):
    """Some bytes of the dump. An empty one says that a stream, or with `ends` the end of the file, comes next."""

    data: bytes
    offset: int
    """Where in the file the data begin; in bzip2 where their stream begins."""
    owned: bool
    """Whether that lies in the range."""
    after_gap: bool = False
    """Whether what comes before was lost, or not read."""
    ends: bool = False
    is_exact: bool = False
    """Whether the offset is that of the first byte, as in plain files."""


class _StreamError(Exception):
    """A bzip2 stream that cannot be read on."""

    def __init__(self, reason: Reason, offset: int, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.offset = reason, offset


def is_bzip2(file: BinaryIO) -> bool:
    """Whether a file begins as bzip2 files do."""
    file.seek(0)
    return file.read(3) == b"BZh"


def head_bytes(file: BinaryIO, until: bytes) -> bytes | None:
    """The first bytes of a dump, HEAD_BYTES or up to `until` and some more; None where bzip2 is broken before any."""
    if not is_bzip2(file):
        file.seek(0)
        return file.read(HEAD_BYTES)
    head = b""
    for chunk in _Bzip2(file, HEAD_BYTES, _ignore).chunks(0):
        if chunk.after_gap and chunk.offset:
            break
        head += chunk.data[:HEAD_BYTES]
        if until in head or len(head) >= HEAD_BYTES or chunk.ends:
            return head
    return head or None


def _ignore(reason: Reason, *, offset: int | None, detail: str) -> None:
    """Whoever reads the range that holds the head rejects what is wrong there."""


def read_chunks(file: BinaryIO, start: int, end: int, reject: Reject) -> Iterator[Chunk]:
    """The bytes of a range, and on to the end of the file if they are asked for; rejects what cannot be read."""
    return _Bzip2(file, end, reject).chunks(start) if is_bzip2(file) else _plain(file, start, end)


def _plain(file: BinaryIO, start: int, end: int) -> Iterator[Chunk]:
    file.seek(start)
    position = start
    while data := file.read(min(_READ_BYTES, end - position) if position < end else _READ_BYTES):
        yield Chunk(data, position, position < end, is_exact=True)
        position += len(data)
    yield Chunk(b"", position, owned=True, ends=True)


class _Bzip2:
    """Reads the streams of a bzip2 file."""

    def __init__(self, file: BinaryIO, end: int, reject: Reject) -> None:
        self._file = file
        self._end = end
        self._reject = reject
        self._read = self._made = 0  # bytes of all streams, compressed and not

    def chunks(self, start: int) -> Iterator[Chunk]:
        position = self._find(start) if start else 0
        after_gap = True
        while position is not None:
            yield Chunk(b"", position, position < self._end, after_gap)
            following: int | None = position + 1
            try:
                following = yield from self._stream(position)
                after_gap = False
                self._file.seek(following)
                magic = self._file.read(_MAGIC_BYTES)
                if not magic:
                    yield Chunk(b"", following, owned=True, ends=True)
                    return
                if _ANY_MAGIC.fullmatch(magic) is None:  # the next range does not see what cannot be found
                    is_cut = len(magic) < _MAGIC_BYTES and magic.startswith(b"BZh"[: len(magic)])
                    reason = Reason.TRUNCATED_RECORD if is_cut else Reason.BROKEN_BZIP2
                    raise _StreamError(reason, following, "no bzip2 stream where the next should begin")
            except _StreamError as error:
                self._reject(error.reason, offset=error.offset, detail=str(error))
                if error.reason is not Reason.BROKEN_BZIP2:
                    return
                following, after_gap = self._find(error.offset + 1), True
            position = following

    def _stream(self, start: int) -> Generator[Chunk, None, int]:
        """The bytes of the stream at `start`; returns where it ends."""
        self._file.seek(start)
        decompressor = bz2.BZ2Decompressor()
        fed = start
        while not decompressor.eof:
            piece = self._file.read(_FEED_BYTES) if decompressor.needs_input else b""
            if decompressor.needs_input and not piece:
                detail = f"the file ends within the bzip2 stream that begins at byte {start}"
                raise _StreamError(Reason.TRUNCATED_RECORD, fed, detail)
            fed += len(piece)
            try:
                data = decompressor.decompress(piece, _OUTPUT_BYTES)
            except OSError as error:
                detail = f"bzip2 stream broken before byte {fed}: {error}; read on at the next stream, if there is one"
                raise _StreamError(Reason.BROKEN_BZIP2, start, detail) from None
            self._count(start, len(piece), len(data))
            if data:
                yield Chunk(data, start, start < self._end)
        return fed - len(decompressor.unused_data)

    def _count(self, start: int, read: int, made: int) -> None:
        self._read += read
        self._made += made
        if self._made > _BOMB_BYTES + _BOMB_RATIO * self._read:
            detail = f"{self._read} bytes of bzip2 expand to more than {self._made}: not read further"
            raise _StreamError(Reason.TOO_LARGE, start, detail)

    def _find(self, start: int) -> int | None:
        """Where the next stream after `start` seems to begin, if that is in the range."""
        self._file.seek(start)
        window = b""
        while start < self._end:
            piece = self._file.read(_READ_BYTES)
            window += piece
            found = _MAGIC.search(window)
            if found is not None:
                return start + found.start() if start + found.start() < self._end else None
            if not piece:
                return None
            drop = max(len(window) - _MAGIC_BYTES + 1, 0)
            start, window = start + drop, window[drop:]
        return None
