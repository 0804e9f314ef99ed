"""Table cells: what every table reader hands to the one place that makes candidates of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import Reason

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Unusable = dict[int, tuple[Reason, str]]
"""Position of a cell -> why it holds no text."""


@dataclass(frozen=True)
class Cells:
    """A column of some rows, as text."""

    text: pa.StringArray
    unusable: Unusable = field(default_factory=dict)
    """Cells with something other than text; null in `text`."""


Column: TypeAlias = Cells | pa.Array | list[Any]
"""A column of some rows, as its reader found it: text, Arrow values, or Python values."""

UNREADABLE = object()
"""Stands for a value that its column's own type cannot give (text that is not UTF-8, a date out of range)."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table."""

    rows: IntArray
    """Row numbers from 0, ascending."""
    columns: dict[str, Column]
    """By name: those that were asked for and that the file has."""


def is_textual(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type can be read as text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    named = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    raw = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in named + raw)


def text_cells(column: Column) -> Cells:
    """A column as text; what is none is unusable."""
    if isinstance(column, Cells):
        return column
    if isinstance(column, list):
        return cells_of_values(column.copy())
    return cells_of_array(column)


def python_values(columns: Sequence[Column]) -> list[Any]:
    """Python values, for each row the first that is not missing (null, NaN, a blank text), else None."""
    values = [None if _is_missing(value) else value for value in _python_values(columns[0])]
    for column in columns[1:]:
        others = _python_values(column)
        values = [
            value if value is not None or _is_missing(other) else other
            for value, other in zip(values, others, strict=True)
        ]
    return values


def _is_missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or (isinstance(value, str) and not value.strip())
    )


def _python_values(column: Column) -> list[Any]:
    if isinstance(column, list):
        return column
    if not isinstance(column, Cells):
        if not is_textual(column.type):
            try:
                return list(column.to_pylist())
            except (ValueError, OverflowError, pa.ArrowException):
                return [_python_value(scalar) for scalar in column]
        column = cells_of_array(column)
    values: list[Any] = column.text.to_pylist()
    for at in column.unusable:
        values[at] = UNREADABLE
    return values


def _python_value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, pa.ArrowException):
        return UNREADABLE


def first_cells(cells: Sequence[Cells]) -> Cells:
    """For each row the first cell that holds a text; it is unusable if one is and none holds a text."""
    if len(cells) == 1:
        return cells[0]
    nothing = pa.scalar(None, pa.string())
    blank = [pc.equal(pc.utf8_trim_whitespace(each.text), "") for each in cells]
    text = pc.coalesce(*(pc.if_else(empty, nothing, each.text) for empty, each in zip(blank, cells, strict=True)))
    unusable = {at: why for each in reversed(cells) for at, why in each.unusable.items() if not text[at].is_valid}
    return Cells(text, unusable)


def cells_of_array(array: pa.Array) -> Cells:
    """A textual Arrow array; text that is not UTF-8 (Arrow does not check files) is unusable."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        text = array.cast(pa.string())
        text.validate(full=True)
        return Cells(text)
    except pa.ArrowInvalid:
        return cells_of_values(array.cast(pa.large_binary()).to_pylist())


def cells_of_values(values: list[Any]) -> Cells:
    """Python values: str, bytes, None, or anything, which is unusable. Changes the list."""
    try:
        return Cells(pa.array(values, pa.string()))
    except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeError):
        unusable: Unusable = {}
    for at, value in enumerate(values):
        try:
            if isinstance(value, bytes):
                values[at] = value.decode()
            elif isinstance(value, str):
                value.encode()
            elif value is not None:
                unusable[at] = (Reason.BAD_ROW, f"{type(value).__name__}, not text")
                values[at] = None
        except UnicodeError as error:
            unusable[at] = (Reason.BAD_ENCODING, str(error))
            values[at] = None
    return Cells(pa.array(values, pa.string()), unusable)


def unquoted(cells: Cells) -> Cells:
    """Cells without the quotes around a wholly quoted field, whose inner quotes are doubled."""
    quoted = pc.match_substring_regex(cells.text, r'(?s)^"(?:[^"]|"")*"$')
    if not pc.any(quoted, min_count=0).as_py():
        return cells
    inner = pc.replace_substring(pc.utf8_slice_codeunits(cells.text, 1, -1), '""', '"')
    return Cells(pc.if_else(quoted, inner, cells.text), cells.unusable)
