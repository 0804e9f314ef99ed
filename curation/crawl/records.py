"""WARC records (WAT files are WARC files) out of an archive that may be damaged anywhere.

What cannot be framed is rejected with its offset and reading goes on at the next record header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from curation.crawl.log import ReadLog
from curation.crawl.members import GZIP_MAGIC, GzipPieces, Piece, Pieces, PlainPieces
from curation.crawl.streams import ReadFailedError, Window
from curation.errors import Reason

MAX_HEADER_BYTES = 64 << 10
"""Longest header block that is read: Common Crawl's are below 1 kB, but target URIs can be long."""
SKIPPED_RECORDS = 4
"""A gzip member in which this many times max_record_bytes were skipped without a record is left: it may be a bomb."""

_VERSION = b"WARC/"
_NEXT_HEADER = re.compile(rb"WARC/1\.\d\r?\n[A-Za-z]").search  # a JSON block cannot hold it: no raw newlines there
_NEXT_HEADER_BYTES = 11
_BLANK = b"\r\n\r\n"
_LONGEST_SEPARATOR = len(_BLANK) + len(_VERSION)
_CONTENT_LENGTH = b"\r\nContent-Length:"
_ANY_CONTENT_LENGTH = re.compile(rb"(?i)\ncontent-length[ \t]*:([^\r\n]*)").search
_LONGEST_INTEGER = 18  # digits of a length that fits 63 bits
_NEWLINE = (b"\r", b"\n")
_NEWLINES = re.compile(rb"[\r\n]*").match


@dataclass(slots=True)  # not frozen: that makes creation three times as slow
class WarcRecord:
    """One framed record."""

    offset: int
    """Of its gzip member, or of the record itself where the archive is not compressed."""
    header: bytes
    """Header block without its closing blank line; valid UTF-8."""
    block: bytes
    """Exactly Content-Length bytes."""
    suspect: bool
    """The block is not followed by the next record: its Content-Length is wrong (and has been rejected)."""


def read_records(
    window: Window, name: str, log: ReadLog, max_record_bytes: int, *, salvage: bool = False
) -> Iterator[WarcRecord]:
    """All readable records of an archive; `name` only decides how to read a file whose first bytes are damaged.

    salvage: a record that is cut off is rejected, and handed out as far as it goes (half a page still says much, half
    a JSON object nothing).
    Raises ReadFailedError where the file itself cannot be read on.
    """
    magic = window.at(0, len(_VERSION))
    compressed = magic.startswith(GZIP_MAGIC) or (name.endswith(".gz") and magic != _VERSION)
    pieces: Pieces = GzipPieces(window, log, salvage=salvage) if compressed else PlainPieces(window)
    refused, empty = len(log.rejections), True
    for record in _RecordReader(pieces, log, max_record_bytes, salvage):
        empty = False
        yield record
    if empty and len(log.rejections) == refused:
        what = "is empty" if not window.end else "holds no WARC record"
        log.reject(0, Reason.NOT_AN_ARCHIVE, f"no WARC or WAT file: it {what}")


class _Refusal(Exception):  # noqa: N818 - a decision, not a fault of the program
    """The record at hand cannot be framed; the search for the next header begins at `resume`."""

    def __init__(self, reason: Reason, detail: str, resume: int) -> None:
        super().__init__(detail)
        self.reason = reason
        self.resume = resume


class _CutOff(_Refusal):
    """The record's block is not whole: it begins at `resume`."""

    def __init__(self, detail: str, resume: int, header: bytes) -> None:
        super().__init__(Reason.TRUNCATED_RECORD, detail, resume)
        self.header = header


class _Incomplete(Exception):  # noqa: N818
    """At least `missing` more bytes are needed to go on."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


class _RecordReader:
    """Cuts pieces into records. Holds one piece, or one unfinished record of at most max_record_bytes."""

    def __init__(self, pieces: Pieces, log: ReadLog, max_record_bytes: int, salvage: bool) -> None:
        self._found = False
        self._pieces = pieces
        self._log = log
        self._max_bytes = max_record_bytes
        self._salvage = salvage
        self._skippable = SKIPPED_RECORDS * max_record_bytes
        self._buffer = b""
        self._later: list[bytes] = []  # pieces after the buffer, joined when enough of them have come
        self._size = 0  # bytes in both
        self._missing = 0  # bytes that must come before the buffer is worth looking at again
        self._marks: list[tuple[int, int]] = []  # (position in the buffer + later, offset in the file)
        self._searching = False
        self._skipped = 0
        self._junk_at: int | None = None  # bytes before the first record: no rejection until one is found

    def __iter__(self) -> Iterator[WarcRecord]:
        whole = True  # whether what is unfinished came from members that were read to their end
        try:
            for piece in self._pieces:
                if piece.gap or (piece.starts and piece.data.startswith(_VERSION)):
                    if whole or self._salvage:  # what is unfinished now stays so
                        yield from self._cut(final=True)
                    self._forget()
                yield from self._add(piece)
                whole = piece.ends
        except ReadFailedError:
            yield from self._cut(ended=True)
            raise
        if whole or self._salvage or not self._pieces.compressed:
            yield from self._cut(final=True)

    def _add(self, piece: Piece) -> list[WarcRecord]:
        if piece.starts:
            self._skipped = 0
        self._take(piece)
        records = self._cut(ended=piece.ends) if self._missing <= 0 or piece.ends else []
        if self._skipped > self._skippable and self._pieces.compressed:
            self._log.tally("odd:member_left")
            self._pieces.abandon()
            self._skipped = 0
        return records

    def _forget(self) -> None:
        self._buffer, self._later, self._marks = b"", [], []
        self._size = self._missing = 0
        self._searching = False

    def _take(self, piece: Piece) -> None:
        if not piece.data:
            return
        if not self._marks or piece.starts:
            self._marks.append((self._size, piece.offset))
        self._later.append(piece.data)
        self._size += len(piece.data)
        self._missing -= len(piece.data)

    def _cut(self, *, final: bool = False, ended: bool = False) -> list[WarcRecord]:
        """The records in what has been taken. `final`: nothing follows. `ended`: a record may end here unconfirmed."""
        self._buffer = self._buffer + b"".join(self._later) if self._buffer else b"".join(self._later)
        self._later = []
        records: list[WarcRecord] = []
        position = 0
        while position < self._size:
            if self._searching:
                position = self._search(position)
                if self._searching:
                    break
            at = _after_newlines(self._buffer, position)
            try:
                record, position = self._frame(at, final, ended)
            except _Incomplete as more:
                self._missing = more.missing
                break
            except _Refusal as refusal:
                self._reject(at, refusal.reason, str(refusal))
                self._searching = True
                position = refusal.resume
                if self._salvage and isinstance(refusal, _CutOff):
                    record, position = self._rest(at, refusal)
                    records.append(record)
                continue
            if record is not None:
                records.append(record)
        self._consume(position)
        return records

    def _rest(self, at: int, cut: _CutOff) -> tuple[WarcRecord, int]:
        """What there is of a record: as far as the next one's header, or the end; and where that is."""
        follower = _NEXT_HEADER(self._buffer, cut.resume)
        stop = follower.start() if follower else self._size
        return WarcRecord(self._offset(at), cut.header, self._buffer[cut.resume : stop], True), stop

    def _consume(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._size -= count
        if not self._size:
            self._marks = []
        elif count:
            last = max(index for index, (position, _) in enumerate(self._marks) if position <= count)
            self._marks = [(position - count, offset) for position, offset in self._marks[last:]]

    def _offset(self, position: int) -> int:
        start, offset = max(mark for mark in self._marks if mark[0] <= position)
        return offset if self._pieces.compressed else offset + position - start

    def _search(self, position: int) -> int:
        """Moves to the next record header, or as far as there certainly is none."""
        found = _NEXT_HEADER(self._buffer, position)
        self._searching = found is None
        goal = found.start() if found else max(position, self._size - _NEXT_HEADER_BYTES + 1)
        self._skipped += goal - position
        return goal

    def _frame(self, at: int, final: bool, ended: bool) -> tuple[WarcRecord | None, int]:
        """The record whose header begins here (None: refused, but its extent is known) and where to go on."""
        stop, start = self._header(at, final)
        if start < 0:
            return None, self._size
        header = self._buffer[at:stop]
        length = _content_length(header, self._max_bytes, start)
        stop = start + length
        if stop > self._size:
            if not final:
                raise _Incomplete(stop - self._size + _LONGEST_SEPARATOR)
            raise _CutOff(f"the block has {self._size - start} of its {length} bytes", start, header)
        after = _after_newlines(self._buffer, stop)
        follower = self._buffer[after : after + len(_VERSION)]
        unfinished = len(follower) < len(_VERSION) and _VERSION.startswith(follower)
        if unfinished and not final and (follower or not ended):
            raise _Incomplete(_LONGEST_SEPARATOR)
        suspect = follower not in (b"", _VERSION)
        if suspect:
            self._reject(at, Reason.BAD_LENGTH, f"Content-Length {length}, but then comes {follower!r}, no record")
            self._searching = True
        resume = start if suspect else after
        if not header.isascii() and not _is_utf8(header):
            self._reject(at, Reason.BAD_ENCODING, "the record header is not UTF-8")
            return None, resume
        self._skipped = 0
        return WarcRecord(self._offset(at), header, self._buffer[start:stop], suspect), resume

    def _header(self, at: int, final: bool) -> tuple[int, int]:
        """Where the header block at a position stops and its block starts; -1 and -1 where nothing is left."""
        buffer = self._buffer
        if not buffer.startswith(_VERSION, at):
            rest = buffer[at : at + len(_VERSION)]
            if not rest:
                return -1, -1
            if not final and _VERSION.startswith(rest):
                raise _Incomplete(len(_VERSION) - len(rest))
            raise _Refusal(Reason.BAD_HEADER, f"no record begins here, but {rest!r}", at)
        limit = at + MAX_HEADER_BYTES
        stop = buffer.find(_BLANK, at, limit)
        bare = buffer.find(b"\n\n", at, limit if stop < 0 else stop)
        if stop < 0 and bare < 0:
            if self._size >= limit:
                raise _Refusal(Reason.BAD_HEADER, f"header block above {MAX_HEADER_BYTES} bytes", at + 1)
            if not final:
                raise _Incomplete(1)
            raise _Refusal(Reason.TRUNCATED_RECORD, "the record ends in its header", at + 1)
        if self._junk_at is not None:  # so this is an archive, and what came before is damage
            self._log.reject(self._junk_at, Reason.BAD_HEADER, "no record begins here")
            self._junk_at = None
        self._found = True
        return (stop, stop + len(_BLANK)) if bare < 0 else (bare, bare + 2)

    def _reject(self, at: int, reason: Reason, detail: str) -> None:
        if reason is Reason.BAD_HEADER and not self._found:  # not yet known whether this is an archive at all
            self._junk_at = self._offset(at) if self._junk_at is None else self._junk_at
        else:
            self._log.reject(self._offset(at), reason, detail)


def _content_length(header: bytes, largest: int, resume: int) -> int:
    usual = header.find(_CONTENT_LENGTH)
    if usual >= 0:
        digits = header[usual + len(_CONTENT_LENGTH) :].partition(b"\r")[0].strip()
    elif unusual := _ANY_CONTENT_LENGTH(header):
        digits = unusual[1].strip()
    else:
        raise _Refusal(Reason.BAD_LENGTH, "no Content-Length", resume)
    if not digits.isdigit() or len(digits) > _LONGEST_INTEGER:
        raise _Refusal(Reason.BAD_LENGTH, f"Content-Length is {digits[:40].decode('latin-1')!r}", resume)
    length = int(digits)
    if length > largest:
        raise _Refusal(Reason.TOO_LARGE, f"Content-Length {length} is above max_record_bytes {largest}", resume)
    return length


def _is_utf8(header: bytes) -> bool:
    try:
        header.decode()
    except UnicodeDecodeError:
        return False
    return True


def _after_newlines(buffer: bytes, position: int) -> int:
    if buffer.startswith(_BLANK, position):
        position += len(_BLANK)
    if buffer[position : position + 1] not in _NEWLINE:
        return position
    match = _NEWLINES(buffer, position)
    return position if match is None else match.end()
