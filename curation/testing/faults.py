"""Ways in which a server answers badly, each with what a fetcher must make of it."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from curation.recipe.network import FetchSettings

BOMB_BYTES: Final = 32 << 20
CHAIN: Final = 3
"""Redirects of the kind chain."""
PRIVATE_URL: Final = "http://10.0.0.1/secret.jpg"
RETRY_AFTER_S: Final = 1
_DRIP_S: Final = 0.05
_BOMB = gzip.compress(bytes(BOMB_BYTES), 6)


@dataclass(frozen=True, slots=True)
class Expected:
    """The part of an outcome that a server can foretell."""

    status: Literal["ok", "failed"]
    error: str | None
    attempts: int


@dataclass(slots=True)
class Exchange:
    """A request and the connection that it came by."""

    host: str
    path: str
    port: int
    times: int
    """How often this path of this host was asked for, now included."""
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    closing: bool = False

    def send(self, status: str, body: bytes = b"", *, fields: str = "", length: int | None = None) -> None:
        """Writes an answer. fields: further header lines, each with its line break. length: a lie about the body."""
        size = len(body) if length is None else length
        head = f"HTTP/1.1 {status}\r\nContent-Type: image/jpeg\r\nContent-Length: {size}\r\n{fields}\r\n"
        self.writer.write(head.encode("latin-1") + body)

    async def gone(self) -> None:
        """Waits for the other side to close."""
        self.closing = True
        while await self.reader.read(1 << 16):
            pass


Answer = Callable[[Exchange], Awaitable[None]]
Expectation = Callable[[FetchSettings], Expected]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of behaviour."""

    name: str
    answer: Answer
    expected: Expectation


FAULTS: dict[str, Fault] = {}
"""By name; also the good ones."""


def _ok(settings: FetchSettings) -> Expected:
    return Expected("ok", None, 1)


def _once(error: str) -> Expectation:
    return lambda settings: Expected("failed", error, 1)


def _always(error: str) -> Expectation:
    return lambda settings: Expected("failed", error, settings.attempts)


def _held(settings: FetchSettings) -> Expected:
    """Each attempt ends after read_timeout_s, and the last when total_timeout_s is used up."""
    possible = ceil(settings.total_timeout_s / settings.read_timeout_s)
    return Expected("failed", "timeout", min(settings.attempts, possible))


def _recovers(failures: int, error: str) -> Expectation:
    def expected(settings: FetchSettings) -> Expected:
        if settings.attempts > failures:
            return Expected("ok", None, failures + 1)
        return Expected("failed", error, settings.attempts)

    return expected


def _redirects(count: int) -> Expectation:
    def expected(settings: FetchSettings) -> Expected:
        return _ok(settings) if count <= settings.max_redirects else Expected("failed", "redirect_loop", 1)

    return expected


def _kind(name: str, expected: Expectation) -> Callable[[Answer], Answer]:
    def register(answer: Answer) -> Answer:
        FAULTS[name] = Fault(name, answer, expected)
        return answer

    return register


def _sends(name: str, expected: Expectation, status: str, *, fields: str = "", body: bytes | None = None) -> None:
    """A kind that always answers the same; body None: the good one."""

    async def answer(exchange: Exchange) -> None:
        exchange.send(status, exchange.body if body is None else body, fields=fields)

    FAULTS[name] = Fault(name, answer, expected)


def _raw(name: str, expected: Expectation, head: bytes, *, with_body: bool = True) -> None:
    """A kind that writes these bytes, the good body, and closes."""

    async def answer(exchange: Exchange) -> None:
        exchange.closing = True
        exchange.writer.write(head + (exchange.body if with_body else b""))

    FAULTS[name] = Fault(name, answer, expected)


_HTML = b"<!doctype html><title>Not found</title><p>The image is gone.</p>"
_OK = "200 OK"
_sends("ok", _ok, _OK)
_sends("html", _ok, _OK, body=_HTML)  # as image/jpeg: for the decoder to find out
_sends("wrong_type", _ok, _OK, fields="Content-Type: text/html\r\n", body=_HTML)
_sends("robots_other", _ok, _OK, fields="X-Robots-Tag: otherbot: noai, noindex\r\n")
_sends("unknown_coding", _once("bad_response"), _OK, fields="Content-Encoding: snappy\r\n")
_sends("gzip_bomb", _once("too_large"), _OK, fields="Content-Encoding: gzip\r\n", body=_BOMB)
_sends("robots", _once("robots"), _OK, fields="X-Robots-Tag: noai, noimageai\r\n")
_sends("robots_agent", _once("robots"), _OK, fields="X-Robots-Tag: curation: noindex\r\n")
_sends("reserved", _once("robots"), _OK, fields="TDM-Reservation: 1\r\n")
_sends("empty", _once("bad_response"), _OK, body=b"")
_sends("partial", _once("bad_response"), "206 Partial Content", fields="Content-Range: bytes 0-9/99\r\n")
_sends("missing", _once("http_4xx"), "404 Not Found", body=_HTML)
_sends("gone", _once("http_4xx"), "410 Gone", body=b"")
_sends("forbidden", _once("http_4xx"), "403 Forbidden", body=_HTML)
_sends("slow_request", _always("http_4xx"), "408 Request Timeout", body=b"")
_sends("error", _always("http_5xx"), "500 Internal Server Error", body=_HTML)
_sends("unimplemented", _once("http_5xx"), "501 Not Implemented", body=b"")
_sends("busy_always", _always("too_many_requests"), "429 Too Many Requests", fields="Retry-After: 0\r\n", body=b"")
_sends("private", _once("refused_address"), "302 Found", fields=f"Location: {PRIVATE_URL}\r\n", body=b"")
_sends("private_octal", _once("refused_address"), "302 Found", fields="Location: //012.1/\r\n", body=b"")
_sends("metadata", _once("refused_address"), "302 Found", fields="Location: http://169.254.169.254/\r\n", body=b"")
_sends("no_scheme", _once("bad_url"), "302 Found", fields="Location: file:///etc/passwd\r\n", body=b"")
_sends("bad_location", _once("bad_url"), "302 Found", fields="Location: http://[::bad/\r\n", body=b"")
_sends("nowhere", _once("bad_response"), "302 Found", body=b"")
_sends("choices", _once("bad_response"), "300 Multiple Choices", body=_HTML)
_raw("http_1_0", _ok, b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n")
_raw("interim", _ok, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
_raw("no_content", _once("bad_response"), b"HTTP/1.1 204 No Content\r\n\r\n", with_body=False)
_raw("not_modified", _once("bad_response"), b"HTTP/1.1 304 Not Modified\r\n\r\n", with_body=False)
_raw("garbage", _once("bad_response"), b"\x00\x01hello\r\n\r\n")
_raw("long_header", _once("bad_response"), b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n")
_raw("many_headers", _once("bad_response"), b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n")
_raw("negative", _once("bad_response"), b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")
_raw("two_lengths", _once("bad_response"), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n")
_raw("huge", _once("too_large"), b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
_raw("close", _always("connect"), b"", with_body=False)
_raw("half_header", _always("connect"), b"HTTP/1.1 200 OK\r\nContent-Ty", with_body=False)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_raw("chunked", _ok, _CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", with_body=False)
_raw("chunked_cut", _always("truncated"), _CHUNKED + b"5\r\nhello\r\nfff\r\n")
_raw("chunked_broken", _once("bad_response"), _CHUNKED + b"5\r\nhello\r\nzz\r\nmore", with_body=False)


@_kind("gzip", _ok)
async def _gzipped(exchange: Exchange) -> None:
    exchange.send(_OK, gzip.compress(exchange.body), fields="Content-Encoding: gzip\r\n")


@_kind("cut", _ok)
async def _cut(exchange: Exchange) -> None:
    """Announces half of the body and sends all: what comes first looks whole, and only its decoder can tell."""
    exchange.closing = True
    half = len(exchange.body) // 2
    exchange.send(_OK, exchange.body[:half], length=half)
    await asyncio.sleep(_DRIP_S)
    exchange.writer.write(exchange.body[half:])


@_kind("truncated", _always("truncated"))
async def _truncated(exchange: Exchange) -> None:
    exchange.closing = True
    exchange.send(_OK, exchange.body, length=2 * len(exchange.body))


@_kind("busy", _recovers(1, "too_many_requests"))
async def _busy(exchange: Exchange) -> None:
    if exchange.times <= 1:
        exchange.send("429 Too Many Requests", fields=f"Retry-After: {RETRY_AFTER_S}\r\n")
    else:
        exchange.send(_OK, exchange.body)


@_kind("flaky", _recovers(2, "http_5xx"))
async def _flaky(exchange: Exchange) -> None:
    if exchange.times <= 2:
        exchange.send("503 Service Unavailable")
    else:
        exchange.send(_OK, exchange.body)


@_kind("slow", _ok)
async def _slow(exchange: Exchange) -> None:
    exchange.send(_OK, length=len(exchange.body))
    step = max(1, len(exchange.body) // 5)
    for start in range(0, len(exchange.body), step):
        await asyncio.sleep(_DRIP_S)
        exchange.writer.write(exchange.body[start : start + step])


@_kind("drip", _once("timeout"))
async def _drip(exchange: Exchange) -> None:
    """A byte now and then, for ever: only a limit on the whole ends it."""
    exchange.send(_OK, length=1 << 20)
    while not exchange.reader.at_eof() and not exchange.writer.is_closing():
        await asyncio.sleep(_DRIP_S)
        exchange.writer.write(b"x")
    exchange.closing = True


@_kind("stall", _held)
async def _stall(exchange: Exchange) -> None:
    exchange.send(_OK, exchange.body, length=len(exchange.body) + 1)
    await exchange.gone()


@_kind("silent", _held)
async def _silent(exchange: Exchange) -> None:
    await exchange.gone()


@_kind("reset", _always("truncated"))
async def _reset(exchange: Exchange) -> None:
    exchange.closing = True
    exchange.send(_OK, exchange.body, length=2 * len(exchange.body))
    await exchange.writer.drain()
    await asyncio.sleep(_DRIP_S)
    linger = struct.pack("ii", 1, 0)
    exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@_kind("endless", _once("too_large"))
async def _endless(exchange: Exchange) -> None:
    exchange.closing = True
    exchange.writer.write(_CHUNKED)
    while not exchange.writer.is_closing():
        exchange.writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        await exchange.writer.drain()


@_kind("chain", _redirects(CHAIN))
async def _chain(exchange: Exchange) -> None:
    parts = urlsplit(exchange.path)
    left = int(parse_qs(parts.query).get("left", [str(CHAIN)])[0])
    if left:
        exchange.send("301 Moved Permanently", fields=f"Location: {parts.path.rpartition('/')[2]}?left={left - 1}\r\n")
    else:
        exchange.send(_OK, exchange.body)


@_kind("loop", _once("redirect_loop"))
async def _loop(exchange: Exchange) -> None:
    other = "?again" if "?" not in exchange.path else ""
    exchange.send("302 Found", fields=f"Location: {exchange.path.partition('?')[0]}{other}\r\n")


@_kind("away", _redirects(1))
async def _away(exchange: Exchange) -> None:
    """Leads to the other host that the query names (?to=HOST), or to the same."""
    parts = urlsplit(exchange.path)
    host = parse_qs(parts.query).get("to", [exchange.host])[0]
    name = parts.path.rpartition("/")[2]
    exchange.send("307 Temporary Redirect", fields=f"Location: http://{host}:{exchange.port}/ok/{name}\r\n")


def _detours(settings: FetchSettings) -> Expected:
    return _recovers(2, "http_5xx")(settings) if settings.max_redirects else _redirects(1)(settings)


@_kind("detour", _detours)
async def _detour(exchange: Exchange) -> None:
    """Leads to what recovers: another attempt begins here again."""
    exchange.send("302 Found", fields=f"Location: /flaky/detour-{exchange.path.rpartition('/')[2]}\r\n")
