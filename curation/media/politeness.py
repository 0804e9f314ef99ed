"""Whose turn it is: requests queued by host, each host within its limits, none in the way of another."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Iterator
from typing import Generic, TypeVar

from curation.media.outcomes import ErrorClass, FetchFaultError
from curation.recipe.network import FetchSettings

T = TypeVar("T")

_NONE = -1


class Manners:
    """What a host was seen to do. Times are seconds of the caller's clock."""

    __slots__ = ("active", "not_before", "troubles")

    def __init__(self) -> None:
        self.active = 0
        self.not_before = 0.0
        self.troubles = 0
        """Transient failures in a row."""

    def pause(self, until: float) -> None:
        """Nothing of the host starts before `until`."""
        self.not_before = max(self.not_before, until)

    def note(self, fault: FetchFaultError | None, wait_s: float, settings: FetchSettings, now: float) -> str:
        """What a request to the host came to, None: it was answered well. Why it is not to be asked any more, or "".

        wait_s: how long a host is left alone that says "too many requests" without saying for how long.
        """
        self.troubles = self.troubles + 1 if fault is not None and fault.transient else 0
        if fault is None:
            return ""
        asked_s = fault.retry_after_s
        if asked_s is not None or fault.error is ErrorClass.TOO_MANY_REQUESTS:
            self.pause(now + max(wait_s, asked_s or 0.0))
        if asked_s is not None and asked_s > settings.max_retry_after_s and asked_s >= wait_s:
            return f"it asks not to be asked for {asked_s:.0f} s"
        if self.troubles >= settings.host_down_after:
            return f"{self.troubles} transient failures in a row, the last {fault.error}"
        return ""


class Host(Manners, Generic[T]):
    """A host's requests, and its manners."""

    __slots__ = ("again", "first", "last", "listed_for", "name")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.first = self.last = _NONE
        self.again: list[tuple[float, int, T]] | None = None
        self.listed_for: float | None = None

    @property
    def waiting(self) -> bool:
        """Whether it has requests that were not begun."""
        return self.first != _NONE or bool(self.again)


class HostQueues(Generic[T]):
    """Requests by host: new ones are numbers, in the order they are added; resumed ones are anything, with a time.

    Fair: hosts that may be asked come in turn, one request each, longest due first. At most `concurrency` requests
    of a host are in progress, and two of them start at least delay_s apart. Every operation takes O(log hosts); a new
    request takes 8 bytes.
    """

    def __init__(self, concurrency: int, delay_s: float) -> None:
        self._concurrency = concurrency
        self._delay_s = delay_s
        self._hosts: dict[str, Host[T]] = {}
        self._following = array("q")  # of request i: the next new one of its host
        self._turns: list[tuple[float, int, Host[T]]] = []
        self._serial = 0

    def add(self, host: str, number: int) -> None:
        """Queues new request `number`, which is larger than those before."""
        entry = self._host(host)
        self._following.extend([_NONE] * (number + 1 - len(self._following)))
        if entry.first == _NONE:
            entry.first = number
        else:
            self._following[entry.last] = number
        entry.last = number
        self._list(entry)

    def resume(self, host: str, request: T, not_before: float) -> None:
        """Queues a request that goes on, ahead of the new ones once its time has come."""
        entry = self._host(host)
        if entry.again is None:
            entry.again = []
        self._serial += 1
        heapq.heappush(entry.again, (not_before, self._serial, request))
        self._list(entry)

    def take(self, now: float) -> tuple[Host[T], int | T] | None:
        """A request that may start now, of the host that was due first; None where there is none."""
        while self._turns and self._turns[0][0] <= now:
            due, _, host = heapq.heappop(self._turns)
            if due != host.listed_for:
                continue  # it was listed again for an earlier time
            host.listed_for = None
            if (ready := self._ready(host)) is not None and ready <= now:
                request = self._next(host, now)
                host.active += 1
                host.pause(now + self._delay_s)
                self._list(host, now)
                return host, request
            self._list(host)
        return None

    def finished(self, host: Host[T]) -> None:
        """A request of the host is no longer in progress."""
        host.active -= 1
        self._list(host)

    def drain(self, host: Host[T]) -> Iterator[int | T]:
        """Takes out all that waits at a host."""
        again, host.again = host.again or [], None
        number, host.first = host.first, _NONE
        for _, _, request in again:
            yield request
        while number != _NONE:
            following = self._following[number]
            yield number
            number = following

    def next_time(self) -> float | None:
        """When the next request may start at the earliest; None where nothing can before one finishes."""
        while self._turns:
            due, _, host = self._turns[0]
            if due == host.listed_for:
                ready = self._ready(host)
                if ready is not None and ready <= due:
                    return due
                host.listed_for = None
                heapq.heappop(self._turns)
                self._list(host)
            else:
                heapq.heappop(self._turns)
        return None

    def _host(self, name: str) -> Host[T]:
        entry = self._hosts.get(name)
        if entry is None:
            entry = self._hosts[name] = Host(name)
        return entry

    def _ready(self, host: Host[T]) -> float | None:
        if host.active >= self._concurrency or not host.waiting:
            return None
        if host.first != _NONE or host.again is None:
            return host.not_before
        return max(host.not_before, host.again[0][0])

    def _list(self, host: Host[T], not_before: float = 0.0) -> None:
        """Puts the host among those whose turn comes, at its time. One that has just had a turn goes behind `now`."""
        ready = self._ready(host)
        if ready is None:
            return
        due = max(ready, not_before)
        if host.listed_for is None or due < host.listed_for:
            host.listed_for = due
            self._serial += 1
            heapq.heappush(self._turns, (due, self._serial, host))

    def _next(self, host: Host[T], now: float) -> int | T:
        if host.again and (host.again[0][0] <= now or host.first == _NONE):
            return heapq.heappop(host.again)[2]
        number = host.first
        host.first = self._following[number]
        return number
