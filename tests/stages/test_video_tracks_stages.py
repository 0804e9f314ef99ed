"""Chapters and timed texts from pages and tables to the clips of direct files: who asks, what is cut, what stays."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults_films import HOSTS, PageWeb, executed, page_web, rows

from curation.crawl.urls import media_id
from curation.media.video import clipping
from curation.testing.archives import Capture, write_archive
from curation.testing.videos import Film, Shot, Style, write_video

FRAMES = 108
CHAPTERS: dict[str, Any] = {"clips": {"split": {"set": "chapters"}, "cut": {"preset": "ultrafast", "key_frames": []}}}
SUBTITLES: dict[str, Any] = {"clips": {"split": {"set": "subtitles"}, "cut": {"preset": "ultrafast"}}}
ONE_LIST: dict[str, Any] = {"pairs": {"media_buckets": 1}}
VTT = "WEBVTT\n\n00:00.000 --> 00:02.000\n{}\n\n00:02.000 --> 00:04.500\n{}\n"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    """Four seconds and a half each; one has subtitles inside."""
    folder, style = tmp_path_factory.mktemp("films"), Style(size=(192, 108))
    films = {f"{name}.mp4": write_video(folder / f"{name}.mp4", [Shot(FRAMES, name)], style) for name in ("dog", "cat")}
    (folder / "a.vtt").write_text(VTT.format("A dog runs", "It sleeps"))
    command = ["-i", "dog.mp4", "-i", "a.vtt", "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text",
               "-metadata:s:s:0", "language=eng", "held.mp4"]  # fmt: skip
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *command], cwd=folder, check=True, timeout=60)
    held = films["dog.mp4"]
    return films | {"held.mp4": Film(folder / "held.mp4", held.cuts, held.times_ms, held.end_ms)}


@pytest.fixture
def web(films: dict[str, Film], tmp_path: Path) -> Iterator[PageWeb]:
    with page_web(tmp_path / "web", films) as started:
        yield started


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """media_id of all videos that are split and cut."""
    found, original = list[str](), clipping.clip_video

    def noted(path: Path, video: dict[str, Any], *more: Any) -> Any:
        found.append(video["media_id"])
        return original(path, video, *more)

    monkeypatch.setattr(clipping, "clip_video", noted)
    return found


def film(web: PageWeb, name: str) -> str:
    return web.server.url(HOSTS[0], f"/file/{name}.mp4")


def crawled(web: PageWeb, body: str, **sections: Any) -> Path:
    """A recipe over a crawl of one page."""
    page = f'<!doctype html><html lang="en"><title>A dog by the way</title>{body}</html>'
    headers = (("Content-Type", "text/html; charset=utf-8"),)
    capture = Capture(web.server.url(HOSTS[0], "/page"), "2024-05-20T00:00:00Z", "", headers, page.encode(), ())
    path = web.folder / "CC-MAIN-2024-22.warc.gz"
    write_archive(path, capture.records())
    return web.recipe([], **{"inputs": [{"kind": "warc", "paths": [str(path)]}], **CHAPTERS, **sections})


def tabled(web: PageWeb, parts: dict[str, list[tuple[float, str]]], **sections: Any) -> Path:
    """A recipe over a table of direct files, each with its chapters: begin in seconds, title."""
    table = web.folder / "chapters.parquet"
    told = [json.dumps([{"start": begin, "title": title} for begin, title in each]) for each in parts.values()]
    urls = [film(web, name) for name in parts]
    pq.write_table(pa.table({"url": urls, "chapters": told, "name": [None] * len(urls)}), table)
    columns = {"media_url": "url", "texts": {"name": "name"}, "chapters": "chapters"}
    inputs = [{"kind": "table", "paths": [str(table)], "columns": columns, "modality": "video"}]
    return web.recipe([], **{"inputs": inputs, **CHAPTERS, **ONE_LIST, **sections})


def told(outcomes: Any, work: Path) -> dict[str, list[tuple[int, int, str | None]]]:
    """Frames and texts of the clips of each video."""
    found: dict[str, list[tuple[int, int, str | None]]] = {}
    for clip in rows(outcomes, work, "clips"):
        found.setdefault(clip["media_id"], []).append((clip["start_frame"], clip["end_frame"], clip["text"]))
    return found


DOG = [(0, "A dog runs"), (1, "A dog sleeps"), (2, "A dog eats"), (3, "The dog is gone")]
CAT = [(0, "A cat runs"), (1.5, "A cat sleeps"), (3, "A cat eats")]
DOG_CLIPS = [(0, 24, "A dog runs"), (24, 48, "A dog sleeps"), (48, 72, "A dog eats"), (72, 108, "The dog is gone")]
CAT_CLIPS = [(0, 36, "A cat runs"), (36, 72, "A cat sleeps"), (72, 108, "A cat eats")]


# ------------------------------------------------------------------------------------------- tracks of pages


def player(web: PageWeb, *tracks: str) -> str:
    every = "".join(f"<track {track}>" for track in tracks)
    return f'<video title="A dog in the garden" src="/file/dog.mp4">{every}</video>'


def test_tracks_of_a_page_become_clips_with_titles_and_captions(web: PageWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    web.put("/chapters.vtt", VTT.format("The <i>dog</i>", "Its sleep"))
    web.put("/en.vtt", VTT.format("It runs &amp; jumps", "It sleeps"))
    tracks = (
        'kind="chapters" src="/chapters.vtt"',
        'kind="subtitles" srclang="en" src="/en.vtt"',
        'kind="subtitles" srclang="de" src="/de.vtt"',
        'kind="captions" srclang="en" src="/gone/cc.vtt"',
        'kind="descriptions" srclang="en" src="/seen.vtt"',
    )
    words = {"captioners": [{"source": "subtitles"}, {"source": "chapters"}]}
    fetch = {"video": {"subtitles": ["en"]}}
    outcomes = executed(crawled(web, player(web, *tracks), fetch=fetch, captions=words), work)
    (video,) = rows(outcomes, work, "videos")
    assert [(each["kind"], each["lang"], each["automatic"], each["format"]) for each in video["subtitles"]] == [
        ("chapters", "und", False, "vtt"),
        ("subtitles", "en", False, "vtt"),
    ]
    assert video["missing_subtitles"] == ["captions en: HTTP status 410"]
    assert sorted(web.server.paths) == ["/chapters.vtt", "/en.vtt", "/file/dog.mp4", "/gone/cc.vtt"]
    own = media_id(film(web, "dog"))
    assert told(outcomes, work) == {own: [(0, 48, "The dog"), (48, 108, "Its sleep")]}
    captions = {(row["sample_id"], row["captioner"]): row["text"] for row in rows(outcomes, work, "captions")}
    first, second = sorted({sample for sample, _ in captions}, key=lambda sample: int(sample.split("-")[1]))
    assert captions == {
        (first, "subtitles"): "It runs & jumps", (first, "chapters"): "The dog",
        (second, "subtitles"): "It sleeps", (second, "chapters"): "Its sleep",
    }  # fmt: skip


def test_other_tracks_of_a_video_that_is_there_ask_nobody(web: PageWeb, tmp_path: Path, cut: list[str]) -> None:
    work = tmp_path / "work"
    web.put("/a.vtt", VTT.format("The dog", "Its sleep"))
    web.put("/b.vtt", VTT.format("Something", "Else"))
    recipe = crawled(web, player(web, 'kind="chapters" src="/a.vtt"'))
    first = told(executed(recipe, work), work)
    asked = list(web.server.paths)
    crawled(web, player(web, 'kind="chapters" src="/b.vtt"'))
    outcomes = executed(recipe, work)
    assert outcomes["balance"].units_done, "the kept pairs are others"
    assert outcomes["fetch"].units_done == 0
    assert (web.server.paths, told(outcomes, work), len(cut)) == (asked, first, 1)


def test_what_several_pages_declare_is_asked_for_once(web: PageWeb, tmp_path: Path) -> None:
    declared = []
    for name in ("b", "a"):
        url = web.put(f"/{name}.vtt", VTT.format(name, name))
        declared.append({"url": url, "kind": "chapters"})
    table = web.folder / "tracks.parquet"
    lists = [json.dumps(declared[:1]), json.dumps(declared), None]
    texts = ["A dog runs", "A dog sleeps", "A dog eats"]
    pq.write_table(pa.table({"url": [film(web, "dog")] * 3, "caption": texts, "tracks": lists}), table)
    columns = {"media_url": "url", "texts": {"caption": "caption"}, "facts": {"tracks": "tracks"}}
    inputs = [{"kind": "table", "paths": [str(table)], "columns": columns, "modality": "video"}]
    outcomes = executed(web.recipe([], **{"inputs": inputs, **CHAPTERS}), tmp_path / "work")
    assert outcomes["balance"].manifest.rows("kept_pairs") == 3
    assert web.asked() == {"dog.mp4": 1, "a.vtt": 1, "b.vtt": 1}
    assert len(rows(outcomes, tmp_path / "work", "videos")[0]["subtitles"]) == 2


def test_texts_in_a_file_give_clips_though_the_file_goes(web: PageWeb, tmp_path: Path) -> None:
    work = tmp_path / "work"
    fetch = {"video": {"subtitles": ["en"], "keep_source": False}}
    outcomes = executed(web.recipe([film(web, "held")], fetch=fetch, **SUBTITLES), work)
    (video,) = rows(outcomes, work, "videos")
    (track,) = video["subtitles"]
    assert (track["lang"], track["kind"], track["automatic"], track["format"]) == ("en", "subtitles", False, "vtt")
    assert video["missing_subtitles"] == []
    (clips,) = told(outcomes, work).values()
    assert clips == [(0, 48, "A dog runs"), (48, 108, "It sleeps")]
    assert not [path for path in (work / "media" / "videos").rglob("*") if path.is_file()]
    french = web.recipe([film(web, "held")], fetch={"video": {"subtitles": ["fr"]}}, **SUBTITLES)
    other = executed(french, tmp_path / "other")
    assert rows(other, tmp_path / "other", "videos")[0]["subtitles"] == []


# ------------------------------------------------------------------------------------------- parts


def test_parts_that_a_page_tells_of_a_file_are_its_clips(web: PageWeb, tmp_path: Path) -> None:
    parts = [{"@type": "Clip", "name": name, "startOffset": begin, "endOffset": begin + 1} for begin, name in DOG]
    data = {"@context": "https://schema.org", "@type": "VideoObject", "name": "A dog", "hasPart": parts}
    body = f'<script type="application/ld+json">{json.dumps(data | {"contentUrl": film(web, "dog")})}</script>'
    outcomes = executed(crawled(web, body), tmp_path / "work")
    expected = [*DOG_CLIPS[:-1], (72, 96, "The dog is gone")]
    assert told(outcomes, tmp_path / "work") == {media_id(film(web, "dog")): expected}
    assert rows(outcomes, tmp_path / "work", "videos")[0]["chapters"] == []


def test_chapters_of_a_table_are_clips_and_a_second_run_does_nothing(
    web: PageWeb, tmp_path: Path, cut: list[str]
) -> None:
    recipe = tabled(web, {"dog": DOG, "cat": CAT})
    outcomes = executed(recipe, tmp_path / "work")
    dog, cat = (media_id(film(web, name)) for name in ("dog", "cat"))
    assert told(outcomes, tmp_path / "work") == {dog: DOG_CLIPS, cat: CAT_CLIPS}
    assert sorted(cut) == sorted([dog, cat])
    again = executed(recipe, tmp_path / "work")
    assert not any(outcome.units_done for outcome in again.values())
    by_shots = executed(recipe, tmp_path / "work", "clips.split={set: shots}")
    assert told(by_shots, tmp_path / "work") == {dog: [(0, FRAMES, None)], cat: [(0, FRAMES, None)]}


def test_another_threshold_cuts_the_videos_alone_whose_parts_changed(
    web: PageWeb, tmp_path: Path, cut: list[str]
) -> None:
    work = tmp_path / "work"
    recipe = tabled(web, {"dog": DOG, "cat": CAT})
    first = executed(recipe, work)
    clips = {row["clip_id"]: row for row in rows(first, work, "clips")}
    pairs = sorted(rows(first, work, "kept_pairs"), key=lambda row: row["critical_threshold"])
    gone = pairs[-1]
    assert gone["critical_threshold"] > max(1.0, pairs[-2]["critical_threshold"])
    cut.clear()
    asked = web.asked()
    outcomes = executed(recipe, work, f"balance.t={math.nextafter(gone['critical_threshold'], 1.0)!r}")
    assert outcomes["clips"].units_done == 1
    assert cut == [gone["media_id"]]
    assert web.asked() == asked
    dog, cat = (media_id(film(web, name)) for name in ("dog", "cat"))
    expected = {dog: DOG_CLIPS, cat: CAT_CLIPS}
    left = [row for row in expected[gone["media_id"]] if row[2] != gone["text"]]
    found = told(outcomes, work)
    assert [text for *_, text in found[gone["media_id"]]] == [text for *_, text in left]
    (other,) = expected.keys() - {gone["media_id"]}
    assert found[other] == expected[other]
    after = {row["clip_id"]: row for row in rows(outcomes, work, "clips") if row["media_id"] == other}
    same = ("stored_sha256", "start_ms", "end_ms", "text")
    assert {key: [row[name] for name in same] for key, row in after.items()} == {
        key: [row[name] for name in same] for key, row in clips.items() if row["media_id"] == other
    }
    back = executed(recipe, work)
    assert told(back, work) == expected


def test_a_video_that_leaves_the_selection_keeps_its_clips(web: PageWeb, tmp_path: Path, cut: list[str]) -> None:
    """Nothing is cut anew, for which the file would have to be asked for again."""
    work, fetch = tmp_path / "work", {"video": {"keep_source": False}}
    both = told(executed(tabled(web, {"dog": DOG, "cat": CAT}, fetch=fetch), work), work)
    asked = web.asked()
    cut.clear()
    outcomes = executed(tabled(web, {"dog": DOG}, fetch=fetch), work)
    assert (told(outcomes, work), cut, web.asked()) == (both, [], asked)
    assert {row["media_id"] for row in rows(outcomes, work, "final_pairs")} == {media_id(film(web, "dog"))}
