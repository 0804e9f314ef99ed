"""The benchmarks' words and tables; nothing is measured."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bench", reason="the benchmarks are in a checkout alone")

from bench import __main__ as command
from bench import harness
from bench.harness import OURS, Cost, Row

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def _slower() -> Iterator[Mapping[str, Cost]]:
    yield {OURS: lambda: 3.0, "peer": lambda: 1.0}


@contextmanager
def _two_peers() -> Iterator[Mapping[str, Cost]]:
    yield {OURS: lambda: 3.0, "peer": lambda: 1.0, "other": lambda: 6.0}


@contextmanager
def _without_data() -> Iterator[Mapping[str, Cost]]:
    raise FileNotFoundError("no such data")
    yield {}


ROWS = {
    "slow": Row("slow", "something", "s", {"peer": 0.25}, _slower, 1),
    "missed": Row("missed", "something else", "s", {"peer": 0.5, "other": 1}, _two_peers, 1),
    "lacking": Row("lacking", "something far", "s", {"peer": 1}, _without_data, 1),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with results.json and README.md of its own, and three rows."""
    monkeypatch.setattr(command, "ROWS", ROWS)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(command, "README", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(f"# x\n{harness.BEGIN}\n{harness.END}\ny\n")
    return tmp_path


def _main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["bench", *arguments])
    return command.main()


def test_the_pages_show_what_is_stored() -> None:
    known = json.loads((ROOT / "bench" / "results.json").read_text())
    page = (ROOT / "README.md").read_text("utf-8")
    assert harness.with_table(page, known) == page, "run `python -m bench --readme`"
    assert (ROOT / "bench" / "results.md").read_text() == harness.table(known)
    assert all(f"| {name}: {row['about']} |" in page for name, row in known.items())


def test_a_ratio_below_one_is_said_as_a_ratio(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(monkeypatch, "slow") == 0
    assert capsys.readouterr().out == "slow: peer costs 0.33 times what ours does (0.33 to 0.33; goal at least 0.25)\n"


def test_a_run_writes_results_and_pages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.harness.machine", lambda: "a machine")
    for load, row in ((0.26, "slow"), (1.5, "missed")):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0, 0))
        assert _main(monkeypatch, row) == 0
    known: dict[str, Any] = json.loads((folder / "results.json").read_text())
    assert {name: (row["machine"], row["load"]) for name, row in known.items()} == {
        "slow": ("a machine", 0.3), "missed": ("a machine", 1.5),
    }  # fmt: skip
    table = [
        "| row | peer | peer's cost / ours (min to max) | goal: at least |",
        "|---|---|---|---|",
        "| missed: something else | other | 2.00x (2.00 to 2.00) | 1x |",
        "| missed: something else | peer | 0.33x (0.33 to 0.33) | 0.5x, missed |",
        "| slow: something | peer | 0.33x (0.33 to 0.33) | 0.25x |",
        "",
        "Machine: a machine",
    ]
    assert (folder / "results.md").read_text().splitlines() == table
    written = ["# x", harness.BEGIN, *table, harness.END, "y"]
    assert (folder / "README.md").read_text().splitlines() == written
    (folder / "README.md").write_text(f"# x\n{harness.BEGIN}\nold{harness.END}\ny\n")
    assert _main(monkeypatch, "--readme") == 0
    assert (folder / "README.md").read_text().splitlines() == written


def test_results_elsewhere_leave_the_page_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / "README.md").read_text()
    assert _main(monkeypatch, "slow", "--out", str(folder / "other.json")) == 0
    assert (folder / "README.md").read_text() == before
    assert (folder / "other.md").exists()


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        harness.with_table("# x", {})


def test_a_row_that_was_asked_for_has_to_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(monkeypatch, "lacking", "slow") == 1
    assert capsys.readouterr().err == "lacking: left out: no such data\n"
    assert "slow" in json.loads((folder / "results.json").read_text())
    assert _main(monkeypatch) == 0  # all of them: those that can


@pytest.mark.parametrize("rounds", ["-1", "0"])
def test_rounds_that_measure_nothing_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rounds: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        _main(monkeypatch, "slow", "--rounds", rounds)
    assert stopped.value.code == 2
    assert f"--rounds {rounds}: at least one round has to be measured" in capsys.readouterr().err


def test_the_machine_is_one_line_without_its_load() -> None:
    assert "load" not in harness.machine()
    assert len(harness.machine().splitlines()) == 1
