"""Where a link leads, by what its URL looks like: media files by their ending, players by their host."""

from __future__ import annotations

from itertools import product

from curation.crawl.players import canonical, may_be_player

_ENDINGS = {
    "video": "mp4 m4v mov webm mkv avi wmv flv ogv mpg mpeg 3gp m3u8 mpd",
    "audio": "mp3 m4a oga ogg opus wav flac aac wma",
    "image": "jpg jpeg png gif webp avif bmp tif tiff heic",
}
_MODALITY = {
    "".join(form): modality  # in every letter case: most links of a crawl come by here
    for modality, endings in _ENDINGS.items()
    for ending in endings.split()
    for form in product(*((char, char.upper()) for char in ending))
}
_LONGEST = 1 + max(map(len, _MODALITY))


def file_modality(url: str) -> str | None:
    """image, video or audio where the path of a URL (absolute or not) ends like such a file, in any letter case."""
    if "?" in url or "#" in url or url[-1:].isspace():
        url = url.partition("?")[0].partition("#")[0].rstrip()
    dot = url.rfind(".", -_LONGEST)
    return _MODALITY.get(url[dot + 1 :]) if dot >= 0 else None


def timed_modality(url: str) -> str | None:
    """video or audio where a URL, absolute or not, leads to such a file, or to a player of a known platform."""
    modality = file_modality(url)
    if modality is not None:
        return modality if modality != "image" else None
    if url[:2] == "//" or url[:4].lower() == "http":
        parts = url.split("/", 3)
        player = canonical(url) if len(parts) > 2 and may_be_player(parts[2]) else None
        return player and player.modality
    return None
