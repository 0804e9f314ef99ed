"""Every mistake a user can make ends in one line that says what to do, and exit code 2."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from curation import cli
from curation.testing import build_web

RECIPE = """
name: small
inputs:
  - {{kind: wat, paths: [{inputs}]}}
pairs: {{media_buckets: 2}}
match:
  definition: v2
  vocabularies: {{en: "{vocabulary}"}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    build_web(tmp_path / "web", pages=4, archives=1, damaged=False)
    _write(tmp_path)
    return tmp_path


def _write(folder: Path, inputs: str = "web", vocabulary: str = "demo:en", more: str = "") -> None:
    (folder / "recipe.yaml").write_text(RECIPE.format(inputs=inputs, vocabulary=vocabulary) + more)


def _error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    """Runs the command and gives its one line of error; fails if there are more, or another exit code."""
    monkeypatch.setattr("sys.argv", ["curation", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    told = capsys.readouterr().err.strip()
    assert stopped.value.code == 2, told
    lines = [line for line in told.splitlines() if line.strip()]
    assert len(lines) == 1, told
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("balance.treshold=3", "balance.treshold: unknown key"),
        ("balance.t=many", "balance.t"),
        ("balance.t=0", "balance.t"),
        ("pairs.media_buckets=0", "pairs.media_buckets: Input should be greater than or equal to 1"),
        ("pairs=3", "pairs: "),
        ("match.definition=v3", "match.definition: Input should be 'v1' or 'v2'"),
        ("match.fallback=xx", "fallback 'xx' is not among the vocabularies ['en']"),
        ("balance={t: 3, target: {pairs: 5}}", "give only one of t, tail_share and target, not t and target"),
        ("balance.target={pairs: 5, media: 5}", "give exactly one of pairs and media"),
        ("inputs=[]", "inputs: List should have at least 1 item"),
        ("name.first=x", "name holds a value, not a section"),
        ("nonsense", "is not of the form section.key=value"),
        ("name={", "is no YAML value"),
    ],
)
def test_a_bad_setting_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, override: str, message: str
) -> None:
    for command in (["run", "--work", str(folder / "work")], ["validate"], ["plan", "--work", str(folder / "work")]):
        told = _error(capsys, monkeypatch, command[0], folder / "recipe.yaml", *command[1:], "--set", override)
        assert message in told
    assert not (folder / "work").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [", "is no YAML"),
        ("- a\n- b\n", "holds list, not a mapping"),
        ("", "holds NoneType, not a mapping"),
        ("name: x\n", "inputs: is required; match: is required"),
    ],
)
def test_a_recipe_that_is_none(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, content: str, message: str
) -> None:
    (folder / "recipe.yaml").write_text(content)
    assert message in _error(capsys, monkeypatch, "validate", folder / "recipe.yaml")


def test_no_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no recipe at" in _error(capsys, monkeypatch, "validate", tmp_path / "none.yaml")
    assert "cannot read the recipe" in _error(capsys, monkeypatch, "validate", tmp_path)


@pytest.mark.parametrize(
    ("inputs", "vocabulary", "message"),
    [
        ("web", "nowhere.txt", "no vocabulary at"),
        ("web", "demo:xx", "no demo vocabulary 'demo:xx'"),
        ("web", "recipe.yaml", "unknown kind of file"),
        ("web", "broken.txt.gz", "is no whole gzip file"),
        ("empty", "demo:en", "empty"),
        ("'*.wat.gz'", "demo:en", "*.wat.gz"),
        ("none.paths", "demo:en", "none.paths"),
        ("nowhere", "demo:en", "nowhere"),
    ],
)
def test_missing_and_empty_inputs(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    inputs: str,
    vocabulary: str,
    message: str,
) -> None:
    (folder / "empty").mkdir()
    (folder / "broken.txt.gz").write_bytes(gzip.compress(b"dog\n" * 99)[:-9])
    _write(folder, inputs, vocabulary)
    assert message in _error(capsys, monkeypatch, "validate", folder / "recipe.yaml")
    if "gzip" not in message:
        assert message in _error(capsys, monkeypatch, "run", folder / "recipe.yaml", "--work", folder / "work")


def test_a_work_folder_that_is_none(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("mine")
    told = _error(capsys, monkeypatch, "run", folder / "recipe.yaml", "--work", folder / "file")
    assert "is a file: give a folder with --work" in told or "choose another" in told
    below = _error(capsys, monkeypatch, "run", folder / "recipe.yaml", "--work", folder / "file" / "below")
    assert "lies below a file: choose another folder" in below
    assert (folder / "file").read_text() == "mine"


def test_unknown_stages_ids_and_datasets(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = folder / "work"
    assert "is no stage: choose one of extract, pairs" in _error(
        capsys, monkeypatch, "run", folder / "recipe.yaml", "--work", work, "--until", "sort"
    )
    assert "has no" in _error(capsys, monkeypatch, "why", "0" * 24, "--work", work)
    assert "has no" in _error(capsys, monkeypatch, "explain", "dog", "--work", work)
    assert "one work folder" in _error(capsys, monkeypatch, "explain", "dog")
    assert "pairz" in _error(capsys, monkeypatch, "describe", "pairz")


def test_a_job_of_a_stage_whose_inputs_are_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["30_match.py", str(folder / "recipe.yaml"), "--work", str(folder / "work")])
    with pytest.raises(SystemExit) as stopped:
        cli.job("match")
    assert stopped.value.code == 2
    assert "extract has not been run with this recipe" in capsys.readouterr().err
    assert not (folder / "work" / "_lease.json").exists()


def test_a_folder_of_something_else_is_left_alone(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "photos" / "_spark" / "mine").mkdir(parents=True)
    (folder / "photos" / "me.jpg").write_text("mine")
    told = _error(capsys, monkeypatch, "run", folder / "recipe.yaml", "--work", folder / "photos")
    assert "holds other files (_spark, me.jpg)" in told
    assert (folder / "photos" / "_spark" / "mine").exists()
    for work, message in (("", "has no name"), ("nosuch://x", "no place for a work folder")):
        assert message in _error(capsys, monkeypatch, "run", folder / "recipe.yaml", "--work", work)


def test_commands_start_without_what_only_fetching_needs() -> None:
    """img2dataset brings albumentations and wandb, two seconds of every command."""
    heavy = "{'img2dataset', 'albumentations', 'pyspark'} & set(sys.modules)"
    code = f"import sys, curation.cli; sys.exit(', '.join({heavy}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert told.stderr.strip() == ""


def test_stages_after_the_selection_need_their_section(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, work = folder / "recipe.yaml", folder / "work"
    said = _error(capsys, monkeypatch, "run", recipe, "--work", work, "--until", "fetch")
    assert "add its section, e.g. fetch: {}" in said


def test_a_hook_that_is_nowhere(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = "fetch={hooks: [{name: 'no.such.module:load'}]}"
    recipe, work = str(folder / "recipe.yaml"), str(folder / "work")
    said = _error(capsys, monkeypatch, "run", recipe, "--work", work, "--set", hook)
    assert "fetch.hooks: no.such.module:load cannot be loaded" in said and "install its package" in said


def test_a_top_up_without_a_target(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _error(capsys, monkeypatch, "top-up", str(folder / "recipe.yaml"), "--work", str(folder / "work"))
    assert "give balance.target" in said


def test_forgetting_what_is_no_id(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _error(capsys, monkeypatch, "forget", "--work", str(folder / "work"), "--media-id", "xyz")
    assert "is not a media_id, 24 hex digits" in said
    said = _error(capsys, monkeypatch, "forget", "--work", str(folder), "--domain", "a.example")
    assert "no work folder of a run" in said
