"""Ways in which a server of models answers badly, and which request is answered so: by a hash, or by what it asks."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

USUAL: Final[Mapping[str, float]] = {
    "http_500": 0.01, "garbage": 0.01, "endless": 0.01, "reset": 0.01, "rate_limited": 0.01
}  # fmt: skip
"""Shares of a bad day; see CaptionFaults.shares."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "garbage": ("html", "truncated", "wrong_types", "no_choices", "null_content", "not_utf8"),
    "endless": ("flood", "trickle"),
    "reset": ("reset_early", "reset_inside", "cut"),
}
"""Faults that stand for one of several, which a hash chooses."""

_STATUSES: Final = {
    "http_307": "307 Temporary Redirect",
    "http_400": "400 Bad Request",
    "http_401": "401 Unauthorized",
    "http_403": "403 Forbidden",
    "http_404": "404 Not Found",
    "http_500": "500 Internal Server Error",
    "http_503": "503 Service Unavailable",
    "rate_limited": "429 Too Many Requests",
}
_BODIES: Final = {
    "html": b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
    "wrong_types": b'{"choices": {"0": [1, "two"]}, "usage": "none"}',
    "no_choices": b'{"id": "x", "object": "chat.completion", "choices": []}',
    "null_content": b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": null}}]}',
    "not_utf8": b'{"choices": [{"message": {"content": "\xff\xfe\x80"}, "finish_reason": "stop"}]}',
}
_SAID: Final = {"refusal": "I'm sorry, but I can't assist with that request.", "empty": " \n",
                "repeating": "a dog and " * 200}  # fmt: skip
KINDS: Final = frozenset(
    [*_STATUSES, *_BODIES, *_SAID, "truncated", "flood", "trickle", "stall", "reset_early", "reset_inside", "cut"]
)
"""All faults. refusal, empty and repeating are answers in due form; stall says nothing until the client goes."""
_TRICKLE_S: Final = 0.02


@dataclass(frozen=True)
class CaptionFaults:
    """Which attempt at which request goes wrong, and how.

    shares: fault or group -> share of all attempts. lasting: what a request (its JSON) asks -> the fault of each
    attempt at it, or None. retry_after: the header's value beside status 429; None: there is none.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    lasting: Callable[[Any], str | None] | None = None
    seed: int = 0
    retry_after: str | None = "0"

    def __post_init__(self) -> None:
        if unknown := set(self.shares) - KINDS - set(GROUPS):
            raise ValueError(f"there is no fault {min(unknown)}: take of {', '.join(sorted({*KINDS, *GROUPS}))}")

    def of(self, key: str, attempt: int, asked: Any) -> str | None:
        """The fault of an attempt (from 1 on) at a request; None: it is answered well."""
        if self.lasting is not None and (fault := self.lasting(asked)) is not None:
            return self._one_of(fault, key, 0)
        place, reached = self._hash(key, attempt), 0.0
        for fault, share in self.shares.items():
            reached += share
            if place < reached:
                return self._one_of(fault, key, attempt)
        return None

    def _one_of(self, fault: str, key: str, attempt: int) -> str:
        members = GROUPS.get(fault, (fault,))
        return members[int(self._hash(f"{fault} {key}", attempt) * len(members))]

    def _hash(self, key: str, attempt: int) -> float:
        digest = blake2b(f"{self.seed} {attempt} {key}".encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big") / 2**56


def said(fault: str | None) -> str | None:
    """The words of a fault that is an answer in due form; None: it is none."""
    return _SAID.get(fault or "")


async def misbehave(
    fault: str, good: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, retry_after: str | None
) -> None:
    """Answers a request by a fault that is no answer in due form; `good` is the body that it would have had.

    The connection is of no use afterwards, but for those of a status or a body.
    """
    if fault in _STATUSES:
        told = json.dumps({"error": {"message": f"{fault} was asked for", "type": fault}}).encode()
        more = f"Retry-After: {retry_after}\r\n" if fault == "rate_limited" and retry_after is not None else ""
        more += "Location: /v1/elsewhere\r\n" if fault == "http_307" else ""
        writer.write(head(_STATUSES[fault], len(told), more) + told)
    elif fault in _BODIES:
        writer.write(head("200 OK", len(_BODIES[fault])) + _BODIES[fault])
    elif fault == "truncated":
        writer.write(head("200 OK", len(good) // 2) + good[: len(good) // 2])
    elif fault in ("flood", "trickle"):
        await _endless(fault, writer)
    elif fault == "stall":
        await _gone(reader)
    else:
        await _break_off(fault, good, writer)


def head(status: str, size: int, fields: str = "", kind: str = "application/json") -> bytes:
    """The begin of an HTTP answer. fields: further header lines, each with its line break."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{fields}\r\n".encode("latin-1")


async def _endless(fault: str, writer: asyncio.StreamWriter) -> None:
    begin = b'{"choices": [{"message": {"content": "'
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + begin)
    while not writer.is_closing():
        writer.write(b"a" if fault == "trickle" else b"and so on " * 6000)
        await writer.drain()
        await asyncio.sleep(_TRICKLE_S if fault == "trickle" else 0)


async def _gone(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass


async def _break_off(fault: str, good: bytes, writer: asyncio.StreamWriter) -> None:
    if fault != "reset_early":
        writer.write(head("200 OK", len(good)) + good[: len(good) // 2])
        await writer.drain()
    found = writer.get_extra_info("socket")
    if fault != "cut" and found is not None:  # closing with linger 0 sends a reset
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    writer.close()
