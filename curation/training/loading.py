"""Batches, and an epoch that can be left and taken up again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from curation.errors import InputError
from curation.training.collation import collate as stacked
from curation.training.datasets import ManifestDataset, ShardDataset, tell, torch
from curation.training.plan import Consumer
from curation.training.stream import SAMPLES, Sample, Share, Tally

Batch = Any
Collate = Callable[[Sequence[Sample]], Batch]
Told = tuple[int, int, dict[str, int], Batch | None]
"""Worker, how many of its share are done, what it counted since it told last, and a batch."""

_Base: Any = torch.utils.data.IterableDataset
_VERSION: Final = 1  # of states


class Loader:
    """Batches of one epoch per iteration, in worker processes of torch's DataLoader; knows where it stands.

        batches = Loader(ShardDataset("run", "train", Reading(size=224)), 256, num_workers=8)
        for batch in batches: ...                       # epoch 0; the next time epoch 1
        torch.save(batches.state_dict(), path)          # at any time, in the middle of an epoch, too

    State counts the samples of every worker that were handed out. Taken up with as many ranks and workers, an epoch
    goes on with the very batch that would have come; what is done is passed over by number, not read again.
    """

    def __init__(
        self,
        dataset: ShardDataset | ManifestDataset,
        batch_size: int,
        num_workers: int = 0,
        *,
        drop_last: bool = False,
        collate: Collate | None = None,
        **options: Any,
    ) -> None:
        """drop_last: without the one batch of a rank that may be smaller; where balance leaves out samples on the way
        (Reading.t without even) each worker has one. collate: a list of samples to a batch; see `collation.collate`.
        options: of torch.utils.data.DataLoader, such as pin_memory or persistent_workers. Raises InputError.
        """
        if batch_size < 1 or num_workers < 0:
            raise InputError(f"batch_size {batch_size} and num_workers {num_workers}: at least 1, and at least 0")
        if not options.get("in_order", True):
            raise InputError("in_order=False: batches would come as workers have them ready, which no state can tell "
                             "of; leave it out")  # fmt: skip
        self.dataset, self.epoch = dataset, 0
        self.counts: Tally = Counter()
        """Of the epoch that runs, or of the last one: samples, `left_out:REASON`, `skipped:REASON`, stand_ins."""
        self._workers = max(1, num_workers)
        self._done, self._turn, self._begins, self._is_over = [0] * self._workers, 0, True, False
        self._batches = _Batches(dataset, batch_size, self._workers, drop_last=drop_last)
        self._batches.collate = collate or stacked
        self._torch = torch.utils.data.DataLoader(
            self._batches, batch_size=None, num_workers=num_workers, collate_fn=_as_it_is, **options
        )

    def __iter__(self) -> Iterator[Batch]:
        """The rest of the epoch: all of it, but after load_state_dict or where an iteration was left. One that was left
        with its last batch is over, and the next one begins.

        A batch is given when the next one is there, so that the last is known to be that.
        """
        if self._is_over:
            self._finish()
        self.dataset.point_to(self.epoch)
        if self._begins:
            self.dataset.renew()
        self.dataset.prepare()
        self._batches.put(self._done, self._turn)
        if self._begins:
            self.counts, self._begins = Counter(), False
        for told, is_last in _with_last(_with_batches(self._torch)):
            for worker, done, counts, _ in told:
                self._done[worker], self._turn = done, (worker + 1) % self._workers
                self.counts.update(counts)
            self._is_over = is_last
            yield from (batch for *_, batch in told if batch is not None)
        self._finish()

    def _finish(self) -> None:
        tell(self.counts)
        if not self.counts[SAMPLES]:
            told = ", ".join(f"{name} {count:,}" for name, count in sorted(self.counts.items()) if count)
            raise InputError(f"epoch {self.epoch} has no batch: {told or 'this rank has too few samples'}")
        self.set_epoch(self.epoch + 1)

    def set_epoch(self, epoch: int) -> None:
        """To the begin of an epoch."""
        self.epoch, self._done, self._turn = epoch, [0] * self._workers, 0
        self._begins, self._is_over = True, False

    def __len__(self) -> int:
        """Batches of a whole epoch. Raises TypeError where only reading shows what balance leaves out."""
        stream = self.dataset.stream
        if stream.is_sifted and not stream.counts_first:
            raise TypeError("the number of batches is not known before they are read: balance leaves out samples")
        self.dataset.point_to(self.epoch)
        self.dataset.prepare()
        batch = self._batches.size
        samples = self._shares(self.dataset.here)
        return sum(count // batch if self._batches.drop_last else -(-count // batch) for count in samples)

    def _shares(self, of: Consumer) -> list[int]:
        """Samples of every worker of a rank."""
        begin = Share(self.epoch, batch=self._batches.size)
        shares = (
            replace(begin, consumer=replace(of, worker=worker, workers=self._workers))
            for worker in range(self._workers)
        )
        return [self.dataset.stream.size(share, self.dataset.sizes) for share in shares]

    def state_dict(self) -> dict[str, Any]:
        """Where it stands: plain values, for this rank."""
        ends = self._is_over
        return {
            **self._told(),
            "epoch": self.epoch + ends,
            "done": [0] * self._workers if ends else list(self._done),
            "turn": 0 if ends else self._turn,
            "begins": ends or self._begins,
            "left": ends,  # with its last batch, when other ranks may have one more
            "counts": dict(self.counts),
            "rank": self.dataset.here.rank,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where a state was taken. One of another rank will do where that rank's place is this one's, too: at
        the begin of an epoch, with `even`, or as long as nothing is left out or skipped and their shares are equal.
        Raises InputError where it is not, or of other data, or of another number of processes.
        """
        for name, own in self._told().items():
            if state.get(name) != own:
                raise InputError(
                    f"the state has {name} {state.get(name)}, this loader {own}: make both the same, or begin its "
                    f"epoch anew with set_epoch({state.get('epoch')})"
                )
        here = self.dataset.here
        if state["rank"] != here.rank and not self._is_here(state, replace(here, rank=state["rank"])):
            raise InputError(
                f"the state is of rank {state['rank']}, this is {here.rank}, and ranks need not have come equally far: "
                "let every rank save its own, or read with even='drop' or even='repeat', or begin its epoch anew with "
                f"set_epoch({state['epoch']})"
            )
        self.epoch, self._done, self._turn = state["epoch"], list(state["done"]), state["turn"]
        self._begins, self.counts, self._is_over = state["begins"], Counter(state["counts"]), False

    def _is_here(self, state: dict[str, Any], other: Consumer) -> bool:
        """Whether this rank stands where another one did."""
        done, batch = state["done"], self._batches.size
        if self.dataset.reading.even is not None or not (any(done) or state["left"]):
            return True
        if self.dataset.stream.is_sifted or self.dataset.reading.on_error == "skip":
            return False
        shares = list(zip(done, self._shares(self.dataset.here), self._shares(other), strict=True))
        if state["left"]:
            whole = not self._batches.drop_last
            return all(own == its or (whole and -(-own // batch) == -(-its // batch)) for _, own, its in shares)
        # workers whose shares differ take their turns alike as long as a whole batch is left of both
        return all(own == its or at + batch <= min(own, its) for at, own, its in shares)

    def _told(self) -> dict[str, Any]:
        """What has to be the same for an epoch to be taken up."""
        return {
            "version": _VERSION,
            "data": self.dataset.fingerprint,
            "world": self.dataset.here.world,
            "workers": self._workers,
            "batch_size": self._batches.size,
        }


class _Batches(_Base):  # type: ignore[misc]
    """Batches of a dataset as workers make them. Where they begin comes in tensors that all processes share: workers
    that stay are told so, and nothing of it changes while they read.
    """

    def __init__(self, dataset: ShardDataset | ManifestDataset, size: int, workers: int, *, drop_last: bool) -> None:
        super().__init__()
        self.dataset, self.size, self.workers, self.drop_last = dataset, size, workers, drop_last
        self.collate: Collate = stacked
        self._done = torch.zeros(workers, dtype=torch.int64).share_memory_()
        self._turn = torch.zeros(1, dtype=torch.int64).share_memory_()

    def put(self, done: Sequence[int], turn: int) -> None:
        """done: samples of each worker's share. turn: the worker whose batch comes first."""
        self._done[:] = torch.tensor(done)
        self._turn[0] = turn

    def consumer(self, worker: int) -> Consumer:
        return replace(self.dataset.here, worker=worker, workers=self.workers)

    def __iter__(self) -> Iterator[Told]:
        info = torch.utils.data.get_worker_info()
        if info is not None:
            self.dataset.catch_up()
        worker = (int(self._turn) + (0 if info is None else info.id)) % self.workers
        share = Share(self.dataset.epoch, self.consumer(worker), int(self._done[worker]), self.size)
        tally: Tally = Counter()
        samples: list[Sample] = []
        for done, sample in self.dataset.samples(share, tally):
            samples.append(sample)
            if len(samples) == self.size:
                yield worker, done, _taken(tally), self.collate(samples)
                samples = []
        if self.drop_last:
            tally[SAMPLES] -= len(samples)
            samples = []
        end = self.dataset.stream.size(share, self.dataset.sizes)
        yield worker, end, _taken(tally), self.collate(samples) if samples else None


def _taken(tally: Tally) -> dict[str, int]:
    counts = dict(tally)
    tally.clear()
    return counts


def _with_batches(tolds: Iterable[Told]) -> Iterator[list[Told]]:
    """What workers tell up to each batch, and behind the last one."""
    some: list[Told] = []
    for told in tolds:
        some.append(told)
        if told[3] is not None:
            yield some
            some = []
    if some:
        yield some


def _with_last(groups: Iterator[list[Told]]) -> Iterator[tuple[list[Told], bool]]:
    """What was told, and whether no batch comes behind it. A mistake is raised when it is its turn."""
    held: list[Told] = next(groups, [])
    while held:
        error, after = None, []
        try:
            after = next(groups, [])
        except Exception as raised:  # noqa: BLE001
            error = raised
        is_last = error is None and not (after and after[-1][3] is not None)
        yield (held + after if is_last else held), is_last
        if error is not None:
            raise error
        if is_last:
            return
        held = after


def _as_it_is(told: Told) -> Told:
    return told
