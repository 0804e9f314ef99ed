"""Which tars are meant by a location, and how many samples each holds."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import fsspec
import numpy as np

from curation.digests import digest
from curation.errors import InputError
from curation.storage import Store
from curation.training.plan import Ints
from curation.training.tars import Readable, count_samples

SIZES: Final = "sizes.json"
"""Beside tars, {"00000.tar": samples, ...}: open_clip's users know it."""

_RUNS: Final = "_runs"  # what every work folder has
_RANGE: Final = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")

Location = str | Path | Sequence[str | Path]

log = logging.getLogger("curation.training")


@dataclass(frozen=True)
class ShardSet:
    """paths: full names of tars, local or URLs. sizes: samples of each, int64. forgotten: media to be left out."""

    paths: tuple[str, ...]
    sizes: Ints
    forgotten: frozenset[str] = frozenset()

    @property
    def fingerprint(self) -> str:
        """The same for the same tars wherever they lie."""
        return digest([path.rpartition("/")[2] for path in self.paths], self.sizes.tolist())


def shard_set(location: Location, split: str) -> ShardSet:
    """The tars of a location:

    - a work folder: the split of its current shards, less what was forgotten since;
    - the folder of a shard set, with a folder per split, or a folder of tars, whatever the split;
    - a tar, a pattern such as `shards/train/{00000..00031}.tar`, or a list of both.

    Local, or URLs that fsspec speaks. Samples are counted where no sizes.json says how many there are, which reads the
    tars' headers. Raises InputError where there is no sample, WorkFolderError for a work folder without shards.
    """
    if isinstance(location, str | Path) and not _names_tars(location):
        store = Store.at(location)
        names = store.names("")
        if _RUNS in names:
            return _of_work_folder(store, split)
        paths = _in_folder(store, names, split)
    else:
        listed = [location] if isinstance(location, str | Path) else location
        paths = [path for each in listed for path in expanded(str(each))]
    if not paths:
        raise InputError(f"{location} names no tar")
    if len(set(paths)) != len(paths):
        raise InputError(f"{location} names a tar twice: its samples would be read twice")
    found = ShardSet(tuple(paths), _sizes(paths))
    if not found.sizes.sum():
        raise InputError(f"the {len(paths)} shards of {location} hold no sample")
    return found


def is_work_folder(location: str | Path) -> bool:
    return not _names_tars(location) and _RUNS in Store.at(location).names("")


def expanded(pattern: str) -> list[str]:
    """`{00000..00012}` and `{a,b}` written out, as shells do."""
    parts: list[list[str]] = []
    at = 0
    for found in _RANGE.finditer(pattern):
        first, last, listed = found.groups()
        parts.append([pattern[at : found.start()]])
        at = found.end()
        if listed is not None:
            parts.append(listed.split(","))
            continue
        if int(last) < int(first):
            raise InputError(f"{pattern}: {found.group()} counts down; give the smaller number first")
        parts.append([f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)])
    return ["".join(chosen) for chosen in product(*parts, [pattern[at:]])]


@contextmanager
def open_tar(path: str) -> Iterator[Readable]:
    """A tar for reading, local or a URL. Raises InputError where it is not there."""
    try:
        if "://" not in path:
            with Path(path).open("rb", buffering=0) as file:
                yield file
        else:
            with fsspec.open(path, "rb", block_size=8 << 20) as remote:
                yield remote
    except FileNotFoundError:
        raise InputError(f"there is no {path}: give shards that are there") from None


def _names_tars(location: str | Path) -> bool:
    return str(location).endswith(".tar") or "{" in str(location)


def _in_folder(store: Store, names: set[str], split: str) -> list[str]:
    tars = _tars(store, "", names)
    if tars:
        return tars
    within = store.names(split) if split in names else set()
    if tars := _tars(store, f"{split}/", within):
        return tars
    others = sorted(name for name in names if "." not in name and _tars(store, f"{name}/", store.names(name)))
    told = f"; it has {', '.join(others)}" if others else ": give a folder of tars, of shards, or a work folder"
    raise InputError(f"{store.root} has no shards of the split {split!r}{told}")


def _tars(store: Store, folder: str, names: set[str]) -> list[str]:
    found = sorted((name for name in names if name.endswith(".tar")), key=lambda name: (len(name), name))
    return [store.url(f"{folder}{name}") for name in found]


def _of_work_folder(store: Store, split: str) -> ShardSet:
    from curation.media.refusals import Tombstones
    from curation.pipeline import ALL_STAGES
    from curation.runner.catalog import Catalog
    from curation.schemas import SHARDS

    files = Catalog(store, ALL_STAGES).files(SHARDS.name)
    prefix = f"{store.root}/"
    rows = store.table([file.removeprefix(prefix) for file in files], SHARDS.schema).to_pylist()
    own = sorted((row for row in rows if row["split"] == split), key=lambda row: (len(row["name"]), row["name"]))
    if not sum(row["samples"] for row in own):
        others = ", ".join(sorted({row["split"] for row in rows})) or "none"
        raise InputError(f"{store.root} has no shards of the split {split!r}; of others: {others}")
    sizes = np.array([row["samples"] for row in own], np.int64)
    return ShardSet(tuple(store.url(row["path"]) for row in own), sizes, Tombstones.read(store).media_ids)


def _sizes(paths: Sequence[str]) -> Ints:
    """From sizes.json of each folder, or counted."""
    known: dict[str, dict[str, Any]] = {}
    counted, sizes = 0, []
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in known:
            known[folder] = _told_sizes(folder)
        size = known[folder].get(name)
        if not size:  # of one that is said to be empty a look costs nothing
            counted += 1
            with open_tar(path) as file:
                size = count_samples(file, path)
        sizes.append(int(size))
    if counted:
        log.info("counted the samples of %d shards that no %s tells of", counted, SIZES)
    return np.array(sizes, np.int64)


def _told_sizes(folder: str) -> dict[str, Any]:
    where = f"{folder}/{SIZES}" if folder else SIZES
    try:
        with fsspec.open(where, "rb") as file:
            told = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        raise InputError(f"{where} is damaged: write it anew, or remove it and samples are counted") from None
    if not isinstance(told, dict) or not all(isinstance(size, int) and size >= 0 for size in told.values()):
        raise InputError(f"{where} is no object of numbers by name: write it anew, or remove it")
    return told
