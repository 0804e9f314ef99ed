"""Samples as WebDataset has them: KEY.jpg or KEY.mp4, KEY.txt and KEY.json in tars, with an index and sizes.json.

KEY.json is the sample's row of the manifest without what is null and where the bytes lay, names sorted, no blanks;
`caption` repeats `text` for readers of img2dataset's shards. The tars are written by curation.media.shards.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from curation.media.shards import BLOCK, Sample, ShardError

Row = Mapping[str, Any]

INDEX, SIZES = "index.json", "sizes.json"
FOLDER = "shards"

_NOT_TOLD = frozenset({"path", "offset", "size_bytes", "media_bucket"})
"""Columns that say where the bytes lie in the work folder."""
_PLAIN = re.compile(r"[0-9A-Za-z_-]{1,80}").fullmatch  # an extension is added, and a name has 100 bytes at most
_DIGITS = 5
_JPEG_BYTES = 0.5
"""Of a frame, per pixel, as far as planning goes."""
_encoded = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True)
class Frames:
    """Clips as JPEGs (quality 90, as curation.captions.media makes them), so many each, at even distances.

    longest_side: pixels to which larger ones are scaled down.
    """

    count: int
    longest_side: int | None = None

    def times_ms(self, duration_ms: int | None) -> list[int]:
        """The middles of `count` parts of equal length, on the clip's own clock."""
        return [(2 * number + 1) * (duration_ms or 0) // (2 * self.count) for number in range(self.count)]

    def sizes(self, width: int, height: int) -> list[int]:
        """Bytes of the JPEGs, as far as can be told before they are made."""
        share = min(1.0, (self.longest_side or max(width, height, 1)) / max(width, height, 1))
        return [round(width * height * share * share * _JPEG_BYTES)] * self.count

    def made(self, data: bytes, duration_ms: int | None) -> list[bytes]:
        """The JPEGs of a clip's file. Raises CaptionFaultError where it cannot be decoded."""
        from curation.captions.media import VideoMedia  # PyAV's libraries: only where they are needed

        with tempfile.TemporaryDirectory(prefix="curation-frames-") as folder:
            path = Path(folder) / "clip"
            path.write_bytes(data)
            pictures = VideoMedia(path).pictures(self.times_ms(duration_ms), self.longest_side)
        return [picture.data for picture in pictures]


def key_of(sample_id: str) -> str:
    """A sample's name in a shard: its id; or x and 40 digits of a hash of it where it is long, or not of letters,
    digits, - and _ of ASCII.
    """
    if _PLAIN(sample_id):
        return sample_id
    return f"x{hashlib.sha256(sample_id.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def sample_json(row: Row, frames: Frames | None = None) -> bytes:
    """KEY.json of a row of the manifest. frames: as which it is exported; their times are told."""
    told = {name: _without_nulls(value) for name, value in row.items() if value is not None and name not in _NOT_TOLD}
    told["caption"] = row["text"]
    if frames is not None and row["modality"] == "video":
        told["frame_times_ms"] = frames.times_ms(row["duration_ms"])
    return _encoded(told)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def tar_bytes(row: Row, told: bytes, frames: Frames | None = None) -> int:
    """Bytes that a sample takes in a tar, headers and padding included; told: its JSON. Frames are estimated."""
    moving = frames is not None and row["modality"] == "video"
    sizes = frames.sizes(row["width"], row["height"]) if frames is not None and moving else [row["size_bytes"]]
    return sum(BLOCK + size + -size % BLOCK for size in (*sizes, len(row["text"].encode()), len(told)))


def as_sample(sample_id: str, media: Sequence[tuple[str, bytes]], text: str, told: bytes) -> Sample:
    """media: extension and data, one of each extension."""
    return Sample(key_of(sample_id), {**dict(media), "txt": text.encode(), "json": told})


def read_shard(file: BinaryIO) -> Iterator[Sample]:
    """The samples of a tar that stands open at its begin, one at a time. Raises ShardError where it is torn."""
    try:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            key, parts = "", dict[str, bytes]()
            for member in tar:
                own, _, extension = member.name.partition(".")
                if own != key and parts:
                    yield Sample(key, parts)
                    parts = {}
                key, data = own, tar.extractfile(member)
                parts[extension] = b"" if data is None else data.read()
            if parts:
                yield Sample(key, parts)
    except tarfile.TarError as error:
        raise ShardError(f"a shard is torn, or none: {error}") from None


@dataclass(frozen=True)
class Tar:
    """One shard of a set."""

    split: str
    name: str
    samples: int
    images: int
    videos: int
    size_bytes: int
    sha256: str


def tar_names(count: int) -> list[str]:
    """00000.tar, 00001.tar ...; more digits where there are more than 100,000, all of one length."""
    digits = max(_DIGITS, len(str(count - 1)))
    return [f"{number:0{digits}d}.tar" for number in range(count)]


def brace(names: Sequence[str]) -> str:
    """The pattern that stands for contiguous names, as webdataset and open_clip expand it: {00000..00003}.tar."""
    first, last = names[0].partition(".")[0], names[-1].partition(".")[0]
    return names[0] if first == last else f"{{{first}..{last}}}.tar"


def index_of(tars: Iterable[Tar], about: Mapping[str, Any]) -> dict[str, Any]:
    """What index.json holds: `about` (recipe, stages ...), totals, splits with their patterns, and every tar."""
    listed = sorted(tars, key=lambda tar: (tar.split, len(tar.name), tar.name))
    splits = {}
    for split in sorted({tar.split for tar in listed}):
        own = [tar for tar in listed if tar.split == split]
        splits[split] = {"tars": f"{split}/{brace([tar.name for tar in own])}", **_totals(own)}
    return {**about, **_totals(listed), "splits": splits, "tars": [asdict(tar) for tar in listed]}


def _totals(tars: Sequence[Tar]) -> dict[str, int]:
    names = ("samples", "images", "videos", "size_bytes")
    return {"shards": len(tars), **{name: sum(getattr(tar, name) for tar in tars) for name in names}}


def index_files(index: Mapping[str, Any]) -> dict[str, bytes]:
    """index.json, and of every split the sizes.json from which open_clip takes the number of samples."""
    files = {INDEX: index}
    for split in index["splits"]:
        files[f"{split}/{SIZES}"] = {tar["name"]: tar["samples"] for tar in index["tars"] if tar["split"] == split}
    return {name: (json.dumps(tree, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")
            for name, tree in files.items()}  # fmt: skip
