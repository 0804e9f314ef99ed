"""Inflated pieces of an archive, with the offset of the gzip member each of them came from.

Own code, because FastWARC 2.0 (tried on damaged copies of Common Crawl files) ends at the first broken member and
has no way to go on behind it, checks no member's CRC by name, and takes a wrong Content-Length silently. Inflating is
ISA-L's (isal), which checks CRC and length of every member.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from isal import isal_zlib

from curation.crawl.log import ReadLog
from curation.crawl.streams import READ_BYTES, Window
from curation.errors import Reason

GZIP_MAGIC = b"\x1f\x8b\x08"
FEED_BYTES = 32 << 10
"""Compressed bytes given to inflate at once. Deflate expands at most 1032-fold, so one step gives at most 33 MB; a
member of Common Crawl (2 to 30 kB) takes one step and little is copied back."""
HELD_BYTES = 4 << 20
"""A member is handed out when it has been checked; one that inflates to more than this is handed out as it comes."""
LOOK_BACK_BYTES = 4 << 20
"""How much of a member's compressed bytes is kept to search for the next member behind damage."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an archive's records, in file order."""

    data: bytes
    offset: int
    """Of the gzip member (all records in it share it), or of data[0] where the archive is not compressed."""
    starts: bool = False
    """data[0] is the first byte of a member."""
    ends: bool = False
    """data[-1] is the last byte of a member."""
    gap: bool = False
    """Bytes before this piece were lost (and have their rejection)."""


class Pieces(Protocol):
    """An archive's bytes as pieces."""

    compressed: bool

    def __iter__(self) -> Iterator[Piece]: ...

    def abandon(self) -> None:
        """Skips the rest of the current gzip member without inflating it."""


class PlainPieces:
    """An archive without compression, in chunks."""

    compressed = False

    def __init__(self, window: Window) -> None:
        self._window = window

    def __iter__(self) -> Iterator[Piece]:
        window = self._window
        while window.buffer or window.more():
            piece = Piece(window.buffer, window.start)
            window.keep = window.end
            window.more()
            yield piece

    def abandon(self) -> None:
        """Nothing to skip: reading costs no more than searching."""


class GzipPieces:
    """An archive of gzip members; damage costs the member it is in, never what comes after it."""

    compressed = True

    def __init__(self, window: Window, log: ReadLog) -> None:
        self._window = window
        self._log = log
        self._abandoned = False

    def abandon(self) -> None:
        self._abandoned = True

    def __iter__(self) -> Iterator[Piece]:
        window = self._window
        position, trusted = 0, True
        while window.at(position, 1):
            window.keep = position
            if trusted and window.at(position, 3) != GZIP_MAGIC:
                if self._only_zeros(position):
                    return
                position, trusted = self._skip(position, "bytes that are no gzip member")
                yield Piece(b"", position, gap=True)
                continue
            member = _Member(window, position)
            self._abandoned = False
            if trusted or member.is_genuine():
                yield from self._release(member)
            if member.finished:
                position, trusted = member.position, True
            elif trusted or member.is_genuine():
                problem = "not read to its end" if self._abandoned else member.problem
                position, trusted = self._skip(position, problem, silent=self._abandoned)
                yield Piece(b"", position, gap=True)
            else:
                position = self._next_magic(position + 1)

    def _release(self, member: _Member) -> Iterator[Piece]:
        held: list[bytes] = []
        size, starts = 0, True
        for data in member:
            held.append(data)
            size += len(data)
            if size > HELD_BYTES and not member.finished:
                yield Piece(b"".join(held), member.start, starts=starts)
                held, starts = [], False
                if self._abandoned:
                    return
        if member.finished:
            yield Piece(b"".join(held), member.start, starts=starts, ends=True)

    def _skip(self, position: int, problem: str, *, silent: bool = False) -> tuple[int, bool]:
        """Finds the next member behind damage at `position`; its reading is on trial: magic bytes occur by chance."""
        following = self._next_magic(position + 1)
        if not silent:
            where = "end of file" if following == self._window.end else f"byte {following}"
            self._log.reject(position, Reason.BROKEN_GZIP, f"{problem}; searched on to {where}")
        return following, False

    def _next_magic(self, position: int) -> int:
        found = self._window.find(GZIP_MAGIC, max(position, self._window.start))
        return self._window.end if found < 0 else found

    def _only_zeros(self, position: int) -> bool:
        """Whether nothing but zero padding follows (gzip ignores it too)."""
        while True:
            rest = self._window.at(position, READ_BYTES)
            if rest.strip(b"\0"):
                return False
            position += len(rest)
            if not rest:
                return True
            self._window.keep = position
