"""Videos from kept pairs to kept clips, in this process: what is made, what is told, and what is never done twice."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from faults_films import FilmWeb, executed, film_web, rows, small_films

from curation.crawl.urls import media_id
from curation.media.reading import MediaReader
from curation.media.shards import check_shard, read_member
from curation.stages.clips import Clips
from curation.testing.videos import read_number

GOOD = ("plain.mp4", "turned.mp4", "mute.mp4", "vp8.webm")
WORK = ("fetch", "scenes", "clips", "scores", "near_clips", "kept_clips")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return small_films(tmp_path_factory.mktemp("films"))


@pytest.fixture
def web(films: Any, tmp_path: Path) -> Iterator[FilmWeb]:
    with film_web(tmp_path / "web", films) as started:
        yield started


def numbers(data: bytes, folder: Path) -> list[int | None]:
    """What is drawn in the frames of a clip."""
    path = folder / "clip.mp4"
    path.write_bytes(data)
    with av.open(str(path)) as container:
        return [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def done(outcomes: dict[str, Any]) -> dict[str, int]:
    """Units done by the stages of videos."""
    return {name: outcomes[name].units_done for name in WORK if outcomes[name].units_done}


def test_from_pairs_to_clips(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    urls = [web.url(name) for name in (*GOOD, "page.mp4", "cut.mp4")] + [web.url("gone.mp4", "gone")]
    outcomes = executed(web.recipe(urls), work)
    ledger = {row["media_url"]: row for row in rows(outcomes, work, "media")}
    assert {url: ledger[url]["error"] for url in urls} == {
        **{web.url(name): None for name in GOOD},
        web.url("page.mp4"): "not_a_video",
        web.url("cut.mp4"): "truncated",
        web.url("gone.mp4", "gone"): "http_4xx",
    }
    assert max(web.asked().values()) == 1
    for name in GOOD:
        row, film = ledger[web.url(name)], web.films[name]
        assert MediaReader(work).bytes(row["media_id"]) == film.path.read_bytes()
        assert row["mime"] == ("video/webm" if name.endswith("webm") else "video/mp4")
        assert (row["width"], row["height"]) == (192, 108)
    scenes = {row["media_id"]: row for row in rows(outcomes, work, "scenes")}
    clips = rows(outcomes, work, "clips")
    for name in GOOD:
        film, found = web.films[name], scenes[media_id(web.url(name))]
        assert tuple(found["cuts"]) == film.cuts
        assert tuple(found["times_ms"]) == film.times_ms
        own = [clip for clip in clips if clip["media_id"] == media_id(web.url(name))]
        spans = [(clip["start_frame"], clip["end_frame"]) for clip in own]
        assert spans == [(0, 40), (60, 108)]
        for clip, (begin, end) in zip(own, spans, strict=True):
            data = read_member(str(work), clip["path"], clip["offset"], clip["size_bytes"])
            assert hashlib.sha256(data).hexdigest() == clip["stored_sha256"]
            assert numbers(data, tmp_path) == list(range(begin, end))
            assert clip["frames"] == end - begin
            assert clip["has_audio"] == (name != "mute.mp4")
            assert clip["clip_id"] == f"{clip['media_id']}-{clip['start_ms']}-{clip['end_ms']}"
            for still in clip["key_frames"]:
                jpeg = read_member(str(work), clip["path"], still["offset"], still["size_bytes"])
                assert jpeg[:3] == b"\xff\xd8\xff"
    for shard in rows(outcomes, work, "clip_shards"):
        assert len(check_shard(work / shard["path"])) == 5 * shard["samples"]
    pieces = rows(outcomes, work, "pieces")
    assert Counter(piece["dropped"] for piece in pieces) == {None: 8, "too_short": 4}
    for name in GOOD:
        spans = [(row["start_frame"], row["end_frame"]) for row in pieces if row["media_id"] == media_id(web.url(name))]
        assert [frame for span in spans for frame in range(*span)] == list(range(108))
    assert all(row["status"] == "ok" for row in rows(outcomes, work, "scores"))
    assert outcomes["rebalance"].manifest.rows("final_pairs") == len(GOOD)


@pytest.mark.slow
def test_a_second_run_does_nothing_and_two_folders_hold_the_same(web: FilmWeb, tmp_path: Path) -> None:
    recipe = web.recipe([web.url(name) for name in GOOD])
    first = executed(recipe, tmp_path / "one")
    asked = web.asked()
    assert done(executed(recipe, tmp_path / "one")) == {}
    assert web.asked() == asked
    second = executed(recipe, tmp_path / "two")
    for dataset in ("scenes", "pieces", "clips", "clip_shards", "scores", "kept_clips"):
        assert rows(first, tmp_path / "one", dataset) == rows(second, tmp_path / "two", dataset), dataset


@pytest.mark.slow
def test_rules_decode_nothing_and_a_new_split_asks_nobody(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD])
    executed(recipe, work)
    asked = web.asked()
    ruled = executed(recipe, work, "kept_clips.rules.with_sound=true")
    assert done(ruled) == {"kept_clips": 1}
    refused = [row for row in rows(ruled, work, "kept_clips") if row["refused_by"] == "with_sound"]
    assert {row["media_id"] for row in refused} == {media_id(web.url("mute.mp4"))}
    assert ruled["survive"].manifest.counts["lost:no_clips"] == 1
    other = executed(recipe, work, "clips.split.min_length_s=1.8")
    assert done(other).keys() == {"clips", "scores", "near_clips", "kept_clips"}
    assert other["clips"].manifest.rows("clips") == 4
    assert web.asked() == asked


@pytest.mark.slow
def test_a_larger_selection_cuts_what_is_new(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    few = executed(web.recipe([web.url(name) for name in GOOD[:2]]), work)
    before = {clip["clip_id"]: clip for clip in rows(few, work, "clips")}
    more = executed(web.recipe([web.url(name) for name in GOOD]), work)
    after = {clip["clip_id"]: clip for clip in rows(more, work, "clips")}
    assert web.asked() == dict.fromkeys(GOOD, 1)
    assert len(after) == 8
    assert {name: after[name] for name in before} == before


def test_copies_of_a_video_are_one(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    outcomes = executed(web.recipe([web.url("plain.mp4"), web.url("copy.mp4"), web.url("mute.mp4")]), work)
    kept = rows(outcomes, work, "kept_clips")
    assert Counter(row["refused_by"] for row in kept) == {None: 4, "copied_video": 2}
    final = rows(outcomes, work, "final_pairs")
    assert len(final) == 2
    kept_media = {row["media_id"] for row in kept if row["kept"]}
    assert {row["media_id"] for row in final} == kept_media


@pytest.mark.slow
def test_sources_go_once_their_clips_are_cut(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD], fetch={"video": {"keep_source": False}})
    first = executed(recipe, work)
    assert not list((work / "media" / "videos").rglob("*.*"))
    assert done(executed(recipe, work)) == {}
    ruled = executed(recipe, work, "kept_clips.rules.min_seconds=1.8")
    assert done(ruled) == {"kept_clips": 1}
    assert max(web.asked().values()) == 1
    clips = rows(first, work, "clips")
    other = executed(recipe, work, "clips.cut.crf=30")
    assert web.asked() == dict.fromkeys(GOOD, 2), "other clips need the videos once more"
    assert [row["clip_id"] for row in rows(other, work, "clips")] == [row["clip_id"] for row in clips]
    assert not list((work / "media" / "videos").rglob("*.*"))
    assert done(executed(recipe, work, "clips.cut.crf=30")) == {}


@pytest.mark.slow
def test_sources_go_and_come_as_the_recipe_says(web: FilmWeb, tmp_path: Path) -> None:
    work, sources = tmp_path / "work", tmp_path / "work" / "media" / "videos"
    recipe = web.recipe([web.url(name) for name in GOOD])
    executed(recipe, work)
    assert len(list(sources.rglob("*.*"))) == 4
    assert done(executed(recipe, work, "fetch.video.keep_source=false")) == {}
    assert not list(sources.rglob("*.*"))
    assert web.asked() == dict.fromkeys(GOOD, 1)
    assert done(executed(recipe, work)).keys() == {"fetch", "scenes", "clips"}, "wanted again; rows are taken over"
    assert len(list(sources.rglob("*.*"))) == 4
    assert web.asked() == dict.fromkeys(GOOD, 2)
    assert done(executed(recipe, work)) == {}


def test_what_a_kill_left_goes_with_the_next_run(web: FilmWeb, tmp_path: Path) -> None:
    """A worker that ended between its report and what follows it."""
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD], fetch={"video": {"keep_source": False}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clips, "committed", lambda *given: None)
        patch.setattr(Clips, "settle", lambda self, planning, manifest: None)
        executed(recipe, work)
    left = [work / "_runs" / "clips" / "parts", work / "media" / "videos"]
    assert all(list(folder.rglob("*.*")) for folder in left)
    assert done(executed(recipe, work)) == {}
    assert not any(list(folder.rglob("*.*")) for folder in left)


@pytest.mark.slow
def test_other_limits_try_again_what_took_too_long(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD], fetch={"video": {"keep_source": False}})
    late = executed(recipe, work, "scenes.max_seconds=0.0001")
    assert {row["error"] for row in rows(late, work, "scenes")} == {"video_timeout"}
    assert done(executed(recipe, work, "scenes.max_seconds=0.0001")) == {}
    slow = executed(recipe, work, "clips.seconds_per_video=0.0001")
    assert {row["status"] for row in rows(slow, work, "scenes")} == {"ok"}
    assert {row["dropped"] for row in rows(slow, work, "pieces")} <= {"too_short", "cut_late", "video_timeout"}
    assert slow["clips"].manifest.rows("clips") == 0
    whole = executed(recipe, work)
    assert whole["clips"].manifest.rows("clips") == 8
    assert web.asked() == dict.fromkeys(GOOD, 1), "sources stay until there are clips"
    assert not list((work / "media" / "videos").rglob("*.*"))


@pytest.mark.slow
def test_a_video_that_comes_later_leaves_the_others_as_they_are(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    names = [web.url(name) for name in GOOD[:3]] + [web.url("vp8.webm", "flaky")]
    recipe = web.recipe(names, fetch={"video": {"keep_source": False}, "shard_videos": 100}, network={"attempts": 1})
    first = executed(recipe, work)
    assert first["fetch"].manifest.counts["transient"] == 1
    before = {clip["clip_id"]: clip for clip in rows(first, work, "clips")}
    second = executed(recipe, work)
    while second["fetch"].manifest.counts["transient"]:
        second = executed(recipe, work)
    after = {clip["clip_id"]: clip for clip in rows(second, work, "clips")}
    assert len(after) == len(before) + 2
    assert {name: after[name] for name in before} == before
    assert [web.asked()[name] for name in GOOD[:3]] == [1, 1, 1]


def test_videos_without_clips_are_kept_whole(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    outcomes = executed(web.recipe([web.url(name) for name in GOOD], clips=None), work)
    assert "clips" not in outcomes
    assert outcomes["rebalance"].manifest.rows("final_pairs") == 4


def test_what_is_kept_as_image_and_video_is_fetched_as_a_video(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url("plain.mp4")])
    tree = yaml.safe_load(recipe.read_text())
    table = pa.table({"url": [web.url("plain.mp4")], "caption": ["a cat at home"]})
    pq.write_table(table, web.folder / "image.parquet")
    tree["inputs"].append({**tree["inputs"][0], "modality": "image", "paths": [str(web.folder / "image.parquet")]})
    recipe.write_text(yaml.safe_dump(tree))
    outcomes = executed(recipe, work, "fetch.modalities=[image, video]")
    assert outcomes["balance"].manifest.rows("kept_pairs") == 2
    assert [row["modality"] for row in rows(outcomes, work, "media")] == ["video"]
    assert outcomes["survive"].manifest.counts["lost:other_modality"] == 1
    assert outcomes["rebalance"].manifest.rows("final_pairs") == 1


def test_broken_sources_have_rows_that_say_so(web: FilmWeb, tmp_path: Path) -> None:
    """A file that is changed or removed between two stages."""
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD[:2]])
    outcomes = executed(recipe, work)
    ledger = {row["media_url"]: row for row in rows(outcomes, work, "media")}
    (work / ledger[web.url("plain.mp4")]["path"]).unlink()
    broken = work / ledger[web.url("turned.mp4")]["path"]
    broken.write_bytes(np.random.default_rng(1).bytes(5000))
    again = executed(recipe, work, "scenes.threshold=20")
    errors = {row["media_id"]: row["error"] for row in rows(again, work, "scenes")}
    assert errors[media_id(web.url("plain.mp4"))] == "source_gone"
    assert errors[media_id(web.url("turned.mp4"))] == "corrupt_video"
    assert {row["dropped"] for row in rows(again, work, "pieces")} == {"source_gone", "corrupt_video"}
    assert again["rebalance"].manifest.rows("final_pairs") == 0


@pytest.mark.parametrize("place", ["cuts.detect_shots", "clipping.clip_video", "scores.score_clip"])
@pytest.mark.slow
def test_what_no_library_should_raise_is_a_row(
    web: FilmWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    module, name = place.split(".")
    target = f"curation.media.video.{module}.{name}"
    original = getattr(import_module(f"curation.media.video.{module}"), name)
    calls = count()

    def failing(*arguments: Any, **named: Any) -> Any:
        if next(calls) == 0:
            raise IndexError("a stream that is not there")
        return original(*arguments, **named)

    monkeypatch.setattr(target, failing)
    work = tmp_path / "work"
    outcomes = executed(web.recipe([web.url(name) for name in GOOD[:2]]), work)
    stage = {"cuts": "scenes", "clipping": "pieces", "scores": "scores"}[module]
    told = [row for row in rows(outcomes, work, stage) if "IndexError" in str(row["detail"])]
    assert len(told) == 1
    assert outcomes["rebalance"].manifest.rows("final_pairs") == (2 if module == "scores" else 1)


@pytest.mark.parametrize("stage", ["scenes", "clips", "scores"])
@pytest.mark.slow
def test_a_file_that_ended_three_processes_is_left_alone(
    web: FilmWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """As a decoder's crash leaves it: begun, and never ended."""
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD[:2]], fetch={"shard_videos": 100}, pairs={"media_buckets": 1})
    executed(recipe, work)
    done_before = executed(recipe, work)[stage]
    (unit,) = done_before.manifest.reports.values()
    dataset = {"clips": "pieces"}.get(stage, stage)
    first = rows({stage: done_before}, work, dataset)[0]["media_id"]
    for report in (work / "_runs" / stage / "reports").iterdir():
        report.unlink()
    folder = work / "_runs" / stage / "begun" / f"{unit.unit}.{unit.identity[:16]}"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{first}-{number}").touch()
    shutil.rmtree(work / dataset)
    again = executed(recipe, work)
    name = "dropped" if stage == "clips" else "error"
    assert {row["media_id"] for row in rows(again, work, dataset) if row[name] == "crashed"} == {first}
    assert not folder.exists()


def test_trying_another_split_costs_one_request_and_loses_nothing(web: FilmWeb, tmp_path: Path) -> None:
    """Sources are removed; of one film the host gives a page by then."""
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD[:2]], fetch={"video": {"keep_source": False}})
    first = executed(recipe, work)
    web.lost.add("turned.mp4")
    other = executed(recipe, work, "clips.split.min_length_s=1.8")
    assert web.asked() == dict.fromkeys(GOOD[:2], 2)
    own = [row for row in rows(other, work, "pieces") if row["media_id"] == media_id(web.url("turned.mp4"))]
    assert {row["dropped"] for row in own} == {"source_gone"}
    again = executed(recipe, work)
    ids = [[row["clip_id"] for row in rows(each, work, "clips")] for each in (first, again)]
    assert ids[0] == ids[1]
    assert again["rebalance"].manifest.rows("final_pairs") == 2
    assert web.asked()["plain.mp4"] == 2, "its clips are there"


@pytest.mark.slow
def test_other_forms_of_a_video_have_files_of_their_own(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD[:2]])
    executed(recipe, work)
    executed(recipe, work, "fetch.video.max_height=360", "fetch.video.keep_source=false")
    outcomes = executed(recipe, work, "clips.cut.crf=30")
    assert outcomes["clips"].manifest.rows("clips") == 4
    assert web.asked() == dict.fromkeys(GOOD[:2], 2)


def test_a_source_that_is_gone_is_fetched_again(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD[:2]])
    first = executed(recipe, work)
    (path,) = (row["path"] for row in rows(first, work, "media") if row["media_url"] == web.url("plain.mp4"))
    (work / path).unlink()
    executed(recipe, work, "clips.cut.crf=30")
    healed = executed(recipe, work, "clips.cut.crf=30")
    assert healed["clips"].manifest.rows("clips") == 4
    assert web.asked() == {"plain.mp4": 2, "turned.mp4": 1}
    assert done(executed(recipe, work, "clips.cut.crf=30")) == {}


def test_a_higher_limit_asks_for_what_was_beyond_it(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe = web.recipe([web.url(name) for name in GOOD[:3]])
    size = web.films["mute.mp4"].path.stat().st_size + 1
    few = executed(recipe, work, f"fetch.video.max_bytes={size}")
    assert few["fetch"].manifest.counts["failed:too_large"] == 2
    assert executed(recipe, work)["clips"].manifest.rows("clips") == 6
    assert web.asked()["mute.mp4"] == 1


def test_a_file_that_ended_three_probing_processes_is_refused(web: FilmWeb, tmp_path: Path) -> None:
    recipe = web.recipe([web.url(name) for name in GOOD[:2]], fetch={"shard_videos": 100}, pairs={"media_buckets": 1})
    (unit,) = executed(recipe, tmp_path / "one")["fetch"].manifest.reports.values()
    folder = tmp_path / "two" / "_runs" / "fetch" / "begun" / f"{unit.unit}.{unit.identity[:16]}"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{media_id(web.url('plain.mp4'))}.mp4-{number}").touch()
    outcomes = executed(recipe, tmp_path / "two")
    errors = {row["media_url"]: row["error"] for row in rows(outcomes, tmp_path / "two", "media")}
    assert errors == {web.url("plain.mp4"): "crashed", web.url("turned.mp4"): None}
    assert not folder.exists()
