"""What <meta> elements say: Open Graph and Twitter cards, robots directives, reservation of text and data mining.

Sources: ogp.me (structured properties follow the URL they are about), Twitter's card markup, the W3C TDM Reservation
Protocol, and robots meta tags as search engines document them.
"""

from __future__ import annotations

from collections.abc import Iterable

from curation.crawl.directives import robots_directives, tdm_reserved
from curation.crawl.page import MAX_SHARED_CHARS, MAX_SHARED_MEDIA, Medium, Page, Text
from curation.crawl.quantities import milliseconds, pixels

TDM_RESERVATION = "tdm-reservation"
"""How a reservation of text and data mining is named among the consent signals."""

_MODALITY = {"og:image": "image", "og:video": "video", "og:audio": "audio"}
_URL_KEYS = frozenset(
    f"{root}{suffix}" for root in _MODALITY for suffix in ("", ":url", ":secure_url")
)
_SKIPPED_TYPES = ("application/x-shockwave-flash",)  # nothing decodes them any more
_PAGE_TEXTS = ("og:title", "og:description", "twitter:title", "twitter:description")
_NAMES = {"twitter:image:src": "twitter:image", "twitter:player:stream": "twitter:stream"}


def read_metas(metas: Iterable[tuple[str, str]], page: Page) -> None:
    """Adds what (name or property, content) pairs, in document order, say to a page."""
    card = _Card()
    robots: list[str] = []
    for name, content in metas:
        key = name.strip().lower()
        if key == "robots":
            robots.append(content)
        elif key == TDM_RESERVATION and tdm_reserved(content):
            page.robots.append(TDM_RESERVATION)
        elif key.startswith(("og:", "twitter:", "video:", "music:")):
            card.add(_NAMES.get(key, key), content.strip())
    if robots:
        page.robots += robots_directives(robots, header=False)
    card.finish(page)


class _Card:
    """Collects a page's Open Graph and Twitter properties."""

    def __init__(self) -> None:
        self._media: list[Medium] = []
        self._skipped: set[int] = set()
        self._texts: dict[str, str] = {}
        self._last: dict[str, Medium] = {}
        self._facts: dict[str, str] = {}

    def add(self, key: str, content: str) -> None:
        if not content:
            return
        if key in _URL_KEYS:
            self._url(key, content)
        elif key.count(":") == 2 and (medium := self._last.get(key.rpartition(":")[0])) is not None:
            self._property(medium, key, content)
        elif key in _PAGE_TEXTS:
            if len(content) <= MAX_SHARED_CHARS:
                self._texts.setdefault(key, content)
        else:
            self._facts.setdefault(key, content)

    def _url(self, key: str, url: str) -> None:
        root = ":".join(key.split(":")[:2])
        last = self._last.get(root)
        if key != root and last is not None:  # another address of the same medium
            if key.endswith(":secure_url"):
                last.url = url
            return
        self._last[root] = Medium(_MODALITY[root], url)
        self._media.append(self._last[root])

    def _property(self, medium: Medium, key: str, content: str) -> None:
        name = key.rpartition(":")[2]
        if name == "width":
            medium.width = pixels(content)
        elif name == "height":
            medium.height = pixels(content)
        elif name == "alt":
            medium.say("og:image:alt", content)
        elif name == "duration":
            medium.duration_ms = milliseconds(content)
        elif name == "type" and content.lower() in _SKIPPED_TYPES:
            self._skipped.add(id(medium))

    def finish(self, page: Page) -> None:
        """Texts of an image card describe its image, and every video and audio of the page."""
        texts = [Text(key, self._texts[key]) for key in _PAGE_TEXTS[:2] if key in self._texts]
        if not texts:
            texts = [Text(key, self._texts[key]) for key in _PAGE_TEXTS[2:] if key in self._texts]
        page.texts = texts + page.texts
        self._twitter()
        few = sum(medium.modality == "image" for medium in self._media) <= MAX_SHARED_MEDIA
        for medium in self._media:
            if medium.modality == "image":
                medium.texts += texts if few else []
            elif medium.modality == "video" and medium.duration_ms is None:
                medium.duration_ms = milliseconds(self._facts.get("video:duration"))
        page.media += [medium for medium in self._media if id(medium) not in self._skipped]

    def _twitter(self) -> None:
        if "twitter:image" in self._facts:
            image = Medium("image", self._facts["twitter:image"])
            image.say("twitter:image:alt", self._facts.get("twitter:image:alt"))
            self._media.append(image)
        for key in ("twitter:player", "twitter:stream"):
            if key in self._facts:
                width, height = (pixels(self._facts.get(f"twitter:player:{side}")) for side in ("width", "height"))
                self._media.append(Medium("video", self._facts[key], width=width, height=height))
