"""Shares of an epoch: all samples, in one order, from tars and from a manifest alike; broken ones are counted."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curation.errors import InputError
from curation.media.shards import Sample, ShardError, write_shard
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.schemas import MANIFEST
from curation.storage import Store
from curation.testing.manifests import manifest_table, write_manifest
from curation.training.faults import SampleFaultError
from curation.training.plan import Consumer
from curation.training.reading import Reading
from curation.training.shard_sets import SIZES, shard_set
from curation.training.sources import ManifestSource, TarSource
from curation.training.stream import Share, Stream

BYTES: dict[str, Any] = {"picture": "bytes", "shuffle": 30}
BALANCED = ("vocabulary_lang", "entry_ids", "keep_probability", "critical_threshold", "brief", "texts", "licence")


def _tars(bed: Any, **options: Any) -> Stream:
    location = bed if isinstance(bed, Path) else bed.shards
    return Stream(TarSource(shard_set(location, "train")), Reading(**BYTES | options))


def _source(work: Path, columns: Sequence[str]) -> ManifestSource:
    store = Store.at(work)
    files = [file.removeprefix(f"{store.root}/") for file in Catalog(store, ALL_STAGES).files(MANIFEST.name)]
    return ManifestSource(store, files, "train", columns)


def _manifest(bed: Any, **options: Any) -> Stream:
    return Stream(_source(bed.work, BALANCED), Reading(**BYTES | options))


def _sizes(stream: Stream, epoch: int) -> Any:
    return stream.kept(epoch) if stream.counts_first else stream.source.sizes


def _samples(stream: Stream, share: Share | None = None, tally: Counter[str] | None = None) -> list[dict[str, Any]]:
    share = share or Share(0)
    counted = Counter[str]() if tally is None else tally
    return [sample for _, sample in stream.samples(share, _sizes(stream, share.epoch), counted)]


def _keys(stream: Stream, share: Share | None = None, tally: Counter[str] | None = None) -> list[str]:
    return [sample["key"] for sample in _samples(stream, share, tally)]


@pytest.mark.parametrize("opened", [_tars, _manifest])
@pytest.mark.parametrize(("world", "workers"), [(1, 1), (2, 2), (3, 4), (1, 17)])
def test_ranks_and_workers_read_every_sample_once(bed: Any, opened: Any, world: int, workers: int) -> None:
    stream = opened(bed)
    shares = [Share(3, Consumer(r, world, w, workers)) for r in range(world) for w in range(workers)]
    found = [key for share in shares for key in _keys(stream, share)]
    assert Counter(found) == Counter(bed.keys)


@pytest.mark.parametrize("opened", [_tars, _manifest])
def test_texts_pictures_and_columns_are_those_of_the_manifest(bed: Any, opened: Any) -> None:
    rows = {row["sample_id"]: row for row in bed.rows}
    for sample in _samples(opened(bed, columns=("licence", "entry_ids"))):
        row = rows[sample["key"]]
        assert sample["text"] == row["text"]
        assert (sample["licence"], sample["entry_ids"]) == (row["licence"], row["entry_ids"])
        assert sample["extension"] == "jpg" and len(sample["image"]) == row["size_bytes"]
    (pixels,) = {sample["image"].shape for sample in _samples(opened(bed, picture="array"))}
    assert pixels == (48, 48, 3)


def test_epochs_differ_and_are_the_same_every_time(bed: Any) -> None:
    orders = [_keys(_tars(bed), Share(epoch)) for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert _keys(_tars(bed, seed=1)) != orders[0] != bed.keys
    assert _keys(_tars(bed, shuffle=0)) == bed.keys
    assert Counter(_keys(_tars(bed, shuffle=None))) == Counter(bed.keys)


@pytest.mark.parametrize("options", [{}, {"t": 3}, {"t": 3, "even": "repeat"}, {"shuffle": 0}, {"shuffle": None}])
@pytest.mark.parametrize("opened", [_tars, _manifest])
def test_an_epoch_goes_on_where_it_was_left(bed: Any, opened: Any, options: dict[str, Any]) -> None:
    stream = opened(bed, **options)
    share = Share(2, Consumer(0, 2, 1, 2), batch=4)
    sizes, tally = _sizes(stream, 2), Counter[str]()
    whole = [(done, sample["key"]) for done, sample in stream.samples(share, sizes, tally)]
    assert len(whole) > 10
    for stop in (0, 1, 9, len(whole) - 1, len(whole)):
        first, rest = Counter[str](), Counter[str]()
        begun = list(islice(stream.samples(share, sizes, first), stop))
        after = Share(2, share.consumer, begun[-1][0] if begun else 0, 4)
        again = [(done, sample["key"]) for done, sample in stream.samples(after, sizes, rest)]
        assert [(done, sample["key"]) for done, sample in begun] + again == whole
        assert first + rest == tally


def test_what_is_done_is_not_read_again(bed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    stream = _tars(bed)
    source = stream.source.read

    def told(part: int, wanted: Any, *, rows: bool) -> Any:
        read.extend(wanted)
        return source(part, wanted, rows=rows)

    monkeypatch.setattr(stream.source, "read", told)
    left = _keys(stream, Share(0, first=len(bed.rows) - 5))
    assert len(left) == len(read) == 5


def test_at_most_shuffle_samples_are_held(bed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, read = _tars(bed, shuffle=10), Counter[str]()
    whole = stream._whole

    def counted(part: int, positions: Any) -> Any:
        for raw in whole(part, positions):
            read["samples"] += 1
            yield raw

    monkeypatch.setattr(stream, "_whole", counted)
    for given, _ in enumerate(stream.samples(Share(0), stream.source.sizes, Counter())):
        assert read["samples"] <= given + 1 + 10


@pytest.mark.parametrize("opened", [_tars, _manifest])
@pytest.mark.parametrize("even", ["drop", "repeat"])
def test_even_ranks_have_equally_many_of_what_balance_keeps(bed: Any, opened: Any, even: str) -> None:
    kept = [row["sample_id"] for row in bed.rows if row["critical_threshold"] <= 2]
    stream = opened(bed, t=2, even=even)
    ranks = [[key for w in range(2) for key in _keys(stream, Share(1, Consumer(r, 4, w, 2)))] for r in range(4)]
    assert {len(keys) for keys in ranks} == {-(-len(kept) // 4) if even == "repeat" else len(kept) // 4}
    found = Counter(key for keys in ranks for key in keys)
    assert set(found) <= set(kept) and 0 < len(kept) < len(bed.rows)
    if even == "repeat":
        assert set(found) == set(kept) and sum(found.values()) - len(found) < 4
    else:
        assert set(found.values()) == {1} and len(kept) - len(found) < 4


def test_balance_counts_what_it_leaves_out(bed: Any) -> None:
    tally = Counter[str]()
    kept = _keys(_tars(bed, t=2), None, tally)
    assert sorted(kept) == sorted(row["sample_id"] for row in bed.rows if row["critical_threshold"] <= 2)
    assert tally == {"samples": len(kept), "left_out:t": len(bed.rows) - len(kept)}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """30 samples in 3 tars, five of which are broken."""
    import cv2

    jpeg = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8))[1].tobytes()
    for number in range(3):
        samples = []
        for place in range(10):
            key = f"{10 * number + place:02d}"
            parts = {"jpg": jpeg, "txt": b"text", "json": json.dumps({"text": "text", "licence": key}).encode()}
            samples.append((key, parts))
        with (tmp_path / f"{number:05d}.tar").open("wb") as file:
            if number == 1:
                samples[2][1]["jpg"] = jpeg[:-400]
                samples[4][1]["txt"] = b"\xff\xfe"
                samples[5][1]["json"] = b"{"
                del samples[6][1]["jpg"]
                samples[7][1]["txt"] = b""
            write_shard(file, (Sample(key, parts) for key, parts in samples))
    (tmp_path / SIZES).write_text(json.dumps({f"{number:05d}.tar": 10 for number in range(3)}))
    return tmp_path


def test_broken_samples_are_raised_with_their_place(broken: Path) -> None:
    with pytest.raises(SampleFaultError, match=r"00001\.tar, sample 2 \(12\): an image: "):
        _samples(_tars(broken, picture="array", shuffle=0))


def test_broken_samples_are_skipped_and_counted(broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    tally = Counter[str]()
    keys = _keys(_tars(broken, picture="array", on_error="skip"), None, tally)
    assert len(set(keys)) == len(keys) == 26
    assert {"12", "14", "16", "17"}.isdisjoint(keys)
    assert tally == {"samples": 26, "skipped:undecodable": 1, "skipped:bad_text": 1, "skipped:no_media": 1,
                     "skipped:no_text": 1}  # fmt: skip
    assert sum("skipped a sample: " in message for message in caplog.messages) == 4
    tally.clear()
    _keys(_tars(broken, on_error="skip", columns=("licence",)), None, tally)  # KEY.json is looked at, KEY.txt is not
    assert tally == {"samples": 28, "skipped:bad_json": 1, "skipped:no_media": 1}


def test_even_ranks_stay_even_when_samples_are_broken(broken: Path) -> None:
    """The next sound one of the worker stands in, wherever the share is taken up."""
    stream = _tars(broken, picture="array", on_error="skip", even="repeat")
    for rank in range(2):
        share = Share(0, Consumer(rank, 2))
        tally = Counter[str]()
        whole = _keys(stream, share, tally)
        assert len(whole) == 15
        assert tally["stand_ins"] == sum(n for name, n in tally.items() if name.startswith("skipped:"))
        for first in range(15):
            assert _keys(stream, Share(0, share.consumer, first)) == whole[first:]
    assert sum(_tally(stream, rank)["stand_ins"] for rank in range(2)) == 4


def _tally(stream: Stream, rank: int) -> Counter[str]:
    tally = Counter[str]()
    _keys(stream, Share(0, Consumer(rank, 2)), tally)
    return tally


def test_a_share_without_any_sound_sample_is_said(tmp_path: Path) -> None:
    with (tmp_path / "00000.tar").open("wb") as file:
        write_shard(file, (Sample(str(n), {"jpg": b"no", "txt": b"text"}) for n in range(4)))
    with pytest.raises(InputError, match="has no sound sample to stand in"):
        _keys(_tars(tmp_path, picture="array", on_error="skip", even="drop"))


def test_a_torn_shard_is_raised_or_its_samples_are_counted(broken: Path) -> None:
    path = broken / "00002.tar"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(ShardError, match=r"00002\.tar is torn: it ends at byte"):
        _keys(_tars(broken))
    tally = Counter[str]()
    keys = _keys(_tars(broken, on_error="skip"), None, tally)
    assert 21 <= len(keys) < 27
    assert tally["skipped:torn_shard"] == 30 - len(keys) - 3
    assert sum(tally.values()) == 30


def test_samples_that_no_sizes_tell_of_are_said(broken: Path) -> None:
    (broken / SIZES).write_text(json.dumps({"00000.tar": 10, "00001.tar": 10, "00002.tar": 8}))
    with pytest.raises(ShardError, match=r"00002\.tar has more than the 8 samples that are told of"):
        _keys(_tars(broken, on_error="raise"))
    tally = Counter[str]()
    assert len(_keys(_tars(broken, on_error="skip"), None, tally)) + tally.total() - tally["samples"] == 28
    assert tally["skipped:torn_shard"] == 1
    (broken / SIZES).write_text(json.dumps({"00000.tar": 10, "00001.tar": 10, "00002.tar": 0}))
    assert shard_set(broken, "train").sizes.tolist() == [10, 10, 10]


def test_a_sample_without_json_is_broken_where_it_is_needed(tmp_path: Path) -> None:
    with (tmp_path / "00000.tar").open("wb") as file:
        write_shard(file, [Sample("a", {"jpg": b"j", "txt": b"text"})])
    assert _keys(_tars(tmp_path)) == ["a"]
    with pytest.raises(SampleFaultError, match=r"there is no a\.json"):
        _keys(_tars(tmp_path, columns=("licence",)))


def test_columns_that_no_manifest_has_are_said(bed: Any) -> None:
    with pytest.raises(InputError, match="columns names 'licens', which the manifest has not: it has sample_id, "):
        _samples(_tars(bed, columns=("licens",)))
    assert {sample["upload_date"] for sample in _samples(_tars(bed, columns=("upload_date", "url")))} == {None}


@pytest.mark.parametrize(
    ("wrong", "options", "fault"),
    [
        ({"texts": [{"text": "a"}]}, {"text": "weighted"}, "bad_row"),
        ({"texts": [{"text": "a"}]}, {"text": "alt"}, "bad_row"),
        ({"texts": [{"text": "a", "weight": 0.0}]}, {"text": "weighted"}, "no_text"),
        ({"critical_threshold": "x"}, {"t": 5}, "bad_row"),
        ({"texts": 7}, {"t": 5, "even": "drop"}, "bad_row"),
    ],
)
def test_hostile_rows_are_raised_or_skipped(tmp_path: Path, wrong: Any, options: Any, fault: str) -> None:
    sound = {"sample_id": "s", "media_id": "m", "text": "a", "critical_threshold": 1.0,
             "texts": [{"text": "a", "weight": 1.0, "captioner": "alt", "kind": "alt"}]}  # fmt: skip
    with (tmp_path / "00000.tar").open("wb") as file:
        told = [json.dumps(sound | (wrong if n == 3 else {})).encode() for n in range(6)]
        write_shard(file, (Sample(str(n), {"jpg": b"j", "json": data}) for n, data in enumerate(told)))
    with pytest.raises(SampleFaultError, match=r"00000\.tar, sample 3 \(3\)"):
        _keys(_tars(tmp_path, **options))
    tally = Counter[str]()
    keys = _keys(_tars(tmp_path, on_error="skip", **options), None, tally)
    assert set(keys) == set("01245") and tally[f"skipped:{fault}"] == 1


def test_shards_that_are_gone_meanwhile_are_raised_or_skipped(broken: Path) -> None:
    streams = [_tars(broken), _tars(broken, on_error="skip")]
    (broken / "00002.tar").unlink()
    with pytest.raises(InputError, match=r"there is no .*00002\.tar"):
        _keys(streams[0])
    tally = Counter[str]()
    assert len(_keys(streams[1], None, tally)) == 17 and tally["skipped:torn_shard"] == 10


def test_img2dataset_s_shards_can_be_read(tmp_path: Path) -> None:
    with (tmp_path / "00000.tar").open("wb") as file:
        told = {"key": "000000000", "caption": "a cat", "url": "x", "status": "success"}
        write_shard(file, [Sample("000000000", {"jpg": b"j", "txt": b"a cat", "json": json.dumps(told).encode()})])
    (sample,) = _samples(_tars(tmp_path, text=("brief", "chosen"), columns=("url",)))
    assert sample["text"] == "a cat" and sample["url"] == "x"


def test_media_whose_bytes_are_gone_are_broken(bed: Any, tmp_path: Path) -> None:
    copy = type(bed)(shutil.copytree(bed.work, tmp_path / "work"), bed.shards, bed.rows)
    gone = next(iter((copy.work / "media" / "tars").iterdir()))
    lost = sum(row["path"].endswith(gone.name) for row in bed.rows)
    gone.unlink()
    with pytest.raises(SampleFaultError, match="is gone or torn"):
        _keys(_manifest(copy))
    tally = Counter[str]()
    _keys(_manifest(copy, on_error="skip"), None, tally)
    assert tally == {"samples": len(bed.rows) - lost, "skipped:no_media": lost}


def test_forgotten_media_are_left_out_at_once(bed: Any, tmp_path: Path) -> None:
    copy = type(bed)(shutil.copytree(bed.work, tmp_path / "work"), bed.shards, bed.rows)
    gone = bed.rows[7]["media_id"]
    tombstone = {"media_ids": [gone], "sha256": [], "domains": [], "phashes": [], "max_distance": 0}
    Store.at(copy.work).put_json("_forgotten/a.json", tombstone)
    tally = Counter[str]()
    keys = _keys(_manifest(copy), None, tally)
    assert gone not in keys and len(keys) == len(bed.rows) - 1
    assert tally["left_out:forgotten"] == 1


def test_samples_with_words_about_forgotten_media_are_left_out(tmp_path: Path) -> None:
    rows = manifest_table(8, videos=0.0).to_pylist()
    rows[3]["texts"][-1]["text_media_id"] = "gone"
    write_manifest(tmp_path, pa.Table.from_pylist(rows, schema=MANIFEST.schema), with_bytes=True)
    Store.at(tmp_path).put_json("_forgotten/a.json", {"media_ids": ["gone"], "sha256": [], "domains": [],
                                                     "phashes": [], "max_distance": 0})  # fmt: skip
    keys = [batch["key"] for batch in _samples(Stream(_source(tmp_path, []), Reading(**BYTES)))]
    train = [row["sample_id"] for row in rows if row["split"] == "train"]
    assert sorted([*keys, rows[3]["sample_id"]]) == sorted(train)


def test_transform_and_tokenizer_are_called(bed: Any) -> None:
    stream = _tars(bed, picture="array", size=16, transform=lambda pixels: pixels.mean(), tokenizer=str.split)
    samples = _samples(stream)
    assert all(isinstance(sample["image"], float) and isinstance(sample["text"], list) for sample in samples)
    fault = _tars(bed, picture="array", on_error="skip", transform=lambda pixels: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a mistake in a user's function is no broken sample
        _samples(fault)


def test_an_empty_split_is_said(bed: Any) -> None:
    store = Store.at(bed.work)
    files = [file.removeprefix(f"{store.root}/") for file in Catalog(store, ALL_STAGES).files(MANIFEST.name)]
    with pytest.raises(InputError, match="has no samples of the split 'test'; of others: train"):
        ManifestSource(store, files, "test", [])
