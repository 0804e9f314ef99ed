"""What is known of a video for all of its clips: cut out of it for each, read and parsed once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from caption_fakes import RED, ColouredMedia
from hypothesis import example, given
from hypothesis import strategies as st

from curation.captions import films
from curation.captions.captioning import Captioning
from curation.captions.films import CuesByTime, Film
from curation.captions.samples import Media
from curation.captions.timed_text import Cue, Word, clean, text_within
from curation.captions.words import Words
from curation.recipe.captions import Captions, TextsCaptioner

Row = dict[str, Any]


def stamp(ms: int) -> str:
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def track(minutes: int, lang: str = "en", **more: Any) -> Row:
    """A cue of a sentence every 3 s."""
    times = range(0, minutes * 60_000, 3000)
    cues = (f"{stamp(ms)} --> {stamp(ms + 2900)}\nSentence {ms // 3000} in {lang}.\n" for ms in times)
    text = "\n".join(["WEBVTT\n", *cues])
    return {"lang": lang, "kind": "subtitles", "automatic": False, "format": "vtt", "text": text, **more}


def row(*tracks: Row, minutes: int = 10, **more: Any) -> Row:
    told = {"title": "A dog", "description": None, "tags": [], "chapters": [], "subtitles": list(tracks)}
    return {"duration_ms": minutes * 60_000, **told, **more}


def clip(start: int, end: int) -> Row:
    same = {"sample_id": f"a-{start}-{end}", "media_id": "a", "modality": "video", "stored_sha256": "c", "mark": None}
    return {"start_ms": start, "end_ms": end, "duration_ms": end - start, **same}


# --------------------------------------------------------------------------------------------- cut for clips


@st.composite
def spoken(draw: st.DrawFn) -> list[Cue]:
    """Cues ordered by start, which may overlap and be long, some with times of words, as cleaning leaves them."""
    found = []
    for number in range(draw(st.integers(0, 9))):
        start = draw(st.integers(0, 60))
        end = start + draw(st.integers(1, 20) | st.integers(1, 90))
        parts = [f"w{number}x{place}" for place in range(draw(st.integers(1, 4)))]
        times = sorted(draw(st.integers(start, end)) for _ in parts)
        words = tuple(map(Word, times, parts)) if draw(st.booleans()) else ()
        found.append(Cue(start, end, " ".join(parts), words))
    return clean(found)


def in_it_by_half(start: int, end: int, clip: tuple[int, int]) -> bool:
    if start == end:
        return clip[0] <= start < clip[1]
    return 2 * len(range(max(start, clip[0]), min(end, clip[1]))) >= end - start


@given(spoken(), st.integers(0, 70), st.integers(1, 40))
@example([Cue(7000, 13_000, "First we chop an onion.")], 10_000, 9000)
@example([Cue(0, 20, "a b", (Word(0, "a"), Word(20, "b")))], 20, 1)
@example([Cue(0, 90, "a", (Word(0, "a"),)), Cue(0, 90, "b"), Cue(30, 40, "c")], 35, 40)
def test_what_is_said_in_a_clip_by_the_definition(cues: list[Cue], start: int, length: int) -> None:
    clip = start, start + length
    wanted = []
    for cue in cues:
        ends = [word.start_ms for word in cue.words[1:]] + [cue.end_ms]
        words = [word for word, end in zip(cue.words, ends, strict=False) if in_it_by_half(word.start_ms, end, clip)]
        if words or (not cue.words and in_it_by_half(cue.start_ms, cue.end_ms, clip)):
            wanted.append((" ".join(word.text for word in words) or cue.text,
                           tuple(Word(max(word.start_ms - start, 0), word.text) for word in words)))  # fmt: skip
    found = CuesByTime(cues).within(*clip)
    assert [(cue.text, cue.words) for cue in found] == wanted
    assert all(0 <= cue.start_ms < cue.end_ms <= length for cue in found)
    assert all(cue.start_ms <= word.start_ms <= cue.end_ms for cue in found for word in cue.words)
    assert text_within(found, 0, length) == text_within(cues, *clip)
    assert CuesByTime(found).within(0, length) == found


def test_cues_are_cut_to_the_clip() -> None:
    onion, fried, later = Cue(7000, 13_000, "Chop an onion."), Cue(13_000, 16_000, "Fry."), Cue(18_900, 30_000, "Now.")
    words = Cue(16_000, 22_000, "four five six", (Word(16_500, "four"), Word(18_000, "five"), Word(20_000, "six")))
    assert CuesByTime([onion, fried, words, later]).within(10_000, 19_000) == [
        Cue(0, 3000, "Chop an onion."), Cue(3000, 6000, "Fry."),
        Cue(6000, 9000, "four five", (Word(6500, "four"), Word(8000, "five"))),
    ]  # fmt: skip
    assert CuesByTime([words]).within(17_500, 30_000) == [
        Cue(500, 4500, "five six", (Word(500, "five"), Word(2500, "six")))
    ]


class Counted(list[Cue]):
    """Cues that count which of them were looked at."""

    seen = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.seen += len(found)
        return found


@pytest.mark.parametrize("first", [Cue(0, 9_000_000, "A watermark"), Cue(0, 9, "Hello", (Word(0, "Hello"),))])
def test_a_clip_looks_at_the_cues_around_it(first: Cue) -> None:
    cues = Counted([first, *(Cue(ms, ms + 2900, f"{ms}") for ms in range(10, 7_200_000, 3000))])
    by_time = CuesByTime(cues)
    for start in range(0, 7_200_000, 8000):
        by_time.within(start, start + 8000)
    assert cues.seen < 4 * len(cues)


# --------------------------------------------------------------------------------------------- once for all of them


@contextmanager
def counted(*names: str) -> Iterator[Counter[str]]:
    """How often the module calls what it takes from elsewhere."""
    calls: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setattr(films, name, partial(_call, calls, name, getattr(films, name)))
        yield calls


def _call(calls: Counter[str], name: str, own: Callable[..., Any], *given: Any) -> Any:
    calls[name] += 1
    return own(*given)


PARSING = ("read_track", "clean", "video_chapters", "weak_labels")


def test_a_film_is_parsed_once_for_all_its_clips_and_captioners() -> None:
    broken = track(0, "en", text="no timed text")
    reads = []
    film = Film(lambda: reads.append(1) or row(broken, track(60), track(60, "de"), minutes=60))  # type: ignore[func-returns-value]
    every: list[Row] = [{"source": source} for source in ("page", "hashtags", "chapters")]
    every += [{"source": "subtitles", "languages": list(languages)} for languages in ((), ("en",), ("en-US", "de"))]
    captioners = [TextsCaptioner.model_validate(each) for each in every]
    with counted(*PARSING) as calls:
        for start in range(0, 3_600_000, 8000):
            words = Words(clip(start, start + 8000), [], film)
            said = [words.captions(captioner) for captioner in captioners]
            assert [len(captions) for captions in said] == [1, 0, 0, 1, 1, 1]
    assert calls == {"read_track": 3, "clean": 2, "video_chapters": 1, "weak_labels": 1}
    assert len(reads) == 1


def test_threads_that_begin_at_once_parse_it_once() -> None:
    film, gate = Film(lambda: row(track(30))), threading.Barrier(8)

    def said(number: int) -> str | None:
        words = Words(clip(3000 * number, 3000 * number + 3000), [], film)
        gate.wait(20)
        _, cues = words.subtitles(["en"])
        return cues[0].text

    with counted(*PARSING) as calls, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(said, range(8))) == [f"Sentence {number} in en." for number in range(8)]
    assert calls["read_track"] == calls["clean"] == 1


def test_words_of_queued_clips_hold_nothing_of_the_film() -> None:
    def never() -> Row:
        raise AssertionError("it was read")

    film = Film(never)
    queued = [Words(clip(start, start + 1), [], film) for start in range(900)]
    with pytest.raises(AssertionError, match="it was read"):
        queued[0].subtitles([])


@pytest.mark.parametrize(("prompt", "parses"), [("See.", 0), ("It says {subtitles}", 1)])
def test_without_a_use_for_them_subtitles_are_not_parsed(prompt: str, parses: int) -> None:
    section = Captions.model_validate({
        "captioners": [{"source": "alt"}, {"source": "model", "name": "t", "model": "m", "modalities": ["image"]}],
        "models": {"m": {"backend": "server", "url": "http://127.0.0.1:1/v1", "model": "a"}},
    })  # fmt: skip
    captioning = Captioning(section, {"t": {"brief": prompt}}, {})

    @contextmanager
    def opened(_: Any) -> Iterator[Media]:
        yield ColouredMedia([RED], 1)

    film = Film(lambda: row(track(1)))
    with counted("read_track") as calls:
        for start in range(0, 60_000, 3000):
            taken = clip(start, start + 3000)
            captioning.outcomes(taken, Words(taken, [], film), {}, opened)
    assert calls["read_track"] == parses
