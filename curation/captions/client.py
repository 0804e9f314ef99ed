"""Attempts at requests to one server of models: bounded in time and bytes, spread over slots, and counted.

Built on aiohttp, the project's own: one thread has all connections, which stay open between requests and are seen to be
closed before they are used; one limit spans name, connection, request and answer, however slowly that trickles; and
whoever waits can be let go. It takes 0.45 ms of processor time per request with a picture of 50 kB, urllib3 0.37 ms,
http.client 0.25 ms, which have no such limit; at 300 requests a second all of them are little of one core.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Generic, NoReturn, TypeVar

import aiohttp
from yarl import URL

from curation.captions.faults import FAILED_IN_A_ROW, CaptionFaultError, Fault
from curation.captions.payload import Body, error_message
from curation.errors import RecipeError, StageError
from curation.media.client import retry_after
from curation.recipe.captions import ServerModel

CONNECT_S: Final = 20.0
"""A server that has not taken a connection by then is not there."""
MAX_BACKOFF_S: Final = 60.0
MAX_RETRY_AFTER_S: Final = 300.0
"""The longest that a Retry-After is obeyed; a server that wants more is asked again then."""
_ERROR_BYTES: Final = 64 << 10
_AGAIN: Final = frozenset({408, 425})
_LASTING: Final = {
    401: "it wants another API key: set the environment variable that captions.models names as key_variable",
    402: "it wants to be paid",
    404: "it does not know the model, or has nothing at this URL: correct model or url",
    405: "it takes no such requests at this URL: correct url",
}
"""Statuses that every request would get."""
_TOLD_CHARS: Final = 240
"""Of what a server says, in messages."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. read: makes its result of an answer's body, or raises CaptionFaultError(GARBAGE)."""

    path: str
    key: str
    kind: str
    """Content-Type of the body."""
    body: bytes
    read: Callable[[Body], T]


class _AttemptError(Exception):
    """An attempt that failed. again: whether another one makes sense. refused: there was not even a connection."""

    def __init__(
        self, fault: Fault, detail: str, *, again: bool = True, wait_s: float | None = None, refused: bool = False
    ) -> None:
        super().__init__(detail)
        self.fault, self.detail, self.again, self.wait_s, self.refused = fault, detail, again, wait_s, refused


class Pace:
    """Even distances between the requests of all threads, the first of which waits for as long: so the pace holds for
    units that follow each other, too. Safe to call from threads.
    """

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._distance_s = 60.0 / per_minute if per_minute else 0.0
        self._clock, self._next_s, self._lock = clock, clock() + self._distance_s, threading.Lock()

    def wait_s(self) -> float:
        """Seconds until the next request may be sent, whose turn is taken by this call."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next_s)
            self._next_s = turn + self._distance_s
        return turn - now


class ServerClient:
    """Connections to one server, for one of the tasks that run at the same time. `send` is called from threads.

    A task has its share of the settings' requests_per_minute and of their slots, but one slot at least: with more tasks
    than slots, as many requests are under way as there are tasks. Raises RecipeError as checked_server does.
    wait: for tests; sleeps for some seconds, and says whether the client was stopped meanwhile.
    """

    def __init__(self, settings: ServerModel, tasks: int = 1, wait: Callable[[float], bool] | None = None) -> None:
        self._settings, self.model = settings, settings.model
        self._key, self._base = checked_server(settings)
        self.slots = max(1, settings.slots // tasks)
        self._free = threading.BoundedSemaphore(self.slots)
        rate = settings.requests_per_minute
        self._pace = Pace(None if rate is None else rate / tasks)
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._why = "it was closed"
        self._lock = threading.Lock()
        self._answers, self._failed = 0, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="caption-client", daemon=True)
        self._thread.start()
        self._session = self._run(self._open())

    def _run(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # the slots limit
            timeout=aiohttp.ClientTimeout(None, sock_connect=CONNECT_S),  # and one around all of an attempt
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    def close(self) -> None:
        """Lets go whoever waits, with a StageError."""
        if self._loop.is_closed():
            return
        self._stopped.set()
        self._run(self._cancel())
        for _ in range(self.slots):  # whoever is in an attempt leaves it at once
            self._free.acquire()
        for _ in range(self.slots):  # and whoever waits for a slot finds the client stopped
            self._free.release()
        self._run(self._session.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel(self) -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def send(self, call: Call[T]) -> T:
        """The result of a request, sent up to settings.attempts times. Raises CaptionFaultError, or StageError for what
        concerns all requests: a wrong key or model, a server that is gone or answers none of them.
        """
        before, last = self._answers, self._settings.attempts
        for attempt in range(1, last + 1):
            self._pause(self._pace.wait_s())
            try:
                with self._free:
                    found = self._attempt(call)
            except _AttemptError as error:
                if error.again and attempt < last:
                    self._pause(self._backoff_s(attempt, call.key) if error.wait_s is None else error.wait_s)
                    continue
                self._give_up(error, attempt, before)
            with self._lock:
                self._answers, self._failed = self._answers + 1, 0
            return found
        raise StageError("captions.models: attempts must be at least 1")

    def _pause(self, seconds: float) -> None:
        if self._wait(seconds) if seconds > 0 else self._stopped.is_set():
            self._end(self._why)

    def _backoff_s(self, attempts: int, key: str) -> float:
        """Seconds before one more attempt: doubling, spread by a hash so that slots do not come back all at once."""
        wait_s = min(self._settings.backoff_s * 2.0 ** min(attempts - 1, 60), MAX_BACKOFF_S)
        digest = blake2b(f"{attempts} {key}".encode(), digest_size=4).digest()
        return wait_s * (0.5 + int.from_bytes(digest, "big") / 2**32)

    def _give_up(self, error: _AttemptError, attempts: int, before: int) -> NoReturn:
        """Raises CaptionFaultError; StageError where that would be the same for all others."""
        with self._lock:
            self._failed += 1
            gone, storm = error.refused and self._answers == before, self._failed >= FAILED_IN_A_ROW
        if gone:
            self._end(f"no connection in {attempts} attempts ({error.detail}): start the server, or correct url")
        if storm:
            limit = "set requests_per_minute to what it allows, or fewer slots: " * (error.fault is Fault.RATE_LIMITED)
            told = f"the last one with {error.fault}: {limit}{error.detail}"
            self._end(f"the last {FAILED_IN_A_ROW} requests failed, {told}")
        raise CaptionFaultError(error.fault, f"{error.detail} (attempts: {attempts})")

    def _end(self, why: str) -> NoReturn:
        """Ends all requests of this client: with the first reason."""
        if not self._stopped.is_set():
            self._why = why
            self._stopped.set()
        model = self._settings.model
        raise StageError(f"the server {self._base} gives no answers of the model {model}: {self._why}") from None

    def _attempt(self, call: Call[T]) -> T:
        """One request and its result. Raises _AttemptError, and StageError."""
        if self._stopped.is_set():
            self._end(self._why)
        try:
            answer = self._run(self._exchange(call))
        except CancelledError:
            self._end(self._why)
        except aiohttp.ConnectionTimeoutError:
            raise _AttemptError(Fault.CONNECT, f"no connection in {CONNECT_S:g} s", refused=True) from None
        except TimeoutError:
            raise _AttemptError(Fault.TIMEOUT, f"no whole answer in {self._settings.seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._broken(error) from None
        try:
            return call.read(answer)
        except CaptionFaultError as error:
            raise _AttemptError(error.fault, self._safe(str(error))) from None  # all of it

    async def _exchange(self, call: Call[T]) -> Body:
        """The answer's body. Raises _AttemptError, StageError, TimeoutError, and what aiohttp does."""
        if self._stopped.is_set():
            raise asyncio.CancelledError
        url, kind = URL(self._base + call.path, encoded=True), {"Content-Type": call.kind}
        async with (
            asyncio.timeout(self._settings.seconds),
            self._session.post(url, data=call.body, headers=kind, allow_redirects=False) as response,
        ):
            good = response.status == 200
            most = self._settings.max_answer_bytes if good else _ERROR_BYTES
            data = bytearray()
            async for part in response.content.iter_any():
                data += part
                if len(data) > most:
                    break
            if not good:
                raise self._refused(response.status, response.headers.get("Retry-After"), bytes(data[:most]))
            if len(data) > most:
                raise _AttemptError(Fault.ENDLESS, f"an answer of more than {most} bytes")
            return Body(response.content_type, bytes(data))

    def _refused(self, status: int, wait: str | None, data: bytes) -> _AttemptError:
        """What a status says of this request, or of this moment. Raises StageError where it is said of all."""
        told = self._safe(f"HTTP status {status}: {error_message(data)}")
        if status in _LASTING:
            self._end(f"{_LASTING[status]} ({told})")
        if status < 400:
            self._end(f"it answers from elsewhere: correct url ({told})")
        if status == 403 and not self._answers:  # later ones may be what a filter says of a picture
            self._end(f"it refuses us: correct the API key, or url ({told})")
        asked_s = retry_after(wait, time.time())
        wait_s = None if asked_s is None else min(asked_s, MAX_RETRY_AFTER_S)
        if status == 429:
            return _AttemptError(Fault.RATE_LIMITED, told, wait_s=wait_s)
        if status >= 500:
            return _AttemptError(Fault.HTTP_5XX, told, wait_s=wait_s)
        return _AttemptError(Fault.HTTP_4XX, told, again=status in _AGAIN)

    def _broken(self, error: Exception) -> _AttemptError:
        words = self._safe(f"{type(error).__name__}: {error}")
        if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
            self._end(f"no secure connection: correct url, or the certificates that are trusted ({words})")
        if isinstance(error, aiohttp.ClientConnectorError):
            return _AttemptError(Fault.CONNECT, words, refused=True)
        if isinstance(error, aiohttp.ClientResponseError):  # what is no HTTP
            return _AttemptError(Fault.GARBAGE, words)
        return _AttemptError(Fault.CONNECT, words)

    def _safe(self, words: str) -> str:
        """Without the API key, which servers repeat, and then cut: a part of the key would not be found."""
        words = words.replace(self._key, "(the API key)") if self._key else words
        return " ".join(words.split())[:_TOLD_CHARS]


def checked_server(settings: ServerModel) -> tuple[str | None, str]:
    """(API key, base of addresses). Raises RecipeError where key_variable is not set, or url is none."""
    return _api_key(settings), _base_url(settings)


def _api_key(settings: ServerModel) -> str | None:
    name = settings.key_variable
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise RecipeError(f"the API key of {settings.url} is missing: set the environment variable {name}")
    if not (key.isascii() and key.isprintable()):
        raise RecipeError(f"what the environment variable {name} holds is no API key: it has more than ASCII in it")
    return key


def _base_url(settings: ServerModel) -> str:
    try:
        url = URL(settings.url)
    except ValueError:
        url = URL()
    if not url.host:
        raise RecipeError(f"captions.models: {settings.url!r:.200} is no URL: give the server's base")
    if url.user or url.password:
        raise RecipeError(f"captions.models: the URL of {url.host} holds a password: name it with key_variable instead")
    return str(url).rstrip("/")
