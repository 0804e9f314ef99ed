"""What a generated web says, page by page: what a test holds the pipeline against."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from curation.errors import Reason

_PICTURE_PATH = re.compile(r"/pictures/([a-z]{2})/([^/]+)/(\d+)\.jpg$")


@dataclass(frozen=True)
class Picture:
    """What an image shows: an entry of a language's starter vocabulary, and which picture of it (from 1)."""

    lang: str
    concept: str
    number: int

    @property
    def path(self) -> str:
        """Path of the picture's URL, the same on every host."""
        slug = quote(self.concept.replace(" ", "_"), safe="")
        return f"/pictures/{self.lang}/{slug}/{self.number:04d}.jpg"


def picture_of(url: str) -> Picture | None:
    """The picture behind an image URL, whatever its host and query; None for logos, spacers, avatars and others."""
    found = _PICTURE_PATH.search(urlsplit(url).path)
    if found is None:
        return None
    lang, slug, number = found.groups()
    return Picture(lang, unquote(slug).replace("_", " "), int(number))


@dataclass(frozen=True)
class ImageFact:
    """One <img>. `url` is absolute, None where src is no http(s) URL; texts as HTML decodes them, None where absent.

    kind: caption, recased (Every Word Like This), label, unknown (holds no entry on purpose), file-name, generic, url,
    contact, empty, missing, title-only, lazy (src is an inline placeholder, real_src the image), inline, teaser (the
    same on all pages of its host), world (one picture under several languages), spacer, logo, pixel, avatar.
    form: how the markup holds it (plain, figure, link, picture, srcset, lazy, noscript). concepts: the entries its
    texts were made from. data_title: attribute data-image-title, which no WAT holds.
    """

    kind: str
    src: str
    url: str | None
    alt: str | None = None
    title: str | None = None
    figcaption: str | None = None
    concepts: tuple[str, ...] = ()
    form: str = "plain"
    real_src: str | None = None
    data_title: str | None = None

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """(field, text) as a WAT reader should report them: http(s) images only, trimmed, one line, not empty."""
        if self.url is None:
            return ()
        cleaned = (
            (field_name, " ".join(text.replace("\r", " ").split("\n")).strip())
            for field_name, text in (("alt", self.alt), ("title", self.title))
            if text is not None
        )
        return tuple((field_name, text) for field_name, text in cleaned if text)


@dataclass(frozen=True)
class VideoFact:
    """One way a page names a video (form: video, source, og, json-ld, iframe, link). `url` is absolute."""

    form: str
    url: str
    title: str
    concepts: tuple[str, ...] = ()
    poster: str | None = None


@dataclass(frozen=True)
class PageFact:
    """One page. Offsets are bytes from the start of the archive to the page's response (WARC) or its record (WAT).

    robots and robots_header: lower-case directives, sorted. in_wat is False where the WAT's record was damaged.
    """

    url: str
    lang: str
    title: str
    charset: str
    charset_in: str
    base: str | None = None
    robots: tuple[str, ...] = ()
    robots_header: tuple[str, ...] = ()
    tdm_reserved: bool = False
    licence: str | None = None
    og: tuple[tuple[str, str], ...] = ()
    images: tuple[ImageFact, ...] = ()
    videos: tuple[VideoFact, ...] = ()
    date: str = ""
    warc: str = ""
    wat: str = ""
    warc_offset: int = 0
    wat_offset: int = 0
    in_wat: bool = True

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def directives(self) -> tuple[str, ...]:
        """Robots directives of page and header together, sorted, each once."""
        return tuple(sorted({*self.robots, *self.robots_header}))


@dataclass(frozen=True)
class Damage:
    """What is wrong with an archive, and what a careful reader makes of it.

    offset: byte where the damaged member starts. reasons: codes a reader may give it (empty: nothing to reject).
    lost: pages whose record is damaged; a reader may salvage them, but need not. All other pages must come through.
    """

    path: Path
    what: str
    offset: int
    reasons: frozenset[Reason]
    lost: tuple[str, ...]


@dataclass(frozen=True)
class Web:
    """A generated web: where its archives lie, and every page's facts in the order they were written."""

    folder: Path
    snapshot: str
    warcs: tuple[Path, ...]
    wats: tuple[Path, ...]
    pages: tuple[PageFact, ...]
    damage: Damage | None = None

    @property
    def images(self) -> Iterator[tuple[PageFact, ImageFact]]:
        """Every <img> of every page, with its page."""
        return ((page, image) for page in self.pages for image in page.images)

    def candidates(self) -> Iterator[tuple[PageFact, ImageFact, str, str]]:
        """(page, image, field, text) of every text about an http(s) image that the WAT files still hold."""
        for page, image in self.images:
            if page.in_wat:
                for field_name, text in image.texts:
                    yield page, image, field_name, text
