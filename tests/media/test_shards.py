"""Shards against tarfile, GNU tar and webdataset; their bytes; what torn and altered ones look like."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.media.shards import (
    COLUMNS,
    Member,
    Sample,
    ShardError,
    check_shard,
    header,
    member_name,
    read_member,
    sidecar,
    write_shard,
)
from curation.storage import Store

NAMES = st.text("abcXYZ019_- %", min_size=1, max_size=20)
KEYS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
EXTS = st.sampled_from(["jpg", "json", "txt", "seg.png", "0"])
PARTS = st.dictionaries(EXTS, st.binary(max_size=1600), min_size=1, max_size=4)
SAMPLES = st.lists(st.builds(Sample, KEYS, PARTS), max_size=6, unique_by=lambda sample: sample.key)
THREE = [
    Sample("000000", {"jpg": b"x" * 513, "txt": b"", "json": b"{}"}),
    Sample("000001", {"jpg": b"y" * 512}),
    Sample("f/000002", {"jpg": b"z", "seg.png": b"mask"}),
]


def to_file(path: Path, samples: Iterable[Sample]) -> list[Member]:
    with Store(str(path.parent)).whole(path.name) as file:
        return write_shard(file, samples)


def written(samples: list[Sample]) -> tuple[bytes, list[Member]]:
    file = io.BytesIO()
    members = write_shard(file, samples)
    return file.getvalue(), members


@given(SAMPLES)
def test_tarfile_reads_what_was_written_in_order(samples: list[Sample]) -> None:
    data, members = written(samples)
    expected = [(f"{s.key}.{ext}", part) for s in samples for ext, part in s.parts.items()]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = [(info.name, tar.extractfile(info).read(), info.offset_data, info.size) for info in tar]  # type: ignore[union-attr]
    assert [entry[:2] for entry in found] == expected
    assert [(m.offset, m.size_bytes) for m in members] == [entry[2:] for entry in found]
    assert [data[m.offset : m.offset + m.size_bytes] for m in members] == [part for _, part in expected]
    assert [f"{m.key}.{m.ext}" for m in members] == [name for name, _ in expected]


@given(member_size=st.integers(0, 8**11 - 1), key=KEYS)
def test_headers_equal_those_of_tarfile_with_every_field_pinned(key: str, member_size: int) -> None:
    info = tarfile.TarInfo(f"{key}.jpg")
    info.size = member_size
    expected = info.tobuf(tarfile.USTAR_FORMAT)
    assert header(f"{key}.jpg", member_size) == expected


def test_bytes_are_known() -> None:
    data, _ = written(THREE)
    assert len(data) == 6 * 512 + 1024 + 512 + 3 * 512 + 1024
    assert hashlib.sha256(data).hexdigest() == "312e6292cd6f9a2ab87461670d1741f3c4089aa72665e829f687369bd6e97638"


def test_gnu_tar_extracts_and_compares(tmp_path: Path) -> None:
    tar = shutil.which("tar")
    if tar is None:
        pytest.skip("no tar here")
    to_file(tmp_path / "s.tar", THREE)
    done = subprocess.run([tar, "-xvf", "s.tar"], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr == ""
    for sample in THREE:
        for ext, part in sample.parts.items():
            assert (tmp_path / f"{sample.key}.{ext}").read_bytes() == part


def test_webdataset_groups_samples(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    to_file(tmp_path / "s.tar", THREE)
    found = list(webdataset.WebDataset(str(tmp_path / "s.tar"), shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in found] == [sample.key for sample in THREE]
    for sample, ours in zip(found, THREE, strict=True):
        assert {k: v for k, v in sample.items() if not k.startswith("__")} == dict(ours.parts)


def test_one_sample_in_memory_at_a_time() -> None:
    alive: list[int] = []

    class Part(bytes):
        def __del__(self) -> None:
            alive.pop()

    def samples():  # type: ignore[no-untyped-def]
        for index in range(50):
            part = Part(1000)
            alive.append(index)
            assert len(alive) <= 2
            yield Sample(f"{index}", {"bin": part})

    assert len(write_shard(io.BytesIO(), samples())) == 50


@pytest.mark.parametrize(
    ("key", "ext"),
    [
        ("", "jpg"), ("a.b", "jpg"), ("/a", "jpg"), ("a//b", "jpg"), ("../a", "jpg"), ("./a", "jpg"), ("a/", "jpg"),
        ("a", ""), ("a", "JPG"), ("a", "j/pg"), ("a", "a..b"), ("a", ".jpg"), ("a", "jpg."), ("a\0", "jpg"),
        ("a\n", "jpg"), ("a\\b", "jpg"), ("\ud800", "jpg"), ("é", "jpg"), ("k" * 97, "jpg"),
    ],
)  # fmt: skip
def test_names_that_readers_could_mistake_are_refused(key: str, ext: str) -> None:
    with pytest.raises(ShardError):
        member_name(key, ext)


def test_a_name_of_exactly_100_bytes_is_fine() -> None:
    data, _ = written([Sample("k" * 96, {"jpg": b"1"})])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["k" * 96 + ".jpg"]


def test_double_keys_empty_samples_and_giants_are_refused() -> None:
    with pytest.raises(ShardError, match="twice"):
        written([Sample("a", {"jpg": b""}), Sample("a", {"png": b""})])
    with pytest.raises(ShardError, match="no parts"):
        written([Sample("a", {})])
    with pytest.raises(ShardError, match="at most"):
        header("a.jpg", 8**11)


def test_a_failing_source_leaves_no_file_and_the_old_one(tmp_path: Path) -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield THREE[0]
        raise RuntimeError("source")

    target = tmp_path / "sub" / "s.tar"
    with pytest.raises(RuntimeError):
        to_file(target, failing())
    assert list(target.parent.iterdir()) == []
    to_file(target, THREE)
    before = target.read_bytes()
    with pytest.raises(RuntimeError):
        to_file(target, failing())
    assert target.read_bytes() == before and len(list(target.parent.iterdir())) == 1


def test_check_gives_the_members_of_a_whole_shard(tmp_path: Path) -> None:
    members = to_file(tmp_path / "s.tar", THREE)
    assert check_shard(tmp_path / "s.tar") == members
    to_file(tmp_path / "empty.tar", [])
    assert check_shard(tmp_path / "empty.tar") == []


def test_check_finds_every_cut_and_every_addition(tmp_path: Path) -> None:
    data, _ = written(THREE)
    path = tmp_path / "s.tar"
    cuts = [data[:length] for length in {*range(0, len(data), 101), *range(512, len(data), 512), len(data) - 1}]
    for torn in [*cuts, data + b"\0", data + bytes(512), data + bytes(1024), data[:-1] + b"x", data + data]:
        path.write_bytes(torn)
        with pytest.raises(ShardError):
            check_shard(path)


def test_check_finds_every_altered_byte_outside_the_data(tmp_path: Path) -> None:
    data, members = written(THREE)
    path = tmp_path / "s.tar"
    inside = {at for m in members for at in range(m.offset, m.offset + m.size_bytes)}
    for at in set(range(0, len(data), 7)) - inside:
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        with pytest.raises(ShardError):
            check_shard(path)


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_one_range_read_gives_a_member(tmp_path: Path, kind: str) -> None:
    data, members = written(THREE)
    root = str(tmp_path) if kind == "local" else "memory://shards"
    with fsspec.open(f"{root}/a/s.tar", "wb", auto_mkdir=True) as file:
        file.write(data)
    for member in members:
        expected = data[member.offset : member.offset + member.size_bytes]
        assert read_member(root, "a/s.tar", member.offset, member.size_bytes) == expected
    with pytest.raises(ShardError, match="ends before"):
        read_member(root, "a/s.tar", len(data) - 5, 10)
    with pytest.raises(FileNotFoundError):
        read_member(root, "a/none.tar", 0, 10)


def test_sidecars_are_canonical() -> None:
    one = sidecar({"key": "k", "url": "http://x/é", "width": 3, "caption": "a\ud800\n", "extra": [1.5, None]})
    other = sidecar({"extra": [1.5, None], "caption": "a\ud800\n", "width": 3, "url": "http://x/é", "key": "k"})
    assert one == other
    row = json.loads(one)
    assert set(COLUMNS) | {"extra"} == set(row) and row["sha256"] is None and row["width"] == 3
    assert row["caption"] == "a\ud800\n" and "http://x/é".encode() in one
    assert one.startswith(b'{"caption":"a\\ud800\\n","error_message":null,"exif":null,"extra":[1.5,null],')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}])
def test_sidecars_refuse_what_json_does_not_have(value: object) -> None:
    with pytest.raises(ShardError, match="'k'"):
        sidecar({"key": "k", "width": value})
