"""The stored bytes of many samples in any order: local files range by range, many at once from an object store."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import fsspec

from curation.storage import Store

_OPEN = 64  # local files held open: on a network's file system opening costs as much as reading
_AT_ONCE, _AT_ONCE_BYTES = 64, 64 << 20  # ranges asked of an object store at the same time: each takes tens of ms


@dataclass(frozen=True)
class Place:
    """Where a sample's bytes lie: `size_bytes` from `offset` of a file below the work folder."""

    path: str
    offset: int
    size_bytes: int


class SampleBytes:
    """Reads places of a work folder; closes its files at the end of the block.

    One sample is in memory at once where the folder is local, else up to 64 MiB of them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: OrderedDict[str, int] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def read(self, places: Sequence[Place]) -> Iterator[bytes | None]:
        """The bytes of each place, in order; None where the file is gone, or ends before them."""
        if self._store.is_local:
            found: Iterator[bytes | None] = map(self._local, places)
        else:
            found = (data for some in _windows(places) for data in self._remote(some))
        for place, data in zip(places, found, strict=True):
            yield data if data is not None and len(data) == place.size_bytes else None

    def _local(self, place: Place) -> bytes | None:
        file = self._open.pop(place.path, None)
        if file is None:
            try:
                file = os.open(self._store.url(place.path), os.O_RDONLY)
            except FileNotFoundError:
                return None
            if len(self._open) >= _OPEN:
                os.close(self._open.popitem(last=False)[1])
        self._open[place.path] = file
        data = os.pread(file, place.size_bytes, place.offset)
        while 0 < len(data) < place.size_bytes:  # one read gives 2 GiB at most
            more = os.pread(file, place.size_bytes - len(data), place.offset + len(data))
            if not more:
                break
            data += more
        return data

    def _remote(self, places: Sequence[Place]) -> list[bytes | None]:
        fs = fsspec.core.url_to_fs(self._store.root)[0]
        paths = [self._store.url(place.path) for place in places]
        starts = [place.offset for place in places]
        ends = [place.offset + place.size_bytes for place in places]
        found: list[Any] = fs.cat_ranges(paths, starts, ends, on_error="return")
        for data in found:
            if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                raise data
        return [None if isinstance(data, Exception) else bytes(data) for data in found]


def _windows(places: Sequence[Place]) -> Iterator[Sequence[Place]]:
    """Runs of places that are read at the same time."""
    start = size = 0
    for number, place in enumerate(places):
        if number > start and (number - start >= _AT_ONCE or size + place.size_bytes > _AT_ONCE_BYTES):
            yield places[start:number]
            start, size = number, 0
        size += place.size_bytes
    if places:
        yield places[start:]
