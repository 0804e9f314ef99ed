"""What a unit of fetching has so far: rows of the ledger and bytes, safe from the loss of a worker.

Bytes lie in a scratch file of this machine, so that memory stays flat; every second or so what is new goes to the work
folder as a segment. A later attempt at the unit begins with what the segments hold and asks no host again for it.
"""

from __future__ import annotations

import errno
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from curation.errors import StageError
from curation.schemas import MEDIA
from curation.storage import Store

FLUSH_S: Final = 1.0
FLUSH_SHARE: Final = 0.01
FLUSH_BYTES: Final = 32 << 20
"""A segment is written FLUSH_S seconds after the last one, or FLUSH_SHARE of the time since the journal was opened,
whichever is more, and whenever there are FLUSH_BYTES. So a killed worker loses a second's requests, or 1 % of what it
did, and a unit that takes an hour has some 460 segments.
"""

_NUMBER = re.compile(r"([0-9]{6,12})\.parquet").fullmatch
_SEGMENT = pa.schema([*MEDIA.schema, pa.field("data", pa.binary()), pa.field("run", pa.string(), nullable=False)])

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    size_bytes: int


@contextmanager
def spooling() -> Iterator[None]:
    """Errors of the disk of the temporary folder, which is not the work folder's, as a StageError."""
    try:
        yield
    except OSError as error:
        folder = tempfile.tempdir or os.environ.get("TMPDIR", "/tmp")  # gettempdir() fails on a full disk, too
        what = "no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "nothing can be kept"
        raise StageError(
            f"{what} in the temporary folder {folder} (TMPDIR): {error.strerror or error}; free some or set TMPDIR, "
            "and run the same command again"
        ) from error


class Journal:
    """Rows by media_id, the last one of each, with the bytes of those that have some. A context; for one thread.

    Raises StageError where the temporary folder has no room.
    """

    def __init__(self, store: Store, folder: str, run: str) -> None:
        self._store, self._folder, self._run = store, folder, run
        self.rows: dict[str, Row] = {}
        self.runs: dict[str, str] = {}
        """Which run each row is of."""
        self._places: dict[str, _Place] = {}
        self._fresh: list[str] = []
        self._fresh_bytes = 0
        self._segments = 0
        self._opened = self._written = time.monotonic()

    def __enter__(self) -> Self:
        with spooling():
            self._spool = tempfile.TemporaryFile(prefix="curation-media-")
        names = {int(found[1]): found[0] for found in map(_NUMBER, self._store.names(self._folder)) if found}
        self._segments = max(names, default=-1) + 1
        for _, name in sorted(names.items()):
            path = f"{self._folder}/{name}"
            table = read_segment(self._store.read(path))
            if table is None:
                self._store.remove(path)
                continue
            for row in table.to_pylist():
                data, run = row.pop("data"), row.pop("run")
                self._keep(row, data, run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with spooling():
            self._spool.close()

    def _keep(self, row: Row, data: bytes | None, run: str) -> None:
        media_id = row["media_id"]
        self.rows[media_id], self.runs[media_id] = row, run
        self._places.pop(media_id, None)
        if data is not None:
            with spooling():
                self._places[media_id] = _Place(self._spool.seek(0, io.SEEK_END), len(data))
                self._spool.write(data)

    def add(self, row: Row, data: bytes | None) -> None:
        """One outcome; until `flush_if_due` takes it to the work folder it is in this process only."""
        self._keep(row, data, self._run)
        self._fresh.append(row["media_id"])
        self._fresh_bytes += len(data or b"")
        if self._fresh_bytes >= FLUSH_BYTES:
            self.flush()

    def flush_if_due(self) -> None:
        """To be called at least every FLUSH_S seconds, whether something was added or not."""
        now = time.monotonic()
        if now - self._written >= max(FLUSH_S, FLUSH_SHARE * (now - self._opened)):
            self.flush()

    def flush(self) -> None:
        """Everything so far to the work folder."""
        self._written = time.monotonic()
        if not self._fresh:
            return
        rows = [
            {**self.rows[media_id], "data": self.data(media_id), "run": self.runs[media_id]} for media_id in self._fresh
        ]
        sink = io.BytesIO()
        pq.write_table(
            pa.Table.from_pylist(rows, schema=_SEGMENT), sink, compression="none", use_dictionary=False,
            write_statistics=False,
        )  # fmt: skip
        self._store.put(f"{self._folder}/{self._segments:06d}.parquet", sink.getvalue())
        self._segments += 1
        self._fresh, self._fresh_bytes = [], 0

    def data(self, media_id: str) -> bytes | None:
        """The bytes of a media; None where its row has none."""
        place = self._places.get(media_id)
        if place is None:
            return None
        with spooling():
            self._spool.seek(place.offset)  # writes what was not yet
            return self._spool.read(place.size_bytes)

    def __iter__(self) -> Iterator[Row]:
        """All rows by media_id."""
        return (self.rows[media_id] for media_id in sorted(self.rows))


def read_segment(data: bytes) -> pa.Table | None:
    """None for what no journal wrote, or only in part: what it held is asked for again."""
    try:
        table = pq.ParquetFile(io.BytesIO(data)).read()
        table.validate(full=True)  # strings are UTF-8, lists within their values
    except (pa.ArrowException, OSError):  # the latter: pages and footers that break off
        return None
    return table if table.schema.equals(_SEGMENT) else None
