"""Whose turn it is to ask a host, for threads that share its limits, and for how long each may go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from curation.media.outcomes import ErrorClass, FetchFaultError
from curation.recipe.network import FetchSettings

SLICE_S: Final = 0.25
"""Longest wait, in seconds, between two looks whether a thread is to stop."""


class Clock:
    """When a video's time is over. ends, deadline: by time.monotonic(); of the video, and of the whole list."""

    def __init__(self, ends: float, deadline: float, stop: threading.Event) -> None:
        self.ends = ends
        self._deadline = deadline
        self._stop = stop

    def check_run(self) -> None:
        """Raises FetchFaultError: CANCELLED, DEADLINE."""
        if time.monotonic() >= self._deadline:
            raise FetchFaultError(ErrorClass.DEADLINE, "not done when the time was over", transient=True)
        if self._stop.is_set():
            raise FetchFaultError(ErrorClass.CANCELLED, "not done when the run stopped", transient=True)

    def check(self) -> None:
        """Raises FetchFaultError: CANCELLED, DEADLINE, TIMEOUT."""
        self.check_run()
        if time.monotonic() >= self.ends:
            raise FetchFaultError(ErrorClass.TIMEOUT, "the video's time is used up", transient=True)

    def for_probe(self, least: float) -> float:
        """Until when the file may be looked at, for `least` seconds at least if the list has so long."""
        return min(max(self.ends, time.monotonic() + least), self._deadline)

    def left(self, most: float) -> float:
        """Seconds for a step that may take `most`; at least a millisecond."""
        return max(min(most, self.ends - time.monotonic(), self._deadline - time.monotonic()), 0.001)


@dataclass(slots=True)
class _Host:
    active: int = 0
    not_before: float = 0.0
    troubles: int = 0
    """Transient failures in a row."""
    down: str = ""
    """Why it is not asked any more; empty: it is."""


class Turns:
    """per_host_concurrency, per_host_delay_s, Retry-After and host_down_after, kept by all threads together."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._hosts: dict[str, _Host] = {}
        self._changed = threading.Condition()

    def enter(self, name: str, check: Callable[[], None]) -> float:
        """Waits until the host may be asked; seconds that it took. Each turn ends with `leave`.

        check: called at least every SLICE_S; what it raises ends the waiting. Raises FetchFaultError (HOST_DOWN).
        """
        begun = time.monotonic()
        with self._changed:
            host = self._hosts.setdefault(name, _Host())
            while True:
                check()
                now = time.monotonic()
                if host.down:
                    raise FetchFaultError(ErrorClass.HOST_DOWN, f"{name}: {host.down}", transient=True)
                busy = host.active >= self._settings.per_host_concurrency
                if not busy and now >= host.not_before:
                    break
                self._changed.wait(SLICE_S if busy else min(host.not_before - now, SLICE_S))
            host.active += 1
            host.not_before = now + self._settings.per_host_delay_s
        return now - begun

    def leave(self, name: str) -> None:
        """A request to the host is no longer in progress."""
        with self._changed:
            self._hosts[name].active -= 1
            self._changed.notify_all()

    def note(self, name: str, fault: FetchFaultError | None, wait_s: float = 0.0) -> None:
        """What a request to the host came to; None: it was answered well.

        wait_s: how long a host is left alone that says "too many requests" without saying for how long.
        """
        settings = self._settings
        with self._changed:
            host = self._hosts.setdefault(name, _Host())
            host.troubles = host.troubles + 1 if fault is not None and fault.transient else 0
            if fault is None:
                return
            if host.troubles >= settings.host_down_after:
                host.down = f"{host.troubles} transient failures in a row, the last {fault.error}"
            asked_s = fault.retry_after_s
            if asked_s is not None or fault.error is ErrorClass.TOO_MANY_REQUESTS:
                host.not_before = max(host.not_before, time.monotonic() + max(wait_s, asked_s or 0.0))
            if asked_s is not None and asked_s > max(wait_s, settings.max_retry_after_s):
                host.down = f"it asks not to be asked for {asked_s:.0f} s"

    def down(self, name: str) -> str:
        """Why the host is not asked any more; empty: it is."""
        with self._changed:
            host = self._hosts.get(name)
            return host.down if host else ""
