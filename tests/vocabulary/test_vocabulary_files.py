"""Files of sources: which a path names, what is known of them, and what is no file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import fsspec
import pytest

from curation.errors import InputError
from curation.vocabulary.files import sha256, source_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.gz", "a.gz", "c[1].txt", "c1.txt", "sub/d.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def names(*locations: str | Path) -> list[str]:
    return [Path(file.location).name for file in source_files(map(str, locations))]


def test_globs_and_paths_name_each_file_once_sorted(folder: Path) -> None:
    assert names(folder / "sub/*", folder / "b.gz", folder / "*.gz") == ["a.gz", "b.gz", "d.gz"]
    assert names(folder / "*") == ["a.gz", "b.gz", "c1.txt", "c[1].txt"]  # folders are passed over
    (file, _) = source_files([str(folder / "?.gz")])
    assert (file.location, file.size_bytes) == (str(folder / "a.gz"), 4)


def test_a_name_with_brackets_is_first_of_all_a_name(folder: Path) -> None:
    assert names(folder / "c[1].txt") == ["c[1].txt"]
    (folder / "c[1].txt").unlink()
    assert names(folder / "c[1].txt") == ["c1.txt"]


def test_urls_are_files_too(folder: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/vocabulary/x.gz", b"12345")
    (file,) = source_files(["memory://vocabulary/*.gz"])
    assert (file.location, file.size_bytes) == ("memory:///vocabulary/x.gz", 5)
    assert sha256(file.location) == hashlib.sha256(b"12345").hexdigest()
    assert names(f"file://{folder}/a.gz") == ["a.gz"]


def test_the_state_tells_of_another_content_also_behind_a_link(folder: Path) -> None:
    (folder / "link.gz").symlink_to(folder / "a.gz")
    for name in ("a.gz", "link.gz"):
        (before,) = source_files([str(folder / name)])
        assert before == source_files([str(folder / name)])[0]
        (folder / "a.gz").write_text("ZZZZ")
        os.utime(folder / "a.gz", (len(name), len(name)))
        assert source_files([str(folder / name)])[0] != before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.gz", "nothing is at .*/none.gz: fetch it first, see `curation vocab plan RECIPE`"),
        ("*.none", r"nothing is at .*/\*.none: fetch it first"),
        ("s*b", r"nothing is at .*/s\*b: fetch it first"),
        ("sub", r"sub is a folder: name the files in it, such as .*/sub/\*"),
        ("dangling", "nothing is at .*/dangling"),
    ],
)
def test_what_is_no_file_is_told(folder: Path, name: str, message: str) -> None:
    (folder / "dangling").symlink_to(folder / "nowhere")
    with pytest.raises(InputError, match=message):
        source_files([str(folder / "a.gz"), str(folder / name)])


@pytest.mark.parametrize("location", ["nosuch://x/y", "http://127.0.0.1:9/x.gz", "/etc/passwd/x"])
def test_places_that_cannot_be_looked_at_are_told(location: str) -> None:
    with pytest.raises(InputError, match=location) as raised:
        source_files([location])
    assert "\n" not in str(raised.value)


def test_checksums_are_of_all_bytes(folder: Path) -> None:
    data = os.urandom((4 << 20) + 17)
    (folder / "large").write_bytes(data)
    assert sha256(str(folder / "large")) == hashlib.sha256(data).hexdigest()
    with pytest.raises(FileNotFoundError):
        sha256(str(folder / "none"))
