"""All texts of some samples: what pages say of their media, and what captioners say of them; each once.

A text of a page that the captioner `alt` gives too is that caption. Which texts are about a clip, and about which part
of it, is decided as `curation.captions.words` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.captions.words import NO_SOURCE, SHARE, kind_of_source
from curation.crawl.page import TEXT_SOURCES
from curation.errors import StageError
from curation.schemas import CAPTIONS, CHOSEN_CAPTIONS, SAMPLE_TEXTS
from curation.schemas.manifest import TEXT
from curation.stages.match import source_ranks

ALT = "alt"
"""Captioner of texts of pages that no captioner gives."""
OF_CAPTIONS = pa.schema([
    CAPTIONS.schema.field(name)
    for name in ("sample_id", "captioner", "kind", "ordinal", "status", "text", "lang", "start_ms", "end_ms", "score",
                 "pair_id", "text_media_id", "model")
])  # fmt: skip
"""Columns of captions that are read, but for what `scored` adds: similarity and text_similarity."""
SIMILARITIES = (pa.field("similarity", pa.float32()), pa.field("text_similarity", pa.float32()))
OF_CHOSEN = pa.schema([
    CHOSEN_CAPTIONS.schema.field(name)
    for name in ("sample_id", "captioner", "kind", "ordinal", "vocabulary_lang", "entry_ids")
])  # fmt: skip
OF_PAIRS = pa.schema([field for field in SAMPLE_TEXTS.schema if field.name != "keep_before"])

_LAST = np.iinfo(np.int64).max
_IDENTITY = ("captioner", "kind", "ordinal")

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """text_sources: `match.text_sources`. weights: `manifest.text_weights`."""

    text_sources: dict[str, list[str]] | None
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Batch:
    """Whole media: rows of `samples`, and what is said of them. captions: None where the recipe has none.

    pairs: by media_id and pair_id. captions: OF_CAPTIONS and SIMILARITIES, those that are texts, by sample. chosen:
    OF_CHOSEN. durations: milliseconds of each sample's video; 0: not known, or there is no video; videos: where is one.
    """

    samples: pa.Table
    pairs: pa.Table
    captions: pa.Table | None
    chosen: pa.Table
    durations: Ints
    videos: Mask


@dataclass(frozen=True)
class SampleTexts:
    """texts: of the kept samples one after the other, the one that stands for it first. offsets: where each begins.

    has_text: of all samples whether one stands for it. brief, detailed: of all samples.
    """

    texts: pa.StructArray
    offsets: Ints
    has_text: Mask
    brief: pa.Array
    detailed: pa.Array

    def first(self, name: str) -> pa.Array:
        """A field of the text that stands for each kept sample."""
        return self.texts.field(name).take(pa.array(self.offsets[:-1]))


class Pairs:
    """Final pairs about the media of a batch, and for each sample those that are about it."""

    def __init__(self, batch: Batch, rules: Rules) -> None:
        samples, self.table = batch.samples, batch.pairs
        media = pc.unique(samples.column("media_id"))
        codes = np.asarray(pc.fill_null(pc.index_in(self.table.column("media_id"), value_set=media), -1))
        self.starts = np.searchsorted(codes, np.arange(len(media) + 1)).astype(np.int64)
        self.of_sample = np.asarray(pc.index_in(samples.column("media_id"), value_set=media)).astype(np.int64)
        if (codes < 0).any() or (np.diff(self.starts) == 0).any():
            raise StageError("samples and their texts differ: redo the run in a fresh --work folder")
        counts = np.diff(self.starts)[self.of_sample]
        self.sample = np.repeat(np.arange(samples.num_rows), counts)
        within = np.arange(len(self.sample)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.pair = self.starts[self.of_sample][self.sample] + within
        self._place(batch)
        self.ranks = np.asarray(source_ranks(_one_batch(self.table), rules.text_sources).fill_null(len(TEXT_SOURCES)))
        self.critical = np.asarray(self.table.column("critical_threshold"))

    def _place(self, batch: Batch) -> None:
        """Leaves out what is about other parts of a video; sets the spans of the rest, NULL where it is all of it."""
        start = _numbers(self.table, "start_ms", -1)
        timed = (start[self.pair] >= 0) & batch.videos[self.sample]
        own_start, own_end = (_numbers(batch.samples, name, 0)[self.sample] for name in ("start_ms", "end_ms"))
        durations = batch.durations[self.sample]
        last = np.where(durations > 0, durations, own_end)
        said = _numbers(self.table, "end_ms", -1)[self.pair]
        end = np.where(said >= 0, said, np.minimum(self._next_start(start)[self.pair], last))
        begin, until = start[self.pair], np.maximum(end, start[self.pair])
        low, high = np.maximum(begin, own_start), np.minimum(until, own_end)
        lies_in = (high > low) & (high - low >= SHARE * np.minimum(until - begin, own_end - own_start))
        whole = ~timed | ((low == own_start) & (high == own_end))
        stays = ~timed | lies_in
        self.sample, self.pair = self.sample[stays], self.pair[stays]
        self.whole = whole[stays]
        self.start_ms = pa.array((low - own_start)[stays], mask=self.whole)
        self.end_ms = pa.array((high - own_start)[stays], mask=self.whole)

    def _next_start(self, start: Ints) -> Ints:
        """For each pair where the next part of the same media begins, by what was said about the same one."""
        following = np.full(len(start), _LAST)
        rows = np.flatnonzero(start >= 0)
        if not len(rows):
            return following
        media, about = (_codes(self.table.column(name).take(pa.array(rows))) for name in ("media_id", "text_media_id"))
        order = np.lexsort((start[rows], about, media))
        media, about, begins = media[order], about[order], start[rows][order]
        starts = np.flatnonzero(_firsts(media) | _firsts(about) | _firsts(begins))
        same = (np.diff(media[starts]) == 0) & (np.diff(about[starts]) == 0)
        found = np.append(np.where(same, begins[starts[1:]], _LAST), _LAST)
        found = np.repeat(found, np.diff(starts, append=len(rows)))
        following[rows[order]] = found
        return following

    def best(self) -> Ints:
        """Of each sample that has one the row of (sample, pair) that stands for it: the best text source, then the
        lowest critical threshold, then pair_id. What is about a part of it does not.
        """
        rows = np.flatnonzero(self.whole)
        pair, sample = self.pair[rows], self.sample[rows]
        rows = rows[np.lexsort((pair, self.critical[pair], self.ranks[pair], sample))]
        return rows[_firsts(self.sample[rows])]

    def of_media(self, column: str, way: np.ufunc) -> npt.NDArray[np.float64]:
        """Of each sample the highest (np.maximum) or lowest value of its media's pairs."""
        values = np.asarray(self.table.column(column))
        return np.asarray(way.reduceat(values, self.starts[:-1])[self.of_sample]) if len(values) else np.zeros(0)


def texts_of(batch: Batch, pairs: Pairs, rules: Rules, stays: Mask) -> SampleTexts:
    """The texts of samples. stays: which are wanted of those that have one that stands for them."""
    captions = _no_captions() if batch.captions is None else batch.captions
    of_caption = np.asarray(pc.index_in(captions.column("sample_id"), value_set=batch.samples.column("sample_id")))
    of_pair = pc.index_in(captions.column("pair_id"), value_set=pairs.table.column("pair_id"))
    of_pair = pc.if_else(pc.is_valid(captions.column("text_media_id")), of_pair, pa.scalar(None, pa.int32()))
    told = pc.drop_null(of_pair)
    width = max(1, pairs.table.num_rows)
    known = of_caption[np.asarray(pc.is_valid(of_pair))] * width + np.asarray(told)
    left = np.flatnonzero(~np.isin(pairs.sample * width + pairs.pair, known))
    first = _chosen(batch, captions, of_caption) if batch.captions is not None else _first(pairs, left)
    parts = _Parts(captions, pairs, left, of_caption, of_pair)
    has_text = np.zeros(batch.samples.num_rows, bool)
    has_text[parts.sample[first]] = True
    rows = parts.ordered(first, stays & has_text)
    counts = np.bincount(parts.sample[rows], minlength=len(stays))[stays & has_text]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    texts = parts.structs(rows, first, batch.chosen, rules)
    brief, detailed = (_of_model(captions, of_caption, len(stays), kinds) for kinds in (("brief", "short"),
                                                                                       ("detailed",)))  # fmt: skip
    return SampleTexts(texts, offsets, has_text, brief, detailed)


def _first(pairs: Pairs, left: Ints) -> Ints:
    """Places among `left` of the texts that stand for samples."""
    place = np.full(len(pairs.sample), -1)
    place[left] = np.arange(len(left))
    return place[pairs.best()]


def _chosen(batch: Batch, captions: pa.Table, of_caption: Ints) -> Ints:
    """Rows of captions that were chosen, in the order of `chosen`. Raises StageError where one is not there."""
    of_chosen = np.asarray(pc.index_in(batch.chosen.column("sample_id"), value_set=batch.samples.column("sample_id")))
    place = np.full(batch.samples.num_rows, -1)
    place[of_chosen] = np.arange(len(of_chosen))
    wanted = pa.array(place[of_caption], mask=place[of_caption] < 0)
    same = np.ones(captions.num_rows, bool)
    for name in _IDENTITY:
        same &= np.asarray(pc.fill_null(pc.equal(batch.chosen.column(name).take(wanted), captions.column(name)), False))
    rows = np.flatnonzero(same)
    if len(rows) != len(of_chosen):
        raise StageError("captions and chosen_captions differ: redo the run in a fresh --work folder")
    return rows[np.argsort(place[of_caption[rows]])]


class _Parts:
    """Captions, and behind them the pairs that are no captions, as rows of one numbering."""

    def __init__(self, captions: pa.Table, pairs: Pairs, left: Ints, of_caption: Ints, of_pair: pa.Array) -> None:
        self._captions, self._pairs, self._left = captions, pairs, left
        self._number = captions.num_rows
        own = pa.array(pairs.pair[left], of_pair.type)
        self._pair = pa.concat_arrays([*_chunks(of_pair), own])  # place in pairs; null: it is none
        self.sample = np.concatenate([of_caption, pairs.sample[left]]).astype(np.int64)

    def ordered(self, first: Ints, stays: Mask) -> Ints:
        """Rows of the samples that stay: of each the one that stands for it, then captions as they came, then pairs by
        text source, critical threshold and pair_id.
        """
        pair, captions = self._pairs.pair[self._left], self._number
        nothing = np.zeros(captions)
        rank, critical = self._pairs.ranks[pair], self._pairs.critical[pair]
        place = np.concatenate([np.arange(captions), captions + pair])
        later = np.ones(len(self.sample), bool)
        later[first] = False
        is_pair = np.arange(len(self.sample)) >= captions
        order = np.lexsort((place, np.concatenate([nothing, critical]), np.concatenate([nothing, rank]), is_pair,
                            later, self.sample))  # fmt: skip
        kept: Ints = order[stays[self.sample[order]]]
        return kept

    def structs(self, rows: Ints, first: Ints, chosen: pa.Table, rules: Rules) -> pa.StructArray:
        """TEXT of some rows."""
        columns = {name: self._both(name, rows) for name in ("text", "lang", "pair_id", "text_media_id")}
        columns |= self._spans(rows)
        columns |= {name: self._of_captions(name, rows) for name in ("model", "score", "similarity", "text_similarity")}
        columns |= self._labels(rows)
        pair = self._pair.take(pa.array(rows))
        for name in ("keep_probability", "critical_threshold", "page_url", "licence", "archive", "record_offset"):
            columns[name] = self._pairs.table.column(name).take(pair)
        columns["text_sources"] = _lists(self._pairs.table.column("text_sources").chunks, pair)
        columns |= self._entries(rows, pair, first, chosen)
        columns["weight"] = _weights(columns, rules.weights)
        fields = list(TEXT)
        return pa.StructArray.from_arrays([_array(columns[each.name], each.type) for each in fields], fields=fields)

    def _both(self, name: str, rows: Ints) -> pa.Array:
        """A column that captions and pairs have."""
        places = np.concatenate([np.arange(self._number), self._number + self._pairs.pair[self._left]])[rows]
        both = [*self._captions.column(name).chunks, *self._pairs.table.column(name).chunks]
        return pa.chunked_array(both, self._pairs.table.column(name).type).combine_chunks().take(pa.array(places))

    def _of_captions(self, name: str, rows: Ints) -> pa.Array:
        return self._captions.column(name).take(pa.array(rows, mask=rows >= self._number))

    def _spans(self, rows: Ints) -> dict[str, pa.Array]:
        columns = {"start_ms": self._pairs.start_ms, "end_ms": self._pairs.end_ms}
        return {
            name: pa.concat_arrays([*self._captions.column(name).chunks, own.take(pa.array(self._left))]).take(
                pa.array(rows)
            )
            for name, own in columns.items()
        }

    def _labels(self, rows: Ints) -> dict[str, pa.Array]:
        kinds = _kinds(self._pairs.table.column("text_sources")).take(pa.array(self._pairs.pair[self._left]))
        named = pa.repeat(ALT, len(self._left))
        parts = {"captioner": named, "kind": kinds}
        return {
            name: pa.concat_arrays([*self._captions.column(name).chunks, own]).take(pa.array(rows))
            for name, own in parts.items()
        }

    def _entries(self, rows: Ints, pair: pa.Array, first: Ints, chosen: pa.Table) -> dict[str, pa.Array]:
        """Entries of pairs, and of the captions that were chosen."""
        pairs = self._pairs.table
        if not chosen.num_rows:
            return {"vocabulary_lang": pairs.column("vocabulary_lang").take(pair),
                    "entry_ids": _lists(pairs.column("entry_ids").chunks, pair)}  # fmt: skip
        place = np.full(len(self.sample), -1)
        place[first] = np.arange(len(first)) + pairs.num_rows
        place = np.where(place >= 0, place, np.asarray(pc.fill_null(self._pair, -1)))[rows]
        places = pa.array(place, mask=place < 0)
        langs, lists = ([*pairs.column(name).chunks, *chosen.column(name).chunks]
                        for name in ("vocabulary_lang", "entry_ids"))  # fmt: skip
        return {"vocabulary_lang": pa.chunked_array(langs).combine_chunks().take(places),
                "entry_ids": _lists(lists, places)}  # fmt: skip


def _of_model(captions: pa.Table, of_caption: Ints, samples: int, kinds: Sequence[str]) -> pa.Array:
    """Of each sample the first text of a model of the first of some kinds that it has; null: none."""
    rank = np.asarray(pc.fill_null(pc.index_in(captions.column("kind"), value_set=pa.array(kinds)), len(kinds)))
    able = pc.and_(pc.is_valid(captions.column("model")), pc.is_null(captions.column("start_ms")))
    rows = np.flatnonzero(np.asarray(able) & (rank < len(kinds)))
    rows = rows[np.lexsort((rows, rank[rows], of_caption[rows]))]
    rows = rows[_firsts(of_caption[rows])]
    place = np.full(samples, -1)
    place[of_caption[rows]] = rows
    return captions.column("text").take(pa.array(place, mask=place < 0)).combine_chunks()


def _kinds(text_sources: pa.ChunkedArray) -> pa.Array:
    """Kind of each text by its best source, as the captioner `alt` has it."""
    lists = text_sources.combine_chunks()
    rank = pc.index_in(lists.flatten(), value_set=pa.array(TEXT_SOURCES))
    rank = np.asarray(pc.fill_null(rank, len(TEXT_SOURCES)))
    parents = np.asarray(pc.list_parent_indices(lists))
    order = np.lexsort((np.arange(len(rank)), rank, parents))  # sources of a text are sorted
    best = order[_firsts(parents[order])]
    found = lists.flatten().take(pa.array(best)).dictionary_encode()
    words = pa.array([kind_of_source(source) for source in found.dictionary.to_pylist()], pa.string())
    place = np.full(len(lists), len(best))
    place[parents[best]] = np.arange(len(best))
    return pa.concat_arrays([words.take(found.indices), pa.array([NO_SOURCE])]).take(pa.array(place))


def _weights(columns: Mapping[str, pa.Array], weights: Mapping[str, float]) -> pa.Array:
    labels = pc.binary_join_element_wise(columns["captioner"], columns["kind"], ".").dictionary_encode()
    names = labels.dictionary.to_pylist()
    whole = [weights.get(name, weights.get(name.partition(".")[0], 1.0)) for name in names]
    parts = [weights.get(name, 0.0) for name in names]
    told = (pa.array(values, pa.float32()).take(labels.indices) for values in (whole, parts))
    return pc.if_else(pc.is_null(columns["start_ms"]), *told)


def _no_captions() -> pa.Table:
    return pa.schema([*OF_CAPTIONS, *SIMILARITIES]).empty_table()


def _firsts(values: npt.NDArray[Any]) -> Mask:
    """Where a value is another one than that before it."""
    first = np.ones(len(values), bool)
    first[1:] = values[1:] != values[:-1]
    return first


def _codes(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.combine_chunks().dictionary_encode().indices).astype(np.int64)


def _numbers(rows: pa.Table, name: str, missing: int) -> Ints:
    return np.asarray(pc.fill_null(rows.column(name), missing)).astype(np.int64)


def _lists(parts: Sequence[pa.Array], places: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Some of the lists that parts hold, empty where there is no place."""
    every = pa.concat_arrays([*parts, pa.array([[]], parts[0].type)])
    return every.take(pc.fill_null(places, len(every) - 1))


def _array(column: pa.Array | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.cast(kind)


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
