"""`curation overlap`: numbers against naive counting, what it prints, and that its advice works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from curation.cli import app
from curation.errors import CurationError
from curation.inspect.overlap import EXAMPLES, overlap, overlap_lines
from curation.overlap import KEYS
from curation.recipe.manifest import Decontamination, ManifestSection
from curation.testing.manifests import manifest_table, write_manifest

SAMPLES = 80
TABLE = manifest_table(SAMPLES, videos=0.2)
ROWS = TABLE.to_pylist()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["overlap", *arguments])


def write(path: Path, lines: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("overlap") / "work"
    write_manifest(folder, TABLE)
    return str(folder)


@given(st.dictionaries(st.integers(0, SAMPLES - 1), st.sampled_from(["url", "sha256", "phash"]), max_size=12))
@settings(max_examples=15, deadline=None)
def test_numbers_are_those_of_the_samples(
    work: str, tmp_path_factory: pytest.TempPathFactory, listed: dict[int, str]
) -> None:
    """A media is one URL and one fetched file, of which there may be several clips; hashes are all different."""
    columns = {"url": "media_url", "sha256": "fetched_sha256", "phash": "phash"}
    lines = [{key: f"{ROWS[at][columns[key]]:016x}" if key == "phash" else ROWS[at][columns[key]]}
             for at, key in listed.items()]  # fmt: skip
    path = write(tmp_path_factory.mktemp("set") / "other.jsonl", [*lines, {"url": "https://nowhere.example/"}])
    report = overlap(work, path, KEYS, 0, 20)
    names = {key: {ROWS[at][columns[key]] for at, own in listed.items() if own == key} for key in columns}
    found = {key: {row["sample_id"] for row in ROWS if row[columns[key]] in names[key] and row[columns[key]]}
             for key in columns}  # fmt: skip
    assert {key: report.found[key] for key in columns} == {key: len(ids) for key, ids in found.items()}
    assert report.found["any"] == len(set().union(*found.values()))
    assert report.samples == SAMPLES == sum(split["samples"] for split in report.by_split.values())
    for split, told in report.by_split.items():
        own = {row["sample_id"] for row in ROWS if row["split"] == split}
        assert {key: told[key] for key in columns} == {key: len(ids & own) for key, ids in found.items()}
    for key, ids in found.items():
        assert [each.sample_id for each in report.examples if each.key == key] == sorted(ids)[:EXAMPLES]


def test_the_folder_and_its_export_tell_the_same(work: str, tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "export.parquet")
    path = write(tmp_path / "other.jsonl", [{"url": ROWS[0]["media_url"]}, {"text": ROWS[5]["texts"][0]["text"]}])
    exported = str(tmp_path / "export.parquet")
    one, other = (overlap(location, path, KEYS, 4, 5).to_json() for location in (work, exported))
    assert {**one, "manifest": ""} == {**other, "manifest": ""}


def test_what_it_prints(work: str, tmp_path: Path) -> None:
    image = next(row for row in ROWS if row["modality"] == "image" and row["phash"])
    lines = [
        {"url": image["media_url"], "phash": f"{image['phash'] ^ 3:016x}", "text": f"\x1b[31m{image['text']}!!!"},
        {"text": "a dog", "url": "x.jpg", "phash": "0" * 16},
    ]
    path = write(tmp_path / "bench.jsonl", lines)
    found = run(work, "--against", path, "--min-text-chars", "6", "--json", str(tmp_path / "told.json"))
    assert found.exit_code == 0, found.output
    told = found.output.splitlines()
    assert told[:5] == [
        f"{work}: {SAMPLES} samples",
        f"{path}: 1 URL, 1 text and 1 perceptual hash",
        "  left out: 1 hashes of flat pictures",
        "  left out: 1 addresses that are no absolute URL",
        "  left out: 1 texts of fewer than 6 letters and digits",
    ]
    assert [line.split()[:2] for line in told if line.startswith(("url ", "phash ", "any "))] == [
        ["url", "1"], ["phash", "1"], ["any", "1"]
    ] or any(line.startswith("text") for line in told)  # fmt: skip
    assert f"  url     {image['sample_id']}  {image['media_url']}" in told
    assert f"  phash   {image['sample_id']}  {image['phash']:016x}, 2 bits apart" in told
    assert json.loads((tmp_path / "told.json").read_text())["found"]["url"] == 1
    assert json.loads(run(work, "--against", path, "--min-text-chars", "6", "--json", "-").output) == json.loads(
        (tmp_path / "told.json").read_text()
    )


def test_what_it_advises_is_a_recipe_that_does_it(work: str, tmp_path: Path) -> None:
    path = write(tmp_path / "bench é.jsonl", [{"url": ROWS[0]["media_url"]}])
    cases: list[tuple[list[str], dict[str, Any]]] = [
        ([], {}),
        (["--by", "url,text", "--max-distance", "2"], {"by": ["url", "text"], "max_distance": 2}),
        (["--min-text-chars", "9"], {"min_text_chars": 9}),
    ]
    for options, expected in cases:
        lines = run(work, "--against", path, *options).output.splitlines()
        start = lines.index("to take them out, put this into the recipe and run it again:")
        told = yaml.safe_load("\n".join(lines[start + 1 :]))
        section = ManifestSection.model_validate(told["manifest"])
        assert section.decontaminate == [Decontamination.model_validate({"against": path, **expected})]


def test_nothing_in_common(work: str, tmp_path: Path) -> None:
    path = write(tmp_path / "other.jsonl", [{"url": "https://nowhere.example/"}])
    found = run(work, "--against", path)
    assert found.exit_code == 0
    assert found.output.splitlines()[-1] == "no sample of the manifest is in it"
    assert "recipe" not in found.output


def test_keys_that_the_manifest_has_no_columns_for(tmp_path: Path) -> None:
    pq.write_table(TABLE.select(["sample_id", "text"]), tmp_path / "few.parquet")
    path = write(tmp_path / "other.jsonl", [{"url": ROWS[0]["media_url"], "text": ROWS[0]["text"]}])
    report = overlap(str(tmp_path / "few.parquet"), path, KEYS, 4, 5)
    assert report.not_compared == ["url"]
    same = [row["sample_id"] for row in ROWS if row["text"].lower() == ROWS[0]["text"].lower()]
    assert report.found["text"] >= len(same) and report.found["url"] == 0
    assert "  not compared by url: the manifest has no column media_url or media_id" in overlap_lines(report)


def test_a_work_folder_against_another_and_itself(work: str, tmp_path: Path) -> None:
    write_manifest(tmp_path / "other", TABLE.slice(0, 10))
    assert overlap(work, str(tmp_path / "other"), ["sha256"], 4, 20).found["any"] >= 10
    assert overlap(work, work, KEYS, 4, 20).found["any"] == SAMPLES


def test_the_other_sets_shapes_are_told_by_the_help() -> None:
    told = " ".join(CliRunner().invoke(app, ["overlap", "--help"]).output.split())
    for word in (".txt", ".csv", ".jsonl", ".parquet", "url", "sha256", "phash", "text"):
        assert word in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{work}", "--against", "{tmp}/none.csv"], "nothing at"),
        (["{work}", "--against", "{tmp}/empty.csv"], "no column"),
        (["{work}", "--against", "{tmp}/bad.csv"], "is no perceptual hash: write 16 hex digits"),
        (["{work}", "--against", "{tmp}/good.jsonl", "--by", "colour"], "--by 'colour': choose of url, sha256"),
        (["{work}", "--against", "{tmp}/good.jsonl", "--by", "phash"], "no column phash; the file has url"),
        (["{tmp}/none", "--against", "{tmp}/good.jsonl"], "nothing at"),
        (["{tmp}/good.jsonl", "--against", "{tmp}/good.jsonl"], "is no Parquet file: give a work folder"),
        (["{work}", "--against", "{tmp}/good.jsonl", "--max-distance", "17"], ""),
        (["{work}", "--against", "{tmp}/good.jsonl", "--json", "{tmp}/bad.csv/x.json"], "cannot write"),
    ],
)
def test_bad_input_is_one_line(work: str, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "bad.csv").write_text("phash\nxyz\n")
    write(tmp_path / "good.jsonl", [{"url": "https://nowhere.example/"}])
    found = run(*(each.format(work=work, tmp=tmp_path) for each in arguments))
    assert found.exit_code != 0
    if message:
        assert isinstance(found.exception, CurationError)
        assert message in str(found.exception) and "\n" not in str(found.exception)


def test_texts_of_the_web_do_nothing_to_the_terminal(tmp_path: Path) -> None:
    odd = "\x1b]0;title\x07 and a long text of the web " + "x" * 1000
    table = TABLE.slice(0, 1)
    texts = [{**dict(TABLE["texts"][0].as_py()[0]), "text": odd}]
    place = table.schema.get_field_index("texts")
    table = table.set_column(place, table.schema.field("texts"), pa.array([texts], table.schema.field("texts").type))
    pq.write_table(table, tmp_path / "a.parquet")
    path = write(tmp_path / "other.jsonl", [{"text": odd}])
    lines = overlap_lines(overlap(str(tmp_path / "a.parquet"), path, KEYS, 4, 20))
    assert any("\\x1b]0;title\\x07" in line for line in lines)
    assert all(line.isprintable() and len(line) < 300 for line in lines)
