"""Folders of exports: whole or not at all, never over what others wrote."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from curation.errors import InputError
from curation.export.target import csv_rows, json_lines, json_list, json_object, new_folder, write_nameplate


def write(location: Path, text: str, shape: str = "toy") -> None:
    with new_folder(str(location), shape) as folder:
        (folder / "file.txt").write_text(text)
        write_nameplate(folder, shape, {"samples": 1})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_export_replaces_an_earlier_one_of_its_shape_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", "one")
    (tmp_path / "a" / "b" / "file.txt").unlink()
    write(tmp_path / "a" / "b", "two")
    assert (tmp_path / "a" / "b" / "file.txt").read_text() == "two"
    assert names(tmp_path / "a") == ["b"]


def test_an_empty_folder_may_be_taken(tmp_path: Path) -> None:
    write(tmp_path, "one")
    assert (tmp_path / "file.txt").read_text() == "one"


def test_what_an_export_did_not_write_stays(tmp_path: Path) -> None:
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.doc").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    write(tmp_path / "mine", "one")
    (tmp_path / "mine" / "features.npy").write_text("days of work")
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "export.json").write_text('{"made_by": "somebody else"}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name, told in (("foreign", "files that no export wrote"), ("file", "is a file"), ("claims", "no export wrote"),
                       ("mine", "holds features.npy, which the export did not write")):  # fmt: skip
        with pytest.raises(InputError, match=told):
            write(tmp_path / name, "two")
    (tmp_path / "mine" / "features.npy").unlink()
    with pytest.raises(InputError, match="an export of shape toy"):
        write(tmp_path / "mine", "two", "other")
    del before[tmp_path / "mine" / "features.npy"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("location", ["s3://bucket/out", ""])
def test_only_local_folders(location: str) -> None:
    with pytest.raises(InputError, match="no local folder"), new_folder(location, "toy"):
        pass


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    with pytest.raises(ZeroDivisionError), new_folder(str(tmp_path / "out"), "toy") as folder:
        (folder / "half").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "out" / "file.txt").read_text() == "one"
    assert names(tmp_path) == ["out"]


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"lies below .*file, which is a file"):
        write(tmp_path / "file" / "out", "one")


_KILLED = """
import os, sys
from curation.export.target import new_folder
with new_folder(sys.argv[1], "toy") as folder:
    (folder / "half").write_text("half")
    print("ready", flush=True)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), 9)
    sys.stdin.readline()
"""


def test_leftovers_of_killed_exports_go_and_those_of_running_ones_stay(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path / "out"), "kill"], check=False, capture_output=True)
    (left,) = tmp_path.iterdir()
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path / "out"), "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None and running.stdin is not None
        assert running.stdout.readline() == b"ready\n"
        assert not left.exists()
        (scratch,) = tmp_path.iterdir()
        write(tmp_path / "out", "one")
        assert (scratch / "half").exists()
        running.kill()
    write(tmp_path / "out", "two")
    assert names(tmp_path) == ["out"]


def test_an_export_that_stood_aside_when_it_was_killed_comes_back(tmp_path: Path) -> None:
    write(tmp_path / "out", "one")
    (tmp_path / "out").rename(tmp_path / ".out.export-12345678-old")
    with pytest.raises(ZeroDivisionError), new_folder(str(tmp_path / "out"), "toy"):
        raise ZeroDivisionError
    assert (tmp_path / "out" / "file.txt").read_text() == "one"


def test_json_is_one_value_per_line_whatever_it_holds(tmp_path: Path) -> None:
    odd = ["a\nb", "\x85\u2028\u2029\x0b\x0c\x1c", "ü", '"\\']
    with json_lines(tmp_path / "lines.jsonl") as line:
        for value in odd:
            line({"text": value})
    text = (tmp_path / "lines.jsonl").read_text()
    assert [json.loads(line)["text"] for line in text.splitlines()] == odd
    with json_list(tmp_path / "list.json") as item, json_object(tmp_path / "object.json") as put:
        for number, value in enumerate(odd):
            item(value)
            put(f"{number} {value}", value)
    assert json.loads((tmp_path / "list.json").read_text()) == odd
    assert list(json.loads((tmp_path / "object.json").read_text()).values()) == odd
    with json_list(tmp_path / "none.json"), json_object(tmp_path / "empty.json"):
        pass
    assert json.loads((tmp_path / "none.json").read_text()) == []
    assert json.loads((tmp_path / "empty.json").read_text()) == {}
    with pytest.raises(ValueError, match="JSON"), json_list(tmp_path / "nan.json") as item:
        item(float("nan"))


def test_tables_have_unix_line_ends(tmp_path: Path) -> None:
    with csv_rows(tmp_path / "table.csv", ["a", "b"]) as row:
        row(['x,"y"', None])
    assert (tmp_path / "table.csv").read_bytes() == b'a,b\n"x,""y""",\n'
