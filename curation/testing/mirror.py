"""Serves images and videos of a generated web from one loopback port, whatever their host, with the web's usual losses.

    with Mirror() as mirror:
        settings = FetchSettings(mirror=mirror.address, allowed_networks=["127.0.0.0/8"])
        expected(url, settings)                           # Expected("failed", "http_4xx", 1)

What is lost is decided by host and path alone: every run meets the same losses.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from curation.media.targets import BadUrlError, parse_target
from curation.recipe.network import FetchSettings
from curation.testing.faults import Expected
from curation.testing.films import PAGE, answer, content_type
from curation.testing.hosts import CDN
from curation.testing.pictures import MIMES, draw, extension

SLOW_HOST: Final = "img.oldpostcards.example"
SLOW_S: Final = 0.25
"""Seconds that each answer of the slow host takes."""
BUSY_HOST: Final = "img.museum.example"
"""A host that answers one URL in six only when asked for the second time, and wants a second to pass."""

# What becomes of how many URLs in a thousand; shares as link rot has them, about 12% altogether.
_LOSSES = (("missing", 60), ("gone", 10), ("moved", 20), ("page", 15), ("robots", 10), ("cut", 10))
_MOVED = "/moved/"
_PAGE = b"<!doctype html><title>Not found</title><p>This picture is no longer here.</p>"


def loss_of(url: str) -> str | None:
    """What is wrong with a URL, the same for all its queries; None: nothing. Raises BadUrlError.

    missing: 404. gone: 410. moved: redirected to where the same picture is. page: HTML with status 200, for the decoder
    to find out. robots: X-Robots-Tag: noai. cut: the body ends before its time. busy: 503 at first, then fine.
    """
    target = parse_target(url)
    path = urlsplit(target.url).path
    if extension(target.url) is None and content_type(target.url) is None:
        return "missing"
    if path.rpartition(".")[2] in ("m3u8", "ts", "vtt"):
        return None  # what is lost is lost as a whole: a player's page
    if path.startswith(_MOVED):
        return None
    roll = int.from_bytes(blake2b(f"{target.host}{path}".encode(), digest_size=4).digest(), "big")
    place = roll % 1000
    for loss, share in _LOSSES:
        if place < share:
            return None if loss == "moved" and content_type(target.url) == PAGE else loss  # whose links are relative
        place -= share
    return "busy" if target.host == BUSY_HOST and roll // 1000 % 6 == 0 else None


def expected(url: str, settings: FetchSettings) -> Expected:
    """What fetch_all must report of a URL that was never asked for, with redirects and directives as by default.

    Holds where its host does not go down meanwhile. A "page" is ok: fetching looks into no body.
    """
    loss = loss_of(url)
    if loss in ("missing", "gone"):
        return Expected("failed", "http_4xx", 1)
    if loss == "robots":
        return Expected("failed", "robots", 1)
    if loss == "cut":
        return Expected("failed", "truncated", settings.attempts)
    if loss == "busy":
        return Expected("ok", None, 2) if settings.attempts > 1 else Expected("failed", "http_5xx", 1)
    return Expected("ok", None, 1)


class Mirror:
    """The server, in threads of its own, as a context. asked counts the requests by URL (https, as canonical)."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.mirror = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="mirror", daemon=True)

    @property
    def address(self) -> str:
        """Of the server, as host:port."""
        return f"127.0.0.1:{self._server.server_port}"

    def note(self, url: str) -> int:
        """Counts a request; how often the URL was asked for, now included."""
        with self._lock:
            self.asked[url] += 1
            return self.asked[url]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024
    mirror: Mirror

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing where the other side went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5.0
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Answers as loss_of says."""
        try:
            target = parse_target(f"https://{self.headers.get('Host', '')}{self.path}")
        except BadUrlError as error:
            self._send(400, str(error).encode("ascii", "replace"), "text/plain")
            return
        times = self.server.mirror.note(target.url)
        if target.host == SLOW_HOST:
            time.sleep(SLOW_S)
        loss = loss_of(target.url)
        if loss == "busy" and times == 1:
            self._send(503, b"", "text/plain", ("Retry-After", "1"))
        elif loss in ("missing", "gone"):
            self._send(404 if loss == "missing" else 410, _PAGE, "text/html")
        elif loss == "page":
            self._send(200, _PAGE, "text/html; charset=utf-8")
        elif loss == "moved":
            place = f"https://{CDN}{_MOVED}{target.host}/{target.url.split('/', 3)[3]}"
            self._send(301, b"", "text/plain", ("Location", place))
        else:
            before, moved, rest = target.url.partition(_MOVED)
            url = f"https://{rest}" if moved else before
            mime = content_type(url) or MIMES[extension(url) or "jpg"]
            body = answer(url) if content_type(url) else draw(url)
            if body is None:
                self._send(404, _PAGE, "text/html")
                return
            more = ("X-Robots-Tag", "noai") if loss == "robots" else None
            self._send(200, body, mime, more, cut=loss == "cut")

    def do_POST(self) -> None:
        """What sites' own programs ask of them: there are none."""
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 1 << 20))
        self._send(404, _PAGE, "text/html")

    def _send(
        self, status: int, body: bytes, mime: str, more: tuple[str, str] | None = None, *, cut: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", mime), ("Content-Length", str(len(body))), *([more] if more else [])):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection |= cut

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what a fetcher saw is in its ledger."""
