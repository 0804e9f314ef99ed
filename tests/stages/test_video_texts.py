"""Clips by what a video's page says of it: its subtitles' cues, its chapters, from the page to the shard."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from faults_films import HOSTS, PageWeb, executed, page_web, rows

from curation.crawl.urls import media_id
from curation.runner.run import StageOutcome
from curation.schemas import MEDIA, SCENES, VIDEOS
from curation.stages.following import of_unit
from curation.testing.videos import Film, Shot, Style, read_number, write_video

Cues = Sequence[tuple[int, int, str]]
"""begin and end in milliseconds, text."""
FRAMES = 108
CUES = ((510, 1490, "A dog <i>runs</i> &amp; jumps"), (2010, 3120, "It sleeps"))
WORDS = ["A dog runs & jumps", "It sleeps"]
TEXTS = {"clips": {"split": {"set": "subtitles"}, "cut": {"preset": "ultrafast"}}}
CHAPTERS = {"clips": {"split": {"set": "chapters"}, "cut": {"preset": "ultrafast"}}}
ENGLISH = {"video": {"subtitles": ["en"]}}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    folder, style = tmp_path_factory.mktemp("films"), Style(size=(192, 108))
    shots = {"dog.mp4": "dog", "cat.mp4": "cat"}
    return {name: write_video(folder / name, [Shot(FRAMES, concept)], style) for name, concept in shots.items()}


@pytest.fixture
def web(films: dict[str, Film], tmp_path: Path) -> Iterator[PageWeb]:
    with page_web(tmp_path / "web", films) as started:
        yield started


def vtt(cues: Cues) -> str:
    lines = (f"00:{begin / 1000:06.3f} --> 00:{end / 1000:06.3f}\n{text}\n" for begin, end, text in cues)
    return "\n".join(["WEBVTT\n", *lines])


def watch(web: PageWeb, cues: Cues, name: str = "dog") -> str:
    """A page with a player and its subtitles; served anew, or otherwise, each time."""
    web.put(f"/{name}.vtt", vtt(cues))
    player = f'<video src="/file/{name}.mp4"><track kind="subtitles" srclang="en" src="/{name}.vtt"></video>'
    return web.put(f"/watch/{name}", f"<!doctype html><title>A film</title>{player}")


def told(web: PageWeb, parts: Sequence[tuple[str, float, float]]) -> str:
    """A page that tells of its video, and of its parts (name, seconds of begin and end), as schema.org has it."""
    clips = [{"@type": "Clip", "name": name, "startOffset": begin, "endOffset": end} for name, begin, end in parts]
    video = {"@type": "VideoObject", "name": "A film", "contentUrl": web.server.url(HOSTS[0], "/file/dog.mp4")}
    data = json.dumps({"@context": "https://schema.org", **video, "hasPart": clips})
    return web.put("/told", f'<!doctype html><title>A film</title><script type="application/ld+json">{data}</script>')


def snapped(film: Film, begin: int, end: int) -> tuple[int, int]:
    """The frames shown first at a time in [begin, end)."""
    return bisect_left(film.times_ms, begin), bisect_left(film.times_ms, end)


def spans(clips: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(clip["start_frame"], clip["end_frame"]) for clip in clips]


def numbers(data: bytes) -> list[int | None]:
    """What is drawn in the frames of a clip."""
    with av.open(io.BytesIO(data)) as container:
        return [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def samples(outcomes: dict[str, StageOutcome], work: Path) -> dict[str, bytes]:
    """All files of the clips' shards by name, as whoever unpacks them finds them."""
    found = {}
    for shard in rows(outcomes, work, "clip_shards"):
        with tarfile.open(work / shard["path"]) as tar:
            found.update({member.name: tar.extractfile(member).read() for member in tar})  # type: ignore[union-attr]
    return found


def is_told_beside(clip: dict[str, Any], files: dict[str, bytes]) -> None:
    """The JSON of a clip says what its row says, and its stills are there."""
    about = json.loads(files[f"{clip['clip_id']}.json"])
    assert (about["key"], about["sha256"]) == (clip["clip_id"], clip["stored_sha256"])
    assert hashlib.sha256(files[f"{clip['clip_id']}.mp4"]).hexdigest() == about["sha256"]
    stills = [{"frame": still["frame"], "time_ms": still["time_ms"]} for still in clip["key_frames"]]
    assert len(stills) == 3
    assert about["key_frames"] == stills
    same = ("media_id", "start_ms", "end_ms", "start_frame", "end_frame", "frames", "duration_ms", "width", "height",
            "fps", "has_audio", "text")  # fmt: skip
    assert {name: about[name] for name in same} == {name: clip[name] for name in same}
    for number in range(3):
        assert files[f"{clip['clip_id']}.{number}.jpg"][:3] == b"\xff\xd8\xff"


def texts_of(outcomes: dict[str, StageOutcome], work: Path) -> list[str]:
    """Of all clips; the same in rows and in shards."""
    clips, files = rows(outcomes, work, "clips"), samples(outcomes, work)
    texts = [clip["text"] for clip in clips]
    assert [json.loads(files[f"{clip['clip_id']}.json"])["text"] for clip in clips] == texts
    return texts


@pytest.mark.slow
def test_cues_are_clips_of_their_words(web: PageWeb, tmp_path: Path) -> None:
    work, film = tmp_path / "work", web.films["dog.mp4"]
    silent = web.server.url(HOSTS[0], "/file/cat.mp4")
    outcomes = executed(web.recipe([watch(web, CUES), silent], fetch=ENGLISH, **TEXTS), work)
    videos = {video["media_id"]: video for video in rows(outcomes, work, "videos")}
    (track,) = videos[media_id(web.server.url(HOSTS[0], "/watch/dog"))]["subtitles"]
    assert track == {"lang": "en", "kind": "subtitles", "automatic": False, "format": "vtt", "text": vtt(CUES)}
    clips, files = rows(outcomes, work, "clips"), samples(outcomes, work)
    expected = [snapped(film, begin, end) for begin, end, _ in CUES]
    assert spans(clips) == expected == [(13, 36), (49, 75)]
    assert [(clip["start_ms"], clip["end_ms"]) for clip in clips] == [
        (film.times_ms[begin], film.times_ms[end]) for begin, end in expected
    ]
    assert [clip["text"] for clip in clips] == WORDS
    for clip, span in zip(clips, expected, strict=True):
        assert numbers(files[f"{clip['clip_id']}.mp4"]) == list(range(*span))
        is_told_beside(clip, files)
    own = [piece for piece in rows(outcomes, work, "pieces") if piece["media_id"] == clips[0]["media_id"]]
    assert spans(own) == [(0, 13), (13, 36), (36, 49), (49, 75), (75, FRAMES)]
    pieces = rows(outcomes, work, "pieces")
    assert Counter(piece["dropped"] for piece in pieces) == {None: 2, "outside": 4}, "a video without cues is one piece"
    assert outcomes["survive"].manifest.counts["lost:no_clips"] == 1
    assert [row["media_id"] for row in rows(outcomes, work, "final_pairs")] == [clips[0]["media_id"]]


@pytest.mark.slow
def test_other_texts_are_other_clips_where_clips_follow_from_them(web: PageWeb, tmp_path: Path) -> None:
    """The same file, its shots, and a page that says the same: what differs is in `videos` alone."""
    content: dict[str, list[Any]] = {}
    identities: dict[str, set[str]] = {}
    clips = []
    for words in ("A dog runs", "A cat runs"):
        work = tmp_path / words
        recipe = web.recipe([watch(web, [(510, 1490, words)])], fetch=ENGLISH, **TEXTS)
        for kind in ("shots", "chapters", "subtitles"):
            outcomes = executed(recipe, work, f"clips.split.set={kind}")
            ((name, report),) = outcomes["clips"].manifest.reports.items()
            identities.setdefault(kind, set()).add(report.identity)
        for stage, dataset in (("fetch", MEDIA), ("fetch", VIDEOS), ("scenes", SCENES)):
            told = of_unit(outcomes[stage].manifest, name, dataset.name)[1]
            content.setdefault(dataset.name, []).append(told)
        clips.append([(clip["clip_id"], clip["text"]) for clip in rows(outcomes, work, "clips")])
    assert {name: one == other for name, (one, other) in content.items()} == {
        "media": True, "videos": False, "scenes": True
    }  # fmt: skip
    assert {kind: len(each) for kind, each in identities.items()} == {"shots": 1, "chapters": 2, "subtitles": 2}
    ((one, text),), ((other, other_text),) = clips
    assert (one, text, other_text) == (other, "A dog runs", "A cat runs")


@pytest.mark.slow
def test_subtitles_that_changed_meanwhile_are_those_of_the_clips(web: PageWeb, tmp_path: Path) -> None:
    """The video is asked for again, for clips of another kind; then those of the first kind are wanted once more."""
    work = tmp_path / "work"
    fetch = {"video": {"subtitles": ["en"], "keep_source": False}}
    recipe = web.recipe([watch(web, CUES)], fetch=fetch, **TEXTS)
    assert texts_of(executed(recipe, work), work) == WORDS
    changed = [(begin, end - 300, "Something else") for begin, end, _ in CUES]
    watch(web, changed)
    assert texts_of(executed(recipe, work, "clips.cut.crf=30"), work) == 2 * ["Something else"]
    executed(recipe, work)
    again = executed(recipe, work)  # the first may find that the video is missing
    assert texts_of(again, work) == 2 * ["Something else"]
    assert spans(rows(again, work, "clips")) == [snapped(web.films["dog.mp4"], *cue[:2]) for cue in changed]


@pytest.mark.slow
def test_shards_of_other_clips_leave_those_of_before_alone(web: PageWeb, tmp_path: Path) -> None:
    """The same clips with other stills: readers may still be at the first ones."""
    work = tmp_path / "work"
    recipe = web.recipe([watch(web, CUES)], fetch=ENGLISH, **TEXTS)
    first = executed(recipe, work)
    before = samples(first, work)
    second = executed(recipe, work, "clips.cut.key_frames=[0.5]")
    assert len(samples(second, work)) == 2 * 3
    assert samples(first, work) == before


def test_chapters_are_clips_of_their_titles(web: PageWeb, tmp_path: Path) -> None:
    work, film = tmp_path / "work", web.films["dog.mp4"]
    parts = [("The dog", 0, 1.49), ("Its sleep", 1.49, 3.12), ("Nothing", 9.0, 10.0)]
    outcomes = executed(web.recipe([told(web, parts)], **CHAPTERS), work)
    (video,) = rows(outcomes, work, "videos")
    marks = [(round(1000 * begin), round(1000 * end), name) for name, begin, end in parts]
    assert [(chapter["start_ms"], chapter["end_ms"], chapter["title"]) for chapter in video["chapters"]] == marks
    clips, files = rows(outcomes, work, "clips"), samples(outcomes, work)
    expected = [snapped(film, begin, end) for begin, end, _ in marks[:2]]
    assert spans(clips) == expected
    assert [clip["text"] for clip in clips] == ["The dog", "Its sleep"]
    for clip, span in zip(clips, expected, strict=True):
        assert numbers(files[f"{clip['clip_id']}.mp4"]) == list(range(*span))
        assert json.loads(files[f"{clip['clip_id']}.json"])["text"] == clip["text"]
    lost = [piece for piece in rows(outcomes, work, "pieces") if piece["dropped"] not in (None, "outside")]
    assert [(piece["dropped"], piece["start_frame"], piece["end_frame"]) for piece in lost] == [
        ("empty_mark", FRAMES, FRAMES)
    ]


def test_a_chapter_without_a_title_has_no_words(web: PageWeb, tmp_path: Path) -> None:
    """Neither one that the page does not name, nor what lies before the first."""
    work = tmp_path / "work"
    outcomes = executed(web.recipe([told(web, [("The dog", 0.51, 1.49), ("", 1.49, 3.12)])], **CHAPTERS), work)
    (video,) = rows(outcomes, work, "videos")
    assert {chapter["title"] for chapter in video["chapters"]} <= {"The dog", ""}
    assert {clip["text"] for clip in rows(outcomes, work, "clips")} <= {"The dog", "", None}
