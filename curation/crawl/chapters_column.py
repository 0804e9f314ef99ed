"""Cells that hold several texts, or one text in pieces: chapters and tags."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any, NamedTuple

from curation.crawl.cells import UNREADABLE
from curation.crawl.pages import without_surrogates
from curation.crawl.quantities import milliseconds

_TITLES = ("title", "name", "text", "caption")
_STARTS = ("start", "start_time", "time", "timestamp")
_ENDS = ("end", "end_time")
MAX_CHAPTERS = 10_000
"""More of them in one cell are no chapters: each repeats its media's URL and facts."""
_SHOWN = 60  # characters of a refused value


class Chapter(NamedTuple):
    """A part of the media and what it is about; times in milliseconds, end_ms None where nobody says it."""

    title: str
    start_ms: int
    end_ms: int | None


class Chapters(NamedTuple):
    """What a cell gave: chapters, the number of those without a title, why others were refused, and what was odd."""

    chapters: list[Chapter]
    untitled: int
    refused: list[str]
    odd: list[str]


class _Found(NamedTuple):
    title: Any
    start: int | None
    end: int | None
    said_start: Any
    said_end: Any


def read_chapters(value: Any, duration_ms: int | None) -> Chapters:
    """Chapters of a list of {start, title, end} or (start, title), of a mapping start -> title, or of either as JSON.

    A chapter's keys are start, start_time, time or timestamp; end or end_time; title, name, text or caption; `span`
    (HD-VILA) is [start, end]. Times are read by milliseconds(). Without an end of its own behind its start (odd: end) a
    chapter ends where the next begins, in the order of time, the last one where the media does. A chapter without a
    readable start is refused; starts that do not ascend are odd (chapter_order) and nothing more.
    """
    try:
        found = [_found(item) for item in _items(value)]
    except (ValueError, RecursionError) as error:
        return Chapters([], 0, [str(error)], [])
    starts = [each.start for each in found if each.start is not None]
    order = sorted(set(starts))
    result = Chapters([], 0, [], ["chapter_order"] if starts != sorted(starts) else [])
    untitled = 0
    for at, (title, start, end, said_start, said_end) in enumerate(found):
        if title is None or (isinstance(title, str) and not title.strip()):
            untitled += 1
        elif not isinstance(title, str):
            result.refused.append(f"chapter {at} has no title that is text")
        elif start is None:
            result.refused.append(f"chapter {at} begins at {_shown(said_start)}, not at a time")
        else:
            ends = end is not None and end > start
            if said_end is not None and not ends:
                result.odd.append("end")
            until = end if ends else _next(order, start, duration_ms)
            result.chapters.append(Chapter(without_surrogates(title), start, until))
    return result._replace(untitled=untitled)


def _items(value: Any) -> list[Any]:
    if isinstance(value, str):
        value = json.loads(value) if value.strip() else None
    if isinstance(value, dict):
        value = [value] if "title" in value else list(value.items())
    if value is not None and not isinstance(value, list):
        raise ValueError(f"{_shown(value)}, not chapters")
    if value and len(value) > MAX_CHAPTERS:
        raise ValueError(f"{len(value)} chapters; above {MAX_CHAPTERS} they are none")
    return value or []


def _found(item: Any) -> _Found:
    if isinstance(item, dict):
        span = item.get("span")
        start, end = span if isinstance(span, list) and len(span) == 2 else (_first(item, _STARTS), _first(item, _ENDS))
        title = _first(item, _TITLES)
    elif isinstance(item, list | tuple) and len(item) == 2:
        (start, title), end = item, None
    else:
        start = end = None
        title = item if item is None else UNREADABLE
    return _Found(title, milliseconds(start), milliseconds(end), start, end)


def _first(item: dict[Any, Any], keys: tuple[str, ...]) -> Any:
    return next((item[key] for key in keys if item.get(key) is not None), None)


def _next(order: list[int], start: int, duration_ms: int | None) -> int | None:
    behind = bisect_right(order, start)
    if behind < len(order):
        return order[behind]
    return duration_ms if duration_ms is not None and duration_ms > start else None


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value[:_SHOWN])
    shows = value is None or (isinstance(value, int | float) and abs(value) < 1e300)
    return str(value)[:_SHOWN] if shows else type(value).__name__


def read_tags(value: Any) -> Any:
    """One text of a list of tags, of such a list as JSON or as Python writes it, or of a text with commas.

    UNREADABLE for anything else; None for no tags.
    """
    if isinstance(value, str):
        value = _tag_list(value.strip())
    if value is None or value is UNREADABLE:
        return value
    if not isinstance(value, list) or not all(isinstance(tag, str | None) for tag in value):
        return UNREADABLE
    return ", ".join(without_surrogates(tag).strip() for tag in value if tag and tag.strip()) or None


def _tag_list(text: str) -> Any:
    listed = text[:1] == "[" and text[-1:] == "]"
    if listed:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            text = text[1:-1]
    tags = [tag.strip() for tag in text.split(",")]
    return [tag.strip("'\"").strip() for tag in tags] if listed else tags
