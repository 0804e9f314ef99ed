"""Media that structured data describes, as media of the page."""

from __future__ import annotations

from curation.crawl.files import file_modality
from curation.crawl.licences import normalise
from curation.crawl.page import Medium, Text
from curation.crawl.players import canonical
from curation.crawl.structured import MediaObject


def described_medium(item: MediaObject) -> Medium:
    """An ImageObject, VideoObject or AudioObject as a medium; its URL is empty where the object gives none.

    Of a video's or audio's addresses a known player's wins, so that one video is one wherever it is embedded, then the
    file, then any other player. `url` is the address of the page it is on, unless it is a file or a player.
    """
    medium = Medium(
        item.modality,
        _address(item),
        licence=normalise(item.licence) if item.licence else None,
        width=item.width,
        height=item.height,
        duration_ms=item.duration_ms,
        upload_date=item.upload_date,
        poster_url=item.thumbnail_url if item.modality != "image" else None,
    )
    for source in ("name", "caption", "description", "keywords", "transcript"):
        medium.say(f"schema:{source}", getattr(item, source))
    medium.texts += [Text("schema:hasPart", part.name, part.start_ms, part.end_ms) for part in item.parts if part.name]
    return medium


def _address(item: MediaObject) -> str:
    if item.modality == "image":
        return item.content_url or item.url or ""
    addresses = [address for address in (item.content_url, item.embed_url, item.url) if address]
    for address in addresses:
        if canonical(address):
            return address
    page_address = item.url if item.url and file_modality(item.url) == item.modality else None
    return item.content_url or item.embed_url or page_address or ""
