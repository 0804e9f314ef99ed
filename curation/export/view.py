"""The one view of a manifest that every shape is written from: chosen rows, a batch at a time, in a stated order.

    view = View(connection, Selection(split="train", modality="video", t=20_000))
    for row in view.rows({"id": "sample_id", "captions": captions(view.selection)}): ...

A shape names the columns that it wants as SQL over MANIFEST's, so nothing else is read, and lists are made where they
lie. Rows come by sample_id: it is a hash, so neighbours have nothing to do with each other, and no partitioning shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb
import pyarrow as pa

from curation.errors import InputError

ORDER = "sample_id"
BATCH = 8192
"""Rows that are in memory as Python objects at a time."""

Rule = tuple[str, str]
"""Why a sample is left out, in words that follow a number ("12 images"), and the SQL condition that says so."""


@dataclass(frozen=True)
class Selection:
    """Which samples of a manifest, and which of their texts; None: all."""

    split: str | None = None
    modality: str | None = None
    t: float | None = None
    """Samples that stay at this threshold: critical_threshold <= t."""
    lang: str | None = None
    """Samples whose chosen text has this language, and of their texts those that have."""
    texts: tuple[str, ...] = ()
    """Texts by these captioners (`words`, or `words.brief`) and no others; (): see curation.export.texts."""

    def condition(self) -> str:
        """As SQL over the manifest."""
        equal = {"split": self.split, "modality": self.modality, "text_lang": self.lang}
        parts = [f"{name} = {literal(value)}" for name, value in equal.items() if value is not None]
        if self.t is not None:
            parts.append(f"critical_threshold <= {self.t!r}")
        return " AND ".join(parts) or "true"

    def told(self) -> dict[str, Any]:
        """What was asked for, for the lineage of an export."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
                if value not in (None, ())}  # fmt: skip


class View:
    """The selected rows of the relation `manifest` of a connection. One stream of rows at a time."""

    def __init__(self, database: duckdb.DuckDBPyConnection, selection: Selection) -> None:
        self.database, self.selection = database, selection
        self._from = f"FROM manifest WHERE {selection.condition()}"

    @property
    def samples(self) -> int:
        """Selected rows."""
        return self.count("true")

    def count(self, condition: str) -> int:
        """Selected rows that meet a condition."""
        ((found,),) = self.database.execute(f"SELECT count(*) {self._from} AND ({condition})").fetchall()
        return int(found)

    def reasons(self, rules: Sequence[Rule]) -> dict[str, int]:
        """How many selected rows each rule leaves out, of several that do the first."""
        if not rules:
            return {}
        cases = " ".join(f"WHEN {condition} THEN {number}" for number, (_, condition) in enumerate(rules))
        sql = f"SELECT CASE {cases} END AS rule, count(*) {self._from} GROUP BY rule"
        counted = dict(self.database.execute(sql).fetchall())
        return {reason: counted[number] for number, (reason, _) in enumerate(rules) if counted.get(number)}

    def batches(
        self, columns: Mapping[str, str] | Sequence[str], rules: Sequence[Rule] = (), order: str = ORDER
    ) -> Iterator[pa.RecordBatch]:
        """Rows that no rule leaves out: `columns` (name: SQL, or names of the manifest's), in an order that is total.

        What does not fit into memory while it is sorted goes to the disk.
        """
        yield from self.database.sql(self.sql(columns, rules, order)).to_arrow_reader(BATCH)

    def rows(
        self, columns: Mapping[str, str] | Sequence[str], rules: Sequence[Rule] = (), order: str = ORDER
    ) -> Iterator[dict[str, Any]]:
        """The same as dicts."""
        for batch in self.batches(columns, rules, order):
            yield from batch.to_pylist()

    def sql(self, columns: Mapping[str, str] | Sequence[str], rules: Sequence[Rule] = (), order: str = "") -> str:
        """The SELECT of `batches`; without an order where there is none."""
        named = columns if isinstance(columns, Mapping) else {name: f'"{name}"' for name in columns}
        told = ", ".join(f'{expression} AS "{name}"' for name, expression in named.items())
        kept = "".join(f" AND NOT coalesce({condition}, false)" for _, condition in rules)
        return f"SELECT {told} {self._from}{kept}" + (f" ORDER BY {order}" if order else "")


def literal(text: str) -> str:
    """A string as SQL. Raises InputError for a NUL, which DuckDB's parser ends at."""
    if "\0" in text:
        raise InputError(f"{text!r} holds a NUL: no column of a manifest does")
    return "'" + text.replace("'", "''") + "'"
