"""Texts against a vocabulary, batch by batch, over Arrow arrays."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.concepts.aho_corasick import AhoCorasick
from curation.concepts.compiled import Compiled, Groups, compile_vocabulary
from curation.concepts.forms import normalized_array
from curation.concepts.options import PLAIN, MatchOptions
from curation.concepts.token_trie import TokenTrie
from curation.concepts.vocabulary import Vocabulary
from curation.concepts.vocabulary_cache import cached

BLOCK_BYTES = 1 << 20
"""Text that a kernel gets at a time: enough to forget the per-block work, little enough for memory to stay flat."""

Counts = npt.NDArray[np.int64]
Ids = npt.NDArray[np.int32]


class Kernel(Protocol):
    """One way to find entries in texts; all of them are tested against the definition."""

    def match(self, texts: pa.StringArray) -> tuple[Counts, Ids]:
        """For texts without nulls: matches per text, and all entry ids, text by text, ascending, each once."""
        ...


class Matcher:
    """Finds the entries of one vocabulary; threads may share it. Build once, match often.

    A match is defined by `curation.concepts.prepare`: `pad(entry) in prepare(text)`, both with the same options.
    cache: keep the compiled vocabulary in a file that other processes of this machine map into memory; see
    `curation.concepts.vocabulary_cache`.
    """

    def __init__(self, vocabulary: Vocabulary, options: MatchOptions = PLAIN, *, cache: bool = True) -> None:
        self.vocabulary = vocabulary
        self.options = options
        if cache:
            fingerprint = options.fingerprint(vocabulary.fingerprint)
            compiled = cached(fingerprint, lambda: compile_vocabulary(vocabulary, options))
        else:
            compiled = compile_vocabulary(vocabulary, options)
        self._groups = compiled.groups
        self._kernels = _kernels(compiled, strip=vocabulary.definition == "v2")

    def match(self, texts: pa.Array | pa.ChunkedArray) -> pa.ListArray:
        """Entry ids of every text as list<int32>: ascending, each once; null for a null text.

        texts: string, large_string, string_view, or a dictionary of these, of any size; anything else raises TypeError,
        a single text of 2 GiB ValueError. Bytes that are not UTF-8 count as U+FFFD, as `bytes.decode(errors="replace")`
        has it.
        """
        chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
        counts: list[Counts] = []
        ids: list[Ids] = []
        missing: list[npt.NDArray[np.bool_]] = []
        for chunk in chunks:
            strings = _as_strings(chunk)
            missing.append(strings.is_null().to_numpy(zero_copy_only=False))
            chunk_counts = np.zeros(len(strings), np.int64)
            present = np.flatnonzero(~missing[-1])
            done = 0
            for block in _blocks(strings.drop_null()):
                block_counts, block_ids = self._match_block(block)
                chunk_counts[present[done : done + len(block)]] = block_counts
                done += len(block)
                ids.append(block_ids)
            counts.append(chunk_counts)
        return _list_array(counts, ids, missing)

    def _match_block(self, texts: pa.StringArray) -> tuple[Counts, Ids]:
        from curation.concepts._sorting import united

        texts = normalized_array(_decodable(texts), self.options)
        counts, ids = np.zeros(len(texts), np.int64), np.zeros(0, np.int32)
        for kernel in self._kernels:
            more_counts, more_ids = kernel.match(texts)
            ids = united(counts, ids, more_counts, more_ids) if len(ids) else more_ids
            counts = counts + more_counts
        return _with_equals(self._groups, counts, ids) if len(self._groups.members) else (counts, ids)


def _kernels(compiled: Compiled, *, strip: bool) -> list[Kernel]:
    kernels: list[Kernel] = []
    for trie, characters in ((compiled.tokens, False), (compiled.characters, True)):
        if trie.depth:
            kernels.append(TokenTrie(trie, characters=characters, strip=strip))
    if len(compiled.long_ids):
        offsets, data = pa.py_buffer(compiled.long_offsets), pa.py_buffer(compiled.long_data)
        forms = pa.LargeStringArray.from_buffers(len(compiled.long_ids), offsets, data)
        kernels.append(AhoCorasick(forms, compiled.long_ids, strip=strip))
    return kernels


def _with_equals(groups: Groups, counts: Counts, first_ids: Ids) -> tuple[Counts, Ids]:
    """Adds to each id, the first of its group, the others, and sorts every row again."""
    group = groups.of_entry[first_ids]
    sizes = groups.starts[group + 1] - groups.starts[group]
    before = np.repeat(np.cumsum(sizes) - sizes, sizes)
    ids = groups.members[np.repeat(groups.starts[group], sizes) + np.arange(sizes.sum()) - before]
    rows = np.repeat(np.repeat(np.arange(len(counts)), counts), sizes)
    entries = len(groups.of_entry)
    keys = np.sort(rows * entries + ids)
    return np.bincount(rows, minlength=len(counts)), (keys % entries).astype(np.int32)


def _as_strings(texts: pa.Array) -> pa.Array:
    """The same texts as a string or large_string array."""
    if not isinstance(texts, pa.Array):
        raise TypeError(f"texts are a {type(texts).__name__}, not an array of strings: cast them to pa.string() first")
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type):
        return texts
    if pa.types.is_string_view(texts.type):
        return texts.cast(pa.large_string())
    if pa.types.is_null(texts.type):
        return texts.cast(pa.string())
    raise TypeError(f"texts are {texts.type}, not strings: cast them to pa.string() first")


def _blocks(texts: pa.Array) -> list[pa.StringArray]:
    """Runs of texts of about BLOCK_BYTES each; a longer text is a block of its own. texts: without nulls."""
    _, offset_buffer, data = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    offsets = np.frombuffer(offset_buffer or b"", width)[texts.offset : texts.offset + len(texts) + 1]
    blocks = []
    start = 0
    while start < len(texts):
        first = int(offsets[start])
        limit = width(min(first + BLOCK_BYTES, int(offsets[-1])))  # of the offsets' type, or numpy copies them all
        stop = max(start + 1, int(np.searchsorted(offsets, limit, side="right")) - 1)
        if offsets[stop] - first > np.iinfo(np.int32).max:
            raise ValueError(f"a text has {offsets[stop] - first} bytes: split texts of 2 GiB and more")
        ends = (offsets[start : stop + 1] - first).astype(np.int32)
        content = None if data is None else data.slice(first)  # what follows is padding
        blocks.append(pa.StringArray.from_buffers(stop - start, pa.py_buffer(ends), content))
        start = stop
    return blocks


def _decodable(texts: pa.StringArray) -> pa.StringArray:
    """The texts, with U+FFFD for what is not UTF-8: Arrow checks nothing, and each kernel makes other things of it."""
    _, offset_buffer, data = texts.buffers()
    end = np.frombuffer(offset_buffer, np.int32)[texts.offset + len(texts)]
    if np.frombuffer(data or b"", np.uint8)[:end].max(initial=0) < 128:
        return texts
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return pa.array([text.decode(errors="replace") for text in texts.cast(pa.binary()).to_pylist()], pa.string())
    return texts


def _list_array(counts: list[Counts], ids: list[Ids], missing: list[npt.NDArray[np.bool_]]) -> pa.ListArray:
    ends = np.cumsum(np.concatenate([*counts, np.zeros(0, np.int64)]))
    offsets = pa.array(np.concatenate([np.zeros(1, np.int64), ends])).cast(pa.int32())
    values = pa.array(np.concatenate([*ids, np.zeros(0, np.int32)]), pa.int32())
    mask = np.concatenate([*missing, np.zeros(0, np.bool_)])
    return pa.ListArray.from_arrays(offsets, values, mask=pa.array(mask) if mask.any() else None)
