"""Batches through torch's DataLoader: coverage, resumption, even ranks, broken samples."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from functools import partial
from itertools import islice
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
from curation.testing.manifests import write_manifest

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


def test_rank_0_s_state_serves_all_ranks_that_keep_step(bed: Any) -> None:
    def loaders(**options: Any) -> list[Loader]:
        return [Loader(_dataset(bed, rank=rank, world=2, even="repeat", **options), 6, 2) for rank in range(2)]

    expected = [_keys(loader) for loader in loaders()]
    zero = loaders()[0]
    assert len(_keys(islice(zero, 4))) == 4
    for rank, loader in enumerate(loaders()):
        loader.load_state_dict(zero.state_dict())
        assert _keys(loader) == expected[rank][4:]
    sifted = [Loader(_dataset(bed, rank=rank, world=2, modality="image"), 6) for rank in range(2)]
    for _ in sifted[0]:
        break
    state = sifted[0].state_dict() | {"counts": {"samples": 6, "left_out:modality": 1}}
    with pytest.raises(InputError, match="the state is of rank 0, this is 1"):
        sifted[1].load_state_dict(state)


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


def test_redrawn_balance_differs_by_epoch(bed: Any, tmp_path: Path) -> None:
    entries = [(lang, entry) for lang in {row["vocabulary_lang"] for row in bed[2]} for entry in range(3000)]
    columns = {"modality": ["image"] * len(entries), "count": [4.0] * len(entries)}
    columns |= {"vocabulary_lang": [lang for lang, _ in entries], "entry_id": [entry for _, entry in entries]}
    pq.write_table(pa.table(columns), tmp_path / "four.parquet")
    loader = Loader(_dataset(bed, t=1, redraw=True, entries=tmp_path / "four.parquet", modality="image"), 16, 2)
    epochs = [frozenset(key for batch in _keys(loader) for key in batch) for _ in range(3)]
    assert len(set(epochs)) == 3
    assert loader.counts["left_out:t"] > 0
    with pytest.raises(TypeError, match="not known before they are read"):
        len(loader)
    with pytest.raises(InputError, match=r"redraw needs counts of entries: give Reading\.entries"):
        _dataset(bed, t=1, redraw=True)
    assert len(list(Loader(_dataset(bed, ManifestDataset, t=1, redraw=True), 16))) > 0


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
    with pytest.raises(InputError, match="has no shards of the split 'test'; it has train"):
        ShardDataset(bed[1], "test")


def _ranked(rank: int, store: str, folder: str, sink: Any) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    sink.put([sample["key"] for sample in ShardDataset(folder, "train", Reading(picture="bytes"))])
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_ranks_come_from_torch_distributed(bed: Any, tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("fork")
    sink = context.SimpleQueue()
    work = partial(_ranked, store=str(tmp_path / "store"), folder=str(bed[1]), sink=sink)
    processes = [context.Process(target=work, args=(rank,)) for rank in range(2)]
    for process in processes:
        process.start()
    found = Counter(key for _ in processes for key in sink.get())
    for process in processes:
        process.join()
    assert found == Counter(row["sample_id"] for row in bed[2])


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
