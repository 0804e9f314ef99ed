"""PyTorch datasets over shards and over a manifest."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from curation.digests import digest
from curation.errors import InputError
from curation.storage import Store
from curation.training.balancing import EntryCounts
from curation.training.plan import Consumer, Ints, consumer_here
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

    def __init__(self, source: Source, reading: Reading, counts: EntryCounts | None, here: Consumer) -> None:
        super().__init__()
        self.reading, self.here = reading, here
        self.stream = Stream(source, reading, counts)
        self.fingerprint = digest(source.fingerprint, reading.told())
        """Of what decides which samples come when."""
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # workers that stay see it change
        self._kept = torch.zeros(len(source.sizes) + 1, dtype=torch.int64).share_memory_()
        self._kept[-1] = -1  # the epoch that was counted

    @property
    def epoch(self) -> int:
        return int(self._epoch.item())

    def set_epoch(self, epoch: int) -> None:
        """Of what is read from the next iterator on; ranks agree on it by themselves. To be called between epochs."""
        self._epoch[0] = epoch

    def prepare(self) -> None:
        """Counts what an epoch keeps where ranks are to get equally many of it: before workers start, once per epoch
        of a redraw, else once.
        """
        epoch = self.epoch if self.reading.redraw else 0
        if self.stream.counts_first and int(self._kept[-1]) != epoch:
            self._kept[:-1] = torch.from_numpy(self.stream.kept(epoch))
            self._kept[-1] = epoch

    @property
    def sizes(self) -> Ints:
        """Samples per part, int64; where `prepare` counts, of the epoch."""
        if not self.stream.counts_first:
            return self.stream.source.sizes
        self.prepare()
        kept: Ints = self._kept[:-1].numpy()
        return kept

    def samples(self, share: Share, tally: Tally) -> Iterator[tuple[int, Sample]]:
        """(how many of the share are done with this one, the sample). tally: is added to."""
        yield from self.stream.samples(share, self.sizes, tally)

    def __iter__(self) -> Iterator[Sample]:
        """One epoch of this rank, or of this worker of it."""
        info = torch.utils.data.get_worker_info()
        consumer = self.here if info is None else replace(self.here, worker=info.id, workers=info.num_workers)
        tally: Tally = Counter()
        for _, sample in self.samples(Share(self.epoch, consumer), tally):
            yield sample
        tell(tally)


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
        super().__init__(TarSource(shards), reading, _counts(reading, location), consumer_here(rank, world))


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
        store = Store.at(location)
        files = Catalog(store, ALL_STAGES).files(MANIFEST.name)
        names = [file.removeprefix(f"{store.root}/") for file in files]
        source = ManifestSource(store, names, split, _columns(reading))
        super().__init__(source, reading, _counts(reading, location), consumer_here(rank, world))


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
