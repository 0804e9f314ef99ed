"""What a careful reader finds on the pages of a generated web, written down from the facts: no HTML is looked at.

A reader makes one medium of all that a page says about one URL (of a platform's players: the URL of the video). Titles
and headings of the page are said of each of its videos and audios, a card's title and description of its image too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from curation.testing.facts import Card, PageFact, one_line
from curation.testing.hosts import LICENCE_IDS
from curation.testing.recordings import SCHEMA_FORMS, Mention, Recording
from curation.testing.wat import clipped

Said = tuple[str, str, int | None, int | None]
"""A text: its source, itself, and the part of the medium it is about, in milliseconds."""
Facts = dict[str, object]


class Candidate(NamedTuple):
    """One text about one medium of a page, with what is known of the medium; names as in curation.schemas.CANDIDATES.

    robots and tracks as tuples, tracks of (url, kind, lang).
    """

    page: PageFact
    media_url: str
    modality: str
    text_source: str
    text: str
    platform: str | None
    platform_id: str | None
    licence: str | None
    width: int | None
    height: int | None
    duration_ms: int | None
    upload_date: str | None
    poster_url: str | None
    tracks: tuple[tuple[str, str, str], ...]
    start_ms: int | None
    end_ms: int | None
    page_lang: str
    canonical_url: str | None
    robots: tuple[str, ...]


FACT_NAMES = (
    "platform", "platform_id", "licence", "width", "height", "duration_ms", "upload_date", "poster_url",
)  # fmt: skip


class _Medium:
    """All descriptions of one URL on a page: their texts together, of each fact the first that is given."""

    def __init__(self, modality: str) -> None:
        self.modality = modality
        self.said: list[Said] = []
        self.facts: Facts = {}
        self.tracks: tuple[tuple[str, str, str], ...] = ()

    def add(self, texts: Iterable[tuple[str, str | None]], **facts: object) -> None:
        self.said += [(source, one_line(text), None, None) for source, text in texts if one_line(text)]
        for name, value in facts.items():
            if value is not None:
                self.facts.setdefault(name, value)


class _Media(dict[tuple[str, str], _Medium]):
    """The media of a page by (URL, modality)."""

    def at(self, url: str, modality: str) -> _Medium:
        return self.setdefault((url, modality), _Medium(modality))


# The WARC reader

_SAYS = {"iframe": "iframe-title", "lazy-iframe": "iframe-title", "link": "link-text", "share": "link-text"}


def warc_candidates(page: PageFact) -> Iterator[Candidate]:
    """What the page itself says of its images, videos and audios."""
    media = _Media()
    for image in page.images:
        url = image.best_url or image.url
        if url is not None:
            texts: tuple[tuple[str, str | None], ...] = (
                *(("alt", image.alt), ("title", image.title), ("data-image-title", image.data_title)),
                *(("figcaption", image.figcaption), ("link-text", image.link_text), ("link-title", image.link_title)),
            )
            size = {"width": image.width, "height": image.height}
            media.at(url, "image").add(texts, licence=_licence_id(image.licence), **size)
    for mention in page.recordings:
        _mentioned(mention, media)
    _of_card(page, media)
    for mention in page.recordings:
        _described(mention, media)
    for image in page.images:
        described_url = image.url if image.described == "microdata" else image.best_url or image.url
        if image.described and described_url:
            texts = (("schema:name", image.schema_name), ("schema:caption", image.schema_caption))
            of_page = _licence_id(page.licence) if image.described == "json-ld" else None
            media.at(described_url, "image").add(texts, licence=of_page)
    _of_page(media, (*_card_texts(page.card), ("page-title", page.title), ("h1", page.h1)))
    return _candidates(page, media, _licence_id(page.licence))


def _mentioned(mention: Mention, media: _Media) -> None:
    """Elements and links that show a recording or lead to it."""
    form, recording = mention.form, mention.recording
    if not mention.found or form in SCHEMA_FORMS or form in ("og", "twitter"):
        return
    source = _SAYS.get(form, "title")
    texts = ((source, mention.text), ("link-title", mention.link_title), ("figcaption", mention.figcaption))
    facts: Facts = {}
    if form in ("video", "iframe", "lazy-iframe", "object", "embed"):
        facts |= {"width": recording.width, "height": recording.height}
    if form in ("video", "source"):
        facts["poster_url"] = recording.poster
    medium = _placed(recording, media)
    medium.add(texts, **facts)
    medium.tracks += mention.tracks


def _described(mention: Mention, media: _Media) -> None:
    """What schema.org's words say of a recording."""
    recording = mention.recording
    if mention.form not in SCHEMA_FORMS:
        return
    medium = _placed(recording, media)
    medium.add(
        (
            ("schema:name", recording.title),
            ("schema:description", recording.description),
            ("schema:keywords", ", ".join(recording.keywords)),
            ("schema:transcript", recording.transcript),
        ),
        licence=_licence_id(recording.licence),
        width=recording.width,
        height=recording.height,
        duration_ms=recording.duration_ms,
        upload_date=recording.upload_date,
        poster_url=recording.poster,
    )
    medium.said += [
        ("schema:hasPart", chapter.name, chapter.start_ms, chapter.end_ms) for chapter in recording.chapters
    ]


# The WAT reader


def wat_candidates(page: PageFact) -> Iterator[Candidate]:
    """What the WAT record says: no <img> but its src, alt and title, no schema.org, no captions, no titles of players.

    A link to a licence in a figure looks like one for the whole page, and several different ones are none.
    """
    licences = {url for url in (page.licence, *(image.licence for image in page.images)) if url}
    licence = _licence_id(licences.pop()) if len(licences) == 1 else None
    media = _Media()
    for mention in page.recordings:
        form, recording = mention.form, mention.recording
        if mention.found and form not in (*SCHEMA_FORMS, "og", "twitter", "lazy-iframe"):
            texts: tuple[tuple[str, str | None], ...] = ()
            if form in ("link", "share"):
                texts = (("link-text", clipped(mention.text or "")), ("link-title", mention.link_title))
            poster = recording.poster if form in ("video", "source") else None
            _placed(recording, media).add(texts, poster_url=poster)
    _of_card(page, media)
    _of_page(media, (*_card_texts(page.card), ("page-title", clipped(page.title))))
    yield from _candidates(page, media, licence)
    for image in page.images:
        alone = _Media()  # a WAT reader holds nothing else against an <img>
        alone.at(str(image.url), "image").add(image.texts)
        yield from _candidates(page, alone, licence)


# Both


def _card_texts(card: Card | None) -> tuple[tuple[str, str], ...]:
    return ((f"{card.kind}:title", card.title), (f"{card.kind}:description", card.description)) if card else ()


def _of_card(page: PageFact, media: _Media) -> None:
    """The card's image, and the recordings that its tags name."""
    card = page.card
    if card is not None and card.image is not None:
        alt = "og:image:alt" if card.kind == "og" else "twitter:image:alt"
        media.at(card.image, "image").add((*_card_texts(card), (alt, card.image_alt)))
    for mention in page.recordings:
        recording = mention.recording
        if mention.form in ("og", "twitter"):
            duration = recording.duration_ms if mention.form == "og" else None
            size = {"width": recording.width, "height": recording.height}
            _placed(recording, media).add((), duration_ms=duration, **size)


def _placed(recording: Recording, media: _Media) -> _Medium:
    medium = media.at(recording.url, recording.modality)
    medium.add((), platform=recording.platform, platform_id=recording.platform_id)
    return medium


def _of_page(media: _Media, texts: Iterable[tuple[str, str]]) -> None:
    """What the page says as a whole goes to each of its videos and audios."""
    texts = tuple(texts)
    for medium in media.values():
        if medium.modality != "image":
            medium.add(texts)


def _licence_id(url: str | None) -> str | None:
    return LICENCE_IDS[url] if url else None


def _candidates(page: PageFact, media: _Media, licence: str | None) -> Iterator[Candidate]:
    canonical = page.canonical if page.canonical != page.url else None
    for (url, modality), medium in media.items():
        facts = {name: medium.facts.get(name) for name in FACT_NAMES}
        facts["licence"] = facts["licence"] or licence
        for source, text, start_ms, end_ms in medium.said:
            yield Candidate(
                page=page, media_url=url, modality=modality, text_source=source, text=text,
                tracks=medium.tracks, start_ms=start_ms, end_ms=end_ms, page_lang=page.lang,
                canonical_url=canonical, robots=page.directives, **facts,  # type: ignore[arg-type]
            )  # fmt: skip
