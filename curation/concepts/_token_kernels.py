"""Compiled loops of `curation.concepts.token_trie`: building the two tables, and scanning texts with them.

A table is a row of cache lines of four slots; a slot is two words, its key and what is known of it:

    symbols   key of a symbol (a token, or a character)        low half: 1 + entry that is this symbol alone, or 0
    edges     node << 32 | slot of the symbol that follows     low half: 1 + entry that ends here, or 0
              (both)                                           high half: bit s % 32 for every symbol slot s that follows

A node is a symbol slot (the beginning of an entry), or the number of symbol slots plus an edge slot. Keys of up to
seven bytes are the bytes themselves, longer ones are hashes that are compared with the bytes in `pool`, and edge keys
are exact, so an answer never depends on a hash.
"""

from __future__ import annotations

import numpy as np

from curation.concepts._intrinsics import (
    count_below,
    equal_words,
    folded_product,
    load8,
    separators,
    trailing_zeros,
)
from curation.kernels import kernel

EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
BOUNDARY = np.uint64(0xFFFF_FFFF_FFFF_FFFE)
LONG = np.uint64(0x80 << 56)
HASH_BITS = np.uint64((1 << 56) - 1)
SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)  # 2**64 / golden ratio, odd
SEED = np.uint64(0xD1B5_4A32_D192_ED03)  # odd, bits without pattern
MAX_SYMBOLS = 64
BATCH = 1024
SPILL = 1 << 16

ZERO, ONE, TWO, SEVEN, EIGHT, U32, U56, U63 = (np.uint64(value) for value in (0, 1, 2, 7, 8, 32, 56, 63))
LOW_HALF = np.uint64(0xFFFF_FFFF)


@kernel
def _short_key(data, start, length):
    size = np.uint64(length)
    return (load8(data, start) & ((ONE << (size * EIGHT)) - ONE)) | (size << U56)


@kernel
def _key(data, start, end, hash_mask):
    """The key of a token; 8 bytes must be readable from `start`."""
    length = end - start
    if length < 8:
        return _short_key(data, start, length)
    mixed = np.uint64(length) * SEED
    for at in range(start, end - 8, 8):
        mixed = folded_product(mixed ^ load8(data, at), SPREAD)
    mixed = folded_product(mixed ^ load8(data, end - 8), SPREAD)
    return (mixed & hash_mask & HASH_BITS) | LONG


@kernel
def _home(key, shift):
    return np.int64(((key ^ (key >> U32)) * SPREAD) >> shift)


@kernel
def _shift(lines):
    """What `_home` shifts by for a table of this many words: eight words a line, and one line for what is not found."""
    return np.uint64(64) - np.uint64(trailing_zeros(np.uint64(len(lines) // 8 - 1)))


@kernel
def _find(lines, shift, key):
    """Slot of the key, or -1."""
    line = _home(key, shift)
    last = len(lines) // 8 - 2
    while True:
        found = equal_words(lines, line * 8, key) & np.uint64(0x55)
        if found != ZERO:
            return line * 4 + (trailing_zeros(found) >> 1)
        if equal_words(lines, line * 8, EMPTY) & np.uint64(0x55) != ZERO:
            return -1
        line = (line + 1) & last


@kernel
def _same_bytes(left, left_at, right, right_at, length):
    for i in range(length):
        if left[left_at + i] != right[right_at + i]:
            return False
    return True


@kernel
def _is_token(slot, places, pool, data, start, end):
    place = places[slot]
    length = np.int64(place & LOW_HALF)
    return length == end - start and _same_bytes(pool, np.int64(place >> U32), data, start, length)


@kernel
def _find_long(lines, shift, places, pool, data, start, end, key):
    """Slot of a token whose key is a hash, or -1: among equal keys the one with these bytes."""
    line = _home(key, shift)
    last = len(lines) // 8 - 2
    while True:
        for slot in range(line * 4, line * 4 + 4):
            if lines[2 * slot] == key and _is_token(slot, places, pool, data, start, end):
                return slot
            if lines[2 * slot] == EMPTY:
                return -1
        line = (line + 1) & last


@kernel
def _insert(lines, shift, key):
    """Puts a key that is not there into the first free slot, which it returns."""
    line = _home(key, shift)
    last = len(lines) // 8 - 2
    while True:
        free = equal_words(lines, line * 8, EMPTY) & np.uint64(0x55)
        if free != ZERO:
            slot = line * 4 + (trailing_zeros(free) >> 1)
            lines[2 * slot] = key
            return slot
        line = (line + 1) & last


# ---- building


@kernel
def character_bytes(byte):
    """Length of the UTF-8 character that begins with this byte."""
    if byte < 0xC0:
        return 1
    return 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4


@kernel
def symbol_end(data, at, end, characters):
    if characters:
        return min(at + character_bytes(data[at]), end)
    while at < end and data[at] != 32:
        at += 1
    return at


@kernel
def count_symbols(data, offsets, characters):
    """Symbols of every form; forms of tokens come without their outer spaces."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(counts)):
        at, end = offsets[row], offsets[row + 1]
        while True:
            at = symbol_end(data, at, end, characters)
            counts[row] += 1
            if at >= end:
                break
            at += 0 if characters else 1
    return counts


@kernel
def intern(data, offsets, characters, hash_mask, symbols, lines, places, pool):
    """Fills `lines`, `places` and `pool` with all symbols and `symbols` with their slots; (symbols, pool bytes)."""
    shift = _shift(lines)
    found = used = n = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        while True:
            stop = symbol_end(data, at, end, characters)
            key = _key(data, at, stop, hash_mask)
            if key < LONG:
                slot = _find(lines, shift, key)
            else:
                slot = _find_long(lines, shift, places, pool, data, at, stop, key)
            if slot < 0:
                slot = _insert(lines, shift, key)
                found += 1
                if key >= LONG:
                    places[slot] = (np.uint64(used) << U32) | np.uint64(stop - at)
                    for i in range(at, stop):
                        pool[used] = data[i]
                        used += 1
            symbols[n] = slot
            n += 1
            if stop >= end:
                break
            at = stop if characters else stop + 1
    return found, used


@kernel
def connect(symbols, counts, ids, lines, edges):
    """Adds every form's path to `edges`, and its entry to the last node; number of edges."""
    slots = len(lines) // 2
    shift = _shift(edges)
    n = added = 0
    for row in range(len(counts)):
        node = np.int64(symbols[n])
        for i in range(n + 1, n + counts[row]):
            symbol = np.int64(symbols[i])
            key = (np.uint64(node) << U32) | np.uint64(symbol)
            follows = ONE << np.uint64(32 + (symbol & 31))
            if node < slots:
                lines[2 * node + 1] |= follows
            else:
                edges[2 * (node - slots) + 1] |= follows
            edge = _find(edges, shift, key)
            if edge < 0:
                edge = _insert(edges, shift, key)
                added += 1
            node = slots + edge
        n += counts[row]
        if node < slots:
            lines[2 * node + 1] |= np.uint64(ids[row] + 1)
        else:
            edges[2 * (node - slots) + 1] |= np.uint64(ids[row] + 1)
    return added


# ---- scanning


@kernel
def _fill_tokens(data, offsets, hash_mask, state, keys, n, longs):
    """Appends keys of tokens from where `state` stands (row, next byte, start of the token, end of the row)."""
    row, at, start, end = state[0], state[1], state[2], state[3]
    rows = len(offsets) - 1
    found = 0
    while row < rows and n + 2 * 64 + 2 <= BATCH:
        if at < 0:
            at = start = offsets[row]
            end = offsets[row + 1]
        blanks, marks = separators(data, at)
        left = end - at
        some = blanks | marks
        if left < 64:
            final = ONE << np.uint64(left)
            some = (some & (final - ONE)) | final
            marks &= final - ONE
        while some != ZERO:
            i = trailing_zeros(some)
            some &= some - ONE
            stop = at + i
            length = stop - start
            if length < 8:
                keys[n] = _short_key(data, start, length)
            else:
                keys[n] = _key(data, start, stop, hash_mask)
                longs[found, 0], longs[found, 1], longs[found, 2] = n, start, stop
                found += 1
            keys[n + 1] = np.uint64(data[stop]) | (ONE << U56)
            n += 1 + np.int64((marks >> np.uint64(i)) & ONE)
            start = stop + 1
        at += 64
        if left < 64:
            keys[n] = BOUNDARY
            n += 1
            row += 1
            at = -1
    state[0], state[1], state[2], state[3] = row, at, start, end
    return n, found


@kernel
def _look_up(keys, begin, end, lines, slots):
    """Slots of keys[begin:end]: `missing` where there is none, the one after it for the end of a text."""
    shift = _shift(lines)
    missing = len(lines) // 2 - 4
    last = len(lines) // 8 - 2
    for i in range(begin, end):
        key = keys[i]
        line = _home(key, shift)
        while True:
            found = equal_words(lines, line * 8, key) & np.uint64(0x55)
            empty = equal_words(lines, line * 8, EMPTY) & np.uint64(0x55)
            if (found | empty) != ZERO:
                break
            line = (line + 1) & last
        slot = line * 4 + (trailing_zeros(found | np.uint64(0x100)) >> 1)
        slots[i] = slot if found != ZERO else missing + np.int64(key == BOUNDARY)


@kernel
def _verify(longs, found, keys, lines, places, pool, data, slots):
    missing = len(lines) // 2 - 4
    for i in range(found):
        n, start, end = longs[i, 0], longs[i, 1], longs[i, 2]
        if slots[n] != missing and not _is_token(slots[n], places, pool, data, start, end):
            slot = _find_long(lines, _shift(lines), places, pool, data, start, end, keys[n])
            slots[n] = slot if slot >= 0 else missing


@kernel
def _walk(slots, begin, end, lines, edges, hits, n, first, counts, row):
    """Follows entries that begin at slots[begin:end]; hits so far, the row's first hit, the row."""
    shift = _shift(edges)
    missing = np.int64(len(lines) // 2 - 4)
    base = np.int64(len(lines) // 2)
    for i in range(begin, end):
        slot = np.int64(slots[i])
        if slot == missing + 1:
            n = sort_unique(hits, first, n)
            counts[row] = n - first
            first = n
            row += 1
            continue
        facts = lines[2 * slot + 1]
        hits[n] = np.int32(np.int64(facts & LOW_HALF) - 1)
        n += np.int64((facts & LOW_HALF) != ZERO)
        j = i + 1
        node = slot
        follows = facts >> U32
        while True:
            after = np.int64(slots[j])
            if ((follows >> np.uint64(after & 31)) & np.uint64(after < missing)) == ZERO:
                break
            edge = _find(edges, shift, (np.uint64(node) << U32) | np.uint64(after))
            if edge < 0:
                break
            facts = edges[2 * edge + 1]
            hits[n] = np.int32(np.int64(facts & LOW_HALF) - 1)
            n += np.int64((facts & LOW_HALF) != ZERO)
            node = base + edge
            follows = facts >> U32
            j += 1
    return n, first, row


@kernel
def sort_unique(hits, first, end):
    """Sorts hits[first:end], drops repetitions, returns the new end; 16 values after `end` are scratch."""
    size = end - first
    if size < 2:
        return end
    if size > 64:
        return first + _sort_many(hits, first, end)
    ranked = np.empty(64, np.int32)
    for i in range(16):
        hits[end + i] = 0x7FFF_FFFF
    for i in range(size):
        ranked[i] = -1
    for i in range(first, end):
        rank = 0
        for j in range(first, end, 16):
            rank += count_below(hits, j, hits[i])
        ranked[rank] = hits[i]
    n = first
    for i in range(size):
        hits[n] = ranked[i]
        n += np.int64(ranked[i] >= 0)
    return n


@kernel
def _sort_many(hits, first, end):
    return 0


@kernel
def scan_tokens(data, offsets, hash_mask, lines, places, pool, edges, counts):
    keys = np.empty(BATCH, np.uint64)
    slots = np.empty(BATCH, np.int32)
    longs = np.empty((BATCH, 3), np.int64)
    hits = np.empty(1 << 20, np.int32)
    state = np.array([0, -1, 0, 0])
    n = kept = first = row = 0
    while row < len(counts):
        end, found = _fill_tokens(data, offsets, hash_mask, state, keys, kept, longs)
        _look_up(keys, kept, end, lines, slots)
        _verify(longs, found, keys, lines, places, pool, data, slots)
        done = end if state[0] == len(counts) else end - MAX_SYMBOLS
        n, first, row = _walk(slots, 0, done, lines, edges, hits, n, first, counts, row)
        kept = end - done
        for i in range(kept):
            slots[i] = slots[done + i]
    return hits[:n]
