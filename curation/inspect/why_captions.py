"""What was said of a media's samples: every caption, which one was chosen, and whether balancing kept it."""

from __future__ import annotations

from typing import Any, Final

from curation.errors import WorkFolderError
from curation.inspect.card_captions import FAULTS
from curation.inspect.wording import how_many, quoted
from curation.query import Query
from curation.runner.catalog import Catalog
from curation.schemas import BALANCED_CAPTIONS, CAPTION_SCORES, CAPTIONS, CHOSEN_CAPTIONS, SAMPLES, Dataset

MOST_SAMPLES: Final = 20
MOST_CAPTIONS: Final = 10
"""Of a sample, that are listed; of the others the number is told."""
_KEY = ("captioner", "kind", "ordinal")

Row = dict[str, Any]


def why_caption_lines(catalog: Catalog, query: Query, media_id: str, bucket: str) -> list[str]:
    """Lines for a terminal, as far as the stages have come."""
    samples, captions, scores, chosen, balanced = (
        _rows(catalog, query, dataset, media_id, bucket)
        for dataset in (SAMPLES, CAPTIONS, CAPTION_SCORES, CHOSEN_CAPTIONS, BALANCED_CAPTIONS)
    )
    if samples is None:
        return []
    if captions is None:  # the recipe asks for none
        return [f"sample     {sample['sample_id']}" for sample in samples[:MOST_SAMPLES]] + _further(samples)
    similar = {(row["sample_id"], *(row[name] for name in _KEY)): row["similarity"] for row in scores or []}
    verdicts = {row["sample_id"]: row for row in chosen or []}
    stays = None if balanced is None else {row["sample_id"] for row in balanced}
    lines = []
    for sample in samples[:MOST_SAMPLES]:
        own = [row for row in captions or [] if row["sample_id"] == sample["sample_id"]]
        lines += _sample(sample, own, similar, verdicts.get(sample["sample_id"]), stays)
    return lines + _further(samples)


def _further(samples: list[Row]) -> list[str]:
    beyond = len(samples) - MOST_SAMPLES
    return [f"           and {how_many(beyond, 'further sample')}"] if beyond > 0 else []


def _rows(catalog: Catalog, query: Query, dataset: Dataset, media_id: str, bucket: str) -> list[Row] | None:
    """None where the stage has not run."""
    try:
        manifest = catalog.visible(catalog.stage_of(dataset.name))
    except (WorkFolderError, KeyError):
        return None
    report = manifest.reports.get(bucket)
    query.view(f"own_{dataset.name}", dataset, report.paths(dataset.name) if report else [])
    # in the order of the files, which are by sample_id; DuckDB's own sorting would mix the captions of a sample
    return query.rows(f"SELECT * FROM own_{dataset.name} WHERE media_id = ?", [media_id])


def _sample(
    sample: Row, captions: list[Row], similar: dict[tuple[Any, ...], float | None], verdict: Row | None,
    stays: set[str] | None,
) -> list[str]:  # fmt: skip
    holds = verdict is not None and verdict["entry_ids"]
    left = ", balanced out" if holds else ", left out when balanced: it holds no entry"
    fate = "" if stays is None else ", kept when balanced by it" if sample["sample_id"] in stays else left
    told = "none is chosen" if verdict is None else f"one of {verdict['candidates']} is chosen{fate}"
    lines = [f"sample     {sample['sample_id']}: {how_many(len(captions), 'caption')}, {told}"]
    chosen = None if verdict is None else tuple(verdict[name] for name in _KEY)
    ordered = sorted(captions, key=lambda row: tuple(row[name] for name in _KEY) != chosen)
    for row in ordered[:MOST_CAPTIONS]:
        key = tuple(row[name] for name in _KEY)
        lines.append(_caption(row, similar.get((sample["sample_id"], *key)), is_chosen=key == chosen))
    if len(captions) > MOST_CAPTIONS:
        lines.append(f"           and {how_many(len(captions) - MOST_CAPTIONS, 'further caption')}")
    return lines


def _caption(row: Row, similarity: float | None, *, is_chosen: bool) -> str:
    head = f"{'chosen' if is_chosen else 'caption':<10} {row['captioner']}"
    if row["status"] == "failed":
        return f"{head}: failed, {FAULTS.get(row['error'], row['error'])} ({quoted(row['detail'] or '')})"
    if row["status"] == "silent":
        return f"{head}: has nothing to say"
    span = "" if row["start_ms"] is None else f" {row['start_ms'] / 1000:.3f} to {row['end_ms'] / 1000:.3f} s"
    fits = "" if similarity is None else f" (similarity {similarity:.3f})"
    return f"{head}.{row['kind']}{span}{fits}: {quoted(row['text'])}"
