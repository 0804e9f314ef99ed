"""Calls of many threads, put together to batches.

    batched = Batcher(work, 16)
    batched("words", item)          # in any thread: blocks until work([..., item, ...]) has run

No thread is started: one of those that wait does the work for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from threading import Condition
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_GATHERING_S: Final = 0.02
"""Seconds for which a batch that is not full waits for more."""
_NO_MEMORY: Final = ("out of memory", "can't allocate", "cannot allocate")


def is_out_of_memory(error: Exception) -> bool:
    """Of the machine, or of a device."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)


@dataclass(eq=False)
class _Call(Generic[Item, Result]):
    kind: Hashable
    item: Item
    result: Result | None = None
    error: Exception | None = None
    is_done: bool = False


class Batcher(Generic[Item, Result]):
    """Calls of one kind go into one batch. The oldest never waits for more than the batch that is under way."""

    def __init__(self, work: Callable[[list[Item]], Sequence[Result]], size: int) -> None:
        """work: on items of one kind; as many results. It runs in one thread at a time. size: of a batch, at most."""
        self._work, self.size = work, size
        self._changed = Condition()
        self._calls: list[_Call[Item, Result]] = []
        self._is_led = False

    def __call__(self, kind: Hashable, item: Item) -> Result:
        """The item's own result. Raises what `work` raises on it alone: a batch that fails is tried in halves."""
        call = _Call[Item, Result](kind, item)
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
            while self._is_led and not call.is_done:
                self._changed.wait()
            self._is_led = self._is_led or not call.is_done
        if not call.is_done:
            try:
                while not call.is_done:
                    self._run(self._gathered())
            finally:
                with self._changed:
                    self._is_led = False
                    self._changed.notify_all()
        if call.error is not None:
            raise call.error
        return call.result  # type: ignore[return-value]

    def _gathered(self) -> list[_Call[Item, Result]]:
        """The oldest call and others of its kind."""
        end = time.monotonic() + _GATHERING_S
        with self._changed:
            while True:
                alike = [call for call in self._calls if call.kind == self._calls[0].kind][: self.size]
                left = end - time.monotonic()
                if len(alike) == self.size or left <= 0:
                    break
                self._changed.wait(left)
            self._calls = [call for call in self._calls if call not in alike]
        return alike

    def _run(self, calls: list[_Call[Item, Result]]) -> None:
        try:
            results = self._work([call.item for call in calls])
        except Exception as error:  # noqa: BLE001 - it is raised in the thread whose item it is
            failed: Exception = error.with_traceback(None)  # which would keep the tensors of the batch alive
        except BaseException:  # the thread ends: another one does it
            with self._changed:
                self._calls = calls + self._calls
            raise
        else:
            for call, result in zip(calls, results, strict=True):
                call.result = result
            self._finish(calls)
            return
        half = len(calls) // 2
        if not half:
            calls[0].error = failed
            self._finish(calls)
            return
        if is_out_of_memory(failed):
            self.size = half
        self._run(calls[:half])
        self._run(calls[half:])

    def _finish(self, calls: list[_Call[Item, Result]]) -> None:
        with self._changed:
            for call in calls:
                call.is_done = True
            self._changed.notify_all()
