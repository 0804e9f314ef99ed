"""A forgotten video is nowhere: not its file, its clips, its shots or what its page said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from faults_films import FilmWeb, executed, film_web, rows, small_films
from older_layouts import in_another_layout, rows_of

from curation.crawl.urls import media_id
from curation.forget import Request, forget
from curation.media.shards import check_shard, read_member
from curation.storage import Store

NAMES = ("plain.mp4", "turned.mp4", "mute.mp4", "copy.mp4")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return small_films(tmp_path_factory.mktemp("films"))


@pytest.fixture
def web(films: Any, tmp_path: Path) -> Iterator[FilmWeb]:
    with film_web(tmp_path / "web", films) as started:
        yield started


def _told(work: Path, gone: set[str]) -> list[str]:
    """Files that hold a row about some media, or that are named after them, but for their tombstones and lists."""
    found = []
    for path in (path for path in work.rglob("*") if path.is_file() and "_forgotten" not in path.parts):
        name = str(path.relative_to(work))
        if any(media in path.name for media in gone):
            found.append(name)
        elif path.suffix == ".tar":
            found += [name for member in check_shard(path) if member.key.partition("-")[0] in gone]
        elif path.suffix == ".parquet" and path.parts[len(work.parts)] in (
            "videos", "scenes", "pieces", "clips", "scores", "clip_groups", "kept_clips"
        ):  # fmt: skip
            found += [name for media in pq.read_table(path).column("media_id").to_pylist() if media in gone]
    return found


def test_a_forgotten_video_is_nowhere(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in NAMES], fetch={"shard_videos": 100}, pairs={"media_buckets": 1})
    before = executed(recipe, work)
    asked = web.asked()
    gone = {media_id(web.url(name)) for name in ("plain.mp4", "copy.mp4")}  # which are the same bytes
    data = {
        clip["clip_id"]: read_member(str(work), clip["path"], clip["offset"], clip["size_bytes"])
        for clip in rows(before, work, "clips")
    }
    assert _told(work, gone)
    receipt = forget(Store.at(work), Request(urls=(web.url("plain.mp4"),)))
    assert receipt["media_taken_out"] == 2
    assert _told(work, gone) == []
    after = executed(recipe, work)
    assert web.asked() == asked
    left = {clip["clip_id"]: clip for clip in rows(after, work, "clips")}
    assert left.keys() == {name for name in data if name.partition("-")[0] not in gone}
    for name, clip in left.items():
        assert read_member(str(work), clip["path"], clip["offset"], clip["size_bytes"]) == data[name]
    assert after["rebalance"].manifest.rows("final_pairs") == 2
    assert _told(work, gone) == []


def test_from_files_of_another_version_of_curation_it_goes_as_well(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in NAMES], fetch={"shard_videos": 100}, pairs={"media_buckets": 1})
    executed(recipe, work)
    gone = {media_id(web.url(name)) for name in ("plain.mp4", "copy.mp4")}
    left = in_another_layout(work, {
        "videos": ("title", "chapters"), "scenes": ("corrupt_frames", "times_ms"), "pieces": ("marks", "shot"),
        "clips": ("cut_start_ms", "text", "frames"), "clip_shards": ("samples",), "scores": ("has_audio",),
        "media": ("exif", "attempts"),
    })  # fmt: skip
    before = {clip["clip_id"]: clip for clip in rows_of(work, "clips", left["clips"])}
    data = {
        name: read_member(str(work), str(clip["path"]), int(str(clip["offset"])), int(str(clip["size_bytes"])))
        for name, clip in before.items()
    }
    assert forget(Store.at(work), Request(urls=(web.url("plain.mp4"),)))["media_taken_out"] == 2
    assert _told(work, gone) == []
    after = {clip["clip_id"]: clip for clip in rows_of(work, "clips", left["clips"])}
    assert after.keys() == {name for name in before if str(name).partition("-")[0] not in gone}
    for name, clip in after.items():
        place = str(clip["path"]), int(str(clip["offset"])), int(str(clip["size_bytes"]))
        assert read_member(str(work), *place) == data[name]
        assert clip["of_before"] == "old"
    for name in ("videos", "scenes", "pieces", "scores", "media"):
        assert {row["of_before"] for row in rows_of(work, name, left[name])} <= {"old", ""}, name
    rows_of(work, "clip_shards", left["clip_shards"])
    assert forget(Store.at(work), Request())["files"] == 0
