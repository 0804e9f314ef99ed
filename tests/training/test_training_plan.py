"""Who reads what: every sample once, by somebody."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import InputError
from curation.training.plan import Consumer, Epoch, consumer_here, key_of, scattered, stretch, uniform_of

SIZES = st.lists(st.integers(0, 30), min_size=1, max_size=12)
WORLDS = st.tuples(st.integers(1, 5), st.integers(1, 4))
EPOCHS = st.builds(Epoch, st.integers(0, 5), st.integers(0, 3), st.sampled_from([0, 7, 1000, None]))


def _read(epoch: Epoch, sizes: list[int], first: int, last: int) -> list[tuple[int, int]]:
    """(part, position) in the order of the row."""
    pieces = epoch.pieces(sizes, first, last)
    return [(piece.part, position) for piece in pieces for position in range(piece.start, piece.stop)]


def _all(sizes: list[int]) -> Counter[tuple[int, int]]:
    return Counter((part, position) for part, size in enumerate(sizes) for position in range(size))


@given(epoch=EPOCHS, sizes=SIZES, of=WORLDS, batch=st.integers(1, 9))
def test_every_sample_is_read_once(epoch: Epoch, sizes: list[int], of: tuple[int, int], batch: int) -> None:
    world, workers = of
    found: Counter[tuple[int, int]] = Counter()
    for rank in range(world):
        for worker in range(workers):
            share = stretch(sum(sizes), Consumer(rank, world, worker, workers), batch=batch)
            found.update(_read(epoch, sizes, *share))
    assert found == _all(sizes)


@given(total=st.integers(0, 300), of=WORLDS, batch=st.integers(1, 40))
def test_ranks_differ_by_a_sample_and_workers_by_a_batch(total: int, of: tuple[int, int], batch: int) -> None:
    world, workers = of
    ranks = []
    for rank in range(world):
        ends = [stretch(total, Consumer(rank, world, worker, workers), batch=batch) for worker in range(workers)]
        counts = [last - first for first, last in ends]
        ranks.append(sum(counts))
        assert sum(count % batch > 0 for count in counts) <= 1
        batches = [-(-count // batch) for count in counts]
        assert max(batches) - min(batches) <= 1
    assert max(ranks) - min(ranks) <= 1


@given(epoch=EPOCHS, sizes=SIZES, of=WORLDS)
def test_even_ranks_repeat_or_drop_what_is_said(epoch: Epoch, sizes: list[int], of: tuple[int, int]) -> None:
    world, workers = of
    total, row = sum(sizes), _read(epoch, sizes, 0, sum(sizes))
    for even, expected in (("repeat", -(-total // world) * world), ("drop", total // world * world)):
        if even == "drop" and total < world:
            continue
        counts, found = [], Counter[tuple[int, int]]()
        for rank in range(world):
            own = [
                sample
                for worker in range(workers)
                for sample in _read(epoch, sizes, *stretch(total, Consumer(rank, world, worker, workers), even=even))
            ]
            counts.append(len(own))
            found.update(own)
        assert set(counts) == {expected // world if total else 0}
        again = [row[place % total] for place in range(total, expected)]
        assert found == Counter(row[:expected]) + Counter(again)


def test_drop_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="3 samples for 4 ranks: with even='drop' none has any; use even='repeat'"):
        stretch(3, Consumer(0, 4), even="drop")
    assert stretch(0, Consumer(0, 4), even="drop") == (0, 0)


@given(count=st.integers(0, 500), shuffle=st.integers(0, 600), first=st.integers(0, 10**12), seed=st.integers(0, 9))
def test_none_comes_earlier_than_shuffle_allows(count: int, shuffle: int, first: int, seed: int) -> None:
    places = Epoch(1, seed, shuffle).places(count, first)
    assert sorted(places.tolist()) == list(range(count))
    early = places - np.arange(count)
    assert not count or early.max() <= shuffle
    read = np.maximum.accumulate(places) + 1 if count else places
    assert not count or (read - np.arange(count)).max() <= shuffle + 1  # what is held in memory


def test_orders_are_of_the_epoch_and_mix() -> None:
    sizes = [10] * 50
    rows = [_read(Epoch(epoch, 0, 100), sizes, 0, 500) for epoch in (0, 1, 0)]
    assert rows[0] == rows[2] != rows[1]
    assert len({part for part, _ in rows[0][:100]} & {part for part, _ in rows[1][:100]}) < 8
    orders = [Epoch(epoch, 0, None).places(500, 0).tolist() for epoch in (0, 1)]
    assert orders[0] != orders[1]
    assert abs(np.corrcoef(orders[0], range(500))[0, 1]) < 0.15
    near = Epoch(0, 0, 100).places(10_000, 0)  # i + 100 u: 100 (u - 1/2) places from where it lay
    assert 24 < np.abs(near - np.arange(10_000)).mean() < 26
    assert Epoch(0, 0, 0).places(5, 3).tolist() == [0, 1, 2, 3, 4]
    assert _read(Epoch(4, 2, 0), [2, 1], 0, 3) == [(0, 0), (0, 1), (1, 0)]


def test_numbers_are_fixed_for_good() -> None:
    """Golden: a state that was saved goes on with the same samples after an update."""
    assert key_of("samples", 3, 5) == 0x5BDC5D691AA4C41F
    assert scattered(np.arange(2), 7).tolist() == [1346066267577507604, 7191089600892374487]
    assert Epoch(2, 1, 4).places(8, 100).tolist() == [0, 1, 4, 2, 3, 6, 5, 7]
    assert [piece.part for piece in Epoch(2, 1, 4).pieces([1] * 8, 0, 8)] == [1, 4, 2, 6, 5, 3, 7, 0]
    assert uniform_of("é", 9) == 0.11492787951731287


def test_draws_are_even() -> None:
    draws = np.array([uniform_of(f"{number:032x}", key_of("text", 0, 0)) for number in range(20_000)])
    assert np.abs(np.histogram(draws, 10, (0, 1))[0] - 2000).max() < 200


def test_rank_comes_from_arguments_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert consumer_here() == Consumer(0, 1)
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(InputError, match="RANK=2 and WORLD_SIZE=None name no rank: set both, or none"):
        consumer_here()
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert consumer_here() == Consumer(2, 4)
    assert consumer_here(1, 3) == Consumer(1, 3)
    with pytest.raises(InputError, match="rank and world belong together"):
        consumer_here(rank=1)
    with pytest.raises(InputError, match="rank 3 of 3: numbers run from 0"):
        consumer_here(3, 3)
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(InputError, match="rank 4 of 4"):
        consumer_here()
