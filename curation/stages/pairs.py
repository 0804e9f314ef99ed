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
from curation.digests import digest
from curation.errors import Reason
from curation.filters import CandidateFilters
from curation.filters.consent import concerns_media
from curation.filters.verdicts import loaded_filters, text_verdicts
from curation.media.refusals import FOLDER, FORGOTTEN, Tombstones, blanked
from curation.recipe import Pairs as PairsSection
from curation.recipe import Recipe
from curation.runner.stage import Law, Manifest, Planning, ShuffleStage, Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CANDIDATES, PAIRS, REJECTIONS, SITE_RULES
from curation.stages.buckets import bucket_name, bucket_numbers
from curation.stages.pair_columns import packed_tracks, site_rules, united, unpacked_tracks
from curation.storage import Store
from curation.text import LanguageIdentifier, redact

_PLACEHOLDER = "placeholder"
_ORIGINS = f"{FOLDER}/origins"
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
        ("platform", pa.string()),
        ("platform_id", pa.string()),
        ("licence", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("duration_ms", pa.int64()),
        ("upload_date", pa.string()),
        ("poster_url", pa.string()),
        ("tracks", pa.string()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
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
    code_version = 2
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
        return {
            "language_model": LanguageIdentifier.model_fingerprint(),
            "filters": CandidateFilters(planning.recipe.pairs.filters).fingerprint,
            "site_rules": planning.inputs["extract"].paths(SITE_RULES.name),
        }

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        extract = planning.inputs["extract"]
        prints = {name: context[name] for name in ("language_model", "filters")}
        contents = [_content_before(planning.store, extract, name) for name in (CANDIDATES.name, SITE_RULES.name)]
        buckets = planning.settings["media_buckets"]
        forgotten = _by_bucket(Tombstones.read(planning.store).media_ids, buckets)
        return [
            Unit(
                bucket_name(number),
                {"number": number},
                self.identity(planning.settings, prints, *contents, *forgotten.get(number, [])),
            )
            for number in range(buckets)
        ]

    def items(self, planning: Planning) -> list[dict[str, Any]]:
        reports = planning.inputs["extract"].reports
        return [
            {"files": report.paths(CANDIDATES.name)}
            for _, report in sorted(reports.items())
            if report.rows(CANDIDATES.name)
        ]

    def map(self, item: dict[str, Any], task: Task, wanted: pa.Array) -> Iterator[pa.RecordBatch]:
        settings = PairsSection.model_validate(task.settings)
        filters = loaded_filters(settings.filters.model_dump_json(), task.context["filters"])
        tombstones = Tombstones.read(task.store)
        for batch in task.store.batches(item["files"], CANDIDATES.columns):
            buckets = bucket_numbers(batch.column("media_id"), settings.media_buckets)
            here = pc.is_in(buckets, value_set=wanted)
            part = batch.filter(here)
            gone = tombstones.of(part.column("media_id"), part.column("media_url"))
            part = blanked(part, gone)
            rules = site_rules(task.store, task.context["site_rules"], settings.filters.consent, part)
            refused = pc.if_else(pa.array(gone), FORGOTTEN, filters.page_verdicts(part, rules))
            yield from _prepare(part, buckets.filter(here), refused, settings, filters)

    def reduce(self, batches: Iterator[pa.RecordBatch], task: Task, writer: UnitWriter) -> None:
        limit = task.settings["placeholder_texts"]
        whole_media = task.settings["filters"]["consent"]["scope"] == "media"
        for table in _whole_media(batches, limit):
            _merge(_refused_media(table) if whole_media else table, limit, writer)


def origin_path(content: list[str]) -> str:
    """Where it is kept what a unit's files (their checksums) were before rows of forgotten media were blanked."""
    return f"{_ORIGINS}/{digest(content)}.json"


def _content_before(store: Store, manifest: Manifest, dataset: str) -> str:
    """The content of a dataset before anything was forgotten: for what is blank now, nobody has to read all of it."""
    known = store.names(_ORIGINS)
    contents = []
    for name in sorted(manifest.reports):
        content = manifest.reports[name].content(dataset)
        path = origin_path(content)
        contents.append((name, store.read_json(path) if path.rpartition("/")[2] in known else content))
    return digest(contents)


def _by_bucket(media_ids: frozenset[str], buckets: int) -> dict[int, list[str]]:
    """Forgotten media, by the bucket that is to be done without them."""
    ordered = sorted(media_ids)
    found: dict[int, list[str]] = {}
    numbers = bucket_numbers(pa.array(ordered, pa.string()), buckets).to_pylist()
    for number, media_id in zip(numbers, ordered, strict=True):
        found.setdefault(number, []).append(media_id)
    return found


def _prepare(
    batch: pa.RecordBatch, buckets: pa.Array, refused: pa.Array, settings: PairsSection, filters: CandidateFilters
) -> Iterator[pa.RecordBatch]:
    """Candidates of one archive as shuffle rows; `refused`: the filter that refuses each of them, or null."""
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
                "tracks": packed_tracks(batch.column("tracks")),
                "text": pc.if_else(pc.is_null(refused), text, pa.scalar(None, pa.string())),
                "lang": nothing,
                "lang_score": pa.nulls(batch.num_rows, pa.float32()),
                "rule": refused,
                "occurrences": pa.array(np.ones(batch.num_rows, np.int64)),
            }
        )
        .select(_ROWS.names)
        .cast(_ROWS)
    )
    rows, placeholders = _without_placeholders(_compact(table), settings.placeholder_texts)
    yield from placeholders.to_batches()
    is_refused = pc.is_valid(rows.column("rule"))
    yield from rows.filter(is_refused).to_batches()
    yield from _judged(rows.filter(pc.invert(is_refused)), settings, filters).to_batches()


def _judged(rows: pa.Table, settings: PairsSection, filters: CandidateFilters) -> pa.Table:
    """The rows with language, and with the rule that drops them, if one does, in place of their text."""
    unique = rows.column("text").combine_chunks().dictionary_encode()
    if isinstance(unique, pa.ChunkedArray):
        unique = unique.combine_chunks()
    langs, scores, rules = text_verdicts(unique.dictionary, settings, filters)
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


def _refused_media(table: pa.Table) -> pa.Table:
    """Whole media, of which one refusing page refuses all that was not refused yet, in the name of its first refusal.

    Their texts travelled for nothing, but only here are all pages of a media known.
    """
    rules = table.column("rule")
    refusing = concerns_media(rules)
    if not refusing.any():
        return table
    media = _codes(table.column("media_id"))
    where = np.flatnonzero(refusing)[::-1]
    first = np.full(int(media.max()) + 1, -1)
    first[media[where]] = where  # backwards: the first of a media stays
    names = rules.take(pa.array(first[media], mask=first[media] < 0))
    rule = pc.coalesce(rules, names)
    return table.set_column(table.schema.get_field_index("rule"), "rule", rule)


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
        "text_sources": united(pair, len(first), rows.column("text_source")),
        "robots": united(pair, len(first), rows.column("robots"), split=True),
        "page_url": pc.if_else(pc.equal(page_url, ""), pa.scalar(None, pa.string()), page_url),
        "tracks": unpacked_tracks(merged.column("tracks")),
        "occurrences": pa.array(occurrences),
    }
    return pa.table([columns[name] for name in PAIRS.columns], names=PAIRS.columns).cast(PAIRS.schema)
