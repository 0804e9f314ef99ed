"""Matching with pyahocorasick: exact for any entries and texts, and without a Python object per text.

The automaton works on UTF-8 bytes, each posing as one character (Latin-1): a byte string that begins and ends on
character boundaries occurs in UTF-8 exactly where its characters occur, so nothing is matched more or less. That
makes Arrow's buffers the input as they are, keeps fan-out below 256 where the library searches children one by one,
and lets one call scan a whole block of texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import ahocorasick
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.concepts.prepare import BLANKS, SPACED_MARKS, WHITE_SPACE

_BLANKS_TO_SPACES = bytes.maketrans(BLANKS.encode(), b" " * len(BLANKS))
_SPACED = [(mark.encode(), f" {mark} ".encode()) for mark in SPACED_MARKS]
_BETWEEN_TEXTS = "\n"  # a blank: no prepared text holds it, so no pattern may, and no match crosses it
_MANY = 1 << 18  # hits that are freed of repetitions before the next are looked for

_Ints = npt.NDArray[np.int64]


class AhoCorasick:
    """Kernel of `curation.concepts.Matcher`. Holds the GIL while it scans.

    forms: padded entries (`curation.concepts.prepare.pad`), all different, and the id of each; strip: v2's texts.
    """

    def __init__(self, forms: pa.Array, ids: npt.NDArray[np.int32], *, strip: bool) -> None:
        self._strip = strip
        self._end = int(ids.max(initial=-1)) + 1
        self._automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        # The library searches children in the order they were added: short forms, the common ones, go first.
        for form, entry_id in sorted(zip(forms.to_pylist(), ids.tolist(), strict=True), key=lambda row: len(row[0])):
            if not any(blank in form for blank in BLANKS):
                self._automaton.add_word(form.encode().decode("latin-1"), entry_id)
        self._automaton.make_automaton()

    def match(self, texts: pa.StringArray) -> tuple[_Ints, npt.NDArray[np.int32]]:
        """See `curation.concepts.matcher.Kernel`."""
        if len(texts) == 0 or len(self._automaton) == 0:
            return np.zeros(len(texts), np.int64), np.zeros(0, np.int32)
        prepared = _prepared(pc.utf8_trim(texts, characters=WHITE_SPACE) if self._strip else texts)
        # (end, id) pairs flattened in C; nothing is interpreted per match.
        hits = chain.from_iterable(self._automaton.iter(prepared.decode("latin-1")))
        borders = np.flatnonzero(np.frombuffer(prepared, np.uint8) == ord(_BETWEEN_TEXTS))
        rows, ids = np.divmod(_distinct_keys(hits, borders, self._end), self._end)
        return np.bincount(rows, minlength=len(texts)), ids.astype(np.int32)


def _distinct_keys(hits: Iterator[int], borders: _Ints, end: int) -> _Ints:
    """row * end + id of all hits, ascending, each once. Where entries nest, hits are many times more than these."""
    found, size, limit = [np.zeros(0, np.int64)], 0, _MANY
    while len(piece := np.fromiter(islice(hits, 2 * _MANY), np.int64)):
        ends, ids = piece.reshape(-1, 2).T
        found.append(_distinct(np.searchsorted(borders, ends) * end + ids))
        size += len(found[-1])
        if size > limit:
            found = [_distinct(np.concatenate(found))]
            size = len(found[0])
            limit = max(_MANY, 2 * size)
    return found[-1] if len(found) == 2 else _distinct(np.concatenate(found))


def _distinct(keys: _Ints) -> _Ints:
    keys = np.sort(keys)  # not np.unique: it hashes, far slower here
    return keys[np.diff(keys, prepend=-1) > 0]


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
