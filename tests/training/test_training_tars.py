"""Reading of tars against tarfile, on what tarfile and curation.media.shards write."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.media.shards import BLOCK, Sample, ShardError, write_shard
from curation.training.tars import READ, count_samples, read_samples

NAMES = st.text("abcXYZ01_-é/", min_size=1, max_size=30).filter(lambda name: name.strip("/") and "//" not in name)
EXTENSIONS = st.sampled_from(["jpg", "txt", "json", "000.jpg", "seg.png"])
SIZES = st.integers(0, 3 * BLOCK)
SAMPLES = st.lists(
    st.tuples(NAMES.filter(lambda name: not name.endswith("/")), st.dictionaries(EXTENSIONS, SIZES, min_size=1)),
    max_size=8,
    unique_by=lambda sample: sample[0],
)


def _tar(samples: list[tuple[str, dict[str, bytes]]], form: int = tarfile.PAX_FORMAT) -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        for key, parts in samples:
            for ext, data in parts.items():
                info = tarfile.TarInfo(f"{key}.{ext}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    target.seek(0)
    return target


def _ours(samples: list[tuple[str, dict[str, bytes]]]) -> io.BytesIO:
    target = io.BytesIO()
    write_shard(target, (Sample(key, parts) for key, parts in samples))
    target.seek(0)
    return target


def _numbered(count: int, size: int = 700) -> list[tuple[str, dict[str, bytes]]]:
    return [(f"{n:04d}", {"jpg": bytes([n % 251]) * (size + n), "txt": b"%d" % n}) for n in range(count)]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@given(samples=SAMPLES)
def test_samples_are_those_that_were_written(form: int, samples: list[tuple[str, dict[str, int]]]) -> None:
    written = [(key, {ext: key.encode()[:1] * size for ext, size in parts.items()}) for key, parts in samples]
    try:
        tar = _tar(written, form)
    except ValueError:  # ustar has no long names
        return
    read = list(read_samples(tar, "x.tar"))
    assert [(sample.key, sample.parts) for sample in read] == written
    assert [sample.position for sample in read] == list(range(len(written)))
    tar.seek(0)
    assert count_samples(tar, "x.tar") == len(written)


@given(wanted=st.sets(st.integers(0, 39)), size=st.sampled_from([0, 700, 40_000]))
def test_wanted_samples_alone_are_read(wanted: set[int], size: int) -> None:
    written = _numbered(40, size)
    tar = _ours(written)
    read = [(sample.key, sample.parts) for sample in read_samples(tar, "x.tar", sorted(wanted), total=40)]
    assert read == [written[place] for place in sorted(wanted)]


def test_long_names_and_large_members() -> None:
    written = [(f"{'folder/' * 30}{'n' * 120}{n}", {"mp4": bytes(READ * n + 5), "txt": b"t"}) for n in range(3)]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        read = read_samples(_tar(written, form), "x.tar")
        assert [(sample.key, sample.parts) for sample in read] == written


def test_folders_and_links_are_no_samples() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, kind in (("folder", tarfile.DIRTYPE), ("link.jpg", tarfile.SYMTYPE), ("a.jpg", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            tar.addfile(info, io.BytesIO(b""))
    target.seek(0)
    assert [sample.key for sample in read_samples(target, "x.tar")] == ["a"]


def _members(*members: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> io.BytesIO:
    """A tar of (name, type); plain files hold their name."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as tar:
        for name, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "t" * 150 if kind == tarfile.SYMTYPE else ""
            info.size = len(name.encode()) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(name.encode()))
    target.seek(0)
    return target


STRANGE = (
    *("README", "__index__", "__meta__/set.json", "._000.jpg", "000.jpg", "__more__/x.y/z.txt", "._000.txt", "000.txt"),
    *(".hidden", "LICENSE", "001.jpg", "folder.d/notes", "folder.d/002.a.jpg", "./003.jpg", "__kept__.jpg", "__x.jpg"),
)


def test_samples_are_grouped_as_webdataset_groups_them(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    tar = _members(*((name, tarfile.REGTYPE) for name in STRANGE))
    (tmp_path / "x.tar").write_bytes(tar.getvalue())
    peer = webdataset.WebDataset(str(tmp_path / "x.tar"), shardshuffle=False, empty_check=False)
    expected = [(each["__key__"], {ext: data for ext, data in each.items() if ext[:2] != "__"}) for each in peer]
    assert [(sample.key, sample.parts) for sample in read_samples(tar, "x.tar")] == expected
    assert [key for key, _ in expected] == ["000", "001", "folder.d/002", "./003", "__kept__", "__x"]
    tar.seek(0)
    assert count_samples(tar, "x.tar") == len(expected)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE])
def test_a_long_name_is_that_of_its_member_alone(form: int, kind: bytes) -> None:
    tar = _members(("d" * 150, kind), ("a.jpg", tarfile.REGTYPE), form=form)
    assert [(sample.key, sample.parts) for sample in read_samples(tar, "x.tar")] == [("a", {"jpg": b"a.jpg"})]
    long = f"{'n' * 150}.jpg"
    tar = _members(("l" * 150, kind), (long, tarfile.REGTYPE), form=form)
    assert [sample.key for sample in read_samples(tar, "x.tar")] == ["n" * 150]


def test_extensions_that_are_not_wanted_are_not_read() -> None:
    read = list(read_samples(_ours(_numbered(3)), "x.tar", without=frozenset({"jpg"})))
    assert [list(sample.parts) for sample in read] == [["txt"]] * 3


def test_extensions_are_lower_case_and_none_comes_twice() -> None:
    (sample,) = read_samples(_tar([("a", {"JPG": b"1", "txt": b"2"})]), "x.tar")
    assert list(sample.parts) == ["jpg", "txt"]
    with pytest.raises(ShardError, match=r"x.tar: sample 0 has two members 'a.JPG'"):
        list(read_samples(_tar([("a", {"jpg": b"1", "JPG": b"2"})]), "x.tar"))


def test_a_torn_tar_is_said_wherever_it_ends() -> None:
    data = _ours(_numbered(4)).getvalue()
    for end in range(0, len(data) - 2 * BLOCK, 100):
        with pytest.raises(ShardError, match="torn"):
            list(read_samples(io.BytesIO(data[:end]), "x.tar"))
        with pytest.raises(ShardError, match="torn"):
            count_samples(io.BytesIO(data[:end]), "x.tar")


# but for the checksum's first digit, a zero, and its two ends, which may become other blanks and say the same
@given(place=st.integers(0, 147) | st.integers(149, 153), value=st.integers(1, 255))
def test_an_altered_header_is_said(place: int, value: int) -> None:
    data = bytearray(_ours(_numbered(3)).getvalue())
    data[place] ^= value
    with pytest.raises(ShardError, match=r"x\.tar at byte 0: "):
        list(read_samples(io.BytesIO(bytes(data)), "x.tar"))


def test_no_tar_is_said() -> None:
    with pytest.raises(ShardError, match="no tar header; the shard is torn, compressed or no tar"):
        list(read_samples(io.BytesIO(b"\x1f\x8b" + b"z" * 5000), "x.tar"))


def test_fewer_and_more_samples_than_told() -> None:
    with pytest.raises(ShardError, match=r"x.tar has 5 samples, and number 5 \(from 0\) was asked for"):
        list(read_samples(_ours(_numbered(5)), "x.tar", range(7)))
    read = read_samples(_ours(_numbered(5)), "x.tar", range(4), total=4)
    assert [next(read).key for _ in range(3)] == ["0000", "0001", "0002"]  # a reader of four asks no fifth time
    with pytest.raises(ShardError, match="more than the 4 samples"):
        next(read)


def test_a_reader_that_gives_less_than_asked_for() -> None:
    class Slow(io.BytesIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            return super().readinto(buffer[: min(len(buffer), 333)])

        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 1000))

    written = [("a", {"jpg": bytes(range(256)) * 9}), ("b", {"mp4": b"v" * (READ + 7)})]
    assert [(sample.key, sample.parts) for sample in read_samples(Slow(_ours(written).getvalue()), "x")] == written
