"""Compiled loops of `curation.concepts.token_trie`: building the two tables, and scanning texts with them.

A table is a row of cache lines of four slots; a slot is two words, its key and what is known of it:

    symbols   key of a symbol (a token, or a character)       low half: 1 + entry that is this symbol alone, or 0
    edges     node << 32 | slot of the symbol that follows    low half: 1 + entry that ends here, or 0
                                                              high half: bit s % 32 for each symbol slot s that follows

A node is a symbol slot (where an entry begins), or the number of symbol slots plus an edge slot. Keys of up to seven
bytes are the bytes themselves, those of longer symbols are hashes and compared with the bytes in `pool`, and edge keys
are exact, so an answer never depends on a hash. One more line after the last stands for what is not found. `pairs` has
a bit for every hash of an edge that leaves a symbol slot, since most pairs of neighbours in a text are no edge.

Loads go up to PADDING bytes beyond a text, and nothing is checked here: callers see to both.
"""

# mypy: disable-error-code="no-any-return, return-value, assignment, arg-type"
# Compiled integers are machine words; mypy takes numpy's and Python's for different kinds.

from __future__ import annotations

import numpy as np

from curation.concepts._intrinsics import equal_words, folded_product, load8, separators, trailing_zeros
from curation.concepts._sorting import by_digits, sort_rows
from curation.concepts._symbols import character_bytes, symbol_end
from curation.concepts._trie_arrays import EMPTY, Batch, Bytes, Ids, Ints, Symbols, Texts, Trie, Words
from curation.concepts._white_space import strip
from curation.concepts.prepare import BLANKS, SPACED_MARKS
from curation.kernels import kernel

_BOUNDARY = np.uint64(0xFFFF_FFFF_FFFF_FFFE)
_LONG = np.uint64(0x80 << 56)
_HASH_BITS = np.uint64((1 << 56) - 1)
_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2**64 / golden ratio, odd
_SEED = np.uint64(0xD1B5_4A32_D192_ED03)  # odd, without pattern
_KEYS = np.uint64(0x55)  # of the eight words of a line, those that are keys
_MANY = 1 << 20  # hits that are freed of repetitions before the next are looked for
_BATCH = 1024  # symbols at a time: their keys and slots stay in the first-level cache

_ZERO, _ONE, _SIX, _EIGHT, _32, _56, _63 = (np.uint64(value) for value in (0, 1, 6, 8, 32, 56, 63))
_LOW_HALF = np.uint64(0xFFFF_FFFF)
_IS_BLANK, _IS_MARK = (np.isin(np.arange(128), list(signs.encode())) for signs in (BLANKS, SPACED_MARKS))


@kernel
def _short_key(data: Bytes, start: int, length: int) -> np.uint64:
    size = np.uint64(length)
    return (load8(data, start) & ((_ONE << (size * _EIGHT)) - _ONE)) | (size << _56)


@kernel
def _key(data: Bytes, start: int, end: int, hash_mask: np.uint64) -> np.uint64:
    length = end - start
    if length < 8:
        return _short_key(data, start, length)
    mixed = np.uint64(length) * _SEED
    for at in range(start, end - 8, 8):
        mixed = folded_product(mixed ^ load8(data, at), _SPREAD)
    mixed = folded_product(mixed ^ load8(data, end - 8), _SPREAD)
    return (mixed & hash_mask & _HASH_BITS) | _LONG


@kernel
def _home(lines: Words, key: np.uint64) -> int:
    """The line where a search begins; the table has a power of two of them, at least two, and one more."""
    shift = np.uint64(64 - trailing_zeros(np.uint64(len(lines) // 8 - 1)))
    return np.int64(((key ^ (key >> _32)) * _SPREAD) >> shift)


@kernel
def _after(lines: Words, line: int) -> int:
    return (line + 1) & (len(lines) // 8 - 2)


@kernel
def _find(lines: Words, key: np.uint64) -> int:
    """Slot of the key, or -1. Slots of a line are filled from the first on, and nothing is ever removed."""
    line = _home(lines, key)
    while True:
        found = equal_words(lines, line * 8, key) & _KEYS
        if found != _ZERO:
            return line * 4 + (trailing_zeros(found) >> 1)
        if equal_words(lines, line * 8, EMPTY) & _KEYS != _ZERO:
            return -1
        line = _after(lines, line)


@kernel
def _is_token(trie: Trie, slot: int, data: Bytes, start: int, end: int) -> bool:
    at, size, same = np.int64(trie.places[slot]), end - start, 0
    while same < size and trie.pool[at + same] == data[start + same]:
        same += 1
    return same == size and trie.pool[at + size] == 32  # no token holds a space, so one ends each


@kernel
def _find_long(trie: Trie, data: Bytes, start: int, end: int, key: np.uint64) -> int:
    """Slot of a token whose key is a hash, or -1: among equal keys the one with these bytes."""
    line = _home(trie.lines, key)
    while True:
        for slot in range(line * 4, line * 4 + 4):
            if trie.lines[2 * slot] == key and _is_token(trie, slot, data, start, end):
                return slot
            if trie.lines[2 * slot] == EMPTY:
                return -1
        line = _after(trie.lines, line)


@kernel
def _insert(lines: Words, key: np.uint64) -> int:
    line = _home(lines, key)
    while True:
        free = equal_words(lines, line * 8, EMPTY) & _KEYS
        if free != _ZERO:
            slot = line * 4 + (trailing_zeros(free) >> 1)
            lines[2 * slot] = key
            return slot
        line = _after(lines, line)


@kernel
def intern(forms: Symbols, trie: Trie, slots: Ids) -> tuple[int, int]:
    """Puts all symbols into the trie's empty `lines` and their slots into `slots`; (different ones, bytes of `pool`).

    `lines` has more slots than there are symbols, and `pool` a byte more for each than the forms.
    """
    found = used = n = 0
    for row in range(len(forms.offsets) - 1):
        at, end = forms.offsets[row], forms.offsets[row + 1]
        while True:
            stop = symbol_end(forms, at, end)
            key = _key(forms.data, at, stop, trie.hash_mask)
            slot = _find(trie.lines, key) if key < _LONG else _find_long(trie, forms.data, at, stop, key)
            if slot < 0:
                slot = _insert(trie.lines, key)
                found += 1
                if key >= _LONG:
                    trie.places[slot] = used
                    trie.pool[used : used + stop - at] = forms.data[at:stop]
                    trie.pool[used + stop - at] = 32
                    used += stop - at + 1
            slots[n] = slot
            n += 1
            if stop >= end:
                break
            at = stop if forms.characters else stop + 1
    return found, used


@kernel
def _pair_shift(pairs: Words) -> np.uint64:
    """What turns a spread key into the number of a bit of `pairs`, a power of two of words."""
    return np.uint64(58 - trailing_zeros(np.uint64(len(pairs))))


@kernel
def connect(slots: Ids, counts: Ints, ids: Ids, trie: Trie) -> int:
    """Adds every form's path to the trie's empty `edges`, and its id to the last node; number of edges.

    slots: symbols of all forms, counts[i] of them for form i; ids differ. `edges` has more slots than there are edges.
    """
    base = len(trie.lines) // 2
    n = added = 0
    for row in range(len(counts)):
        table, slot, node = trie.lines, np.int64(slots[n]), np.int64(slots[n])
        for i in range(n + 1, n + counts[row]):
            symbol = np.int64(slots[i])
            key = (np.uint64(node) << _32) | np.uint64(symbol)
            if node < base:
                bit = (key * _SPREAD) >> _pair_shift(trie.pairs)
                trie.pairs[bit >> _SIX] |= _ONE << (bit & _63)
            else:
                table[2 * slot + 1] |= _ONE << np.uint64(32 + (symbol & 31))
            table, slot = trie.edges, _find(trie.edges, key)
            if slot < 0:
                slot = _insert(trie.edges, key)
                added += 1
            node = base + slot
        table[2 * slot + 1] |= np.uint64(ids[row] + 1)
        n += counts[row]
    return added


@kernel
def _open_row(texts: Texts, state: Ints) -> None:
    """Sets next byte, start of the token and end for the state's row."""
    row, offsets = state[0], texts.offsets
    state[1], state[2], state[3] = offsets[row], offsets[row], offsets[row + 1]
    if texts.strip:
        strip(texts.data, state)


@kernel
def _fill_tokens(texts: Texts, hash_mask: np.uint64, batch: Batch) -> tuple[int, int]:
    """Puts keys of tokens into the batch from where its state stands; how many, and how many long ones.

    Tokens are what single spaces part in the prepared text. It is never written: a mark ends a token and is one.
    """
    keys, longs, state, data = batch.keys, batch.longs, batch.state, texts.data
    rows, n, found = len(texts.offsets) - 1, 0, 0
    while state[0] < rows and n + 2 * 64 + 2 <= _BATCH:
        if state[1] < 0:
            _open_row(texts, state)
        at, start, end = state[1], state[2], state[3]
        blanks, marks = separators(data, at)
        some = blanks | marks
        if end - at < 64:  # the row ends in this block, and its end parts tokens like a blank
            final = _ONE << np.uint64(end - at)
            some = (some & (final - _ONE)) | final
            marks &= final - _ONE
        while some != _ZERO:
            i = trailing_zeros(some)
            some &= some - _ONE
            stop = at + i
            if stop - start < 8:
                keys[n] = _short_key(data, start, stop - start)
            else:
                keys[n] = _key(data, start, stop, hash_mask)
                longs[found, 0], longs[found, 1], longs[found, 2] = n, start, stop
                found += 1
            keys[n + 1] = np.uint64(data[stop]) | (_ONE << _56)  # stays if it is a mark
            n += 1 + np.int64((marks >> np.uint64(i)) & _ONE)
            start = stop + 1
        state[1], state[2] = at + 64, start
        if end - at < 64:
            keys[n] = _BOUNDARY
            n += 1
            state[0], state[1] = state[0] + 1, -1
    return n, found


@kernel
def _slot(lines: Words, key: np.uint64) -> int:
    slot = _find(lines, key)
    return slot if slot >= 0 else len(lines) // 2 - 4


@kernel
def _ascii_slots(lines: Words) -> Ids:
    """The slot of every ASCII character as it stands in a prepared text, and that of the end of a text."""
    slots = np.empty(129, np.int32)
    for byte in range(128):
        slots[byte] = _slot(lines, np.uint64(32 if _IS_BLANK[byte] else byte) | (_ONE << _56))
    slots[128] = len(lines) // 2 - 3
    return slots


@kernel
def _fill_characters(texts: Texts, batch: Batch, kept: int, lines: Words, ascii_slots: Ids) -> int:
    """Puts slots of the prepared text's characters behind those kept, from where the state stands; how many."""
    slots, state, data = batch.slots, batch.state, texts.data
    space, boundary = ascii_slots[32], ascii_slots[128]
    rows, n, last = len(texts.offsets) - 1, kept, kept + _BATCH - 4
    while state[0] < rows and n <= last:
        if state[1] < 0:
            _open_row(texts, state)
            slots[n] = space
            n += 1
        at, end = state[1], state[3]
        while at < end and n <= last:
            byte = data[at]
            if byte < 128:
                mark = int(_IS_MARK[byte])
                slots[n] = space  # stays if it is a mark
                slots[n + mark] = ascii_slots[byte]
                slots[n + 2] = space  # or overwritten
                n += 1 + 2 * mark
                at += 1
            else:
                size = min(character_bytes(byte), end - at)
                slots[n] = _slot(lines, _short_key(data, at, size))
                n += 1
                at += size
        state[1] = at
        if at >= end and n <= last:
            slots[n], slots[n + 1] = space, boundary
            n += 2
            state[0], state[1] = state[0] + 1, -1
    return n - kept


@kernel
def _look_up(batch: Batch, size: int, lines: Words, kept: int) -> None:
    """Slots of the first `size` keys, behind those kept: that of the last line, and the next one for a text's end."""
    keys, slots = batch.keys, batch.slots
    missing = len(lines) // 2 - 4
    for i in range(size):
        key = keys[i]
        line = _home(lines, key)
        while True:  # one branch, nearly always taken alike, whether the key is there or not
            found = equal_words(lines, line * 8, key) & _KEYS
            if (found | (equal_words(lines, line * 8, EMPTY) & _KEYS)) != _ZERO:
                break
            line = _after(lines, line)
        slot = line * 4 + (trailing_zeros(found | np.uint64(0x100)) >> 1)
        slots[kept + i] = slot if found != _ZERO else missing + int(key == _BOUNDARY)


@kernel
def _verify(batch: Batch, found: int, trie: Trie, data: Bytes, kept: int) -> None:
    """Corrects the slots of the batch's long tokens, whose keys other tokens may share."""
    missing = len(trie.lines) // 2 - 4
    for i in range(found):
        n, start, end = batch.longs[i, 0], batch.longs[i, 1], batch.longs[i, 2]
        slot = batch.slots[kept + n]
        if slot != missing and not _is_token(trie, slot, data, start, end):
            slot = _find_long(trie, data, start, end, batch.keys[n])
            batch.slots[kept + n] = slot if slot >= 0 else missing


@kernel
def _walk(batch: Batch, done: int, trie: Trie, hits: Ids, counts: Ints, progress: Ints) -> None:
    """Appends the entries that begin at the batch's first `done` slots; progress: hits, the row's first one, row."""
    slots, lines, edges, pairs = batch.slots, trie.lines, trie.edges, trie.pairs
    missing, base = np.int64(len(lines) // 2 - 4), np.int64(len(lines) // 2)
    shift = _pair_shift(pairs)
    n, first, row = progress[0], progress[1], progress[2]
    for i in range(done):
        node = np.int64(slots[i])
        if node == missing + 1:
            counts[row] = n - first
            first = n
            row += 1
            continue
        facts = lines[2 * node + 1]
        hits[n] = np.int32(np.int64(facts & _LOW_HALF) - 1)  # stays if it is an entry
        n += int((facts & _LOW_HALF) != _ZERO)
        after = i + 1
        symbol = np.int64(slots[after])
        key = (np.uint64(node) << _32) | np.uint64(symbol)
        bit = (key * _SPREAD) >> shift
        if (pairs[bit >> _SIX] >> (bit & _63)) & _ONE == _ZERO:
            continue
        while True:
            edge = _find(edges, key)
            if edge < 0:
                break
            facts = edges[2 * edge + 1]
            hits[n] = np.int32(np.int64(facts & _LOW_HALF) - 1)
            n += int((facts & _LOW_HALF) != _ZERO)
            after += 1
            symbol = np.int64(slots[after])
            if ((facts >> np.uint64(32 + (symbol & 31))) & np.uint64(symbol < missing)) == _ZERO:
                break
            key = (np.uint64(base + edge) << _32) | np.uint64(symbol)
    progress[0], progress[1], progress[2] = n, first, row


@kernel
def _settle(hits: Ids, counts: Ints, settled: Ints, progress: Ints) -> None:
    """Sorts the hits beyond those settled (hits, rows), row by row and each once, with those of the row in progress."""
    n, first, row = progress[0], progress[1], progress[2]
    end = settled[0] + sort_rows(hits[settled[0] : first], counts[settled[1] : row])
    settled[0], settled[1] = end, row
    progress[0], progress[1] = end, end
    if n > first:
        progress[0] = by_digits(hits, first, n, end)


@kernel
def scan(texts: Texts, characters: bool, trie: Trie, counts: Ints) -> Ids:
    """Entries found, text by text, ascending, each once; their numbers go to `counts`."""
    longs, state = np.empty((_BATCH, 3), np.int64), np.array([0, -1, 0, 0])
    batch = Batch(np.empty(_BATCH, np.uint64), np.empty(_BATCH + trie.depth, np.int32), longs, state)
    progress, settled = np.zeros(3, np.int64), np.zeros(2, np.int64)
    hits = np.empty(1 << 18, np.int32)
    ascii_slots = _ascii_slots(trie.lines)
    kept = 0
    limit = _MANY
    while progress[2] < len(counts):
        if characters:
            size = _fill_characters(texts, batch, kept, trie.lines, ascii_slots)
        else:
            size, found = _fill_tokens(texts, trie.hash_mask, batch)
            _look_up(batch, size, trie.lines, kept)
            _verify(batch, found, trie, texts.data, kept)
        size += kept
        done = size if state[0] == len(counts) else size - trie.depth  # what an entry may still need is kept
        if progress[0] + size * trie.depth >= len(hits):
            more = np.empty(2 * (progress[0] + size * trie.depth), np.int32)
            more[: progress[0]] = hits[: progress[0]]
            hits = more
        _walk(batch, done, trie, hits, counts, progress)
        if progress[0] - settled[0] > limit:  # texts, however long and repetitive, do not fill the memory
            _settle(hits, counts, settled, progress)
            limit = max(_MANY, 2 * (progress[0] - settled[0]))
        kept = size - done
        for i in range(kept):
            batch.slots[i] = batch.slots[done + i]
    _settle(hits, counts, settled, progress)
    return hits[: settled[0]]
