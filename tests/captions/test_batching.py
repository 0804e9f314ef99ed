"""Calls of many threads become batches; each gets its own result."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.captions.batching import Batcher


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=30), st.integers(1, 8), st.integers(1, 12),
    st.sets(st.integers(0, 9)),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_each_call_gets_what_work_makes_of_its_item_alone(
    calls: list[tuple[int, int]], size: int, threads: int, bad: set[int]
) -> None:
    batches: list[list[tuple[int, int]]] = []
    running = threading.Lock()

    def work(items: list[tuple[int, int]]) -> list[int]:
        assert running.acquire(blocking=False), "two at a time"
        try:
            batches.append(items)
            if any(number in bad for _, number in items):
                raise ValueError(f"{len(items)} items")
            return [10 * number for _, number in items]
        finally:
            running.release()

    batched = Batcher(work, size)

    def called(call: tuple[int, int]) -> int | str:
        try:
            return batched(call[0], call)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(called, calls))
    assert found == ["1 items" if number in bad else 10 * number for _, number in calls]
    assert all(len(items) <= size for items in batches)
    assert all(len({kind for kind, _ in items}) == 1 for items in batches)
    assert batched.size == size


def test_calls_that_come_at_a_time_are_one_batch() -> None:
    sizes: list[int] = []

    def work(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return items

    batched, ready = Batcher(work, 4), threading.Barrier(8)

    def called(number: int) -> int:
        ready.wait(10)
        return batched("a", number)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(called, range(8))) == list(range(8))
    assert sizes == [4, 4]


NO_MEMORY = [MemoryError(), RuntimeError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate")]


@pytest.mark.parametrize("error", NO_MEMORY)
def test_without_memory_the_size_is_halved(error: Exception) -> None:
    sizes: list[int] = []

    def work(items: list[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 3:
            raise error
        return items

    batched, ready = Batcher(work, 8), threading.Barrier(8)

    def called(number: int) -> int:
        ready.wait(10)
        return batched("a", number)

    for _ in range(2):
        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(called, range(8))) == list(range(8))
    assert batched.size == 2
    assert max(sizes[-4:]) <= 2


def test_a_thread_that_ends_leaves_its_batch_to_another() -> None:
    ended = threading.Event()

    def work(items: list[int]) -> list[int]:
        if not ended.is_set():
            ended.set()
            raise SystemExit
        return items

    batched: Batcher[int, int] = Batcher(work, 4)
    found: list[int] = []
    ready = threading.Barrier(4)

    def called(number: int) -> None:
        ready.wait(10)
        with suppress(SystemExit):
            found.append(batched("a", number))

    threads = [threading.Thread(target=called, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert len(found) == 3
