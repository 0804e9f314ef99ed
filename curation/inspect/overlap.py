"""How much of a manifest another set also has: by key, by split, and for example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from curation.inspect.manifest_side import ManifestSide
from curation.inspect.wording import how_many, listed, quoted
from curation.overlap import KEYS, NEEDED, Overlap
from curation.query import open_duckdb
from curation.recipe.manifest import Decontamination
from curation.storage import Store

EXAMPLES = 5
"""Samples that are told of each key."""

_BATCH_ROWS = 65_536
_READ = ("sample_id", "split", "media_id", "media_url", "sha256", "fetched_sha256", "phash", "texts", "text")
_NOUNS = {"url": "URL", "sha256": "SHA-256", "phash": "perceptual hash", "text": "text"}
_LEFT_OUT = {
    "short_text": "texts of fewer than {chars} letters and digits",
    "flat_phash": "hashes of flat pictures",
    "no_url": "addresses that are no absolute URL",
    "no_media_id": "ids that do not have 24 hex digits",
}


@dataclass(frozen=True)
class Example:
    """A sample that the other set has, too: by what, and what that is. `apart`: of a phash, bits that differ."""

    key: str
    sample_id: str
    split: str | None
    value: str
    apart: int | None = None


@dataclass(frozen=True)
class OverlapReport:
    """`sizes` and `left_out`: of the other set, by key and by why. `found`: samples by key, a sample by each that it is
    found by; `any`: by at least one. by_split: the same of each split, with `samples`, all of them.
    """

    manifest: str
    against: str
    settings: dict[str, Any]
    samples: int
    sizes: dict[str, int]
    left_out: dict[str, int]
    not_compared: list[str]
    found: dict[str, int]
    by_split: dict[str, dict[str, int]]
    examples: list[Example]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def overlap(location: str, against: str, by: Sequence[str], max_distance: int, min_text_chars: int) -> OverlapReport:
    """Compares a manifest, in a work folder or exported to Parquet, with another set: see curation.overlap.

    Memory: the other set's, and a batch of rows. Raises InputError, WorkFolderError.
    """
    with open_duckdb(Store("/")) as database:
        side = ManifestSide(database, location)
        other = Overlap.load(against, by, max_distance, min_text_chars)
        counts: Counter[tuple[str, str]] = Counter()
        examples: dict[str, list[Example]] = {key: [] for key in KEYS}
        columns = ", ".join(f'"{name}"' for name in _READ)
        reader = database.sql(f"SELECT {columns} FROM {side.relation}").to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            _count(batch, other, counts, examples)
        blank = [key for key in other.by if all(name in side.missing for name in NEEDED[key])]
    splits = sorted({split for split, _ in counts})
    by_split = {split: {what: counts[split, what] for what in ("samples", *KEYS, "any")} for split in splits}
    return OverlapReport(
        location,
        against,
        {"by": list(by), "max_distance": max_distance, "min_text_chars": min_text_chars},
        sum(of["samples"] for of in by_split.values()),
        other.sizes,
        {why: count for why, count in other.left_out.items() if count},
        blank,
        {what: sum(of[what] for of in by_split.values()) for what in (*KEYS, "any")},
        by_split,
        [example for key in KEYS for example in examples[key]],
    )


def _count(
    batch: pa.RecordBatch, other: Overlap, counts: Counter[tuple[str, str]], examples: dict[str, list[Example]]
) -> None:
    found = {key: other.matches(batch, key) for key in other.by}
    any_key = sum(found.values()) > 0
    splits = batch.column("split").fill_null("")
    for split in splits.unique().to_pylist():
        own = pc.equal(splits, split).to_numpy(zero_copy_only=False)
        counts[split, "samples"] += int(own.sum())
        counts[split, "any"] += int((any_key & own).sum())
        for key, mask in found.items():
            counts[split, key] += int((mask & own).sum())
    for key, mask in found.items():
        rows = batch.filter(pa.array(mask)).select(["sample_id"])
        smallest = rows.sort_by("sample_id").slice(0, EXAMPLES).column("sample_id")
        ids = pc.is_in(batch.column("sample_id"), value_set=smallest)
        made = [_example(row, key, other) for row in _rows(batch.filter(ids))]
        examples[key] = sorted([*examples[key], *made], key=lambda example: example.sample_id)[:EXAMPLES]


def _rows(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    return [batch.slice(at, 1) for at in range(batch.num_rows)]


def _example(row: pa.RecordBatch, key: str, other: Overlap) -> Example:
    values = row.to_pylist()[0]
    apart = None
    if key == "phash":
        nearest = other.nearest_hash(values["phash"])
        value, apart = f"{values['phash']:016x}", None if nearest is None else nearest[1]
    elif key == "text":
        texts = [text["text"] for text in values["texts"] or []] or [values["text"]]
        told = [text for text in texts if other.matches(pa.table({"text": [text]}), "text")[0]]
        value = told[0]
    else:
        value = next(str(values[name]) for name in NEEDED[key] if other.matches(row.select([name]), key)[0])
    return Example(key, values["sample_id"], values["split"], value, apart)


def overlap_lines(report: OverlapReport) -> list[str]:
    """The report for a terminal."""
    settings = report.settings
    sizes = [
        how_many(number, _NOUNS[key], "SHA-256" if key == "sha256" else "perceptual hashes" if key == "phash" else "")
        for key, number in report.sizes.items()
        if number
    ]
    lines = [f"{report.manifest}: {how_many(report.samples, 'sample')}", f"{report.against}: {listed(sizes)}"]
    lines += [
        f"  left out: {count:,} {_LEFT_OUT[why].format(chars=settings['min_text_chars'])}"
        for why, count in sorted(report.left_out.items())
    ]
    lines += [
        f"  not compared by {key}: the manifest has no column {' or '.join(NEEDED[key])}" for key in report.not_compared
    ]
    if not report.found["any"]:
        return [*lines, "no sample of the manifest is in it"]
    return [*lines, "", *_table(report), "", *_examples(report), "", *_advice(report)]


def _table(report: OverlapReport) -> list[str]:
    splits = list(report.by_split) if len(report.by_split) > 1 else []
    head = f"{'in it by':<12}{'samples':>12}{'share':>9}" + "".join(f"{split or '(none)':>12}" for split in splits)
    lines = [head]
    for key in (*KEYS, "any"):
        if key != "any" and (not report.sizes[key] or key in report.not_compared):
            continue
        share = f"{report.found[key] / report.samples:.2%}"
        of_splits = "".join(f"{report.by_split[split][key]:>12,}" for split in splits)
        lines.append(f"{key:<12}{report.found[key]:>12,}{share:>9}{of_splits}")
    return lines


def _examples(report: OverlapReport) -> list[str]:
    lines = ["for example"]
    for example in report.examples:
        value = quoted(example.value) if example.key == "text" else quoted(example.value, 400)[1:-1]
        apart = "" if not example.apart else f", {how_many(example.apart, 'bit')} apart"
        lines.append(f"  {example.key:<7} {example.sample_id}  {value}{apart}")
    return lines


def _advice(report: OverlapReport) -> list[str]:
    """What takes these samples out: only what differs from the recipe's defaults, and always the file."""
    against = report.against if "://" in report.against else str(Path(report.against).absolute())
    asked: dict[str, Any] = {"against": against, "by": [key for key in KEYS if key in report.settings["by"]]}
    defaults = Decontamination(against="x")
    asked |= {
        name: report.settings[name]
        for name in ("max_distance", "min_text_chars")
        if report.settings[name] != getattr(defaults, name)
    }
    if asked["by"] == list(KEYS):
        del asked["by"]
    text = yaml.safe_dump({"manifest": {"decontaminate": [asked]}}, sort_keys=False, allow_unicode=True, width=1000)
    return [
        "to take them out, put this into the recipe and run it again:",
        *(f"  {line}" for line in text.splitlines()),
    ]
