"""`prepare.pad` and `prepare.normalized` for whole Arrow arrays; they are tested to give the same."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from curation.concepts.options import MatchOptions
from curation.concepts.prepare import BLANKS, SPACED_MARKS, normalized, writes_no_space
from curation.concepts.vocabulary import Vocabulary


def padded_forms(vocabulary: Vocabulary, options: MatchOptions) -> pa.LargeStringArray:
    """`pad` of every entry, in order."""
    entries = normalized_array(vocabulary.entries.cast(pa.large_string()), options)
    left = right = pa.scalar(" ", pa.large_string())
    if vocabulary.definition == "v2":
        left = _padding(pc.utf8_slice_codeunits(entries, 0, 1), options)
        right = _padding(pc.utf8_slice_codeunits(entries, -1), options)
    if options.spaced_entries:
        entries = _spaced(entries)
    return pc.binary_join_element_wise(left, entries, right, pa.scalar("", pa.large_string()))


def normalized_array(texts: pa.Array, options: MatchOptions) -> pa.Array:
    """`normalized` of every text; only texts beyond ASCII become Python strings."""
    if not (options.nfc or options.case_fold):
        return texts
    plain = pc.string_is_ascii(texts)
    other = [normalized(text, options) for text in texts.filter(pc.invert(plain)).to_pylist()]
    folded = pc.ascii_lower(texts) if options.case_fold else texts
    return pc.replace_with_mask(folded, pc.invert(plain), pa.array(other, texts.type)) if other else folded


def _padding(outermost: pa.Array, options: MatchOptions) -> pa.Array:
    """The space, or nothing, beside each of these single characters (or empty strings)."""
    encoded = outermost.dictionary_encode()
    spaces = ["" if character and writes_no_space(character, options) else " " for character in
              encoded.dictionary.to_pylist()]  # fmt: skip
    return pa.array(spaces, pa.large_string()).take(encoded.indices)


def _spaced(entries: pa.Array) -> pa.Array:
    """Marks and blanks as in a text, without the spaces that would stand outside an entry's ends."""
    spaced = entries
    for mark in SPACED_MARKS:
        spaced = pc.replace_substring(spaced, mark, f" {mark} ")
    for blank in BLANKS:
        spaced = pc.replace_substring(spaced, blank, " ")
    marks = pa.array(list(SPACED_MARKS), pa.large_string())
    begins = pc.is_in(pc.utf8_slice_codeunits(entries, 0, 1), marks)
    ends = pc.is_in(pc.utf8_slice_codeunits(entries, -1), marks)
    spaced = pc.if_else(begins, pc.utf8_slice_codeunits(spaced, 1), spaced)
    return pc.if_else(ends, pc.utf8_slice_codeunits(spaced, 0, -1), spaced)
