"""Candidate rows of the media that a page was found to hold: URLs resolved, players recognised, texts cleaned."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from curation.crawl.log import ReadLog
from curation.crawl.page import TEXT_SOURCES, Medium, Page
from curation.crawl.players import Player, canonical
from curation.crawl.rows import MediumFacts, PageRows
from curation.crawl.urls import is_http, media_id
from curation.crawl.variants import Resolve, Variant, resolver

MAX_PAGE_URL_CHARS = 8192
"""Longer page URLs are refused: every row repeats its page's URL, and no browser or crawler follows such."""
MAX_TITLED_MEDIA = 50
"""A page with more videos and audios than this is a list: its title and h1 describe none of them."""
MAX_LANG_CHARS = 35  # the longest language tag that RFC 5646 asks readers to expect
_MAX_PIXELS = 1_000_000
_MAX_MS = 10**11  # three years
_SOURCE = {name: number for number, name in enumerate(TEXT_SOURCES)}


class PageMedia:
    """Adds the media of pages to an archive's rows."""

    def __init__(self, rows: PageRows, log: ReadLog, variant: Variant, modalities: Collection[str]) -> None:
        self._rows = rows
        self._log = log
        self._variant = variant
        self._modalities = modalities

    def add(self, page: Page, page_url: str, resolve: Resolve | None = None) -> int:
        """Adds the rows of a page's media; how many. All descriptions of one URL are one medium."""
        resolve = resolve or resolver(self._variant, page_url, page.base)
        before = len(self._rows.text)
        for name, count in page.odd.items():
            self._log.tally(name, count)
        placed: dict[str, tuple[Medium, Player | None]] = {}
        for medium in page.media:
            self._place(medium, resolve, placed)
        self._attach(page, page_url, placed)
        for url, (medium, player) in placed.items():
            if medium.modality in self._modalities:
                self._emit(medium, url, player, resolve)
        return len(self._rows.text) - before

    def _place(self, medium: Medium, resolve: Resolve, placed: dict[str, tuple[Medium, Player | None]]) -> None:
        url, skipped = resolve(medium.url)
        if url is None:
            self._skip(medium, skipped)
            return
        player = canonical(url) if medium.modality != "image" else None
        if player is not None:
            url = player.url
        known = placed.get(url)
        if known is None:
            placed[url] = medium, player
        else:
            known[0].adopt(medium)

    def _attach(self, page: Page, page_url: str, placed: dict[str, tuple[Medium, Player | None]]) -> None:
        """Gives texts of the page, and descriptions without a URL, to the videos and audios that they are about."""
        timed = [medium for medium, _ in placed.values() if medium.modality != "image"]
        for medium in page.unplaced:
            fitting = [other for other in timed if other.modality == medium.modality]
            own = canonical(page_url) if not fitting else None  # the page may be the video's own
            if len(fitting) == 1:
                fitting[0].adopt(medium)
            elif own is not None and own.modality == medium.modality:
                placed[own.url] = medium, own
                timed.append(medium)
            else:
                self._skip(medium, "skipped:no_url")
        if len(timed) <= MAX_TITLED_MEDIA:
            for medium in timed:
                medium.texts += page.texts

    def _skip(self, medium: Medium, reason: str) -> None:
        if medium.modality in self._modalities:
            texts = sum(1 for text in medium.texts if self._variant.clean(text.text))
            self._log.tally("texts", texts)
            self._log.tally(reason, texts)

    def _emit(self, medium: Medium, url: str, player: Player | None, resolve: Resolve) -> None:
        clean, rows = self._variant.clean, self._rows
        start = len(rows.text)
        identity = media_id(self._variant.hashed(url))
        for text in medium.texts:
            said = clean(text.text)
            if said:
                if text.start_ms is not None or text.end_ms is not None:
                    rows.spans.append((len(rows.text), text.start_ms, text.end_ms))
                rows.media_id.append(identity)
                rows.media_url.append(url)
                rows.text.append(said)
                rows.source.append(_SOURCE[text.source])
        stop = len(rows.text)
        self._log.tally("texts", stop - start)
        if stop > start:
            rows.facts.append((start, stop, _facts(medium, player, resolve)))


def _facts(medium: Medium, player: Player | None, resolve: Resolve) -> MediumFacts:
    return MediumFacts(
        medium.modality,
        player and player.platform,
        player and player.platform_id,
        medium.licence,
        _within(medium.width, _MAX_PIXELS),
        _within(medium.height, _MAX_PIXELS),
        _within(medium.duration_ms, _MAX_MS),
        medium.upload_date,
        resolve(medium.poster_url)[0] if medium.poster_url else None,
        list(_tracks(medium, resolve)),
    )


def _within(value: int | None, limit: int) -> int | None:
    return value if value is not None and 0 < value <= limit else None


def _tracks(medium: Medium, resolve: Resolve) -> Iterator[dict[str, str | None]]:
    for track in medium.tracks:
        url, _ = resolve(track.url)
        if url is not None:
            yield {"url": url, "kind": track.kind, "lang": track.lang}


def page_lang(lang: str | None) -> str | None:
    """The language tag a page declares, as written; None where it is too long to be one."""
    lang = lang.strip() if lang else ""
    return lang if 0 < len(lang) <= MAX_LANG_CHARS else None


def canonical_url(address: str | None, page_url: str | None, resolve: Resolve) -> str | None:
    """The page's canonical URL, where it gives one that is not its own."""
    url = resolve(address)[0] if address else None
    return url if url is not None and url != page_url and len(url) <= MAX_PAGE_URL_CHARS else None


def host_of(url: str) -> str | None:
    """Host of an http(s) URL in lower case, with its port where it is not the scheme's own."""
    if not is_http(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    return host if port in (None, {"http": 80, "https": 443}[parts.scheme.lower()]) else f"{host}:{port}"
