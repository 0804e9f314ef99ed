"""What a WAT record says of a page, apart from its <img> elements: their links are most of it and have a fast way."""

from __future__ import annotations

from collections.abc import Iterable

from curation.crawl.files import timed_modality
from curation.crawl.licences import normalise
from curation.crawl.metas import read_metas
from curation.crawl.page import MAX_URL_CHARS, Medium, Page, Text
from curation.crawl.pages import Head, HeadLink, Link

_ANCHOR = "A@/href"
_SHOWN = {"VIDEO@/src": "video", "AUDIO@/src": "audio"}
_SOURCE = "SOURCE@/src"
_POSTER = "VIDEO@/poster"
_PATHS = frozenset((*_SHOWN, _SOURCE, _POSTER, _ANCHOR, "IFRAME@/src", "EMBED@/src", "OBJECT@/data"))


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


def add_links(links: Iterable[Link], page: Page) -> None:
    """Adds the media that a page's links lead to, in their order; those of images have their own way."""
    last: Medium | None = None  # of a link just before this one
    poster: str | None = None
    stem = None
    licences = {page.licence} if page.licence else set()
    for link in links:
        url = link.url or ""
        if link.path not in _PATHS:
            continue
        if link.path == _POSTER:
            if last is not None and last.modality == "video" and last.poster_url is None:
                last.poster_url = url or None
            else:
                poster = url or None
            continue
        if link.path == _ANCHOR and link.rel:
            licences.update(_licences([link]))
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
    modality = _SHOWN.get(link.path) or timed_modality(url)
    if not url or modality is None:
        return None
    medium = Medium(modality, url)
    if link.path == _ANCHOR:
        medium.say("link-text", link.text)
        medium.say("link-title", link.title)
    return medium
