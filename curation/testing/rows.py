"""Tables of generated (url, caption, page_url) rows with a long tail of concepts: any size, flat memory, no state.

Every row is a function of (seed, row number): counter-based hashes take the place of a generator, so that a duplicate
can repeat any earlier row, and the size of a batch changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.errors import InputError

PLACEHOLDER_URL = "https://cdn.pictures.example/assets/spacer.gif"
SCHEMA = pa.schema([("url", pa.string()), ("caption", pa.string()), ("page_url", pa.string())])

_BEFORE = ("photo of a {} ", "the {} by day ", "my {} again ", "{} in close view ", "stock picture of {} ")
_AFTER = ("on a sunny day", "near the river", "from above", "at home", "in black and white", "with friends")
_PLAIN = "item number "

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Traits:
    """What a table is like beside its concepts.

    duplicate_share: share of rows that repeat an earlier row exactly. matched_share: share of rows whose caption holds
    an entry. placeholder_texts: further rows, all about one URL, each with its own text. row_group: rows per group.
    """

    duplicate_share: float = 0.0
    matched_share: float = 0.6
    placeholder_texts: int = 0
    row_group: int = 1 << 18


@dataclass(frozen=True)
class Table:
    """What was written: rows in all, rows that repeat an earlier one, and texts about PLACEHOLDER_URL."""

    path: Path
    rows: int
    duplicates: int
    placeholder_texts: int


def build_table(
    path: Path,
    rows: int,
    *,
    seed: int = 0,
    vocabulary: Sequence[str],
    zipf: float = 1.1,
    traits: Traits = Traits(),
) -> Table:
    """Writes a Parquet file of `rows` rows (and the placeholder's) with concepts drawn from the vocabulary.

    The entry at position r (from 1) is drawn with probability proportional to 1 / r**zipf. Same arguments, same rows.
    Raises InputError for an empty vocabulary, a negative number of rows or a share outside of [0, 1].
    """
    shares = (traits.duplicate_share, traits.matched_share)
    if not vocabulary or rows < 0 or not all(0 <= share <= 1 for share in shares):
        raise InputError(f"cannot build {rows} rows from {len(vocabulary)} entries with {traits}: see build_table")
    maker = _Maker(seed, vocabulary, zipf, traits)
    duplicates = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for start in range(0, rows, traits.row_group):
            numbers = np.arange(start, min(start + traits.row_group, rows), dtype=np.int64)
            sources = maker.sources(numbers)
            duplicates += int((sources != numbers).sum())
            writer.write_batch(maker.batch(sources))
        for start in range(0, traits.placeholder_texts, traits.row_group):
            stop = min(start + traits.row_group, traits.placeholder_texts)
            writer.write_batch(maker.placeholders(np.arange(rows + start, rows + stop, dtype=np.int64)))
    return Table(path, rows + traits.placeholder_texts, duplicates, traits.placeholder_texts)


class _Maker:
    """Makes batches of rows from row numbers."""

    def __init__(self, seed: int, vocabulary: Sequence[str], zipf: float, traits: Traits) -> None:
        self._seed = seed
        self._traits = traits
        # "{}" of a template is filled while it is still short: (template, entry) pairs are few, rows are many.
        self._starts = [pa.array([before.format(entry) for entry in vocabulary]) for before in _BEFORE]
        self._ends = pa.array(_AFTER)
        weights = 1 / np.arange(1, len(vocabulary) + 1, dtype=np.float64) ** zipf
        self._cumulative = np.cumsum(weights / weights.sum())

    def sources(self, numbers: Indices) -> Indices:
        """For each row the row it equals: itself, or an earlier one."""
        repeats = self._uniform(numbers, "repeat") < self._traits.duplicate_share
        earlier = (self._uniform(numbers, "which") * numbers).astype(np.int64)
        # A repeated row may itself repeat one before it: follow until the row is its own source.
        sources: Indices = np.where(repeats & (numbers > 0), earlier, numbers)
        moved = sources != numbers
        if moved.any():
            sources[moved] = self.sources(sources[moved])
        return sources

    def batch(self, numbers: Indices) -> pa.RecordBatch:
        ids = _decimal(numbers)
        hosts = _decimal(self._choice(numbers, "host", 5000))
        url = _join("https://img", hosts, ".example.org/pictures/", ids, ".jpg")
        page = _join("https://www", hosts, ".example.org/page/", _decimal(numbers // 7), ".html")
        return pa.record_batch([url, self._captions(numbers), page], schema=SCHEMA)

    def placeholders(self, numbers: Indices) -> pa.RecordBatch:
        """Rows about one URL; the row's number makes each text its own."""
        page = _join("https://www.example.org/page/", _decimal(numbers), ".html")
        caption = _join(self._captions(numbers), " ", _decimal(numbers))
        return pa.record_batch([_join(_repeat(PLACEHOLDER_URL, len(numbers))), caption, page], schema=SCHEMA)

    def _captions(self, numbers: Indices) -> pa.Array:
        """A caption around one entry, or one that holds a number only; a fifth names a second entry."""
        ends = self._ends.take(pa.array(self._choice(numbers, "after", len(_AFTER))))
        first = self._concept(numbers, "first")
        second = self._concept(numbers, "second")
        kinds = self._choice(numbers, "before", len(_BEFORE))
        starts = pc.choose(pa.array(kinds), *(texts.take(pa.array(first)) for texts in self._starts))
        more = self._starts[0].take(pa.array(second))
        one = _join(starts, ends)
        two = _join(starts, more, ends)
        plain = _join(_PLAIN, _decimal(numbers))
        captions = pc.if_else(pa.array(self._uniform(numbers, "two") < 0.2), two, one)
        return pc.if_else(pa.array(self._uniform(numbers, "matched") < self._traits.matched_share), captions, plain)

    def _concept(self, numbers: Indices, salt: str) -> Indices:
        ranks = np.searchsorted(self._cumulative, self._uniform(numbers, f"concept {salt}"), side="right")
        return np.minimum(ranks, len(self._cumulative) - 1).astype(np.int64)

    def _choice(self, numbers: Indices, salt: str, count: int) -> Indices:
        return (self._uniform(numbers, salt) * count).astype(np.int64)

    def _uniform(self, numbers: Indices, salt: str) -> npt.NDArray[np.float64]:
        return uniform(numbers, self._seed, salt)


def mixed(numbers: Indices, seed: int, salt: str) -> npt.NDArray[np.uint64]:
    """64 random bits by row number, seed and salt: SplitMix64's finaliser (Steele, Lea, Flood 2014)."""
    start = hashlib.blake2b(f"{seed} {salt}".encode(), digest_size=8).digest()
    with np.errstate(over="ignore"):
        x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(int.from_bytes(start, "little"))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def uniform(numbers: Indices, seed: int, salt: str) -> npt.NDArray[np.float64]:
    """Uniform in [0, 1) by row number, seed and salt."""
    return (mixed(numbers, seed, salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _decimal(numbers: Indices) -> pa.Array:
    return pc.cast(pa.array(numbers), pa.string())


def _repeat(text: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), count)


def _join(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
