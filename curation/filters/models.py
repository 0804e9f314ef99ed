"""fastText model files: whether one is whole, and its labels.

fastText reads a file without looking at what it gets, so a cut one makes it loop and eat all memory. Layout: saveModel
in fastText's src/fasttext.cc, version 12, written by all releases since 0.1.0 (2017).
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_MAGIC, _VERSION = 793712314, 12
_SUPERVISED = 3
_LABEL = 1
_HEADER = "<2i12id"  # magic, version; dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate; t
_DICTIONARY = "<3i2q"  # entries, words, labels, tokens, pruned features (-1: not pruned)
_ENTRY = "<qb"  # after the entry and a zero byte: its count, its type
_MAX_ENTRIES = 1 << 30


class NoModelError(ValueError):
    """The file is no whole supervised fastText model."""


def read_labels(path: str) -> list[str]:
    """The labels of a supervised fastText model. Raises NoModelError, which says what is wrong, and OSError."""
    if not Path(path).stat().st_size:  # nothing can be mapped
        raise NoModelError("it is empty")
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _Model(data).labels()
        except struct.error:
            raise NoModelError("it ends too early") from None


class _Model:
    """Walks through a file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def labels(self) -> list[str]:
        magic, version, dim, *_, ngrams, _loss, model, bucket, _minn, maxn, _rate, _t = self._take(_HEADER)
        if magic != _MAGIC:
            raise NoModelError("it is no fastText model")
        if version != _VERSION:
            raise NoModelError(
                f"it has version {version} of the format, not {_VERSION}: train it with a newer fastText"
            )
        if model != _SUPERVISED:
            raise NoModelError("it holds word vectors, not a classifier (fasttext supervised)")
        entries, words, count, _tokens, pruned = self._take(_DICTIONARY)
        if not 0 <= entries <= _MAX_ENTRIES:
            raise NoModelError("its dictionary is damaged")
        found = [self._entry() for _ in range(entries)]
        labels = [name for name, kind in found if kind == _LABEL]
        self._skip(8 * max(pruned, 0))
        inputs, outputs = self._matrix(), self._matrix()
        hashed = pruned if pruned >= 0 else bucket  # rows of features that have no entry of their own
        whole = self._at == len(self._data) and words + count == entries and count == len(labels)
        if not whole or inputs != (words + hashed, dim) or outputs != (count, dim):
            raise NoModelError("its parts do not fit together")
        if bucket <= 0 and (maxn != 0 or ngrams > 1):  # it would divide by zero
            raise NoModelError("it has n-grams but no buckets for them")
        return labels

    def _entry(self) -> tuple[str, int]:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise NoModelError("it ends too early")
        name = self._data[self._at : end]
        self._at = end + 1
        _, kind = self._take(_ENTRY)
        return (name.decode("utf-8", "replace") if kind == _LABEL else ""), kind

    def _matrix(self) -> tuple[int, int]:
        """(rows, columns) of a matrix, plain or quantised (QMatrix and ProductQuantizer of fastText)."""
        (quantised,) = self._take("<b")
        if not quantised:
            rows, columns = self._take("<2q")
            self._skip(4 * rows * columns)
            return rows, columns
        normed, rows, columns, codes = self._take("<b2qi")
        self._skip(codes)
        self._quantiser()
        if normed:
            self._skip(rows)
            self._quantiser()
        return rows, columns

    def _quantiser(self) -> None:
        dim, *_ = self._take("<4i")
        self._skip(4 * 256 * dim)

    def _take(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return values

    def _skip(self, size: int) -> None:
        if not 0 <= size <= len(self._data) - self._at:
            raise NoModelError("it ends too early")
        self._at += size
