"""Compiled `str.strip()`, on UTF-8 bytes."""

# mypy: disable-error-code="assignment"

from __future__ import annotations

import numpy as np

from curation.concepts._trie_arrays import Bytes, Ints
from curation.kernels import kernel


@kernel
def _white(data: Bytes, at: int, end: int) -> int:
    """Bytes of the white space character that is data[at:...] and no longer than `end - at`, or 0."""
    byte, left = data[at], end - at
    if byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31:
        return 1
    if byte == 0xC2 and left >= 2:
        return 2 if data[at + 1] in (0x85, 0xA0) else 0
    if left < 3 or byte not in (0xE1, 0xE2, 0xE3):
        return 0
    low = (np.int64(data[at + 1]) << 8) | np.int64(data[at + 2])
    if byte == 0xE2:
        return 3 if 0x8080 <= low <= 0x808A or low in (0x80A8, 0x80A9, 0x80AF, 0x819F) else 0
    return 3 if (byte == 0xE1 and low == 0x9A80) or (byte == 0xE3 and low == 0x8080) else 0


@kernel
def strip(data: Bytes, state: Ints) -> None:
    """Takes white space off both ends of the row at whose beginning the state stands."""
    start, end = state[1], state[3]
    while start < end and not 32 < data[start] < 128 and _white(data, start, end) > 0:
        start += _white(data, start, end)
    size = 1
    while size <= min(3, end - start) and not 32 < data[end - 1] < 128:
        if _white(data, end - size, end) == size:
            end -= size
            size = 1
        else:
            size += 1
    state[1], state[2], state[3] = start, start, end
