"""Samples as WebDataset has them: keys, JSON, sizes, names, the index, and shards read back."""

from __future__ import annotations

import io
import json
import math
import tarfile
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.export.webdataset import (
    Frames,
    Tar,
    as_sample,
    brace,
    index_files,
    index_of,
    key_of,
    read_shard,
    sample_json,
    tar_bytes,
    tar_names,
)
from curation.media.shards import END, ShardError, member_name, write_shard
from curation.testing.manifests import manifest_table

ROWS = manifest_table(60, videos=0.4).to_pylist()
FEW = {"text": "a dog", "modality": "image", "size_bytes": 10, "duration_ms": None}


@given(st.text(min_size=1), st.text(min_size=1))
def test_keys_are_legal_and_tell_samples_apart(one: str, other: str) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)
    for extension in ("jpg", "000.jpg", "json"):
        assert member_name(key_of(one), extension).split(".", 1) == [key_of(one), extension]


def test_ids_are_keys_as_they_are() -> None:
    for row in ROWS:
        assert key_of(row["sample_id"]) == row["sample_id"]
    assert key_of("a.b") != key_of("a/b") != key_of("a b")
    assert len(key_of("x" * 81)) == 41


@pytest.mark.parametrize("row", ROWS[:20], ids=lambda row: str(row["sample_id"]))
def test_json_is_the_row_without_nulls_and_places(row: dict[str, Any]) -> None:
    data = sample_json(row)
    told = json.loads(data)
    assert told.pop("caption") == row["text"]
    expected = {name: value for name, value in row.items() if value is not None}
    for name in ("path", "offset", "size_bytes", "media_bucket"):
        del expected[name]
    expected["texts"] = [{name: value for name, value in text.items() if value is not None} for text in row["texts"]]
    if "scores" in expected:
        expected["scores"] = {name: value for name, value in row["scores"].items() if value is not None}
    assert told == expected
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_json_of_odd_values() -> None:
    odd = {"text": 'a "dog"\n\u2028\x00 \U0001f415', "score": math.nan, "list": [{"b": 1, "a": None}], "none": None}
    row = {**FEW, **odd}
    told = json.loads(sample_json(row))
    assert told["text"] == told["caption"] == row["text"]
    assert told["score"] is None  # as JSON has no NaN
    assert told["list"] == [{"b": 1}]
    assert "none" not in told


@given(st.lists(st.tuples(st.integers(0, 3000), st.text(max_size=40)), max_size=5))
def test_sizes_are_those_of_the_tar(samples: list[tuple[int, str]]) -> None:
    expected, made = len(END), []
    for number, (size, text) in enumerate(samples):
        row = {**FEW, "sample_id": f"s-{number}", "text": text, "size_bytes": size}
        told = sample_json(row)
        expected += tar_bytes(row, told)
        made.append(as_sample(row["sample_id"], [("jpg", bytes(size))], text, told))
    file = io.BytesIO()
    write_shard(file, made)
    assert len(file.getvalue()) == expected


@given(st.integers(1, 40), st.integers(0, 10_000_000))
def test_frames_are_at_even_distances(count: int, duration_ms: int) -> None:
    times = Frames(count).times_ms(duration_ms)
    assert len(times) == count
    assert times == sorted(times)
    assert all(0 <= time < max(1, duration_ms) for time in times)
    steps = [b - a for a, b in pairwise(times)]
    assert not steps or max(steps) - min(steps) <= 1
    assert abs(times[0] + times[-1] - duration_ms) <= 1, "as far from the begin as from the end"


def test_frames_of_no_length_and_their_sizes() -> None:
    assert Frames(2).times_ms(None) == [0, 0]
    assert Frames(3).sizes(640, 480) == [153_600] * 3
    assert Frames(1, longest_side=320).sizes(640, 480) == [38_400]
    assert Frames(1, longest_side=3200).sizes(640, 480) == [153_600]
    assert Frames(1).sizes(0, 0) == [0]
    moving = {**FEW, "modality": "video", "width": 64, "height": 48, "duration_ms": 1000}
    assert json.loads(sample_json(moving, Frames(2)))["frame_times_ms"] == [250, 750]
    assert "frame_times_ms" not in json.loads(sample_json(FEW, Frames(2)))
    assert tar_bytes(moving, b"{}", Frames(2)) == 2 * (512 + 1536) + 2 * 1024


def test_names_are_of_one_length_and_expand() -> None:
    assert tar_names(2) == ["00000.tar", "00001.tar"]
    assert tar_names(0) == []
    many = tar_names(100_001)
    assert (many[0], many[-1]) == ("000000.tar", "100000.tar")
    assert many == sorted(many)
    assert brace(tar_names(1)) == "00000.tar"
    assert brace(tar_names(12)) == "{00000..00011}.tar"
    braceexpand = pytest.importorskip("braceexpand").braceexpand
    for count in (1, 7, 100_001):
        assert list(braceexpand(brace(tar_names(count)))) == tar_names(count)


def test_the_index_adds_up_whatever_the_order() -> None:
    tars = [
        Tar("train", "00000.tar", 3, 2, 1, 5000, "a" * 64),
        Tar("train", "00001.tar", 4, 4, 0, 6000, "b" * 64),
        Tar("val", "00000.tar", 1, 0, 1, 700, "c" * 64),
    ]
    index = index_of(tars, {"set": "ab"})
    assert index == index_of(reversed(tars), {"set": "ab"})
    assert (index["set"], index["shards"], index["samples"], index["size_bytes"]) == ("ab", 3, 8, 11_700)
    assert index["splits"]["train"] == {
        "tars": "train/{00000..00001}.tar", "shards": 2, "samples": 7, "images": 6, "videos": 1, "size_bytes": 11_000
    }  # fmt: skip
    files = {name: json.loads(data) for name, data in index_files(index).items()}
    assert files.keys() == {"index.json", "train/sizes.json", "val/sizes.json"}
    assert files["train/sizes.json"] == {"00000.tar": 3, "00001.tar": 4}
    assert files["index.json"] == index
    assert index_files(index_of([], {"recipe": "\udc80"}))["index.json"].decode().count("\\udc80") == 1


def test_shards_are_read_back() -> None:
    samples = [as_sample(f"k-{n}", [(f"{i:03d}.jpg", bytes([n, i])) for i in range(n)], "é", b"{}") for n in range(3)]
    file = io.BytesIO()
    write_shard(file, samples)
    assert list(read_shard(io.BytesIO(file.getvalue()))) == samples
    assert list(read_shard(io.BytesIO(bytes(1024)))) == []
    with pytest.raises(ShardError, match="torn"):
        list(read_shard(io.BytesIO(file.getvalue()[:700])))
    with pytest.raises(ShardError, match="none"):
        list(read_shard(io.BytesIO(b"no tar" * 300)))
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as tar:
        assert [member.name for member in tar][:2] == ["k-0.txt", "k-0.json"]
