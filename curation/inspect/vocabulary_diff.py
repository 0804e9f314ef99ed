"""What is different between two vocabularies: entries that come and go, and ids that move."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.concepts import Vocabulary
from curation.inspect.wording import number, quoted
from curation.vocabulary.merging import read_vocabulary

EXAMPLES = 10


@dataclass(frozen=True)
class VocabularyDiff:
    """From A to B. Entries are in the order of the vocabulary they are taken from.

    moved: entries of both whose ids differ. rescored: those of both, named by the same source with another score.
    by_source: source -> (entries only in A, only in B); empty where a vocabulary does not tell sources.
    """

    entries_a: int
    entries_b: int
    removed: list[str]
    added: list[str]
    moved: int
    rescored: int
    by_source: dict[str, tuple[int, int]]

    @property
    def is_empty(self) -> bool:
        return not (self.removed or self.added or self.moved or self.rescored)


def diff(a: str, b: str) -> VocabularyDiff:
    """Compares two vocabularies of any format that a recipe takes. Raises VocabularyError where one cannot be read."""
    left, right = _table(a), _table(b)
    left_ids, right_ids = ({e: i for i, e in enumerate(table["entry"].to_pylist())} for table in (left, right))
    removed = [entry for entry in left_ids if entry not in right_ids]
    added = [entry for entry in right_ids if entry not in left_ids]
    both = [(left_ids[entry], right_ids[entry]) for entry in left_ids if entry in right_ids]
    by_source: dict[str, tuple[int, int]] = {}
    rescored = 0
    if "source" in left.column_names and "source" in right.column_names:
        lost = Counter(left["source"].take(pa.array([left_ids[entry] for entry in removed], pa.int64())).to_pylist())
        new = Counter(right["source"].take(pa.array([right_ids[entry] for entry in added], pa.int64())).to_pylist())
        by_source = {name: (lost[name], new[name]) for name in [*dict.fromkeys([*lost, *new])]}
        rescored = _rescored(left, right, both)
    moved = sum(one != other for one, other in both)
    return VocabularyDiff(len(left_ids), len(right_ids), removed, added, moved, rescored, by_source)


def diff_lines(found: VocabularyDiff, a: str, b: str, *, shown: int = EXAMPLES) -> list[str]:
    """The comparison in words."""
    lines = [f"A  {a}: {number(found.entries_a)} entries", f"B  {b}: {number(found.entries_b)} entries"]
    if found.is_empty:
        return [*lines, "the same entries with the same ids"]
    lines.append(
        f"only in A: {number(len(found.removed))}   only in B: {number(len(found.added))}   "
        f"in both: {number(found.entries_a - len(found.removed))}, of which {number(found.moved)} have another id"
        + (f" and {number(found.rescored)} another score" if found.rescored else "")
    )
    for name, (lost, new) in found.by_source.items():
        lines.append(f"  {name:<14} -{number(lost)} +{number(new)}")
    for title, entries in (("only in A", found.removed), ("only in B", found.added)):
        if entries and shown:
            more = f" ... and {number(len(entries) - shown)} more" if len(entries) > shown else ""
            lines.append(f"{title}: {', '.join(map(quoted, entries[:shown]))}{more}")
    if found.moved:
        lines.append(
            "ids of matches made with A do not fit B: match again, or build B with --extend A"
        )
    return lines


def _table(location: str) -> pa.Table:
    """Entries in the order of their ids; with sources where the file has them."""
    if location.endswith(".parquet"):
        try:
            names = pq.read_schema(location).names
        except (OSError, ValueError, pa.ArrowException):
            names = []  # remote, or broken: what reads it next says so
        if "source" in names:
            return read_vocabulary(location)
    return pa.table({"entry": Vocabulary.load(location, "other").entries})


def _rescored(left: pa.Table, right: pa.Table, both: list[tuple[int, int]]) -> int:
    ones, others = (pa.array(column, pa.int64()) for column in zip(*both, strict=True)) if both else (None, None)
    if ones is None:
        return 0
    same_source = pc.equal(left["source"].take(ones), right["source"].take(others))
    one, other = left["source_score"].take(ones), right["source_score"].take(others)
    differ = pc.or_(pc.xor(pc.is_null(one), pc.is_null(other)), pc.fill_null(pc.not_equal(one, other), False))
    return int(pc.sum(pc.and_(same_source, differ)).as_py() or 0)
