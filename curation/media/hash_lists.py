"""Lists of media that must not be kept: SHA-256 of files, perceptual hashes of pictures.

lists = HashLists.read(["takedowns.txt"], max_distance=3)
lists.has_file(sha256); lists.nearest(phash)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import fsspec
import numpy as np

from curation.errors import InputError
from curation.media.fingerprints import bands, hamming

MAX_DISTANCE = 15

_SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch
_PHASH = re.compile(r"[0-9a-f]{16}").fullmatch
_SHOWN = 40  # characters of a bad line


class HashLists:
    """Hashes in 32 bytes (SHA-256), and 8 and 16 more per band (perceptual): millions fit into every worker.

    A look costs some microseconds, however long the lists are.
    """

    def __init__(self, sha256: Iterable[bytes], phashes: Iterable[int], max_distance: int) -> None:
        """sha256: digests of 32 bytes. max_distance: bits of 64 in which perceptual hashes may differ, 0 to 15."""
        if not 0 <= max_distance <= MAX_DISTANCE:
            raise ValueError(f"max_distance must be 0 to {MAX_DISTANCE}, not {max_distance}")
        self._max_distance = max_distance
        self._bands = max(2, max_distance + 1)
        self._files = np.unique(np.array([*sha256], "S32"))
        self._pictures = np.unique(np.array([*phashes], np.uint64))
        keys = [bands(int(value), self._bands) for value in self._pictures]
        owners = np.repeat(np.arange(len(keys)), [len(found) for found in keys])
        flat = np.array([key for found in keys for key in found], np.int64)
        order = np.argsort(flat, kind="stable")
        self._keys, self._owners = flat[order], owners[order]

    @classmethod
    def read(cls, locations: Sequence[str], max_distance: int) -> Self:
        """Text files (paths or URLs), one hash in hexadecimal per line: 64 digits are SHA-256, 16 perceptual. What
        follows # is a comment. Raises InputError for other lines, by number, and for files that cannot be read.
        """
        found: dict[int, list[str]] = {64: [], 16: []}
        for location in locations:
            for value in _hashes(location):
                found[len(value)].append(value)
        return cls(map(bytes.fromhex, found[64]), (int(value, 16) for value in found[16]), max_distance)

    @property
    def has_pictures(self) -> bool:
        """Whether there are perceptual hashes, for which pictures have to be decoded."""
        return bool(len(self._pictures))

    def has_file(self, sha256: str) -> bool:
        """Whether a file's SHA-256 (64 hex digits) is listed."""
        if not len(self._files):
            return False
        wanted = np.array([bytes.fromhex(sha256)], "S32")
        at = int(np.searchsorted(self._files, wanted)[0])
        return at < len(self._files) and bool(self._files[at : at + 1] == wanted)

    def nearest(self, phash: int) -> int | None:
        """The listed hash nearest to a picture's, the smallest of several; None where none is within max_distance.

        FLAT is near nothing.
        """
        if not self.has_pictures:
            return None
        keys = bands(phash, self._bands)
        begins, ends = np.searchsorted(self._keys, keys), np.searchsorted(self._keys, keys, side="right")
        spans = [self._owners[begin:end] for begin, end in zip(begins, ends, strict=True) if begin < end]
        if not spans:
            return None
        near = self._pictures[np.unique(np.concatenate(spans))]
        best = int(near[np.bitwise_count(near ^ np.uint64(phash)).argmin()])
        return best if hamming(best, phash) <= self._max_distance else None


def _hashes(location: str) -> Iterator[str]:
    """The hashes of a file, in lower case."""
    try:
        with fsspec.open(location, "rt", encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                value = line.partition("#")[0].strip().lower()
                if _SHA256(value) or _PHASH(value):
                    yield value
                elif value:
                    raise InputError(
                        f"{location}, line {number}: {value[:_SHOWN]!r} is no hash: write SHA-256 as 64 hexadecimal "
                        "digits, perceptual hashes as 16, and comments behind #"
                    )
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"the list of hashes {location} cannot be read: {error}") from None
