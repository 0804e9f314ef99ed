"""An OpenAI-compatible server of a made-up model on loopback, with a fixed number of slots, that keeps a log.

    with CaptionServer(slots=8, seconds=0.2) as server:
        ServerModel(backend="server", url=server.url, model=server.model)
        server.log                     # what was asked for, how often, and what became of it
        server.busy_share()            # of the time of its slots

Answers are a function of the request, so that whoever asks twice gets the same. With faults it misbehaves now and then;
with upstream it is a proxy in front of another server, and all but the faults come from there.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b, shake_128
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

import aiohttp

from curation.testing.caption_faults import CaptionFaults, head, misbehave, said

MAX_REQUEST_BYTES: Final = 64 << 20
PICTURE_TOKENS: Final = 256
"""What a picture is counted as; a text is counted in words."""
_TLS: Final = b"\x16"
_ADJECTIVES = ("red", "wooden", "small", "bright", "old", "wet", "striped", "round")
_NOUNS = ("dog", "bicycle", "house", "river", "table", "bird", "train", "flower")
_PLACES = ("in a field", "by the sea", "on a street", "under a tree", "at night", "in the snow")


class Question(NamedTuple):
    """What a request asks."""

    texts: tuple[str, ...]
    pictures: tuple[str, ...]
    """URLs, as they came."""
    asked: Any
    """The request's JSON; of a transcription its fields, without the file."""


@dataclass(slots=True)
class Asked:
    """A request as the server saw it."""

    key: str
    """Digest of path and body: equal requests have equal ones."""
    attempt: int
    """How often this one was asked for, now included."""
    fault: str | None
    begun_s: float
    """time.monotonic() when a slot began with it."""
    answered: bool = False
    """Whether all of a good answer was given to the connection."""


def made_up(question: Question) -> str:
    """A sentence that depends on all that was asked, and on nothing else."""
    digest = shake_128(json.dumps(question.asked, sort_keys=True).encode()).digest(8)
    words = (_ADJECTIVES[digest[0] % 8], _NOUNS[digest[1] % 8], _PLACES[digest[2] % 6])
    return f"A {words[0]} {words[1]} {words[2]}, number {digest[3:].hex()}."


@dataclass(kw_only=True)
class CaptionServer:
    """A server in a thread of its own, as a context."""

    slots: int = 64
    """Requests that are worked on at a time; others wait."""
    seconds: float = 0.0
    """Each takes in a slot."""
    answer: Callable[[Question], str] = made_up
    faults: CaptionFaults = field(default_factory=CaptionFaults)
    key: str | None = None
    """The API key it wants."""
    stream: bool = False
    """Whether answers are event streams although nobody asked for them."""
    transcripts: Literal["verbose_json", "json"] = "verbose_json"
    """With times, or text alone, as some servers give."""
    upstream: str | None = None
    """Base URL of the server that this one stands before; then it has no model of its own."""
    model: str = "made-up"

    def __post_init__(self) -> None:
        self.log: list[Asked] = []
        self.most_in_flight = 0
        """Requests under way at once, those that waited for a slot included."""
        self.connections = 0
        """That were ever opened."""
        self.port = 0
        self._in_flight = 0
        self._busy_s, self._first_s, self._last_s = 0.0, 0.0, 0.0
        self._times: Counter[str] = Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="caption-server", daemon=True)

    @property
    def url(self) -> str:
        """The base that clients are given."""
        return f"http://127.0.0.1:{self.port}/v1"

    def busy_share(self) -> float:
        """Share of the time of all slots in which they worked, from the first request's begin to the last one's end."""
        return self._busy_s / max(self.slots * (self._last_s - self._first_s), 1e-9)

    def answered(self) -> Counter[str]:
        """How often each request was answered well, by its key."""
        return Counter(entry.key for entry in self.log if entry.answered)

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
        self._loop, self._stop, self._slots = asyncio.get_running_loop(), asyncio.Event(), asyncio.Semaphore(self.slots)
        async with aiohttp.ClientSession() as self._session:
            server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024, limit=1 << 18)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            server.close()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
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
        if first == _TLS:  # it speaks none, and says so in its own way
            writer.write(head("400 Bad Request", 0))
            return False
        begin = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = begin.split(" ", 2)
        fields = {name.strip().lower(): value.strip() for name, _, value in map(_colon, begin.split("\r\n")[1:])}
        size = int(fields.get("content-length", "0"))
        if size > MAX_REQUEST_BYTES or "transfer-encoding" in fields:
            writer.write(head("413 Content Too Large", 0))
            return False
        body = await reader.readexactly(size)
        if self.key is not None and fields.get("authorization") != f"Bearer {self.key}":
            told = json.dumps({"error": {"message": f"wrong key: {fields.get('authorization')}"}}).encode()
            writer.write(head("401 Unauthorized", len(told)) + told)
            return True
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            return await self._worked_on(f"{method} {path}", fields, body, (reader, writer))
        finally:
            self._in_flight -= 1

    async def _worked_on(
        self, line: str, fields: dict[str, str], body: bytes, ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> bool:
        kind = fields.get("content-type", "")
        question = _question(kind, body)
        key = blake2b(line.encode() + (b"" if "multipart" in kind else body) + repr(question).encode(),
                      digest_size=12).hexdigest()  # fmt: skip
        self._times[key] += 1
        fault = self.faults.of(key, self._times[key], question.asked)
        async with self._slots:
            entry = Asked(key, self._times[key], fault, time.monotonic())
            self.log.append(entry)
            self._first_s = self._first_s or entry.begun_s
            try:
                await asyncio.sleep(self.seconds)
                status, form, good = await self._reply(line, kind, body, question, fault)
                self._last_s = time.monotonic()
                self._busy_s += self._last_s - entry.begun_s
                if fault is None or said(fault) is not None:
                    entry.answered = True  # before whoever reads the answer can look
                    ends[1].write(head(status, len(good), kind=form) + good)
                    return "close" not in fields.get("connection", "").lower()
            except (OSError, aiohttp.ClientError) as error:  # upstream is gone
                ends[1].write(head("502 Bad Gateway", 0, f"X-Reason: {type(error).__name__}\r\n"))
                return True
        await misbehave(fault, good, *ends, self.faults.retry_after)
        return True

    async def _reply(
        self, line: str, kind: str, body: bytes, question: Question, fault: str | None
    ) -> tuple[str, str, bytes]:
        """Status, content type and body of a good answer."""
        method, path = line.split(" ")
        if self.upstream is not None:
            url = self.upstream.rstrip("/") + path.removeprefix("/v1")
            async with self._session.request(method, url, data=body, headers={"Content-Type": kind}) as response:
                return f"{response.status} {response.reason}", response.content_type, await response.read()
        if path.endswith("/models"):
            return "200 OK", "application/json", json.dumps({"data": [{"id": self.model}]}).encode()
        if question.asked.get("model") != self.model or not path.startswith("/v1/"):
            message = f"The model `{question.asked.get('model')}` does not exist."
            return "404 Not Found", "application/json", json.dumps({"error": {"message": message}}).encode()
        text = said(fault)
        text = self.answer(question) if text is None else text
        if path.endswith("/transcriptions"):
            return "200 OK", "application/json", json.dumps(self._transcript(text)).encode()
        return "200 OK", *self._completion(question, text)

    def _completion(self, question: Question, text: str) -> tuple[str, bytes]:
        most, words = question.asked.get("max_tokens", 1 << 20), text.split(" ")
        finish = "length" if len(words) > most else "stop"
        text = " ".join(words[:most]) if finish == "length" else text
        prompt = sum(len(each.split()) for each in question.texts) + PICTURE_TOKENS * len(question.pictures)
        usage = {"prompt_tokens": prompt, "completion_tokens": min(len(words), most)}
        if not (self.stream or question.asked.get("stream")):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
            return "application/json", json.dumps({"id": "x", "choices": [choice], "usage": usage}).encode()
        deltas: list[tuple[dict[str, str], str | None]] = [
            ({"role": "assistant"}, None), ({"content": text[:7]}, None), ({"content": text[7:]}, None), ({}, finish)
        ]  # fmt: skip
        events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in deltas]
        lines = [json.dumps(event) for event in (*events, {"choices": [], "usage": usage})]
        return "text/event-stream", "".join(f"data: {line}\n\n" for line in (*lines, "[DONE]")).encode()

    def _transcript(self, text: str) -> dict[str, Any]:
        if self.transcripts == "json":
            return {"text": text}
        words = text.split()
        halves = (" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :]))
        segments = [{"start": 1.5 * n, "end": 1.5 * n + 1.25, "text": f" {half}"} for n, half in enumerate(halves)]
        return {"text": text, "language": "english", "duration": 3.0, "segments": segments}


def _question(kind: str, body: bytes) -> Question:
    """What was asked; of no JSON at all an empty question."""
    if "multipart" in kind:
        fields, file = _parts(kind, body)
        return Question((), (), {**fields, "file": blake2b(file, digest_size=12).hexdigest()})
    try:
        asked = json.loads(body) if body else {}
    except ValueError:
        asked = {}
    contents = [message["content"] for message in asked.get("messages", [])]
    parts: list[dict[str, Any]] = []
    for each in contents:
        parts += [{"text": each}] if isinstance(each, str) else each
    texts = tuple(part["text"] for part in parts if "text" in part)
    return Question(texts, tuple(part["image_url"]["url"] for part in parts if "image_url" in part), asked)


def _parts(kind: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """Fields and file of a form."""
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    fields: dict[str, str] = {}
    file = b""
    for part in body.split(b"--" + boundary)[1:-1]:
        begin, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = begin.decode().partition('name="')[2].partition('"')[0]
        if b"filename=" in begin:
            file = value.removesuffix(b"\r\n")
        else:
            fields[name] = value.removesuffix(b"\r\n").decode()
    return fields, file


def _colon(line: str) -> tuple[str, str, str]:
    return line.partition(":")
