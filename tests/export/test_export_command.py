"""`curation export` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from export_manifests import Folder, hostile
from typer.testing import CliRunner

from curation.cli import app
from curation.errors import InputError, WorkFolderError
from curation.export.shapes import SHAPES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return hostile(tmp_path_factory.mktemp("work"), 120)


def lines(*arguments: str) -> list[str]:
    result = CliRunner().invoke(app, ["export", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output.splitlines()


def test_without_a_shape_all_are_listed() -> None:
    listed = lines()
    assert [line.split()[0] for line in listed[: len(SHAPES) + 1]] == ["webdataset", *SHAPES]
    assert all(len(line) <= 120 for line in listed)


def test_one_line_tells_what_was_done(folder: Folder, tmp_path: Path) -> None:
    (told,) = lines("msvd", "--work", str(folder.work), "--to", str(tmp_path / "out"), "--texts", "vlm.brief")
    images = sum(row["modality"] == "image" for row in folder.rows)
    brief = ("vlm", "brief")
    written = sum(any((text["captioner"], text["kind"]) == brief for text in row["texts"]) for row in folder.videos)
    assert told.startswith(f"msvd: {written} samples ({written} captions) in {tmp_path / 'out'}, ")
    assert told.endswith(f" s; left out: {images} images, {len(folder.videos) - written} without such a text")
    assert " kB of media, " in told or " MB of media, " in told


def test_options_reach_the_shape(folder: Folder, tmp_path: Path) -> None:
    told = lines("labels", "--work", str(folder.work), "--to", str(tmp_path), "--labels", "hashtags", "--media", "none",
                 "--min-samples", "3", "--seed", "7", "--seed", "8", "--split", "train")  # fmt: skip
    assert ", no media, " in told[0] and told[1] == "note: 2 classes, 1 of them base"
    assert {path.name for path in (tmp_path / "few_shot").glob("*_2_*")} == {
        "train_2_shot_s7.txt", "train_2_shot_s8.txt"
    }  # fmt: skip
    assert not (tmp_path / "val.txt").exists()


def test_a_manifest_without_val_is_told(folder: Folder, tmp_path: Path) -> None:
    work = hostile(tmp_path / "work", 30, split=lambda *_: "train").work
    told = lines("msvd", "--work", str(work), "--to", str(tmp_path / "out"), "--media", "none")
    assert told[1].startswith("note: no selected sample is of split val")


def test_what_is_missing_is_told(folder: Folder, tmp_path: Path) -> None:
    work, empty, out = str(folder.work), str(tmp_path / "empty"), str(tmp_path / "out")
    for arguments, error, told in (
        (["nope", "--work", work], InputError, "no shape is called 'nope'"),
        (["csv", "--to", str(tmp_path)], InputError, "--work names no folder"),
        (["csv", "--work", work], InputError, "--to names no folder"),
        (["csv", "--work", empty, "--to", out], WorkFolderError, "no published dataset"),
    ):
        with pytest.raises(error, match=told):
            lines(*arguments)


def test_webdataset_is_a_stage(folder: Folder) -> None:
    with pytest.raises(WorkFolderError, match=r"add `shards: {}` to the recipe and run it again"):
        lines("webdataset", "--work", str(folder.work))


@pytest.mark.parametrize(
    "options",
    [["--t", "3"], ["--to", "out"], ["--split", "val"], ["--modality", "image"], ["--lang", "en"], ["--texts", "alt"],
     ["--media", "none"], ["--labels", "hashtags"], ["--min-samples", "2"], ["--seed", "0"], ["--saliency", "0"]],
)  # fmt: skip
def test_webdataset_refuses_what_it_would_not_do(folder: Folder, options: list[str]) -> None:
    with pytest.raises(InputError, match=f"^{options[0]} does nothing for webdataset: .* section shards of the recipe"):
        lines("webdataset", "--work", str(folder.work), *options)
