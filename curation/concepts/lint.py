"""What is wrong with a vocabulary: entries that no text can hold, equal ones, and ones that hit every other text."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.concepts.forms import padded_forms
from curation.concepts.matcher import Matcher
from curation.concepts.options import PLAIN, MatchOptions
from curation.concepts.prepare import BLANKS, SPACED_MARKS, pad
from curation.concepts.vocabulary import Vocabulary
from curation.recipe import Definition

LONG_ENTRY = 256
"""Characters beyond which an entry is reported: captions are seldom that long, titles never."""

_MARK = f"[{re.escape(SPACED_MARKS)}]"
_TOUCHED = re.compile(f"[^ ]{_MARK}|{_MARK}[^ ]")
_CLOSE = re.compile(f"{_MARK} {_MARK}")
_FOLDED = MatchOptions(spaced_entries=True, nfc=True, case_fold=True)


@dataclass(frozen=True)
class Finding:
    """One entry, and what is the matter with it."""

    entry_id: int
    entry: str
    reason: str


@dataclass(frozen=True)
class LintReport:
    """unreachable: in no text at all. duplicates: ids of entries that are equal after NFC, case folding and spacing.

    marked: one of the seven marks inside a word, whether or not the options in force make it findable.
    single_characters: one character (they hit much). long: more than LONG_ENTRY characters.
    """

    entries: int
    unreachable: list[Finding]
    duplicates: list[list[int]]
    marked: list[int]
    single_characters: list[int]
    long: list[int]


@dataclass(frozen=True)
class Hit:
    """An entry, how many texts it is in, their share of all texts, and the first few of them."""

    entry_id: int
    entry: str
    texts: int
    share: float
    examples: list[str]


def lint(vocabulary: Vocabulary, options: MatchOptions = PLAIN) -> LintReport:
    """Looks at the entries alone; `most_hit` looks at what they do to texts."""
    entries = vocabulary.entries
    # An expression narrows the list before Python reads it: most entries hold neither mark nor blank.
    suspects = _ids(pc.match_substring_regex(padded_forms(vocabulary, options), f"{_MARK}|[{BLANKS}]"))
    findings = []
    for entry_id in suspects:
        entry = entries[entry_id].as_py()
        reason = never_matches(entry, vocabulary.definition, options)
        if reason is not None:
            findings.append(Finding(entry_id, entry, reason))
    lengths = pc.utf8_length(entries)
    return LintReport(
        entries=len(entries),
        unreachable=findings,
        duplicates=_duplicates(vocabulary),
        marked=_ids(pc.match_substring_regex(entries, f"[^ ]{_MARK}|{_MARK}[^ ]")),
        single_characters=_ids(pc.equal(lengths, 1)),
        long=_ids(pc.greater(lengths, LONG_ENTRY)),
    )


def never_matches(entry: str, definition: Definition, options: MatchOptions = PLAIN) -> str | None:
    """Why no text can hold the entry, or None where some text does.

    Exact: marks have a space on either side in every text, so one that touches another character, or stands a single
    space from another mark (texts have two there), is never found; nor are blanks, which become spaces.
    """
    searched = pad(entry, definition, options)
    blank = next((sign for sign in BLANKS if sign in searched), None)
    if blank is not None:
        return f"it holds {blank!r}, which becomes a space in every text"
    touched = _TOUCHED.search(searched)
    if touched is not None:
        mark = next(sign for sign in touched[0] if sign in SPACED_MARKS)
        return (
            f"it holds {mark!r} beside another character, but every text gets a space on either side of "
            f"{' '.join(SPACED_MARKS)} before it is searched"
        )
    close = _CLOSE.search(searched)
    if close is not None:
        return f"it holds {close[0]!r}, but between two such marks every text has two spaces"
    return None


def most_hit(
    vocabulary: Vocabulary,
    texts: pa.Array | pa.ChunkedArray,
    options: MatchOptions = PLAIN,
    *,
    entries: int = 20,
    examples: int = 3,
) -> list[Hit]:
    """The entries that most of these texts hold, most first, equal ones by id; those without a text are left out."""
    matches = Matcher(vocabulary, options).match(texts)
    ids = matches.flatten().to_numpy()
    counts = np.bincount(ids, minlength=len(vocabulary))
    chosen = np.argsort(-counts, kind="stable")[:entries]
    rows = pc.list_parent_indices(matches).to_numpy()
    total = max(1, len(texts) - texts.null_count)
    hits = []
    for entry_id in chosen[counts[chosen] > 0].tolist():
        some = [texts[row].as_py() for row in rows[np.flatnonzero(ids == entry_id)[:examples]].tolist()]
        count = int(counts[entry_id])
        hits.append(Hit(entry_id, vocabulary.entries[entry_id].as_py(), count, count / total, some))
    return hits


def _ids(chosen: pa.BooleanArray) -> list[int]:
    found: list[int] = np.flatnonzero(chosen.to_numpy(zero_copy_only=False)).tolist()
    return found


def _duplicates(vocabulary: Vocabulary) -> list[list[int]]:
    """Groups of two or more, in order of their first entry."""
    forms = padded_forms(vocabulary, _FOLDED).dictionary_encode().indices.to_numpy()
    repeated = np.bincount(forms)[forms] > 1
    groups: dict[int, list[int]] = defaultdict(list)
    for entry_id in np.flatnonzero(repeated).tolist():
        groups[int(forms[entry_id])].append(entry_id)
    return list(groups.values())
