"""Fetched, decoded, resized and stored images per second and core: the stage `fetch` beside img2dataset's Downloader.

Both read the same list from the same server on loopback, resize alike (border, 256 pixels, JPEG of quality 95) and
write WebDataset tars with SHA-256 and EXIF. Ours also makes perceptual hashes and keeps a journal for restarts. Each
side is a process of its own that says what the work cost without its start; the server's cost is nobody's.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from bench.data import ROOT, real_data
from bench.harness import OURS, Cost, Row, cpu_seconds

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # which img2dataset imports; it asks the network for news

if TYPE_CHECKING:
    from curation.runner.units import UnitReport

PEER = "img2dataset"
IMAGES = 1000
_HOSTS = 50
_BODIES = 120
_THREADS = 32
_LONGEST = 150_000  # bytes of a body
_HEADER = (
    "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\nConnection: close\r\n"
    'ETag: "63b0c1a2"\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nCache-Control: max-age=31536000\r\n\r\n'
)


def photographs() -> list[bytes]:
    """Cuttings of real photographs as JPEGs of 600 x 400 to 1200 x 900 pixels, 150 kB at most."""
    import cv2
    import numpy as np

    paths = real_data("media/images/mdn/*.jpg", "media/images/skimage/[hr]*.jpg")
    pictures = [np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR)) for path in paths]
    bodies = []
    for number in range(_BODIES):
        rng = np.random.default_rng(number)
        source = pictures[number % len(pictures)]
        height, width = (int(side * rng.uniform(0.6, 1)) for side in source.shape[:2])
        size = int(rng.integers(600, 1200)), int(rng.integers(400, 900))
        picture = cv2.resize(source[:height, :width], size, interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 4, (*picture.shape[:2], 1))  # as sensors have it; enlarged pictures have lost theirs
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
        for quality in range(95, 40, -5):
            body = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            if len(body) <= _LONGEST:
                break
        bodies.append(body)
    return bodies


class _Host(asyncio.Protocol):
    """Answers a request with the body of the number that its path ends in."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers, self._asked = answers, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked += data
        if b"\r\n\r\n" in self._asked and isinstance(self._transport, asyncio.WriteTransport):
            number = int(self._asked.split(b" ", 2)[1].rpartition(b"/")[2].partition(b".")[0])
            self._transport.write(self._answers[number % len(self._answers)])
            self._transport.close()


async def _serve() -> None:
    """Says its port, and serves until it is ended."""
    answers = [_HEADER.format(len(body)).encode() + body for body in photographs()]
    server = await asyncio.get_running_loop().create_server(lambda: _Host(answers), "0.0.0.0", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def clean_urls(port: str, count: int) -> list[str]:
    """URLs of a `serving` server, over 50 addresses."""
    return [f"http://127.0.0.{1 + number % _HOSTS}:{port}/{number}.jpg" for number in range(count)]


def our_work(urls: Sequence[str], folder: str, **network: Any) -> Callable[[], UnitReport]:
    """One unit of the stage `fetch`, without what a worker does once: imports, and loading its kernels, for which it
    decodes one picture. network: settings other than their defaults.
    """
    import cv2
    import numpy as np

    from curation.media.images import ImageProcessor
    from curation.recipe import Fetch as Section
    from curation.recipe.network import FetchSettings
    from curation.runner.stage import Task
    from curation.runner.units import Unit
    from curation.runner.work import UnitFailure, run_unit
    from curation.stages.fetch import Fetch
    from curation.stages.fetch_plan import LIST
    from curation.storage import Store

    picture = cv2.imencode(".jpg", np.zeros((900, 1200, 3), np.uint8))[1].tobytes()
    ImageProcessor(Section().image)(picture)
    store = Store.at(folder)
    rows = [
        {"media_id": hashlib.sha256(url.encode()).hexdigest(), "media_bucket": 0, "modality": "image", "media_url": url}
        for url in urls
    ]
    pq.write_table(pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["media_id"])), LIST), f"{folder}/list")
    settings = Section(network=FetchSettings(**network)).model_dump()
    task = Task(store, "bench", settings, {"kind": "bench", "refusals": None}, "bench")

    def work() -> UnitReport:
        result = run_unit(Fetch(), task, Unit("bench", {"list": "list", "round": 0}, "bench"))
        if isinstance(result, UnitFailure):
            raise RuntimeError(result.message)
        return result

    return work


def peers_work(
    urls: Sequence[str], folder: str, *, retries: int = 0, kept: Callable[[str], object] | None = None
) -> Callable[[], int]:
    """One shard of img2dataset's Downloader, without its start, which gives its successes. kept: told the URL of each
    image when it is written.
    """
    import json

    from img2dataset.downloader import Downloader  # type: ignore[import-untyped]
    from img2dataset.resizer import Resizer  # type: ignore[import-untyped]
    from img2dataset.writer import WebDatasetSampleWriter  # type: ignore[import-untyped]

    class Telling(WebDatasetSampleWriter):  # type: ignore[misc]
        def write(self, image: bytes | None, key: str, caption: str | None, meta: dict[str, Any]) -> None:
            super().write(image, key, caption, meta)
            if image is not None and kept is not None:
                kept(meta["url"])

    table = pa.table({"url": urls})
    with pa.OSFile(f"{folder}/list", "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    download = Downloader(
        WebDatasetSampleWriter if kept is None else Telling, Resizer(256, "border", False), _THREADS,
        save_caption=False, extract_exif=True, output_folder=folder, column_list=["url"], timeout=10,
        number_sample_per_shard=10_000, oom_shard_count=5, compute_hash="sha256", verify_hash_type=None,
        encode_format="jpg", retries=retries, user_agent_token=None,
        disallowed_header_directives=["noai", "noimageai", "noindex", "noimageindex"],
    )  # fmt: skip

    def work() -> int:
        download((0, f"{folder}/list"))
        return int(json.loads(Path(folder, "00000_stats.json").read_text())["successes"])

    return work


def clean_work(side: str, port: str, folder: str, count: int) -> Callable[[], int]:
    """A side's work on the clean list of a `serving` server, which gives how many images it obtained."""
    urls = clean_urls(port, count)
    if side == PEER:
        return peers_work(urls, folder)
    work = our_work(urls, folder, allow_private_addresses=True)
    return lambda: int(work().counts["ok"])


def _run(side: str, port: str) -> None:
    """Says what the work of one side costs in CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        work = clean_work(side, port, folder, IMAGES)
        obtained: list[int] = []
        cost = cpu_seconds(lambda: obtained.append(work()))()
        if obtained != [IMAGES]:
            raise RuntimeError(f"{side} obtained {obtained} of {IMAGES} images")
        sys.stdout.write(f"{cost}\n")


def _cost(side: str, port: str) -> float:
    command = [sys.executable, "-m", "bench.fetching", side, port]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


@contextmanager
def serving() -> Iterator[str]:
    """The port of a server of `photographs` in a process of its own. Raises where data or peer are missing."""
    import img2dataset  # type: ignore[import-untyped]  # noqa: F401 - left out where it is missing

    real_data("media/images/mdn/*.jpg")
    command = [sys.executable, "-m", "bench.fetching", "serve"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.terminate()


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    with serving() as port:
        yield {side: partial(_cost, side, port) for side in (OURS, PEER)}


ROW = Row(
    "fetch-images",
    f"{IMAGES} photographs of 50 to 150 kB from 50 hosts on loopback, to tars of 256 x 256",
    "CPU s",
    {PEER: 1.2},
    _sides,
)

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(_serve())
    else:
        _run(*sys.argv[1:])
