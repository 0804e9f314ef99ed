"""What a recipe's inputs name."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.crawl import InputFile, expand_inputs
from curation.errors import InputError
from curation.recipe import Input, TableColumns, TableInput, WatInput

COLUMNS = TableColumns(media_url="url", texts={"alt": "alt"})


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """A folder with WAT files, tables and other things."""
    names = "a/1.warc.wat.gz a/2.wat.gz a/3.warc.wat a/4.WAT a/5.warc.gz a/6.txt b/t.parquet b/t.csv b/t.tsv.gz"
    names += " b/t.jsonl.gz b/t.ndjson b/t.json b/_temporary/t.parquet b/.hidden.csv b/_delta/c/t.csv"
    for name in names.split():
        path = tmp_path / "crawl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345"[: 1 + len(names) % 5])
    return tmp_path / "crawl"


def wats(*paths: Path | str, base: str | None = None, snapshot: str | None = None) -> WatInput:
    return WatInput(kind="wat", paths=[str(path) for path in paths], base=base, snapshot=snapshot)


def tables(*paths: Path | str, columns: TableColumns = COLUMNS) -> TableInput:
    return TableInput(kind="table", paths=[str(path) for path in paths], columns=columns)


def names(files: list[InputFile], folder: Path) -> list[str]:
    return [os.path.relpath(file.path, folder) for file in files]


def test_folders_are_searched_by_kind(crawl: Path) -> None:
    assert names(expand_inputs([wats(crawl)]), crawl) == ["a/1.warc.wat.gz", "a/2.wat.gz", "a/3.warc.wat", "a/4.WAT"]
    found = expand_inputs([tables(crawl)])
    assert names(found, crawl) == ["b/t.csv", "b/t.jsonl.gz", "b/t.ndjson", "b/t.parquet", "b/t.tsv.gz"]
    assert {(file.kind, file.missing, file.size_bytes, file.input_index) for file in found} == {
        ("table", False, found[0].size_bytes, 0)
    }


def test_a_named_file_may_be_called_anything_and_may_be_missing(crawl: Path) -> None:
    found = expand_inputs([wats(crawl / "a/6.txt", crawl / "a/none.wat.gz")])
    assert [(file.missing, file.size_bytes is None, file.fingerprint is None) for file in found] == [
        (False, False, False),
        (True, True, True),
    ]


def test_globs(crawl: Path) -> None:
    assert names(expand_inputs([wats(crawl / "*/*.wat.gz")]), crawl) == ["a/1.warc.wat.gz", "a/2.wat.gz"]
    assert names(expand_inputs([wats(crawl / "**/[13].warc*")]), crawl) == ["a/1.warc.wat.gz", "a/3.warc.wat"]
    (crawl / "odd[1].wat.gz").write_bytes(b"x")
    assert names(expand_inputs([wats(crawl / "odd[1].wat.gz")]), crawl) == ["odd[1].wat.gz"]


@pytest.mark.parametrize("packed", [True, False])
def test_lists_as_common_crawl_publishes_them(crawl: Path, packed: bool) -> None:
    text = (
        b"a/1.warc.wat.gz\r\n\n# note\na/none.wat.gz\n" + str(crawl / "a/2.wat.gz").encode() + b"\nhttps://h/x.wat.gz\n"
    )
    path = crawl / ("wat.paths.gz" if packed else "wat.paths")
    path.write_bytes(gzip.compress(text) if packed else text)
    found = expand_inputs([wats(path)])
    assert [(file.path, file.missing) for file in found] == [
        (str(crawl / "a/1.warc.wat.gz"), False),
        (str(crawl / "a/2.wat.gz"), False),
        (str(crawl / "a/none.wat.gz"), True),
        ("https://h/x.wat.gz", False),
    ]
    assert names(expand_inputs([wats(crawl / "*.paths*")])[:1], crawl) == ["a/1.warc.wat.gz"]


@pytest.mark.parametrize("base", ["https://data.commoncrawl.org", "https://data.commoncrawl.org/"])
def test_lines_of_a_list_start_at_the_base(crawl: Path, base: str) -> None:
    (crawl / "wat.paths").write_text("crawl-data/CC-MAIN-2024-22/x.wat.gz\n")
    (file,) = expand_inputs([wats(crawl / "wat.paths", base=base)])
    assert file == InputFile(
        0, "wat", "https://data.commoncrawl.org/crawl-data/CC-MAIN-2024-22/x.wat.gz", None, None, missing=False
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_and_repetition_never_matter(crawl: Path, data: st.DataObject) -> None:
    inputs: list[Input] = [
        wats(crawl),
        wats(crawl / "a/2.wat.gz", crawl / "a/*.wat.gz"),
        wats(crawl / "a/../a/1.warc.wat.gz", snapshot="other"),
        tables(crawl / "b"),
        tables(crawl / "b/t.csv", columns=TableColumns(media_url="u", texts={"alt": "alt"})),
    ]
    whole = expand_inputs(inputs)
    again = data.draw(st.lists(st.sampled_from(inputs), max_size=2))
    shuffled = expand_inputs(data.draw(st.permutations(inputs + again)))
    key = [(file.path, file.kind, file.size_bytes, file.fingerprint) for file in whole]
    assert [(file.path, file.kind, file.size_bytes, file.fingerprint) for file in shuffled] == key
    assert [file.path for file in whole] == sorted(file.path for file in whole)
    assert len(whole) == 4 + 5 + 2  # the second snapshot and the second reading of a table are files of their own


def test_a_changed_file_has_another_fingerprint(crawl: Path) -> None:
    path = crawl / "a/1.warc.wat.gz"
    os.utime(path, ns=(0, 1_700_000_000_000_000_000))
    before = expand_inputs([wats(path)])
    assert expand_inputs([wats(crawl / "a")])[0] == before[0]
    os.utime(path, ns=(0, 1_700_000_000_001_000_000))
    assert expand_inputs([wats(path)])[0].fingerprint != before[0].fingerprint


@pytest.fixture
def memory() -> Iterator[str]:
    fs = fsspec.filesystem("memory")
    fs.pipe({"/bucket/a/1.wat.gz": b"12", "/bucket/a/2.txt": b"", "/bucket/wat.paths": b"a/1.wat.gz\na/none.wat.gz\n"})
    yield "memory://bucket"
    fs.rm("/bucket", recursive=True)


def test_any_fsspec_url(memory: str) -> None:
    one = expand_inputs([wats(f"{memory}/a/1.wat.gz")])
    assert [(file.size_bytes, file.missing) for file in one] == [(2, False)]
    assert expand_inputs([wats(memory)]) == one
    assert expand_inputs([wats(f"{memory}/*/*.wat.gz")]) == one
    listed = expand_inputs([wats(f"{memory}/wat.paths")])
    assert listed[0] == one[0]
    assert [file.missing for file in listed] == [False, True]
    with fsspec.open(one[0].path, "rb") as file:
        assert file.read() == b"12"


def test_a_local_url_is_the_local_path(crawl: Path) -> None:
    path = crawl / "a/1.warc.wat.gz"
    assert expand_inputs([wats(path.as_uri()), wats(path)])[0].path == str(path)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("a/*.nothing", "nothing matches .*a/[*].nothing: check"),
        ("b", "no wat file in the folder .*b: it takes .wat.gz .wat"),
        ("none.paths", "cannot read the list .*none.paths: FileNotFoundError"),
        ("empty.paths", "the list .*empty.paths names no file"),
        ("broken.paths.gz", "cannot read the list .*broken.paths.gz: EOFError"),
        ("binary.paths", "cannot read the list .*binary.paths: UnicodeDecodeError"),
        ("nosuch://bucket/x", "cannot look at the input .*Protocol not known: nosuch"),
    ],
)
def test_errors_are_one_line(crawl: Path, location: str, message: str) -> None:
    (crawl / "empty.paths").write_text("\n# nothing\n")
    (crawl / "broken.paths.gz").write_bytes(gzip.compress(b"x" * 1000)[:-10])
    (crawl / "binary.paths").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=message) as caught:
        expand_inputs([wats(location if "://" in location else crawl / location)])
    assert "\n" not in str(caught.value)


def test_an_unreadable_folder_is_an_error(crawl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.scandir

    def scan(path: str) -> object:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return original(path)

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(InputError, match=r"cannot look at the input .*crawl: PermissionError: .*Permission denied"):
        expand_inputs([wats(crawl)])
