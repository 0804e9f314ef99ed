"""A forgotten media leaves exported tars, in their places: not its bytes, not its words, not in any set of shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults_captions import SHOTS, CaptionWeb, Outcomes, caption_web, two_shots
from faults_films import executed, rows
from faults_shards import ExportedSet, Parts, sha256
from older_layouts import in_another_layout, rows_of

from curation import taking_out
from curation.crawl.urls import media_id
from curation.forget import Request, forget
from curation.media.shards import check_shard
from curation.pipeline import ALL_STAGES
from curation.runner.catalog import Catalog
from curation.storage import Store

PICTURES = 14


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionWeb]:
    with caption_web(tmp_path_factory.mktemp("web"), two_shots(tmp_path_factory.mktemp("films"))) as started:
        yield started


def text(name: str) -> str:
    """Of a media; its words are found again wherever they are."""
    return f"a dog, secret{name}x"


def recipe(web: CaptionWeb, **more: Any) -> Path:
    """Pictures, 1 with a copy that says something of its own; two films of two clips each; several tars."""
    told = [(web.picture(number), text(str(number))) for number in range(PICTURES)]
    told.append((web.picture(1, "copy"), text("copy")))
    films = [{"url": web.film(name), "caption": text(name)} for name in ("dog.mp4", "cat.mp4")]
    shards = {"max_samples": 4}
    sections = {"duplicates": {"max_distance": None, "texts": "all"}, "shards": shards, **SHOTS, **more}
    return web.recipe(told, films, **sections)


def traces(work: Path, words: str) -> list[str]:
    """Files that hold some words, in exported tars and what is told of them."""
    folders = ("shards", "shard_samples", "rejections/stage=shards", "_runs/shards")
    files = (path for folder in folders for path in (work / folder).rglob("*") if path.is_file())
    return [str(path.relative_to(work)) for path in files if words.encode() in path.read_bytes()]


def is_told_truly(work: Path, shards: ExportedSet) -> None:
    """The tars are whole, and the index, sizes.json and the datasets say what they hold."""
    index, manifest = shards.index, Catalog(Store.at(work), ALL_STAGES).current("shards")
    assert manifest is not None
    assert manifest.context["set"] == shards.folder.name
    store, found = Store.at(work), {}
    for tar in index["tars"]:
        path = shards.folder / tar["split"] / tar["name"]
        keys = list(dict.fromkeys(member.key for member in check_shard(path)))
        assert (tar["samples"], tar["sha256"], tar["size_bytes"]) == (
            len(keys), sha256(path.read_bytes()), path.stat().st_size
        )  # fmt: skip
        found |= dict.fromkeys(keys, str(path.relative_to(work)))
    told = [row for path in manifest.paths("shard_samples") for row in store.parquet(path).read().to_pylist()]
    assert {row["sample_id"]: row["path"] for row in told} == found
    for row in told:
        assert store.part(row["path"], row["offset"], 100).split(b".")[0].decode() == row["sample_id"]
    shard_rows = [row for path in manifest.paths("shards") for row in store.parquet(path).read().to_pylist()]
    assert {(row["split"], row["name"]): row["sha256"] for row in shard_rows} == {
        (tar["split"], tar["name"]): tar["sha256"] for tar in index["tars"]
    }
    assert sum(manifest.counts.get(f"samples:{kind}", 0) for kind in ("image", "video")) == len(found)
    assert index["samples"] == len(found)
    for split in index["splits"]:
        sizes = json.loads((shards.folder / split / "sizes.json").read_text())
        assert sum(sizes.values()) == index["splits"][split]["samples"]


def without_json(samples: dict[str, Parts]) -> dict[str, Parts]:
    return {key: {name: data for name, data in parts.items() if name != "json"} for key, parts in samples.items()}


def set_of(work: Path, outcomes: Outcomes) -> ExportedSet:
    return ExportedSet.of(work, outcomes["shards"])


@pytest.mark.parametrize("name", ["5", "dog.mp4"])
def test_it_leaves_the_tars_at_once(web: CaptionWeb, tmp_path: Path, name: str) -> None:
    url = web.film(name) if name.endswith("mp4") else web.picture(int(name))
    gone, made = media_id(url), recipe(web)
    before = executed(made, tmp_path)
    shards = set_of(tmp_path, before)
    data = shards.all_samples()
    assert {key.partition("-")[0] for key in data} >= {gone}
    forget(Store.at(tmp_path), Request(urls=(url,)))
    left = shards.all_samples()
    assert left == {key: parts for key, parts in data.items() if key.partition("-")[0] != gone}
    assert traces(tmp_path, gone) == []
    assert traces(tmp_path, f"secret{name}x") == []
    is_told_truly(tmp_path, shards)
    after = executed(made, tmp_path)
    again = set_of(tmp_path, after)
    assert without_json(again.all_samples()) == without_json(left)  # in which thresholds are others by now
    is_told_truly(tmp_path, again)
    assert traces(tmp_path, gone) == []


@pytest.mark.slow
def test_a_set_of_before_loses_it_too(web: CaptionWeb, tmp_path: Path) -> None:
    """Also where the new set's tars are links to its tars."""
    made, url = recipe(web), web.picture(3)
    old = set_of(tmp_path, executed(made, tmp_path))
    new = set_of(tmp_path, executed(made, tmp_path, "shards.max_bytes=999999999"))
    assert old.folder != new.folder
    assert all(tar.stat().st_nlink == 2 for tar in new.tars())
    forget(Store.at(tmp_path), Request(urls=(url,)))
    for shards in (old, new):
        assert media_id(url) not in shards.all_samples()
        assert len(shards.all_samples()) == PICTURES + 4 - 1
        assert shards.index["samples"] == PICTURES + 4 - 1
    assert traces(tmp_path, media_id(url)) == []
    is_told_truly(tmp_path, new)


@pytest.mark.slow
def test_the_text_of_a_forgotten_copy_goes_with_its_sample_until_the_next_run(web: CaptionWeb, tmp_path: Path) -> None:
    made = recipe(web)
    before = executed(made, tmp_path)
    (moved,) = [row for row in rows(before, tmp_path, "sample_texts") if row["media_id"] != row["text_media_id"]]
    name = "copy" if "secretcopyx" in moved["text"] else "1"
    url = web.picture(1, "copy") if name == "copy" else web.picture(1)
    shards = set_of(tmp_path, before)
    assert moved["media_id"] in shards.all_samples()
    forget(Store.at(tmp_path), Request(urls=(url,), copies="none"))
    assert moved["media_id"] not in shards.all_samples()
    assert traces(tmp_path, f"secret{name}x") == []
    is_told_truly(tmp_path, shards)
    again = set_of(tmp_path, executed(made, tmp_path)).all_samples()
    assert moved["media_id"] in again
    assert traces(tmp_path, f"secret{name}x") == []


@pytest.mark.slow
def test_a_stopped_export_is_searched_too(web: CaptionWeb, tmp_path: Path) -> None:
    """A tar whose unit was never told of, and a half-written one."""
    made, url = recipe(web), web.picture(7)
    shards = set_of(tmp_path, executed(made, tmp_path))
    (tar,) = [tar for tar in shards.tars() if media_id(url) in shards.samples(tar)]
    orphan = tmp_path / "shards" / "0123456789ab" / "train" / "00000.tar"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(tar.read_bytes())
    scratch = orphan.with_name(".00001.tar.0123abcd")
    scratch.write_bytes(tar.read_bytes()[:3000])
    innocent = orphan.with_name("00002.tar")
    innocent.write_bytes(next(other for other in shards.tars() if other != tar).read_bytes())
    forget(Store.at(tmp_path), Request(urls=(url,)))
    assert (orphan.exists(), scratch.exists(), innocent.exists()) == (False, False, True)
    assert traces(tmp_path, media_id(url)) == []


class StoppedError(Exception):
    """Something ended the process here."""


@pytest.mark.parametrize("at", ["after the tar", "before the index", "before the rest"])
@pytest.mark.slow
def test_a_stopped_takedown_goes_on(web: CaptionWeb, tmp_path: Path, monkeypatch: Any, at: str) -> None:
    made = recipe(web)
    before = executed(made, tmp_path)
    (moved,) = [row for row in rows(before, tmp_path, "sample_texts") if row["media_id"] != row["text_media_id"]]
    name = "copy" if "secretcopyx" in moved["text"] else "1"
    url = web.picture(1, "copy") if name == "copy" else web.picture(1)
    also = web.picture(9)
    with monkeypatch.context() as patched:
        place, function = {
            "after the tar": (taking_out.UnitWriter, "commit"),
            "before the index": (taking_out, "renew_index"),
            "before the rest": (taking_out.TakingOut, "_plans"),
        }[at]

        def stop(*arguments: Any) -> None:
            raise StoppedError

        patched.setattr(place, function, stop)
        with pytest.raises(StoppedError):
            forget(Store.at(tmp_path), Request(urls=(url, also), copies="none"))
    forget(Store.at(tmp_path), Request())
    shards = set_of(tmp_path, before)
    assert {moved["media_id"], media_id(also), media_id(url)} & shards.all_samples().keys() == set()
    for words in (f"secret{name}x", "secret9x", media_id(also)):
        assert traces(tmp_path, words) == []
    is_told_truly(tmp_path, shards)
    again = set_of(tmp_path, executed(made, tmp_path))
    assert len(again.all_samples()) == PICTURES + 4 - 1
    is_told_truly(tmp_path, again)


def test_all_of_a_tar_may_go(web: CaptionWeb, tmp_path: Path) -> None:
    """An empty tar stays in its place: patterns of names have no holes."""
    made = recipe(web)
    shards = set_of(tmp_path, executed(made, tmp_path))
    names = [tar.name for tar in shards.tars()]
    first = shards.samples(shards.tars()[0])
    ids = tuple({key.partition("-")[0] for key in first})
    forget(Store.at(tmp_path), Request(media_ids=ids))
    assert [tar.name for tar in shards.tars()] == names
    assert shards.samples(shards.tars()[0]) == {}
    assert shards.index["tars"][0]["samples"] == 0
    is_told_truly(tmp_path, shards)


def test_exports_of_another_version_of_curation_lose_it_too(web: CaptionWeb, tmp_path: Path) -> None:
    """Also the words of a forgotten copy, where neither captions nor the manifest tell whose they are."""
    before = executed(recipe(web), tmp_path)
    (moved,) = [row for row in rows(before, tmp_path, "sample_texts") if row["media_id"] != row["text_media_id"]]
    shards = set_of(tmp_path, before)
    data = shards.all_samples()
    left = in_another_layout(tmp_path, {
        "shards": ("images", "sha256"), "shard_samples": ("split", "offset"), "manifest": ("texts", "brief"),
        "captions": ("text_media_id",), "chosen_captions": ("text_media_id", "similarity"),
    })  # fmt: skip
    forget(Store.at(tmp_path), Request(media_ids=(moved["text_media_id"],)))
    gone = {moved["text_media_id"], moved["media_id"]}
    assert shards.all_samples() == {key: parts for key, parts in data.items() if key.partition("-")[0] not in gone}
    for name, columns in left.items():
        told = rows_of(tmp_path, name, columns)
        assert not gone & {row.get("media_id") for row in told}, name
        assert told
    assert {row["of_before"] for row in rows_of(tmp_path, "captions", left["captions"])} == {"old"}
    is_indexed = {(tar["split"], tar["name"]): tar["samples"] for tar in shards.index["tars"]}
    assert sum(is_indexed.values()) == len(shards.all_samples())
    assert forget(Store.at(tmp_path), Request())["files"] == 0
