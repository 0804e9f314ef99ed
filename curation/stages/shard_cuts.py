"""Where shards begin: samples stand in the order of a salted hash, and every shard is a run of that order.

The manifest is counted in fine pieces of the order, part by part on the workers; a piece that does not fit into a shard
is counted again, sample by sample. So every sample can tell its shard by its hash alone, and nothing is sorted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from curation.balance.sampling import hashes
from curation.digests import digest
from curation.export.webdataset import Frames, sample_json, tar_bytes
from curation.media.shards import END
from curation.recipe import Shards as ShardsSection
from curation.runner.stage import Planning
from curation.schemas import MANIFEST
from curation.storage import Store

Ints = npt.NDArray[np.int64]
Part = tuple[Ints, Ints, Ints, Ints]
"""Starts, samples, size_bytes and content of some pieces, or of single rows."""

CUTS = "_runs/shards/cuts"
CODE = 1
"""Raised when the same manifest and settings give other shards, or other bytes."""
ROWS = 1024
"""Of the manifest, that are in memory as Python objects."""

_PLACE_BITS = 63  # Spark has no unsigned numbers
_LEAST_BITS, _MOST_BITS = 8, 19  # of pieces: 12 MB for each part and split on the driver
_PER_PIECE = 16  # samples, where there are no more than 8 million
_PARTS = 32  # of the manifest, counted each on a worker
_STRETCH = 32  # shards
_STEPS = 1024  # in which shards are made smaller, as long as no more are needed


def frames_of(section: ShardsSection) -> Frames | None:
    return Frames(section.frames, section.longest_side) if section.clips == "frames" else None


def places(sample_ids: pa.Array, seed: int) -> Ints:
    """Place of each sample in the order: the high 63 bits of its salted hash."""
    ids = [xxhash.xxh3_128_hexdigest(sample.encode()) for sample in sample_ids.to_pylist()]
    return (hashes(pa.array(ids, pa.string()), seed, "shuffle") >> np.uint64(1)).astype(np.int64)


def told(rows: pa.RecordBatch, frames: Frames | None) -> tuple[list[bytes], Ints]:
    """(JSON, bytes in a tar) of some rows of the manifest."""
    listed = rows.to_pylist()
    texts = [sample_json(row, frames) for row in listed]
    sizes = [tar_bytes(row, text, frames) for row, text in zip(listed, texts, strict=True)]
    return texts, np.array(sizes, np.int64)


@dataclass(frozen=True)
class Pieces:
    """Pieces of the order that have samples, ascending: where each begins, and sums over its samples.

    content: of 64-bit hashes of their JSON, modulo 2**64. It holds the SHA-256 of the bytes, so it tells whether a
    shard would be the same.
    """

    starts: Ints
    samples: Ints
    size_bytes: Ints
    content: Ints

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Pieces:
        """Sums over equal starts."""
        starts, *sums = (np.concatenate(each) for each in zip(*parts, strict=True))
        if not len(starts):
            return cls(starts, *sums)
        order = np.argsort(starts, kind="stable")
        first = np.flatnonzero(np.diff(starts[order], prepend=-1))
        return cls(starts[order][first], *(np.add.reduceat(each[order], first) for each in sums))

    @property
    def part(self) -> Part:
        return self.starts, self.samples, self.size_bytes, self.content

    def some(self, mask: npt.NDArray[np.bool_]) -> Pieces:
        return Pieces(*(each[mask] for each in self.part))


@dataclass(frozen=True)
class Count:
    """Counts a part of the manifest by split and piece; sent to workers.

    shift: a piece is the places that agree but for so many low bits. only: by split, the pieces that are counted, None
    for all of all splits.
    """

    store: Store
    section: ShardsSection
    shift: int
    only: dict[str, Ints] | None = None

    def __call__(self, paths: list[str]) -> tuple[dict[str, Pieces], dict[str, int]]:
        """(pieces by split, rows of other modalities)."""
        found: dict[str, Pieces] = {}
        others: Counter[str] = Counter()
        for path in paths:
            parts: dict[str, list[Part]] = {split: [pieces.part] for split, pieces in found.items()}
            for batch in self.store.batches([path], MANIFEST.columns, ROWS):
                asked = pc.is_in(batch.column("modality"), value_set=pa.array(self.section.modalities))
                others.update(batch.filter(pc.invert(asked)).column("modality").to_pylist())
                for split, part in self._counted(batch.filter(asked)):
                    parts.setdefault(split, []).append(part)
            found = {split: Pieces.of(own) for split, own in parts.items()}
        return found, dict(others)

    def _counted(self, batch: pa.RecordBatch) -> Iterator[tuple[str, Part]]:
        for split in pc.unique(batch.column("split")).to_pylist():
            rows = batch.filter(pc.equal(batch.column("split"), split))
            where = places(rows.column("sample_id"), self.section.seed)
            if self.only is not None:
                wanted = np.isin(self._pieces(where), self.only.get(split, np.zeros(0, np.int64)))
                rows, where = rows.filter(pa.array(wanted)), where[wanted]
            texts, sizes = told(rows, frames_of(self.section))
            content = np.array([xxhash.xxh3_64_intdigest(text) for text in texts], np.uint64).astype(np.int64)
            starts = self._pieces(where) if self.only is None else where
            yield split, (starts, np.ones(len(where), np.int64), sizes, content)

    def _pieces(self, where: Ints) -> Ints:
        return where >> self.shift << self.shift


def shard_cuts(planning: Planning, section: ShardsSection) -> dict[str, Any]:
    """Where the shards of every split begin, and what is in them; kept in the work folder for the next time.

    set: digest of all that is in the shards. splits: by name, starts of the shards, in order, and their content, which
    equals that of another shard where their tars would. other_modality: rows that are not asked for.
    """
    manifest, store = planning.inputs["manifest"], planning.store
    path = f"{CUTS}/{digest(CODE, planning.settings, manifest.content(MANIFEST.name))}.json"
    known: dict[str, Any] | None = store.read_json(path)
    if known is None:
        known = _solved(planning, section)
        store.put_json(path, known)
    return known


def _solved(planning: Planning, section: ShardsSection) -> dict[str, Any]:
    manifest = planning.inputs["manifest"]
    files = manifest.paths(MANIFEST.name)
    parts = [files[number::_PARTS] for number in range(min(_PARTS, len(files)))]
    wanted_bits = (max(1, manifest.rows(MANIFEST.name)) // _PER_PIECE).bit_length()
    shift = _PLACE_BITS - min(max(wanted_bits, _LEAST_BITS), _MOST_BITS)
    count = Count(planning.store, section, shift)
    pieces, others = _added(planning.require_engine().map(count, parts) if parts else [])
    bounds = section.max_samples, section.max_bytes - len(END)
    too_large = {split: own.starts[_overfull(own, bounds)] for split, own in pieces.items()}
    if any(map(len, too_large.values())):
        single = Count(planning.store, section, shift, too_large)
        exact, _ = _added(planning.require_engine().map(single, parts))
        fitting = [{split: own.some(~_overfull(own, bounds)) for split, own in pieces.items()}, exact]
        pieces, _ = _added([(each, {}) for each in fitting])
    frames = frames_of(section)
    kind = digest(CODE, section.seed, None if frames is None else asdict(frames))
    splits = {split: _shards(own, bounds, kind) for split, own in sorted(pieces.items()) if len(own.starts)}
    content = {split: own["content"] for split, own in splits.items()}
    return {"set": digest(CODE, planning.settings, content)[:12], "splits": splits, "other_modality": others}


def _overfull(pieces: Pieces, bounds: tuple[int, int]) -> npt.NDArray[np.bool_]:
    over = (pieces.samples > bounds[0]) | (pieces.size_bytes > bounds[1])
    return np.asarray(over & (pieces.samples > 1), np.bool_)


def _added(found: Sequence[tuple[dict[str, Pieces], dict[str, int]]]) -> tuple[dict[str, Pieces], dict[str, int]]:
    parts: dict[str, list[Part]] = {}
    others: Counter[str] = Counter()
    for by_split, other in found:
        others.update(other)
        for split, own in by_split.items():
            parts.setdefault(split, []).append(own.part)
    return {split: Pieces.of(own) for split, own in parts.items()}, dict(sorted(others.items()))


def _shards(pieces: Pieces, bounds: tuple[int, int], kind: str) -> dict[str, list[Any]]:
    """Starts and content of one split's shards. kind: all of the settings that a tar of given samples depends on."""
    first = cut_in_stretches(pieces, *bounds)
    starts = pieces.starts[first]
    starts[0] = 0
    samples, sums = (np.add.reduceat(each, first) for each in (pieces.samples, pieces.content))
    content = [digest(kind, *each)[:24] for each in zip(samples.tolist(), sums.tolist(), strict=True)]
    return {"starts": starts.tolist(), "content": content}


def cut_in_stretches(pieces: Pieces, max_samples: int, max_bytes: int) -> Ints:
    """As `cut`, for fixed stretches of the order one by one, of 32 to 64 shards each: where the manifest changes a
    little, shards of other stretches stay what they are. Costs a shard a stretch at most.
    """
    fewest = len(cut(pieces.samples, pieces.size_bytes, max_samples, max_bytes))
    bits = max(1, fewest // _STRETCH).bit_length() - 1
    ends = np.searchsorted(pieces.starts >> (_PLACE_BITS - bits), np.arange(1 << bits), "right")
    found = []
    for begin, end in pairwise([0, *ends.tolist()]):
        first = cut(pieces.samples[begin:end], pieces.size_bytes[begin:end], max_samples, max_bytes)
        found.append(begin + first)
    return np.concatenate(found)


def cut(samples: Ints, size_bytes: Ints, max_samples: int, max_bytes: int) -> Ints:
    """Which of some pieces, in order, begin a shard: positions, ascending, the first 0; none where there are no pieces.

    A shard has at most max_samples samples and max_bytes bytes, or is one piece. There are as few as can be, and they
    are of about one size: bounds are tightened, by a thousandth at a time, as long as no more shards are needed.
    """
    if not len(samples):
        return np.zeros(0, np.int64)
    ends = np.cumsum(samples), np.cumsum(size_bytes)
    fewest = len(_greedy(ends, (max_samples, max_bytes)))
    low, high = 1, _STEPS
    while low < high:
        step = (low + high) // 2
        few = len(_greedy(ends, (max_samples * step // _STEPS, max_bytes * step // _STEPS))) == fewest
        low, high = (low, step) if few else (step + 1, high)
    return _greedy(ends, (max_samples * high // _STEPS, max_bytes * high // _STEPS))


def _greedy(ends: tuple[Ints, Ints], bounds: tuple[int, int]) -> Ints:
    """Every shard takes as many pieces as it may, and one at least."""
    starts, total = [0], len(ends[0])
    while True:
        begin = starts[-1]
        before = [int(end[begin - 1]) if begin else 0 for end in ends]
        stops = [int(np.searchsorted(end, bound + least, "right"))
                 for end, bound, least in zip(ends, bounds, before, strict=True)]  # fmt: skip
        stop = max(begin + 1, min(stops))
        if stop >= total:
            return np.array(starts, np.int64)
        starts.append(stop)
