"""`curation diff`: what it prints and writes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from manifest_fates import FATES, publish
from typer.testing import CliRunner

from curation.cli import app
from curation.errors import CurationError
from curation.inspect.manifest_diff import diff_manifests
from curation.inspect.manifest_diff_text import diff_lines, reason_words
from curation.inspect.manifest_reasons import STAGES
from curation.pipeline import ALL_STAGES
from curation.testing.manifests import manifest_table, write_manifest


def test_the_command_tells_it_and_writes_json(tmp_path: Path) -> None:
    fates = dict(enumerate(["there", "there", "gone", "copy", "known"]))
    publish(tmp_path / "a", dict.fromkeys(fates, "there"), t=50.0)
    publish(tmp_path / "b", fates)
    command = ["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--json", str(tmp_path / "diff.json")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[:3] == [f"A  {tmp_path}/a: 5 samples", f"B  {tmp_path}/b: 2 samples",
                         "from A to B -3: 3 left, 0 came, 2 stayed"]  # fmt: skip
    assert "  fetch                          1  could not be fetched: gone or forbidden (HTTP 4xx)" in lines
    assert "  manifest                       1  a set of manifest.decontaminate has it by its url" in lines
    assert "  in all                         3" in lines
    assert any(line.startswith("  balance ") and "t of image/en: 50 -> 20" in line for line in lines)
    tree = json.loads((tmp_path / "diff.json").read_text())
    assert tree["only_a"] == 3
    assert [each["stage"] for each in tree["left"]] == ["fetch", "duplicates", "manifest"]
    alone = CliRunner().invoke(app, [*command[:4], "-"])
    assert json.loads(alone.output) == tree


def test_texts_of_the_web_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    table = manifest_table(4, videos=0)
    place = table.schema.get_field_index("licence")
    odd = pa.array(["\x1b]0;title\x07", "a\nb", "[red]x[/red]", "y" * 1000])
    pq.write_table(table.set_column(place, table.schema.field("licence"), odd), tmp_path / "a.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "b.parquet")
    lines = diff_lines(diff_manifests(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")))
    assert all(line.isprintable() and len(line) < 300 for line in lines)
    assert any("[red]x[/red]" in line for line in lines)


@pytest.mark.parametrize("options", [["--top", "0"], ["--json", "/proc/nowhere/x.json"], ["--json", ""]])
def test_options_that_make_no_sense(tmp_path: Path, options: list[str]) -> None:
    write_manifest(tmp_path / "a", 3)
    result = CliRunner().invoke(app, ["diff", str(tmp_path / "a"), str(tmp_path / "a"), *options])
    assert result.exit_code != 0
    assert isinstance(result.exception, CurationError | SystemExit)


def test_the_example_can_be_pasted(tmp_path: Path) -> None:
    fates = dict(enumerate(["there", "gone"]))
    publish(tmp_path / "a", dict.fromkeys(fates, "there"))
    publish(tmp_path / "b 2; $(x)", fates)
    lines = diff_lines(diff_manifests(str(tmp_path / "a"), str(tmp_path / "b 2; $(x)")))
    (told,) = (line for line in lines if "for example: " in line)
    words = shlex.split(told.partition("for example: ")[2])
    assert words[:2] == ["curation", "why"] and words[3:] == ["--work", str(tmp_path / "b 2; $(x)")]


def test_hosts_are_named_by_what_they_are_of(tmp_path: Path) -> None:
    pq.write_table(manifest_table(40, seed=1), tmp_path / "a.parquet")
    pq.write_table(manifest_table(40, seed=1).slice(0, 10), tmp_path / "b.parquet")
    tree = diff_manifests(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")).to_json()
    kinds = [changes["kind"] for changes in tree["changes"]]
    assert kinds.index("media host") + 1 == kinds.index("page host") and "domain" not in kinds


@pytest.mark.parametrize("command", [["diff", "{there}", "{place}"], ["overlap", "{place}", "--against", "{there}"]])
@pytest.mark.parametrize("name", ["none", "none/x.parquet", "empty", "tables"])
def test_a_place_without_a_manifest(tmp_path: Path, command: list[str], name: str) -> None:
    write_manifest(tmp_path / "a", 3)
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "x.csv").write_text("url\nx\n")
    place = str(tmp_path / name)
    arguments = [part.format(there=tmp_path / "a", place=place) for part in command]
    said = str(CliRunner().invoke(app, arguments).exception)
    assert said.startswith(f"nothing at {place}: " if name.startswith("none") else f"{place} has no manifest, ")
    assert "`curation run` makes a manifest" in said
    assert ".csv" not in said.replace(place, "") and ".tsv" not in said


def test_all_reasons_have_words() -> None:
    for name, fate in FATES.items():
        if fate.stage:
            assert reason_words(fate.stage, fate.reason) != fate.reason, name
    assert reason_words("fetch", "of_later") == "could not be fetched: of_later"
    assert reason_words("pairs", "refused:my\x1blist") == "a list of pairs.filters.refusals names it (my\\x1blist)"
    assert "\x1b" not in reason_words("kept_clips", "\x1b") + reason_words("pairs", "\x1b") + reason_words("x", "\x1b")


def test_no_stage_is_left_out_of_the_order() -> None:
    assert len(set(STAGES)) == len(STAGES) == len(ALL_STAGES) + 2
