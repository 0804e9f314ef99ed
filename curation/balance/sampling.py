"""Ids and draws that come from content alone: the same pair gets the same number on every machine and partitioning.

Bytes are fixed for good (golden vectors in tests/balance): a changed hash would be another sample.

    pair_id    xxh3_128(media_id in UTF-8, one zero byte, text in UTF-8), 32 lower-case hex digits, big-endian
    key        mix(mix(seed + G) ^ salt)
    hash       mix(mix(high ^ key) ^ low), with high and low the two 64-bit halves of the id
    u          the high 53 bits of the hash / 2**53

All arithmetic is modulo 2**64; mix is the finaliser of splitmix64 and G its increment (Steele, Lea and Flood 2014).
Every purpose has its own salt: picking a text and drawing it with the same number would keep 0.51 of what was meant
to be 0.3, since the picked number is the smallest of several.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from curation.errors import BalanceError

Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]

SALTS: Mapping[str, int] = MappingProxyType(
    {  # the first 8 bytes of SHA-256 of "curation.balance:" + name
        "draw": 0x95DEAE414BE59212,
        "pick": 0x965DD8A126530CB3,
        "split": 0xBE022D9DE1019BC3,
        "shuffle": 0x087B9F55DB483DE7,
        "sample": 0xA6A665C50986765B,
        "recaption": 0x06C9FD6BC1571BC7,
    }
)

_DIGITS = 32
_WORD = 1 << 64
_UNIT = 2.0**-53


def pair_id(media_id: str, text: str) -> str:
    """The id of one (media, text) pair, 32 hex digits."""
    try:
        return xxhash.xxh3_128_hexdigest(b"\x00".join((media_id.encode(), text.encode())))
    except UnicodeEncodeError as error:
        raise BalanceError(f"a text of media {media_id!a} is not Unicode ({error}): clean it first") from None


def pair_ids(media_ids: pa.Array, texts: pa.Array) -> pa.Array:
    """`pair_id` of each row: two string columns of n rows without nulls -> pa.string() of n rows."""
    media = _strings(media_ids, "media_id").cast(pa.large_binary())
    words = _strings(texts, "text").cast(pa.large_binary())
    if len(media) != len(words):
        raise BalanceError(f"{len(media)} media ids and {len(words)} texts: give one text per media id")
    joined = pc.binary_join_element_wise(media, words, pa.scalar(b"\x00", pa.large_binary()))
    _, offsets, data = joined.buffers()
    if not len(joined):
        return pa.array([], pa.string())
    view = memoryview(data)
    ends = np.frombuffer(offsets, np.int64)[joined.offset : joined.offset + len(joined) + 1].tolist()
    digest = xxhash.xxh3_128_digest
    digests = b"".join([digest(view[start:end]) for start, end in pairwise(ends)])
    places = np.arange(0, _DIGITS * len(joined) + 1, _DIGITS, dtype=np.int32)
    return pa.StringArray.from_buffers(len(joined), pa.py_buffer(places), pa.py_buffer(digests.hex().encode()))


def hashes(ids: pa.Array, seed: int, salt: int | str) -> Hashes:
    """A 64-bit hash per id, uint64 (n,). ids: pa.string() of 32 lower-case hex digits, sliced or not, without nulls.

    seed: 0 <= seed < 2**64. salt: a name in SALTS, or an own number below 2**64 (a trainer's epoch). Raises
    BalanceError that names the first malformed id.
    """
    from curation.balance import _kernels
    from curation.kernels import readonly

    column = _strings(ids, "id")
    offsets, data = _buffers(column)
    out, malformed = _kernels.hashes(readonly(offsets), readonly(data), np.uint64(_key(seed, salt)))
    if malformed >= 0:
        raise BalanceError(f"row {malformed}: {column[malformed].as_py()!a} is no id of 32 lower-case hex digits")
    return out


def uniforms(ids: pa.Array, seed: int, salt: int | str) -> Floats:
    """A draw in [0, 1) per id, a multiple of 2**-53; float64 (n,). Arguments and errors as for `hashes`."""
    return (hashes(ids, seed, salt) >> np.uint64(11)).astype(np.float64) * _UNIT


def pick_one(media_ids: pa.Array, hashes: Hashes, pair_ids: pa.Array) -> npt.NDArray[np.bool_]:
    """True for one row of every run of equal media_ids: the smallest hash, and of equal ones the smaller pair_id.

    All three have n rows; equal media_ids lie next to each other, as in `matches`. The choice does not depend on the
    order of the rows within a media. Raises BalanceError where the lengths differ.
    """
    column = _strings(media_ids, "media_id")
    if not len(column) == len(hashes) == len(pair_ids):
        raise BalanceError(f"{len(column)} media ids, {len(hashes)} hashes, {len(pair_ids)} pair ids: give one per row")
    if not len(column):
        return np.zeros(0, np.bool_)
    differs = np.asarray(pc.not_equal(column[1:], column[:-1]))
    starts = np.concatenate([[0], np.flatnonzero(differs) + 1])
    lengths = np.diff(starts, append=len(column))
    picked = hashes == np.repeat(np.minimum.reduceat(hashes, starts), lengths)
    for group in np.flatnonzero(np.add.reduceat(picked, starts, dtype=np.int64) > 1):  # hardly ever: 64-bit hashes
        rows = starts[group] + np.flatnonzero(picked[starts[group] : starts[group] + lengths[group]])
        picked[rows] = False
        picked[min(rows, key=lambda row: (pair_ids[int(row)].as_py(), row))] = True
    return np.asarray(picked, np.bool_)


def _key(seed: int, salt: int | str) -> int:
    if isinstance(salt, str):
        if salt not in SALTS:
            raise BalanceError(f"no salt named {salt!r}: use one of {', '.join(SALTS)}, or a number")
        salt = SALTS[salt]
    if not (0 <= seed < _WORD and 0 <= salt < _WORD):
        raise BalanceError(f"seed {seed} and salt {salt} must be from 0 to 2**64 - 1")
    return _mix(_mix((int(seed) + 0x9E3779B97F4A7C15) % _WORD) ^ int(salt))


def _mix(word: int) -> int:
    """splitmix64's finaliser, as the kernel computes it."""
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % _WORD
    return word ^ (word >> 31)


def _strings(column: pa.Array | pa.ChunkedArray, what: str) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type not in (pa.string(), pa.large_string()):
        raise BalanceError(f"{what} must be a column of strings, not of {column.type}")
    if column.null_count:
        raise BalanceError(f"{column.null_count} of {len(column)} rows have no {what}")
    return column


def _buffers(column: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    _, offsets, data = column.buffers()
    if not len(column):
        return np.zeros(1, np.int64), np.empty(0, np.uint8)
    kind = np.int32 if column.type == pa.string() else np.int64
    places = np.frombuffer(offsets, kind)[column.offset : column.offset + len(column) + 1].astype(np.int64, copy=False)
    return places, np.frombuffer(data if data is not None else b"", np.uint8)
