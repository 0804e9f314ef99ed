"""Chapters of a video: written as lines of its description, or said by its page, a text track, or structured data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from curation.captions.timed_text.cues import TimedTextError
from curation.captions.timed_text.reading import read_cues

MAX_TITLE = 500
"""Characters of a chapter's title, as everywhere of a video's title, tags and names."""
PART_SOURCES = frozenset(("schema:hasPart", "chapter"))
"""Text sources of the titles of parts: structured data of pages, and chapters of tables."""
Source = Literal["page", "track", "schema:hasPart", "description"]


class Chapter(NamedTuple):
    """[start_ms, end_ms) of a video, and what it is called there."""

    start_ms: int
    end_ms: int
    title: str


class VideoChapter(NamedTuple):
    """A chapter and who said it."""

    start_ms: int
    end_ms: int
    title: str
    source: Source


_TIME = re.compile(r":(?<=\d:)\d\d").search  # a digit, a colon, two digits; regular expressions look fast for one colon
_URL = re.compile(r"http\S+")
_NO_TIME = re.compile(r"\d{3}:|:\d{3}|\d\d:\d\d:\d\d:\d\d").search
_STAMPS = [re.compile(form).search for form in (r"\d\d:\d\d:\d\d", r"\d:\d\d:\d\d", r"\d\d:\d\d", r"\d:\d\d")]
_ALPHANUMERIC = re.compile(r"[^\W_]").search


def parse_chapters(description: str, duration_ms: int) -> list[Chapter]:
    """The chapters that a description lists, by the rules of VidChapters-7M; [] where it lists none.

    A line is looked at if it holds a digit, a colon and two digits. Its http URLs are taken out; then it is refused if
    three digits stand next to a colon, or four groups are joined by colons. Its time is the first HH:MM:SS, else the
    first H:MM:SS, MM:SS, M:SS. The title is the line without that time, from its first to its last alphanumeric
    character; without a title the line is dropped. There are chapters if more than one line remains, one title at least
    is longer than a character, times strictly increase as listed and none is behind duration_ms. A chapter ends where
    the next begins, the last one where the video does (which may be where it begins).

    Where these words leave room, the readings are those of the released code:
    - Lines end at a line feed only. The carriage return before it is no alphanumeric character, so it ends no title.
    - Digits are decimal digits of any script, a colon is U+003A alone, alphanumeric is str.isalnum: letters and numbers
      of any script, but no combining marks, so a title that ends in one (Devanagari, Thai ...) loses it.
    - A URL is "http", however it goes on, to the next white space; lower case, anywhere in the line.
    - Three digits (or more) touch the colon, anywhere in the line; four groups are four of two digits: 00:00:00:00 is
      refused, in 0:00:00:00 the time is 00:00:00.
    - Nothing has to stand before or behind a time: in 1:2:33 it is 2:33, and 1: belongs to the title.
    - Minutes and seconds may be above 59: 99:99 is 6039 s. The first chapter may begin anywhere, and last no time.
    - What joins the two sides of a time is left as it is: a title may hold two spaces in a row.
    """
    found: list[tuple[int, str]] = []
    start = 0
    while time := _TIME(description, start):
        start = max(start, description.rfind("\n", start, time.start()) + 1)
        end = description.find("\n", time.end())
        line = description[start : end if end >= 0 else None]
        chapter = _timed(line)
        if chapter is not None:
            if found and chapter[0] <= found[-1][0]:
                return []
            found.append(chapter)
        if end < 0:
            break
        start = end + 1
    if len(found) < 2 or all(len(title) <= 1 for _, title in found) or found[-1][0] > duration_ms:
        return []
    ends = [*(begin for begin, _ in found[1:]), duration_ms]
    return [Chapter(begin, end, title) for (begin, title), end in zip(found, ends, strict=True)]


def _timed(line: str) -> tuple[int, str] | None:
    """A line's time in milliseconds, and its title."""
    line = _URL.sub("", line)
    stamp = next((found for search in _STAMPS if (found := search(line))), None)
    if stamp is None or _NO_TIME(line):
        return None
    title = _trimmed(line[: stamp.start()] + line[stamp.end() :])
    if not title:
        return None
    seconds = 0
    for group in stamp[0].split(":"):
        seconds = 60 * seconds + int(group)
    return 1000 * seconds, title


def _trimmed(text: str) -> str:
    first = _ALPHANUMERIC(text)
    last = _ALPHANUMERIC(text[::-1])
    return text[first.start() : len(text) - last.start()] if first and last else ""


# ------------------------------------------------------------------------------------------- of all that was said


def video_chapters(video: Mapping[str, Any], parts: Iterable[Mapping[str, Any]] = ()) -> list[VideoChapter]:
    """The chapters of a video (a row of `videos`), from the first that says any, in order of trust.

    1. page: what the page or its player says, `chapters`, as they are.
    2. track: the cues of the first of `subtitles` that has some and whose `kind` is chapters (no kind: subtitles).
    3. schema:hasPart: `parts`, what pages and tables say of it (PART_SOURCES), as rows of `candidates`: start_ms,
       end_ms, text. Those without a begin are passed over: a text that something else said first lost it.
    4. description: parse_chapters of `description` and `duration_ms`.

    Those of 2 and 3 are put in the order of time; one without an end ends where the next begins, the last one where the
    video does; what begins behind its end, or is empty, is left out. Titles have their white space in single spaces, no
    NUL, no lone surrogates and at most MAX_TITLE characters; 1 to 3 may leave them empty.
    """
    for source, chapters in _said(video, parts):
        if chapters:
            return [VideoChapter(start, end, _clean(title), source) for start, end, title in chapters]
    return []


def _said(video: Mapping[str, Any], parts: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Source, list[Chapter]]]:
    duration = video.get("duration_ms") or 0
    yield "page", [Chapter(row["start_ms"], row["end_ms"], row["title"]) for row in video["chapters"]]
    for track in video["subtitles"]:
        if track.get("kind") == "chapters":
            with suppress(TimedTextError):  # another one may be read
                cues = read_cues(track["text"])
                yield "track", _ended(((cue.start_ms, cue.end_ms, cue.text) for cue in cues), duration)
    timed = ((row["start_ms"], row["end_ms"], row["text"]) for row in parts if row["start_ms"] is not None)
    yield "schema:hasPart", _ended(timed, duration)
    yield "description", parse_chapters(video.get("description") or "", duration)


def open_ends(starts: Iterable[int], last_ms: int) -> dict[int, int]:
    """Where parts end of which nobody says it, by their begins: where the next part begins, but not behind last_ms."""
    ordered = sorted(set(starts))
    return {start: min(after, last_ms) for start, after in pairwise([*ordered, last_ms])}


def _ended(said: Iterable[tuple[int, int | None, str]], duration_ms: int) -> list[Chapter]:
    ordered = sorted(set(said), key=lambda part: (part[0], part[2], part[1] or 0))
    ends = open_ends((start for start, _, _ in ordered), duration_ms)
    found = []
    for start, end, title in ordered:
        until = min(ends[start] if end is None else end, duration_ms)
        if start < until:
            found.append(Chapter(start, until, title))
    return found


def _clean(title: str) -> str:
    words = title.replace("\0", " ").encode("utf-8", "ignore").decode("utf-8").split()
    return " ".join(words)[:MAX_TITLE].rstrip()
