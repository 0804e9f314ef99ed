"""Real bytes for made-up manifests: small JPEGs and clips in tars, laid out as the stages lay them out."""

from __future__ import annotations

import hashlib
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from curation.media.shards import Sample, write_shard
from curation.schemas import MANIFEST
from curation.storage import Store
from curation.testing.videos import Shot, Style, write_video

SIDE = 48
"""Pixels of an image."""
CLIP_SIZE = (64, 48)
CLIP_MS, CLIP_FPS = 1000, 24

_CLIPS = 12  # different ones


def with_real_bytes(store: Store, bucket: str, rows: pa.Table, seed: int = 0) -> pa.Table:
    """The rows of one bucket, whose bytes now lie in two tars of the work folder, one of images and one of clips."""
    table = rows.to_pylist()
    data = {row["sample_id"]: _data(row, seed) for row in table}
    places: dict[str, tuple[str, int, int]] = {}
    for kind, modality in (("media", "image"), ("clips", "video")):
        own = [row for row in table if row["modality"] == modality]
        if not own:
            continue
        path = f"{kind}/tars/{bucket}-made-up-{seed}.tar"
        with store.whole(path) as file:
            samples = (Sample(row["sample_id"], {row["extension"]: data[row["sample_id"]]}) for row in own)
            places |= {each.key: (path, each.offset, each.size_bytes) for each in write_shard(file, samples)}
    for row in table:
        row["path"], row["offset"], row["size_bytes"] = places[row["sample_id"]]
        row["sha256"] = hashlib.sha256(data[row["sample_id"]]).hexdigest()
        row["width"], row["height"] = (SIDE, SIDE) if row["modality"] == "image" else CLIP_SIZE
        if row["modality"] == "video":
            row |= {"duration_ms": CLIP_MS, "fps": float(CLIP_FPS), "has_audio": True}
    return pa.Table.from_pylist(table, schema=MANIFEST.schema)


def _data(row: dict[str, Any], seed: int) -> bytes:
    entry = row["entry_ids"][0] if row["entry_ids"] else 0
    if row["modality"] == "video":
        return _clip(entry % _CLIPS)
    return _picture(entry, int(row["media_id"][:8], 16) ^ seed)


def _picture(entry: int, noise: int) -> bytes:
    """A JPEG of 6 x 6 patches in the entry's colours, with noise of its own."""
    colours = np.random.default_rng(entry).integers(0, 256, (6, 6, 3))
    noisy = colours + np.random.default_rng(noise).integers(-40, 41, (6, 6, 3))
    pixels = cv2.resize(noisy.clip(0, 255).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


@lru_cache(_CLIPS)
def _clip(number: int) -> bytes:
    with tempfile.TemporaryDirectory(prefix="curation-clip-") as folder:
        shot = Shot(CLIP_MS * CLIP_FPS // 1000, "dog", f"made up {number}")
        style = Style(size=CLIP_SIZE, counter=False)
        return write_video(Path(folder) / "clip.mp4", [shot], style).path.read_bytes()
