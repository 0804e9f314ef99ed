"""How busy one process keeps a server of models: 64 slots, answers of 200 ms, a picture of 50 kB in each request.

The server is a process of its own. Ours asks as the stage does, with an answer journal; the peer is a pool of threads
over http.client with a connection per request, which retries nothing and limits nothing. What no client can be better
than is a server whose slots are never idle; the ratio to it is the share of the time in which they worked.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from bench.data import ROOT
from bench.harness import OURS, Cost, Row
from curation.captions.asking import Chat
from curation.captions.client import ServerClient
from curation.captions.journal import AnswerJournal
from curation.captions.models import Picture, Request
from curation.captions.server import ServerChat
from curation.recipe.captions import ServerModel
from curation.storage import Store
from curation.testing.caption_server import CaptionServer

SLOTS = 64
ANSWER_S = 0.2
REQUESTS = 30 * SLOTS
_PICTURES = [os.urandom(50_000) for _ in range(SLOTS)]
_MODEL = CaptionServer.model
PEER, BEST = "http.client, a connection per request", "slots that are never idle"

Asked = Callable[[int], object]


def _serve() -> None:
    """Says its port; then, for a line, how much of the time of its slots they worked."""
    with CaptionServer(slots=SLOTS, seconds=ANSWER_S) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.readline()
        sys.stdout.write(f"{server.busy_share()}\n")


def _cost(side: str, work: Callable[[int], float]) -> float:
    """Seconds of all requests against a new server; `work` is given its port."""
    command = [sys.executable, "-m", "bench.caption_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        if server.stdin is None or server.stdout is None:
            raise RuntimeError("a process without pipes")
        cpu = time.process_time()
        seconds = work(int(server.stdout.readline()))
        cpu = (time.process_time() - cpu) / REQUESTS
        server.stdin.write("\n")
        server.stdin.flush()
        busy = float(server.stdout.readline())
        ROW.notes[side] = f"{busy:.0%} of the time of slots and {cpu * 1000:.2f} ms of CPU per request"
    return seconds


def _ours(port: int) -> float:
    settings = ServerModel(backend="server", url=f"http://127.0.0.1:{port}/v1", model=_MODEL, slots=SLOTS)
    client = ServerClient(settings)
    with tempfile.TemporaryDirectory() as folder, AnswerJournal(Store(folder), "answers") as journal:
        chat = Chat(ServerChat(client), settings, journal)
        seconds = _seconds(lambda n: chat.ask(Request((f"Describe picture {n}.", Picture(_PICTURES[n % SLOTS])), 64)))
        client.close()
    return seconds


def _peer(port: int) -> float:
    def ask(number: int) -> str:
        picture = f"data:image/jpeg;base64,{b64encode(_PICTURES[number % SLOTS]).decode()}"
        content = [{"type": "text", "text": f"Describe picture {number}."},
                   {"type": "image_url", "image_url": {"url": picture}}]  # fmt: skip
        body = json.dumps({"model": _MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": content}]})
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        text: str = json.loads(connection.getresponse().read())["choices"][0]["message"]["content"]
        connection.close()
        return text

    return _seconds(ask)


def _seconds(ask: Asked) -> float:
    with ThreadPoolExecutor(SLOTS) as threads:
        begun = time.perf_counter()
        list(threads.map(ask, range(REQUESTS)))
        return time.perf_counter() - begun


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    yield {
        OURS: partial(_cost, OURS, _ours),
        PEER: partial(_cost, PEER, _peer),
        BEST: lambda: REQUESTS * ANSWER_S / SLOTS,
    }


ROW = Row(
    "caption-server",
    f"{REQUESTS} requests of 50 kB to a server of {ANSWER_S * 1000:.0f} ms answers and {SLOTS} slots, one process",
    "s",
    {PEER: 0.95, BEST: 0.9},
    _sides,
    rounds=3,
)

if __name__ == "__main__":
    _serve()
