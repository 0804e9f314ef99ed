"""Whose turn it is to ask a host, for threads that share its limits, and for how long each may go on."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from curation.media.attempts import not_done
from curation.media.outcomes import ErrorClass, FetchFaultError
from curation.media.politeness import Manners
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
            raise not_done(ErrorClass.DEADLINE)
        if self._stop.is_set():
            raise not_done(ErrorClass.CANCELLED)

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


class Turns:
    """per_host_concurrency, per_host_delay_s, Retry-After and host_down_after, kept by all threads together."""

    def __init__(self, settings: FetchSettings) -> None:
        self._settings = settings
        self._hosts: defaultdict[str, Manners] = defaultdict(Manners)
        self._down: dict[str, str] = {}
        """Why hosts are not asked any more."""
        self._changed = threading.Condition()

    def enter(self, name: str, check: Callable[[], None]) -> float:
        """Waits until the host may be asked; seconds that it took. Each turn ends with `leave`.

        check: called at least every SLICE_S; what it raises ends the waiting. Raises FetchFaultError (HOST_DOWN).
        """
        begun = time.monotonic()
        with self._changed:
            host = self._hosts[name]
            while True:
                check()
                now = time.monotonic()
                if name in self._down:
                    raise FetchFaultError(ErrorClass.HOST_DOWN, f"{name}: {self._down[name]}", transient=True)
                busy = host.active >= self._settings.per_host_concurrency
                if not busy and now >= host.not_before:
                    break
                self._changed.wait(SLICE_S if busy else min(host.not_before - now, SLICE_S))
            host.active += 1
            host.pause(now + self._settings.per_host_delay_s)
        return now - begun

    def leave(self, name: str) -> None:
        """A request to the host is no longer in progress."""
        with self._changed:
            self._hosts[name].active -= 1
            self._changed.notify_all()

    def note(self, name: str, fault: FetchFaultError | None, wait_s: float = 0.0) -> None:
        """As Manners.note."""
        with self._changed:
            down = self._hosts[name].note(fault, wait_s, self._settings, time.monotonic())
            if down:
                self._down[name] = down
