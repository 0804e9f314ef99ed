"""Who reads which samples of an epoch, and in which order.

All samples stand in one row: shards in an order that is the epoch's, the samples of each in its own. Every consumer,
one worker of one rank, takes a stretch of that row: so each sample is read once, and few shards are as good as many.
Within its stretch a consumer hands out samples in an order in which none comes more than `shuffle` places early. All
follows from (seed, epoch, rank, world, worker, workers) and the shards, so an epoch can be taken up at any place.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import xxhash

from curation.errors import InputError

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Even = Literal["drop", "repeat"]

_SALTS: Final = {  # the first 8 bytes of SHA-256 of "curation.training:" + name
    "shards": 0x91E79778274E0C7C,
    "samples": 0x354C67BFF50BD4CC,
    "text": 0x655CF654C41592AF,
}
_UNIT: Final = 2.0**-53


@dataclass(frozen=True)
class Consumer:
    """One worker of one rank; numbers count from 0."""

    rank: int = 0
    world: int = 1
    worker: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        """Raises InputError for a rank or a worker that there cannot be."""
        for what, number, of in (("rank", self.rank, self.world), ("worker", self.worker, self.workers)):
            if not 0 <= number < of:
                raise InputError(f"{what} {number} of {of}: numbers run from 0 to one less than there are")


@dataclass(frozen=True)
class Piece:
    """Samples `start` to `stop` (not included) of a part, which is a shard or a file of the manifest."""

    part: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Epoch:
    """The row of all samples of an epoch. shuffle: None: any place; 0: as they lie, shards too."""

    number: int
    seed: int
    shuffle: int | None

    def pieces(self, sizes: Sequence[int] | Ints, first: int, last: int) -> list[Piece]:
        """Places first to last (not included) of the row; behind its end it begins anew. sizes: samples per part."""
        order = self._parts(len(sizes))
        ends = np.cumsum(np.asarray(sizes, np.int64)[order])
        total = int(ends[-1]) if len(ends) else 0
        found: list[Piece] = []
        while first < last and total:
            at = first % total
            stop = min(at + last - first, total)
            found += _cut(order, ends, at, stop)
            first += stop - at
        return found

    def places(self, count: int, first: int) -> Ints:
        """The order in which a stretch of so many samples is handed out that begins at place `first` of the row."""
        numbers = np.arange(count, dtype=np.int64)
        if self.shuffle == 0 or not count:
            return numbers
        draws = scattered(numbers + first, key_of("samples", self.seed, self.number))
        if self.shuffle is None:
            return np.argsort(draws, kind="stable")
        late = numbers + self.shuffle * ((draws >> np.uint64(11)).astype(np.float64) * _UNIT)
        return np.argsort(late, kind="stable")

    def _parts(self, count: int) -> Ints:
        numbers = np.arange(count, dtype=np.int64)
        if self.shuffle == 0:
            return numbers
        return np.argsort(scattered(numbers, key_of("shards", self.seed, self.number)), kind="stable")


def stretch(total: int, consumer: Consumer, *, even: Even | None = None, batch: int = 1) -> tuple[int, int]:
    """(first, last) places of an epoch's row of `total` samples that a consumer reads; last is not included.

    even: all ranks get equally many: drop leaves out the last total % world places; repeat reads the first ones once
    more, at most world - 1 of them. batch: a rank's workers share its samples in whole batches, so that only one of
    them is left with less. Raises InputError where drop would leave nothing.
    """
    rank, world = consumer.rank, consumer.world
    if even is None:
        first, last = rank * total // world, (rank + 1) * total // world
    else:
        each = total // world if even == "drop" else -(-total // world)
        if total and not each:
            raise InputError(f"{total} samples for {world} ranks: with even='drop' none has any; use even='repeat'")
        first, last = rank * each, (rank + 1) * each
    batches = -(-(last - first) // batch)
    starts = [(consumer.worker + more) * batches // consumer.workers * batch for more in (0, 1)]
    return first + starts[0], min(first + starts[1], last)


def _cut(order: Ints, ends: Ints, first: int, last: int) -> list[Piece]:
    found = []
    place = int(np.searchsorted(ends, first, "right"))
    while first < last:
        begin = int(ends[place - 1]) if place else 0
        stop = min(last, int(ends[place]))
        if stop > first:
            found.append(Piece(int(order[place]), first - begin, stop - begin))
        first, place = stop, place + 1
    return found


def consumer_here(rank: int | None = None, world: int | None = None) -> Consumer:
    """This process's rank: as given, else torch.distributed's where it is set up, else RANK and WORLD_SIZE, else alone.

    Raises InputError where only one of the two is given, or they fit no rank.
    """
    if (rank is None) != (world is None):
        raise InputError("rank and world belong together: give both or none")
    if rank is not None and world is not None:
        return Consumer(rank, world)
    told = distributed_rank() or (os.environ.get("RANK"), os.environ.get("WORLD_SIZE"))
    if told == (None, None):
        return Consumer()
    try:
        return Consumer(*(int(number) for number in told))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(f"RANK={told[0]} and WORLD_SIZE={told[1]} name no rank: set both, or none") from None


def distributed_rank() -> tuple[int, int] | None:
    """(rank, world) of torch.distributed; None where it is not set up."""
    from importlib import import_module

    try:
        distributed = import_module("torch.distributed")
    except ImportError:
        return None
    if not (distributed.is_available() and distributed.is_initialized()):
        return None
    return distributed.get_rank(), distributed.get_world_size()


def key_of(purpose: str, seed: int, epoch: int) -> int:
    """A 64-bit number of its own for every purpose, seed and epoch."""
    return xxhash.xxh3_64_intdigest(struct.pack("<QQ", seed, epoch), seed=_SALTS[purpose])


def scattered(numbers: Ints, key: int) -> Hashes:
    """A 64-bit hash per number: splitmix64 with the key as its state (Steele, Lea and Flood 2014)."""
    words = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ (words >> np.uint64(31)))


def uniform_of(name: str, key: int) -> float:
    """A draw in [0, 1) for a name."""
    return (xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogatepass"), seed=key) >> 11) * _UNIT
