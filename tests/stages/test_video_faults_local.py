"""What is refused, fails or breaks off between kept pairs and clips, in this process: what is left of it, and told."""

from __future__ import annotations

import hashlib
import io
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from faults_films import HOSTS, FilmWeb, executed, film_web, rows
from imageio_ffmpeg import get_ffmpeg_exe

from curation.crawl.urls import media_id
from curation.errors import CurationError
from curation.media.refusals import Refusals
from curation.media.shards import read_member
from curation.media.video import clipping, ffmpeg
from curation.runner.run import StageOutcome
from curation.testing.videos import Film, Shot, Style, read_number, write_video

NAMES = ("plain.mp4", "mute.mp4", "tree.mp4")
SHOTS = [(0, 40), (40, 88)]
Wrapped = Callable[[str], None]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    """Two shots each."""
    folder, size = tmp_path_factory.mktemp("films"), (192, 108)
    concepts = dict(zip(NAMES, ("dog", "cat", "tree"), strict=True))
    return {
        name: write_video(folder / name, [Shot(40, concept, "a", 2), Shot(48, "car", name, 2)], Style(size=size))
        for name, concept in concepts.items()
    }


@pytest.fixture
def web(films: dict[str, Film], tmp_path: Path) -> Iterator[FilmWeb]:
    with film_web(tmp_path / "web", films) as started:
        yield started


@pytest.fixture
def wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wrapped]:
    """Puts a script between us and FFmpeg, which goes through its arguments: each is $argument."""
    script = tmp_path / "ffmpeg.sh"
    real = shlex.quote(get_ffmpeg_exe())

    def wrap(case: str) -> None:
        lines = ["#!/bin/sh", "for argument do", "shift", f'case "$argument" in {case} esac',
                 'set -- "$@" "$argument"', "done", f'exec {real} "$@"', ""]  # fmt: skip
        script.write_text("\n".join(lines))
        script.chmod(0o700)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(script))
        ffmpeg.executable.cache_clear()

    yield wrap
    ffmpeg.executable.cache_clear()


def fewer(frames: int, clip: str = "*") -> str:
    """Of the outputs of a name no more than so many frames are written."""
    return f'file:*/{clip}.part.mp4) set -- "$@" -frames:v {frames};;'


def numbers(clip: dict[str, Any], work: Path) -> list[int | None]:
    """What is drawn in the frames of a clip."""
    data = read_member(str(work), clip["path"], clip["offset"], clip["size_bytes"])
    assert hashlib.sha256(data).hexdigest() == clip["stored_sha256"]
    with av.open(io.BytesIO(data)) as container:
        return [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def sources(work: Path) -> set[str]:
    """media_id of the videos whose files are in the work folder."""
    return {path.name.partition("-")[0] for path in (work / "media" / "videos").rglob("*") if path.is_file()}


def ids(found: list[dict[str, Any]]) -> set[str]:
    return {row["media_id"] for row in found}


def stored(work: Path) -> dict[str, str]:
    """Every tar of a folder by name: its SHA-256."""
    paths = work.rglob("*.tar")
    return {str(path.relative_to(work)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


# ------------------------------------------------------------------------------------------- refused


def is_refused(outcomes: dict[str, StageOutcome], work: Path, url: str, error: str) -> None:
    """Of three videos one is only a row of the ledger."""
    ledger = {row["media_id"]: row for row in rows(outcomes, work, "media")}
    one = media_id(url)
    assert (ledger[one]["status"], ledger[one]["error"], ledger[one]["path"]) == ("failed", error, None)
    assert Counter(row["error"] for row in ledger.values()) == {None: 2, error: 1}
    others = ledger.keys() - {one}
    for dataset in ("videos", "scenes", "pieces", "clips", "kept_clips", "final_pairs"):
        assert ids(rows(outcomes, work, dataset)) == others, dataset
    assert outcomes["survive"].manifest.counts[f"lost:{error}"] == 1


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.slow
def test_a_video_whose_hash_is_listed_is_not_kept(web: FilmWeb, tmp_path: Path, is_first: bool) -> None:
    """Whether the list was there before the video, or came later."""
    work, urls = tmp_path / "work", [web.url(name) for name in NAMES]
    listed = tmp_path / "hashes.txt"
    listed.write_text(hashlib.sha256(web.films["mute.mp4"].path.read_bytes()).hexdigest() + "\n")
    recipe = web.recipe(urls)
    if not is_first:
        assert ids(rows(executed(recipe, work), work, "clips")) == {media_id(url) for url in urls}
    outcomes = executed(recipe, work, f"fetch.opt_out.hashes=[{listed}]")
    is_refused(outcomes, work, urls[1], "listed")
    assert max(web.asked().values()) == 1
    shards = {row["path"] for row in rows(outcomes, work, "clip_shards")}
    assert not any(media_id(urls[1]).encode() in (work / shard).read_bytes() for shard in shards)
    if is_first:
        assert sources(work) == {media_id(urls[0]), media_id(urls[2])}
        assert stored(work).keys() == shards


@pytest.mark.parametrize("followed", [False, True])
def test_what_a_listed_url_gives_is_not_kept(
    web: FilmWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, followed: bool
) -> None:
    """A redirect leads there: it is not followed; if it was, by whatever means, nothing stays of it."""
    work, listed = tmp_path / "work", tmp_path / "urls.txt"
    listed.write_text(web.server.url(HOSTS[1], "ok", "mute.mp4") + "\n")
    if followed:
        monkeypatch.setattr(Refusals, "may_ask", lambda self, url: True)
    urls = [web.url(f"{name}?to={HOSTS[1]}", "away") for name in NAMES]
    outcomes = executed(web.recipe(urls), work, f"fetch.opt_out.urls=[{listed}]")
    is_refused(outcomes, work, urls[1], "opted_out" if followed else "refused")
    assert sources(work) == {media_id(urls[0]), media_id(urls[2])}
    asked = {entry.path for entry in web.server.requests_of(HOSTS[1])}
    assert asked == {f"/ok/{name}" for name in NAMES if followed or name != "mute.mp4"}


# ------------------------------------------------------------------------------------------- broken off


def test_a_run_that_broke_off_cuts_no_video_twice(
    web: FilmWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, original, cut = tmp_path / "work", clipping.clip_video, list[str]()
    recipe = web.recipe([web.url(name) for name in NAMES], fetch={"shard_videos": 100}, pairs={"media_buckets": 1})

    def full(path: Path, video: dict[str, Any], *more: Any) -> Any:
        cut.append(video["media_id"])
        if len(cut) == 2:
            raise OSError(28, "No space left on device")
        return original(path, video, *more)

    monkeypatch.setattr(clipping, "clip_video", full)
    with pytest.raises(CurationError, match="no space left on the disk"):
        executed(recipe, work)
    first, second, third = sorted(media_id(web.url(name)) for name in NAMES)
    assert cut == [first, second]
    outcomes = executed(recipe, work)
    assert cut[2:] == [second, third]
    assert not list((work / "_runs" / "clips").glob("parts/*"))
    undisturbed = executed(recipe, tmp_path / "other")
    assert cut[4:] == [first, second, third]
    for dataset in ("pieces", "clips", "clip_shards", "scores", "kept_clips", "final_pairs"):
        assert rows(outcomes, work, dataset) == rows(undisturbed, tmp_path / "other", dataset), dataset
    assert len(rows(outcomes, work, "clips")) == 2 * len(NAMES)
    assert stored(work) == stored(tmp_path / "other")


# ------------------------------------------------------------------------------------------- cut wrong


@pytest.mark.parametrize(
    ("mode", "case", "detail"),
    [
        ("accurate", fewer(20), "20 came"),
        ("accurate", r"setts=*) argument=noise=drop='gte(n\,20)',$argument;;", "the clip has 20"),
        ("copy", fewer(20), "the clip has 20"),
    ],
    ids=["fewer reach the encoder", "fewer are written", "fewer are copied"],
)
@pytest.mark.slow
def test_clips_that_lack_frames_are_no_clips(
    web: FilmWeb, tmp_path: Path, wrapped: Wrapped, mode: str, case: str, detail: str
) -> None:
    wrapped(case)
    work = tmp_path / "work"
    outcomes = executed(web.recipe([web.url(name) for name in NAMES[:2]]), work, f"clips.cut.mode={mode}")
    pieces = rows(outcomes, work, "pieces")
    spans = [(piece["start_frame"], piece["end_frame"]) for piece in pieces]
    assert spans == 2 * SHOTS
    frames = {SHOTS[0]: 40, SHOTS[1]: 88 - 24 if mode == "copy" else 48}  # a copy begins at the key frame before it
    assert [(piece["dropped"], piece["detail"], piece["clip_id"]) for piece in pieces] == [
        ("cut_failed", f"{frames[span]} frames were asked for, {detail}", None) for span in spans
    ]
    assert rows(outcomes, work, "clips") == []
    assert stored(work) == {}
    assert outcomes["survive"].manifest.counts["lost:no_clips"] == 2
    assert outcomes["rebalance"].manifest.rows("final_pairs") == 0


def test_one_wrong_clip_leaves_the_others_right(web: FilmWeb, tmp_path: Path, wrapped: Wrapped) -> None:
    wrapped(fewer(20, "00001"))
    work = tmp_path / "work"
    outcomes = executed(web.recipe([web.url("plain.mp4")]), work)
    (clip,) = rows(outcomes, work, "clips")
    assert (clip["start_frame"], clip["end_frame"]) == SHOTS[0]
    assert numbers(clip, work) == list(range(40))
    assert [piece["dropped"] for piece in rows(outcomes, work, "pieces")] == [None, "cut_failed"]
    assert outcomes["rebalance"].manifest.rows("final_pairs") == 1


def test_without_ffmpeg_no_video_is_said_to_be_gone(
    web: FilmWeb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no_such_program"))
    ffmpeg.executable.cache_clear()
    try:
        with pytest.raises(CurationError, match="no_such_program"):
            executed(web.recipe([web.url("plain.mp4")]), tmp_path / "work")
    finally:
        monkeypatch.undo()
        ffmpeg.executable.cache_clear()


def test_a_source_stays_while_a_clip_of_it_failed(web: FilmWeb, tmp_path: Path, wrapped: Wrapped) -> None:
    """With keep_source off: what could not be cut may be cut by the next version."""
    wrapped(fewer(20, "00001"))
    work = tmp_path / "work"
    films = [web.url("plain.mp4"), web.url("mute.mp4")]
    recipe = web.recipe(films, fetch={"video": {"keep_source": False}})
    outcomes = executed(recipe, work)
    assert Counter(piece["dropped"] for piece in rows(outcomes, work, "pieces")) == {None: 2, "cut_failed": 2}
    assert sources(work) == {media_id(url) for url in films}


# ------------------------------------------------------------------------------------------- pairs


def copies(web: FilmWeb) -> tuple[Path, str, str]:
    """A recipe over two copies of a video, and their ids: the one that is kept, and the one of the better text."""
    urls = [web.url(name) for name in ("plain.mp4", "copy.mp4")]
    kept, other = sorted(map(media_id, urls))
    texts = {kept: {"caption": None, "title": "a dog and a title"}, other: {"caption": "a dog it is", "title": None}}
    recipe = web.recipe(urls)
    tree = yaml.safe_load(recipe.read_text())
    table = [{"url": url, **texts[media_id(url)]} for url in urls]
    pq.write_table(pa.Table.from_pylist(table), web.folder / "copies.parquet")
    tree["inputs"][0]["paths"] = [str(web.folder / "copies.parquet")]
    tree["inputs"][0]["columns"]["texts"] = {"caption": "caption", "title": "title"}
    tree["match"]["text_sources"] = {"video": ["caption", "title"]}
    recipe.write_text(yaml.safe_dump(tree))
    return recipe, kept, other


def test_the_text_of_a_copy_stands_for_the_clips_of_the_kept_video(web: FilmWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    recipe, kept, other = copies(web)
    outcomes = executed(recipe, work)
    clips = rows(outcomes, work, "kept_clips")
    assert {(row["media_id"], row["refused_by"]) for row in clips} == {(kept, None), (other, "copied_video")}
    (pair,) = rows(outcomes, work, "final_pairs")
    assert (pair["media_id"], pair["text_media_id"], pair["text"]) == (kept, other, "a dog it is")
    counts = outcomes["survive"].manifest.counts
    assert (counts["duplicate_pairs"], counts.get("lost:no_clips", 0)) == (1, 0)
    every = executed(recipe, work, "duplicates.texts=all")
    assert {(row["media_id"], row["text_media_id"]) for row in rows(every, work, "final_pairs")} == {
        (kept, kept), (kept, other)
    }  # fmt: skip
    none = executed(recipe, work, "kept_clips.rules.min_seconds=100")
    assert {row["refused_by"] for row in rows(none, work, "kept_clips")} == {"min_seconds", "copied_video"}
    assert none["survive"].manifest.counts["lost:no_clips"] == 2
    assert rows(none, work, "final_pairs") == []


def test_a_pair_is_lost_where_no_clip_of_its_video_is_kept(web: FilmWeb, tmp_path: Path) -> None:
    work, recipe = tmp_path / "work", web.recipe([web.url(name) for name in NAMES])
    some = executed(recipe, work, "kept_clips.rules.min_seconds=1.8")
    assert Counter(row["refused_by"] for row in rows(some, work, "kept_clips")) == {None: 3, "min_seconds": 3}
    assert some["rebalance"].manifest.rows("final_pairs") == 3, "one clip of two is enough"
    none = executed(recipe, work, "kept_clips.rules.min_seconds=3")
    counts = none["survive"].manifest.counts
    assert (counts["lost:no_clips"], counts["media_lost"], counts["media_ok"]) == (3, 3, 0)
    assert rows(none, work, "survivors") == rows(none, work, "final_pairs") == []
