"""What a location means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from curation.errors import InputError, WorkFolderError
from curation.storage import Store
from curation.testing.manifests import write_manifest
from curation.training.faults import NoSplitError
from curation.training.shard_sets import SIZES, expanded, shard_set


def _names(location: Any, split: str = "train") -> list[str]:
    return [path.rpartition("/")[2] for path in shard_set(location, split).paths]


def test_patterns_are_written_out() -> None:
    assert expanded("a/{008..011}.tar") == ["a/008.tar", "a/009.tar", "a/010.tar", "a/011.tar"]
    assert expanded("{a,b}/{0..1}.tar") == ["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]
    assert expanded("plain.tar") == ["plain.tar"]
    with pytest.raises(InputError, match=r"\{3\.\.1\} counts down"):
        expanded("{3..1}.tar")


def test_a_set_a_folder_a_pattern_a_tar_and_a_list(bed: Any) -> None:
    names = sorted(path.name for path in (bed.shards / "train").glob("*.tar"))
    train = bed.shards / "train"
    assert _names(bed.shards) == _names(train) == names
    assert _names(f"{train}/{{00000..{len(names) - 1:05d}}}.tar") == names
    assert _names([train / names[1], f"{train}/{{00000..00000}}.tar"]) == [names[1], names[0]]
    assert _names(train / names[2]) == [names[2]]
    assert shard_set(bed.shards, "train").sizes.sum() == len(bed.rows)


def test_a_work_folder_has_its_current_shards(bed: Any, tmp_path: Path) -> None:
    told, whole = shard_set(bed.shards, "train"), shard_set(bed.work, "train")
    assert whole.paths == told.paths
    assert whole.sizes.tolist() == told.sizes.tolist()
    assert whole.fingerprint == told.fingerprint
    with pytest.raises(InputError, match=r"has no shards of the split 'test'; of others: train"):
        shard_set(bed.work, "test")
    work = shutil.copytree(bed.work, tmp_path / "work")
    for path in work.rglob("*.tar"):  # what other sets the folder holds does not matter
        shutil.copytree(path.parent.parent, work / "shards" / "another")
        break
    _forget(work, "m")
    later = shard_set(work, "train")
    assert [path.rpartition("/shards/")[2] for path in later.paths] == [
        path.rpartition("/shards/")[2] for path in told.paths
    ]
    assert later.forgotten == {"m"} and not whole.forgotten


def test_samples_are_counted_where_nobody_tells(bed: Any, tmp_path: Path) -> None:
    told = shard_set(bed.shards, "train")
    folder = shutil.copytree(bed.shards / "train", tmp_path / "copy")
    (folder / SIZES).write_text(json.dumps({"00001.tar": int(told.sizes[1])}))
    assert shard_set(folder, "train").sizes.tolist() == told.sizes.tolist()
    (folder / SIZES).unlink()
    counted = shard_set(folder, "train")
    assert counted.sizes.tolist() == told.sizes.tolist()
    assert counted.fingerprint == shard_set(shutil.copytree(folder, tmp_path / "more"), "train").fingerprint


def test_other_content_under_the_same_names_is_other_data(bed: Any, tmp_path: Path) -> None:
    """By the checksums of the set where they are told, else by bytes; and what is forgotten is other data, too."""
    whole = shutil.copytree(bed.shards, tmp_path / "whole")
    assert (told := shard_set(whole, "train").fingerprint) == shard_set(bed.shards, "train").fingerprint
    index = json.loads((whole / "index.json").read_text())
    index["tars"][0]["sha256"] = "0" * 64
    (whole / "index.json").write_text(json.dumps(index))
    assert shard_set(f"{whole}/train/{{00000..00006}}.tar", "train").fingerprint != told
    foreign = shutil.copytree(bed.shards / "train", tmp_path / "foreign")
    before = shard_set(foreign, "train").fingerprint
    with (foreign / "00000.tar").open("ab") as file:
        file.write(bytes(10240))
    assert shard_set(foreign, "train").fingerprint != before
    work = shutil.copytree(bed.work, tmp_path / "work")
    before = shard_set(work, "train").fingerprint
    _forget(work, "m")
    assert shard_set(work, "train").fingerprint != before


def test_a_set_is_renewed_by_what_was_forgotten(bed: Any, tmp_path: Path) -> None:
    """As `curation forget` leaves it: the tar and what is told of it are written anew, in their places."""
    work = shutil.copytree(bed.work, tmp_path / "work")
    before = shard_set(work, "train")
    again = before.renewed()
    assert again.fingerprint == before.fingerprint
    _forget(work, "m")
    assert before.renewed().forgotten == {"m"}
    (manifest,) = (work / "_runs" / "shards").glob("*/manifest.json")
    tree = json.loads(manifest.read_text())
    for report in tree["reports"].values():
        for entry in report["files"]["tars"]:
            entry["rows"] -= 1
    manifest.write_text(json.dumps(tree))
    assert before.renewed().sizes.tolist() == (before.sizes - 1).tolist()
    manifest.unlink()
    with pytest.raises(InputError, match=r"has no version \w+ of its shards any more: begin with a new data set"):
        before.renewed()
    folder = shutil.copytree(bed.shards / "train", tmp_path / "copy")
    plain = shard_set(folder, "train")
    sizes = json.loads((folder / SIZES).read_text())
    (folder / SIZES).write_text(json.dumps(sizes | {"00000.tar": 3}))
    assert plain.renewed().sizes.tolist() == [3, *plain.sizes[1:]]
    (folder / SIZES).unlink()
    counted = shard_set(folder, "train")
    (folder / "00001.tar").write_bytes((folder / "00006.tar").read_bytes())
    assert counted.renewed().sizes.tolist() == [plain.sizes[0], plain.sizes[6], *plain.sizes[2:]]


def test_tars_of_which_nobody_tells_a_split_are_no_held_out_ones(bed: Any, tmp_path: Path) -> None:
    flat = shutil.copytree(bed.shards / "train", tmp_path / "flat")
    for location in (flat, flat / "00000.tar", f"{flat}/{{00000..00001}}.tar", [flat / "00000.tar"]):
        assert shard_set(location, "train").sizes.sum()
        with pytest.raises(NoSplitError, match="so nobody says that they are that split"):
            shard_set(location, "val")
    held_out = shutil.copytree(flat, tmp_path / "val")
    assert _names(held_out, "val") == _names([held_out / "00000.tar"], "val") + _names(held_out)[1:]
    with pytest.raises(NoSplitError):
        shard_set(bed.shards, "test")
    with pytest.raises(NoSplitError):
        shard_set(bed.work, "test")


def _forget(work: Path, media_id: str) -> None:
    tombstone = {"media_ids": [media_id], "sha256": [], "domains": [], "phashes": [], "max_distance": 0}
    Store.at(work).put_json("_forgotten/a.json", tombstone)


@pytest.mark.parametrize("told", ["{", "[1]", '{"00000.tar": "many"}', '{"00000.tar": -1}'])
def test_damaged_sizes_are_said(bed: Any, tmp_path: Path, told: str) -> None:
    folder = shutil.copytree(bed.shards / "train", tmp_path / "copy")
    (folder / SIZES).write_text(told)
    with pytest.raises(InputError, match=r"sizes\.json is (damaged|no object of numbers by name): write it anew"):
        shard_set(folder, "train")


def test_what_is_not_there_is_said(bed: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no shards of the split 'test'; it has train"):
        shard_set(bed.shards, "test")
    with pytest.raises(InputError, match="has no shards of the split 'train': give a folder of tars"):
        shard_set(tmp_path / "nowhere", "train")
    with pytest.raises(InputError, match=r"there is no .*gone\.tar"):
        shard_set(tmp_path / "gone.tar", "train")
    with pytest.raises(InputError, match=r"; \* and \? are no patterns here, \{00000\.\.00031\}\.tar is"):
        shard_set(f"{tmp_path}/*.tar", "train")
    with pytest.raises(InputError, match="is a folder: give it alone, or a list of tars"):
        shard_set([bed.shards / "train"], "train")
    with pytest.raises(InputError, match="names a tar twice"):
        shard_set([bed.shards / "train/00000.tar"] * 2, "train")
    with pytest.raises(InputError, match="names no tar"):
        shard_set([], "train")
    with pytest.raises(WorkFolderError, match="has no shards yet"):
        shard_set(write_manifest(tmp_path, 3).root, "train")


def test_a_split_without_samples_is_said(bed: Any, tmp_path: Path) -> None:
    (tmp_path / "00000.tar").write_bytes(bytes(1024))
    with pytest.raises(InputError, match=r"the 1 shards of .* hold no sample"):
        shard_set(tmp_path, "train")
