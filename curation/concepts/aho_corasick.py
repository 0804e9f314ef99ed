"""Matching with pyahocorasick: exact for any entries and texts, and without a Python object per text.

The automaton works on UTF-8 bytes, each posing as one character (Latin-1): a byte string that begins and ends on
character boundaries occurs in UTF-8 exactly where its characters occur, so nothing is matched more or less. That
makes Arrow's buffers the input as they are, keeps fan-out below 256 where the library searches children one by one,
and lets one call scan a whole block of texts.
"""

from __future__ import annotations

from itertools import chain

import ahocorasick
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.concepts.prepare import BLANKS, SPACED_MARKS, WHITE_SPACE, pad
from curation.concepts.vocabulary import Vocabulary

_BLANKS_TO_SPACES = bytes.maketrans(BLANKS.encode(), b" " * len(BLANKS))
_SPACED = [(mark.encode(), f" {mark} ".encode()) for mark in SPACED_MARKS]
_BETWEEN_TEXTS = "\n"  # a blank: no prepared text holds it, so no pattern may, and no match crosses it

_Ints = npt.NDArray[np.int64]


class AhoCorasick:
    """Kernel of `curation.concepts.Matcher`. Holds the GIL while it scans."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._strip = vocabulary.definition == "v2"
        self._entries = len(vocabulary)
        self._same = _SameEntries(vocabulary)
        self._automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        # The library searches children in the order they were added: short entries, the common ones, go first.
        for entry_id, entry in sorted(self._same.distinct(), key=lambda row: len(row[1])):
            if not any(blank in entry for blank in BLANKS):
                self._automaton.add_word(pad(entry, vocabulary.definition).encode().decode("latin-1"), entry_id)
        self._automaton.make_automaton()

    def match(self, texts: pa.StringArray) -> tuple[_Ints, npt.NDArray[np.int32]]:
        """See `curation.concepts.matcher.Kernel`."""
        if len(texts) == 0 or len(self._automaton) == 0:
            return np.zeros(len(texts), np.int64), np.zeros(0, np.int32)
        prepared = _prepared(pc.utf8_trim(texts, characters=WHITE_SPACE) if self._strip else texts)
        # (end, id) pairs flattened in C; nothing is interpreted per match.
        hits = chain.from_iterable(self._automaton.iter(prepared.decode("latin-1")))
        ends, ids = np.fromiter(hits, np.int64).reshape(-1, 2).T
        borders = np.flatnonzero(np.frombuffer(prepared, np.uint8) == ord(_BETWEEN_TEXTS))
        rows, ids = self._same.expand(np.searchsorted(borders, ends), ids)
        keys = np.sort(rows * self._entries + ids)  # not np.unique: it hashes, several times slower here
        rows, ids = np.divmod(keys[np.diff(keys, prepend=-1) > 0], self._entries)
        return np.bincount(rows, minlength=len(texts)), ids.astype(np.int32)


class _SameEntries:
    """Entries that stand in a vocabulary more than once: the automaton finds the first, the others follow it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        encoded = vocabulary.entries.dictionary_encode()
        groups = encoded.indices.to_numpy()
        order = np.argsort(groups, kind="stable")
        self._entries = encoded.dictionary
        self._counts = np.bincount(groups)
        self._starts = np.cumsum(self._counts) - self._counts
        self._members = order
        self._group_of = groups

    def distinct(self) -> zip[tuple[int, str]]:
        """(id of the first, entry), each entry once."""
        return zip(self._members[self._starts].tolist(), self._entries.to_pylist(), strict=True)

    def expand(self, rows: _Ints, first_ids: _Ints) -> tuple[_Ints, _Ints]:
        """Rows and ids of all equal entries, given those of the first ones."""
        if len(self._starts) == len(self._members):
            return rows, first_ids
        groups = self._group_of[first_ids]
        counts = self._counts[groups]
        before = np.repeat(np.cumsum(counts) - counts, counts)
        members = np.repeat(self._starts[groups], counts) + np.arange(counts.sum()) - before
        return np.repeat(rows, counts), self._members[members]


def _prepared(texts: pa.StringArray) -> bytes:
    """All texts as `curation.concepts.prepare` has them (stripping aside), one byte that no text holds between two."""
    _, offset_buffer, data = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    text = b"" if data is None else data.slice(int(offsets[0]), int(offsets[-1] - offsets[0])).to_pybytes()
    clean = pa.StringArray.from_buffers(
        len(texts), pa.py_buffer(offsets - offsets[0]), pa.py_buffer(text.translate(_BLANKS_TO_SPACES))
    )
    block = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), clean)
    prepared: bytes = b" " + pc.binary_join(block, f" {_BETWEEN_TEXTS} ")[0].as_buffer().to_pybytes() + b" "
    for mark, spaced in _SPACED:
        prepared = prepared.replace(mark, spaced)
    return prepared
