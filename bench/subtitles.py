"""Subtitles read and cleaned, beside pysubs2 reading them without cleaning."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import pysubs2

from bench.data import real_data
from bench.harness import OURS, Cost, Row, cpu_seconds
from curation.captions.timed_text import Cue, clean, read_cues
from curation.captions.timed_text.webvtt import webvtt_time

PEER = "pysubs2"
WORDS = 7
"""Of a line of YouTube's automatic captions, about."""
TIMES = 20
"""That the files are read in a run; 6 MB."""


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    paths = real_data("video_text/subtitles/*.srt", "video_text/subtitles/*.vtt")
    texts = [path.read_text("utf-8-sig") for path in paths]
    texts.append(_automatic(read_cues(texts[0])))
    yield {
        OURS: cpu_seconds(partial(_read, OURS, texts, lambda text: clean(read_cues(text)))),
        PEER: cpu_seconds(partial(_read, PEER, texts, _by_peer)),
    }


def _by_peer(text: str) -> list[str]:
    return [event.plaintext for event in pysubs2.SSAFile.from_string(text)]


def _read(side: str, texts: list[str], read: Callable[[str], object]) -> None:
    begun = time.process_time()
    for text in texts * TIMES:
        read(text)
    size = TIMES * sum(len(text.encode()) for text in texts)
    ROW.notes[side] = f"{size / (time.process_time() - begun) / 1e6:.0f} MB/s"


def _automatic(cues: list[Cue]) -> str:
    """The words of cues as YouTube shows what it heard: a line at a time, its words timed, the line before above it."""
    words = [
        (cue.start_ms + place * (cue.end_ms - cue.start_ms) // len(said), word)
        for cue in cues
        for said in [cue.text.split()]
        for place, word in enumerate(said)
    ]
    lines = [words[place : place + WORDS] for place in range(0, len(words), WORDS)]
    shown, above = [], " "
    for line, after in pairwise([*lines, [(words[-1][0] + 1000, "")]]):
        (start, first), end = line[0], after[0][0]
        timed = first + "".join(f"<{webvtt_time(moment)}><c> {word}</c>" for moment, word in line[1:])
        finished = " ".join(word for _, word in line)
        times = [webvtt_time(moment) for moment in (start, end - 10, end)]
        shown.append(f"{times[0]} --> {times[1]} align:start position:0%\n{above}\n{timed}\n")
        shown.append(f"{times[1]} --> {times[2]} align:start position:0%\n{finished}\n \n")
        above = finished
    return "\n".join(["WEBVTT\nKind: captions\nLanguage: en\n", *shown])


ROW = Row(
    "subtitles",
    "eight real files of subtitles and automatic captions made of one, read and cleaned, one core; the peer only reads",
    "CPU s",
    {PEER: 1.5},
    _sides,
)
