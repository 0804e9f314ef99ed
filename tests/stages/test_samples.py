"""samples and sample_texts: every final pair once, in the bucket of its bytes; every image, clip or video once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from faults_captions import SHOTS, CaptionWeb, Outcomes, caption_web, two_shots
from faults_films import executed, rows

from curation.crawl.urls import media_id
from curation.media.shards import read_member
from curation.pipeline import ALL_STAGES, stages_of
from curation.recipe import load_recipe
from curation.runner.engine import LocalEngine, OnDone
from curation.runner.progress import Silent
from curation.runner.run import Run
from curation.runner.stage import ShuffleStage, Task
from curation.runner.units import Unit
from curation.runner.work import Result, run_reduce, split_by_unit
from curation.stages.buckets import bucket_name
from curation.storage import Store

_PLACED = ("media_bucket", "path", "offset")
"""What depends on the buckets."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    films = two_shots(tmp_path_factory.mktemp("films"))
    films |= {"again.mp4": films["dog.mp4"]}
    with caption_web(tmp_path_factory.mktemp("web"), films) as started:
        yield started


def pictures(web: CaptionWeb, count: int = 12) -> list[tuple[str, str]]:
    """So many pictures, the first four with two copies each and texts of their own; two texts are said of 5."""
    told = [(web.picture(number), f"a dog by the way, {number}") for number in range(count)]
    twice = [(number, n) for number in range(4) for n in (1, 2)]
    told += [(web.picture(number, f"copy-{number}-{n}"), f"a cat, {n} of {number}") for number, n in twice]
    return [*told, (web.picture(5), "a house, too")]


def films(web: CaptionWeb) -> list[dict[str, Any]]:
    """Two films, a copy of one of them, and a text about a part."""
    told = [(web.film(name), f"a car, {name}") for name in ("dog.mp4", "cat.mp4", "again.mp4")]
    parts = [{"start": 0.0, "end": 1.5, "title": "a tree in the beginning"}]
    return [{"url": url, "caption": text, "parts": parts if "dog" in url else []} for url, text in told]


def are_whole(outcomes: Outcomes, work: Path, buckets: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Holds samples and their texts against what they are made of; gives both."""
    final, texts, samples = (rows(outcomes, work, name) for name in ("final_pairs", "sample_texts", "samples"))
    by_pair = {row["pair_id"]: row for row in final}
    assert len(by_pair) == len(final)
    assert {row["pair_id"]: row for row in texts} == by_pair
    assert len(texts) == len(final)
    media = {row["media_id"]: row for row in rows(outcomes, work, "media")}
    wanted = {row["media_id"] for row in final}
    made_of = {of: media[of] for of in wanted if media[of]["modality"] == "image" or "clips" not in outcomes}
    if "clips" in outcomes:
        kept = {row["clip_id"] for row in rows(outcomes, work, "kept_clips") if row["kept"]}
        clips = {row["clip_id"]: row for row in rows(outcomes, work, "clips")}
        made_of |= {name: clips[name] for name in kept if clips[name]["media_id"] in wanted}
    assert Counter(row["sample_id"] for row in samples) == dict.fromkeys(made_of, 1)
    for row in samples:
        origin = made_of[row["sample_id"]]
        same = ("media_id", "path", "offset", "size_bytes", "stored_sha256", "width", "height")
        assert {name: row[name] for name in same} == {name: origin[name] for name in same}
        assert row["modality"] == media[row["media_id"]]["modality"]
        data = read_member(str(work), row["path"], row["offset"], row["size_bytes"])
        assert hashlib.sha256(data).hexdigest() == row["stored_sha256"]
    for dataset, keys in (("samples", ("sample_id",)), ("sample_texts", ("media_id", "pair_id"))):
        for name, report in outcomes["samples"].manifest.reports.items():
            own = Store(str(work)).table(report.paths(dataset), _schema(dataset)).to_pylist()
            ordered = [tuple(row[key] for key in keys) for row in own]
            assert ordered == sorted(ordered)
            assert {bucket_name(int(row["media_id"][:8], 16) % buckets) for row in own} <= {name}
            if dataset == "samples":
                assert {bucket_name(row["media_bucket"]) for row in own} <= {name}
    return samples, texts


def _schema(dataset: str) -> pa.Schema:
    return next(each.schema for stage in ALL_STAGES for each in stage.outputs if each.name == dataset)


@pytest.mark.parametrize(
    ("buckets", "texts", "clips"),
    [(1, "all", SHOTS["clips"]), (3, "best", None), (3, "all", None), (17, "best", SHOTS["clips"])],
)
def test_all_there_is_once(web: CaptionWeb, tmp_path: Path, buckets: int, texts: str, clips: Any) -> None:
    """Images and videos together; copies stand with the one that is kept; some of 17 buckets are empty."""
    rules = {} if texts == "all" else {"kept_clips": {"rules": {"min_seconds": 1.8}}}  # one of two clips of a film
    recipe = web.recipe(pictures(web, 8), films(web), pairs={"media_buckets": buckets}, clips=clips,
                        duplicates={"max_distance": None, "texts": texts}, **rules)  # fmt: skip
    outcomes = executed(recipe, tmp_path)
    samples, told = are_whole(outcomes, tmp_path, buckets)
    videos = 4 if clips is not None and texts == "all" else 2
    assert Counter(row["modality"] for row in samples) == {"image": 8, "video": videos}
    assert len(told) == (8 + 1 + 2 if texts == "best" else 8 + 8 + 1 + 3 + 1)
    numbers = [[int(row[name][:8], 16) % buckets for name in ("media_id", "text_media_id")] for row in told]
    if texts == "all":
        assert any(own != other for own, other in numbers) == (buckets > 1), "texts move, or this says nothing"
    counts = outcomes["samples"].manifest.counts
    assert counts["texts_placed"] == len(told)
    assert (counts["samples:image"], counts["samples:video"]) == (8, videos)
    made = {name: report.rows("samples") for name, report in outcomes["samples"].manifest.reports.items()}
    full = Counter(bucket_name(int(row["media_id"][:8], 16) % buckets) for row in samples)
    assert made == {bucket_name(bucket): full[bucket_name(bucket)] for bucket in range(buckets)}
    assert buckets < 17 or 0 in made.values()


def test_facts_of_what_moves_and_what_does_not(web: CaptionWeb, tmp_path: Path) -> None:
    for clips in (None, SHOTS["clips"]):
        work = tmp_path / str(clips is None)
        outcomes = executed(web.recipe([(web.picture(n), "a dog") for n in (1, 2)], films(web)[:1], clips=clips), work)
        moving = ("start_ms", "end_ms", "duration_ms", "fps", "has_audio", "mark")
        own = {row["sample_id"]: row for row in rows(outcomes, work, "samples")}
        images = [row for row in own.values() if row["modality"] == "image"]
        assert [[row[name] for name in moving] for row in images] == 2 * [6 * [None]]
        assert {row["extension"] for row in images} == {"jpg"}
        videos = sorted((row for row in own.values() if row["modality"] == "video"), key=lambda row: row["start_ms"])
        spans = [(row["start_ms"], row["end_ms"], row["duration_ms"]) for row in videos]
        film = media_id(web.film("dog.mp4"))
        if clips is None:
            assert spans == [(0, 4500, 4500)]
            assert [row["sample_id"] for row in videos] == [film]
        else:
            assert spans == [(0, 1667, 1667), (2500, 4500, 2000)]
            assert [row["sample_id"] for row in videos] == [f"{film}-0-1667", f"{film}-2500-4500"]
        assert {(row["fps"], row["has_audio"], row["extension"], row["mark"]) for row in videos} == {
            (24.0, True, "mp4", None)
        }


class Scattered(LocalEngine):
    """Rows come one by one and in another order, as a cluster's shuffle brings them."""

    def shuffle(
        self, stage: ShuffleStage, task: Task, items: Sequence[dict[str, Any]], units: Sequence[Unit], on_done: OnDone
    ) -> list[Result]:
        wanted = pa.array([unit.inputs["number"] for unit in units], stage.rows.field(0).type)
        every = [batch for item in reversed(items) for batch in stage.map(item, task, wanted)]
        table = pa.Table.from_batches(every, schema=stage.rows)
        ordered = table.take(pa.array(range(table.num_rows - 1, -1, -1), pa.int64()))
        ordered = ordered.sort_by([(name, "ascending") for name in (stage.rows.names[0], *stage.order)])
        by_number = {unit.inputs["number"]: unit for unit in units}
        groups = split_by_unit(iter(ordered.to_batches(max_chunksize=1)))
        return [run_reduce(stage, task, by_number[number], group) for number, group in groups]


@pytest.mark.slow
def test_the_same_bytes_again_and_by_another_engine(web: CaptionWeb, tmp_path: Path) -> None:
    recipe = web.recipe(pictures(web, 6), films(web), duplicates={"max_distance": None, "texts": "all"}, **SHOTS)
    one = executed(recipe, tmp_path / "one")
    assert {name: each.units_done for name, each in executed(recipe, tmp_path / "one").items() if each.units_done} == {}
    loaded = load_recipe(recipe)
    run = Run(Store.at(tmp_path / "two"), loaded, ALL_STAGES, Scattered, Silent())
    with run.lease():
        two = {stage.name: run.execute(stage) for stage in stages_of(loaded)}
    for stage, dataset in (("samples", "samples"), ("samples", "sample_texts"), ("captions", "captions"),
                           ("chosen_captions", "chosen_captions")):  # fmt: skip
        assert one[stage].manifest.content(dataset) == two[stage].manifest.content(dataset), dataset
        assert one[stage].manifest.version == two[stage].manifest.version


@pytest.mark.slow
def test_the_same_rows_in_any_number_of_buckets(web: CaptionWeb, tmp_path: Path) -> None:
    found = []
    for buckets in (1, 3):
        work = tmp_path / str(buckets)
        recipe = web.recipe(pictures(web, 6), films(web), pairs={"media_buckets": buckets}, **SHOTS)
        outcomes = executed(recipe, work)
        samples = [{k: v for k, v in row.items() if k not in _PLACED} for row in rows(outcomes, work, "samples")]
        captions = [{k: v for k, v in row.items() if k not in _PLACED} for row in rows(outcomes, work, "captions")]
        texts = rows(outcomes, work, "sample_texts")
        found.append((sorted(samples, key=lambda row: row["sample_id"]), sorted(texts, key=lambda row: row["pair_id"]),
                      sorted(captions, key=lambda row: (row["sample_id"], row["pair_id"]))))  # fmt: skip
    assert found[0] == found[1]


def test_nothing_was_obtained(web: CaptionWeb, tmp_path: Path) -> None:
    lost = [(web.put(f"/missing/{number}.jpg", "a page"), f"a dog, {number}") for number in range(3)]
    outcomes = executed(web.recipe(lost), tmp_path)
    assert outcomes["rebalance"].manifest.rows("final_pairs") == 0
    for stage, dataset in (("samples", "samples"), ("captions", "captions"), ("chosen_captions", "chosen_captions")):
        assert outcomes[stage].manifest.rows(dataset) == 0


def test_a_larger_selection_changes_its_own_bucket_alone(web: CaptionWeb, tmp_path: Path) -> None:
    told = [(web.picture(number), f"a dog by the way, {number}") for number in range(8)]
    few = executed(web.recipe(told[:7], pairs={"media_buckets": 4}), tmp_path)
    more = executed(web.recipe(told, pairs={"media_buckets": 4}), tmp_path)
    samples, _ = are_whole(more, tmp_path, 4)
    assert len(samples) == 8
    content = [{name: report.content("captions") for name, report in each["captions"].manifest.reports.items()}
               for each in (few, more)]  # fmt: skip
    changed = {name for name in content[1] if content[1][name] != content[0].get(name)}
    assert changed == {bucket_name(int(media_id(told[7][0])[:8], 16) % 4)}
    assert more["chosen_captions"].units_done == 1
