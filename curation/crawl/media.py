"""Candidate rows of the media that a page was found to hold: URLs resolved, players recognised, texts cleaned."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from curation.crawl.log import ReadLog
from curation.crawl.page import MAX_SHARED_MEDIA, MAX_URL_CHARS, TEXT_SOURCES, Medium, Page
from curation.crawl.players import Player, canonical
from curation.crawl.quantities import MAX_MILLISECONDS
from curation.crawl.rows import MediumFacts, PageRows
from curation.crawl.urls import is_http, media_id
from curation.crawl.variants import Resolve, Variant

ROW_CHARS = 16
"""A page's rows take at most so many characters for each of its bytes, and FREE_ROW_CHARS: they repeat what it says
once (its URL, <base>, captions, chapters). What exceeds it is skipped:page_limit."""
FREE_ROW_CHARS = 1 << 20
MAX_TRACKS = 256
"""Tracks of one medium; the largest platforms offer fewer languages."""
MAX_LANG_CHARS = 35  # the longest language tag that RFC 5646 asks readers to expect
_MAX_PIXELS = 1_000_000
_SOURCE = {name: number for number, name in enumerate(TEXT_SOURCES)}


class PageMedia:
    """Adds the media of pages to an archive's rows."""

    def __init__(self, rows: PageRows, log: ReadLog, variant: Variant, modalities: Collection[str]) -> None:
        self._rows = rows
        self._log = log
        self._variant = variant
        self._modalities = modalities
        self._room = self._each = 0  # characters that the page's rows may still take; that each takes for the page
        self.spent = 0
        """Characters that the rows of the last page take, about."""

    def add(self, page: Page, page_url: str, resolve: Resolve, *, size: int) -> int:
        """Adds the rows of a page of `size` bytes; how many. All descriptions of one URL are one medium."""
        self._room = FREE_ROW_CHARS + ROW_CHARS * size
        self._each = len(page_url) + sum(map(len, page.robots))
        if page.canonical:
            self._each += min(MAX_URL_CHARS, len(page.canonical) + len(page.base or page_url))
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
        self.spent = FREE_ROW_CHARS + ROW_CHARS * size - self._room
        return len(self._rows.text) - before

    def _place(self, medium: Medium, resolve: Resolve, placed: dict[str, tuple[Medium, Player | None]]) -> None:
        url, skipped = resolve(medium.url) if self._room > 0 else (None, "skipped:page_limit")
        if url is not None and self._variant.strict and len(url) > MAX_URL_CHARS:
            url, skipped = None, "skipped:bad_url"
        if url is None:
            self._skip(medium, skipped)
            return
        self._room -= len(url)
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
        timed_of: dict[str, list[Medium]] = {"video": [], "audio": []}
        for medium, _ in placed.values():
            if medium.modality in timed_of:
                timed_of[medium.modality].append(medium)
        own = canonical(page_url) if page.unplaced else None  # the page may be the video's own
        for medium in page.unplaced:
            fitting = timed_of.get(medium.modality, [])
            if len(fitting) == 1:
                fitting[0].adopt(medium)
            elif not fitting and own is not None and own.modality == medium.modality:
                placed[own.url] = medium, own
                fitting.append(medium)
            else:
                self._skip(medium, "skipped:no_url")
        timed = [medium for fitting in timed_of.values() for medium in fitting]
        if len(timed) <= MAX_SHARED_MEDIA:
            for medium in timed:
                medium.texts += page.texts

    def _skip(self, medium: Medium, reason: str) -> None:
        if medium.modality in self._modalities:
            texts = sum(1 for text in medium.texts if _says_something(text.text))
            self._log.tally("texts", texts)
            self._log.tally(reason, texts)

    def _emit(self, medium: Medium, url: str, player: Player | None, resolve: Resolve) -> None:
        clean, rows = self._variant.clean, self._rows
        start = len(rows.text)
        identity = media_id(self._variant.hashed(url))
        said_texts = [text for text in medium.texts if _says_something(text.text)]
        facts = _facts(medium, player, resolve) if said_texts and self._room > 0 else MediumFacts(medium.modality)
        each = self._each + len(url) + _chars(facts)
        self._room -= _chars(facts)
        for text in said_texts:
            if (cost := each + len(text.text)) <= self._room:
                self._room -= cost
                if text.start_ms is not None or text.end_ms is not None:
                    rows.spans.append((len(rows.text), text.start_ms, text.end_ms))
                rows.media_id.append(identity)
                rows.media_url.append(url)
                rows.text.append(clean(text.text))
                rows.source.append(_SOURCE[text.source])
        stop = len(rows.text)
        self._log.tally("texts", len(said_texts))
        self._log.tally("skipped:page_limit", len(said_texts) - (stop - start))
        if stop > start:
            rows.facts.append((start, stop, facts))


def _says_something(text: str) -> bool:
    return bool(text) and not text.isspace()


def _chars(facts: MediumFacts) -> int:
    """About how many characters a row takes for the facts of its medium."""
    tracks = sum(len(value or "") for track in facts.tracks for value in track.values())
    return tracks + len(facts.poster_url or "") + len(facts.platform_id or "")


def _facts(medium: Medium, player: Player | None, resolve: Resolve) -> MediumFacts:
    return MediumFacts(
        medium.modality,
        player and player.platform,
        player and player.platform_id,
        medium.licence,
        _within(medium.width, _MAX_PIXELS),
        _within(medium.height, _MAX_PIXELS),
        _within(medium.duration_ms, MAX_MILLISECONDS),
        medium.upload_date,
        _address(medium.poster_url, resolve),
        list(_tracks(medium, resolve)),
    )


def _within(value: int | None, limit: int) -> int | None:
    return value if value is not None and 0 < value <= limit else None


def _tracks(medium: Medium, resolve: Resolve) -> Iterator[dict[str, str | None]]:
    for track in medium.tracks[:MAX_TRACKS]:
        url = _address(track.url, resolve)
        if url is not None:
            yield {"url": url, "kind": track.kind, "lang": track.lang}


def _address(url: str | None, resolve: Resolve) -> str | None:
    absolute = resolve(url)[0] if url else None
    return absolute if absolute is not None and len(absolute) <= MAX_URL_CHARS else None


def page_lang(lang: str | None) -> str | None:
    """The language tag a page declares, as written; None where it is too long to be one."""
    lang = lang.strip() if lang else ""
    return lang if 0 < len(lang) <= MAX_LANG_CHARS else None


def canonical_url(address: str | None, page_url: str | None, resolve: Resolve) -> str | None:
    """The page's canonical URL, where it gives one that is not its own."""
    url = _address(address, resolve)
    return url if url != page_url else None


def host_of(url: str) -> str | None:
    """Host of an http(s) URL in lower case, with its port where it is not the scheme's own."""
    if not is_http(url) or len(url) > MAX_URL_CHARS:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    return host if port in (None, {"http": 80, "https": 443}[parts.scheme.lower()]) else f"{host}:{port}"
