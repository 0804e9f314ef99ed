"""Bytes of a local file or any fsspec URL, read forward with absolute positions and a bounded look back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import aiohttp
import fsspec

READ_BYTES = 1 << 20
"""Bytes asked of the file at once: large enough for object stores, small beside any worker's memory."""

READ_ERRORS = (OSError, EOFError, aiohttp.ClientError)
"""What opening and reading raise when the file, the network or the permission fails."""


class ReadFailedError(Exception):
    """Reading stopped in the middle of a file; `offset` is the first byte that is missing."""

    def __init__(self, offset: int, cause: BaseException) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.offset = offset


class ByteStream(Protocol):
    """The part of a binary file that is needed here."""

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...


def open_binary(path: str) -> BinaryIO:
    """Opens a local path or an fsspec URL for reading bytes. Raises FileNotFoundError and the rest of READ_ERRORS."""
    if "://" not in path:
        return Path(path).open("rb")
    try:
        handle: Any = fsspec.open(path, "rb").open()
    except FileNotFoundError as error:
        raise truly_missing(error) from error
    return cast(BinaryIO, handle)


def truly_missing(error: FileNotFoundError) -> OSError:
    """The error itself, or what it hides: fsspec says of a server out of reach, too, that the file is not found."""
    if isinstance(error.__cause__, aiohttp.ClientConnectionError):
        return ConnectionError(str(error.__cause__))
    return error


class Window:
    """A moving part of a stream: `buffer` starts at absolute byte `start`; nothing before `keep` is needed any more.

    Reading that fails raises ReadFailedError, once all that was read before has been asked for.
    """

    def __init__(self, stream: ByteStream, start: int = 0) -> None:
        self._stream = stream
        self._failure: ReadFailedError | None = None
        self.start = start
        self.keep = start
        self.buffer = b""
        self.ended = False

    @property
    def end(self) -> int:
        """Absolute position after the last byte in the buffer."""
        return self.start + len(self.buffer)

    def more(self) -> bool:
        """Reads on; False at the end of the file."""
        read = self._fill()
        if not read and self._failure is not None:
            raise self._failure
        return read

    def at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes at an absolute position, fewer only at the end of the file."""
        while self.end < position + size and not self.ended:
            self._fill()
        data = self.buffer[position - self.start : position - self.start + size]
        if not data and self._failure is not None:
            raise self._failure
        return data

    def _fill(self) -> bool:
        """Reads READ_BYTES, unless the file ends: what is in the buffer never depends on a network's short reads."""
        parts: list[bytes] = []
        missing = READ_BYTES
        while missing and not self.ended:
            try:
                part = self._stream.read(missing)
            except READ_ERRORS as error:
                self._failure = ReadFailedError(self.end + sum(map(len, parts)), error)
                part = b""
            self.ended = not part
            parts.append(part)
            missing -= len(part)
        drop = min(max(self.keep - self.start, 0), len(self.buffer))
        self.buffer = b"".join([self.buffer[drop:], *parts])
        self.start += drop
        return missing < READ_BYTES

    def find(self, needle: bytes, position: int) -> int:
        """Absolute position of the next occurrence at or after `position`, or -1; forgets what it has passed."""
        while True:
            found = self.buffer.find(needle, position - self.start)
            if found >= 0:
                return self.start + found
            position = max(position, self.end - len(needle) + 1)
            self.keep = position
            if not self.more():
                return -1
