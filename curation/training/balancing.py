"""Online balance: which texts of which samples an epoch has at a threshold, by what is stored with them.

Every text of a sample is kept or not on its own, as the pairs of a run are:

    stored     critical_threshold <= t: sets of different t lie within each other, and every epoch has the same
    redraw     u * keep_probability < keep(t), with keep(t) = 1 - product over the text's entries of (1 - p_e), and
               p_e = 1 where an entry's count is below t, else t / count; u is drawn anew per epoch

All three are the text's own. keep_probability is that with which it came into the set: both draws together keep it with
keep(t), as if all of the pool were at hand; where the set is all of the pool it is 1, and the draw the plain formula.
What the set has lost to its own threshold comes back at no t.

Texts that were not drawn by themselves (a model's captions) go with their sample. A sample goes when it has lost all
texts that were; one that never had any is kept by its own critical_threshold.

u comes from curation.balance.uniforms: the id is pair_id(sample_id, text), the salt the number of the epoch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import entry_probabilities, keep_probabilities, pair_id, uniforms
from curation.errors import BalanceError, InputError
from curation.storage import Store
from curation.training.faults import HOSTILE
from curation.training.reading import Reading
from curation.training.texts import Row, TextChoice, texts_of

Floats = npt.NDArray[np.float64]
Group = tuple[str, str]
"""Modality and vocabulary language."""

FORGOTTEN: Final = "forgotten"
NO_LANGUAGE: Final = "no_vocabulary_lang"
"""Reasons; beside them `t` and `modality`."""

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a sample. reason: why it is left out. texts: those that are left of it; None: all. fault: how
    its row is not as the manifest has it.
    """

    reason: str | None = None
    texts: Sequence[Row] | None = None
    fault: Exception | None = None


_STAYS: Final = Verdict()
_FORGOTTEN: Final = Verdict(FORGOTTEN)


@dataclass(slots=True)
class _Draws:
    """Texts of one modality and language that are drawn together: samples' places, numbers of their texts."""

    places: list[tuple[int, int]] = field(default_factory=list)
    entries: list[npt.NDArray[np.int32]] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


class Balancer:
    """Says what of an epoch's samples is left. Raises InputError where counts are needed that nobody has."""

    def __init__(self, reading: Reading, counts: EntryCounts | None, forgotten: frozenset[str], epoch: int) -> None:
        self._reading, self._counts, self._forgotten, self._epoch = reading, counts, forgotten, epoch
        self._choice = TextChoice(reading.texts, reading.seed, epoch)
        self._probabilities: dict[Group, Floats] = {}

    def verdicts(self, rows: Sequence[Row], keys: Sequence[str]) -> list[Verdict]:
        """One per sample. keys: as the samples are called. Raises BalanceError where t or the counts lack a language,
        InputError for rows that nobody balanced.
        """
        found = [self._left_out(row) for row in rows]
        if self._reading.t is None:
            return found
        kept = self._redrawn(rows, found) if self._reading.redraw else None
        for place, (row, key) in enumerate(zip(rows, keys, strict=True)):
            if found[place] is _STAYS:
                try:
                    left = self._stored(row) if kept is None else _among(texts_of(row), kept[place])
                    found[place] = self._of(row, key, left)
                except HOSTILE as error:
                    found[place] = Verdict(fault=error)
        return found

    def _left_out(self, row: Row) -> Verdict:
        """What has nothing to do with t."""
        try:
            if self._forgotten and self._is_forgotten(row):
                return _FORGOTTEN
        except HOSTILE as error:
            return Verdict(fault=error)
        if self._reading.modality is not None and row.get("modality", "image") != self._reading.modality:
            return Verdict("modality")
        return _STAYS

    def _is_forgotten(self, row: Row) -> bool:
        """A sample goes with any of its texts: what was said about forgotten media is in its other columns, too."""
        said = (text.get("text_media_id") for text in row.get("texts") or ())
        return row.get("media_id") in self._forgotten or any(media_id in self._forgotten for media_id in said)

    def _of(self, row: Row, key: str, left: Sequence[Row]) -> Verdict:
        texts = texts_of(row)
        if not any(map(_is_balanced, texts)):
            return self._by_row(row, self._threshold(row, row))
        own = [text for text in left if _is_balanced(text)]
        if not own:
            unknown = all(self._threshold(row, text) is None for text in texts if _is_balanced(text))
            return Verdict(NO_LANGUAGE if unknown else "t")
        if not self._reading.redraw:
            verdict = self._by_row(row, max(self._threshold(row, text) or 0.0 for text in own))
            if verdict.reason is not None:
                return verdict
        if len(left) == len(texts):
            return _STAYS
        if self._choice.of(row, key, left) is None and self._choice.of(row, key) is not None:
            return Verdict("t")  # what was asked for is what t takes
        return Verdict(texts=left)

    def _by_row(self, row: Row, threshold: float | None) -> Verdict:
        if "critical_threshold" not in row:
            raise InputError("these samples carry no critical_threshold: only what this software exports can be "
                             "balanced by t")  # fmt: skip
        if threshold is None:
            return Verdict(NO_LANGUAGE)
        critical = row["critical_threshold"]
        return _STAYS if critical is not None and critical <= threshold else Verdict("t")

    def _stored(self, row: Row) -> list[Row]:
        return [text for text in texts_of(row) if not _is_balanced(text) or self._is_below(row, text)]

    def _is_below(self, row: Row, text: Row) -> bool:
        threshold, critical = self._threshold(row, text), text.get("critical_threshold")
        return threshold is not None and critical is not None and bool(critical <= threshold)

    def _redrawn(self, rows: Sequence[Row], found: list[Verdict]) -> list[set[int]]:
        """Per sample the numbers of the texts that are left; broken ones get their fault."""
        kept: list[set[int]] = [set() for _ in rows]
        groups: dict[Group, _Draws] = defaultdict(_Draws)
        for place, row in enumerate(rows):
            if found[place] is _STAYS:
                try:
                    for number, text in enumerate(texts_of(row)):
                        if not _is_balanced(text):
                            kept[place].add(number)
                        elif text.get("entry_ids") and text.get("vocabulary_lang") is not None:  # else keep(t) is 0
                            self._add(groups, row, text, (place, number))
                except HOSTILE as error:
                    found[place] = Verdict(fault=error)
        for group, draws in groups.items():
            for (place, number), stays in zip(draws.places, self._draws(group, draws), strict=True):
                if stays:
                    kept[place].add(number)
        return kept

    def _add(self, groups: dict[Group, _Draws], row: Row, text: Row, place: tuple[int, int]) -> None:
        group = row.get("modality", "image"), text["vocabulary_lang"]
        entries = np.asarray(text["entry_ids"], np.int32)
        known = len(self._of_group(group))
        if entries.ndim != 1 or entries.min() < 0 or entries.max() >= known:
            raise ValueError(f"entry_ids {text['entry_ids']} and {known} counts: matches and counts are of different "
                             "vocabularies")  # fmt: skip
        before, name = float(text["keep_probability"]), _name_of(row["sample_id"], text["text"])
        draws = groups[group]
        draws.places.append(place)
        draws.entries.append(entries)
        draws.before.append(before)
        draws.ids.append(name)

    def _draws(self, group: Group, draws: _Draws) -> npt.NDArray[np.bool_]:
        offsets = np.cumsum([0, *map(len, draws.entries)])
        keep = keep_probabilities(offsets, np.concatenate(draws.entries), self._of_group(group))
        us = uniforms(pa.array(draws.ids), self._reading.seed, self._epoch)
        return np.asarray(us * np.array(draws.before) < keep)

    def _of_group(self, group: Group) -> Floats:
        if group not in self._probabilities:
            if self._counts is None:
                raise InputError("redraw needs counts of entries: give entries, a work folder or a Parquet file")
            threshold = self._threshold({"modality": group[0]}, {"vocabulary_lang": group[1]})
            self._probabilities[group] = entry_probabilities(self._counts.of(group), threshold or 1.0)
        return self._probabilities[group]

    def _threshold(self, row: Row, text: Row) -> float | None:
        """t for a text; None: it is of no language, and t by language."""
        t = self._reading.t
        lang = text.get("vocabulary_lang")
        if not isinstance(t, Mapping):
            return float(t or 0)
        if lang is None:
            return None
        modality = row.get("modality", "image")
        found = t.get(f"{modality}/{lang}", t.get(lang))
        if found is None:
            raise BalanceError(f"t names no threshold for {modality}/{lang}: it has {', '.join(t)}; give one for "
                               f"{lang!r}")  # fmt: skip
        return float(found)


def _is_balanced(text: Row) -> bool:
    """Whether it was drawn by itself; one that no t keeps has no critical_threshold in JSON, which lacks infinity."""
    return text.get("critical_threshold") is not None or text.get("keep_probability") is not None


def _among(texts: Sequence[Row], numbers: set[int]) -> list[Row]:
    return [text for number, text in enumerate(texts) if number in numbers]


def _name_of(sample_id: str, text: str) -> str:
    try:
        return pair_id(sample_id, text)
    except BalanceError as error:
        raise ValueError(str(error)) from None
