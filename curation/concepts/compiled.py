"""A vocabulary made ready for matching: every entry's padded form, sent to the kernel that is fastest for it.

    tokens      a space at both ends: words, found by hashing the text's tokens once
    characters  any other form: found by a walk over the text's characters
    long        more than MAX_SYMBOLS of either: left to an Aho-Corasick automaton, whose time no length spoils

Equal forms are looked for once, under the id of the first entry that has them. A form that holds a tab or a line
break is in no text, and left out. Everything is flat arrays, so that it can lie in a file that workers share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curation.concepts._trie_arrays import EMPTY, EXACT, MAX_SYMBOLS, PADDING, Bytes, Ids, Ints, Symbols, Trie, Words
from curation.concepts.forms import padded_forms
from curation.concepts.options import PLAIN, MatchOptions
from curation.concepts.prepare import BLANKS
from curation.concepts.vocabulary import Vocabulary

_PAIR_BITS = 8
"""At least so many bits for an edge, so that of pairs that are none at most one in eight looks like one."""

_FULL = 0.6
"""Share of a table's slots that may be taken: few enough for nearly every key to be in its first cache line."""


class Groups(NamedTuple):
    """Entries of equal form: those of group g are members[starts[g]:starts[g + 1]], ascending. Empty: all differ."""

    of_entry: Ids
    starts: Ints
    members: Ids


class Compiled(NamedTuple):
    """tokens, characters: tries whose entries are ids; long_forms: UTF-8, with the ids of their entries."""

    tokens: Trie
    characters: Trie
    long_offsets: Ints
    long_data: Bytes
    long_ids: Ids
    groups: Groups


def compile_vocabulary(vocabulary: Vocabulary, options: MatchOptions = PLAIN, hash_mask: np.uint64 = EXACT) -> Compiled:
    """Builds the arrays; 0.3 s for 440,000 entries. hash_mask: see `Trie`."""
    from curation.concepts._symbols import count_symbols

    forms = padded_forms(vocabulary, options)
    groups, forms, ids = _distinct(forms)
    kept = pc.invert(pc.match_substring_regex(forms, f"[{BLANKS}]"))
    forms, ids = forms.filter(kept), ids[kept.to_numpy(zero_copy_only=False)]
    spaced = pc.and_(pc.starts_with(forms, " "), pc.ends_with(forms, " "))
    spaced = pc.and_(spaced, pc.greater_equal(pc.binary_length(forms), 2)).to_numpy(zero_copy_only=False)
    inner = pc.utf8_slice_codeunits(forms.filter(pa.array(spaced)), 1, -1)
    tries, long = [], [_no_forms()]
    other = forms.filter(pa.array(~spaced))
    for characters, some, some_ids in ((False, inner, ids[spaced]), (True, other, ids[~spaced])):
        counts = count_symbols(_symbols(some, characters))
        short = counts <= MAX_SYMBOLS
        symbols = _symbols(some.filter(pa.array(short)), characters)
        tries.append(_trie(symbols, counts[short], some_ids[short], hash_mask))
        long.append((some_ids[~short], forms.filter(pa.array(spaced != characters)).filter(pa.array(~short))))
    long_ids = np.concatenate([part for part, _ in long])
    long_forms = _symbols(pa.concat_arrays([part for _, part in long]), characters=True)
    return Compiled(tries[0], tries[1], long_forms.offsets, long_forms.data, long_ids, groups)


def _no_forms() -> tuple[Ids, pa.LargeStringArray]:
    return np.zeros(0, np.int32), pa.array([], pa.large_string())


def _distinct(forms: pa.LargeStringArray) -> tuple[Groups, pa.LargeStringArray, Ids]:
    """Groups of equal forms, each form once, and the first entry that has it."""
    encoded = forms.dictionary_encode()
    of_entry = encoded.indices.to_numpy().astype(np.int32)
    distinct = len(encoded.dictionary)
    if distinct == len(forms):
        nothing = np.zeros(0, np.int32)
        return Groups(nothing, np.zeros(0, np.int64), nothing), forms, np.arange(len(forms), dtype=np.int32)
    members = np.argsort(of_entry, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(of_entry, minlength=distinct))]).astype(np.int64)
    return Groups(of_entry, starts, members), encoded.dictionary, members[starts[:-1]]


def _symbols(forms: pa.LargeStringArray, characters: bool) -> Symbols:
    """The forms' own bytes, with the padding that loops may read."""
    from curation.kernels import readonly

    _, offset_buffer, data = forms.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[forms.offset : forms.offset + len(forms) + 1]
    text = np.frombuffer(data or b"", np.uint8)[offsets[0] : offsets[-1]]
    padded = np.concatenate([text, np.zeros(PADDING, np.uint8)])
    return Symbols(readonly(padded), readonly(offsets - offsets[0]), characters)


def _trie(forms: Symbols, counts: Ints, ids: Ids, hash_mask: np.uint64) -> Trie:
    from curation.concepts._token_kernels import connect, intern
    from curation.kernels import readonly

    slots = np.empty(int(counts.sum()), np.int32)
    pool = np.empty(len(forms.data) + len(slots), np.uint8)
    depth = np.int64(counts.max(initial=0))

    def interned(keys: int) -> tuple[Trie, int]:
        lines = _table(keys)
        trie = Trie(lines, lines[:0], lines[:0], np.zeros(len(lines) // 2, np.uint32), pool, hash_mask, depth)
        found, used = intern(forms, trie, slots)
        return trie._replace(pool=pool[:used]), found

    def connected(trie: Trie, keys: int) -> tuple[Trie, int]:
        pairs = np.zeros(1 << (keys * _PAIR_BITS // 64).bit_length(), np.uint64)
        trie = trie._replace(edges=_table(keys), pairs=pairs)
        return trie, connect(slots, counts, readonly(ids), trie)

    # How many different symbols and edges there are is known only afterwards: a table that proves too large is made
    # again, which is cheaper than letting it grow and keeps it small for good.
    trie, found = interned(len(slots))
    if _lines(found) < _lines(len(slots)):
        trie, _ = interned(found)
    lines = trie.lines.copy()
    trie, found = connected(trie, len(slots) - len(counts))
    if _lines(found) < _lines(len(slots) - len(counts)):
        trie, _ = connected(trie._replace(lines=_aligned(lines)), found)
    pool = trie.pool.copy()
    lines, edges, pairs = (readonly(words) for words in (trie.lines, trie.edges, trie.pairs))
    return Trie(lines, edges, pairs, readonly(trie.places), readonly(pool), hash_mask, depth)


def _lines(keys: int) -> int:
    """Lines of four slots for so many keys: a power of two."""
    return 1 << max(1, int(np.ceil(keys / _FULL / 4)) - 1).bit_length()


def _table(keys: int) -> Words:
    """An empty table, and the line for what is not found."""
    table = np.zeros((_lines(keys) + 1) * 8, np.uint64)
    table[::2] = EMPTY
    return _aligned(table)


def _aligned(words: Words) -> Words:
    """A copy that begins with a cache line."""
    memory = np.empty(words.nbytes + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    aligned: npt.NDArray[np.uint64] = memory[begin : begin + words.nbytes].view(np.uint64)
    aligned[:] = words
    return aligned
