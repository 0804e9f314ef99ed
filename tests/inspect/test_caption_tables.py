"""Whether samples are captioned well, by whom: of the same samples, however it is asked."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from faults_caption_rows import Row, manifest

from curation.inspect.caption_tables import CaptionTables
from curation.pipeline import ALL_STAGES
from curation.query import open_duckdb
from curation.runner.catalog import Catalog
from curation.schemas import CAPTION_SCORES, CAPTIONS, SAMPLES
from curation.storage import Store

NAMES = ["a", "b"]
TOLD: dict[str, list[tuple[str, str, float | None]]] = {
    "s1": [("a", "ok", 0.5), ("a", "ok", 0.1), ("b", "ok", 0.2)],
    "s2": [("a", "silent", None), ("b", "ok", 0.43)],
    "s3": [("a", "failed", None), ("b", "silent", None)],  # has no score
    "s4": [],  # was told nothing
    "s5": [("a", "ok", None), ("b", "ok", float("nan"))],
}


def tables(folder: Path, *, scored: bool = True) -> CaptionTables:
    store, rows = Store.at(folder), list[Row]()
    for sample, told in TOLD.items():
        for ordinal, (captioner, status, similarity) in enumerate(told):
            row = {"sample_id": sample, "captioner": captioner, "kind": "k", "ordinal": ordinal, "status": status}
            rows.append({**row, "similarity": similarity})
    samples = [{"sample_id": sample} for sample in TOLD]
    made = {"samples": manifest(store, "samples", {"one": {SAMPLES: samples}}),
            "captions": manifest(store, "captions", {"one": {CAPTIONS: rows}})}  # fmt: skip
    if scored:
        texts = [row for row in rows if row["status"] == "ok"]
        made["caption_scores"] = manifest(store, "caption_scores", {"one": {CAPTION_SCORES: texts}})
    return CaptionTables(Catalog(store, ALL_STAGES), made, open_duckdb(store))


@pytest.mark.parametrize(
    ("min_score", "good"),
    [(None, [(1, 1), (0, 1), (0, 0), (0, 0), (1, 1)]), (0.43, [(1, 0), (0, 1), (0, 0), (0, 0), (0, 0)]),
     (0.9, [(0, 0)] * 5), (-1.0, [(1, 1), (0, 1), (0, 0), (0, 0), (0, 0)])],
)  # fmt: skip
def test_all_samples_count_with_and_without_a_score(
    tmp_path: Path, min_score: float | None, good: list[tuple[int, int]]
) -> None:
    found = tables(tmp_path).well_captioned(NAMES, min_score)
    assert found.shape == (len(TOLD), 2)
    assert Counter(map(tuple, found.astype(int).tolist())) == Counter(good)


def test_a_score_says_nothing_where_there_is_none(tmp_path: Path) -> None:
    without = tables(tmp_path, scored=False)
    assert sorted(without.well_captioned(NAMES, 0.43).tolist()) == sorted(without.well_captioned(NAMES, None).tolist())
    assert without.well_captioned([], None).shape == (0, 0)


def test_of_no_samples_nobody_said_anything(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    made = {"samples": manifest(store, "samples", {}), "captions": manifest(store, "captions", {})}
    found = CaptionTables(Catalog(store, ALL_STAGES), made, open_duckdb(store)).well_captioned(NAMES, None)
    assert found.shape == (0, 2) and found.dtype == np.bool_
