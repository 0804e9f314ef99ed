"""Where samples come from: tars, or a manifest and the files of a work folder that it points into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.digests import digest
from curation.errors import InputError
from curation.media.shards import ShardError, read_member
from curation.storage import Store
from curation.training.faults import Fault, NoSplitError, SampleFaultError
from curation.training.plan import Ints
from curation.training.shard_sets import ShardSet, open_tar
from curation.training.tars import read_samples

Row = dict[str, Any]

_ROWS_AT_ONCE: Final = 64
_decoded = msgspec.json.Decoder().decode
_JSON: Final = frozenset({"json"})


@dataclass(slots=True)
class Raw:
    """A sample as it is stored. where: in words. parts: files by extension. row: of the manifest, if asked for. texts:
    those of the row that balance has left; None: all.
    """

    key: str
    where: str
    position: int
    parts: dict[str, bytes]
    row: Row | None = None
    fault: SampleFaultError | None = None
    texts: Sequence[Mapping[str, Any]] | None = None

    def text(self) -> str | None:
        """What KEY.txt, or the row, says. Raises SampleFaultError where that is no UTF-8."""
        if self.row is not None and self.row.get("text") is not None:
            return str(self.row["text"])
        data = self.parts.get("txt")
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError as error:
            raise SampleFaultError.of(Fault.BAD_TEXT, f"{self.where}: {error}") from None


class Source(Protocol):
    """Samples in parts, by their number in the part."""

    @property
    def sizes(self) -> Ints:
        """Samples per part."""
        ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def forgotten(self) -> frozenset[str]:
        """Media that are to be left out."""
        ...

    def renew(self) -> bool:
        """Looks what was forgotten since; whether anything was. Raises InputError where parts came or went."""
        ...

    def read(self, part: int, wanted: Ints, *, rows: bool) -> Iterator[Raw]:
        """Those at the wanted positions, ascending. Raises ShardError where the rest of the part cannot be read."""
        ...

    def rows(self, part: int) -> Iterator[Raw]:
        """All of a part, without media."""
        ...

    def load(self, raw: Raw) -> dict[str, bytes]:
        """Its files. Raises SampleFaultError where they are gone."""
        ...


class TarSource:
    """Samples of tars, read front to back."""

    def __init__(self, shards: ShardSet) -> None:
        self._shards = shards

    @property
    def sizes(self) -> Ints:
        return self._shards.sizes

    @property
    def fingerprint(self) -> str:
        return self._shards.fingerprint

    @property
    def forgotten(self) -> frozenset[str]:
        return self._shards.forgotten

    def renew(self) -> bool:
        before, self._shards = self._shards, self._shards.renewed()
        return self._shards.fingerprint != before.fingerprint

    def read(self, part: int, wanted: Ints, *, rows: bool) -> Iterator[Raw]:
        path, size = self._shards.paths[part], int(self.sizes[part])
        yield from self._samples(path, size, wanted.tolist(), frozenset() if rows else _JSON)

    def rows(self, part: int) -> Iterator[Raw]:
        from curation.training.decoding import IMAGES, VIDEOS

        path, size = self._shards.paths[part], int(self.sizes[part])
        yield from self._samples(path, size, list(range(size)), IMAGES | VIDEOS)

    def load(self, raw: Raw) -> dict[str, bytes]:
        return raw.parts

    def _samples(self, path: str, size: int, wanted: list[int], without: frozenset[str]) -> Iterator[Raw]:
        with open_tar(path) as file:
            for sample in read_samples(file, path, wanted, without, size):
                raw = Raw(sample.key, f"{path}, sample {sample.position} ({sample.key})", sample.position, sample.parts)
                if "json" not in without:
                    raw.row, raw.fault = _row(raw)
                yield raw


def _row(raw: Raw) -> tuple[Row | None, SampleFaultError | None]:
    if "json" not in raw.parts:
        return None, SampleFaultError.of(Fault.NO_JSON, f"{raw.where}: there is no {raw.key}.json")
    try:
        row = _decoded(raw.parts["json"])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, SampleFaultError.of(Fault.BAD_JSON, f"{raw.where}: {error}")
    if not isinstance(row, dict):
        return None, SampleFaultError.of(Fault.BAD_JSON, f"{raw.where}: its JSON is no object")
    return row, None


class ManifestSource:
    """Rows of a manifest's split; their bytes are read from where they lie, one by one, when they are handed out."""

    def __init__(
        self, store: Store, files: Sequence[str], split: str, columns: Sequence[str], version: str | None = None
    ) -> None:
        """files: the manifest's, relative to the store. columns: that are read beside those that say where bytes lie.
        version: of the manifest, to look up its files again; None: they stay.

        Reads the column `split` of all of them. Raises InputError where the split has no row.
        """
        self._store, self._files, self._split, self._version = store, tuple(files), split, version
        self._wanted = {*_ADDRESS, *columns}
        found = [_rows_of(store, path, split) for path in self._files]
        self._rows = [places for places, _ in found]
        self.forgotten = _forgotten(store)
        if not self.sizes.sum():
            others = ", ".join(sorted(set().union(*(splits for _, splits in found)))) or "none"
            raise NoSplitError(
                f"the manifest of {store.root} has no samples of the split {split!r}; of others: {others}"
            )

    @property
    def sizes(self) -> Ints:
        return np.array([len(places) for places in self._rows], np.int64)

    @property
    def fingerprint(self) -> str:
        return digest(self._files, self._split, self.sizes.tolist(), sorted(self.forgotten))

    def renew(self) -> bool:
        """Files that were written anew since have other names; of them the split is read again."""
        before, self.forgotten = self.fingerprint, _forgotten(self._store)
        files = self._files_now()
        for part, path in enumerate(files):
            if path != self._files[part]:
                self._rows[part], _ = _rows_of(self._store, path, self._split)
        self._files = files
        return self.fingerprint != before

    def _files_now(self) -> tuple[str, ...]:
        from curation.pipeline import ALL_STAGES
        from curation.runner.catalog import Catalog
        from curation.schemas import MANIFEST

        if self._version is None:
            return self._files
        manifest = Catalog(self._store, ALL_STAGES).stored("manifest", self._version)
        files = () if manifest is None else tuple(manifest.paths(MANIFEST.name))
        if len(files) != len(self._files):
            raise InputError(f"the manifest of {self._store.root} that is read is gone: begin with a new data set")
        return files

    def read(self, part: int, wanted: Ints, *, rows: bool) -> Iterator[Raw]:
        yield from self._raws(part, wanted, self._columns)

    def rows(self, part: int) -> Iterator[Raw]:
        media = {"path", "offset", "size_bytes", "extension"}
        yield from self._raws(part, np.arange(self.sizes[part]), [name for name in self._columns if name not in media])

    @property
    def _columns(self) -> list[str]:
        """With what tells whose words a sample has, where some are to be left out."""
        return sorted(self._wanted | {"texts"} if self.forgotten else self._wanted)

    def load(self, raw: Raw) -> dict[str, bytes]:
        row = raw.row or {}
        try:
            data = read_member(self._store, row["path"], row["offset"], row["size_bytes"])
        except (FileNotFoundError, ShardError) as error:
            raise SampleFaultError.of(Fault.NO_MEDIA, f"{raw.where}: {row['path']} is gone or torn: {error}") from None
        return {row["extension"]: data}

    def _raws(self, part: int, wanted: Ints, columns: Sequence[str]) -> Iterator[Raw]:
        """Row group by row group; only those that hold a wanted row are read."""
        places, path = self._rows[part][wanted], self._files[part]
        with self._store.parquet(path) as file:
            start = 0
            for number in range(file.metadata.num_row_groups):
                stop = start + file.metadata.row_group(number).num_rows
                first, last = np.searchsorted(places, [start, stop])
                if first < last:
                    group = file.read_row_group(number, list(columns), use_threads=False)
                    own = group.take(pa.array(places[first:last] - start))
                    yield from _as_raws(own, path, wanted[first:last].tolist())
                start = stop


_ADDRESS: Final = ("sample_id", "media_id", "modality", "path", "offset", "size_bytes", "extension", "text")


def _forgotten(store: Store) -> frozenset[str]:
    from curation.media.refusals import Tombstones

    return Tombstones.read(store).media_ids


def _rows_of(store: Store, path: str, split: str) -> tuple[Ints, set[str]]:
    """Row numbers of a split in a file, and the names of all splits in it."""
    with store.parquet(path) as file:
        column = file.read(["split"], use_threads=False).column(0)
    return np.flatnonzero(np.asarray(pc.equal(column, split))), set(pc.unique(column).to_pylist())


def _as_raws(rows: pa.Table, path: str, positions: list[int]) -> Iterator[Raw]:
    for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
        some = rows.slice(start, _ROWS_AT_ONCE).to_pylist()
        for position, row in zip(positions[start : start + _ROWS_AT_ONCE], some, strict=True):
            yield Raw(row["sample_id"], f"{path}, sample {row['sample_id']}", position, {}, row)
