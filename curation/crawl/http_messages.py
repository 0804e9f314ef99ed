"""HTTP responses in WARC records: status, header fields, and the body without its transfer and content codings.

What the header says about codings is only a hint: Common Crawl stores decoded bodies, under the original header or with
it renamed to X-Crawler-*. So a coding is undone only where the body really is so encoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import brotli  # type: ignore[import-untyped]
from isal import isal_zlib

MAX_HEADER_BYTES = 256 << 10
"""Longest HTTP header that is read: what Chrome accepts."""
MAX_CODINGS = 5
"""Most codings on one body that are undone: curl's limit."""
MAX_CHUNKS = 1 << 20
"""Most chunks of a body that are joined: servers send kilobytes in each, and a million takes a second."""
FEED_BYTES = 16 << 10
"""Encoded bytes decoded at once."""

_STATUS = re.compile(rb"(?i)\s*+(?:(?:HTTP|ICY)(?:/[\d.]*+)?[ \t]++(\d{3})(?!\d)|HTTP/)").match
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*:").match
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n").match
_CODING_FIELDS = ("content-encoding", "x-crawler-content-encoding", "transfer-encoding", "x-crawler-transfer-encoding")
_GZIP_MAGIC = b"\x1f\x8b\x08"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\f\r\x1b")
_SURELY_TEXT_BYTES = 256  # so many compressed bytes hold none of the 27 controls once in 10**12 times
_TARGET = "warc-target-uri"
_InflateError: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub declares an instance


class BodyTooLargeError(ValueError):
    """A body is, or inflates to, more than max_body_bytes; the caller rejects its record (TOO_LARGE)."""


@dataclass(slots=True)  # not frozen: that makes creation three times as slow
class Message:
    """An HTTP response."""

    status: int
    """0 where the record does not say."""
    headers: dict[str, list[str]]
    """Values in order of each field, by its lower-case name; latin-1."""
    body: bytes
    """Without transfer and content codings."""
    problem: str | None
    """What was wrong with the message, in words; body then holds what could be read."""


def parse_response(block: bytes, max_body_bytes: int) -> Message:
    """The response in a WARC record's block, however odd.

    Raises BodyTooLargeError for a body above max_body_bytes, before more than that (and one FEED_BYTES step) is made.
    """
    line = _STATUS(block)
    if line is None and _FIELD(block) is None:
        return Message(0, {}, _bounded(block, max_body_bytes), "no HTTP header")
    begin = line.end() if line else 0
    stop, start, problem = _header_end(block, begin)
    headers = _fields(block[begin:stop], skip=1 if line else 0)
    body = _bounded(block[start:], max_body_bytes)
    if any(name in headers for name in _CODING_FIELDS):
        body, trouble = _decoded(body, headers, max_body_bytes)
        problem = problem or trouble
    status = int(line[1]) if line and line[1] else 0
    return Message(status, headers, body, problem or (None if status else "no status"))


def warc_headers(header: bytes) -> dict[str, str]:
    """Fields of a WARC record's header by lower-case name; the first where a name is repeated.

    The target URI comes without the angle brackets that some writers (Wget 1.19) put around it.
    """
    if b"\n " in header or b"\n\t" in header:
        header = _FOLD.sub(b" ", header)
    fields: dict[str, str] = {}
    for line in header.decode("utf-8", "replace").split("\n")[:0:-1]:  # backwards: the first of a name stays
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip(" \t").lower()] = value.strip(" \t\r")
    target = fields.get(_TARGET, "")
    if target[:1] == "<" and target[-1:] == ">":
        fields[_TARGET] = target[1:-1]
    return fields


def _bounded(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise BodyTooLargeError(f"the body has {len(body)} bytes, above {limit}")
    return body


def _header_end(block: bytes, begin: int) -> tuple[int, int, str | None]:
    """Where the header stops, where the body starts, and what is wrong there."""
    limit = begin + MAX_HEADER_BYTES
    stop = block.find(b"\n\r\n", begin, limit)
    start = stop + 3
    bare = block.find(b"\n\n", begin, limit if stop < 0 else stop)
    if bare >= 0:
        stop, start = bare, bare + 2
    missing = stop < 0
    if missing:
        stop = start = min(limit, len(block))
    markup = block.find(b"\n<", begin, stop)  # no header line begins so: the body does, without a blank line
    if markup >= 0:
        return markup, markup + 1, "no blank line after the header"
    return stop, start, "no blank line after the header" if missing else None


def _fields(head: bytes, skip: int) -> dict[str, list[str]]:
    if b"\n " in head or b"\n\t" in head:
        head = _FOLD.sub(b" ", head)
    headers: dict[str, list[str]] = {}
    for line in head.decode("latin-1").split("\n")[skip:]:
        name, colon, value = line.partition(":")
        if not colon:
            continue
        name = name.strip(" \t\r").lower()
        value = value.strip(" \t\r")
        if name in headers:
            headers[name].append(value)
        else:
            headers[name] = [value]
    return headers


# ------------------------------------------------------------------------------------------- codings


def _decoded(body: bytes, headers: dict[str, list[str]], limit: int) -> tuple[bytes, str | None]:
    """The body without the codings that its header names and that it really has, and what was wrong with them."""
    named = ",".join(value for field in _CODING_FIELDS for value in headers.get(field, ())).lower().split(",")
    codings = [coding for item in named if (coding := item.strip()) not in ("", "identity")]
    if len(codings) > MAX_CODINGS:
        return body, f"{len(codings)} codings, more than {MAX_CODINGS}"
    problem = None
    for coding in reversed(codings):  # they are named in the order in which they were applied
        if coding == "chunked":
            body, trouble = _dechunked(body)
        elif coding in _CODINGS:
            body, trouble = _CODINGS[coding](body, limit)
        else:
            trouble = None if _looks_like_text(body) else f"unknown coding {coding[:40]!r}"
        problem = problem or trouble
    return body, problem


def _dechunked(body: bytes) -> tuple[bytes, str | None]:
    """The chunks' data; the body itself where it does not begin with a chunk."""
    parts: list[bytes] = []
    position, size = 0, len(body)
    while len(parts) < MAX_CHUNKS and (chunk := _CHUNK(body, position)):
        length = int(chunk[1], 16)
        if not length:
            return b"".join(parts), None
        start = chunk.end()
        position = start + length
        if position < size and body[position] not in b"\r\n":
            if not parts:
                return body, None
            return b"".join([*parts, body[start:position]]), "a broken chunk"
        parts.append(body[start:position])
        position += 2 if body.startswith(b"\r\n", position) else 1
    return (b"".join(parts), "the chunks are cut off") if parts else (body, None)


class _Decoder(Protocol):
    finished: bool

    def feed(self, data: bytes, room: int) -> bytes:
        """Decodes data to little more than room bytes. Raises _BadStreamError."""


class _BadStreamError(ValueError):
    """The bytes do not decode."""


class _Deflate:
    """gzip (wbits 31), zlib (15) and bare deflate (-15). Like browsers, it ignores what follows the stream."""

    def __init__(self, wbits: int) -> None:
        self.finished = False
        self._stream = isal_zlib.decompressobj(wbits)

    def feed(self, data: bytes, room: int) -> bytes:
        try:
            decoded: bytes = self._stream.decompress(data, room)
        except _InflateError as error:
            raise _BadStreamError(str(error)) from None
        self.finished = self._stream.eof
        return decoded


class _Brotli:
    def __init__(self) -> None:
        self.finished = False
        self._stream = brotli.Decompressor()

    def feed(self, data: bytes, room: int) -> bytes:
        parts = []
        try:
            while True:
                part = self._stream.process(data, output_buffer_limit=room)
                parts.append(part)
                room -= len(part)
                if room <= 0 or self._stream.can_accept_more_data():
                    break
                data = b""
        except brotli.error as error:
            raise _BadStreamError(str(error)) from None
        self.finished = self._stream.is_finished()
        return b"".join(parts)


def _gunzipped(body: bytes, limit: int) -> tuple[bytes, str | None]:
    return _inflated(body, "gzip", lambda: _Deflate(31), limit) if body.startswith(_GZIP_MAGIC) else (body, None)


def _undeflated(body: bytes, limit: int) -> tuple[bytes, str | None]:
    """Deflate as the standard has it, with a zlib header, or as many servers do, without."""
    bare = len(body) < 2 or body[0] & 15 != 8 or (body[0] << 8 | body[1]) % 31 != 0
    return _inflated(body, "deflate", lambda: _Deflate(-15 if bare else 15), limit)


def _unbrotlied(body: bytes, limit: int) -> tuple[bytes, str | None]:
    return _inflated(body, "br", _Brotli, limit)


_CODINGS: dict[str, Callable[[bytes, int], tuple[bytes, str | None]]] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _undeflated,
    "br": _unbrotlied,
}


def _inflated(body: bytes, coding: str, decoder: Callable[[], _Decoder], limit: int) -> tuple[bytes, str | None]:
    """What the body decodes to; the body itself where it is text that was decoded before it was stored."""
    text = _looks_like_text(body)
    if not body or (text and len(body) >= _SURELY_TEXT_BYTES):
        return body, None
    decoded, broken_at, finished = _fed(body, decoder(), limit, len(body))
    if broken_at is not None:  # a decoder keeps what it made of the bytes before the bad one, so come closer to it
        decoded, _, finished = _fed(body, decoder(), limit, broken_at)
    if finished:
        return decoded, None
    if text:
        return body, None
    return decoded, f"the {coding} stream is {'cut off' if broken_at is None else 'broken'}"


def _fed(body: bytes, decoder: _Decoder, limit: int, bytewise_from: int) -> tuple[bytes, int | None, bool]:
    """Decoded bytes, the start of the piece that did not decode, and whether the stream came to its end."""
    parts: list[bytes] = []
    made = position = 0
    while position < len(body) and not decoder.finished:
        step = FEED_BYTES if position < bytewise_from else 1
        try:
            part = decoder.feed(body[position : position + step], limit - made + 1)
        except _BadStreamError:
            return b"".join(parts), position, False
        made += len(part)
        if made > limit:
            raise BodyTooLargeError(f"the body inflates to more than {limit} bytes")
        parts.append(part)
        position += step
    return b"".join(parts), None, decoder.finished


def _looks_like_text(body: bytes) -> bool:
    """Whether it begins with text rather than compressed bytes: with UTF-16's mark, or without control characters."""
    sample = body[:1024]
    return sample[:2] in _UTF16_BOMS or len(sample.translate(None, _CONTROLS)) == len(sample)
