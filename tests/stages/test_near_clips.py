"""Near copies of clips: groups of all runs together are the components by definition, and one clip of each is kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.media.fingerprints import FLAT
from curation.recipe import ClipRules
from curation.runner.stage import Task
from curation.runner.units import Unit, UnitWriter
from curation.schemas import CLIP_GROUPS, CLIPS, DUPLICATES, SCORES
from curation.stages.hash_groups import joined
from curation.stages.kept_clips import KeptClips
from curation.stages.near_clips import NearClips, clip_groups, key_frame_hashes
from curation.storage import Store

BASES = (0x0123456789ABCDEF, 0x0F0F0F0F0F0F0F0F, 0xFFFF0000FFFF0000)
FLIPS = st.integers(0, 5).flatmap(lambda bits: st.lists(st.integers(0, 63), min_size=bits, max_size=bits))


@st.composite
def hashes(draw: st.DrawFn) -> int:
    value = draw(st.sampled_from(BASES))
    for bit in draw(FLIPS):
        value ^= 1 << bit
    return value


def components(rows: Sequence[tuple[int, ...]], distance: int) -> list[set[int]]:
    """Of "every key frame within distance", by definition; of two members or more."""
    labels = list(range(len(rows)))
    for one, other in combinations(range(len(rows)), 2):
        if all((a ^ b).bit_count() <= distance for a, b in zip(rows[one], rows[other], strict=True)):
            old, new = labels[one], labels[other]
            labels = [new if label == old else label for label in labels]
    groups = [{place for place, label in enumerate(labels) if label == each} for each in set(labels)]
    return sorted((group for group in groups if len(group) > 1), key=min)


def found(rows: Sequence[tuple[int, ...]], distance: int) -> list[set[int]]:
    array = np.array(rows, np.uint64).reshape(len(rows), len(rows[0]) if rows else 1)
    labels = np.arange(len(rows))
    for band in range(distance + 1):
        groups, unfinished = clip_groups(array, band, distance)
        assert unfinished == 0
        members = np.flatnonzero(groups >= 0)
        assert (groups[members] <= members).all()
        labels = joined(labels, members, groups[members])
    every = [set(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]
    return sorted((group for group in every if len(group) > 1), key=min)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(hashes(), hashes(), hashes()), max_size=14), st.integers(0, 5))
def test_groups_are_the_components_by_definition(rows: list[tuple[int, ...]], distance: int) -> None:
    assert found(rows, distance) == components(rows, distance)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(hashes()), max_size=14), st.integers(0, 5))
def test_one_key_frame_is_enough(rows: list[tuple[int, ...]], distance: int) -> None:
    assert found(rows, distance) == components(rows, distance)


def clip(number: int, phashes: Sequence[int]) -> dict[str, Any]:
    numbers: dict[str, Any] = {field.name: 0 for field in CLIPS.schema if pa.types.is_integer(field.type)}
    stills = [{"frame": place, "time_ms": place, "phash": each, "offset": 0, "size_bytes": 0}
              for place, each in enumerate(phashes)]  # fmt: skip
    media = f"{number:024x}"
    words = {"clip_id": f"{media}-0-1", "media_id": media, "extension": "mp4", "path": "", "stored_sha256": ""}
    return {**numbers, **words, "fps": 1.0, "has_audio": False, "text": None, "key_frames": stills}


def score(number: int, *, duration_ms: int = 1000, error: str | None = None, width: int = 100) -> dict[str, Any]:
    media = f"{number:024x}"
    row: dict[str, Any] = dict.fromkeys(SCORES.columns)
    row |= {"clip_id": f"{media}-0-1", "media_id": media, "media_bucket": 0, "stored_sha256": "", "error": error}
    return row | {"status": "failed" if error else "ok", "duration_ms": duration_ms, "width": width, "height": 10}


def written(store: Store, dataset: Any, rows: list[dict[str, Any]]) -> list[str]:
    path = f"{dataset.name}/rows.parquet"
    store.put_table(path, pa.Table.from_pylist(rows, schema=dataset.schema))
    return [path]


def test_clips_are_compared_by_whole_rows_of_key_frames(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    a, b, c = BASES
    rows = [[a, b, c], [a, FLAT, c], [a, b], [], [a ^ 1, b, c ^ 3]]
    paths = written(store, CLIPS, [clip(number, each) for number, each in enumerate(rows)])
    places, values = key_frame_hashes(store, paths)
    assert places.tolist() == [0, 4]
    assert values.tolist() == [[b, a, c], [b, a ^ 1, c ^ 3]]


@pytest.mark.parametrize("distance", [None, 3])
def test_the_longest_clip_that_rules_let_pass_is_kept(tmp_path: Path, distance: int | None) -> None:
    store = Store.at(tmp_path)
    a, b, c = BASES
    stills = [[a, a, a], [a, a ^ 1, a], [a, a, a ^ 6], [b, b, b], [b, b, b ^ 1], [c, c, c]]
    clips = written(store, CLIPS, [clip(number, each) for number, each in enumerate(stills)])
    scores = [score(0), score(1, duration_ms=3000, width=20), score(2, duration_ms=2000), score(3), score(4), score(5)]
    scores[5] = score(5, error="corrupt_video")
    copied = {"media_id": f"{3:024x}", "cluster_id": f"{3:024x}", "kind": "exact", "kept_media_id": f"{9:024x}",
              "kept_pair_id": "0" * 32}  # fmt: skip
    inputs = {"scores": written(store, SCORES, scores), "duplicates": written(store, DUPLICATES, [copied])}
    inputs["groups"] = []
    for band in range(0 if distance is None else distance + 1):
        task = Task(store, "v", {"max_distance": distance})
        writer = UnitWriter(store, "near_clips", "v", Unit(f"run-{band}", {}, ""))
        NearClips().process(Unit(f"run-{band}", {"clips": clips, "band": band}, ""), task, writer)
        inputs["groups"] += writer.commit().paths(CLIP_GROUPS.name)
    unit = Unit("all", inputs, "")
    writer = UnitWriter(store, "kept_clips", "v", unit)
    KeptClips().process(unit, Task(store, "v", ClipRules(min_width=50).model_dump()), writer)
    report = writer.commit()
    rows = [row for batch in store.batches(report.paths("kept_clips")) for row in batch.to_pylist()]
    verdicts = [row["refused_by"] for row in rows]
    if distance is None:
        assert verdicts == [None, "min_width", None, "copied_video", None, "not_scored"]
        return
    assert verdicts == ["duplicate", "min_width", None, "copied_video", None, "not_scored"]
    assert rows[0]["duplicate_of"] == rows[2]["clip_id"]
    assert report.counts == {"kept": 2, "refused:copied_video": 1, "refused:duplicate": 1, "refused:min_width": 1,
                             "refused:not_scored": 1}  # fmt: skip
