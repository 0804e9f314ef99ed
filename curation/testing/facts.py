"""What a generated web says, page by page: what a test holds the pipeline against."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from curation.errors import Reason
from curation.testing.recordings import Mention

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


def one_line(text: str | None) -> str:
    """A text as readers report it: line breaks as spaces, trimmed; empty for None."""
    return (text or "").replace("\r", " ").replace("\n", " ").strip()


@dataclass(frozen=True)
class ImageFact:
    """One <img>. `url` is absolute, None where src is no http(s) URL; texts as HTML decodes them, None where absent.

    kind: caption, recased (Every Word Like This), label, unknown (holds no entry on purpose), file-name, generic, url,
    contact, empty, missing, title-only, lazy (src is an inline placeholder, real_src the image), inline, teaser (the
    same on all pages of its host), world (one picture under several languages), private (robots.txt disallows it),
    spacer, logo, pixel, avatar.
    form: how the markup holds it (plain, figure, link, picture, srcset, lazy, noscript). concepts: the entries its
    texts were made from. data_title: attribute data-image-title, which our WAT files do not hold.
    srcset: that of the <img>, of its <source> (picture) or, where it loads lazily, its data-srcset.
    best_url: absolute URL of the largest candidate, where that is not `url`.
    licence: URL of the licence that its figure links to. described: how schema.org's words speak of it (json-ld,
    article, microdata), with schema_name and schema_caption. width, height: pixels.
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
    srcset: str | None = None
    best_url: str | None = None
    link_text: str | None = None
    link_title: str | None = None
    licence: str | None = None
    width: int | None = None
    height: int | None = None
    described: str | None = None
    schema_name: str | None = None
    schema_caption: str | None = None

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """(field, text) as a WAT reader should report them: http(s) images only, trimmed, one line, not empty."""
        if self.url is None:
            return ()
        found = (("alt", one_line(self.alt)), ("title", one_line(self.title)))
        return tuple((field_name, text) for field_name, text in found if text)


@dataclass(frozen=True)
class Card:
    """What a page says of itself for those who link to it: Open Graph (kind og) or Twitter's tags (twitter)."""

    kind: str
    title: str
    description: str
    image: str | None = None
    image_alt: str | None = None


@dataclass(frozen=True)
class PageFact:
    """One page. Offsets are bytes from the start of the archive to the page's response (WARC) or its record (WAT).

    robots and robots_header: lower-case directives, sorted, those for one agent as "agent: directive"; robots_sent is
    the header as sent. tdm_reserved and tdm_header: a reservation of text and data mining in a <meta>, in the header.
    canonical: rel=canonical, absolute. licence: a URL. in_wat is False where the WAT's record was damaged.
    """

    url: str
    lang: str
    title: str
    charset: str
    charset_in: str
    canonical: str = ""
    base: str | None = None
    robots: tuple[str, ...] = ()
    robots_header: tuple[str, ...] = ()
    robots_sent: str | None = None
    tdm_reserved: bool = False
    tdm_header: bool = False
    licence: str | None = None
    card: Card | None = None
    images: tuple[ImageFact, ...] = ()
    recordings: tuple[Mention, ...] = ()
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
    def h1(self) -> str:
        """The page's heading: its title without the name of the site."""
        return self.title.split(" | ")[0]

    @property
    def directives(self) -> tuple[str, ...]:
        """Consent signals of page and header together, sorted, each once."""
        reserved = ("tdm-reservation",) if self.tdm_reserved or self.tdm_header else ()
        return tuple(sorted({*self.robots, *self.robots_header, *reserved}))


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
