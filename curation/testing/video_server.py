"""A server on loopback that sends videos, playlists and pages well or badly, as told by the path, and keeps a log.

    with VideoServer(["a.test"], {"/film/index.m3u8": playlist(["0.ts", "1.ts"])}) as server:
        settings = FetchSettings(hosts=server.addresses, allowed_networks=["127.0.0.0/8"])
        server.url("a.test", "/film/index.m3u8")          # what was put there
        server.url("a.test", "/stall/1.mp4")              # behaves as KINDS["stall"]
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256, shake_128
from typing import Final

from curation.testing.faults import Exchange
from curation.testing.faulty_server import FaultyServer, LoggedRequest

DRIP_S: Final = 0.05
TLS: Final = b"\x16"
TYPES: Final = {
    "mp4": "video/mp4", "webm": "video/webm", "m3u8": "application/vnd.apple.mpegurl", "ts": "video/mp2t",
    "html": "text/html; charset=utf-8", "vtt": "text/vtt", "key": "application/octet-stream", "": "text/html",
}
PAGE_404: Final = b"<!doctype html><title>Not found</title><p>This video is gone.</p>"

_RANGE = re.compile(r"bytes=(\d+)-(\d*)").fullmatch


def made_up_video(host: str, path: str) -> bytes:
    """200,000 bytes that begin as an MP4 does and are different for each host and last part of a path."""
    name = f"{host} {path.rpartition('/')[2].partition('?')[0]}"
    return b"\0\0\0\x18ftypmp42" + shake_128(name.encode()).digest(199_988)


def playlist(segments: Sequence[str], *, end: bool = True, seconds: float = 1.0, more: str = "") -> bytes:
    """A playlist of segments, `seconds` each. more: lines before the first."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:10", *filter(None, [more])]
    lines += [line for segment in segments for line in (f"#EXTINF:{seconds},", segment)]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if end else []), ""]).encode()


def variants(playlists: Mapping[int, str]) -> bytes:
    """A playlist of playlists, by the height of their pictures."""
    lines = ["#EXTM3U"]
    for height, address in playlists.items():
        size = f"{height * 16 // 9}x{height}"
        lines += [f'#EXT-X-STREAM-INF:BANDWIDTH={height}000,RESOLUTION={size},CODECS="avc1.4d401f,mp4a.40.2"', address]
    return "\n".join([*lines, ""]).encode()


@dataclass(slots=True)
class _Asked(Exchange):
    fields: Mapping[str, str] | None = None

    @property
    def field(self) -> Callable[[str], str]:
        fields = self.fields or {}
        return lambda name: fields.get(name, "")

    def sized(self, status: str, body: bytes, more: str = "", *, length: int | None = None) -> None:
        """An answer. more: further header lines. length: a lie about the body."""
        ending = self.path.partition("?")[0].rpartition("/")[2].rpartition(".")[2]
        kind = TYPES[""] if self.body.startswith(b"<") else TYPES.get(ending, TYPES[""])
        size = len(body) if length is None else length
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{more}\r\n"
        self.writer.write(head.encode("latin-1") + body)

    def ranged(self, most: int | None = None, *, etag: str | None = None) -> None:
        """The body, or the part asked for, of which at most so many bytes come before the connection ends."""
        self.writer.write(self.part(most, etag))

    def part(self, most: int | None = None, etag: str | None = None) -> bytes:
        """Writes the header; the body that belongs to it."""
        tag = f'"{sha256(self.body).hexdigest()[:16]}"' if etag is None else etag
        found = _RANGE(self.field("range"))
        whole = found is None or self.field("if-range") not in ("", tag)
        start = 0 if whole or found is None else int(found[1])
        stop = int(found[2]) + 1 if found is not None and not whole and found[2] else len(self.body)
        if start >= len(self.body):
            self.sized("416 Range Not Satisfiable", b"", f"Content-Range: bytes */{len(self.body)}\r\n")
            return b""
        part = self.body[start:stop]
        more = f"ETag: {tag}\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
        more += "" if whole else f"Content-Range: bytes {start}-{stop - 1}/{len(self.body)}\r\n"
        sent = part if most is None else part[:most]
        self.closing |= len(sent) < len(part)
        self.sized("200 OK" if whole else "206 Partial Content", b"", more, length=len(part))
        return sent


Kind = Callable[[_Asked], Awaitable[None]]
KINDS: dict[str, Kind] = {}
"""Ways to answer, by the first part of the path."""


def _kind(answer: Kind) -> Kind:
    KINDS[answer.__name__.strip("_")] = answer
    return answer


def _sends(name: str, status: str, body: bytes | None = None, more: str = "") -> None:
    async def answer(asked: _Asked) -> None:
        asked.sized(status, asked.body if body is None else body, more)

    KINDS[name] = answer


_sends("norange", "200 OK", more='ETag: "1"\r\n')
_sends("unproven", "200 OK")
_sends("page404", "200 OK", PAGE_404, "Content-Type: text/html\r\n")
_sends("missing", "404 Not Found", PAGE_404)
_sends("gone", "410 Gone", b"")
_sends("forbidden", "403 Forbidden", PAGE_404)
_sends("error", "500 Internal Server Error", PAGE_404)
_sends("empty", "200 OK", b"")
_sends("robots", "200 OK", more="X-Robots-Tag: noai\r\n")
_sends("reserved", "200 OK", more="TDM-Reservation: 1\r\n")
_sends("unasked_part", "206 Partial Content", more="Content-Range: bytes 0-9/99\r\n")
_sends("private", "302 Found", b"", "Location: http://10.0.0.1/secret.mp4\r\n")


@_kind
async def _file(asked: _Asked) -> None:
    asked.ranged()


@_kind
async def _half(asked: _Asked) -> None:
    """Breaks off in the middle when it is asked for the first time."""
    asked.ranged(len(asked.body) // 2 if asked.times == 1 else None)


@_kind
async def _steps(asked: _Asked) -> None:
    """Breaks off after a third, always."""
    asked.ranged(len(asked.body) // 3)


@_kind
async def _changed(asked: _Asked) -> None:
    """Breaks off, and is another file when it is asked for again."""
    asked.ranged(len(asked.body) // 2 if asked.times == 1 else None, etag=f'"{asked.times}"')


@_kind
async def _liar(asked: _Asked) -> None:
    """Breaks off, and then sends another part than the one asked for, once."""
    if asked.times == 2:
        size = len(asked.body)
        asked.sized("206 Partial Content", asked.body[10:], f"Content-Range: bytes 10-{size - 1}/{size}\r\n")
    else:
        asked.ranged(len(asked.body) // 2 if asked.times == 1 else None)


@_kind
async def _short(asked: _Asked) -> None:
    """Breaks off, was half as long when it is asked to go on, and is whole after that."""
    if asked.times == 2:
        asked.body = asked.body[: len(asked.body) // 4]
    asked.ranged(len(asked.body) // 2 if asked.times == 1 else None, etag='"1"')


@_kind
async def _truncated(asked: _Asked) -> None:
    asked.closing = True
    asked.sized("200 OK", asked.body, length=2 * len(asked.body))


@_kind
async def _stall(asked: _Asked) -> None:
    asked.sized("200 OK", asked.body[: len(asked.body) // 2], length=len(asked.body))
    await asked.gone()


@_kind
async def _silent(asked: _Asked) -> None:
    await asked.gone()


@_kind
async def _trickle(asked: _Asked) -> None:
    """A byte now and then, for ever."""
    asked.sized("200 OK", b"", length=500_000)
    while not asked.reader.at_eof() and not asked.writer.is_closing():
        await asyncio.sleep(DRIP_S)
        asked.writer.write(b"x")
    asked.closing = True


@_kind
async def _trickling_header(asked: _Asked) -> None:
    asked.writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not asked.reader.at_eof() and not asked.writer.is_closing():
        await asyncio.sleep(DRIP_S)
        asked.writer.write(b"x")
    asked.closing = True


@_kind
async def _endless(asked: _Asked) -> None:
    asked.closing = True
    asked.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not asked.writer.is_closing():
        asked.writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        await asked.writer.drain()


@_kind
async def _huge(asked: _Asked) -> None:
    asked.closing = True
    asked.sized("200 OK", asked.body, length=99_999_999_999)


@_kind
async def _slow(asked: _Asked) -> None:
    asked.sized("200 OK", b"", length=len(asked.body))
    step = max(1, len(asked.body) // 4)
    for start in range(0, len(asked.body), step):
        await asyncio.sleep(DRIP_S)
        asked.writer.write(asked.body[start : start + step])


@_kind
async def _paced(asked: _Asked) -> None:
    """In ten steps, half a second in all, with ranges."""
    body = asked.part()
    step = max(1, len(asked.body) // 10)
    for start in range(0, len(body), step):
        await asyncio.sleep(DRIP_S)
        asked.writer.write(body[start : start + step])
        await asked.writer.drain()


@_kind
async def _busy(asked: _Asked) -> None:
    """429, and a second to wait, when it is asked for the first time."""
    if asked.times == 1:
        asked.sized("429 Too Many Requests", b"", "Retry-After: 1\r\n")
    else:
        asked.ranged()


@_kind
async def _flaky(asked: _Asked) -> None:
    if asked.times <= 2:
        asked.sized("503 Service Unavailable", b"")
    else:
        asked.ranged()


@_kind
async def _moved(asked: _Asked) -> None:
    """To the same host's /file/NAME, or what follows ?to=."""
    before, _, goal = asked.path.partition("?to=")
    goal = goal or f"/file/{before.rpartition('/')[2]}"
    asked.sized("302 Found", b"", f"Location: {goal}\r\n")


@_kind
async def _loop(asked: _Asked) -> None:
    again = "" if "?" in asked.path else "?again"
    asked.sized("302 Found", b"", f"Location: {asked.path.partition('?')[0]}{again}\r\n")


class VideoServer(FaultyServer):
    """files: path -> what is served there, to every host, with ranges. Other paths behave as their first part says."""

    def __init__(
        self,
        hosts: Sequence[str],
        files: Mapping[str, bytes] | None = None,
        bodies: Callable[[str, str], bytes] = made_up_video,
        *,
        spread: bool = False,
    ) -> None:
        super().__init__(hosts, bodies, spread=spread)
        self.files = dict(files or {})

    def url(self, host: str, path: str, name: str = "") -> str:
        """The address of a path."""
        return f"http://{host}:{self.port}{path}{name}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [entry.path for entry in self.log]

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = await reader.readexactly(1)
        if first == TLS:  # it speaks none, and says so in its own way
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = (line.partition(":") for line in head.split("\r\n")[1:])
        fields = {name.strip().lower(): value.strip() for name, _, value in lines}
        path, host = head.split(" ", 2)[1], fields.get("host", "").rpartition(":")[0]
        self._asked[host, path] += 1
        self._active[host] += 1
        self.log.append(LoggedRequest(time.monotonic(), host, path, self._active[host], head))
        plain = path.partition("?")[0]
        kind, body = KINDS.get(path.split("/")[1], KINDS["missing"]), b""
        if plain in self.files:
            kind, body = _file, self.files[plain]
        elif kind is not KINDS["missing"]:
            body = self.bodies(host, path)
        asked = _Asked(host, path, self.port, self._asked[host, path], body, reader, writer, False, fields)
        try:
            await kind(asked)
            await writer.drain()
        finally:
            self._active[host] -= 1
        return not asked.closing and "close" not in fields.get("connection", "")
