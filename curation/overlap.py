"""What a set of samples has in common with another set: an evaluation set, say, that training must not have seen.

other = Overlap.load("benchmarks/*.parquet", ["url", "sha256", "phash", "text"], max_distance=4, min_text_chars=20)
other.found(rows)  # "url", "sha256", "phash", "text" or null for each row of a manifest
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.digests import digest
from curation.errors import InputError
from curation.media.fingerprints import FLAT
from curation.media.hash_index import HashIndex
from curation.overlap_files import COLUMNS, HashTexts, SetFile, Values, set_files, set_values
from curation.overlap_keys import (
    MEDIA_ID,
    SHA256,
    URL,
    Keys,
    KeySet,
    comparable_texts,
    media_id_keys,
    sha256_keys,
    text_keys,
    url_keys,
)

KEYS: Final = ("url", "sha256", "phash", "text")
"""In the order in which a sample is told to be in the other set: from the surest to the others."""

_REMEMBERED = 8  # sets that a process holds at once

NEEDED: Final = {
    "url": ("media_url", "media_id"),
    "sha256": ("sha256", "fetched_sha256"),
    "phash": ("phash",),
    "text": ("texts", "text"),
}
"""Columns of a manifest by the key that is compared by them."""

Mask = npt.NDArray[np.bool_]
_Settings = tuple[str, tuple[str, ...], int, int]
"""location, by, max_distance, min_text_chars."""


class Overlap:
    """Another set, ready to be asked. Pickled, it is its location and settings; each process reads the set once.

    url: media URLs are the same where their media_ids are, after what is no part of the address was taken away (see
    curation.overlap_keys). A column media_id is compared with the sample's. sha256: of the stored bytes or of the
    fetched ones. phash: as curation.media.fingerprints makes it (other tools' hashes have other bits), at most
    max_distance bits apart; FLAT ones never match. text: letters and digits of any of a sample's texts, as a whole;
    those with fewer than min_text_chars are not compared.

    A million rows take 16 MB for each of url, sha256 and text, and 24 MB for phash with 50 MB of tables; while they
    are read, twice that.
    """

    def __init__(self, settings: _Settings, files: tuple[SetFile, ...]) -> None:
        """Reads the set: see `load`, which remembers it."""
        max_distance = settings[2]
        self._settings = settings
        self.left_out: Counter[str] = Counter()
        """Values that cannot be compared, by why: short_text, flat_phash, no_url, no_media_id."""
        keys, hashes = self._read(files)
        self._sets = {key: KeySet(keys.pop(key)) for key in ("url", "sha256", "text")}
        self._hashes = HashIndex(np.concatenate([np.zeros(0, np.uint64), *hashes]), max_distance)
        self.sizes = {**{key: len(found) for key, found in self._sets.items()}, "phash": len(self._hashes.hashes)}
        """Distinct values by key."""
        if not any(self.sizes.values()):
            raise InputError(self._nothing())
        self.fingerprint = self._fingerprint()
        """Changes with what the set holds and how it is compared; not with the order of its rows or files."""

    @classmethod
    def load(cls, location: str, by: Sequence[str], max_distance: int, min_text_chars: int) -> Overlap:
        """A set from files (path, URL, glob or folder; see curation.overlap_files.COLUMNS) or a work folder's manifest.

        by: of KEYS; a file must have columns for one of them at least. max_distance: 0 to 16 bits of 64.
        Raises InputError where there is nothing, or something that cannot be read or compared, in whatever row: what
        would be left out silently would be trained on. A set that has not changed since is not read again.
        """
        unknown = sorted(set(by) - set(KEYS))
        if unknown or not by:
            raise InputError(f"cannot compare by {', '.join(unknown) or 'nothing'}: choose of {', '.join(KEYS)}")
        settings = location, tuple(key for key in KEYS if key in by), max_distance, min_text_chars
        return _loaded(settings, set_files(location))

    def __reduce__(self) -> tuple[Any, ...]:
        return unchanged, (*self._settings, self.fingerprint)

    @property
    def by(self) -> tuple[str, ...]:
        """The keys for which the set holds something."""
        return tuple(key for key in KEYS if self.sizes[key])

    def found(self, rows: pa.RecordBatch | pa.Table) -> pa.Array:
        """For each row of a manifest the first of KEYS by which it is in the set; null where it is not."""
        first = np.full(rows.num_rows, -1, np.int8)
        for at, key in enumerate(KEYS):
            open_ = np.flatnonzero(first < 0)
            columns = [name for name in NEEDED[key] if name in rows.schema.names]
            if self.sizes[key] and len(open_) and columns:
                asked = rows.select(columns)
                asked = asked if len(open_) == rows.num_rows else asked.take(pa.array(open_))
                first[open_[self.matches(asked, key)]] = at
        return pa.array(KEYS, pa.string()).take(pa.array(first, pa.int8(), mask=first < 0))

    def matches(self, rows: pa.RecordBatch | pa.Table, key: str) -> Mask:
        """Which rows are in the set by one key, whatever the others say. A column that rows lack matches nothing."""
        places, found = self.hits(rows, key)
        result = np.zeros(rows.num_rows, bool)
        result[places[found]] = True
        return result

    def hits(self, rows: pa.RecordBatch | pa.Table, key: str) -> tuple[npt.NDArray[np.int64], Mask]:
        """For each value of the rows that is compared by a key: the position of its row, and whether the set has it."""
        if key == "phash":
            places, hashes = _valid(rows, "phash", pa.uint64())
            return places, self._hashes.near(np.asarray(hashes).astype(np.uint64))
        parts = [(places, self._sets[key].has(keys)) for places, keys in _keys_of(rows, key, self._settings[3])]
        none = np.zeros(0, np.int64), np.zeros(0, bool)
        places, found = (np.concatenate(column) for column in zip(none, *parts, strict=True))
        return places, found

    def nearest_hash(self, phash: int) -> tuple[int, int] | None:
        """The set's hash that is nearest to one, and how many bits differ; None where the set has none."""
        return self._hashes.nearest(phash)

    def _read(self, files: tuple[SetFile, ...]) -> tuple[dict[str, list[Keys]], list[Any]]:
        """Keys by what they are, and perceptual hashes."""
        keys: dict[str, list[Keys]] = {"url": [], "sha256": [], "text": []}
        hashes: list[npt.NDArray[np.uint64]] = []
        for file in files:
            texts = HashTexts(file.path)
            for values in set_values(file, self._settings[1]):
                if values.column != "phash":
                    key = next(key for key, names in COLUMNS.items() if values.column in names)
                    keys[key].append(self._keys(file, values))
                elif pa.types.is_integer(values.values.type):
                    hashes.append(np.asarray(values.values))
                else:
                    texts.add(values)
            hashes.append(texts.hashes())
        self.left_out += Counter(flat_phash=sum(int((part == FLAT).sum()) for part in hashes))
        return keys, hashes

    def _keys(self, file: SetFile, values: Values) -> Keys:
        found = values.values
        if values.column in COLUMNS["text"]:
            return text_keys(self._counted(comparable_texts(found), "short_text", min_chars=self._settings[3]))
        if values.column == "media_id":
            return media_id_keys(self._counted(found, "no_media_id", pattern=MEDIA_ID))
        if values.column in COLUMNS["url"]:
            return url_keys(self._counted(found, "no_url", pattern=URL))
        wrong = np.flatnonzero(~np.asarray(pc.match_substring_regex(found, SHA256)))
        if len(wrong):
            raise InputError(
                f"{file.path}, row {values.rows[wrong[0]] + 1}: {found[wrong[0]].as_py()!a:.60} in column "
                f"{values.column} is no SHA-256: write 64 hex digits"
            )
        return sha256_keys(found)

    def _counted(self, values: pa.Array, why: str, *, pattern: str = "", min_chars: int = 0) -> pa.Array:
        """The values that can be compared; the others are counted as left out."""
        if min_chars:
            fits = pc.greater_equal(pc.utf8_length(values), min_chars)
        else:
            fits = pc.match_substring_regex(values, pattern)
        self.left_out += Counter({why: len(values) - fits.true_count})
        return values.filter(fits)

    def _nothing(self) -> str:
        location, by, _, min_chars = self._settings
        words = {
            "short_text": f"texts of fewer than {min_chars} letters and digits",
            "flat_phash": "hashes of flat pictures",
            "no_url": "addresses that are no absolute http or https URL",
            "no_media_id": "ids of other than 24 hex digits",
        }
        told = ", ".join(f"{words[why]} ({count:,})" for why, count in sorted(self.left_out.items()) if count)
        return f"{location} holds nothing to compare by {', '.join(by)}{': only ' + told if told else ''}"

    def _fingerprint(self) -> str:
        content = hashlib.sha256()
        for key in ("url", "sha256", "text"):
            content.update(f"{key} {self.sizes[key]} ".encode() + self._sets[key].content())
        content.update(self._hashes.hashes.tobytes())
        return digest(content.hexdigest(), *self._settings[1:])


def _valid(rows: Any, name: str, kind: Any, pattern: str = "") -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Positions and values of a column's rows that can be compared; none where there is no such column."""
    if name not in rows.schema.names:
        return np.zeros(0, np.int64), pa.array([], kind)
    column = _one_array(rows.column(name))
    valid = pc.match_substring_regex(column, pattern).fill_null(False) if pattern else column.is_valid()
    return np.flatnonzero(np.asarray(valid)), column.filter(valid)


def _one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _keys_of(rows: Any, key: str, min_text_chars: int) -> list[tuple[npt.NDArray[np.int64], Keys]]:
    """(positions of rows, keys) of what a manifest's rows have to compare by a key."""
    text = pa.string()
    if key == "sha256":
        columns = [_valid(rows, name, text, SHA256) for name in NEEDED["sha256"]]
        return [(places, sha256_keys(hashes)) for places, hashes in columns]
    if key == "url":
        (of_urls, urls), (of_ids, ids) = _valid(rows, "media_url", text), _valid(rows, "media_id", text, MEDIA_ID)
        return [(of_urls, url_keys(urls)), (of_ids, media_id_keys(ids))]
    places, texts = _texts_of(rows)
    letters = comparable_texts(texts)
    long = pc.greater_equal(pc.utf8_length(letters), min_text_chars)
    return [(places[np.asarray(long)], text_keys(letters.filter(long)))]


def _texts_of(rows: Any) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """All texts of some rows, or the chosen one where no others are known, and the position of each one's row."""
    own, chosen = _valid(rows, "text", pa.string())
    if "texts" not in rows.schema.names:
        return own, chosen
    lists = _one_array(rows.column("texts"))
    places, texts = np.asarray(pc.list_parent_indices(lists)).astype(np.int64), pc.list_flatten(lists)
    if pa.types.is_struct(texts.type):
        texts = pc.struct_field(texts, "text")
    valid = np.asarray(texts.is_valid())
    alone = np.asarray(lists.is_null())[own]
    found = [texts.filter(pa.array(valid)).cast(pa.string()), chosen.filter(pa.array(alone)).cast(pa.string())]
    return np.concatenate([places[valid], own[alone]]), pa.concat_arrays(found)


@lru_cache(maxsize=_REMEMBERED)
def _loaded(settings: _Settings, files: tuple[SetFile, ...]) -> Overlap:
    """One set per process and state of its files."""
    return Overlap(settings, files)


def unchanged(location: str, by: Sequence[str], max_distance: int, min_text_chars: int, fingerprint: str) -> Overlap:
    """The set that was read before, perhaps by another process. Raises InputError where it is another one now."""
    found = Overlap.load(location, by, max_distance, min_text_chars)
    if found.fingerprint != fingerprint:
        raise InputError(f"{location} changed while it was compared with: run again")
    return found
