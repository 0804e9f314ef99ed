"""One request, one answer: bounded in time and bytes, on a checked address, and every failure in a class.

Built on aiohttp: measured beside httpx and urllib3, at least as little processor time per image, and no threads. Every
request has a connection of its own: what a host sends beyond its Content-Length would otherwise be read as the answer
to the next request (seen), and a library that asks again when a kept connection was closed asks more than it is told.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from curation.crawl.http_messages import BodyTooLargeError, parse_response
from curation.media.addresses import AddressBook, CheckedResolver
from curation.media.outcomes import ErrorClass, FetchFaultError
from curation.media.robots_header import product_token, refused_directive
from curation.media.targets import BadUrlError, Target, parse_target, redirect_target
from curation.recipe.network import FetchSettings

HEADERS_KEPT: Final = (
    *("content-type", "content-length", "content-encoding", "content-disposition", "last-modified", "etag", "date"),
    *("retry-after", "location", "x-robots-tag", "tdm-reservation", "tdm-policy"),
)
MAX_HEADER_BYTES: Final = 64 << 10
"""Of one header; Content-Security-Policy alone is above aiohttp's default of 8190 bytes on real sites."""
MAX_HEADERS: Final = 256
MAX_KEPT_CHARS: Final = 1000

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WAITING = frozenset({429, 503})
_TRANSIENT_4XX = frozenset({408, 425})
_LASTING_5XX = frozenset({501, 505})
_CODING = re.compile(r"[a-z0-9-]{1,20}").fullmatch


@dataclass(slots=True)
class Answer:
    """What a host answered. Filled as it comes, so that a failed one still tells its status."""

    http_status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    location: Target | None = None
    """Where it redirects to; then there is no body."""


class Client:
    """Connections and addresses of one run. An asynchronous context; not for several event loops."""

    def __init__(self, settings: FetchSettings, book: AddressBook) -> None:
        self._settings = settings
        self._book = book
        self._agents = frozenset(map(str.lower, settings.agents)) | {product_token(settings.user_agent)}
        self._refuse = frozenset(map(str.lower, settings.refuse))
        self._mirror = None if settings.mirror is None else parse_target(f"http://{settings.mirror}/")

    async def __aenter__(self) -> Self:
        settings = self._settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=CheckedResolver(self._book),
                use_dns_cache=False,
                limit=0,  # the queues limit
                ssl=settings.verify_tls,
                force_close=True,
            ),
            middlewares=(_once,),
            headers={
                "User-Agent": settings.user_agent,
                "Accept": settings.accept,
                "Accept-Encoding": "identity",
                "Connection": "close",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, target: Target, answer: Answer, *, limit_s: float) -> None:
        """Asks for a target once, within limit_s seconds, and fills the answer: its body, or its location.

        With settings.mirror, that is asked for it. Raises FetchFaultError.
        """
        begun = time.monotonic()
        asked = self._mirror or target
        if asked.address is None:
            try:
                async with asyncio.timeout(limit_s):
                    await self._book.addresses(asked.host)
            except TimeoutError:
                raise FetchFaultError(ErrorClass.DNS, f"no addresses in {limit_s:g} s", transient=True) from None
        else:
            self._book.check(asked.address)
        try:
            await self._exchange(target, answer, max(limit_s - (time.monotonic() - begun), 0.001))
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise _fault(error, answer) from error

    async def _exchange(self, target: Target, answer: Answer, limit_s: float) -> None:
        settings = self._settings
        limits = aiohttp.ClientTimeout(limit_s, None, settings.read_timeout_s, settings.connect_timeout_s)
        url, headers = target.url, None
        if self._mirror is not None:
            _, _, place, path = target.url.split("/", 3)
            url, headers = self._mirror.url + path, {"Host": place}
        async with self._session.get(
            URL(url, encoded=True), headers=headers, allow_redirects=False, timeout=limits
        ) as response:
            answer.http_status = response.status
            answer.headers = kept_headers(response.headers)
            self._judge(target, response, answer)
            if answer.location is None:
                answer.body = await self._body(response)

    def _judge(self, target: Target, response: aiohttp.ClientResponse, answer: Answer) -> None:
        """Sets the location of a redirect. Raises FetchFaultError for all but those and 200."""
        status = response.status
        headers = {name: response.headers.getall(name) for name in ("X-Robots-Tag", "TDM-Reservation")
                   if name in response.headers}  # fmt: skip
        if headers and (directive := refused_directive(headers, self._refuse, self._agents)):
            raise FetchFaultError(ErrorClass.ROBOTS, directive, transient=False)
        if status in REDIRECTS and "Location" in response.headers:
            try:
                answer.location = redirect_target(target, response.headers["Location"])
            except BadUrlError as error:
                raise FetchFaultError(ErrorClass.BAD_URL, f"Location: {error}", transient=False) from None
        elif status != 200:
            raise status_fault(status, retry_after(response.headers.get("Retry-After"), time.time()))

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, decoded. Raises FetchFaultError."""
        most = self._settings.max_bytes
        if (response.content_length or 0) > most:
            raise _too_large(f"{response.content_length} bytes announced", most)
        parts, size = [], 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > most:
                raise _too_large("the body is larger", most)
            parts.append(part)
        body = _decoded(b"".join(parts), ",".join(response.headers.getall("Content-Encoding", [])), most)
        if not body:
            raise FetchFaultError(ErrorClass.BAD_RESPONSE, "an empty body", transient=False)
        return body


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keeps aiohttp from sending a request again when its connection breaks: what an attempt is, is ours to say."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _fault(error, Answer()) from error


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds from now (seconds since 1970) that a Retry-After header (seconds or a date) asks for; None: nothing."""
    value = (value or "").strip()[:64]
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        if key in HEADERS_KEPT:
            clean = value[:MAX_KEPT_CHARS].encode("utf-8", "replace").decode()
            kept[key] = f"{kept[key]}, {clean}"[:MAX_KEPT_CHARS] if key in kept else clean
    return kept


def _too_large(what: str, most: int) -> FetchFaultError:
    return FetchFaultError(ErrorClass.TOO_LARGE, f"{what}, more than {most} are not taken", transient=False)


def status_fault(status: int, wait_s: float | None) -> FetchFaultError:
    words = f"HTTP status {status}"
    if status == 429:
        return FetchFaultError(ErrorClass.TOO_MANY_REQUESTS, words, transient=True, retry_after_s=wait_s)
    if 400 <= status < 500:
        return FetchFaultError(ErrorClass.HTTP_4XX, words, transient=status in _TRANSIENT_4XX)
    if 500 <= status < 600:
        pause = wait_s if status in _WAITING else None
        return FetchFaultError(ErrorClass.HTTP_5XX, words, transient=status not in _LASTING_5XX, retry_after_s=pause)
    return FetchFaultError(ErrorClass.BAD_RESPONSE, words, transient=False)


def _decoded(body: bytes, codings: str, most: int) -> bytes:
    """The body without the content codings that a host uses although it was asked for none."""
    named = [coding for item in codings[:MAX_KEPT_CHARS].lower().split(",") if (coding := item.strip())]
    if all(coding == "identity" for coding in named):
        return body
    if not all(map(_CODING, named)):
        raise FetchFaultError(ErrorClass.BAD_RESPONSE, "a malformed Content-Encoding", transient=False)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {','.join(named)}\r\n\r\n".encode()
    try:
        message = parse_response(head + body, most)
    except BodyTooLargeError:
        raise _too_large("the decoded body is larger", most) from None
    if message.problem:
        raise FetchFaultError(ErrorClass.BAD_RESPONSE, message.problem, transient=False)
    return message.body


def _fault(error: aiohttp.ClientError | OSError, answer: Answer) -> FetchFaultError:
    """The class of what aiohttp raised, before (http_status is None) or in an answer's body."""
    words = f"{type(error).__name__}: {error}"
    began = answer.http_status is not None
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError | aiohttp.ClientConnectorCertificateError):
        return FetchFaultError(ErrorClass.TLS, words, transient=False)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return FetchFaultError(ErrorClass.CONNECT, words, transient=True)
    if isinstance(error, TimeoutError):
        return FetchFaultError(ErrorClass.TIMEOUT, words, transient=True)
    if isinstance(error, aiohttp.InvalidURL):
        return FetchFaultError(ErrorClass.BAD_URL, words, transient=False)
    if isinstance(error, aiohttp.ClientResponseError):  # what is no HTTP
        return FetchFaultError(ErrorClass.BAD_RESPONSE, words, transient=False)
    return FetchFaultError(ErrorClass.TRUNCATED if began else ErrorClass.CONNECT, words, transient=True)
