"""Hashes that differ in few bits, found among many: groups of near copies, and what belongs together over all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.media.fingerprints import band_runs

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Compare = Callable[[Ints, Ints], npt.NDArray[np.bool_]]
"""Positions (m,) and others (m,) -> whether these two are alike."""

NEIGHBOURS = 1024
"""Hashes after it, in the order of hashes, that a hash is compared with among those that share two runs with it.

Within three bits, two runs are 28 bits: 100 M hashes evenly spread leave none out. Thousands of hashes that agree in
two runs do: each is compared with those next in value alone, and counted as not_compared. Equal hashes are joined
however many there are. Time is at most this by the runs of a key (max_distance + 1) per row.
"""

_HELD_EDGES = 1 << 20


def joined(labels: Ints, one: Ints, other: Ints) -> Ints:
    """Components of a graph after further edges: for every node the smallest of its component.

    `labels` (n,) as this function returns them, np.arange(n) at first; `one` and `other` (m,) are the ends of edges.
    Rounds hang every component on the smallest that it has an edge to; in numpy, 40 bytes per edge.
    """
    labels = labels.copy()
    while True:
        first, second = labels[one], labels[other]
        apart = first != second
        if not apart.any():
            return labels
        one, other, first, second = one[apart], other[apart], first[apart], second[apart]
        np.minimum.at(labels, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(labels, further := labels[labels]):
            labels = further


def near_labels(
    keys: Ints, hashes: Hashes, band: int, distance: int, also: Compare | None = None
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Components of "within `distance`, of equal key, of no equal earlier band" among distinct (key, hash).

    `keys` (n,) below 2^47, equal where a hash's run of bits for `band` is. also: what else must hold of two positions.
    Returns the smallest position in each one's component, and which were not compared with all that they share two runs
    with.
    """
    runs = band_runs(distance + 1)
    labels = np.arange(len(keys))
    unfinished = np.zeros(len(keys), bool)
    is_near = partial(_near, distance, runs[:band])
    rest, width = _without_run(hashes, runs[band])
    edges = [width * part // (distance + 1) for part in range(distance + 2)]
    for begin, end in pairwise(edges):  # 16 bits at most
        block = keys << 16 | bits_of(rest, begin, end - begin).astype(np.int64)
        order = np.argsort(block, kind="stable")
        labels, stopped = _compared(labels, block[order], (hashes[order], order), is_near, also)
        unfinished[stopped] = True
    return labels, unfinished


def _near(distance: int, earlier: list[tuple[int, int]], differences: Hashes) -> npt.NDArray[np.bool_]:
    """Which differing bits are few enough, with one in each of the earlier runs."""
    near = np.bitwise_count(differences) <= distance
    for run in earlier:
        near &= bits_of(differences, *run) != 0
    return near


def _compared(
    labels: Ints, block: Ints, hashed: tuple[Hashes, Ints], is_near: Any, also: Compare | None
) -> tuple[Ints, Ints]:
    """Labels after comparing every hash with the next NEIGHBOURS of its block, and the nodes that had more."""
    hashes, nodes = hashed
    edges: list[tuple[Ints, Ints]] = []
    held = 0
    at = np.arange(len(block))
    for step in range(1, NEIGHBOURS + 2):
        at = at[: np.searchsorted(at, len(block) - step)]
        at = at[block[at] == block[at + step]]
        if not len(at) or step > NEIGHBOURS:
            break
        near = at[is_near(hashes[at] ^ hashes[at + step])]
        if also is not None:
            near = near[also(nodes[near], nodes[near + step])]
        edges.append((nodes[near], nodes[near + step]))
        held += len(near)
        if held > _HELD_EDGES:
            labels, edges, held = _joined_all(labels, edges), [], 0
    return _joined_all(labels, edges), nodes[at]


def _joined_all(labels: Ints, edges: list[tuple[Ints, Ints]]) -> Ints:
    if not edges:
        return labels
    one, other = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    return joined(labels, one, other)


def bits_of(values: Hashes, shift: int, width: int) -> Hashes:
    """`width` bits of each value from the bit `shift`; numpy has no shift by 64."""
    if not width:
        return np.zeros_like(values)
    return values >> np.uint64(shift) & np.uint64((1 << width) - 1)


def _without_run(hashes: Hashes, run: tuple[int, int]) -> tuple[Hashes, int]:
    """The other bits of each hash, moved together, and how many they are."""
    shift, width = run
    above = 64 - shift - width
    return bits_of(hashes, shift + width, above) << np.uint64(shift) | bits_of(hashes, 0, shift), above + shift
