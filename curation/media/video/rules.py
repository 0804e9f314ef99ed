"""Rules over stored scores: which clips are kept. Nothing is decoded here, so a changed rule costs one reading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from curation.recipe.clip_rules import ClipRules

_COLUMNS: Final = {"seconds": ("duration_ms", 1000), "motion_vectors": ("motion_vectors_diagonal", 1)}
"""Scores that rules give another name or unit: column, and its units in one of the rule's."""


def clip_verdicts(scores: pa.RecordBatch | pa.Table, rules: ClipRules) -> pa.StringArray:
    """For each row of scores (columns as in curation.media.video.scores.ClipScores; others are not looked at) the name
    of the first rule, in the order of ClipRules' fields, that refuses the clip; null: the clip is kept.

    A null or NaN score is what rules.unknown says: pass, or refused under the name of the rule that asked for it.
    Columns of rules that are off need not be there; KeyError for one that is missing.
    """
    verdicts = pa.nulls(scores.num_rows, pa.string())
    for name, refused in _refusals(scores, rules):
        unknown = pc.fill_null(refused, rules.unknown == "refuse")
        verdicts = pc.coalesce(verdicts, pc.if_else(unknown, name, pa.scalar(None, pa.string())))
    return verdicts


def _refusals(scores: pa.RecordBatch | pa.Table, rules: ClipRules) -> Iterator[tuple[str, pa.BooleanArray]]:
    """The rules that are on, and whether each refuses: null where it cannot tell."""
    for name in ClipRules.model_fields:
        limit, (bound, _, score) = getattr(rules, name), name.partition("_")
        if name == "aspect" and limit is not None:
            width, height = map(int, limit.split(":"))
            deviation = pc.abs(pc.subtract(pc.divide(_known(scores, "aspect"), width / height), 1.0))
            yield name, pc.greater(deviation, rules.aspect_tolerance)
        elif name == "with_sound" and limit:
            yield name, pc.invert(_column(scores, "has_audio"))
        elif bound in ("min", "max") and limit is not None:
            column, units = _COLUMNS.get(score, (score, 1))
            beyond = pc.less if bound == "min" else pc.greater
            yield name, beyond(_known(scores, column), float(limit) * units)


def _known(scores: pa.RecordBatch | pa.Table, name: str) -> pa.DoubleArray:
    """A column of numbers, NaN as null."""
    column = _column(scores, name).cast(pa.float64())
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.float64()), column)


def _column(scores: pa.RecordBatch | pa.Table, name: str) -> pa.Array:
    column = scores.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
