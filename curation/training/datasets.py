"""PyTorch datasets over shards and over a manifest."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from curation.digests import digest
from curation.errors import InputError
from curation.storage import Store
from curation.training.balancing import EntryCounts
from curation.training.kept import Kept
from curation.training.plan import Consumer, Ints, consumer_here, distributed_rank
from curation.training.reading import Reading
from curation.training.shard_sets import Location, is_work_folder, shard_set
from curation.training.sources import ManifestSource, Source, TarSource
from curation.training.stream import SAMPLES, SKIPPED, STAND_INS, Sample, Share, Stream, Tally
from curation.training.texts import CHOSEN, OF_ROWS

try:
    torch: Any = import_module("torch")
except ImportError:
    raise ImportError("curation.training reads into PyTorch: pip install 'curation[train]'") from None

_Base: Any = torch.utils.data.IterableDataset
_BALANCED: Final = ("vocabulary_lang", "entry_ids", "keep_probability", "critical_threshold")

log = logging.getLogger("curation.training")


class _Samples(_Base):  # type: ignore[misc]
    """Samples of a source, divided among ranks and workers. See `curation.training`."""

    def __init__(
        self, source: Source, reading: Reading, counts: EntryCounts | None, rank: int | None, world: int | None
    ) -> None:
        super().__init__()
        self.reading = reading
        self._given = None if rank is None and world is None else consumer_here(rank, world)
        self._settled = self._given
        self._epoch = _shared(1, "int64")  # workers that stay see it change
        self._sizes, self._changes, self._seen = _shared(len(source.sizes), "int64"), _shared(1, "int64"), 0
        self._sizes[:] = torch.from_numpy(source.sizes)
        kept = None if reading.even is None else Kept(source.sizes, _shared)
        self._room = source.sizes
        self.stream = Stream(source, reading, counts, kept)

    @property
    def fingerprint(self) -> str:
        """Of what decides which samples come when."""
        return digest(self.stream.source.fingerprint, self.reading.told())

    @property
    def here(self) -> Consumer:
        """This process's rank, settled when it is first asked for. Raises InputError where torch.distributed was set up
        later and says another.
        """
        if self._settled is None:
            self._settled = consumer_here()
        if self._given is None and (told := distributed_rank()) is not None:
            here = (self._settled.rank, self._settled.world)
            if told != here:
                raise InputError(
                    f"the data set was read as rank {here[0]} of {here[1]} before torch.distributed said rank "
                    f"{told[0]} of {told[1]}: call init_process_group first, or give rank and world"
                )
        return self._settled

    def __getstate__(self) -> dict[str, Any]:
        """Workers that are spawned know nothing of torch.distributed: they are told the rank, where there is one."""
        if self._settled is None and (consumer := consumer_here()) != Consumer():
            self._settled = consumer
        return dict(self.__dict__)

    @property
    def epoch(self) -> int:
        return int(self._epoch.item())

    def set_epoch(self, epoch: int) -> None:
        """Of what is read from the next iterator on; ranks agree on it by themselves. To be called between epochs, in
        the main process: what was forgotten meanwhile is left out from now on.
        """
        self.point_to(epoch)
        self.renew()

    def point_to(self, epoch: int) -> None:
        """The same without a look at what was forgotten: what is read stays as it is."""
        self._epoch[0] = epoch

    def renew(self) -> None:
        """Looks what was forgotten, and tells workers that stay. Raises InputError where parts came or went."""
        source = self.stream.source
        if not source.renew():
            return
        if (source.sizes > self._room).any():
            raise InputError("shards hold more samples than they did: begin with a new data set")
        self._sizes[:] = torch.from_numpy(source.sizes)
        self._changes += 1
        self._seen = int(self._changes)

    def catch_up(self) -> None:
        """In a worker: looks where the main process has found that something changed."""
        if int(self._changes) != self._seen:
            self.stream.source.renew()
            self._seen = int(self._changes)

    def prepare(self) -> None:
        """Settles the rank, and counts what an epoch keeps where ranks are to get equally many of it: before workers
        start.
        """
        if self.here and self.stream.counts_first:
            self.stream.kept(self.epoch)

    @property
    def sizes(self) -> Ints:
        """Samples per part, int64; where `prepare` counts, of the epoch that was prepared."""
        kept = self.stream.counts
        return np.asarray(self._sizes) if kept is None else kept

    def samples(self, share: Share, tally: Tally) -> Iterator[tuple[int, Sample]]:
        """(how many of the share are done with this one, the sample). tally: is added to."""
        yield from self.stream.samples(share, self.sizes, tally)

    def __iter__(self) -> Iterator[Sample]:
        """One epoch of this rank, or of this worker of it."""
        info = torch.utils.data.get_worker_info()
        self.catch_up()
        self.prepare()
        consumer = self.here if info is None else replace(self.here, worker=info.id, workers=info.num_workers)
        tally: Tally = Counter()
        for _, sample in self.samples(Share(self.epoch, consumer), tally):
            yield sample
        tell(tally)


def _shared(count: int, kind: str) -> Any:
    """Zeros that processes share."""
    return torch.zeros(count, dtype=getattr(torch, kind)).share_memory_()


class ShardDataset(_Samples):
    """Samples of WebDataset tars, each a dict: key, image (or video), text, and what Reading.columns names.

    An IterableDataset: rank and world come from torch.distributed where it is set up, else from RANK and WORLD_SIZE,
    unless they are given; the worker from the DataLoader. `loader` makes batches, and can be taken up in an epoch.
    """

    def __init__(
        self,
        location: Location,
        split: str = "train",
        reading: Reading | None = None,
        *,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        """location: a work folder, the folder of a shard set or of tars, a tar, a pattern, or a list; see `shard_set`.

        Raises InputError where there is no sample, WorkFolderError for a work folder without shards.
        """
        reading = reading or Reading()
        shards = shard_set(location, split)
        super().__init__(TarSource(shards), reading, _counts(reading, location), rank, world)


class ManifestDataset(_Samples):
    """The same samples, from a work folder's manifest and the files that hold the bytes, without an export."""

    def __init__(
        self,
        location: str | Path,
        split: str = "train",
        reading: Reading | None = None,
        *,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        """location: a work folder, local or a URL. Raises InputError where the split has no sample, WorkFolderError
        where there is no manifest.
        """
        from curation.pipeline import ALL_STAGES
        from curation.runner.catalog import Catalog
        from curation.schemas import MANIFEST

        reading = reading or Reading()
        if unknown := sorted(set(reading.columns) - set(MANIFEST.columns)):
            raise InputError(f"columns names {', '.join(unknown)}: the manifest has {', '.join(MANIFEST.columns)}")
        store = Store.at(location)
        manifest = Catalog(store, ALL_STAGES).visible("manifest")
        files = manifest.paths(MANIFEST.name)
        source = ManifestSource(store, files, split, _columns(reading), manifest.version)
        super().__init__(source, reading, _counts(reading, location), rank, world)


def tell(tally: Tally) -> None:
    """Warns of what was broken."""
    broken = {name.removeprefix(SKIPPED): count for name, count in sorted(tally.items()) if name.startswith(SKIPPED)}
    if broken:
        reasons = ", ".join(f"{name} {count:,}" for name, count in broken.items())
        stood = f"; {tally[STAND_INS]:,} others stood in for them" if tally[STAND_INS] else ""
        total = sum(broken.values())
        log.warning("skipped %d broken samples: %s; %d were handed out%s", total, reasons, tally[SAMPLES], stood)


def _counts(reading: Reading, location: Location) -> EntryCounts | None:
    """Of the entries, where they are drawn by. Raises InputError where nobody says where they are."""
    if not reading.redraw:
        return None
    if reading.entries is not None:
        return EntryCounts.read(reading.entries)
    if isinstance(location, str | Path) and is_work_folder(location):
        return EntryCounts.read(location)
    raise InputError("redraw needs counts of entries: give Reading.entries, a work folder or a Parquet file")


def _columns(reading: Reading) -> Sequence[str]:
    """Of the manifest, that this reading looks at."""
    balanced = _BALANCED if reading.t is not None else ()
    words = [name for name in OF_ROWS if name in reading.texts]
    texts = [] if reading.t is None and set(reading.texts) <= {CHOSEN, *OF_ROWS} else ["texts"]
    return [*balanced, *words, *texts, *reading.columns]
