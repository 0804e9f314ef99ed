"""The one view of a manifest that every shape is written from: chosen rows, a batch at a time, in a stated order.

    view = View(connection, Selection(split="train", modality="video", t=20_000))
    for row in view.rows({"id": "sample_id", "captions": captions(view.selection)}): ...

A shape names the columns that it wants as SQL over MANIFEST's, so nothing else is read, and lists are made where they
lie. Rows come by sample_id: it is a hash, so neighbours have nothing to do with each other, and no partitioning shows.
"""

from __future__ import annotations

import math
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
    """Samples and texts that stay at this threshold: critical_threshold <= t. Texts without one were not drawn by
    themselves and stay with their sample; where the chosen text does not stay, the next of `texts` about all of it
    stands for it, one that has a weight before others, and samples without any are left out."""
    lang: str | None = None
    """Samples whose chosen text has this language, and of their texts those that have."""
    texts: tuple[str, ...] = ()
    """Texts by these captioners (`words`, or `words.brief`) and no others; (): see curation.export.texts."""

    def condition(self) -> str:
        """As SQL over the manifest."""
        equal = {"split": self.split, "modality": self.modality, "text_lang": self.lang}
        parts = [f"{name} = {literal(value)}" for name, value in equal.items() if value is not None]
        return " AND ".join(parts) or "true"

    def relation(self) -> str:
        """As SQL that has a manifest's columns. Raises InputError for a t that is no finite number."""
        if self.t is None:
            return "manifest"
        if not math.isfinite(self.t):
            raise InputError(f"t is {self.t}: give a number of texts; without it all samples are taken")
        stays = f"(x.critical_threshold IS NULL OR x.critical_threshold <= {self.t!r})"
        left = f"SELECT *, [x FOR x IN texts IF {stays}] AS left_ FROM manifest WHERE critical_threshold <= {self.t!r}"
        # the first of texts is the chosen one; what is about a part stands for the sample only where it was chosen
        whole = "[x FOR x IN left_ IF x.start_ms IS NULL AND x.weight > 0], [x FOR x IN left_ IF x.start_ms IS NULL]"
        first = f"SELECT *, list_concat([x FOR x IN left_[:1] IF x = texts[1]], {whole})[1] AS first_ FROM ({left})"
        of_first = {name: f"first_.{name}" for name in ("text", "vocabulary_lang", "entry_ids")}
        of_first |= {f"text_{name}": f"first_.{name}" for name in ("lang", "similarity")}
        of_first |= {"text_kind": "first_.captioner || '.' || first_.kind"}
        of_first |= {"texts": "list_prepend(first_, [x FOR x IN left_ IF x IS DISTINCT FROM first_])"}
        replaced = ", ".join(f"{expression} AS {name}" for name, expression in of_first.items())
        return f"(SELECT * EXCLUDE (left_, first_) REPLACE ({replaced}) FROM ({first}) WHERE first_ IS NOT NULL)"

    def told(self) -> dict[str, Any]:
        """What was asked for, for the lineage of an export."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
                if value not in (None, ())}  # fmt: skip


class View:
    """The selected rows of the relation `manifest` of a connection. One stream of rows at a time."""

    def __init__(self, database: duckdb.DuckDBPyConnection, selection: Selection) -> None:
        self.database, self.selection = database, selection
        self._from = f"FROM {selection.relation()} WHERE {selection.condition()}"

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
