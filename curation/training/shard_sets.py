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
from curation.training.faults import NoSplitError
from curation.training.plan import Ints
from curation.training.tars import Readable, count_samples

SIZES: Final = "sizes.json"
"""Beside tars, {"00000.tar": samples, ...}: open_clip's users know it."""

TRAIN: Final = "train"
"""The split that tars are which are told no split of."""

_INDEX: Final = "index.json"  # of a set of shards, above the folders of its splits
_RUNS: Final = "_runs"  # what every work folder has
_RANGE: Final = re.compile(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}")

Location = str | Path | Sequence[str | Path]

log = logging.getLogger("curation.training")


@dataclass(frozen=True)
class ShardSet:
    """paths: full names of tars, local or URLs. sizes: samples of each, int64. marks: SHA-256 of each, or bytes where
    nobody knows that. forgotten: media to be left out. origin: work folder, split and version of `shards`; None: there
    is no work folder.
    """

    paths: tuple[str, ...]
    sizes: Ints
    marks: tuple[str, ...] = ()
    forgotten: frozenset[str] = frozenset()
    origin: tuple[Store, str, str] | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same tars wherever they lie, and as long as no more is forgotten."""
        names = [path.rpartition("/")[2] for path in self.paths]
        return digest(names, self.sizes.tolist(), self.marks, sorted(self.forgotten))

    def renewed(self) -> ShardSet:
        """As it is now: `curation forget` writes tars anew in place. Raises InputError where tars came or went."""
        found = _told_of(self.paths, self) if self.origin is None else _of_version(*self.origin)
        if found.paths != self.paths:
            raise InputError("the shards that are read are others now: begin with a new data set")
        return found


def shard_set(location: Location, split: str) -> ShardSet:
    """The tars of a location:

    - a work folder: the split of its current shards, less what was forgotten since;
    - the folder of a shard set, with a folder per split;
    - a folder of tars, a tar, a pattern such as `shards/train/{00000..00031}.tar`, or a list of both: all of them as
      train, or as the split that their folder is called by.

    Local, or URLs that fsspec speaks. Samples are counted where no sizes.json says how many there are, which reads the
    tars' headers. Raises InputError where there is no sample (NoSplitError: none of the split), WorkFolderError for a
    work folder without shards.
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
        _check_split(paths, split)
    if not paths:
        raise InputError(f"{location} names no tar")
    if len(set(paths)) != len(paths):
        raise InputError(f"{location} names a tar twice: its samples would be read twice")
    found = _told_of(tuple(paths))
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
        hint = "; * and ? are no patterns here, {00000..00031}.tar is" if set("*?[") & set(path) else ""
        raise InputError(f"there is no {path}: give shards that are there{hint}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder: give it alone, or a list of tars") from None


def _names_tars(location: str | Path) -> bool:
    return str(location).endswith(".tar") or "{" in str(location)


def _in_folder(store: Store, names: set[str], split: str) -> list[str]:
    tars = _tars(store, "", names)
    if tars:
        _check_split(tars, split)
        return tars
    within = store.names(split) if split in names else set()
    if tars := _tars(store, f"{split}/", within):
        return tars
    others = sorted(name for name in names if "." not in name and _tars(store, f"{name}/", store.names(name)))
    told = f"; it has {', '.join(others)}" if others else ": give a folder of tars, of shards, or a work folder"
    raise NoSplitError(f"{store.root} has no shards of the split {split!r}{told}")


def _check_split(paths: Sequence[str], split: str) -> None:
    """Raises NoSplitError where tars that are told no split of would pass for held-out ones."""
    if split != TRAIN and any(path.rpartition("/")[0].rpartition("/")[2] != split for path in paths):
        raise NoSplitError(
            f"{paths[0]} and its like lie in no folder {split!r}, so nobody says that they are that split: give "
            "others, or leave split out to read them"
        )


def _tars(store: Store, folder: str, names: set[str]) -> list[str]:
    found = sorted((name for name in names if name.endswith(".tar")), key=lambda name: (len(name), name))
    return [store.url(f"{folder}{name}") for name in found]


def _of_work_folder(store: Store, split: str) -> ShardSet:
    from curation.pipeline import ALL_STAGES
    from curation.runner.catalog import Catalog

    version = Catalog(store, ALL_STAGES).visible("shards").version
    found = _of_version(store, split, version)
    if not found.sizes.sum():
        others = ", ".join(sorted({path.split("/")[-2] for path, *_ in _entries(store, version)})) or "none"
        raise NoSplitError(f"{store.root} has no shards of the split {split!r}; of others: {others}")
    return found


def _of_version(store: Store, split: str, version: str) -> ShardSet:
    """The tars of a version of `shards`, and what is forgotten now."""
    from curation.media.refusals import Tombstones

    own = [entry for entry in _entries(store, version) if entry[0].split("/")[-2] == split]
    own.sort(key=lambda entry: (len(entry[0]), entry[0]))
    paths, sizes, marks = zip(*own, strict=True) if own else ((), (), ())
    forgotten = Tombstones.read(store).media_ids
    urls = tuple(store.url(path) for path in paths)
    return ShardSet(urls, np.array(sizes, np.int64), tuple(marks), forgotten, (store, split, version))


def _entries(store: Store, version: str) -> list[tuple[str, int, str]]:
    """Path, samples and SHA-256 of the tars of a version: its manifest tells, which is one small file."""
    from curation.pipeline import ALL_STAGES
    from curation.runner.catalog import Catalog
    from curation.stages.row_shards import TARS
    from curation.stages.shard_files import SHA256

    manifest = Catalog(store, ALL_STAGES).stored("shards", version)
    if manifest is None:
        raise InputError(f"{store.root} has no version {version} of its shards any more: begin with a new data set")
    told = [(entry, report) for report in manifest.reports.values() for entry in report.files.get(TARS, [])]
    return [(entry.path, entry.rows, report.facts[SHA256]) for entry, report in told]


def _told_of(paths: tuple[str, ...], before: ShardSet | None = None) -> ShardSet:
    """Sizes and marks from sizes.json and index.json of each folder, else counted, and told by their bytes.

    before: what was known of the same tars; one whose mark is the same is not counted again.
    """
    folders = {path.rpartition("/")[0]: _Told.of(path.rpartition("/")[0]) for path in paths}
    known = {} if before is None else dict(zip(before.paths, zip(before.marks, before.sizes, strict=True), strict=True))
    counted, sizes, marks = 0, [], []
    for path in paths:
        folder, _, name = path.rpartition("/")
        size, mark = folders[folder].sizes.get(name), folders[folder].mark(path, name)
        if not size:  # of one that is said to be empty a look costs nothing
            old = known.get(path)
            if old is not None and old[0] == mark:
                size = int(old[1])
            else:
                counted += 1
                with open_tar(path) as file:
                    size = count_samples(file, path)
        sizes.append(int(size))
        marks.append(mark)
    if counted:
        log.info("counted the samples of %d shards that no %s tells of", counted, SIZES)
    return ShardSet(paths, np.array(sizes, np.int64), tuple(marks))


@dataclass(frozen=True)
class _Told:
    """What is told of the tars of a folder, by name. lengths: bytes, where the store lists them."""

    sizes: dict[str, Any]
    checksums: dict[str, str]
    lengths: dict[str, int]

    @classmethod
    def of(cls, folder: str) -> _Told:
        checksums = _told_checksums(folder)
        return cls(_told_sizes(folder), checksums, {} if checksums else _listed(folder))

    def mark(self, path: str, name: str) -> str:
        if name in self.checksums:
            return self.checksums[name]
        if name in self.lengths:
            return str(self.lengths[name])
        with open_tar(path):  # says what is wrong with it
            file_system, inner = fsspec.core.url_to_fs(path)
            return str(file_system.size(inner))


def _listed(folder: str) -> dict[str, int]:
    file_system, inner = fsspec.core.url_to_fs(folder or ".")
    try:
        found = file_system.ls(inner, detail=True, refresh=True)
    except (OSError, NotImplementedError):
        return {}
    return {each["name"].rpartition("/")[2]: each["size"] for each in found
            if each["type"] == "file" and each["size"] is not None}  # fmt: skip


def _told_checksums(folder: str) -> dict[str, str]:
    """From the index.json of a set of shards, of the split that the folder is; none for tars of other tools."""
    above, _, split = folder.rpartition("/")
    try:
        with fsspec.open(f"{above}/{_INDEX}" if above else _INDEX, "rb") as file:
            tars = json.loads(file.read())["tars"]
        return {tar["name"]: str(tar["sha256"]) for tar in tars if tar["split"] == split}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


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
