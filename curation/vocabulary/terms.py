"""What all sources of a vocabulary share: the numbers, cleaning of entries, and choosing the best by score.

Tens of millions of terms stay in Arrow arrays; only `numbers` makes Python strings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from curation.concepts.prepare import WHITE_SPACE
from curation.errors import VocabularyError

Scored: TypeAlias = tuple[str, float | None]
"""An entry as a source names it, and its score: a count, a frequency, a number of views; None where it has none."""

MAX_CHARACTERS = 256
"""Code points of the longest entry that is kept (MetaCLIP 2)."""

_MOST_COMPOSED = 4  # code points that NFC can make one of (U+1F82): what is longer by more stays too long

_SURROGATE = re.compile("[\ud800-\udfff]")

_CONTROL = r"[\p{Cc}\p{Zl}\p{Zp}]"

# Marks and format characters (accents, joiners) are nothing without a letter either.
_WORD = r"[^\p{P}\p{S}\p{Z}\p{M}\p{Cf}]"

# Emoji by default in Unicode's emoji-data.txt (Emoji_Presentation) below U+10000; all pictograph blocks above; and
# any other symbol with the selector that asks for its emoji form.
_EMOJI = (
    r"[\x{231A}\x{231B}\x{23E9}-\x{23EC}\x{23F0}\x{23F3}\x{25FD}\x{25FE}\x{2614}\x{2615}\x{2648}-\x{2653}\x{267F}"
    r"\x{2693}\x{26A1}\x{26AA}\x{26AB}\x{26BD}\x{26BE}\x{26C4}\x{26C5}\x{26CE}\x{26D4}\x{26EA}\x{26F2}\x{26F3}"
    r"\x{26F5}\x{26FA}\x{26FD}\x{2705}\x{270A}\x{270B}\x{2728}\x{274C}\x{274E}\x{2753}-\x{2755}\x{2757}"
    r"\x{2795}-\x{2797}\x{27B0}\x{27BF}\x{2B1B}\x{2B1C}\x{2B50}\x{2B55}\x{1F1E6}-\x{1FAFF}]|\p{So}\x{FE0F}"
)


def numbers() -> list[str]:
    """The entries "0" to "99", with which MetaCLIP's builder begins every language's list."""
    return [str(number) for number in range(100)]


def clean(entries: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> tuple[pa.Array, dict[str, int]]:
    """The entries that can be concepts, tidied, in the order given, and how many were dropped by reason.

    It is `clean_rows` without the rows that were dropped.
    """
    terms, dropped = clean_rows(entries)
    return terms.drop_null(), dropped


def clean_rows(entries: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> tuple[pa.Array, dict[str, int]]:
    """The entries (n,) tidied, null where dropped, and how many were dropped by reason: scores beside them stay so.

    Outer white space goes, inner runs of it become one space, and the text is NFC. Dropped, by the first reason met:
    "empty" (null or only white space), "control_character" (inside: tabs, line ends, U+2028 and lone surrogates too),
    "too_long" (over MAX_CHARACTERS as tidied), "punctuation": all punctuation, symbols, blanks, accents and format
    characters, without an emoji. An emoji is what Unicode shows as one by default, anything in U+1F1E6 to U+1FAFF,
    and a symbol of category So before the selector U+FE0F: a lone "\u2605" is dropped, a lone "\u26bd" kept.
    """
    terms = pc.utf8_trim(pc.fill_null(_strings(entries), ""), characters=WHITE_SPACE)
    dropped: dict[str, int] = {}
    terms, dropped["empty"] = _without(terms, pc.equal(terms, ""))
    terms, dropped["control_character"] = _without(terms, pc.match_substring_regex(terms, _CONTROL))
    terms = pc.replace_substring_regex(terms, r"\p{Zs}+", " ")
    # Before normalisation, which is quadratic in the accents that a hostile entry heaps up.
    terms, hopeless = _without(terms, pc.greater(pc.utf8_length(terms), _MOST_COMPOSED * MAX_CHARACTERS))
    terms = pc.utf8_normalize(terms, form="NFC")
    terms, long = _without(terms, pc.greater(pc.utf8_length(terms), MAX_CHARACTERS))
    dropped["too_long"] = hopeless + long
    concepts = pc.match_substring_regex(terms, f"{_WORD}|{_EMOJI}")
    terms, dropped["punctuation"] = _without(terms, pc.invert(concepts))
    return terms, dropped


def ranked(
    terms: pa.Array | pa.ChunkedArray | Sequence[str], scores: pa.Array | pa.ChunkedArray | Sequence[float | None]
) -> tuple[pa.Array, pa.Array]:
    """Terms (n,) and scores (n,), highest score first, null last, equal ones by the text's Unicode code points.

    Nothing is dropped, repeated terms neither. The scores keep their type; they are finite or null.
    """
    table = _table(terms, scores)
    # Arrow compares strings by their UTF-8 bytes, whose order is that of the code points.
    order = pc.sort_indices(table, sort_keys=[("score", "descending"), ("term", "ascending")])
    return table["term"].combine_chunks().take(order), table["score"].combine_chunks().take(order)


def top(
    terms: pa.Array | pa.ChunkedArray | Sequence[str],
    scores: pa.Array | pa.ChunkedArray | Sequence[float | None],
    *,
    min_score: float | None = None,
    top_share: float | None = None,
    max_entries: int | None = None,
) -> tuple[pa.Array, pa.Array]:
    """The best of the distinct terms, as `ranked` orders them; a repeated term counts once, with its highest score.

    All limits hold at once. min_score: that score or more; terms without one go. top_share, in (0, 1]: the best
    floor(share * distinct terms), at least one, where terms that min_score drops are counted too. max_entries: >= 1.
    MetaCLIP's English list takes unigrams with count >= 100 and titles with views >= 70; MetaCLIP 2's others the top
    0.1 of the unigrams, at most 251,465, and the top 0.76 of the titles, at most 61,235.

    Raises VocabularyError for a share or number outside its range.
    """
    if top_share is not None and not 0 < top_share <= 1:
        raise VocabularyError(f"top_share is {top_share}: give a share above 0 and up to 1")
    if max_entries is not None and max_entries < 1:
        raise VocabularyError(f"max_entries is {max_entries}: give 1 or more")
    table = _table(terms, scores)
    if min_score is not None and top_share is None:  # most terms are rare: not even sorted
        table = table.filter(pc.greater_equal(table["score"], min_score))
    best, highest = _distinct(table)
    limit = len(best) if max_entries is None else max_entries
    if top_share is not None:
        # As written in decimal: 0.29 of 100 is 29, though the float is a little less.
        limit = min(limit, max(1, int(Decimal(str(top_share)) * len(best))))
    # The terms are in order already, and this sort is stable.
    order = pc.array_sort_indices(highest, order="descending")[:limit]
    best, highest = best.take(order), highest.take(order)
    if min_score is None:
        return best, highest
    enough = pc.greater_equal(highest, min_score)
    return best.filter(enough), highest.filter(enough)


def _distinct(table: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Every term once, by code points, with its highest score. Sorting is quicker than Arrow's group_by here."""
    order = pc.sort_indices(table, sort_keys=[("term", "ascending"), ("score", "descending")])
    terms = table["term"].combine_chunks().take(order)
    scores = table["score"].combine_chunks().take(order)
    first = pa.array([True] if len(terms) else [], pa.bool_())
    new = pa.concat_arrays([first, pc.not_equal(terms[1:], terms[:-1])])
    return terms.filter(new), scores.filter(new)


def _table(
    terms: pa.Array | pa.ChunkedArray | Sequence[str], scores: pa.Array | pa.ChunkedArray | Sequence[float | None]
) -> pa.Table:
    if not isinstance(scores, pa.Array | pa.ChunkedArray):
        scores = pa.array(scores)
    if pa.types.is_null(scores.type):
        scores = scores.cast(pa.float64())
    return pa.table({"term": _strings(terms), "score": scores})


def _strings(entries: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> pa.Array:
    """As one array of large_string, without the 2 GiB limit of string. Lone surrogates become U+0000."""
    if isinstance(entries, pa.ChunkedArray):
        entries = entries.cast(pa.large_string()).combine_chunks()
    if isinstance(entries, pa.Array):
        return entries.cast(pa.large_string())
    try:
        return pa.array(entries, pa.large_string())
    except UnicodeEncodeError:
        whole = [entry if entry is None else _SURROGATE.sub("\0", entry) for entry in entries]
        return pa.array(whole, pa.large_string())


def _without(terms: pa.Array, wrong: pa.Array) -> tuple[pa.Array, int]:
    return pc.if_else(wrong, pa.scalar(None, pa.large_string()), terms), pc.sum(wrong).as_py() or 0
