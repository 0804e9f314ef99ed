"""A web of pictures on loopback for tests of fetch: what is asked for, what comes back, and what must be told."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from curation.crawl.urls import media_id
from curation.media.images import ImageProcessor
from curation.pipeline import ALL_STAGES, stages_of
from curation.recipe import FetchSettings, ImageSettings, load_recipe
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.schemas import MEDIA
from curation.storage import Store
from curation.testing.faulty_server import FaultyServer

ENTRIES = ("dog", "cat", "house", "tree", "car", "flower", "river", "bridge")
QUICK = {
    "allowed_networks": ["127.0.0.0/8"],
    "read_timeout_s": 2.3,  # does not divide total_timeout_s: see FaultyServer.expected
    "connect_timeout_s": 5.0,
    "total_timeout_s": 7.5,
    "backoff_s": 0.05,
    "max_bytes": 8 << 20,
    "host_down_after": 10_000,  # every URL gets its own verdict
}
BAD = (
    *("slow", "stall", "silent", "drip", "reset", "truncated", "missing", "gone", "busy", "flaky", "error"),
    *("loop", "private", "metadata", "gzip_bomb", "robots", "robots_agent", "huge", "html", "close", "garbage"),
    *("wrong_type", "away", "chain", "gzip", "endless", "empty", "forbidden"),
)
"""Kinds of curation.testing.faults; with those of BODIES every way to fail that the ledger tells apart."""
BODIES = ("pixel_bomb", "cut_short", "page", "tiny")
SIDE = 32
LEAST = 24
"""Pixels: images are resized to SIDE, and refused below LEAST."""


@cache
def picture(number: int) -> bytes:
    """One of many small photographs, all different."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 255, (6, 8, 3), np.uint8)
    size = (64 + 16 * (number % 5), 48 + 16 * (number % 3))
    return cv2.imencode(".jpg", cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))[1].tobytes()


@cache
def real_pictures() -> tuple[bytes, ...]:
    """Photographs and odd files of the real data; none where it is not there."""
    default = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
    folder = Path(os.environ.get("CURATION_REAL_DATA", default)) / "media" / "images"
    return tuple(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()) if folder.is_dir() else ()


@cache
def _bomb() -> bytes:
    """A PNG whose header asks for 900 million pixels."""
    data = bytearray(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def body(host: str, path: str) -> bytes:
    """What lies behind a path, whatever the server then does with it."""
    name = path.partition("?")[0].rpartition("/")[2]
    number = int.from_bytes(hashlib.sha256(f"{host}{name}".encode()).digest()[:4], "big")
    kind = name.partition("-")[0]
    if kind == "pixel_bomb":
        return _bomb()
    if kind == "cut_short":
        return picture(number % 400)[:-200]
    if kind == "page":
        return b"<!doctype html><title>Sorry</title>"
    if kind == "tiny":
        return cv2.imencode(".png", np.full((1, 1, 3), 99, np.uint8))[1].tobytes()
    real = real_pictures()
    return real[number // 16 % len(real)] if real and number % 16 == 0 else picture(number % 400)


@dataclass(frozen=True)
class FetchWeb:
    """The server, a table of its URLs with captions, and a recipe over it."""

    server: FaultyServer
    urls: tuple[str, ...]
    recipe: Path

    def expected(self, url: str) -> dict[str, Any]:
        """The part of a ledger row that follows from what the server does."""
        row = FetchSettings.model_validate(QUICK)
        told = self.server.expected(url, row)
        found: dict[str, Any] = {"status": told.status, "error": told.error, "attempts": told.attempts}
        nothing = dict.fromkeys(("sha256", "fetched_bytes", "original_width", "original_height", "stored_sha256"))
        if told.status == "failed":
            return found | nothing
        data = self._served(url)
        image = ImageProcessor(settings())(data)
        if image.reason is not None:
            found |= {"status": "failed", "error": str(image.reason)}
        facts = {name: getattr(image, name) for name in nothing if name != "fetched_bytes"}
        return found | facts | {"fetched_bytes": len(data)}

    def _served(self, url: str) -> bytes:
        host, _, path = url.removeprefix("http://").partition("/")
        kind = path.split("/")[0]
        if kind in ("html", "wrong_type"):
            return b"<!doctype html><title>Not found</title><p>The image is gone.</p>"
        return body(host.partition(":")[0], f"/{path}")

    def requests(self) -> Counter[tuple[str, str]]:
        """How often each (host, path) was asked for."""
        return Counter((entry.host, entry.path) for entry in self.server.log)


def settings() -> ImageSettings:
    return ImageSettings(image_size=SIDE, min_image_size=LEAST)


def build_web(
    folder: Path, server: FaultyServer, *, count: int, bad_share: float, kinds: tuple[str, ...] = (*BAD, *BODIES),
    **sections: Any,
) -> FetchWeb:
    """A table of `count` URLs over all hosts of a server, so many of them of some `kinds`, and a recipe over it."""
    folder.mkdir(parents=True, exist_ok=True)
    hosts, every = list(server.addresses), round(1 / bad_share) if bad_share else 0
    urls = []
    for number in range(count):
        host = hosts[number % len(hosts)]
        kind = kinds[number // every % len(kinds)] if every and number % every == 0 else "ok"
        name = f"{kind}-{number}.jpg"
        urls.append(server.url(host, "ok" if kind in BODIES else kind, name))
    captions = [f"a {ENTRIES[number % len(ENTRIES)]} by the way, {number}" for number in range(count)]
    pq.write_table(pa.table({"url": urls, "caption": captions}), folder / "urls.parquet")
    (folder / "entries.txt").write_text("\n".join(ENTRIES))
    recipe = folder / "recipe.yaml"
    write_fetch_recipe(recipe, server, **sections)
    return FetchWeb(server, tuple(urls), recipe)


def write_fetch_recipe(path: Path, server: FaultyServer, **sections: Any) -> None:
    columns = {"media_url": "url", "texts": {"caption": "caption"}}
    network = {**QUICK, "hosts": server.addresses, **sections.pop("network", {})}
    image = {"image_size": SIDE, "min_image_size": LEAST}
    fetch = {"shard_media": 200, "image": image, "network": network, **sections.pop("fetch", {})}
    tree = {
        "name": "pictures",
        "inputs": [{"kind": "table", "paths": [str(path.parent / "urls.parquet")], "columns": columns}],
        "pairs": {"media_buckets": 4},
        "match": {"definition": "v1", "vocabularies": {"en": str(path.parent / "entries.txt")}, "fallback": "en"},
        "balance": {"t": 1_000_000},
        "fetch": fetch,
        **sections,
    }
    path.write_text(yaml.safe_dump(tree))


def ids(urls: tuple[str, ...]) -> dict[str, str]:
    """media_id -> URL."""
    return {media_id(url): url for url in urls}


def fetched(web: FetchWeb, work: Path, *overrides: str) -> StageOutcome:
    """The whole run up to fetch, in this process."""
    run = Run(Store.at(work), load_recipe(web.recipe, list(overrides)), ALL_STAGES, LocalEngine, Silent())
    with run.lease():
        for stage in stages_of(run.recipe):
            outcome = run.execute(stage)
            if stage.name == "fetch":
                return outcome
    raise AssertionError("there is no stage fetch")


def ledger(outcome: StageOutcome, work: Path) -> dict[str, dict[str, Any]]:
    """The rows of the ledger by media_id, each once."""
    rows = Store(str(work)).table(outcome.manifest.paths(MEDIA.name), MEDIA.schema).to_pylist()
    found = {row["media_id"]: row for row in rows}
    assert len(found) == len(rows)
    return found
