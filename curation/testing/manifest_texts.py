"""Texts and concepts of made-up manifests: a balanced long tail of the starter vocabularies' entries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import critical_thresholds, keep_probabilities, pair_ids
from curation.schemas.manifest import TEXT
from curation.testing.concepts import starter_entries
from curation.testing.rows import Indices, mixed, uniform

Floats = npt.NDArray[np.float64]

LANGUAGES: Mapping[str, float] = {"en": 0.6, "de": 0.12, "fr": 0.1, "es": 0.08, "ja": 0.06, "ru": 0.04}
"""Share of media by language of their texts."""

_EXPONENT = 1.05  # of the pool's counts by rank
_THINNED = 30  # entries of a vocabulary that are above their threshold
_ENTRIES_PER_TEXT = 1.4
_SAYS = {
    "en": ("photo of a {}", "the {} by the river", "my {} again"),
    "de": ("Foto: {}", "hier: {} am Fluss", "noch einmal {}"),
    "fr": ("photo : {}", "ici, {} au bord de l'eau", "encore {}"),
    "es": ("foto: {}", "aquí, {} junto al río", "otra vez {}"),
    "ja": ("{}の写真", "川のそばの{}", "また{}"),
    "ru": ("фото: {}", "здесь {} у реки", "снова {}"),
}
_ENDS = ("", ", seen from above", " (2024)", " - Lumivar", ' <b>new</b> & "old"', " " + "on and on " * 12)
_SOURCES = ("alt", "figcaption", "og:title", "title", "schema:name")
_SLOTS = ((2, "vlm", "brief"), (0, "alt", ""), (1, "alt", ""), (3, "vlm", "detailed"), (4, "words", "subtitles"))
"""Texts of a sample in order, where they are there: number, captioner, kind (empty: the text source)."""


class Picks:
    """Random numbers by row number and purpose."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def uniform(self, numbers: Indices, salt: str) -> Floats:
        return uniform(numbers, self._seed, salt)

    def words(self, numbers: Indices, salt: str) -> npt.NDArray[np.uint64]:
        return mixed(numbers, self._seed, salt)

    def choice(self, numbers: Indices, salt: str, count: int) -> Indices:
        return (self.uniform(numbers, salt) * count).astype(np.int64)

    def hexes(self, numbers: Indices, salt: str, digits: int) -> pa.Array:
        """Strings of so many hex digits."""
        words = [self.words(numbers, f"{salt} {place}").byteswap() for place in range(-(-digits // 16))]
        text = np.stack(words, axis=1).tobytes().hex()
        width = 16 * len(words)
        places = np.arange(0, width * len(numbers) + 1, width, dtype=np.int32)
        whole = pa.StringArray.from_buffers(len(numbers), pa.py_buffer(places), pa.py_buffer(text.encode()))
        return pc.utf8_slice_codeunits(whole, 0, digits)

    def days(self, numbers: Indices) -> pa.Array:
        """ISO dates of ten years."""
        days = pa.array((14_600 + self.choice(numbers, "day", 3650)).astype(np.int32), pa.date32())
        return days.cast(pa.string())


class Concepts:
    """Vocabularies, counts and thresholds of a manifest of so many samples, by language."""

    def __init__(self, samples: int) -> None:
        self.entries: dict[str, pa.Array] = {}
        self.counts: dict[str, Floats] = {}
        self.thresholds: dict[str, float] = {}
        self._drawn: dict[str, Floats] = {}
        self.begins: dict[str, int] = {}
        for lang, share in LANGUAGES.items():
            words = pa.array(starter_entries(lang))
            pool = _ranks(len(words)) ** -_EXPONENT
            drawn = np.minimum(pool, _THINNED**-_EXPONENT)
            scale = samples * share * _ENTRIES_PER_TEXT / drawn.sum()
            self.begins[lang] = sum(map(len, self.entries.values()))
            self.entries[lang] = words
            self.thresholds[lang] = max(1.0, scale * _THINNED**-_EXPONENT)
            self.counts[lang] = pool * scale
            self._drawn[lang] = np.cumsum(drawn / drawn.sum())
        self.all_entries = pa.concat_arrays(list(self.entries.values()))
        self.all_counts = np.concatenate(list(self.counts.values()))
        self.probabilities = np.concatenate(
            [self.thresholds[lang] / np.maximum(self.thresholds[lang], self.counts[lang]) for lang in LANGUAGES]
        )

    def pick(self, langs: Indices, u: Floats) -> Indices:
        """An entry of each row's language, as its place in all_entries."""
        found = np.zeros(len(langs), np.int64)
        for number, lang in enumerate(LANGUAGES):
            own = langs == number
            places = np.searchsorted(self._drawn[lang], u[own], side="right")
            found[own] = self.begins[lang] + np.minimum(places, len(self._drawn[lang]) - 1)
        return found

    def local(self, langs: Indices, entries: Indices) -> Indices:
        """entry_id of places in all_entries."""
        begins: Indices = np.array(list(self.begins.values()), np.int64)
        return entries - begins[langs]


def _ranks(entries: int) -> Floats:
    """Rank by frequency, from 1, of every entry: vocabularies are in no such order."""
    return (np.argsort(mixed(np.arange(entries, dtype=np.int64), 0, "rank")) + 1).astype(np.float64)


def lists(pattern: str, numbers: Indices, count: int) -> pa.Array:
    """`pattern` filled with each number, which is below `count`."""
    return pa.array([pattern.format(number) for number in range(count)]).take(pa.array(numbers))


def texts_of(
    numbers: Indices,
    media: Indices,
    is_video: npt.NDArray[np.bool_],
    known: Mapping[str, pa.Array],
    picks: Picks,
    concepts: Concepts,
) -> dict[str, pa.Array]:
    """Columns of MANIFEST about texts. known: media_id, duration_ms, page_url, licence, archive, record_offset."""
    shares = np.cumsum(list(LANGUAGES.values()))
    langs = np.minimum(np.searchsorted(shares, picks.uniform(media, "lang"), side="right"), len(shares) - 1)
    has_caption = picks.uniform(numbers, "caption") < 0.5
    there = {
        0: np.ones(len(numbers), np.bool_),
        1: picks.uniform(media, "second") < 0.25,
        2: has_caption,
        3: has_caption & (picks.uniform(numbers, "detailed") < 0.6),
        4: is_video & (picks.uniform(numbers, "words") < 0.6),
    }
    made = [_slot(slot, numbers, media, langs, known, (picks, concepts)) for slot in _SLOTS]
    rows = np.concatenate([np.flatnonzero(there[slot[0]]) for slot in _SLOTS])
    flat = pa.concat_arrays([text.filter(pa.array(there[slot[0]])) for slot, text in zip(_SLOTS, made, strict=True)])
    order = np.argsort(rows, kind="stable")
    flat = flat.take(pa.array(order))
    offsets = np.zeros(len(numbers) + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=len(numbers)), out=offsets[1:])
    texts = pa.ListArray.from_arrays(pa.array(offsets), flat, type=pa.list_(pa.field("item", TEXT, nullable=False)))
    return {"texts": texts, **_chosen(flat, offsets, made, there, has_caption)}


def _chosen(
    flat: pa.StructArray,
    offsets: npt.NDArray[np.int32],
    made: list[pa.StructArray],
    there: Mapping[int, npt.NDArray[np.bool_]],
    has_caption: npt.NDArray[np.bool_],
) -> dict[str, pa.Array]:
    rows = len(offsets) - 1
    first = flat.take(pa.array(offsets[:-1]))
    keep = np.nan_to_num(np.asarray(pc.fill_null(flat.field("keep_probability"), 0.0)))
    critical = np.asarray(pc.fill_null(flat.field("critical_threshold"), np.inf))
    starts = offsets[:-1]
    captions = {number: text.field("text") for (number, *_), text in zip(_SLOTS, made, strict=True)}
    nothing = pa.scalar(None, pa.string())
    return {
        "text": first.field("text"),
        "text_lang": first.field("lang"),
        "text_kind": pc.binary_join_element_wise(first.field("captioner"), first.field("kind"), "."),
        "text_rule": pa.repeat("captions.order", rows),
        "text_similarity": first.field("similarity"),
        "brief": pc.if_else(pa.array(has_caption), captions[2], nothing),
        "detailed": pc.if_else(pa.array(there[3]), captions[3], nothing),
        "vocabulary_lang": first.field("vocabulary_lang"),
        "entry_ids": first.field("entry_ids"),
        "keep_probability": pa.array(np.maximum.reduceat(keep, starts) if rows else keep),
        "critical_threshold": pa.array(np.minimum.reduceat(critical, starts) if rows else critical),
    }


def _slot(
    slot: tuple[int, str, str],
    numbers: Indices,
    media: Indices,
    langs: Indices,
    known: Mapping[str, pa.Array],
    of: tuple[Picks, Concepts],
) -> pa.StructArray:
    """One text of each row. Page texts are the media's, captions the sample's, in English."""
    number, captioner, kind = slot
    picks, concepts = of
    is_pair, rows = captioner == "alt", len(numbers)
    source = media if is_pair else numbers
    spoken = langs if is_pair else np.zeros(rows, np.int64)
    first = concepts.pick(spoken, picks.uniform(source, f"entry {number}"))
    second = concepts.pick(spoken, picks.uniform(source, f"more {number}"))
    two = (picks.uniform(source, f"two {number}") < _ENTRIES_PER_TEXT - 1) & (first != second)
    text = _said(first, np.where(two, second, -1), spoken, picks.choice(source, f"says {number}", 3), concepts)
    ends = picks.choice(source, f"ends {number}", 60)
    text = pc.binary_join_element_wise(text, pa.array(_ENDS).take(pa.array(np.where(ends < len(_ENDS), ends, 0))), "")
    if kind == "detailed":
        text = pc.binary_join_element_wise("A detailed look at this:", text, text, text, " ")
    columns = {
        "text": text,
        "lang": pa.array(list(LANGUAGES)).take(pa.array(spoken)),
        "captioner": pa.repeat(captioner, rows),
        "weight": pa.repeat(0.0 if number == 4 else 1.0, rows),
        "pair_id": pair_ids(known["media_id"], text),
        **_entries(first, second, two, spoken, concepts),
        **(_of_pages(source, number, known, picks) if is_pair else _of_captioners(source, number, kind, known, picks)),
    }
    if is_pair:
        columns |= _drawn(columns["entry_ids"], spoken, picks.uniform(source, f"draw {number}"), concepts)
    fields = list(TEXT)
    parts = [columns[each.name].cast(each.type) if each.name in columns else pa.nulls(rows, each.type)
             for each in fields]  # fmt: skip
    return pa.StructArray.from_arrays(parts, fields=fields)


def _said(first: Indices, second: Indices, langs: Indices, kinds: Indices, concepts: Concepts) -> pa.Array:
    """A sentence of each row's language around its entries. second: -1 where there is none."""
    said = pa.array([part for patterns in _SAYS.values() for part in patterns])
    halves = pc.split_pattern(said, "{}")
    place = pa.array(langs * 3 + kinds)
    before, after = (pc.list_element(halves, half).take(place) for half in (0, 1))
    more = concepts.all_entries.take(pa.array(second, mask=second < 0))
    more = pc.coalesce(pc.binary_join_element_wise(" + ", more, ""), "")
    return pc.binary_join_element_wise(before, concepts.all_entries.take(pa.array(first)), more, after, "")


def _entries(
    first: Indices, second: Indices, two: npt.NDArray[np.bool_], langs: Indices, concepts: Concepts
) -> dict[str, pa.Array]:
    low, high = np.minimum(first, second), np.maximum(first, second)
    pairs = np.stack([concepts.local(langs, np.where(two, low, first)), concepts.local(langs, high)], axis=1)
    counts = np.where(two, 2, 1)
    mask = np.arange(2)[None, :] < counts[:, None]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    values = pa.array(pairs[mask].astype(np.int32))
    item = TEXT.field("entry_ids").type
    return {
        "entry_ids": pa.ListArray.from_arrays(pa.array(offsets), values, type=item),
        "vocabulary_lang": pa.array(list(LANGUAGES)).take(pa.array(langs)),
    }


def _drawn(entry_ids: pa.ListArray, langs: Indices, u: Floats, concepts: Concepts) -> dict[str, pa.Array]:
    """Of texts that were drawn: u is below their keep probability."""
    offsets = np.asarray(entry_ids.offsets).astype(np.int64)
    begins = np.repeat(np.array(list(concepts.begins.values()))[langs], np.diff(offsets))
    values = (np.asarray(entry_ids.values).astype(np.int64) + begins).astype(np.int32)
    keep = keep_probabilities(offsets, values, concepts.probabilities)
    scaled = critical_thresholds(offsets, values, concepts.all_counts, u * keep)
    return {"keep_probability": pa.array(keep), "critical_threshold": pa.array(scaled)}


def _of_pages(media: Indices, number: int, known: Mapping[str, pa.Array], picks: Picks) -> dict[str, pa.Array]:
    sources = pa.array(_SOURCES).take(pa.array(np.minimum(picks.choice(media, f"source {number}", 9), 4)))
    one = np.arange(len(media) + 1, dtype=np.int32)
    columns = {name: known[name] for name in ("page_url", "licence", "archive", "record_offset")}
    text_sources = pa.ListArray.from_arrays(pa.array(one), sources, type=TEXT.field("text_sources").type)
    return {**columns, "kind": sources, "text_sources": text_sources, "text_media_id": known["media_id"]}


def _of_captioners(
    numbers: Indices, number: int, kind: str, known: Mapping[str, pa.Array], picks: Picks
) -> dict[str, pa.Array]:
    rows = len(numbers)
    none = pa.ListArray.from_arrays(pa.array(np.zeros(rows + 1, np.int32)), pa.array([], pa.string()),
                                    type=TEXT.field("text_sources").type)  # fmt: skip
    similarity = pa.array((0.2 + 0.2 * picks.uniform(numbers, f"similar {number}")).astype(np.float32))
    columns = {"kind": pa.repeat(kind, rows), "text_sources": none, "similarity": similarity}
    if number == 4:
        return {**columns, "start_ms": pa.array(np.full(rows, 500)), "end_ms": pa.array(np.full(rows, 2500))}
    return {**columns, "model": pa.repeat("vlm-small", rows)}
