"""What a page says of its video: bounded, in plain types, whatever the page sends."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_WORDS: Final = 500
"""Characters of a title, a tag, a name."""
MAX_DESCRIPTION: Final = 20_000
MAX_LIST: Final = 200
"""Tags and categories."""
MAX_CHAPTERS: Final = 2000

UNKNOWN: Final = "und"
"""Language of a text of which nobody says it (BCP 47: undetermined)."""

Chapter = tuple[int, int, str]
"""start_ms, end_ms, title."""


@dataclass(frozen=True, slots=True)
class Subtitle:
    """A text track as it was sent. language: UNKNOWN where nobody says it. format: vtt, srt, ttml ... kind: subtitles,
    captions or chapters.
    """

    language: str
    automatic: bool
    format: str
    text: str
    kind: str = "subtitles"


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """None and empty: it is not said. A file that stands for itself says nothing."""

    title: str | None = None
    description: str | None = None
    chapters: tuple[Chapter, ...] = ()
    subtitles: tuple[Subtitle, ...] = ()
    missing_subtitles: tuple[str, ...] = ()
    """Of the texts asked for, those that did not come, with the reason: "en: ...", "chapters en: ...". That a language
    is not offered is said of pages and playlists alone: a file that stands for itself has no place for an offer."""
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    licence: str | None = None
    uploader: str | None = None
    upload_date: str | None = None
    """YYYYMMDD, UTC."""
    language: str | None = None
    platform: str | None = None
    """yt-dlp's name of the site, "generic" for any page; None for a file."""
    platform_id: str | None = None
    webpage_url: str | None = None
    age_limit: int | None = None
    """Years."""
    view_count: int | None = None
    like_count: int | None = None


def described_info(info: Mapping[str, Any], subtitles: Iterable[Subtitle], missing: Iterable[str]) -> VideoInfo:
    """yt-dlp's description, types checked and sizes bounded."""
    if "extractor" not in info:
        return VideoInfo()
    title, own = words(info.get("title")), info.get("extractor") in ("generic", "html5")
    if own and title == info.get("id"):  # it is made of the address
        title = None
        if info.get("direct"):
            return VideoInfo()
    if own and title is not None:
        title = title.removesuffix(" (1)")  # the first of a page's videos
    return VideoInfo(
        title=title,
        description=words(info.get("description"), MAX_DESCRIPTION),
        chapters=_chapters(info.get("chapters")),
        subtitles=tuple(subtitles),
        missing_subtitles=tuple(missing),
        tags=_list(info.get("tags")),
        categories=_list(info.get("categories")),
        licence=words(info.get("license")),
        uploader=words(info.get("uploader")) or words(info.get("channel")),
        upload_date=words(info.get("upload_date"), 8),
        language=words(info.get("language")),
        platform=words(info.get("extractor")),
        platform_id=words(info.get("id")),
        webpage_url=words(info.get("webpage_url"), 16 << 10),
        age_limit=_number(info.get("age_limit")),
        view_count=_number(info.get("view_count")),
        like_count=_number(info.get("like_count")),
    )


def words(value: object, most: int = MAX_WORDS) -> str | None:
    """Text without NULs and lone surrogates; None for what is none, or empty."""
    if not isinstance(value, str):
        return None
    short = value[:most].encode("utf-8", "replace").decode("utf-8").replace("\0", " ").strip()
    return short or None


def _list(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(found for item in value[:MAX_LIST] if (found := words(item)))


def _number(value: object, times: int = 1) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    number = round(value * times)
    return number if 0 <= number < 1 << 62 else None


_UNTITLED = re.compile(r"<Untitled Chapter \d+>").fullmatch  # yt-dlp's name for what has none


def _chapters(value: object) -> tuple[Chapter, ...]:
    """Those with bounds in order; one without an end is left out."""
    found: list[Chapter] = []
    for item in value[:MAX_CHAPTERS] if isinstance(value, list) else ():
        if isinstance(item, dict):
            start, end = _number(item.get("start_time"), 1000), _number(item.get("end_time"), 1000)
            if start is not None and end is not None and start < end:
                title = words(item.get("title")) or ""
                found.append((start, end, "" if _UNTITLED(title) else title))
    return tuple(found)
