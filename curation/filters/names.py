"""Names (URLs, domains, digests) of many lists, small in memory and quick to ask for."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import xxhash

from curation.filters.urls import Ints

Keys = npt.NDArray[np.bytes_]
_KEY_BYTES = 16


class NameTable:
    """Which list holds a name first: 20 bytes a name, a binary search to find one.

    Names are kept as 128-bit hashes (xxh3): that two of 10**10 names ever share one has a chance of 10**-19.
    """

    def __init__(self, parts: Iterable[tuple[int, Keys]], lists: int) -> None:
        """`parts`: (number of the list, `name_keys` of some of its names); `lists`: how many lists there are."""
        numbers, keys = [], []
        for number, part in sorted(parts, key=lambda part: part[0]):
            numbers.append(np.full(len(part), number, np.int32))
            keys.append(part)
        self.lists = lists
        self._keys, first = np.unique(np.concatenate([name_keys([]), *keys]), return_index=True)
        self._numbers = np.concatenate([np.zeros(0, np.int32), *numbers])[first]

    def __len__(self) -> int:
        return len(self._keys)

    def first_lists(self, names: list[str], rows: npt.ArrayLike, size: int) -> Ints:
        """For each of `size` rows the smallest number of a list that holds one of its names; `lists` where none does.

        names: of all rows; rows: to which row each belongs.
        """
        result = np.full(size, self.lists, np.int64)
        if len(self) and names:
            keys = name_keys(names)
            order = np.argsort(keys)  # asked in order, the search stays in cache: three times as fast
            keys = keys[order]
            places = np.minimum(np.searchsorted(self._keys, keys), len(self) - 1)
            found = self._keys[places] == keys
            np.minimum.at(result, np.asarray(rows, np.int64)[order[found]], self._numbers[places[found]])
        return result


def name_keys(names: list[str]) -> Keys:
    """The hashes under which names are kept."""
    digest = xxhash.xxh3_128_digest
    return np.frombuffer(b"".join([digest(name.encode()) for name in names]), f"S{_KEY_BYTES}")
