"""The media that a table's rows are about."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from curation.crawl.cells import Cells, Chunk, Unusable, first_cells, text_cells
from curation.crawl.page import MAX_URL_CHARS
from curation.crawl.players import canonical
from curation.crawl.table_mappings import alternatives, filled_template, template_columns
from curation.crawl.table_texts import WHITE_SPACE, Mask, as_mask
from curation.crawl.urls import HTTP_URL
from curation.recipe import Modality

_MEDIA_URL = "^" + HTTP_URL


@dataclass(frozen=True)
class Media:
    """What each row of a chunk is about."""

    url: pa.StringArray
    good: Mask
    """Whether it has an absolute http or https URL that is not too long."""
    unusable: Unusable
    players: dict[str, pa.Array] = field(default_factory=dict)
    """platform, platform_id and modality of each row, where any row has a player."""


def read_media(reference: str | list[str], chunk: Chunk, modality: Modality) -> Media:
    """The media of a chunk's rows, by the columns and templates that hold their URL; the first that gives one counts.

    Unless the modality is image, a URL that is a player's becomes its canonical one, and an audio player's row is
    audio; a video player in a table of audio stays audio: it is the sound that is wanted of it.
    """
    found = []
    for name in alternatives(reference):
        if places := template_columns(name):
            if all(column in chunk.columns for column in places):
                found.append(filled_template(name, chunk.columns))
        elif name in chunk.columns:
            cells = text_cells(chunk.columns[name])
            found.append(Cells(pc.utf8_trim(cells.text, WHITE_SPACE), cells.unusable))
    cells = first_cells(found)
    short = pc.less_equal(pc.utf8_length(cells.text), MAX_URL_CHARS)
    good = as_mask(pc.and_(pc.match_substring_regex(cells.text, _MEDIA_URL), short))
    return _with_players(Media(cells.text, good, cells.unusable), modality)


def _with_players(media: Media, modality: Modality) -> Media:
    if modality == "image":
        return media
    urls = media.url.to_pylist()
    players = [canonical(url) if good else None for url, good in zip(urls, media.good.tolist(), strict=True)]
    if not any(players):
        return media
    url = [player.url if player else url for player, url in zip(players, urls, strict=True)]
    columns = {
        "platform": [player and player.platform for player in players],
        "platform_id": [player and player.platform_id for player in players],
        "modality": [player.modality if player and player.modality == "audio" else modality for player in players],
    }
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return Media(pa.array(url, pa.string()), media.good, media.unusable, arrays)
