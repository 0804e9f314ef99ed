"""What a WAT record says of a page, apart from its <img> elements: their links are most of it and have a fast way."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from curation.crawl.files import TIMED_ENDINGS, file_modality
from curation.crawl.licences import normalise
from curation.crawl.metas import read_metas
from curation.crawl.page import MAX_URL_CHARS, Medium, Page, Text
from curation.crawl.pages import Head, HeadLink, Link
from curation.crawl.players import canonical, may_be_player

_ANCHOR = "A@/href"
_SHOWN = {"VIDEO@/src": "video", "AUDIO@/src": "audio"}
_EMBEDDED = frozenset(("IFRAME@/src", "EMBED@/src", "OBJECT@/data"))
_SOURCE = "SOURCE@/src"
_POSTER = "VIDEO@/poster"
MEDIA_PATHS = frozenset((*_SHOWN, _SOURCE, _POSTER))
"""Links that lead to a medium whatever their URL looks like."""
URL_PATHS = frozenset((*_EMBEDDED, _ANCHOR))
"""Links that may lead to a medium: their URL tells."""
_ENDINGS = frozenset(
    "".join(form) for ending in TIMED_ENDINGS for form in product(*((char, char.upper()) for char in ending))
)
_LONGEST_ENDING = 1 + max(map(len, _ENDINGS))


def describe_head(head: Head) -> Page:
    """Language, canonical URL, licence, consent signals, cards and title of a page."""
    page = Page(base=head.base if head.base and len(head.base) <= MAX_URL_CHARS else None)
    if head.title:
        page.texts.append(Text("page-title", head.title))
    metas = [(meta.property or meta.name or "", meta.content) for meta in head.metas if meta.content]
    page.lang = next((content for name, content in metas if name in ("HTML@/lang", "HTML@/xml:lang")), None)
    read_metas(metas, page)
    for link in head.links:
        relations = (link.rel or "").lower().split()
        if "canonical" in relations and page.canonical is None:
            page.canonical = link.url
    licences = set(_licences(head.links))
    page.licence = licences.pop() if len(licences) == 1 else None
    return page


def _licences(links: Iterable[Link | HeadLink]) -> Iterable[str]:
    for link in links:
        if link.rel and "license" in link.rel.lower().split() and (licence := normalise(link.url or "")):
            yield licence


def leads_to_media(url: str) -> bool:
    """Whether a link leads to a video or audio, by its ending or its host; most links of a crawl come by here."""
    path = url.partition("?")[0].partition("#")[0].rstrip() if "?" in url or "#" in url or url[-1:].isspace() else url
    if path[-_LONGEST_ENDING:].rpartition(".")[2] in _ENDINGS:
        return True
    if url[:4] in ("http", "HTTP") or url[:2] == "//":
        parts = url.split("/", 3)
        return len(parts) > 2 and may_be_player(parts[2]) and canonical(_absolute(url)) is not None
    return False


def _absolute(url: str) -> str:
    return "https:" + url if url[:2] == "//" else url


def add_links(links: Iterable[Link], page: Page) -> None:
    """Adds the media that a page's links lead to, in their order; those of images have their own way."""
    last: Medium | None = None  # of a link just before this one
    poster: str | None = None
    stem = None
    licences = {page.licence} if page.licence else set()
    for link in links:
        url = link.url or ""
        if link.path not in MEDIA_PATHS and link.path not in URL_PATHS:
            continue
        if link.path == _POSTER:
            if last is not None and last.modality == "video" and last.poster_url is None:
                last.poster_url = url or None
            else:
                poster = url or None
            continue
        if link.path == _ANCHOR and link.rel:
            licences.update(_licences([link]))
        if link.path in URL_PATHS and not leads_to_media(url):
            continue
        medium = _medium(link, url)
        if medium is None or (link.path == _SOURCE and url.rpartition(".")[0] == stem):
            continue  # a source that differs in its ending alone is the same in another format
        stem = url.rpartition(".")[0]
        if medium.modality == "video" and poster is not None:
            medium.poster_url, poster = poster, None
        last = medium if link.path in _SHOWN else None
        page.media.append(medium)
    page.licence = next(iter(licences)) if len(licences) == 1 else None


def _medium(link: Link, url: str) -> Medium | None:
    modality = _SHOWN.get(link.path)
    if modality is None:
        player = canonical(_absolute(url))
        modality = player.modality if player else file_modality(url)
    if not url or modality not in ("video", "audio"):
        return None
    medium = Medium(modality, url)
    if link.path == _ANCHOR:
        medium.say("link-text", link.text)
        medium.say("link-title", link.title)
    return medium
