"""Answers as tables of a notebook: every text escaped, in its own direction of writing, whatever its script."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curation.inspect.card_words import plain
from curation.inspect.wording import how_many, number

SHOWN_CHARS = 300


@dataclass(frozen=True)
class ShownTable:
    """A table that notebooks show as HTML."""

    html: str
    words: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.words


def as_table(table: pa.Table, *columns: str, most: int = 50, places: int = 3) -> ShownTable:
    """The first `most` rows of an answer, all columns or some: so many decimals, texts cut at 300 signs."""
    chosen = table.select(list(columns) or table.schema.names)
    if not chosen.num_rows:
        return ShownTable("<p>no rows</p>", "no rows")
    names = chosen.schema.names
    kinds = {field.name: _is_number(field.type) for field in chosen.schema}
    head = "".join(f"<th{_START}>{_escaped(name.replace('_', ' '))}</th>" for name in names)
    rows = chosen.slice(0, most).to_pylist()
    lines = ("".join(_cell(value, kinds[name], places) for name, value in row.items()) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    left = table.num_rows - len(rows)
    more = f"<p>and {how_many(left, 'more row')}</p>" if left else ""
    words = f"{how_many(table.num_rows, 'row')}: {', '.join(names)}"
    return ShownTable(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}", words)


_START = ' style="text-align: start"'


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _cell(value: Any, is_number: bool, places: int) -> str:
    if not is_number:
        return f'<td dir="auto"{_START}>{_escaped(_told(value))}</td>'
    shown = _told(None) if value is None else number(value, places) if isinstance(value, float) else f"{value:,}"
    return f'<td style="text-align: end">{_escaped(shown)}</td>'


def _told(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_told(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_told(item)}" for key, item in value.items())
    text = plain(str(value))
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
