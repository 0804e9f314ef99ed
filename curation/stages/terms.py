"""terms: the parts' counts summed. The one shuffle of a vocabulary's build, by a hash of the term."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from curation.recipe.vocabulary import Bigrams, VocabularyRecipe
from curation.runner.stage import Law, Planning, ShuffleStage, Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import TERM_COUNTS, TERMS

BUCKETS = 64
"""Units of the sum: 10 million distinct pairs of words each for all of English Wikipedia's."""

_ROWS = pa.schema([("bucket", pa.int32()), *TERM_COUNTS.schema])


class Terms(ShuffleStage):
    """Adds up what the parts counted; rare pairs of words end here."""

    name = "terms"
    about = "sum the counts of every term"
    after = ("term_counts",)
    outputs = (TERMS,)
    laws = (Law(("term_counts.occurrences",), ("occurrences", "rare_occurrences")),)
    rows = _ROWS
    order = ("kind", "term")

    def settings(self, recipe: VocabularyRecipe) -> dict[str, Any]:
        bigrams = next((source for source in recipe.sources if isinstance(source, Bigrams)), None)
        return {"min_bigram_count": bigrams.min_count if bigrams else 1}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        if not planning.inputs["term_counts"].rows(TERM_COUNTS.name):
            return []
        identity = self.identity(BUCKETS, planning.settings, planning.inputs["term_counts"].content(TERM_COUNTS.name))
        return [Unit(f"bucket-{number:05d}", {"number": number}, identity) for number in range(BUCKETS)]

    def items(self, planning: Planning) -> list[dict[str, Any]]:
        reports = planning.inputs["term_counts"].reports
        return [{"files": report.paths(TERM_COUNTS.name)} for _, report in sorted(reports.items())]

    def map(self, item: dict[str, Any], task: Task, wanted: pa.Array) -> Iterator[pa.RecordBatch]:
        for batch in task.store.batches(item["files"], TERM_COUNTS.columns):
            buckets = pa.array([xxhash.xxh3_64_intdigest(t) % BUCKETS for t in _bytes(batch)], pa.int32())
            rows = pa.RecordBatch.from_arrays([buckets, *batch.columns], names=_ROWS.names)
            yield rows.filter(pc.is_in(buckets, value_set=wanted)).cast(_ROWS)

    def reduce(self, batches: Iterator[pa.RecordBatch], task: Task, writer: UnitWriter) -> None:
        for summed in _summed(batches):
            counts = summed.column("count")
            rare = pc.and_(
                pc.equal(summed.column("kind"), "bigram"), pc.less(counts, task.settings["min_bigram_count"])
            )
            kept = summed.filter(pc.invert(rare))
            writer.counts["rare_occurrences"] += pc.sum(counts.filter(rare)).as_py() or 0
            writer.counts["occurrences"] += pc.sum(kept.column("count")).as_py() or 0
            writer.write(TERMS, kept)


def _bytes(batch: pa.RecordBatch) -> list[bytes]:
    found: list[bytes] = batch.column("term").cast(pa.binary()).to_pylist()
    return found


def _summed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Neighbouring rows of one term as one row, also across batches; the last term of each waits for the next."""
    waiting: pa.RecordBatch | None = None
    for batch in batches:
        rows = batch.select(TERMS.columns)
        joined = pa.concat_batches([waiting, rows]) if waiting is not None else rows
        if not joined.num_rows:
            continue
        whole = _groups(joined)
        if whole.num_rows > 1:
            yield whole.slice(0, whole.num_rows - 1)
        waiting = whole.slice(whole.num_rows - 1)
    if waiting is not None:
        yield waiting


def _groups(rows: pa.RecordBatch) -> pa.RecordBatch:
    fresh = np.ones(rows.num_rows, bool)
    for name in ("kind", "term"):
        column = rows.column(name)
        same = np.asarray(pc.equal(column.slice(1), column.slice(0, len(column) - 1)))
        fresh[1:] = ~same if name == "kind" else fresh[1:] | ~same
    starts = np.flatnonzero(fresh)
    counts = np.add.reduceat(np.asarray(rows.column("count")), starts)
    first = rows.take(pa.array(starts))
    return pa.RecordBatch.from_arrays([first.column(0), first.column(1), pa.array(counts)], schema=TERMS.schema)
