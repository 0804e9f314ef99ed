"""Inflated pieces of an archive, with the offset of the gzip member each of them came from.

Own code, because FastWARC 2.0.1, tried on damaged archives, ends at the first broken member or wrong Content-Length and
cannot go on behind it; its lenient mode hands wrong lengths on without a word, a too long one swallowing the record
after it. Inflating is ISA-L's (isal), which checks every member's CRC and length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

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
_InflateError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub declares an instance
_JUNK = "bytes that are no gzip member"


@dataclass(slots=True)  # not frozen: that makes creation three times as slow
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
        filled = bool(window.buffer) or window.more()
        while filled:
            yield Piece(window.buffer, window.start)
            window.keep = window.end
            filled = window.more()

    def abandon(self) -> None:
        """Nothing to skip: reading costs no more than searching."""


class GzipPieces:
    """An archive of gzip members; damage costs the member it is in, never what comes after it."""

    compressed = True

    def __init__(self, window: Window, log: ReadLog, *, salvage: bool = False) -> None:
        """salvage: hand out what there is of a member that the end of the file cuts off, unchecked."""
        self._window = window
        self._log = log
        self._salvage = salvage
        self._abandoned = False
        self._damage: tuple[int, str] | None = None  # where and what; reported when it is known where reading goes on

    def abandon(self) -> None:
        self._abandoned = True

    def __iter__(self) -> Iterator[Piece]:
        window = self._window
        position, on_trial = 0, False
        while head := window.at(position, len(GZIP_MAGIC)):
            window.keep = position
            if not on_trial and head != GZIP_MAGIC:
                if self._only_zeros(position):
                    break
                self._damage = (position, _JUNK)
                yield Piece(b"", position, gap=True)
                position, on_trial = self._next_magic(position + 1), True
                continue
            member = _Member(window, position)
            data = member.step()
            if on_trial and not (data is not None and (member.finished or data.startswith(b"WARC/"))):
                position = self._next_magic(position + 1)
                continue
            if self._damage is not None:
                self._report(f"reading goes on at byte {position}")
            if data is not None and member.finished:
                yield Piece(data, position, starts=True, ends=True)
            elif data is not None:
                self._abandoned = False
                yield from self._release(member, data)
            on_trial = not member.finished
            if on_trial:
                self._damage = None if self._abandoned else (position, member.problem)
                yield Piece(b"", position, gap=True)
            position = self._next_magic(position + 1) if on_trial else member.position
        if self._damage != (0, _JUNK):  # a file without any member is no archive: that is the caller's to say
            self._report("nothing readable follows")

    def _report(self, what_follows: str) -> None:
        if self._damage is not None:
            offset, problem = self._damage
            self._log.reject(offset, Reason.BROKEN_GZIP, f"{problem}; {what_follows}")
            self._damage = None

    def _release(self, member: _Member, data: bytes) -> Iterator[Piece]:
        """The pieces of a member that takes more than one step."""
        held: list[bytes] = []
        size, starts = 0, True
        following: bytes | None = data
        while following is not None:
            held.append(following)
            size += len(following)
            if member.finished:
                yield Piece(b"".join(held), member.start, starts=starts, ends=True)
                return
            if size > HELD_BYTES:
                yield Piece(b"".join(held), member.start, starts=starts)
                held, starts = [], False
                if self._abandoned:
                    return
            following = member.step()
        if self._salvage and member.cut_off and held:
            yield Piece(b"".join(held), member.start, starts=starts)

    def _next_magic(self, position: int) -> int:
        """Where a member may begin; on trial, as the magic bytes also occur by chance."""
        found = self._window.find(GZIP_MAGIC, max(position, self._window.start))
        return self._window.end if found < 0 else found

    def _only_zeros(self, position: int) -> bool:
        """Whether nothing but zero padding follows, which gzip ignores too."""
        while rest := self._window.at(position, READ_BYTES):
            if rest.strip(b"\0"):
                return False
            position += len(rest)
            self._window.keep = position
        return True


class _Member:
    """One gzip member while it is being inflated."""

    def __init__(self, window: Window, start: int) -> None:
        self.start = start
        self.position = start
        self.finished = False
        self.problem = ""
        self.cut_off = False
        self._window = window
        self._inflater = isal_zlib.decompressobj(31)  # 31: gzip header and trailer, which is checked

    def step(self) -> bytes | None:
        """Inflates FEED_BYTES more; None where the member is broken, which `problem` describes."""
        fed = self._window.at(self.position, FEED_BYTES)
        if not fed:
            self.problem = "member cut off by the end of the file"
            self.cut_off = True
            return None
        try:
            data: bytes = self._inflater.decompress(fed)
        except _InflateError as error:
            self.problem = f"broken member: {error}"
            return None
        self.position += len(fed) - len(self._inflater.unused_data)
        self._window.keep = max(self.start, self.position - LOOK_BACK_BYTES)
        self.finished = self._inflater.eof
        return data
