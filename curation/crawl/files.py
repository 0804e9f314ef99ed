"""Media files by the ending of their URL."""

from __future__ import annotations

import re

_ENDINGS = {
    "video": "mp4 m4v mov webm mkv avi wmv flv ogv mpg mpeg 3gp m3u8 mpd",
    "audio": "mp3 m4a oga ogg opus wav flac aac wma",
    "image": "jpg jpeg png gif webp avif bmp tif tiff heic",
}
_MODALITY = {ending: modality for modality, endings in _ENDINGS.items() for ending in endings.split()}
TIMED_ENDINGS = frozenset(ending for ending, modality in _MODALITY.items() if modality != "image")
"""Endings of video and audio files, lower case."""
_ENDING = re.compile(rf"\.({'|'.join(_MODALITY)})(?=[?#]|\s*\Z)", re.IGNORECASE).search


def file_modality(url: str) -> str | None:
    """image, video or audio where the path of a URL (absolute or not) ends like such a file, in any letter case."""
    tail = url.partition("?")[0].partition("#")[0] if "?" in url or "#" in url else url
    match = _ENDING(tail, max(0, len(tail) - 12))
    return _MODALITY[match[1].lower()] if match else None
