"""The card on shards: its numbers are those of the tars, its patterns name them, its words tell what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults_shards import ExportedSet, exported

from curation.inspect.card_shards import shards_lines, shards_markdown, shards_places, shards_section
from curation.testing.manifests import write_manifest


def test_numbers_and_patterns_are_those_of_the_tars(tmp_path: Path) -> None:
    write_manifest(tmp_path, 120, with_bytes=True, entries=False)
    outcome = exported(tmp_path, max_samples=30)
    section = shards_section({"shards": outcome.manifest})
    assert section is not None
    shards = ExportedSet.of(tmp_path, outcome)
    tars = shards.tars()
    assert section["shards"] == len(tars) == sum(split["shards"] for split in section["splits"])
    assert section["samples"] == 120 == section["images"] + section["videos"]
    assert section["size_bytes"] == sum(tar.stat().st_size for tar in tars)
    braceexpand = pytest.importorskip("braceexpand").braceexpand
    named = [path for split in section["splits"] for path in braceexpand(f"{tmp_path}/{split['tars']}")]
    assert sorted(named) == sorted(map(str, tars))
    for split in section["splits"]:
        sizes = [len(shards.samples(tar)) for tar in tars if tar.parent.name == split["split"]]
        assert split["samples_of_a_shard"] == [min(sizes), max(sizes)]
    assert shards_lines(section) == []
    (first, *_) = shards_places(section, "/work")
    assert first.startswith(f"/work/shards/{shards.folder.name}/train/{{00000..")
    title, words, table = shards_markdown({"shards": section})
    assert (title, words) == ("## Shards", f"WebDataset tars: 120 samples in {len(tars)} shards, clips as their files.")
    assert f"`shards/{shards.folder.name}/train/" in table


def test_what_is_not_in_them_is_told(tmp_path: Path) -> None:
    write_manifest(tmp_path, 60, with_bytes=True, entries=False)
    tar = next((tmp_path / "media" / "tars").glob("*.tar"))
    tar.unlink()
    outcome = exported(tmp_path, modalities=["image"])
    section = shards_section({"shards": outcome.manifest})
    assert section is not None
    gone, videos = outcome.manifest.rejected["bytes_gone"], outcome.manifest.counts["other_modality:video"]
    assert [line.split(" ")[0] for line in shards_lines(section)] == [str(gone), str(videos)]
    assert "their bytes are gone (dataset rejections)" in shards_lines(section)[0]
    assert shards_lines(section)[1].endswith("not exported: shards.modalities does not ask for it")


def test_no_shards_and_empty_ones(tmp_path: Path) -> None:
    assert shards_section({}) is None
    assert shards_markdown({"shards": None}) == shards_markdown({}) == []
    write_manifest(tmp_path, 0, entries=False)
    section = shards_section({"shards": exported(tmp_path).manifest})
    assert section is not None
    assert shards_places(section, "/work") == []
    assert shards_markdown({"shards": section}) == [
        "## Shards", "WebDataset tars: 0 samples in 0 shards, clips as their files."
    ]  # fmt: skip
