"""What a page says about its media, as found: before URLs are resolved and texts are cleaned.

The HTML reader and the WAT reader both describe a page so; one place makes candidates of it (curation.crawl.media).
"""

from __future__ import annotations

import msgspec

TEXT_SOURCES = (
    "alt",
    "title",
    "data-image-title",
    "figcaption",
    "link-text",
    "link-title",
    "iframe-title",
    "og:image:alt",
    "og:title",
    "og:description",
    "twitter:image:alt",
    "twitter:title",
    "twitter:description",
    "schema:name",
    "schema:caption",
    "schema:description",
    "schema:keywords",
    "schema:transcript",
    "schema:hasPart",
    "page-title",
    "h1",
)
"""Every field of a page that is read as a text of its media. The first three are MetaCLIP's, in its order."""
MAX_SHARED_CHARS = 5_000
"""A text that is said of more than one medium (caption, link, card, title) is passed over where it is longer."""
MAX_SHARED_MEDIA = 50
"""No text is said of more media than this: galleries of a whole page, and lists of videos."""
MAX_URL_CHARS = 8192
"""Longer URLs of pages, media and <base> are refused: rows repeat them, and servers need not take them (RFC 9110,
section 4.1, asks for 8,000)."""


class Text(msgspec.Struct, gc=False, array_like=True):
    """A text of a medium: the field that says it, and the part of the medium that it is about (None: all of it)."""

    source: str
    text: str
    start_ms: int | None = None
    end_ms: int | None = None


class Track(msgspec.Struct, gc=False, array_like=True):
    """Timed text beside a medium."""

    url: str
    kind: str
    lang: str | None


class Medium(msgspec.Struct):
    """An image, video or audio that a page shows, links to or describes."""

    modality: str
    url: str
    texts: list[Text] = []
    licence: str | None = None
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    upload_date: str | None = None
    poster_url: str | None = None
    tracks: list[Track] = []

    def say(self, source: str, text: str | None) -> None:
        """Adds a text, if there is one."""
        if text:
            self.texts.append(Text(source, text))

    def adopt(self, other: Medium) -> None:
        """Takes over the texts of another description of the same medium, and the facts that are not known yet."""
        self.texts += other.texts
        self.tracks += other.tracks
        for name in ("licence", "width", "height", "duration_ms", "upload_date", "poster_url"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(other, name))


class Page(msgspec.Struct):
    """A page: what concerns all of its media, and its media in the order they were found."""

    base: str | None = None
    lang: str | None = None
    canonical: str | None = None
    licence: str | None = None
    robots: list[str] = []
    texts: list[Text] = []
    """Texts about the page as a whole, which describe its videos and audios."""
    media: list[Medium] = []
    unplaced: list[Medium] = []
    """Described, but without a URL: they belong to the page's one video or audio, if it has just one."""
    odd: dict[str, int] = {}
    """Values of an unexpected shape that were passed over, by name."""
