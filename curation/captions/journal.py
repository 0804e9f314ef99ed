"""What models have answered so far, safe from the loss of a worker: a later attempt asks nothing again.

On a local disk every answer is a line of a file, written at once, so that a killed process loses none. An object store
cannot append: there answers gather, and every second or so those that are new become a file of their own.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from uuid import uuid4

import msgspec

from curation.errors import WorkFolderError
from curation.media.journal import FLUSH_S, FLUSH_SHARE, spooling
from curation.storage import Store, storage_errors

_LINE = msgspec.json.Decoder(tuple[str, msgspec.Raw])
_SUFFIX = ".jsonl"


class AnswerJournal:
    """JSON values by key, of all processes that ever wrote to the folder. A context; safe to use from threads.

    Values lie in a scratch file of this machine, so that memory holds little more than keys. Raises StageError where
    that has no room, WorkFolderError where the work folder cannot be written.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self._name = f"{folder}/{uuid4().hex}"
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0
        self._lock = threading.Lock()
        self._lines: BinaryIO | None = None
        self._fresh: list[bytes] = []
        self._files = 0
        self._failure: WorkFolderError | None = None
        self._closing = threading.Event()
        self._flusher = threading.Thread(target=self._flush_on, name="answer-journal", daemon=True)

    def __enter__(self) -> Self:
        with spooling():
            self._spool = tempfile.TemporaryFile(prefix="curation-answers-", buffering=0)
        with storage_errors(self._store):
            for name in sorted(self._store.names(self._folder)):
                if name.endswith(_SUFFIX):
                    self._read(self._store.read(f"{self._folder}/{name}"))
            if self._store.is_local:
                path = Path(self._store.url(self._name + _SUFFIX))
                path.parent.mkdir(parents=True, exist_ok=True)
                self._lines = path.open("ab")
        if not self._store.is_local:
            self._flusher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with storage_errors(self._store):
                if self._lines is not None:
                    self._lines.close()
                else:
                    self._closing.set()
                    self._flusher.join()
                    self._flush()
        finally:
            self._spool.close()

    def __len__(self) -> int:
        return len(self._places)

    def _read(self, data: bytes) -> None:
        """What lines of a file say; those that were torn, or are damaged, say nothing."""
        for line in data.split(b"\n"):
            try:
                key, value = _LINE.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            self._keep(key, bytes(value))

    def _keep(self, key: str, value: bytes) -> None:
        with spooling():
            if os.pwrite(self._spool.fileno(), value, self._end) < len(value):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._places[key] = (self._end, len(value))
        self._end += len(value)

    def get(self, key: str) -> Any | None:
        """The value of a key; None: there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        with spooling():
            return msgspec.json.decode(os.pread(self._spool.fileno(), place[1], place[0]))

    def put(self, key: str, value: Any) -> None:
        """Keeps a value, which is what JSON can say, without lone surrogates."""
        data = msgspec.json.encode(value)
        line = msgspec.json.encode((key, msgspec.Raw(data))) + b"\n"
        with self._lock, storage_errors(self._store):
            if self._failure is not None:
                raise self._failure
            if self._lines is None:
                self._fresh.append(line)
            else:
                self._lines.write(line)
                self._lines.flush()
            self._keep(key, data)

    def _flush_on(self) -> None:
        opened = time.monotonic()
        while not self._closing.wait(max(FLUSH_S, FLUSH_SHARE * (time.monotonic() - opened))):
            try:
                with storage_errors(self._store):
                    self._flush()
            except WorkFolderError as error:
                self._failure = error
                return

    def _flush(self) -> None:
        taken = self._fresh[:]
        if taken:
            self._store.put(f"{self._name}-{self._files:06d}{_SUFFIX}", b"".join(taken))
            self._files += 1
            with self._lock:
                del self._fresh[: len(taken)]
