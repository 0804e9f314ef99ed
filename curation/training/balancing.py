"""Online balance: which samples an epoch has at a threshold, by what is stored with them.

    stored     critical_threshold <= t: sets of different t lie within each other, and every epoch has the same
    redraw     u < keep(t) / keep_probability, with keep(t) = 1 - product over the text's entries of (1 - p_e), and
               p_e = 1 where an entry's count is below t, else t / count; u is drawn anew per epoch

keep_probability is that with which a sample came into the set. Divided by it, the whole of both draws has probability
keep(t), as if all of the pool were at hand; where the set is all of the pool it is 1, and the draw the plain formula.
What the set has lost to its own threshold comes back at no t.

u comes from curation.balance.uniforms: the id is pair_id(sample_id, text), the salt the number of the epoch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import entry_probabilities, keep_probabilities, pair_id, uniforms
from curation.errors import BalanceError, InputError
from curation.storage import Store
from curation.training.reading import Reading
from curation.training.texts import Row, TextChoice

Floats = npt.NDArray[np.float64]
Group = tuple[str, str]
"""Modality and vocabulary language."""

FORGOTTEN: Final = "forgotten"
_COLUMNS: Final = ["modality", "vocabulary_lang", "entry_id", "count"]


class EntryCounts:
    """Texts per entry of the pool that was balanced, by modality and vocabulary language."""

    def __init__(self, counts: Mapping[Group, Floats]) -> None:
        self.counts = dict(counts)

    @classmethod
    def read(cls, location: str | Path) -> EntryCounts:
        """From the dataset entry_probabilities: a Parquet file, or a work folder. Raises InputError."""
        try:
            batches = list(cls._batches(str(location)))
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            raise InputError(f"{location} holds no counts of entries: give a work folder, or the Parquet file of its "
                             f"entry_probabilities ({error})") from None  # fmt: skip
        table = pa.Table.from_batches(batches, None if batches else pa.schema([(name, pa.null()) for name in _COLUMNS]))
        found: dict[Group, Floats] = {}
        for group in table.group_by(_COLUMNS[:2]).aggregate([]).to_pylist():
            same = [pc.equal(table.column(name), value) for name, value in group.items()]
            own = table.filter(pc.and_(*same))
            ids = own.column("entry_id").to_numpy()
            counts = np.zeros(int(ids.max()) + 1)
            counts[ids] = own.column("count").to_numpy()
            found[group["modality"], group["vocabulary_lang"]] = counts
        return cls(found)

    @staticmethod
    def _batches(location: str) -> Iterator[pa.RecordBatch]:
        if location.endswith(".parquet"):
            folder, _, name = location.rpartition("/")
            return Store.at(folder or ".").batches([name], _COLUMNS)
        from curation.pipeline import ALL_STAGES
        from curation.runner.catalog import Catalog
        from curation.schemas import ENTRY_PROBABILITIES

        store = Store.at(location)
        files = Catalog(store, ALL_STAGES).files(ENTRY_PROBABILITIES.name)
        return store.batches([file.removeprefix(f"{store.root}/") for file in files], _COLUMNS)

    def of(self, group: Group) -> Floats:
        """(entries,) of a modality and language. Raises BalanceError where nothing is known of it."""
        if group not in self.counts:
            known = ", ".join(sorted("/".join(each) for each in self.counts)) or "none"
            raise BalanceError(f"no counts of entries for {'/'.join(group)}, only for: {known}")
        return self.counts[group]


class Balancer:
    """Says which samples an epoch leaves out, and why. Raises InputError where counts are needed that nobody has."""

    def __init__(self, reading: Reading, counts: EntryCounts | None, forgotten: frozenset[str], epoch: int) -> None:
        self._reading, self._counts, self._forgotten, self._epoch = reading, counts, forgotten, epoch
        self._texts = TextChoice(reading.texts, reading.seed, epoch, forgotten)
        self._probabilities: dict[Group, Floats] = {}

    def left_out(self, rows: Sequence[Row], keys: Sequence[str]) -> list[str | None]:
        """The reason per sample; None: it stays. keys: as the samples are called."""
        reasons = [self._reason(row) for row in rows]
        if self._reading.redraw:
            left = [place for place, reason in enumerate(reasons) if reason is None]
            for place in self._not_drawn([(rows[place], keys[place], place) for place in left]):
                reasons[place] = "t"
        return reasons

    def _reason(self, row: Row) -> str | None:
        if self._forgotten and row.get("media_id") in self._forgotten:
            return FORGOTTEN
        if self._reading.modality is not None and row.get("modality", "image") != self._reading.modality:
            return "modality"
        if self._reading.t is None or self._reading.redraw:
            return None
        if "critical_threshold" not in row:
            raise InputError("these samples carry no critical_threshold: only what this software exports can be "
                             "balanced by t")  # fmt: skip
        critical = row["critical_threshold"]
        return None if critical is not None and critical <= self._threshold(row) else "t"

    def _not_drawn(self, samples: Sequence[tuple[Row, str, int]]) -> list[int]:
        groups: dict[Group, list[tuple[Row, Row, int]]] = defaultdict(list)
        lost = []
        for row, key, place in samples:
            text = self._texts.of(row, key)
            if text is None or text.get("vocabulary_lang") is None or not text.get("entry_ids"):
                lost.append(place)  # no entry: keep(t) is 0
            else:
                groups[row["modality"], text["vocabulary_lang"]].append((row, text, place))
        for group, members in groups.items():
            kept = self._draws(group, members)
            lost += [place for (_, _, place), stays in zip(members, kept, strict=True) if not stays]
        return lost

    def _draws(self, group: Group, members: Sequence[tuple[Row, Row, int]]) -> npt.NDArray[np.bool_]:
        offsets = np.cumsum([0, *(len(text["entry_ids"]) for _, text, _ in members)])
        entries = np.concatenate([np.asarray(text["entry_ids"], np.int32) for _, text, _ in members])
        keep = keep_probabilities(offsets, entries, self._of(group, members[0][0]))
        before = np.array([row["keep_probability"] for row, _, _ in members])
        ids = pa.array([pair_id(row["sample_id"], text["text"]) for row, text, _ in members])
        return np.asarray(uniforms(ids, self._reading.seed, self._epoch) * before < keep)

    def _of(self, group: Group, row: Row) -> Floats:
        if group not in self._probabilities:
            if self._counts is None:
                raise InputError("redraw needs counts of entries: give entries, a work folder or a Parquet file")
            threshold = self._threshold({**row, "vocabulary_lang": group[1]})
            self._probabilities[group] = entry_probabilities(self._counts.of(group), threshold)
        return self._probabilities[group]

    def _threshold(self, row: Row) -> float:
        t = self._reading.t
        if not isinstance(t, Mapping):
            return float(t or 0)
        lang = str(row.get("vocabulary_lang"))
        found = t.get(f"{row.get('modality')}/{lang}", t.get(lang))
        if found is None:
            raise BalanceError(f"t names no threshold for {row.get('modality')}/{lang}: it has {', '.join(t)}")
        return float(found)
