"""Which columns of a table have to be read, and whether a file has what the mapping asks for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from curation.crawl.cells import Cells, Column, Unusable, python_values
from curation.errors import Reason
from curation.recipe import TableColumns

_PLACES = re.compile(r"\{([^{}]+)\}")
_MAX_VALUE = 2048  # characters of a value put into a URL


def alternatives(reference: str | list[str]) -> list[str]:
    """The columns (or templates) that a part of a mapping names."""
    return reference if isinstance(reference, list) else [reference]


def template_columns(name: str) -> list[str]:
    """The columns that a template has places for; none: it is a column's name."""
    return _PLACES.findall(name)


class WantedColumns:
    """The columns of a table that a mapping needs."""

    def __init__(self, columns: TableColumns) -> None:
        plain = [*columns.texts.values(), *([columns.page_url] if columns.page_url is not None else [])]
        parts = [part for part in (columns.tags, columns.chapters) if part is not None]
        self._url = [template_columns(name) or [name] for name in alternatives(columns.media_url)]
        self._texts = [alternatives(each) for each in (*columns.texts.values(), *parts)]
        self._others = [alternatives(each) for each in (*plain[len(columns.texts) :], *columns.facts.values())]
        self._optional = frozenset(columns.optional)
        urls = [name for name in alternatives(columns.media_url) if not template_columns(name)]
        self.textual = frozenset([*urls, *(name for each in plain for name in alternatives(each))])
        """Columns that have to hold text; the others may hold anything."""
        groups = (*self._url, *self._texts, *self._others)
        self.names = list(dict.fromkeys(name for group in groups for name in group))
        """All columns that are read where a file has them."""

    def lacks_url(self, names: Collection[str]) -> bool:
        """Whether no media URL can be made of columns of these names."""
        return all(set(group) - set(names) for group in self._url)

    def missing(self, names: Collection[str]) -> str | None:
        """What to say where a file with these columns lacks wanted ones; None where it lacks none."""
        missing = [" or ".join(" and ".join(sorted(set(group) - set(names))) for group in self._url)]
        if not self.lacks_url(names):
            missing = []
        absent = [group for group in self._texts if not set(group) & set(names)]
        needed = absent if len(absent) == len(self._texts) else self._required(absent)
        missing += [" or ".join(group) for group in needed]
        missing += [" or ".join(group) for group in self._required(self._others) if not set(group) & set(names)]
        said = ", ".join(sorted(set(missing)))
        return f"no column {said}; the file has {', '.join(names) or 'none'}" if missing else None

    def _required(self, groups: Iterable[list[str]]) -> list[list[str]]:
        return [group for group in groups if not self._optional & set(group)]


def filled_template(template: str, columns: dict[str, Column]) -> Cells:
    """A template with the values of each row in place of {column}, percent-encoded; null where one is missing.

    Texts and whole numbers can be put in; a row with anything else is unusable.
    """
    *parts, last = _PLACES.split(template)
    names = parts[1::2]
    texts: list[str | None] = []
    unusable: Unusable = {}
    rows = zip(*(python_values([columns[name]]) for name in names), strict=True)
    for at, values in enumerate(rows):
        encoded = [_encoded(value) for value in values]
        bad = next((name for name, value in zip(names, encoded, strict=True) if value is None), None)
        if bad is not None:
            unusable[at] = (Reason.BAD_ROW, f"something other than text or a whole number in {bad}")
        usable = bad is None and all(encoded)
        texts.append(_joined(parts[::2], encoded, last) if usable else None)
    return Cells(pa.array(texts, pa.string()), unusable)


def _joined(literals: Sequence[str], values: Sequence[str | None], last: str) -> str:
    return "".join(f"{literal}{value}" for literal, value in zip(literals, values, strict=True)) + last


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _encoded(value: Any) -> str | None:
    """The value as it stands in a URL, empty where it is missing; None: it cannot stand there."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():  # as pandas writes whole numbers where some are missing
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 1 << 64 else None
    if not isinstance(value, str) or len(value) > _MAX_VALUE:
        return None
    text = value.strip()
    return text if text.isascii() and text.isalnum() else _quoted(text)
