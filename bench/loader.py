"""Samples per second and core of the training side: curation.training beside webdataset, on the same shards.

Both shuffle among 1000 samples, read picture, text and JSON of each, and give its text and one column. raw: the stored
bytes. decoded: RGB of 8 bits. batches: tensors of 64 pictures each out of two worker processes of torch.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.fetching import photographs
from bench.harness import OURS, Cost, Row, cpu_seconds

PEER = "webdataset"
PHOTOS, SMALL = 1200, 6000
_SHUFFLE = 1000
_BATCH = 64
_SIDE = 256
_TARS = 4

Work = Callable[[str], int]
"""Reads the shards of a folder, and gives how many samples it saw."""


def _small(photos: Sequence[bytes]) -> list[bytes]:
    import cv2
    import numpy as np

    pixels = (cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR) for photo in photos)
    scaled = (cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for picture in pixels)
    return [cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes() for picture in scaled]


@contextmanager
def _shards(count: int, *, small: bool) -> Iterator[str]:
    """A folder of tars as the stage `shards` lays them out, KEY.json of some 1.5 kB included."""
    from curation.export.webdataset import SIZES, as_sample
    from curation.media.shards import write_shard

    pictures = _small(photographs()) if small else photographs()
    told = {f"column_{number:02d}": "value" * 10 for number in range(20)} | {"licence": "CC-BY-4.0"}
    with tempfile.TemporaryDirectory() as folder:
        sizes = {}
        for tar in range(_TARS):
            numbers = range(count * tar // _TARS, count * (tar + 1) // _TARS)
            samples = (
                as_sample(f"{number:024x}", [("jpg", pictures[number % len(pictures)])], f"photograph {number}",
                          json.dumps(told | {"text": f"photograph {number}"}).encode())
                for number in numbers
            )  # fmt: skip
            with Path(folder, f"{tar:05d}.tar").open("wb") as file:
                write_shard(file, samples)
            sizes[f"{tar:05d}.tar"] = len(numbers)
        Path(folder, SIZES).write_text(json.dumps(sizes))
        yield folder


def _ours(folder: str, picture: str) -> int:
    from curation.training.reading import Reading
    from curation.training.shard_sets import shard_set
    from curation.training.sources import TarSource
    from curation.training.stream import Share, Stream

    reading = Reading(shuffle=_SHUFFLE, picture=picture, columns=("licence",))  # type: ignore[arg-type]
    stream = Stream(TarSource(shard_set(folder, "train")), reading)
    return sum(1 for _ in stream.samples(Share(0), stream.source.sizes, Counter()))


def _theirs(folder: str, decode: str | None) -> int:
    import webdataset

    data = webdataset.WebDataset(f"{folder}/{{00000..{_TARS - 1:05d}}}.tar", shardshuffle=False).shuffle(_SHUFFLE)
    seen = 0
    for sample in data if decode is None else data.decode(decode):
        _ = sample["jpg"], sample["txt"], sample["json"]
        seen += 1
    return seen


def _our_batches(folder: str) -> int:
    from curation.training import Loader, Reading, ShardDataset

    reading = Reading(shuffle=_SHUFFLE, columns=("licence",))
    return sum(len(batch["image"]) for batch in Loader(ShardDataset(folder, reading=reading), _BATCH, 2))


def _their_batches(folder: str) -> int:
    import webdataset

    data = webdataset.WebDataset(f"{folder}/{{00000..{_TARS - 1:05d}}}.tar", shardshuffle=False).shuffle(_SHUFFLE)
    batches = data.decode("torchrgb8").map(_kept).batched(_BATCH, collation_fn=_stacked)
    return sum(len(batch["image"]) for batch in webdataset.WebLoader(batches, num_workers=2, batch_size=None))


def _kept(sample: dict[str, Any]) -> dict[str, Any]:
    row = sample["json"]
    return {"key": sample["__key__"], "image": sample["jpg"], "text": sample["txt"], "licence": row["licence"]}


def _stacked(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {name: [sample[name] for sample in samples] for name in samples[0]}
    return found | {"image": torch.stack(found["image"])}


@contextmanager
def _sides(name: str, works: dict[str, Work], count: int, *, small: bool) -> Iterator[dict[str, Cost]]:
    import webdataset  # noqa: F401 - left out where it is missing

    if name == "loader-batches":
        import torch  # noqa: F401 - the same
    with _shards(count, small=small) as folder:
        yield {side: _timed(name, side, partial(work, folder), count) for side, work in works.items()}


def _timed(name: str, side: str, work: Callable[[], int], count: int) -> Cost:
    def told() -> None:
        if (seen := work()) != count:
            raise RuntimeError(f"{side} saw {seen} of {count} samples")

    cost = cpu_seconds(told)

    def noted() -> float:
        seconds = cost()
        NOTES[name][side] = f"{count / seconds:,.0f} samples/s and core"
        return seconds

    return noted


def _row(name: str, about: str, works: dict[str, Work], *, small: bool) -> Row:
    count = SMALL if small else PHOTOS
    row = Row(name, about, "CPU s", {PEER: 1}, partial(_sides, name, works, count, small=small))
    NOTES[name] = row.notes
    return row


NOTES: dict[str, dict[str, str]] = {}
_RAW = {OURS: partial(_ours, picture="bytes"), PEER: partial(_theirs, decode=None)}
_DECODED = {OURS: partial(_ours, picture="array"), PEER: partial(_theirs, decode="rgb8")}
_BATCHES = {OURS: _our_batches, PEER: _their_batches}
_PHOTOS, _SMALL = f"{PHOTOS} photographs of 50 to 150 kB", f"{SMALL} pictures of {_SIDE} x {_SIDE}"

ROWS = (
    _row("loader-raw-photos", f"{_PHOTOS} read from shards, as bytes", _RAW, small=False),
    _row("loader-raw-small", f"{_SMALL} read from shards, as bytes", _RAW, small=True),
    _row("loader-photos", f"{_PHOTOS} read from shards and decoded", _DECODED, small=False),
    _row("loader-small", f"{_SMALL} read from shards and decoded", _DECODED, small=True),
    _row("loader-batches", f"{_SMALL} as batches of {_BATCH} out of two workers", _BATCHES, small=True),
)
