"""The web for threads: requests under the rules of curation.media.client, one at a time, read as they are needed.

What is connected to is an address that was checked, every redirect is looked at, and each read looks at the clock.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from curation.media.addresses import AddressBook
from curation.media.client import REDIRECTS, kept_headers, retry_after, status_fault
from curation.media.outcomes import ErrorClass, FetchFaultError
from curation.media.robots_header import product_token, refused_directive
from curation.media.targets import BadUrlError, Target, parse_target, redirect_target
from curation.media.video.calls import READ_BYTES, Call
from curation.media.video.turns import SLICE_S, Clock, Turns
from curation.recipe.network import FetchSettings

_GZIP_OR_ZLIB: Final = 47  # window bits: zlib's own way to say "either"


class Web:
    """Addresses, TLS and turns of one list of videos. A context; for any number of threads."""

    def __init__(self, settings: FetchSettings, may_follow: Callable[[str], bool]) -> None:
        self.settings = settings
        self.may_follow = may_follow
        self.turns = Turns(settings)
        self.agents = frozenset(map(str.lower, settings.agents)) | {product_token(settings.user_agent)}
        self.refuse = frozenset(map(str.lower, settings.refuse))
        self.mirror = None if settings.mirror is None else parse_target(f"http://{settings.mirror}/")
        self.tls = ssl.create_default_context()
        if not settings.verify_tls:
            self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self._book = AddressBook(settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="addresses", daemon=True)

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._book.close)
        self._loop.call_soon_threadsafe(self._loop.call_soon, self._loop.stop)  # one turn later: tasks end first
        self._thread.join(5.0)
        if not self._thread.is_alive():
            self._loop.close()

    def addresses(self, target: Target, clock: Clock) -> list[str]:
        """Where a host is, all allowed. Raises FetchFaultError."""
        if target.address is not None:
            self._book.check(target.address)
            return [str(target.address)]
        found = asyncio.run_coroutine_threadsafe(self._book.addresses(target.host), self._loop)
        try:
            while True:
                clock.check()
                try:
                    return found.result(SLICE_S)
                except TimeoutError:
                    continue
        finally:
            found.cancel()


class Answer:
    """An answer, whose body is read as it is asked for. Whoever opens it closes it; read to its end it closes itself.

    fault: what its status means where that is not success.
    """

    def __init__(self, target: Target, response: http.client.HTTPResponse, leave: Callable[[], None]) -> None:
        self.target, self.status, self.headers = target, response.status, response.headers
        self.fault: FetchFaultError | None = None
        self.on_end: Callable[[FetchFaultError | None], None] = _nothing
        """Called when the body has come to its end, or failed."""
        self._response, self._leave = response, leave
        self._most, self._size = READ_BYTES, 0
        self._over = False
        self._pushed = b""
        coding = (self.headers.get("Content-Encoding") or "identity").strip().lower()
        self.encoded = coding != "identity"
        self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB) if coding in ("gzip", "x-gzip", "deflate") else None
        if self.encoded and self._inflater is None:
            raise FetchFaultError(ErrorClass.BAD_RESPONSE, f"Content-Encoding {coding[:40]!r}", transient=False)

    @property
    def kept(self) -> dict[str, str]:
        """Headers as a ledger keeps them."""
        return kept_headers(self.headers)  # type: ignore[arg-type]  # all that it asks for is items()

    @property
    def length(self) -> int | None:
        """Bytes announced."""
        return self._response.length if not self._size else None

    def limit(self, most: int) -> None:
        """At most so many bytes are read. Raises FetchFaultError (TOO_LARGE) where more are announced."""
        self._most = most
        if (self.length or 0) > most:
            raise _too_large(f"{self.length} bytes announced", most)

    def head(self, size: int) -> bytes:
        """The first bytes, which stay to be read."""
        while len(self._pushed) < size and (data := self._next(size)):
            self._pushed += data
        return self._pushed

    def read(self, amount: int | None = None) -> bytes:
        """At most so many bytes, b"" at the end; None: all. Raises FetchFaultError."""
        if amount is None:
            return b"".join(iter(lambda: self.read(READ_BYTES), b""))
        if self._pushed:
            data, self._pushed = self._pushed[:amount], self._pushed[amount:]
            return data
        return self._next(amount)

    def close(self) -> None:
        """Gives the host's turn to others; idempotent."""
        self._over = True
        self._response.close()
        leave, self._leave = self._leave, _nothing
        leave()

    def _next(self, amount: int) -> bytes:
        try:
            data = self._decoded(amount)
        except FetchFaultError as fault:
            self.close()
            self.on_end(fault)
            raise
        self._size += len(data)
        if self._size > self._most:
            self.close()
            raise _too_large("the body is larger", self._most)
        return data

    def _decoded(self, amount: int) -> bytes:
        while not self._over:
            rest = self._inflater.unconsumed_tail if self._inflater else b""
            raw = rest or self._raw(amount)
            if not raw:
                if self._inflater is not None and not self._inflater.eof:
                    raise FetchFaultError(ErrorClass.TRUNCATED, "the encoded body is cut off", transient=True)
                self.close()
                self.on_end(None)
                break
            try:
                data = raw if self._inflater is None else self._inflater.decompress(raw, amount)
            except zlib.error as error:
                raise FetchFaultError(ErrorClass.BAD_RESPONSE, f"Content-Encoding: {error}", transient=False) from None
            if data:
                return data
        return b""

    def _raw(self, amount: int) -> bytes:
        try:
            data = self._response.read(amount)
        except (http.client.HTTPException, OSError) as error:
            raise _fault(error, began=True) from error
        if not data and self._response.length:
            words = f"{self._response.length} bytes fewer than announced"
            raise FetchFaultError(ErrorClass.TRUNCATED, words, transient=True)
        return data


class Visitor:
    """Asks for what one video needs. Counts what it asked; remembers the last failure and the address it came from."""

    def __init__(self, web: Web, clock: Clock) -> None:
        self.web, self.clock = web, clock
        self.asked = 0
        self.last: Answer | None = None
        """To the last request; None where it got none."""
        self.failed: tuple[str, FetchFaultError] | None = None
        """Address that was asked for, and what went wrong there."""

    def open(self, call: Call) -> Answer:
        """The answer, redirects followed, whatever its status. Raises FetchFaultError."""
        try:
            return self._followed(call)
        except FetchFaultError as fault:
            self.failed = (call.url, fault)
            raise

    def _followed(self, call: Call) -> Answer:
        try:
            target = parse_target(call.url)
        except BadUrlError as error:
            raise FetchFaultError(ErrorClass.BAD_URL, str(error), transient=False) from None
        first, trail = call.url, list[str]()
        while True:
            if not self.web.may_follow(target.url):
                raise FetchFaultError(ErrorClass.REFUSED, "it leads to what is refused", transient=False)
            answer = self._asked(target, call)
            location = answer.headers.get("Location")
            if answer.status not in REDIRECTS or location is None:
                answer.on_end = partial(self._ended, first, target)
                return answer
            answer.close()
            trail.append(target.url)
            try:
                target = redirect_target(target, location)
            except BadUrlError as error:
                raise FetchFaultError(ErrorClass.BAD_URL, f"Location: {error}", transient=False) from None
            if target.url in trail or len(trail) > self.web.settings.max_redirects:
                words = f"redirect {len(trail)} leads to {target.url}"
                raise FetchFaultError(ErrorClass.REDIRECT_LOOP, words, transient=False)
            call = _redirected(call, answer.status, trail[-1], target)

    def _asked(self, target: Target, call: Call) -> Answer:
        """One request. The host's turn ends with the answer."""
        turns = self.web.turns
        self.last = None
        self.clock.check()
        self.clock.ends += turns.enter(target.host, self.clock.check_run)
        try:
            answer = self.last = self._exchange(target, call)
            if answer.fault is not None:
                turns.note(target.host, answer.fault, self.web.settings.backoff_s)
            return answer
        except BaseException as error:
            turns.leave(target.host)
            if isinstance(error, FetchFaultError):
                turns.note(target.host, error)
            raise

    def _exchange(self, target: Target, call: Call) -> Answer:
        settings, web = self.web.settings, self.web
        self.asked += 1
        wire = _Wire(self._connected(target), self.clock, settings.read_timeout_s)
        response = http.client.HTTPResponse(wire, method=call.method)  # type: ignore[arg-type]
        try:
            try:
                wire.sock.settimeout(self.clock.left(settings.read_timeout_s))
                wire.sock.sendall(_head(target, call, settings) + (call.body or b""))
                response.begin()
            except (http.client.HTTPException, OSError) as error:
                raise _fault(error, began=False) from error
            if wire.ended:
                raise FetchFaultError(ErrorClass.CONNECT, "closed within the header", transient=True)
            names = ("X-Robots-Tag", "TDM-Reservation")
            headers = {name: values for name in names if (values := response.headers.get_all(name))}
            if headers and (directive := refused_directive(headers, web.refuse, web.agents)):
                raise FetchFaultError(ErrorClass.ROBOTS, directive, transient=False)
            answer = Answer(target, response, partial(self._left, wire.sock, target.host))
        except BaseException:
            response.close()
            wire.sock.close()
            raise
        redirects = response.status in REDIRECTS and "Location" in response.headers
        if response.status not in (200, 206) and not redirects:
            answer.fault = status_fault(
                response.status, retry_after(response.headers.get("Retry-After"), time.time())
            )
        return answer

    def _connected(self, target: Target) -> socket.socket:
        """A connection to the first of the host's addresses that takes one."""
        settings, asked = self.web.settings, self.web.mirror or target
        addresses, parts = self.web.addresses(asked, self.clock), urlsplit(asked.url)
        secure = parts.scheme == "https"
        error: OSError | None = None
        for address in addresses:
            self.clock.check()
            limit = self.clock.left(settings.connect_timeout_s)
            try:
                sock = socket.create_connection((address, parts.port or (443 if secure else 80)), limit)
                try:
                    return self.web.tls.wrap_socket(sock, server_hostname=asked.host) if secure else sock
                except BaseException:
                    sock.close()
                    raise
            except OSError as problem:
                error = problem
        raise _fault(error or OSError("no address"), began=False)

    def _left(self, sock: socket.socket, host: str) -> None:
        sock.close()
        self.web.turns.leave(host)

    def _ended(self, url: str, target: Target, fault: FetchFaultError | None) -> None:
        self.web.turns.note(target.host, fault)
        if fault is not None:
            self.failed = (url, fault)


class _Wire(io.RawIOBase):
    """What HTTPResponse reads from: bytes of a socket, with a look at the clock between two waits."""

    def __init__(self, sock: socket.socket, clock: Clock, read_timeout_s: float) -> None:
        self.sock, self.ended = sock, False
        self._clock, self._read_timeout_s = clock, read_timeout_s

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, READ_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        quiet_until = time.monotonic() + self._read_timeout_s
        while True:
            self._clock.check()
            left = quiet_until - time.monotonic()
            if left <= 0:
                words = f"no byte for {self._read_timeout_s:g} s"
                raise FetchFaultError(ErrorClass.TIMEOUT, words, transient=True)
            self.sock.settimeout(self._clock.left(min(left, SLICE_S)))
            try:
                size = self.sock.recv_into(buffer)
            except TimeoutError:
                continue
            self.ended = size == 0
            return size


def _head(target: Target, call: Call, settings: FetchSettings) -> bytes:
    """The request's header."""
    _, _, place, path = target.url.split("/", 3)
    own = {"Host": place, "User-Agent": settings.user_agent, "Accept-Encoding": "identity", "Connection": "close"}
    if call.body is not None:
        own["Content-Length"] = str(len(call.body))
    fields = {**{name.title(): value for name, value in call.headers.items()}, **own}
    lines = [f"{call.method} /{path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if not all(line.isprintable() for line in lines):
        raise FetchFaultError(ErrorClass.BAD_URL, "a control character in a header", transient=False)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def _redirected(call: Call, status: int, before: str, target: Target) -> Call:
    """The request that a redirect asks for (Fetch standard): POST becomes GET, credentials stay with their host."""
    becomes_get = call.method not in ("GET", "HEAD") and status in (301, 302, 303)
    dropped = {"content-type", "content-length"} if becomes_get else set()
    if parse_target(before).host != target.host:
        dropped.add("authorization")
    headers = {name: value for name, value in call.headers.items() if name.lower() not in dropped}
    if becomes_get:
        return Call(target.url, "GET", headers)
    return Call(target.url, call.method, headers, call.body)


def _too_large(what: str, most: int) -> FetchFaultError:
    return FetchFaultError(ErrorClass.TOO_LARGE, f"{what}, more than {most} are not taken", transient=False)


def _nothing(*_: object) -> None:
    """For answers of which nobody wants to know more."""


def _fault(error: http.client.HTTPException | OSError, *, began: bool) -> FetchFaultError:
    """The class of what a socket or http.client raised, before or in an answer's body."""
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, ssl.SSLError):
        return FetchFaultError(ErrorClass.TLS, words, transient=False)
    if isinstance(error, http.client.IncompleteRead):
        return FetchFaultError(ErrorClass.TRUNCATED, "the chunks are cut off", transient=True)
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return FetchFaultError(ErrorClass.BAD_RESPONSE, words, transient=False)
    return FetchFaultError(ErrorClass.TRUNCATED if began else ErrorClass.CONNECT, words, transient=True)
