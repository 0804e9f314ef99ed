"""Which samples an epoch keeps, where ranks are to get equally many of them: one bit per sample, counted once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from curation.training.plan import Ints


def plain(count: int, kind: str) -> Any:
    """Zeros for this process alone."""
    return np.zeros(count, kind)


class Kept:
    """Positions that are kept, by part. Holds arrays that may lie in memory which processes share."""

    def __init__(self, sizes: Ints, zeros: Callable[[int, str], Any] = plain) -> None:
        """sizes: samples per part, at most. zeros: makes memory, of so many numbers of a dtype."""
        self._starts = np.concatenate([[0], np.cumsum((sizes + 7) // 8)])
        self._bits = zeros(int(self._starts[-1]), "uint8")
        self._counts = zeros(len(sizes), "int64")
        self._mark = zeros(1, "int64")

    @property
    def mark(self) -> int:
        """What it was counted for; 0: nothing yet."""
        return int(self._mark[0])

    @property
    def counts(self) -> Ints:
        """Samples per part that are kept, int64."""
        return np.asarray(self._counts)

    def put(self, part: int, positions: Ints) -> None:
        begin, end = self._starts[part : part + 2]
        bits = np.zeros(8 * (end - begin), np.bool_)
        bits[positions] = True
        np.asarray(self._bits)[begin:end] = np.packbits(bits)
        np.asarray(self._counts)[part] = len(positions)

    def finish(self, mark: int) -> None:
        """All parts are put."""
        self._mark[0] = mark

    def places(self, part: int) -> Ints:
        """Positions in a part, ascending."""
        begin, end = self._starts[part : part + 2]
        return np.flatnonzero(np.unpackbits(np.asarray(self._bits)[begin:end]))
