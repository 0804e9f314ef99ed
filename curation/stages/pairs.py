"""pairs: language, text rules, and de-duplication by (media_id, text) over all archives into media buckets.

The one shuffle of the pipeline. Before it, each archive's batch is redacted, de-duplicated and stripped of placeholder
media; a filtered text travels without its text, so that placeholders are counted by all their distinct texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.balance import pair_ids
from curation.errors import Reason
from curation.recipe import Pairs as PairsSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Planning, ShuffleStage, Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CANDIDATES, PAIRS, REJECTIONS
from curation.stages.buckets import bucket_name, bucket_numbers
from curation.text import LanguageIdentifier, judge, redact

_PLACEHOLDER = "placeholder"
_COMPACT_ROWS = 50_000  # rows of one media that are held before they are merged

_ROWS = pa.schema(
    [
        ("media_bucket", pa.int32()),
        ("media_id", pa.string()),
        ("pair_id", pa.string()),
        ("snapshot", pa.string()),
        ("archive", pa.string()),
        ("record_offset", pa.int64()),
        ("field_order", pa.int32()),
        ("text_source", pa.string()),
        ("page_url", pa.string()),
        ("modality", pa.string()),
        ("robots", pa.string()),
        ("media_url", pa.string()),
        ("text", pa.string()),
        ("lang", pa.string()),
        ("lang_score", pa.float32()),
        ("rule", pa.string()),
        ("occurrences", pa.int64()),
    ]
)


class Pairs(ShuffleStage):
    """Candidates to distinct pairs; which candidates came in which order or partition does not matter."""

    name = "pairs"
    about = "identify languages, apply text rules, de-duplicate into media buckets"
    after = ("extract",)
    outputs = (PAIRS, REJECTIONS)
    laws = (Law(("in:candidates",), ("rows:pairs", "duplicates", "filtered:*", "placeholder_texts")),)
    rows = _ROWS
    order = (
        "media_id",
        "pair_id",
        "snapshot",
        "archive",
        "record_offset",
        "field_order",
        "text_source",
        "page_url",
        "modality",
        "robots",
    )

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return recipe.pairs.model_dump()

    def prepare(self, planning: Planning) -> dict[str, Any]:
        return {"language_model": LanguageIdentifier.model_fingerprint()}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        identity = self.identity(planning.settings, context, planning.inputs["extract"].content(CANDIDATES.name))
        buckets = planning.settings["media_buckets"]
        return [Unit(bucket_name(number), {"number": number}, identity) for number in range(buckets)]

    def items(self, planning: Planning) -> list[dict[str, Any]]:
        reports = planning.inputs["extract"].reports
        return [
            {"files": report.paths(CANDIDATES.name)}
            for _, report in sorted(reports.items())
            if report.rows(CANDIDATES.name)
        ]

    def map(self, item: dict[str, Any], task: Task, wanted: pa.Array) -> Iterator[pa.RecordBatch]:
        settings = PairsSection.model_validate(task.settings)
        for batch in task.store.batches(item["files"], CANDIDATES.columns):
            buckets = bucket_numbers(batch.column("media_id"), settings.media_buckets)
            here = pc.is_in(buckets, value_set=wanted)
            yield from _prepare(batch.filter(here), buckets.filter(here), settings)

    def reduce(self, batches: Iterator[pa.RecordBatch], task: Task, writer: UnitWriter) -> None:
        limit = task.settings["placeholder_texts"]
        for table in _whole_media(batches, limit):
            _merge(table, limit, writer)


def _prepare(batch: pa.RecordBatch, buckets: pa.Array, settings: PairsSection) -> Iterator[pa.RecordBatch]:
    """Candidates of one archive as shuffle rows."""
    text = redact(batch.column("text"), settings.rules)
    nothing = pa.nulls(batch.num_rows, pa.string())
    columns = {name: batch.column(name) for name in CANDIDATES.columns}
    table = (
        pa.table(
            {
                **columns,
                "media_bucket": buckets,
                "page_url": pc.fill_null(batch.column("page_url"), ""),  # engines sort nulls differently
                "pair_id": pair_ids(batch.column("media_id"), text),
                "robots": pc.binary_join(batch.column("robots").cast(pa.list_(pa.string())), ","),
                "text": text,
                "lang": nothing,
                "lang_score": pa.nulls(batch.num_rows, pa.float32()),
                "rule": nothing,
                "occurrences": pa.array(np.ones(batch.num_rows, np.int64)),
            }
        )
        .select(_ROWS.names)
        .cast(_ROWS)
    )
    rows, placeholders = _without_placeholders(_compact(table), settings.placeholder_texts)
    yield from placeholders.to_batches()
    yield from _judged(rows, settings).to_batches()


def _judged(rows: pa.Table, settings: PairsSection) -> pa.Table:
    """The rows with language, and with the rule that drops them, if one does, in place of their text."""
    unique = rows.column("text").combine_chunks().dictionary_encode()
    if isinstance(unique, pa.ChunkedArray):
        unique = unique.combine_chunks()
    langs, scores, rules = judge(unique.dictionary, settings)
    rule = rules.take(unique.indices)
    text = pc.if_else(pc.is_null(rule), rows.column("text"), pa.scalar(None, pa.string()))
    for name, values in (
        ("lang", langs.take(unique.indices)),
        ("lang_score", scores.take(unique.indices)),
        ("rule", rule),
        ("text", text),
    ):
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    return rows.cast(_ROWS)


def _codes(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Equal values, equal numbers; nulls are a value."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices).astype(np.int64)


def _combined(*codes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """One number per distinct tuple of codes."""
    result = codes[0]
    for code in codes[1:]:
        result = np.unique(result * (int(code.max(initial=0)) + 1) + code, return_inverse=True)[1]
    return result


def _compact(table: pa.Table) -> pa.Table:
    """Rows that differ only in provenance, merged: the first stays, occurrences are added.

    Rows are in order of provenance, so the first is the smallest.
    """
    if not table.num_rows:
        return table
    key = _combined(*(_codes(table.column(name)) for name in ("pair_id", "media_id", "text_source", "robots", "rule")))
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    if len(first) == table.num_rows:
        return table
    sums = np.bincount(inverse, weights=np.asarray(table.column("occurrences"))).astype(np.int64)
    order = np.argsort(first, kind="stable")
    merged = table.take(pa.array(first[order]))
    position = table.schema.get_field_index("occurrences")
    return merged.set_column(position, "occurrences", pa.array(sums[order]))


def _without_placeholders(table: pa.Table, limit: int) -> tuple[pa.Table, pa.Table]:
    """Splits off media with more than `limit` distinct texts already here, each as one row with its occurrences."""
    media, pairs = _codes(table.column("media_id")), _codes(table.column("pair_id"))
    texts = np.bincount(media[np.unique(pairs, return_index=True)[1]], minlength=int(media.max(initial=-1)) + 1)
    marked = np.isin(media, np.flatnonzero(texts > limit))
    if not marked.any():
        return table, table.slice(0, 0)
    return table.filter(pa.array(~marked)), _placeholder_rows(table.filter(pa.array(marked)))


def _placeholder_rows(table: pa.Table) -> pa.Table:
    """One row per media, with the occurrences of all its rows and no text."""
    rows = table.num_rows
    for name, value in (("pair_id", ""), ("text", None), ("rule", _PLACEHOLDER), ("text_source", ""), ("robots", "")):
        values = pa.array([value], pa.string()).take(pa.array(np.zeros(rows, np.int64)))
        table = table.set_column(table.schema.get_field_index(name), name, values)
    return _compact(table.cast(_ROWS))


def _whole_media(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[pa.Table]:
    """Tables in which no media is cut; memory is bounded whatever a single media brings."""
    held: pa.Table | None = None
    for batch in batches:
        table = pa.Table.from_batches([batch]) if held is None else pa.concat_tables([held, pa.table(batch)])
        media = table.column("media_id")
        start = pc.index(media, media[-1]).as_py()
        if start:
            yield table.slice(0, start)
        held = table.slice(start).combine_chunks()
        if held.num_rows > _COMPACT_ROWS:
            rows, placeholders = _without_placeholders(_compact(held), limit)
            held = pa.concat_tables([placeholders, rows])
    if held is not None:
        yield held


def _merge(table: pa.Table, limit: int, writer: UnitWriter) -> None:
    """Writes the pairs of some whole media and counts what became of every candidate."""
    occurrences = np.asarray(table.column("occurrences"))
    is_placeholder = _placeholder_mask(table, limit)
    if is_placeholder.any():
        gone = table.filter(pa.array(is_placeholder))
        _reject_placeholders(gone, writer)
        writer.counts["placeholder_texts"] += int(occurrences[is_placeholder].sum())
        table = table.filter(pa.array(~is_placeholder))
    filtered = table.filter(pc.is_valid(table.column("rule")))
    if filtered.num_rows:
        sums = filtered.group_by("rule").aggregate([("occurrences", "sum")])
        for rule, total in zip(
            sums.column("rule").to_pylist(), sums.column("occurrences_sum").to_pylist(), strict=True
        ):
            writer.counts[f"filtered:{rule}"] += total
    kept = table.filter(pc.is_null(table.column("rule"))).combine_chunks()
    if kept.num_rows:
        pairs = _pairs(kept)
        writer.counts["duplicates"] += int(np.asarray(kept.column("occurrences")).sum()) - pairs.num_rows
        for batch in pairs.to_batches():
            writer.write(PAIRS, batch)


def _placeholder_mask(table: pa.Table, limit: int) -> np.ndarray[Any, Any]:
    media, pairs = _codes(table.column("media_id")), _codes(table.column("pair_id"))
    marks = np.asarray(pc.fill_null(pc.equal(table.column("rule"), _PLACEHOLDER), False))
    size = int(media.max(initial=-1)) + 1
    texts = np.bincount(media[np.unique(_combined(media, pairs), return_index=True)[1]], minlength=size)
    texts[media[marks]] = limit + 1
    mask: np.ndarray[Any, Any] = texts[media] > limit
    return mask


def _reject_placeholders(table: pa.Table, writer: UnitWriter) -> None:
    sums = table.group_by(["media_id", "media_url"]).aggregate([("occurrences", "sum")]).sort_by("media_id")
    for row in sums.to_pylist():
        writer.reject(
            Reason.PLACEHOLDER,
            id=row["media_id"],
            detail=f"{row['occurrences_sum']} texts in the pool: {row['media_url'][:200]}",
        )


def _pairs(rows: pa.Table) -> pa.Table:
    """Rows sorted by pair to one row per pair: first provenance, all sources, all robots directives."""
    pair = np.concatenate(
        [[0], np.cumsum(np.asarray(pc.not_equal(rows.column("pair_id")[1:], rows.column("pair_id")[:-1])))]
    )
    pair = pair.astype(np.int64)
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    merged = rows.take(pa.array(first))
    occurrences = np.add.reduceat(np.asarray(rows.column("occurrences")), first)
    page_url = merged.column("page_url")
    columns = {
        **{name: merged.column(name) for name in PAIRS.columns if name in _ROWS.names},
        "text_sources": _united(pair, len(first), rows.column("text_source")),
        "robots": _united(pair, len(first), rows.column("robots"), split=True),
        "page_url": pc.if_else(pc.equal(page_url, ""), pa.scalar(None, pa.string()), page_url),
        "occurrences": pa.array(occurrences),
    }
    return pa.table([columns[name] for name in PAIRS.columns], names=PAIRS.columns).cast(PAIRS.schema)


def _united(group: np.ndarray[Any, Any], groups: int, column: pa.ChunkedArray, *, split: bool = False) -> pa.Array:
    """Sorted distinct values of each group as lists; with `split`, values are comma-separated lists themselves."""
    if split:
        lists = pc.split_pattern(column.combine_chunks(), ",")
        lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        group = group[np.asarray(pc.list_parent_indices(lists))]
        values = lists.flatten()
    else:
        values = column.combine_chunks()
    encoded = values.dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    rank = np.argsort(np.argsort(np.array(encoded.dictionary.to_pylist(), dtype=object), kind="stable"))
    ordered = encoded.dictionary.take(pa.array(np.argsort(rank)))
    wide = max(1, len(ordered))
    keys = np.unique(group * wide + rank[np.asarray(encoded.indices)])
    if len(ordered) and ordered[0].as_py() == "":  # pages without directives
        keys = keys[keys % wide != 0]
    offsets = np.searchsorted(keys, np.arange(groups + 1) * wide).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), ordered.take(pa.array(keys % wide)))
