"""shards: every sample once, its bytes as they are stored, in an order and in tars that nothing but content decides."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from faults_harness import wait_until
from faults_shards import ExportedSet, exported, no_engine, sha256, shards_recipe
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.errors import RecipeError, StageError
from curation.pipeline import ALL_STAGES
from curation.recipe import Recipe
from curation.recipe.loading import load_recipe
from curation.runner.catalog import Catalog
from curation.runner.engine import LocalEngine, OnDone, SparkEngine
from curation.runner.stage import ShuffleStage, Task
from curation.runner.units import Unit
from curation.runner.work import Result, run_reduce, split_by_unit
from curation.schemas import MANIFEST, REJECTIONS
from curation.stages.shard_cuts import Pieces, cut, cut_in_stretches
from curation.storage import Store
from curation.testing.manifests import manifest_table, write_manifest

Row = dict[str, Any]
SAMPLES = 240


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """A work folder with a manifest and bytes, and the rows of it; tests that change nothing share it."""
    work = tmp_path_factory.mktemp("made")
    return work, manifest_rows(make(work))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Row]]:
    """As `made`, for tars of few samples: every file is put onto the disk."""
    work = tmp_path_factory.mktemp("few")
    return work, manifest_rows(make(work, 40))


def make(work: Path, samples: int = SAMPLES) -> Store:
    """The same manifest and bytes anywhere; one media of eight is val."""
    rows = manifest_table(samples, videos=0.3).to_pylist()
    table = [{**row, "split": "val" if int(row["media_id"][:2], 16) < 32 else "train"} for row in rows]
    table = pa.Table.from_pylist(table, schema=MANIFEST.schema)
    return write_manifest(work, table, with_bytes=True, entries=False)


def manifest_rows(store: Store) -> list[Row]:
    paths = Catalog(store, ALL_STAGES).visible("manifest").paths("manifest")
    return store.table(paths, MANIFEST.schema).to_pylist()


def rewritten(work: Path, rows: list[Row]) -> None:
    """Publishes other rows as the manifest of a folder."""
    write_manifest(work, pa.Table.from_pylist(rows, schema=MANIFEST.schema), entries=False)


def are_exported(shards: ExportedSet, work: Path, rows: list[Row]) -> None:
    """Each of the rows is in one tar of its split, with its bytes and words, and the index tells what there is."""
    index = shards.index
    found = shards.all_samples()
    assert found.keys() == {row["sample_id"] for row in rows}
    for row in rows:
        parts = found[row["sample_id"]]
        assert list(parts) == [row["extension"], "txt", "json"]
        data = Store(str(work)).part(row["path"], row["offset"], row["size_bytes"])
        assert parts[row["extension"]] == data
        assert sha256(data) == row["sha256"]
        assert parts["txt"].decode() == row["text"]
        told = json.loads(parts["json"])
        assert (told["sample_id"], told["caption"]) == (row["sample_id"], row["text"])
    split_of = {row["sample_id"]: row["split"] for row in rows}
    assert index["samples"] == len(rows) == sum(tar["samples"] for tar in index["tars"])
    assert len(index["tars"]) == len(shards.tars()) == index["shards"]
    for tar in index["tars"]:
        path = shards.folder / tar["split"] / tar["name"]
        own = shards.samples(path)
        assert {split_of[key] for key in own} <= {tar["split"]}
        kinds = Counter("videos" if "mp4" in parts else "images" for parts in own.values())
        assert (tar["samples"], tar["images"], tar["videos"]) == (len(own), kinds["images"], kinds["videos"])
        assert (tar["size_bytes"], tar["sha256"]) == (path.stat().st_size, sha256(path.read_bytes()))
    for split in index["splits"]:
        sizes = json.loads((shards.folder / split / "sizes.json").read_text())
        assert sizes == {tar["name"]: tar["samples"] for tar in index["tars"] if tar["split"] == split}


def test_every_sample_once_with_its_bytes(made: tuple[Path, list[Row]]) -> None:
    work, rows = made
    outcome = exported(work, max_samples=50)
    shards = ExportedSet.of(work, outcome)
    are_exported(shards, work, rows)
    assert {row["split"] for row in rows} == {"train", "val"}
    train = sum(row["split"] == "train" for row in rows)
    assert [tar.name for tar in shards.tars() if tar.parent.name == "train"] == [
        f"{number:05d}.tar" for number in range(-(-train // 50))
    ]
    assert shards.index["splits"]["train"]["tars"] == f"train/{{00000..{-(-train // 50) - 1:05d}}}.tar"
    sizes = [tar["samples"] for tar in shards.index["tars"] if tar["split"] == "train"]
    assert max(sizes) <= 50
    assert min(sizes) >= 40, "about one size"
    assert outcome.manifest.rows("shard_samples") == len(rows)


def test_datasets_tell_where_samples_lie(made: tuple[Path, list[Row]]) -> None:
    work, rows = made
    manifest = exported(work, max_samples=50).manifest
    store, media = Store(str(work)), {row["sample_id"]: row["media_id"] for row in rows}
    told = [row for path in manifest.paths("shards") for row in store.parquet(path).read().to_pylist()]
    assert sorted(row["path"] for row in told) == sorted(
        str(tar.relative_to(work)) for tar in (work / "shards" / manifest.context["set"]).glob("*/*.tar")
    )
    assert sum(row["samples"] for row in told) == len(rows)
    for path in manifest.paths("shard_samples"):
        for row in store.parquet(path).read().to_pylist():
            header = store.part(row["path"], row["offset"], 100).rstrip(b"\0").decode()
            assert header.partition(".")[0] == row["sample_id"]
            assert row["media_id"] == media[row["sample_id"]]
            assert row["path"].split("/")[-2] == row["split"]


def test_the_order_is_by_hash_and_the_seed_decides_it(made: tuple[Path, list[Row]]) -> None:
    work, rows = made
    orders = [list(ExportedSet.of(work, exported(work, seed=seed)).all_samples()) for seed in (0, 1)]
    assert orders[0] != orders[1]
    train = [row["sample_id"] for row in rows if row["split"] == "train"]
    for order in orders:
        assert order[: len(train)] != train
        places = [train.index(sample) for sample in order if sample in train]
        assert abs(np.corrcoef(places, range(len(places)))[0, 1]) < 0.25, "nothing to do with the order of ids"
        media = [sample.partition("-")[0] for sample in order]
        assert sum(a == b for a, b in pairwise(media)) < 6, "clips of a video are spread"


class Scattered(LocalEngine):
    """Rows come one by one and in another order, as a cluster's shuffle brings them."""

    def shuffle(
        self, stage: ShuffleStage, task: Task, items: Sequence[Row], units: Sequence[Unit], on_done: OnDone
    ) -> list[Result]:
        wanted = pa.array([unit.inputs["number"] for unit in units], stage.rows.field(0).type)
        every = [batch for item in reversed(items) for batch in stage.map(item, task, wanted)]
        table = pa.Table.from_batches(every, schema=stage.rows)
        ordered = table.take(pa.array(range(table.num_rows - 1, -1, -1), pa.int64()))
        ordered = ordered.sort_by([(name, "ascending") for name in (stage.rows.names[0], *stage.order)])
        by_number = {unit.inputs["number"]: unit for unit in units}
        groups = split_by_unit(iter(ordered.to_batches(max_chunksize=1)))
        return [run_reduce(stage, task, by_number[number], group) for number, group in groups]


def test_neither_buckets_nor_engines_nor_places_show(made: tuple[Path, list[Row]], tmp_path: Path) -> None:
    """The same samples, in other buckets and at other places of other files, scattered by another engine."""
    work, rows = made
    one = ExportedSet.of(work, exported(work, max_samples=50))
    store = Store.at(tmp_path)
    moved = [{**row, "path": f"moved/{n % 7}.bin", "offset": 10_000_000 * (n // 7), "media_bucket": n % 3}
             for n, row in enumerate(rows)]  # fmt: skip
    for number in range(7):
        with store.whole(f"moved/{number}.bin") as file:
            for row, old in list(zip(moved, rows, strict=True))[number::7]:
                file.seek(row["offset"])
                file.write(Store(str(work)).part(old["path"], old["offset"], old["size_bytes"]))
    rewritten(tmp_path, moved)
    other = ExportedSet.of(tmp_path, exported(tmp_path, Scattered, max_samples=50))
    assert other.folder.name == one.folder.name
    digests = one.digests()
    different = {name for name, found in other.digests().items() if found != digests[name]}
    assert different == {"index.json"}, "which tells the version of the manifest"
    assert {**one.index, "stages": {}} == {**other.index, "stages": {}}


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.slow
def test_however_many_tasks_spark_has(
    made: tuple[Path, list[Row]], spark: Any, tmp_path: Path, partitions: int
) -> None:
    work, _ = made
    make(tmp_path)
    one = ExportedSet.of(work, exported(work, max_samples=50))
    other = ExportedSet.of(tmp_path, exported(tmp_path, lambda: SparkEngine(spark, partitions), max_samples=50))
    assert other.digests() == one.digests()


def test_again_there_is_nothing_to_do(made: tuple[Path, list[Row]]) -> None:
    work, _ = made
    shards = ExportedSet.of(work, exported(work, max_samples=50))
    before = {path: path.stat().st_mtime_ns for path in shards.folder.rglob("*")}
    again = exported(work, no_engine, max_samples=50)
    assert (again.units_done, again.published) == (0, False)
    assert {path: path.stat().st_mtime_ns for path in shards.folder.rglob("*")} == before
    digests = shards.digests()
    (shards.folder / "index.json").write_text("{}")
    (shards.folder / "val" / "sizes.json").unlink()
    exported(work, no_engine, max_samples=50)
    assert shards.digests() == digests


@pytest.mark.parametrize(("samples", "size_bytes"), [(1, 10**9), (3, 10**9), (1000, 30_000), (1000, 100), (7, 60_000)])
def test_bounds_hold(few: tuple[Path, list[Row]], samples: int, size_bytes: int) -> None:
    work, rows = few
    shards = ExportedSet.of(work, exported(work, max_samples=samples, max_bytes=size_bytes))
    are_exported(shards, work, rows)
    for tar in shards.index["tars"]:
        assert tar["samples"] <= samples
        assert tar["size_bytes"] <= size_bytes or tar["samples"] == 1


piece = st.tuples(st.integers(1, 40), st.integers(1, 5000))


@settings(deadline=None)
@given(st.lists(piece, max_size=60), st.integers(1, 100), st.integers(0, 20_000))
@example([], 1, 1)
@example([(1, 9)], 1, -1)
def test_cuts_against_their_definition(pieces: list[tuple[int, int]], samples: int, size_bytes: int) -> None:
    counts, sizes = (np.array([each[at] for each in pieces], np.int64) for at in (0, 1))
    first = cut(counts, sizes, samples, size_bytes).tolist()
    assert len(first) == _fewest(pieces, samples, size_bytes)
    assert first[:1] == [0][: len(pieces)]
    assert first == sorted(set(first))
    for begin, end in pairwise([*first, len(pieces)]):
        fits = counts[begin:end].sum() <= samples and sizes[begin:end].sum() <= size_bytes
        assert fits or end - begin == 1


def _fewest(pieces: list[tuple[int, int]], samples: int, size_bytes: int) -> int:
    """The smallest number of runs, by trying all that may end at each piece."""
    best = [0]
    for end in range(1, len(pieces) + 1):
        fitting = [
            best[begin]
            for begin in range(end)
            if end - begin == 1
            or (sum(p[0] for p in pieces[begin:end]) <= samples and sum(p[1] for p in pieces[begin:end]) <= size_bytes)
        ]
        best.append(1 + min(fitting))
    return best[-1]


def test_shards_are_of_about_one_size() -> None:
    ones = np.ones(1001, np.int64)
    lengths = np.diff([*cut(ones, ones, 100, 10**9), 1001])
    assert len(lengths) == 11
    assert lengths.max() - lengths.min() <= 1


def test_a_small_change_moves_few_shards() -> None:
    """Among 400 shards, one sample more at one place leaves the shards of all other stretches alone."""
    rng = np.random.default_rng(3)
    starts = np.sort(rng.integers(0, 2**63 - 1, 20_000))
    ones = np.ones(20_000, np.int64)
    before = Pieces(starts, ones, ones, ones)
    after = Pieces.of([before.part, (np.array([2**60]), *([np.ones(1, np.int64)] * 3))])
    found = [set(each.starts[cut_in_stretches(each, 50, 10**9)].tolist()) for each in (before, after)]
    assert len(found[0]) >= 400
    assert len(found[0]) <= 400 * 1.04
    assert len(found[0] ^ found[1]) <= 2 * 64


@pytest.mark.slow
def test_a_changed_row_changes_its_shard_alone(made: tuple[Path, list[Row]], tmp_path: Path) -> None:
    """The other tars of the new set are links to those of the old one."""
    _, rows = made
    make(tmp_path / "a")
    first = exported(tmp_path / "a", max_samples=50)
    changed = [{**row, "text": "another text"} if number == 17 else row for number, row in enumerate(rows)]
    make(tmp_path / "b")
    for work in ("a", "b"):
        rewritten(tmp_path / work, changed)
    second, fresh = (exported(tmp_path / work, max_samples=50) for work in ("a", "b"))
    old, new, alone = (ExportedSet.of(tmp_path / work, outcome)
                       for work, outcome in (("a", first), ("a", second), ("b", fresh)))  # fmt: skip
    assert new.folder != old.folder
    assert new.digests() == alone.digests()
    are_exported(new, tmp_path / "a", changed)
    linked = [tar for tar in new.tars() if tar.stat().st_nlink == 2]
    assert len(linked) == len(new.tars()) - 1
    assert second.manifest.content("shard_samples") == fresh.manifest.content("shard_samples")
    assert all(tar.stat().st_nlink == 1 for tar in alone.tars())


def test_an_object_store(made: tuple[Path, list[Row]]) -> None:
    """The same tars; those of another set are copied by the store; what is gone is a rejection there, too."""
    _, rows = made
    memory = fsspec.filesystem("memory")
    url = "memory://shards-of-tests"
    try:
        table = pa.Table.from_pylist([{**row, "split": "train"} for row in rows], schema=MANIFEST.schema)
        store = write_manifest(url, table, with_bytes=True, entries=False)
        outcome = exported(url, max_samples=50)
        folder = f"{url}/shards/{outcome.manifest.context['set']}"
        index = json.loads(memory.cat_file(f"{folder}/index.json"))
        assert index["samples"] == len(rows)
        for tar in index["tars"]:
            assert sha256(memory.cat_file(f"{folder}/train/{tar['name']}")) == tar["sha256"]
        second = exported(url, max_samples=50, max_bytes=999_999_999)
        assert second.manifest.context["set"] != outcome.manifest.context["set"]
        assert second.manifest.content("shard_samples") != outcome.manifest.content("shard_samples")  # other paths
        told = [each.manifest.paths("shards") for each in (outcome, second)]
        first, other = ([store.parquet(path).read().column("sha256")[0] for path in paths] for paths in told)
        assert first == other
        memory.rm(f"{url}/{rows[0]['path']}")
        third = exported(url, max_samples=60)
        assert third.manifest.rejected["bytes_gone"] > 0
        assert third.manifest.rows("shard_samples") + third.manifest.rejected["bytes_gone"] == len(rows)
    finally:
        memory.rm("/shards-of-tests", recursive=True)


class KilledError(BaseException):
    """As a kill is: nothing catches it."""


class Dying(LocalEngine):
    """Reduces some units, is in the middle of another, and ends."""

    def shuffle(
        self, stage: ShuffleStage, task: Task, items: Sequence[Row], units: Sequence[Unit], on_done: OnDone
    ) -> list[Result]:
        super().shuffle(stage, task, items, units[:2], on_done)
        torn = task.store.root + "/" + units[2].inputs["path"]
        Path(torn).with_name(f".{Path(torn).name}.0123abcd").write_bytes(b"half a tar")
        raise KilledError


def test_a_stopped_run_goes_on(made: tuple[Path, list[Row]], tmp_path: Path) -> None:
    work, rows = made
    make(tmp_path)
    with pytest.raises(KilledError):
        exported(tmp_path, Dying, max_samples=50)
    assert not list(tmp_path.glob("shards/*/index.json")), "no index before the set is whole"
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("shards/*/*/*.tar")}
    assert len(done) == 2
    outcome = exported(tmp_path, max_samples=50)
    assert (outcome.units_done, outcome.units_reused) == (len(outcome.manifest.reports) - 2, 2)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    shards = ExportedSet.of(tmp_path, outcome)
    assert shards.digests() == ExportedSet.of(work, exported(work, max_samples=50)).digests()
    are_exported(shards, tmp_path, rows)


_CHILD = """
import sys
from faults_shards import exported
from pathlib import Path
exported(Path(sys.argv[1]), max_samples=8)
"""


@pytest.mark.slow
def test_kill_9_in_the_middle(made: tuple[Path, list[Row]], tmp_path: Path) -> None:
    work, rows = made
    make(tmp_path)
    paths = [str(Path(__file__).parents[1] / "faults"), str(Path(__file__).parents[2])]
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path)], env={"PYTHONPATH": ":".join(paths)})
    try:
        wait_until(lambda: child.poll() is not None or len(list(tmp_path.glob("shards/*/train/*.tar"))) > 4, "tars")
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(60)
    assert child.returncode == -signal.SIGKILL, "it was over before it was killed"
    outcome = exported(tmp_path, max_samples=8)
    assert outcome.units_done < len(outcome.manifest.reports)
    shards = ExportedSet.of(tmp_path, outcome)
    assert shards.digests() == ExportedSet.of(work, exported(work, max_samples=8)).digests()
    are_exported(shards, tmp_path, rows)
    assert not list(shards.folder.rglob(".*"))


@pytest.mark.slow
def test_bytes_that_are_gone_or_changed(tmp_path: Path) -> None:
    """They are rejections, the rest is exported; when they are back, the next run takes them in."""
    store = make(tmp_path)
    rows = manifest_rows(store)
    path = rows[0]["path"]
    gone = [row for row in rows if row["path"] == path]
    tar, hidden = tmp_path / path, tmp_path / "hidden"
    tar.rename(hidden)
    altered = next(row for row in rows if row["path"] != path)
    short = next(row for row in reversed(rows) if row["path"] not in (path, altered["path"]))
    for row, change in ((altered, b"another"), (short, None)):
        with (tmp_path / row["path"]).open("r+b") as file:
            file.seek(row["offset"])
            file.write(change) if change else file.truncate(row["offset"] + row["size_bytes"] - 1)
    cut_off = [row for row in rows if row["path"] == short["path"] and row["offset"] >= short["offset"]]
    lost = {row["sample_id"]: row for row in (*gone, altered, *cut_off)}
    first = exported(tmp_path, max_samples=50)
    assert first.manifest.rejected == {"bytes_changed": 1, "bytes_gone": len(lost) - 1}
    assert first.manifest.rows("shard_samples") == len(rows) - len(lost)
    told = store.table(first.manifest.paths("rejections"), REJECTIONS.schema).to_pylist()
    assert {(row["id"], row["file"], row["offset"]) for row in told} == {
        (row["media_id"], row["path"], row["offset"]) for row in lost.values()
    }
    (changed,) = (row for row in told if row["reason"] == "bytes_changed")
    assert changed["detail"] == f"{altered['sample_id']}: their SHA-256 is not {altered['sha256']}"
    are_exported(ExportedSet.of(tmp_path, first), tmp_path, [row for row in rows if row["sample_id"] not in lost])
    hidden.rename(tar)
    make(tmp_path)  # writes the bytes again
    other = exported(tmp_path, max_samples=50, max_bytes=999_999_999)  # which takes over no tar that lacks samples
    are_exported(ExportedSet.of(tmp_path, other), tmp_path, rows)
    second = exported(tmp_path, max_samples=50)
    assert second.manifest.rejected == {}
    are_exported(ExportedSet.of(tmp_path, second), tmp_path, rows)
    assert exported(tmp_path, no_engine, max_samples=50).units_done == 0


def test_nothing_and_no_val(made: tuple[Path, list[Row]], tmp_path: Path) -> None:
    _, rows = made
    write_manifest(tmp_path / "empty", 0, entries=False)
    outcome = exported(tmp_path / "empty", no_engine)
    shards = ExportedSet.of(tmp_path / "empty", outcome)
    assert (shards.tars(), shards.index["samples"], shards.index["splits"]) == ([], 0, {})
    make(tmp_path)
    train = [row for row in rows if row["split"] == "train"]
    rewritten(tmp_path, train)
    shards = ExportedSet.of(tmp_path, exported(tmp_path, max_samples=50))
    are_exported(shards, tmp_path, train)
    assert not (shards.folder / "val").exists()


@pytest.mark.parametrize(("modality", "other"), [("image", "video"), ("video", "image")])
def test_modalities_that_are_not_asked_for(made: tuple[Path, list[Row]], modality: str, other: str) -> None:
    work, rows = made
    outcome = exported(work, modalities=[modality], max_samples=50)
    own = [row for row in rows if row["modality"] == modality]
    are_exported(ExportedSet.of(work, outcome), work, own)
    assert outcome.manifest.counts == {f"samples:{modality}": len(own), f"other_modality:{other}": len(rows) - len(own)}


def test_a_modality_that_there_is_not(tmp_path: Path) -> None:
    write_manifest(tmp_path, 30, with_bytes=True, videos=0, entries=False)
    outcome = exported(tmp_path, modalities=["video"])
    assert outcome.manifest.counts == {"other_modality:image": 30}
    assert ExportedSet.of(tmp_path, outcome).tars() == []


def test_odd_ids_become_legal_keys(tmp_path: Path) -> None:
    store = write_manifest(tmp_path, 12, with_bytes=True, videos=0, entries=False)
    odd = ["a.b", "../c", "d e", "é", "f/g", "\U0001f415", "h\\i", "j" * 300, "k%l", "m\nn", ".o", "p"]
    rows = [{**row, "sample_id": name} for row, name in zip(manifest_rows(store), odd, strict=True)]
    rewritten(tmp_path, rows)
    found = ExportedSet.of(tmp_path, exported(tmp_path)).all_samples()
    assert {json.loads(parts["json"])["sample_id"] for parts in found.values()} == set(odd)
    assert all(list(parts) == ["jpg", "txt", "json"] for parts in found.values())


def test_a_sample_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    store = write_manifest(tmp_path, 5, with_bytes=True, videos=0, entries=False)
    rows = manifest_rows(store)
    rewritten(tmp_path, [*rows, rows[0]])
    with pytest.raises(StageError, match=r"shards: unit train-00000: key .* comes twice"):
        exported(tmp_path)


@pytest.mark.slow
def test_clips_as_frames(made: tuple[Path, list[Row]]) -> None:
    work, rows = made
    outcome = exported(work, clips="frames", frames=3, longest_side=32, max_samples=50)
    found = ExportedSet.of(work, outcome).all_samples()
    assert found.keys() == {row["sample_id"] for row in rows}
    cv2 = pytest.importorskip("cv2")
    for row in rows:
        parts = found[row["sample_id"]]
        told = json.loads(parts["json"])
        if row["modality"] == "image":
            assert sha256(parts["jpg"]) == row["sha256"]
            continue
        assert list(parts) == ["000.jpg", "001.jpg", "002.jpg", "txt", "json"]
        assert told["frame_times_ms"] == [166, 500, 833]
        for name in list(parts)[:3]:
            assert cv2.imdecode(np.frombuffer(parts[name], np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)
    again = {path: sha256(path.read_bytes()) for path in ExportedSet.of(work, outcome).tars()}
    for path in again:
        path.unlink()  # their units are done again
    exported(work, clips="frames", frames=3, longest_side=32, max_samples=50)
    assert {path: sha256(path.read_bytes()) for path in again} == again


def test_a_clip_without_frames(tmp_path: Path) -> None:
    store = write_manifest(tmp_path, 40, with_bytes=True, videos=0.5, entries=False)
    rows = manifest_rows(store)
    broken = next(row for row in rows if row["modality"] == "video")
    data = b"no film" * 100
    store.put("broken.mp4", data)
    broken |= {"path": "broken.mp4", "offset": 0, "size_bytes": len(data), "sha256": sha256(data)}
    rewritten(tmp_path, rows)
    outcome = exported(tmp_path, clips="frames", frames=2)
    assert outcome.manifest.rejected == {"no_frames": 1}
    found = ExportedSet.of(tmp_path, outcome).all_samples()
    assert found.keys() == {row["sample_id"] for row in rows} - {broken["sample_id"]}
    assert exported(tmp_path, no_engine, clips="frames", frames=2).units_done == 0, "it stays without"


def test_webdataset_reads_them(made: tuple[Path, list[Row]]) -> None:
    webdataset = pytest.importorskip("webdataset")
    work, rows = made
    shards = ExportedSet.of(work, exported(work, max_samples=50))
    by_id = {row["sample_id"]: row for row in rows}
    for split, told in shards.index["splits"].items():
        dataset = webdataset.WebDataset(str(shards.folder / told["tars"]), shardshuffle=False).decode()
        read = {sample["__key__"]: sample for sample in dataset}
        assert read.keys() == {name for name, row in by_id.items() if row["split"] == split}
        for key, sample in read.items():
            assert sample["txt"] == by_id[key]["text"]
            assert sample["json"]["sha256"] == by_id[key]["sha256"]
            if by_id[key]["modality"] == "video":
                assert sha256(sample["mp4"]) == by_id[key]["sha256"]


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({"modalities": ["image", "image"]}, "shards: modalities names one twice"),
        ({"longest_side": 64}, "shards: longest_side is of frames"),
        ({"max_samples": 0}, "shards.max_samples: Input should be greater than or equal to 1"),
        ({"seed": 2**63}, "shards.seed: Input should be less than"),
        ({"clips": "gif"}, "shards.clips: Input should be 'video' or 'frames'"),
        ({"modalities": ["video"]}, "shards.modalities has none of those that are fetched (image)"),
    ],
)
def test_recipes_that_cannot_be(shards: Row, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    tree = {**shards_recipe().model_dump(mode="json", include={"name", "inputs", "match"}), "shards": shards}
    path.write_text(json.dumps({**tree, "fetch": {"modalities": ["image"]}}))
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    assert message in str(error.value)
    assert Recipe.model_validate(shards_recipe().model_dump()) == shards_recipe()


def test_pieces_add_up() -> None:
    rng = np.random.default_rng(0)
    parts = [tuple(rng.integers(0, 9, 20) for _ in range(4)) for _ in range(5)]
    found = Pieces.of(parts)  # type: ignore[arg-type]
    flat = [np.concatenate([part[at] for part in parts]) for at in range(4)]
    assert found.starts.tolist() == sorted(set(flat[0].tolist()))
    for start, *sums in zip(*found.part, strict=True):
        assert sums == [int(each[flat[0] == start].sum()) for each in flat[1:]]
    huge = np.array([2**62, 2**62, 2**62], np.int64)
    assert int(Pieces.of([(np.zeros(3, np.int64), huge, huge, huge)]).content[0]) == 3 * 2**62 - 2**64


def test_all_made_up_rows_differ() -> None:
    """Else some tests here would say nothing."""
    table = manifest_table(SAMPLES, videos=0.3)
    assert len(pc.unique(table.column("sample_id"))) == SAMPLES
