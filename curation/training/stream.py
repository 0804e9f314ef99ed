"""Samples of one consumer in an epoch's order: read ahead as far as it needs, sifted, made what was asked for."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from typing import Any, Final

import numpy as np

from curation.digests import digest
from curation.errors import InputError
from curation.media.shards import COLUMNS, ShardError
from curation.training.balancing import Balancer, EntryCounts
from curation.training.decoding import formed, media_of, pictures
from curation.training.faults import HOSTILE, Fault, SampleFaultError, bad_row
from curation.training.kept import Kept
from curation.training.plan import Consumer, Epoch, Ints, Piece, stretch
from curation.training.reading import Reading
from curation.training.sources import Raw, Source
from curation.training.texts import CHOSEN, WEIGHTED, TextChoice

SAMPLES: Final = "samples"
"""Count of what was handed out."""
LEFT_OUT: Final = "left_out:"
"""How counts of what balance leaves out begin; the reason follows."""
SKIPPED: Final = "skipped:"
"""The same of broken samples."""
STAND_INS: Final = "stand_ins"
"""Count of sound samples that were handed out once more in place of broken ones."""

_AT_ONCE: Final = 64  # samples that are sifted together
_TOLD: Final = 3  # broken samples of a kind that a process tells of one by one

Sample = dict[str, Any]
Tally = Counter[str]
Item = tuple[int, Raw]
"""How many of a share are done with a sample, and the sample."""

log = logging.getLogger("curation.training")


@dataclass(frozen=True)
class Share:
    """What one consumer reads in one epoch. first: how many of it are done. batch: see `stretch`."""

    epoch: int
    consumer: Consumer = field(default_factory=Consumer)
    first: int = 0
    batch: int = 1


class Stream:
    """Reads shares of a source."""

    def __init__(
        self, source: Source, reading: Reading, counts: EntryCounts | None = None, kept: Kept | None = None
    ) -> None:
        """counts: of entries, where reading.redraw asks for them. kept: memory for what `kept` counts."""
        self.source, self.reading, self._counts = source, reading, counts
        self._kept = kept
        self._told: Counter[Fault | None] = Counter()

    @property
    def is_sifted(self) -> bool:
        """Whether samples are left out that only their rows tell of."""
        return self.reading.is_sifted or bool(self.source.forgotten)

    @property
    def _rows(self) -> bool:
        return self.is_sifted or bool(self.reading.columns) or set(self.reading.texts) != {CHOSEN}

    @property
    def counts_first(self) -> bool:
        """Whether ranks get equally many only where it was counted before what an epoch keeps."""
        return self.reading.even is not None and self.is_sifted

    def kept(self, epoch: int) -> Ints:
        """Samples per part that an epoch keeps, int64. Reads all rows, and no media: once for stored draws, once per
        epoch of a redraw, and anew when more is forgotten.
        """
        kept = self._kept = self._kept or Kept(self.source.sizes)
        now = digest(epoch if self.reading.redraw else 0, self.source.sizes.tolist(), sorted(self.source.forgotten))
        mark = int(now[:15], 16) + 1
        if kept.mark != mark:
            for part in range(len(self.source.sizes)):
                kept.put(part, self._kept_places(part, epoch))
            kept.finish(mark)
        return kept.counts

    @property
    def counts(self) -> Ints | None:
        """What `kept` counted last; None: ranks need no count."""
        return self._kept.counts if self.counts_first and self._kept is not None else None

    def size(self, share: Share, sizes: Ints) -> int:
        """Samples of a share; not all of them need be kept. sizes: as for `samples`."""
        first, last = self._stretch(share, sizes)
        return last - first

    def samples(self, share: Share, sizes: Ints, tally: Tally) -> Iterator[tuple[int, Sample]]:
        """(how many of the share are done with this one, the sample).

        sizes: samples per part, or what `kept` counted. tally: is added to. Raises SampleFaultError and ShardError for
        broken ones unless they are skipped, InputError where `even` finds nothing to stand in for them.
        """
        raws = self._raws(share, sizes, tally)
        ahead: deque[Item] = deque()
        while (item := ahead.popleft() if ahead else next(raws, None)) is not None:
            sample = self._tried(item[1], share.epoch, tally)
            if sample is None and self.reading.even is not None:
                sample = self._stand_in(raws, ahead, share, sizes)
                tally[STAND_INS] += 1
            if sample is not None:
                tally[SAMPLES] += 1
                yield item[0], sample

    def _stand_in(self, raws: Iterator[Item], ahead: deque[Item], share: Share, sizes: Ints) -> Sample:
        """The next sound sample of the share, or behind the last one its first."""
        for _, raw in tuple(ahead):
            if (sample := self._tried(raw, share.epoch, Counter())) is not None:
                return sample
        for item in raws:
            ahead.append(item)
            if (sample := self._tried(item[1], share.epoch, Counter())) is not None:
                return sample
        for _, raw in self._raws(replace(share, first=0), sizes, Counter()):
            if (sample := self._tried(raw, share.epoch, Counter())) is not None:
                return sample
        raise InputError("a worker's share has no sound sample to stand in for its broken ones: look at the shards")

    def _stretch(self, share: Share, sizes: Ints) -> tuple[int, int]:
        return stretch(int(sizes.sum()), share.consumer, even=self.reading.even, batch=share.batch)

    def _raws(self, share: Share, sizes: Ints, tally: Tally) -> Iterator[Item]:
        """In the order in which they are handed out; samples that were read before their turn are held."""
        first, last = self._stretch(share, sizes)
        row = Epoch(share.epoch, self.reading.seed, self.reading.shuffle)
        order = row.places(last - first, first)[share.first :]
        reader = self._read(row.pieces(sizes, first, last), np.sort(order), share.epoch)
        held: dict[int, Raw | str] = {}
        for done, place in enumerate(order.tolist(), share.first + 1):
            while place not in held:
                at, found = next(reader)
                held[at] = found
            raw = held.pop(place)
            if isinstance(raw, str):
                tally[LEFT_OUT + raw] += 1
            else:
                yield done, raw

    def _read(self, pieces: list[Piece], wanted: Ints, epoch: int) -> Iterator[tuple[int, Raw | str]]:
        """(place, sample or why it is left out) of the wanted places of some pieces in a row, ascending."""
        begin = 0
        for piece in pieces:
            first, last = np.searchsorted(wanted, [begin, begin + len(piece)])
            places = wanted[first:last]
            begin += len(piece)
            if len(places):
                positions = places - (begin - len(piece)) + piece.start
                if self.counts_first and self._kept is not None:
                    positions = self._kept.places(piece.part)[positions]
                yield from zip(places.tolist(), self._sifted(piece.part, positions, epoch), strict=True)

    def _sifted(self, part: int, positions: Ints, epoch: int) -> Iterator[Raw | str]:
        raws = self._whole(part, positions)
        if not self.is_sifted:
            yield from raws
            return
        balancer, is_counted = self._balancer(epoch), self.counts_first
        while some := list(islice(raws, _AT_ONCE)):
            for raw, reason in zip(some, _judged(balancer, some), strict=True):
                if reason is not None and is_counted:  # forgotten since it was counted
                    raw.fault = SampleFaultError.of(Fault.LEFT_OUT, f"{raw.where}: {reason}")
                yield raw if reason is None or is_counted else reason

    def _balancer(self, epoch: int) -> Balancer:
        return Balancer(self.reading, self._counts, self.source.forgotten, epoch)

    def _whole(self, part: int, positions: Ints | None) -> Iterator[Raw]:
        """As many samples as positions (None: all), broken ones where the part cannot be read so far."""
        count = 0
        wanted = np.arange(self.source.sizes[part]) if positions is None else positions
        try:
            for raw in self.source.rows(part) if positions is None else self.source.read(part, wanted, rows=self._rows):
                count += 1
                yield raw
        except (ShardError, InputError) as error:  # the second: it was there, and is gone
            if self.reading.on_error == "raise":
                raise
            for position in wanted[count:].tolist():
                yield Raw("", str(error), position, {}, None, SampleFaultError.of(Fault.TORN_SHARD, str(error)))

    def _kept_places(self, part: int, epoch: int) -> Ints:
        """Positions in a part; those of broken samples, too."""
        balancer, raws = self._balancer(epoch), self._whole(part, None)
        kept: list[int] = []
        while some := list(islice(raws, _AT_ONCE)):
            reasons = _judged(balancer, some)
            kept += [raw.position for reason, raw in zip(reasons, some, strict=True) if reason is None]
        return np.array(kept, np.int64)

    def _tried(self, raw: Raw, epoch: int, tally: Tally) -> Sample | None:
        try:
            return self._finished(raw, epoch)
        except SampleFaultError as fault:
            if self.reading.on_error == "raise":
                raise
            tally[f"{SKIPPED}{fault.fault}"] += 1
            self._tell(fault)
            return None

    def _finished(self, raw: Raw, epoch: int) -> Sample:
        if raw.fault is not None:
            raise raw.fault
        row = raw.row or {}
        text = self._text(raw, epoch)
        sample: Sample = {"key": raw.key, **self._pictures(raw)}
        sample["text"] = text if self.reading.tokenizer is None else self.reading.tokenizer(text)
        for name in self.reading.columns:
            if name not in row and "sample_id" in row:
                _check_column(name)
            sample[name] = row.get(name)
        return sample

    def _text(self, raw: Raw, epoch: int) -> str:
        choice = TextChoice(self.reading.texts, self.reading.seed, epoch)
        words = raw.text()
        try:
            found = choice.of({"text": words, **(raw.row or {})}, raw.key, raw.texts)
        except HOSTILE as error:
            raise bad_row(raw.where, error) from None
        if found is None or not found["text"]:
            names = ", ".join(self.reading.texts)
            raise SampleFaultError.of(Fault.NO_TEXT, f"{raw.where}: it has no text of {names}{_hint(names)}")
        return str(found["text"])

    def _pictures(self, raw: Raw) -> Sample:
        reading = self.reading
        name = "video" if reading.as_video else "image"
        try:
            parts = self.source.load(raw)
            if reading.picture == "bytes":
                extension, files = media_of(parts)
                return {"extension": extension, name: files[0] if len(files) == 1 else files}
            frames = pictures(parts, reading.frames if reading.as_video else 1, reading.size)
        except SampleFaultError as fault:
            raise SampleFaultError.of(fault.fault, f"{raw.where}: {fault}") from None
        picture = formed(frames, reading.picture, as_video=reading.as_video)
        return {name: picture if reading.transform is None else reading.transform(picture)}

    def _tell(self, fault: SampleFaultError) -> None:
        self._told[fault.fault] += 1
        if self._told[fault.fault] <= _TOLD:
            log.warning("skipped a sample: %s: %s", fault.fault, fault)


def _judged(balancer: Balancer, raws: list[Raw]) -> list[str | None]:
    """Why each is left out; those that stay are told their texts. Broken ones stay: they are dealt with when it is
    their turn.
    """
    sound = [raw for raw in raws if raw.row is not None]
    verdicts = balancer.verdicts([raw.row or {} for raw in sound], [raw.key for raw in sound])
    for raw, verdict in zip(sound, verdicts, strict=True):
        raw.texts = verdict.texts
        if verdict.fault is not None:
            raw.fault = bad_row(raw.where, verdict.fault)
    found = iter(verdicts)
    return [None if raw.row is None else next(found).reason for raw in raws]


@cache
def _check_column(name: str) -> None:
    """Raises InputError for what no row of ours has. JSON leaves out nulls, so that a row alone does not tell."""
    from curation.schemas import MANIFEST

    if name not in {*MANIFEST.columns, *COLUMNS}:
        raise InputError(f"columns names {name!r}, which the manifest has not: it has {', '.join(MANIFEST.columns)}")


def _hint(names: str) -> str:
    return " that weighs anything: text=('weighted', 'chosen') takes the chosen one then" if names == WEIGHTED else ""
