"""An HTTP server on loopback that misbehaves as told by the path, keeps a log, and says what a fetcher must report.

    with FaultyServer(["a.test", "b.test"]) as server:
        settings = FetchSettings(hosts=server.addresses, allowed_networks=["127.0.0.0/8"])
        url = server.url("a.test", "stall", "1.jpg")
        server.expected(url, settings)                    # Expected("failed", "timeout", 3)
        server.log                                        # what was asked for, when, and how much at once

A path is /KIND/NAME; kinds are those of curation.testing.faults.FAULTS.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import shake_128
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from curation.recipe.network import FetchSettings
from curation.testing.faults import FAULTS, Exchange, Expected

MAX_REQUEST_BYTES: Final = 64 << 10
_TLS: Final = b"\x16"

Bodies = Callable[[str, str], bytes]
"""Host and path -> the bytes that are served there."""


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request as the server saw it."""

    time_s: float
    """time.monotonic() of its last header byte."""
    host: str
    path: str
    concurrent: int
    """Requests of the host in progress at that moment, this one included."""
    headers: str


def made_up_body(host: str, path: str) -> bytes:
    """2,000 bytes that look like a JPEG's beginning and are different for each URL."""
    return b"\xff\xd8\xff\xe0" + shake_128(f"{host} {path}".encode()).digest(1996)


class FaultyServer:
    """A server in a thread of its own, as a context. Answers depend on host, path and how often they were asked for.

    hosts: names that are served, told apart by the Host header. bodies: what the good answers hold. spread: give each
    name an address of its own, 127.0.x.y (Linux), instead of 127.0.0.1 for all.
    """

    def __init__(self, hosts: Sequence[str], bodies: Bodies = made_up_body, *, spread: bool = False) -> None:
        self.addresses = {
            host: [f"127.0.{1 + place // 250}.{1 + place % 250}" if spread else "127.0.0.1"]
            for place, host in enumerate(hosts)
        }
        self.bodies = bodies
        self.log: list[LoggedRequest] = []
        self.port = 0
        self._asked: Counter[tuple[str, str]] = Counter()
        self._active: Counter[str] = Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="faulty-server", daemon=True)

    def url(self, host: str, kind: str, name: str) -> str:
        """The URL of something that behaves as `kind`. Raises KeyError for a kind that does not exist."""
        return f"http://{host}:{self.port}/{FAULTS[kind].name}/{name}"

    def expected(self, url: str, settings: FetchSettings) -> Expected:
        """What a fetcher with these settings must report of a URL that was never asked for.

        Holds where the host does not go down meanwhile (host_down_after, and max_retry_after_s of at least 1), where
        max_bytes is at least a good body and less than 32 MiB, and where read_timeout_s does not divide
        total_timeout_s (a multiple may or may not leave time for one attempt more) and is above 0.1.
        """
        return FAULTS[urlsplit(url).path.split("/")[1]].expected(settings)

    def requests_of(self, host: str) -> list[LoggedRequest]:
        """The log of one host, in order of time."""
        return [entry for entry in self.log if entry.host == host]

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        first, *others = sorted({address for found in self.addresses.values() for address in found})
        servers = [await asyncio.start_server(self._connection, first, 0, backlog=1024, limit=MAX_REQUEST_BYTES)]
        self.port = servers[0].sockets[0].getsockname()[1]
        for address in others:
            servers.append(await asyncio.start_server(self._connection, address, self.port, backlog=1024))
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._request(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # it went away, or the server is being closed
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; whether the connection goes on."""
        first = await reader.readexactly(1)
        if first == _TLS:  # it speaks no TLS, and says so in its own way
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        for _ in range(3):  # what else has arrived comes first, so that connections already closed are not counted
            await asyncio.sleep(0)
        path = head.split(" ", 2)[1]
        fields = {name.strip().lower(): value.strip() for name, _, value in map(_colon, head.split("\r\n")[1:])}
        host = fields.get("host", "").rpartition(":")[0]
        self._asked[host, path] += 1
        self._active[host] += 1
        self.log.append(LoggedRequest(time.monotonic(), host, path, self._active[host], head))
        exchange = Exchange(host, path, self.port, self._asked[host, path], self.bodies(host, path), reader, writer)
        fault = FAULTS.get(path.split("/")[1], FAULTS["missing"])
        try:
            await fault.answer(exchange)
        finally:
            self._active[host] -= 1
        await writer.drain()
        return not exchange.closing and "close" not in fields.get("connection", "")


def _colon(line: str) -> tuple[str, str, str]:
    return line.partition(":")
