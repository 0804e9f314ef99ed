"""When to try again, when to stop, and how it is told: the same for every list of things that are fetched."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from curation.media.outcomes import ErrorClass, FetchFaultError, FetchStormError
from curation.recipe.network import FetchSettings

STORM_CLASSES: Final = frozenset(
    [
        *(ErrorClass.DNS, ErrorClass.CONNECT, ErrorClass.TLS, ErrorClass.TIMEOUT, ErrorClass.HTTP_5XX),
        *(ErrorClass.TOO_MANY_REQUESTS, ErrorClass.REFUSED_ADDRESS),
    ]
)
"""Classes that a broken resolver, network, proxy or clock of ours, or a ban, would fill."""

_NOT_ASKED: Final = frozenset([ErrorClass.HOST_DOWN, ErrorClass.DEADLINE, ErrorClass.CANCELLED, ErrorClass.BAD_URL])


class Storm:
    """Watches the last outcomes of a list for one class that fills them."""

    def __init__(self, settings: FetchSettings) -> None:
        self._window, self._share = settings.storm_window, settings.storm_share
        self._recent: deque[str | None] = deque()
        self._counts: Counter[str | None] = Counter()

    def note(self, error: str | None, detail: str) -> None:
        """Counts an outcome, None: ok; those for which no host was asked are left out.

        Raises FetchStormError where more than storm_share of the last storm_window are of this one of STORM_CLASSES.
        """
        if error in _NOT_ASKED:
            return
        self._recent.append(error)
        self._counts[error] += 1
        if len(self._recent) > self._window:
            self._counts[self._recent.popleft()] -= 1
        count = self._counts[error]
        if error in STORM_CLASSES and len(self._recent) == self._window and count > self._share * self._window:
            raise FetchStormError(
                f"fetching is stopped: {count} of the last {self._window} URLs failed with {error} (the last: "
                f"{detail}). Check resolver, network and proxy of this machine; what was not fetched is left for the "
                "next run",
                ErrorClass(error),
            )


def backoff_s(settings: FetchSettings, attempts: int, url: str) -> float:
    """Seconds before one more attempt: doubling, spread by a hash of the URL so that no two runs differ."""
    wait_s = min(settings.backoff_s * 2.0 ** min(attempts - 1, 60), settings.max_backoff_s)
    digest = blake2b(f"{attempts} {url}".encode(), digest_size=4).digest()
    return wait_s * (0.5 + int.from_bytes(digest, "big") / 2**32)


def not_done(error: ErrorClass) -> FetchFaultError:
    """What is told of a request that is left: DEADLINE or CANCELLED."""
    words = "not done when the time was over" if error is ErrorClass.DEADLINE else "not done when the run stopped"
    return FetchFaultError(error, words, transient=True)


def unsettled(settled: bytearray) -> Iterator[int]:
    """Numbers of the requests that have no outcome (0), in order; whoever takes one marks it before the next."""
    position = settled.find(0)
    while position >= 0:
        yield position
        position = settled.find(0, position)
