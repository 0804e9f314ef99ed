"""Batches through torch's DataLoader: coverage, resumption, even ranks, broken samples."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults_shards import ExportedSet, exported

from curation.errors import InputError
from curation.media.shards import Sample, write_shard
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.schemas import MANIFEST
from curation.storage import Store
from curation.testing.manifests import write_manifest
from curation.training.plan import Consumer
from curation.training.tars import read_samples

torch = pytest.importorskip("torch", reason="extra train")

from curation.training import Loader, ManifestDataset, Reading, SampleFaultError, ShardDataset, collate  # noqa: E402

BYTES: dict[str, Any] = {"picture": "bytes", "shuffle": 30}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[dict[str, Any]]]:
    """(work folder, set of shards, rows of train): images, and some clips."""
    work = tmp_path_factory.mktemp("training")
    store = write_manifest(work, 120, with_bytes=True, videos=0.1)
    shards = ExportedSet.of(work, exported(work, max_samples=25))
    files = [file.removeprefix(f"{store.root}/") for file in Catalog(store, ALL_STAGES).files(MANIFEST.name)]
    rows = [row for row in store.table(files, MANIFEST.schema).to_pylist() if row["split"] == "train"]
    assert {row["modality"] for row in rows} == {"image", "video"}
    return work, shards.folder, rows


def _dataset(bed: Any, kind: Any = ShardDataset, *, rank: int = 0, world: int = 1, **options: Any) -> Any:
    return kind(bed[kind is ShardDataset], "train", Reading(**BYTES | options), rank=rank, world=world)


def _keys(batches: Any) -> list[list[str]]:
    return [batch["key"] for batch in batches]


@pytest.mark.parametrize("kind", [ShardDataset, ManifestDataset])
def test_two_ranks_of_two_workers_read_every_sample_once(bed: Any, kind: Any) -> None:
    loaders = [Loader(_dataset(bed, kind, rank=rank, world=2), 8, 2) for rank in range(2)]
    for _ in range(2):
        ranks = [_keys(loader) for loader in loaders]
        found = Counter(key for batches in ranks for batch in batches for key in batch)
        assert found == Counter(row["sample_id"] for row in bed[2])
        assert [len(batches) for batches in ranks] == [len(loader) for loader in loaders]
        assert all(sum(len(batch) < 8 for batch in batches) <= 1 for batches in ranks)


@pytest.mark.parametrize("kind", [ShardDataset, ManifestDataset])
def test_torch_s_own_dataloader_reads_every_sample_once(bed: Any, kind: Any) -> None:
    found: Counter[str] = Counter()
    for rank in range(2):
        dataset = _dataset(bed, kind, rank=rank, world=2)
        plain = torch.utils.data.DataLoader(dataset, 7, num_workers=2, collate_fn=collate)
        found.update(key for batch in plain for key in batch["key"])
    assert found == Counter(row["sample_id"] for row in bed[2])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("options", [{}, {"t": 2, "modality": "image"}, {"even": "drop", "text": "weighted"}])
def test_an_epoch_that_is_taken_up_goes_on_as_if_never_left(bed: Any, workers: int, options: dict[str, Any]) -> None:
    def loader() -> Loader:
        made = Loader(_dataset(bed, rank=1, world=2, **options), 5, workers)
        made.set_epoch(4)
        return made

    whole, after = loader(), loader()
    expected = _keys(whole) + _keys(whole)
    for stop in (0, 1, 2, 5, len(expected) // 2 - 1):
        left = loader()
        begun = _keys(islice(left, stop))
        state = json.loads(json.dumps(left.state_dict()))
        after.load_state_dict(state)
        assert begun + _keys(after) + _keys(after) == expected
        assert after.counts == whole.counts
        assert after.epoch == 6


def test_an_iteration_that_is_left_goes_on(bed: Any) -> None:
    loader = Loader(_dataset(bed), 10, 2, persistent_workers=True)
    expected = _keys(Loader(_dataset(bed), 10, 2))
    begun = _keys(islice(loader, 3))
    assert begun + _keys(loader) == expected
    assert sorted(map(tuple, _keys(loader))) != sorted(map(tuple, expected))  # epoch 1


def test_workers_that_stay_and_those_that_are_spawned_read_the_same(bed: Any) -> None:
    plain = Loader(_dataset(bed), 10, 2)
    expected = [_keys(plain), _keys(plain)]
    stay = Loader(_dataset(bed), 10, 2, persistent_workers=True, multiprocessing_context="spawn")
    assert [_keys(stay), _keys(stay)] == expected
    assert expected[0] != expected[1]
    pickle.loads(pickle.dumps(_dataset(bed)))


def test_states_of_other_data_or_processes_are_refused(bed: Any) -> None:
    state = Loader(_dataset(bed), 10, 2).state_dict()
    for other, said in (
        (Loader(_dataset(bed), 10, 3), "the state has workers 2, this loader 3: make both the same, or begin"),
        (Loader(_dataset(bed), 11, 2), "batch_size 10, this loader 11"),
        (Loader(_dataset(bed, world=2), 10, 2), "world 1, this loader 2"),
        (Loader(_dataset(bed, seed=1), 10, 2), "the state has data "),
        (Loader(_dataset(bed, t=5), 10, 2), "the state has data "),
    ):
        with pytest.raises(InputError, match=said):
            other.load_state_dict(state)


def _state_after(loader: Loader, batches: int) -> tuple[list[list[str]], dict[str, Any]]:
    return _keys(islice(loader, batches)), loader.state_dict()


def test_rank_0_s_state_serves_all_ranks_that_keep_step(bed: Any) -> None:
    def loaders(**options: Any) -> list[Loader]:
        return [Loader(_dataset(bed, rank=rank, world=2, even="repeat", **options), 6, 2) for rank in range(2)]

    for options in ({}, {"modality": "image"}):
        expected = [_keys(loader) for loader in loaders(**options)]
        _, state = _state_after(loaders(**options)[0], 4)
        for rank, loader in enumerate(loaders(**options)):
            loader.load_state_dict(state)
            assert _keys(loader) == expected[rank][4:]
    sifted = [Loader(_dataset(bed, rank=rank, world=2, modality="image"), 6) for rank in range(2)]
    _, state = _state_after(sifted[0], 1)
    with pytest.raises(InputError, match="the state is of rank 0, this is 1, and ranks need not have come equally far"):
        sifted[1].load_state_dict(state)
    _keys(sifted[0])
    sifted[1].load_state_dict(sifted[0].state_dict())  # the begin of the next epoch
    assert sifted[1].epoch == 1


@pytest.mark.parametrize(("count", "batch", "workers"), [(25, 4, 2), (48, 4, 2), (49, 4, 2), (17, 1, 5)])
def test_a_state_that_is_taken_is_exact(tmp_path: Path, count: int, batch: int, workers: int) -> None:
    """Where ranks' shares differ, rank 0's state may be none of rank 1: no sample comes twice or never."""
    with (tmp_path / "00000.tar").open("wb") as file:
        write_shard(file, (Sample(f"{n:02d}", {"jpg": b"j", "txt": b"a"}) for n in range(count)))

    def loader(rank: int) -> Loader:
        return Loader(ShardDataset(tmp_path, reading=Reading(**BYTES), rank=rank, world=2), batch, workers)

    taken = 0
    whole = [_keys(loader(rank)) for rank in range(2)]
    for steps in range(len(whole[0]) + 1):
        _, state = _state_after(loader(0), steps)
        other = loader(1)
        try:
            other.load_state_dict(state)
        except InputError:
            continue
        taken += 1
        assert other.state_dict()["epoch"] == (steps == len(whole[1]))
        assert _keys(other) == whole[1][steps:] or steps == len(whole[1])
    assert taken > (count > 25) and (taken == len(whole[0]) + 1) == (count == 48)


@pytest.mark.parametrize("options", [{}, {"t": 2}, {"modality": "image"}, {"even": "drop"}])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_is_left_with_its_last_batch_is_over(
    bed: Any, options: dict[str, Any], workers: int, drop_last: bool
) -> None:
    def loader() -> Loader:
        return Loader(_dataset(bed, **options), 16, workers, drop_last=drop_last)

    twice = loader()
    first, second = _keys(twice), _keys(twice)
    left = loader()
    for number, _ in enumerate(left, 1):
        if number == len(first):
            break
    state = json.loads(json.dumps(left.state_dict()))
    assert (state["epoch"], state["begins"]) == (1, True)
    assert _keys(left) == second
    after = loader()
    after.load_state_dict(state)
    assert _keys(after) == second and after.epoch == 2


def test_a_mistake_is_raised_behind_the_batches_before_it(broken: Path) -> None:
    with pytest.raises(SampleFaultError):
        next(iter(Loader(ShardDataset(broken, reading=Reading(shuffle=0)), 1)))
    loader = Loader(ShardDataset(broken, reading=Reading(shuffle=0)), 1)
    loader.load_state_dict(loader.state_dict() | {"done": [1], "begins": False})
    found = []
    with pytest.raises(SampleFaultError):
        for batch in loader:
            found += batch["key"]
    assert found == [f"{n:02d}" for n in range(1, 10)] and loader.state_dict()["done"] == [10]


def test_even_ranks_have_equally_many_batches(bed: Any) -> None:
    for options in ({"even": "drop"}, {"even": "repeat", "t": 2}, {"even": "drop", "modality": "image"}):
        loaders = [Loader(_dataset(bed, rank=rank, world=3, **options), 4, 2, drop_last=True) for rank in range(3)]
        batches = [_keys(loader) for loader in loaders]
        assert len({len(each) for each in batches} | {len(loader) for loader in loaders}) == 1
        assert {len(batch) for each in batches for batch in each} == {4}


def test_images_are_clips_of_one_frame(bed: Any) -> None:
    reading = {"picture": "tensor", "size": 24, "columns": ("modality",)}
    lengths = Counter[tuple[str, int]]()
    for batch in Loader(_dataset(bed, as_video=True, frames=4, **reading), 16):
        longest = int(batch["frames"].max())
        assert batch["video"].shape == (len(batch["key"]), longest, 3, 24, 24)
        assert batch["video"].dtype == torch.uint8
        lengths.update(zip(batch["modality"], batch["frames"].tolist(), strict=True))
        for clip, count in zip(batch["video"], batch["frames"].tolist(), strict=True):
            assert clip[:count].any() and not clip[count:].any()
    assert set(lengths) == {("image", 1), ("video", 4)}
    assert all(batch["image"].shape[1:] == (3, 24, 24) for batch in Loader(_dataset(bed, **reading), 16))


def test_drawn_texts_come_by_weight_and_anew_per_epoch(bed: Any) -> None:
    rows = {row["sample_id"]: {text["text"] for text in row["texts"] if text["weight"]} for row in bed[2]}
    loader = Loader(_dataset(bed, text="weighted"), 16, 2)
    epochs = []
    for _ in range(8):
        drawn = {key: text for batch in loader for key, text in zip(batch["key"], batch["text"], strict=True)}
        assert all(text in rows[key] for key, text in drawn.items())
        epochs.append(drawn)
    several = [key for key, texts in rows.items() if len(texts) > 1]
    assert sum(len({drawn[key] for drawn in epochs}) > 1 for key in several) > len(several) * 0.8


def _fours(bed: Any, folder: Path) -> Path:
    """Counts of 4 for all entries."""
    entries = [(lang, entry) for lang in {row["vocabulary_lang"] for row in bed[2]} for entry in range(3000)]
    columns = {"modality": ["image"] * len(entries), "count": [4.0] * len(entries)}
    columns |= {"vocabulary_lang": [lang for lang, _ in entries], "entry_id": [entry for _, entry in entries]}
    pq.write_table(pa.table(columns), folder / "four.parquet")
    return folder / "four.parquet"


def test_redrawn_balance_differs_by_epoch(bed: Any, tmp_path: Path) -> None:
    loader = Loader(_dataset(bed, t=1, redraw=True, entries=_fours(bed, tmp_path), modality="image"), 16, 2)
    epochs = [frozenset(key for batch in _keys(loader) for key in batch) for _ in range(3)]
    assert len(set(epochs)) == 3
    assert loader.counts["left_out:t"] > 0
    with pytest.raises(TypeError, match="not known before they are read"):
        len(loader)
    with pytest.raises(InputError, match=r"redraw needs counts of entries: give Reading\.entries"):
        _dataset(bed, t=1, redraw=True)
    assert len(list(Loader(_dataset(bed, ManifestDataset, t=1, redraw=True), 16))) > 0


def test_the_number_of_batches_is_that_of_the_epoch_that_comes(bed: Any, tmp_path: Path) -> None:
    loader = Loader(_dataset(bed, t=1, redraw=True, entries=_fours(bed, tmp_path), modality="image", even="drop"), 1)
    lengths = []
    for _ in range(4):
        lengths.append(len(loader))
        assert len(_keys(loader)) == lengths[-1]
    assert len(set(lengths)) > 1


@pytest.mark.parametrize(("options", "times"), [({"t": 2}, 1), ({"t": 1, "redraw": True}, 3)])
def test_rows_are_read_before_an_epoch_only_where_it_draws_anew(
    bed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], times: int
) -> None:
    loader = Loader(_dataset(bed, even="drop", entries=_fours(bed, tmp_path), modality="image", **options), 8)
    read = Counter[int]()
    rows = loader.dataset.stream.source.rows
    monkeypatch.setattr(loader.dataset.stream.source, "rows", lambda part: read.update([part]) or rows(part))
    for _ in range(3):
        len(loader)
        _keys(loader)
    assert set(read.values()) == {times}


def _rename_manifest(work: Path) -> None:
    """Its files are written anew, as `curation forget` does: under other names, of the same version."""
    (manifest,) = (work / "_runs" / "manifest").glob("*/manifest.json")
    told = manifest.read_text()
    for path in (work / "manifest").glob("*/*/*/*.parquet"):
        name = path.relative_to(work).as_posix()
        path.rename(path.with_name("more.parquet"))
        told = told.replace(name, f"{name.rpartition('/')[0]}/more.parquet")
    manifest.write_text(told)


def test_what_is_forgotten_meanwhile_is_gone_in_the_next_epoch(bed: Any, tmp_path: Path) -> None:
    """Workers that stay are told so; a set of which the tars were written anew has its new sizes."""
    for number, (kind, even) in enumerate(product((ShardDataset, ManifestDataset), (None, "repeat"))):
        work = shutil.copytree(bed[0], tmp_path / f"work-{number}")
        loader = Loader(_dataset((work, work), kind, even=even), 8, 2, persistent_workers=True)
        first = Counter(key for batch in _keys(loader) for key in batch)
        gone = bed[2][5]["media_id"]
        tombstone = {"media_ids": [gone], "sha256": [], "domains": [], "phashes": [], "max_distance": 0}
        Store.at(work).put_json("_forgotten/a.json", tombstone)
        _rename_manifest(work)
        lost = {row["sample_id"] for row in bed[2] if row["media_id"] == gone}
        assert set(first) - {key for batch in _keys(loader) for key in batch} == lost
        assert {sample["key"] for sample in kind(work, reading=Reading(**BYTES))} == set(first) - lost
    folder = shutil.copytree(bed[1] / "train", tmp_path / "folder")
    loader = Loader(_dataset((folder, folder)), 8, 2, persistent_workers=True)
    whole = {key for batch in _keys(loader) for key in batch}
    fewer = list(read_samples((folder / "00000.tar").open("rb"), "00000.tar"))[3:]
    with (folder / "00000.tar").open("wb") as file:
        write_shard(file, [Sample(sample.key, sample.parts) for sample in fewer])
    sizes = json.loads((folder / "sizes.json").read_text())
    (folder / "sizes.json").write_text(json.dumps(sizes | {"00000.tar": len(fewer)}))
    assert len(whole) - len({key for batch in _keys(loader) for key in batch}) == 3


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """40 samples, every tenth without a picture."""
    import cv2

    jpeg = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    with (tmp_path / "00000.tar").open("wb") as file:
        write_shard(file, (Sample(f"{n:02d}", {"jpg": jpeg if n % 10 else b"", "txt": b"a"}) for n in range(40)))
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_samples_are_raised_or_told_of(broken: Path, workers: int, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SampleFaultError, match="an image: no image format"):
        list(Loader(ShardDataset(broken), 8, workers))
    loader = Loader(ShardDataset(broken, reading=Reading(on_error="skip")), 8, workers)
    assert sorted(key for batch in _keys(loader) for key in batch) == [f"{n:02d}" for n in range(40) if n % 10]
    assert loader.counts == {"samples": 36, "skipped:undecodable": 4}
    assert "skipped 4 broken samples: undecodable 4; 36 were handed out" in caplog.messages


def test_epochs_without_a_batch_are_said(broken: Path, bed: Any) -> None:
    images = broken / "images"
    images.mkdir()
    with (images / "00000.tar").open("wb") as file:
        write_shard(file, [Sample("a", {"jpg": b"", "txt": b"a", "json": b'{"modality":"image"}'})])
    with pytest.raises(InputError, match="epoch 0 has no batch: left_out:modality 1"):
        list(Loader(ShardDataset(images, reading=Reading(modality="video")), 8, 2))
    with pytest.raises(InputError, match="epoch 0 has no batch: skipped:undecodable 1"):
        list(Loader(ShardDataset(images, reading=Reading(on_error="skip")), 8))
    with pytest.raises(InputError, match="epoch 0 has no batch: this rank has too few samples"):
        list(Loader(ShardDataset(broken, reading=Reading(picture="bytes")), 64, drop_last=True))
    with pytest.raises(InputError, match="batch_size 0 and num_workers 0"):
        Loader(ShardDataset(broken), 0)
    with pytest.raises(InputError, match="in_order=False: batches would come as workers have them ready"):
        Loader(ShardDataset(broken), 8, 2, in_order=False)
    with pytest.raises(InputError, match="columns names caption: the manifest has sample_id, "):
        ManifestDataset(bed[0], reading=Reading(columns=("caption",)))
    with pytest.raises(InputError, match="has no shards of the split 'test'; it has train"):
        ShardDataset(bed[1], "test")


def _ranked(rank: int, store: str, folder: str, sink: Any, dataset: Any) -> None:
    dataset = dataset or ShardDataset(folder, "train", Reading(picture="bytes"))  # before there are ranks
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        read = [sample["key"] for sample in dataset], [key for batch in Loader(dataset, 8, 2) for key in batch["key"]]
    except InputError as error:
        read = [str(error)], []
    for keys in read:
        sink.put(keys)
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_ranks_come_from_torch_distributed(bed: Any, tmp_path: Path, start: str) -> None:
    """Whether the data set is made before it is set up, after it, or in the process that starts the others."""
    context = torch.multiprocessing.get_context("fork")
    sink = context.SimpleQueue()
    made = None if start == "fork" else pickle.loads(pickle.dumps(ShardDataset(bed[1], "train", Reading(**BYTES))))
    work = partial(_ranked, store=str(tmp_path / "store"), folder=str(bed[1]), sink=sink, dataset=made)
    processes = [context.Process(target=work, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    found = Counter(key for _ in range(4) for key in sink.get())
    for process in processes:
        process.join()
    assert found == Counter({row["sample_id"]: 2 for row in bed[2]})


def test_a_rank_that_was_used_before_torch_s_was_known_is_said(
    bed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, given = ShardDataset(bed[1]), _dataset(bed, rank=1, world=3)
    unused = ShardDataset(bed[1])
    assert dataset.here == Consumer()
    monkeypatch.setattr("curation.training.plan.distributed_rank", lambda: (1, 2))
    monkeypatch.setattr("curation.training.datasets.distributed_rank", lambda: (1, 2))
    with pytest.raises(InputError, match=r"was read as rank 0 of 1 before torch\.distributed said rank 1 of 2"):
        list(Loader(dataset, 8))
    assert (given.here, unused.here) == (Consumer(1, 3), Consumer(1, 2))
    kept = pickle.dumps(ShardDataset(bed[1]))
    monkeypatch.undo()
    assert pickle.loads(kept).here == Consumer(1, 2)  # in a worker that was spawned


def test_nothing_of_spark_is_imported(bed: Any, tmp_path: Path) -> None:
    script = (
        "import sys; from curation.training import *\n"
        "made = [kind(where, 'train', Reading(size=8, t=3)) for kind, where in zip((ManifestDataset, ShardDataset), "
        "sys.argv[1:])]\n"
        "print(sum(len(batch['key']) for data in made for batch in Loader(data, 8)), "
        "sorted({'pyspark', 'py4j'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(bed[0]), str(bed[1])]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert done.stdout.split(" ", 1)[1] == "[]\n"
