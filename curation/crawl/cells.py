"""Table cells as text: what every table reader hands to the one place that makes candidates of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import Reason

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Unusable = dict[int, tuple[Reason, str]]
"""Position of a cell -> why it holds no text."""


@dataclass(frozen=True)
class Cells:
    """A column of some rows."""

    text: pa.StringArray
    unusable: Unusable = field(default_factory=dict)
    """Cells with something other than text; null in `text`."""


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table."""

    rows: IntArray
    """Row numbers from 0, ascending."""
    columns: dict[str, Cells]
    """By name: those that were asked for."""


def missing_columns(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    """What to say where a table lacks a wanted column; None where it lacks none."""
    missing = sorted(set(wanted) - set(names))
    return f"no column {', '.join(missing)}; the file has {', '.join(names) or 'none'}" if missing else None


def is_textual(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type can be read as text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    named = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    raw = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(test(kind) for test in named + raw)


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
