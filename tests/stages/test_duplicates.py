"""Copies of pictures: groups and clusters follow from the definition, recomputed here pair by pair in plain Python."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.crawl.page import TEXT_SOURCES
from curation.errors import ConservationError, StageError
from curation.media.fingerprints import FLAT, band_runs, bands, hamming
from curation.recipe import Recipe
from curation.runner.engine import LocalEngine, SparkEngine, WorkEngine
from curation.runner.progress import Silent
from curation.runner.run import Run
from curation.runner.stage import Planning, Task, UnitStage
from curation.runner.units import Unit, UnitWriter
from curation.schemas import KEPT_PAIRS, MEDIA, Dataset
from curation.stages import hash_groups, near
from curation.stages.buckets import bucket_name
from curation.stages.duplicates import Duplicates
from curation.stages.hash_groups import joined, near_labels
from curation.stages.near import Near
from curation.storage import Store

Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True, scope="module")
def _quick_disk() -> Iterator[None]:
    """Many runs of few rows: no test here turns the power off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@dataclass(frozen=True)
class Pair:
    pair_id: str
    source: str
    threshold: float
    modality: str = "image"


@dataclass(frozen=True)
class Picture:
    """A media as the ledger has it, and the pairs that keep it."""

    media_id: str
    sha256: str | None
    phash: int | None
    sides: tuple[int | None, int | None] = (10, 10)
    fetched_bytes: int | None = 100
    pairs: tuple[Pair, ...] = (Pair("0" * 32, "alt", 1.0),)
    status: str = "ok"
    in_ledger: bool = True

    @property
    def is_candidate(self) -> bool:
        kept = any(pair.modality == "image" for pair in self.pairs)
        return kept and self.in_ledger and self.status == "ok" and self.sha256 is not None

    @property
    def size(self) -> tuple[int, int, int]:
        """What makes one copy better than another: the smallest wins."""
        width, height = self.sides
        return -(width or 0) * (height or 0), -(self.fetched_bytes or 0), int(self.media_id, 16)

    @property
    def best_pair(self) -> tuple[int, float, str]:
        order = {source: place for place, source in enumerate(TEXT_SOURCES)}
        return min(
            (order.get(pair.source, len(order)), pair.threshold, pair.pair_id)
            for pair in self.pairs
            if pair.modality == "image"
        )


class Given(UnitStage):
    """Publishes the rows it was given, one unit for each name."""

    about = "toy"
    laws = ()

    def __init__(self, name: str, dataset: Dataset, units: dict[str, Rows]) -> None:
        self.name, self.outputs, self.units = name, (dataset,), units  # type: ignore[misc]

    def settings(self, recipe: Recipe) -> dict[str, Any]:
        return {}

    def plan(self, planning: Planning, context: dict[str, Any]) -> list[Unit]:
        return [Unit(name, {}, self.identity(name, repr(rows))) for name, rows in sorted(self.units.items())]

    def process(self, unit: Unit, task: Task, writer: UnitWriter) -> None:
        dataset = self.outputs[0]
        table = pa.Table.from_pylist([_complete(row, dataset) for row in self.units[unit.name]], dataset.schema)
        for batch in table.to_batches():
            writer.write(dataset, batch)


def _complete(row: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    return {field.name: row.get(field.name, None if field.nullable else _nothing(field)) for field in dataset.schema}


def _nothing(field: pa.Field) -> Any:
    if pa.types.is_list(field.type):
        return []
    return "" if pa.types.is_string(field.type) else pa.scalar(0).cast(field.type).as_py()


def _stages(pictures: Sequence[Picture], buckets: int, shards: int) -> tuple[Given, Given]:
    """The toys that publish the kept pairs and the ledger of some pictures, shard by shard in the order given."""
    kept: dict[str, Rows] = {bucket_name(number): [] for number in range(buckets)}
    ledger: dict[str, Rows] = {}
    for picture in sorted(pictures, key=lambda picture: picture.media_id):
        bucket = bucket_name(int(picture.media_id[:8], 16) % buckets)
        kept[bucket] += [
            {
                "media_id": picture.media_id,
                "pair_id": pair.pair_id,
                "modality": pair.modality,
                "text_sources": [pair.source],
                "critical_threshold": pair.threshold,
            }
            for pair in sorted(picture.pairs, key=lambda pair: pair.pair_id)
        ]
    for place, picture in enumerate(pictures):
        if picture.in_ledger:
            bucket = bucket_name(int(picture.media_id[:8], 16) % buckets)
            row = {name: getattr(picture, name) for name in ("media_id", "status", "sha256", "phash", "fetched_bytes")}
            sides = dict(zip(("original_width", "original_height"), picture.sides, strict=True))
            ledger.setdefault(f"{bucket}-{place % shards:04x}", []).append({**row, **sides, "modality": "image"})
    return Given("balance", KEPT_PAIRS, kept), Given("fetch", MEDIA, ledger)


def _recipe(**duplicates: Any) -> Recipe:
    sections = {"pairs": {"media_buckets": duplicates.pop("units", 3)}, "duplicates": duplicates}
    inputs = {"inputs": [{"kind": "wat", "paths": ["x"]}], "match": {"vocabularies": {"en": "x"}}}
    return Recipe.model_validate({"name": "toy", **inputs, **sections})


def _run(
    folder: Path,
    pictures: Sequence[Picture],
    engine: Callable[[], WorkEngine] = LocalEngine,
    shards: int = 2,
    **duplicates: Any,
) -> Run:
    stages = (*_stages(pictures, duplicates.get("units", 3), shards), Near(), Duplicates())
    run = Run(Store.at(folder), _recipe(**duplicates), stages, engine, Silent())
    for stage in stages:
        run.execute(stage)
    return run


def _rows(run: Run, dataset: str) -> Rows:
    manifest = run.catalog.visible(run.catalog.stage_of(dataset))
    return [row for batch in run.store.batches(manifest.paths(dataset)) for row in batch.to_pylist()]


def _found(pictures: Sequence[Picture], **settings: Any) -> Rows:
    with TemporaryDirectory() as folder:
        return _rows(_run(Path(folder), pictures, **settings), "duplicates")


def _same_picture(one: Picture, other: Picture, distance: int | None) -> bool:
    if one.sha256 == other.sha256:
        return True
    if distance is None or None in (one.phash, other.phash) or FLAT in (one.phash, other.phash):
        return False
    return hamming(one.phash or 0, other.phash or 0) <= distance


def _expected(pictures: Sequence[Picture], distance: int | None) -> Rows:
    """Connected components, one edge at a time; of each the copy and the text that are kept."""
    cluster = {picture: {picture} for picture in pictures if picture.is_candidate}
    for one, other in combinations(cluster, 2):
        if _same_picture(one, other, distance) and cluster[one] is not cluster[other]:
            cluster[one] |= cluster[other]
            for member in cluster[other]:
                cluster[member] = cluster[one]
    rows = [
        {
            "media_id": picture.media_id,
            "cluster_id": min(member.media_id for member in members),
            "kind": "exact" if len({member.sha256 for member in members}) == 1 else "near",
            "kept_media_id": min(members, key=lambda member: member.size).media_id,
            "kept_pair_id": min(member.best_pair for member in members)[2],
        }
        for picture, members in cluster.items()
        if len(members) > 1
    ]
    return sorted(rows, key=lambda row: row["media_id"])


def _sha(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def _id(name: object, digits: int = 24) -> str:
    """Hex digits of which the first 16 are those of others, too."""
    digest = _sha(f"id {name}")
    return digest[0] * 16 + digest[16:digits]


def _flipped(phash: int, *bits: int) -> int:
    for bit in bits:
        phash ^= 1 << bit
    return phash


_BASES = (0x123456789ABCDEF0, 0xFEDCBA9876543210, 0xFFFFFFFFFFFFFFFF, 1 << 63, 1)
_hashes = st.one_of(
    st.none(),
    st.just(FLAT),
    st.builds(
        lambda base, bits: _flipped(base, *bits), st.sampled_from(_BASES), st.sets(st.integers(0, 63), max_size=6)
    ),
)
_pairs = st.lists(
    st.builds(
        Pair,
        st.integers(0, 2**128 - 1).map(lambda n: f"{n:032x}"),
        st.sampled_from(["alt", "title", "caption"]),
        st.sampled_from([1.0, 2.5, 7.0]),
        st.sampled_from(["image", "image", "video"]),
    ),
    max_size=3,
    unique_by=lambda pair: pair.pair_id,
).map(tuple)


@st.composite
def _libraries(draw: st.DrawFn) -> list[Picture]:
    """Pictures of few hashes and contents; the same bytes mostly have the same hash."""
    hash_of = {name: draw(_hashes) for name in range(8)}
    pictures = []
    for number in range(draw(st.integers(0, 14))):
        content = draw(st.sampled_from(range(8)))
        pictures.append(
            Picture(
                _id(number),
                draw(st.sampled_from([_sha(content)] * 9 + [None])),
                hash_of[content],
                draw(st.sampled_from([(10, 10), (20, 5), (30, 40), (70_000, 70_000), (None, 8)])),
                draw(st.sampled_from([5, 100, 1 << 40, None])),
                draw(_pairs),
                draw(st.sampled_from(["ok"] * 9 + ["failed"])),
                draw(st.sampled_from([True] * 9 + [False])),
            )
        )
    return draw(st.permutations(pictures))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(_libraries(), st.sampled_from([None, 0, 1, 2, 3, 7, 15]), st.integers(1, 5))
@pytest.mark.slow
def test_clusters_equal_those_found_pair_by_pair(pictures: list[Picture], distance: int | None, units: int) -> None:
    assert _found(pictures, max_distance=distance, units=units) == _expected(pictures, distance)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(_libraries(), st.randoms(use_true_random=False))
def test_neither_order_nor_units_nor_shards_matter(pictures: list[Picture], chance: random.Random) -> None:
    first = _found(pictures)
    chance.shuffle(pictures)
    assert _found(pictures, units=chance.randint(1, 9), shards=chance.randint(1, 5)) == first


def _crowd(size: int, seed: int = 0) -> list[Picture]:
    """Pictures of which many are copies, hashes a few bits apart, or chains."""
    chance = random.Random(seed)
    pictures: list[Picture] = []
    for number in range(size):
        old = chance.choice(pictures) if pictures and chance.random() < 0.4 else None
        phash = (
            chance.getrandbits(64)
            if old is None
            else _flipped(old.phash or 0, *chance.sample(range(64), chance.randint(1, 3)))
        )
        sha256 = _sha(number)
        if old is not None and chance.random() < 0.3:
            phash, sha256 = old.phash or 0, str(old.sha256)
        pair = Pair(_id(f"pair {number}", 32), chance.choice(["alt", "title"]), chance.choice([1.0, 3.0]))
        sides = chance.choice([1, 50]), chance.choice([10, 20])
        pictures.append(Picture(_id(number), sha256, phash, sides, chance.choice([7, 8]), (pair,)))
    return pictures


@pytest.mark.parametrize("held", [1, 50, 1 << 16])
@pytest.mark.parametrize("distance", [0, 1, 3, 8, 15])
@pytest.mark.slow
def test_a_crowd(distance: int, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_HELD_ROWS", held)
    monkeypatch.setattr(hash_groups, "_HELD_EDGES", held)
    pictures = _crowd(300)
    expected = _expected(pictures, distance)
    assert _found(pictures, max_distance=distance) == expected
    assert {row["kind"] for row in expected} == ({"exact", "near"} if distance else {"exact"})


@pytest.mark.parametrize("distance", range(1, 16))
def test_keys_are_those_of_bands(distance: int) -> None:
    for phash in (*_BASES, 0x0F0F0F0F0F0F0F0F):
        hashes = np.array([phash], np.uint64)
        runs = enumerate(band_runs(distance + 1))
        keys = [int(hash_groups.bits_of(hashes, *run)[0]) | band << 32 for band, run in runs]
        assert keys == bands(phash, distance + 1)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components(graph: tuple[int, list[tuple[int, int]]]) -> None:
    nodes, edges = graph
    expected = list(range(nodes))
    for one, other in edges * nodes:
        expected[one] = expected[other] = min(expected[one], expected[other])
    ends = np.array(edges, np.int64).reshape(-1, 2)
    half = len(ends) // 2
    labels = joined(np.arange(nodes), *ends[:half].T)
    assert joined(labels, *ends[half:].T).tolist() == expected


def test_a_long_chain_is_joined_in_few_rounds() -> None:
    order = np.random.default_rng(1).permutation(200_000)
    assert not joined(np.arange(len(order)), order[1:], order[:-1]).any()


def test_a_chain_is_one_cluster_though_its_ends_differ() -> None:
    phash = _BASES[0]
    chain = [_flipped(phash, *range(3 * step)) for step in range(8)]
    found = _found([Picture(_id(n), _sha(n), value) for n, value in enumerate(chain)])
    assert hamming(chain[0], chain[-1]) == 21
    assert {row["cluster_id"] for row in found} == {min(map(_id, range(8)))}
    assert [row["media_id"] for row in found] == sorted(map(_id, range(8)))


@pytest.mark.parametrize("pictures", [[], [Picture(_id(n), _sha(n), 7 << 20 * n) for n in range(3)]])
def test_nothing_to_find(tmp_path: Path, pictures: list[Picture]) -> None:
    run = _run(tmp_path, pictures)
    assert _rows(run, "duplicate_groups") == _rows(run, "duplicates") == []
    assert run.catalog.visible("near").counts.get("candidates", 0) == len(pictures)


def test_only_obtained_media_of_kept_pairs_count(tmp_path: Path) -> None:
    one = Picture(_id(1), _sha("a"), _BASES[0])
    others = [
        replace(one, media_id=_id(2), pairs=()),
        replace(one, media_id=_id(3), status="failed"),
        replace(one, media_id=_id(4), sha256=None),
        replace(one, media_id=_id(5), in_ledger=False),
        replace(one, media_id=_id(6), pairs=(Pair("1" * 32, "alt", 1.0, "video"),)),
    ]
    run = _run(tmp_path, [one, *others])
    assert _rows(run, "duplicates") == []
    counts = run.catalog.visible("near").counts
    assert [counts[name] for name in ("candidates", "not_kept", "no_bytes")] == [1, 2, 2]


def test_a_media_in_many_groups_is_one_row(tmp_path: Path) -> None:
    centre = 0x5555555555555555
    pictures = [Picture(_id("centre"), _sha("centre"), centre)]
    pictures += [Picture(_id(band), _sha(band), _flipped(centre, 4 * band)) for band in range(16)]
    run = _run(tmp_path, pictures, max_distance=3)
    groups = _rows(run, "duplicate_groups")
    assert len(groups) > len(pictures) == len(_rows(run, "duplicates"))
    counts = {"clusters": 1, "copies": 16, "further_groups": len(groups) - 17}
    assert run.catalog.visible("duplicates").counts == counts


def test_what_many_keys_share_is_told_once(tmp_path: Path) -> None:
    pictures = [Picture(_id(n), _sha(n), _BASES[0]) for n in range(10)]
    pictures += [Picture(_id(f"{n} near"), _sha(f"{n} near"), _flipped(_BASES[1], 0, *[20] * n)) for n in range(2)]
    assert len(_rows(_run(tmp_path, pictures), "duplicate_groups")) == len(pictures)


def test_groups_say_what_the_ledger_and_the_pairs_say(tmp_path: Path) -> None:
    pictures = {picture.media_id: picture for picture in _crowd(200, seed=3)}
    groups = _rows(_run(tmp_path, list(pictures.values())), "duplicate_groups")
    members: dict[tuple[str, str], int] = {}
    for row in groups:
        picture = pictures[row["media_id"]]
        assert (-row["pixels"], -row["fetched_bytes"]) == picture.size[:2]
        assert (row["source_rank"], row["critical_threshold"], row["pair_id"]) == picture.best_pair
        assert row["group_id"] <= row["media_id"]
        members[row["kind"], row["group_id"]] = members.get((row["kind"], row["group_id"]), 0) + 1
    assert min(members.values()) >= 2
    assert len({kind for kind, _ in members}) == 2


def test_a_crowded_key_takes_linear_time_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_groups, "NEIGHBOURS", 8)
    hashes = np.arange(1, 4001, dtype=np.uint64) * np.uint64(16)
    labels, unfinished = near_labels(np.zeros(len(hashes), np.int64), hashes, 0, 3)
    assert unfinished.sum() > 1000
    assert all(hamming(int(hashes[a]), int(hashes[b])) <= 3 for a, b in enumerate(labels[:2]))
    pictures = [Picture(_id(n), _sha(n // 2), int(value)) for n, value in enumerate(hashes[:600])]
    run = _run(tmp_path, pictures)
    assert run.catalog.visible("near").counts["not_compared"] > 0
    assert len(_rows(run, "duplicates")) == 600  # what is equal is joined all the same


def test_a_changed_rule_for_texts_redoes_nothing(tmp_path: Path) -> None:
    pictures = _crowd(40)
    _run(tmp_path, pictures, texts="best")
    redone = {}
    for change in ({"texts": "all"}, {"max_distance": 2}):
        stages = (*_stages(pictures, 3, 2), Near(), Duplicates())
        run = Run(Store.at(tmp_path), _recipe(**change), stages, LocalEngine, Silent())
        redone[next(iter(change))] = [stage.name for stage in stages if run.execute(stage).units_done]
    assert redone["texts"] == []
    assert redone["max_distance"][0] == "near"


def test_an_id_that_is_no_hash_is_one_line(tmp_path: Path) -> None:
    for sha256 in ("ab", "z" * 64, " " * 64, "é" * 32):
        with pytest.raises(StageError, match="64 hex digits"):
            _run(tmp_path / str(len(sha256)) / sha256[:1], [Picture(_id(1), sha256, None)])


def _losing(original: Any) -> Any:
    def lose(*arguments: Any) -> Any:
        rows = list(original(*arguments))
        return iter(rows[:-1])

    return lose


@pytest.mark.parametrize("function", ["_keyed", "_whole_keys", "_candidates"])
def test_a_lost_row_breaks_a_law(tmp_path: Path, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "_HELD_ROWS", 10)
    monkeypatch.setattr(near, function, _losing(getattr(near, function)))
    with pytest.raises((ConservationError, StageError)):
        _run(tmp_path, _crowd(100))


@pytest.mark.slow
def test_spark_gives_what_this_process_gives(tmp_path: Path, spark: Any) -> None:
    pictures = _crowd(400)
    expected = _expected(pictures, 3)
    kept, ledger = _stages(pictures, 3, 2)
    for name, partitions in (("two", 2), ("five", 5)):
        stages = (kept, ledger, Near(), Duplicates())
        run = Run(Store.at(tmp_path / name), _recipe(), stages, LocalEngine, Silent())
        for stage in stages[:2]:
            run.execute(stage)
        run = Run(Store.at(tmp_path / name), _recipe(), stages, lambda p=partitions: SparkEngine(spark, p), Silent())
        for stage in stages[2:]:
            run.execute(stage)
        assert _rows(run, "duplicates") == expected
