"""What is wrong with a vocabulary: entries that no text can hold, equal ones, and ones that hit every other text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
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
    """One entry, and what is the matter with it. found_with: the options each of which alone would mend it."""

    entry_id: int
    entry: str
    reason: str
    found_with: tuple[str, ...]


@dataclass(frozen=True)
class LintReport:
    """unreachable: in no text at all. duplicates: ids of entries that are equal after NFC, case folding and spacing.

    single_characters: one character (they hit much). long: more than LONG_ENTRY characters.
    """

    entries: int
    unreachable: list[Finding]
    duplicates: list[list[int]]
    single_characters: list[int]
    long: list[int]


@dataclass(frozen=True)
class Hit:
    """An entry, how many texts it is in, their share of all texts, and a few of them."""

    entry_id: int
    entry: str
    texts: int
    share: float
    examples: list[str]


@dataclass(frozen=True)
class HitReport:
    """What a vocabulary finds in texts.

    texts: how many there were; a null is none. matched: those that hold an entry. unmatched: the first few others.
    counts: (entries,) texts that each entry is in. most: the entries that most texts hold, most first, equal ones by
    id; those without a text are left out.
    """

    texts: int
    matched: int
    unmatched: list[str]
    counts: npt.NDArray[np.int64]
    most: list[Hit]

    @property
    def entries_hit(self) -> int:
        """Entries that some text holds."""
        return int(np.count_nonzero(self.counts))


def lint(vocabulary: Vocabulary, options: MatchOptions = PLAIN) -> LintReport:
    """Looks at the entries alone; `count_hits` looks at what they do to texts."""
    entries = vocabulary.entries
    # An expression narrows the list before Python reads it: most entries hold neither mark nor blank.
    suspects = _ids(pc.match_substring_regex(padded_forms(vocabulary, options), f"{_MARK}|[{BLANKS}]"))
    findings = []
    for entry_id in suspects:
        entry = entries[entry_id].as_py()
        reason = never_matches(entry, vocabulary.definition, options)
        if reason is not None:
            findings.append(Finding(entry_id, entry, reason, _mended_by(entry, vocabulary.definition, options)))
    lengths = pc.utf8_length(entries)
    return LintReport(
        entries=len(entries),
        unreachable=findings,
        duplicates=_duplicates(vocabulary),
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
        return f"it holds {mark!r} beside another character, but texts get spaces around it"
    close = _CLOSE.search(searched)
    if close is not None:
        return f"it holds {close[0]!r}, but between two such marks every text has two spaces"
    return None


def count_hits(
    vocabulary: Vocabulary,
    batches: Iterable[pa.Array],
    options: MatchOptions = PLAIN,
    *,
    shown: int = 20,
    examples: int = 3,
) -> HitReport:
    """What the vocabulary finds in texts that come in batches.

    shown: how many of the most hit entries, each with up to `examples` texts, and of the texts without an entry are
    told. No more texts than these and one batch are held.
    """
    matcher = Matcher(vocabulary, options)
    counts = np.zeros(len(vocabulary), np.int64)
    total = matched = 0
    unmatched: list[str] = []
    most: dict[int, list[str]] = {}
    for texts in batches:
        matches = matcher.match(texts)
        found = matches.value_lengths()
        total += len(texts) - texts.null_count
        matched += pc.sum(pc.greater(found, 0)).as_py() or 0
        without = texts.filter(pc.equal(found, 0))
        unmatched += without[: shown - len(unmatched)].to_pylist()
        ids = matches.flatten().to_numpy()
        counts += np.bincount(ids, minlength=len(counts))
        rows = pc.list_parent_indices(matches).to_numpy()
        # An entry rises only with a batch that it hits, so whichever joins the first ones has its examples here.
        most = {entry_id: most.get(entry_id, []) for entry_id in _largest(counts, shown)}
        for entry_id, some in most.items():
            if len(some) < examples:
                holding = rows[np.flatnonzero(ids == entry_id)[: examples - len(some)]]
                some.extend(texts.take(pa.array(holding)).to_pylist())
    listed = []
    for entry_id, some in most.items():
        count = int(counts[entry_id])
        listed.append(Hit(entry_id, vocabulary.entries[entry_id].as_py(), count, count / total, some))
    return HitReport(total, matched, unmatched, counts, listed)


def _largest(counts: npt.NDArray[np.int64], size: int) -> list[int]:
    """Positions of the largest counts above 0, largest first, equal ones in order."""
    least = max(1, np.partition(counts, -size)[-size]) if size < len(counts) else 1
    candidates = np.flatnonzero(counts >= least)
    order = np.argsort(-counts[candidates], kind="stable")[:size]
    largest: list[int] = candidates[order].tolist()
    return largest


def _mended_by(entry: str, definition: Definition, options: MatchOptions) -> tuple[str, ...]:
    names = (field.name for field in fields(options) if not getattr(options, field.name))
    return tuple(name for name in names if never_matches(entry, definition, replace(options, **{name: True})) is None)


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
