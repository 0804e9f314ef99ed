"""Videos and sounds of the demo web: files, and players of platforms under all the URLs that lead to one video."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import quote

from curation.testing.hosts import LICENCES, Host
from curation.testing.phrases import Writer

SCHEMA_FORMS = ("json-ld", "graph", "microdata", "bare")
"""Forms that describe a recording in schema.org's words; bare gives it no address."""


@dataclass(frozen=True)
class Chapter:
    """A part of a recording, in milliseconds from its start; end_ms is None where only the start is said."""

    name: str
    start_ms: int
    end_ms: int | None


@dataclass(frozen=True)
class Recording:
    """A video or sound. url is what makes it one medium: of its file, or the one of all its URLs on its platform.

    kind: file, player (of a known platform) or unknown (a player that no list of platforms has). embeds and pages are
    the URLs of players and of watch pages and share links. licence is a URL; upload_date is ISO 8601.
    """

    modality: str
    kind: str
    url: str
    title: str
    concepts: tuple[str, ...]
    description: str
    keywords: tuple[str, ...]
    transcript: str | None
    chapters: tuple[Chapter, ...]
    duration_ms: int
    upload_date: str
    width: int | None
    height: int | None
    poster: str | None
    licence: str | None
    embeds: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    platform: str | None = None
    platform_id: str | None = None


@dataclass(frozen=True)
class Mention:
    """One way a page names a recording, under the URL src as written.

    form: video, source, audio (elements), object, embed, iframe, lazy-iframe (its src comes by a script), link (to the
    file), share (to a watch page), og, twitter, or one of SCHEMA_FORMS. text: its title attribute or, of link and
    share, what the link says; link_title: the title of a link; figcaption: of the figure around it.
    """

    form: str
    src: str
    recording: Recording
    text: str | None = None
    link_title: str | None = None
    figcaption: str | None = None

    @property
    def found(self) -> bool:
        """Whether a reader can know that this is a recording: not so of a page in an <iframe> that may be anything."""
        return not self.form.endswith("iframe") or self.recording.kind != "unknown"

    @property
    def tracks(self) -> tuple[tuple[str, str, str], ...]:
        """(url, kind, lang) of <track> elements."""
        if self.form != "source":
            return ()
        stem = self.recording.url.partition("?")[0].rpartition(".")[0]
        return ((f"{stem}.vtt", "captions", "en"),)


@dataclass(frozen=True)
class _Platform:
    """An id pattern that no real recording has, its canonical URL, players, and watch pages or share links."""

    ids: str
    canonical: str
    embeds: tuple[str, ...]
    pages: tuple[str, ...]


_PLATFORMS = {
    # The eleventh character of a real identifier holds four bits and is never a B.
    "youtube": _Platform(
        "demo{:06d}B",
        "https://www.youtube.com/watch?v={}",
        (
            "https://www.youtube.com/embed/{}?rel=0",
            "https://www.youtube-nocookie.com/embed/{}",
            "//www.youtube.com/embed/{}",
        ),
        ("https://youtu.be/{}?t=42", "https://www.youtube.com/watch?app=m&v={}", "https://m.youtube.com/shorts/{}"),
    ),
    # Real ones have ten digits.
    "vimeo": _Platform(
        "99{:010d}",
        "https://vimeo.com/{}",
        ("https://player.vimeo.com/video/{}?dnt=1", "//player.vimeo.com/video/{}"),
        ("https://vimeo.com/{}", "https://vimeo.com/channels/demo/{}"),
    ),
    # Real ones have seven characters.
    "dailymotion": _Platform(
        "xdemo{:012d}",
        "https://www.dailymotion.com/video/{}",
        ("https://www.dailymotion.com/embed/video/{}", "https://geo.dailymotion.com/player.html?video={}"),
        ("https://dai.ly/{}", "https://www.dailymotion.com/video/{}_demo"),
    ),
    # Real ones have up to fifteen digits.
    "bilibili": _Platform(
        "99{:016d}",
        "https://www.bilibili.com/video/av{}",
        ("https://player.bilibili.com/player.html?aid={}&page=1", "//player.bilibili.com/player.html?page=1&aid={}"),
        ("https://www.bilibili.com/video/av{}",),
    ),
    # Real ones are random: none has 26 zeros.
    "rutube": _Platform(
        "{:032d}",
        "https://rutube.ru/video/{}/",
        ("https://rutube.ru/play/embed/{}", "//rutube.ru/video/embed/{}"),
        ("https://rutube.ru/video/{}/?r=wd",),
    ),
    # Real ones have ten digits.
    "soundcloud": _Platform(
        "99{:014d}",
        "https://api.soundcloud.com/tracks/{}",
        ("https://w.soundcloud.com/player/?url=https%3A//api.soundcloud.com/tracks/{}&color=%23ff5500",),
        ("https://api.soundcloud.com/tracks/{}",),
    ),
}
_OF_LANGUAGE = {"ru": ("rutube", "youtube"), "zh": ("bilibili", "bilibili"), "ja": ("youtube", "dailymotion")}
_POPULAR = 6
_SIZES = ((1280, 720), (1920, 1080), (640, 360), (720, 1280))


def platform_hosts() -> set[str]:
    """Hosts outside the reserved names that pages of the demo web lead to."""
    urls = [url for row in _PLATFORMS.values() for url in (row.canonical, *row.embeds, *row.pages)]
    return {url.partition("//")[2].partition("/")[0] for url in urls}


def file_recording(host: Host, writer: Writer, rng: random.Random, concept: str, modality: str = "video") -> Recording:
    """A file of a host of its own; some addresses have a query and an ending in capitals."""
    name = f"{quote((concept or 'story').replace(' ', '_'), safe='')}-{rng.randrange(1, 200):03d}"
    if modality == "video":
        ending = rng.choices((".mp4", ".MP4?x=1", ".webm", ".mp4?token=a1&e=9"), (70, 12, 10, 8))[0]
    else:
        ending = rng.choices((".mp3", ".MP3?x=1", ".ogg"), (75, 15, 10))[0]
    url = f"https://video.{host.name}/clips/{writer.lang}/{name}{ending}"
    poster = f"https://video.{host.name}/posters/{writer.lang}/{name}.jpg" if modality == "video" else None
    return _recording(writer, rng, concept, (modality, "file", url, poster, host.licence))


def unknown_recording(host: Host, writer: Writer, rng: random.Random, concept: str) -> Recording:
    """A video in a player that no list of platforms has."""
    name = f"{quote((concept or 'story').replace(' ', '_'), safe='')}-{rng.randrange(1, 200):03d}"
    url = f"https://player.videohub.example/embed/{name}"
    poster = f"https://player.videohub.example/posters/{name}.jpg"
    return _recording(writer, rng, concept, ("video", "unknown", url, poster, host.licence))


@cache
def popular_recordings(lang: str, seed: int, modality: str = "video") -> tuple[Recording, ...]:
    """The recordings of platforms that pages of a language embed again and again."""
    rng = random.Random(f"popular {seed} {lang} {modality}")
    writer = Writer(lang, rng, recorded=True)
    found = []
    for position in range(_POPULAR if modality == "video" else 2):
        names = ("soundcloud",) if modality == "audio" else _OF_LANGUAGE.get(lang, ("youtube", "vimeo", "dailymotion"))
        found.append(_of_platform(names[position % len(names)], writer, rng, modality))
    return tuple(found)


def _of_platform(name: str, writer: Writer, rng: random.Random, modality: str) -> Recording:
    platform = _PLATFORMS[name]
    identity = platform.ids.format(rng.randrange(10**6))
    poster = f"https://thumbs.videohub.example/{name}/{identity}.jpg" if modality == "video" else None
    url = platform.canonical.format(identity)
    licence = rng.choice((None, None, LICENCES["by"]))
    recording = _recording(writer, rng, writer.concept(), (modality, "player", url, poster, licence))
    return replace(
        recording,
        embeds=tuple(form.format(identity) for form in platform.embeds),
        pages=tuple(form.format(identity) for form in platform.pages),
        platform=name,
        platform_id=identity,
    )


def _recording(
    writer: Writer, rng: random.Random, concept: str, what: tuple[str, str, str, str | None, str | None]
) -> Recording:
    """Everything that can be said of a recording of (modality, kind, url, poster, licence)."""
    modality, kind, url, poster, licence = what
    title = writer.video(concept)
    seconds = rng.randrange(20, 3600)
    size = rng.choice(_SIZES) if modality == "video" else (None, None)
    chapters = []
    for start in range(0, seconds - 10, max(seconds // 3, 10)) if rng.random() < 0.4 else ():
        end = (start + 10) * 1000 if rng.random() < 0.5 else None
        chapters.append(Chapter(writer.caption(writer.concept()).text, start * 1000, end))
    speech = [writer.body(writer.concept()) for _ in range(4)] if rng.random() < 0.3 else []
    keywords = [entry for entry in dict.fromkeys((*title.concepts, writer.concept())) if entry]
    return Recording(
        modality=modality,
        kind=kind,
        url=url,
        title=title.text,
        concepts=title.concepts,
        description=f"{writer.caption(concept).text} {writer.body(concept)}",
        keywords=tuple(keywords),
        transcript=" ".join(speech) or None,
        chapters=tuple(chapters),
        duration_ms=seconds * 1000,
        upload_date=f"20{rng.randrange(16, 26)}-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
        width=size[0],
        height=size[1],
        poster=poster,
        licence=licence,
    )
