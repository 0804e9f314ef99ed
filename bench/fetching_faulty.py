"""What is obtained of a list in which every fourth URL misbehaves: the stage `fetch` beside img2dataset's Downloader.

Recoverable are the images that the server says a patient client gets. Each side works with its defaults, the peer with
retries=2 as ours tries thrice, against a server of its own that starts anew, in a process that is ended after LIMIT_S
seconds. Of a side that has not ended by then what it wrote so far is counted, although img2dataset would begin such a
shard from nothing. Left out are answers without end, which the peer reads until the machine has no memory left, and
redirects to private addresses, which it would follow to where nothing here may ask.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.data import ROOT
from bench.fetching import PEER, our_work, peers_work, photographs
from bench.harness import OURS, Cost, Row
from curation.recipe.network import FetchSettings
from curation.stages.fetch import ledger_rows
from curation.storage import Store
from curation.testing.faulty_server import FaultyServer

URLS = 1000
LIMIT_S = 120
_HOSTS = tuple(f"host{number}.test" for number in range(50))
_EVERY = 4
RECOVERABLE = ("slow", "busy", "flaky", "chain", "away", "detour", "gzip", "interim", "http_1_0", "robots_other")
LOST = (
    *("stall", "silent", "drip", "reset", "truncated", "error", "missing", "gone", "busy_always", "forbidden", "loop"),
    *("close", "half_header", "garbage", "empty", "robots", "html", "wrong_type", "cut"),
)
"""Kinds of curation.testing.faults. Of the last three the server sends whole answers that are no whole image."""
_NO_IMAGE = ("html", "wrong_type", "cut")
_KINDS = (*RECOVERABLE, *LOST)


def faulty_urls(server: FaultyServer) -> list[str]:
    """URLS URLs, of each host as many, every fourth of them of one of the kinds in turn."""
    urls = []
    for number in range(URLS):
        lap, place = divmod(number, len(_HOSTS))
        kind = _KINDS[number // _EVERY % len(_KINDS)] if (lap + place) % _EVERY == 0 else "ok"
        urls.append(server.url(_HOSTS[place], kind, f"{number}.jpg"))
    return urls


def recoverable_urls(server: FaultyServer, urls: list[str]) -> set[str]:
    """Those that an image can be had from."""
    settings = FetchSettings()
    images = (url for url in urls if url.split("/")[3] not in _NO_IMAGE)
    return {url for url in images if server.expected(url, settings).status == "ok"}


def _ours(urls: list[str], addresses: dict[str, list[str]], folder: str) -> None:
    report = our_work(urls, folder, hosts=addresses, allowed_networks=["127.0.0.0/8"])()
    for row in ledger_rows(report, Store.at(folder)).values():
        if row["status"] == "ok":
            _tell(row["media_url"])


def _peers(urls: list[str], addresses: dict[str, list[str]], folder: str) -> None:
    import socket

    lookup = socket.getaddrinfo

    def found(host: str, *arguments: Any, **named: Any) -> Any:
        return lookup(addresses[host][0], *arguments, **named)

    socket.getaddrinfo = found  # type: ignore[assignment]
    peers_work(urls, folder, retries=2, kept=_tell)()


def _tell(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


_SIDES = {OURS: _ours, PEER: _peers}


def _run(side: str, job: Path) -> None:
    """Says each URL whose image one side obtains."""
    told = json.loads(job.read_text())
    _SIDES[side](told["urls"], told["addresses"], str(job.parent))


def _obtained(side: str, server: FaultyServer, urls: list[str]) -> tuple[set[str], float | None]:
    """The URLs that one side says, and the seconds it took; None where it had not ended after LIMIT_S."""
    with tempfile.TemporaryDirectory() as folder:
        job, said = Path(folder, "job.json"), Path(folder, "said")
        job.write_text(json.dumps({"urls": urls, "addresses": server.addresses}))
        begun, seconds = time.perf_counter(), None
        command = [sys.executable, "-m", "bench.fetching_faulty", side, str(job)]
        with said.open("wb") as out, subprocess.Popen(command, cwd=ROOT, stdout=out) as process:
            try:
                if process.wait(LIMIT_S):
                    raise RuntimeError(f"{side} ended with {process.returncode}")
                seconds = time.perf_counter() - begun
            except subprocess.TimeoutExpired:
                process.kill()
        return set(said.read_text().splitlines()), seconds


def cost_of(side: str, bodies: list[bytes]) -> float:
    """Recoverable images per one that was obtained. Raises RuntimeError where ours misses one, or does not end."""

    def body(host: str, path: str) -> bytes:
        name = re.search(r"(\d+)\.jpg", path)
        return bodies[int(name[1]) % len(bodies)] if name else b""

    with FaultyServer(_HOSTS, body, spread=True) as server:
        urls = faulty_urls(server)
        recoverable = recoverable_urls(server, urls)
        obtained, seconds = _obtained(side, server, urls)
    share = len(obtained & recoverable) / len(recoverable)
    ended = f"not at its end after {LIMIT_S} s" if seconds is None else f"{seconds:.0f} s"
    ROW.notes[side] = f"{share:.1%} ({ended})"
    if side == OURS and (share < 1 or seconds is None):
        raise RuntimeError(f"{side}: {ROW.notes[side]}; missed: {sorted(recoverable - obtained)[:5]}")
    return 1 / share if share else float("inf")


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    import img2dataset  # type: ignore[import-untyped]  # noqa: F401 - left out where it is missing

    bodies = photographs()
    yield {side: partial(cost_of, side, bodies) for side in _SIDES}


ROW = Row(
    "fetch-faulty",
    f"recoverable images obtained of {URLS:,} URLs on {len(_HOSTS)} hosts, 25 % faulty",
    "recoverable images per one obtained",
    {PEER: 1},
    _sides,
    1,
)

if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]))
