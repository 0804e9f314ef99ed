"""The bytes of a text table, inflated where it is gzip, as a file or as lines."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from curation.crawl.log import ReadLog
from curation.crawl.members import GZIP_MAGIC, GzipPieces, Pieces, PlainPieces
from curation.crawl.streams import Window
from curation.errors import Reason

BLOCK_BYTES = 8 << 20
"""Bytes of a table parsed at once, where lines are parsed one by one."""
BLOCK_LINES = 20_000
"""Lines parsed at once."""
MAX_LINE_BYTES = 64 << 20
"""A longer line is refused."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Line = tuple[int, bytes]
"""Number from 0, and the line without its newline."""


def read_pieces(file: BinaryIO, log: ReadLog) -> Iterator[bytes]:
    """The bytes of a file. Bytes lost in damaged gzip leave a line break, and a rejection with their byte offset."""
    window = Window(file)
    pieces: Pieces = GzipPieces(window, log) if window.at(0, len(GZIP_MAGIC)) == GZIP_MAGIC else PlainPieces(window)
    for piece in pieces:
        yield b"\n" if piece.gap else piece.data


def read_lines(file: BinaryIO, log: ReadLog) -> Iterator[Line]:
    """The lines of a file; one that is too long is rejected and left out. A byte order mark is dropped."""
    number, rest, skipping = 0, b"", False
    for data in read_pieces(file, log):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if not skipping:
                yield number, line if number else line.removeprefix(_BYTE_ORDER_MARK)
            skipping = False
            number += 1
        if len(rest) > MAX_LINE_BYTES:
            if not skipping:
                log.reject(number, Reason.TOO_LARGE, f"line above {MAX_LINE_BYTES} bytes")
            rest, skipping = b"", True
    if rest and not skipping:
        yield number, rest if number else rest.removeprefix(_BYTE_ORDER_MARK)


def line_blocks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Lines in blocks of bounded size."""
    block: list[Line] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line[1])
        if size > BLOCK_BYTES or len(block) >= BLOCK_LINES:
            yield block
            block, size = [], 0
    if block:
        yield block


class PieceFile(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
