"""Where commands may write: nowhere in what they read, and in folders that are made for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation.cli import app
from curation.errors import InputError
from curation.outputs import keep_out
from curation.testing.manifests import write_manifest

COMMANDS = {
    "report": ["report", "--work", "a", "--to", "{to}.html"],
    "diff": ["diff", "a", "b", "--json", "{to}.json"],
    "overlap": ["overlap", "a", "--against", "b", "--json", "{to}.json"],
    "export": ["export", "parquet", "--work", "a", "--to", "{to}"],
    "sql": ["sql", "--work", "a", "SELECT 1 AS x", "--to", "{to}.csv"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_manifest(tmp_path / name, 6, with_bytes=True)
    return tmp_path


def files(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def refused(command: str, to: str) -> str:
    result = CliRunner().invoke(app, [part.format(to=to) for part in COMMANDS[command]])
    assert result.exit_code != 0
    assert isinstance(result.exception, InputError)
    return str(result.exception)


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_written_into_a_folder_that_is_read(folder: Path, command: str) -> None:
    (folder / "link").symlink_to("a")
    before = files(folder)
    inside = ["a/x", "a/manifest/x", "a/new/er/x", "b/../a/x", "link/x", str(folder / "a" / "x")]
    for to in [*inside, *(["b/x"] if command in ("diff", "overlap") else [])]:
        assert "which this command only reads: name another place with --" in refused(command, to)
    assert files(folder) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_folders_above_are_made(folder: Path, command: str) -> None:
    arguments = [part.format(to="new/er/x") for part in COMMANDS[command]]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (made,) = (folder / "new" / "er").iterdir()
    assert made.stem == "x"


def test_folders_that_were_made_for_nothing_go_again(folder: Path) -> None:
    before = files(folder)
    question = ["sql", "--work", "a", "SELECT nothing", "--to", "new/er/x.csv"]
    assert CliRunner().invoke(app, question).exit_code != 0
    assert files(folder) == before


def test_of_a_work_folder_the_report_alone_may_be_named(folder: Path) -> None:
    (folder / "a" / "report.html").symlink_to(folder / "a" / "manifest" / "_current.json")
    current = (folder / "a" / "manifest" / "_current.json").read_bytes()
    for to in ("a/report", "b/../a/report", str(folder / "a" / "report")):
        assert CliRunner().invoke(app, [part.format(to=to) for part in COMMANDS["report"]]).exit_code == 0
    assert (folder / "a" / "report.html").read_text().startswith("<!")
    assert (folder / "a" / "manifest" / "_current.json").read_bytes() == current


def test_links_from_outside_lead_nowhere(folder: Path) -> None:
    (folder / "x.json").symlink_to(folder / "a" / "manifest" / "_current.json")
    assert "which this command only reads" in refused("diff", "x")


@pytest.mark.parametrize(
    ("to", "read", "inside"),
    [
        ("s3://bucket/run/x.html", "s3://bucket/run", True),
        ("s3://bucket/run//x/../y.html", "s3://bucket/run/", True),
        ("s3://bucket/run", "s3://bucket/run", True),
        ("s3://bucket/run-b/x.html", "s3://bucket/run", False),
        ("gs://bucket/run/x.html", "s3://bucket/run", False),
        ("s3://bucket/run/x.html", "bucket/run", False),
        ("file:///tmp/run/x.html", "/tmp/run", True),
        ("/tmp/x.html", "/", True),
        ("/tmp/run-b/x.html", "/tmp/run", False),
    ],
)
def test_urls_are_places_too(to: str, read: str, inside: bool) -> None:
    if not inside:
        keep_out("--to", to, read)
        return
    with pytest.raises(InputError, match="only reads"):
        keep_out("--to", to, read)
