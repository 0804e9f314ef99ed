"""Work by several threads whose results come in the order of what was worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_AHEAD = 4096
"""Items that are begun beyond one that takes long, at most; their results are held."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int = _AHEAD
) -> Generator[Result]:
    """Results in the order of the items, worked on by so many threads; 0: by this one. Takes the items as it goes.

    ahead: items that are begun beyond one that takes long, at most; their results are held.
    """
    if not threads:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="caption")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            while len(waiting) > ahead or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
