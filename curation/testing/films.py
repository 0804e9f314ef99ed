"""The videos behind the URLs of a generated web, rendered on the spot: files, player pages, playlists and subtitles.

    data = film("https://video.clipshow.test/clips/en/dog-012.mp4")

Scenes are of the concept in the URL's name; shots, motion, size and rotation follow from the URL. A player's page
(/embed/NAME) names a file or, for half of the names, a playlist with segments, and subtitles in English.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from hashlib import blake2b
from html import escape
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from curation.testing.videos import Film, Shot, Style, write_hls, write_video

MIMES: Final = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "m3u8": "application/vnd.apple.mpegurl",
    "ts": "video/mp2t",
    "vtt": "text/vtt; charset=utf-8",
}
"""Content types by extension: what is rendered."""
PAGE: Final = "text/html; charset=utf-8"

_EMBED, _PLAYLISTS = "/embed/", "/hls/"
_SIZES = ((320, 180), (320, 240), (426, 240), (180, 320))
_OTHERS = ("house", "river", "tree", "bridge", "car")


def content_type(url: str) -> str | None:
    """Of what `answer` gives; None: there is nothing."""
    path = urlsplit(url).path
    return PAGE if path.startswith(_EMBED) else MIMES.get(path.rpartition(".")[2].lower())


def answer(url: str) -> bytes | None:
    """The body behind a URL of a video, a player, a playlist, a segment or subtitles; None: there is nothing."""
    path = urlsplit(url).path
    ending = path.rpartition(".")[2].lower()
    if path.startswith(_EMBED):
        return _page(path.removeprefix(_EMBED))
    if path.startswith(_PLAYLISTS):
        name, _, file = path.removeprefix(_PLAYLISTS).partition("/")
        return _playlist(name).get(file)
    if ending == "vtt":
        return _subtitles(_concept(path))
    return film(url) if ending in ("mp4", "webm") else None


@lru_cache(64)
def film(url: str) -> bytes:
    """The file behind a URL, in the format of its ending (mp4 or webm), whatever its query."""
    with tempfile.TemporaryDirectory(prefix="curation-film-") as folder:
        return _written(urlsplit(url).path, Path(folder)).path.read_bytes()


def _written(path: str, folder: Path) -> Film:
    dice = Random(f"film {path}")
    concept = _concept(path)
    shots = [_shot(concept, f"{path} {number}", dice) for number in range(dice.randrange(1, 4))]
    if dice.random() < 0.3:
        shots.insert(dice.randrange(len(shots) + 1), Shot(dice.randrange(14, 40), black=True))
    if dice.random() < 0.4:
        shots.append(_shot(dice.choice(_OTHERS), path, dice))
    webm = path.lower().endswith(".webm")
    turned = 0 if webm or dice.random() < 0.9 else 90
    sound: Any = dice.choice(("tone", "tone", "silence", "none"))
    style = Style(size=dice.choice(_SIZES), sound=sound, rotation=turned, gop=dice.choice((12, 24, 48)), counter=False)
    return write_video(folder / f"film.{'webm' if webm else 'mp4'}", shots, style)


def _shot(concept: str, name: str, dice: Random) -> Shot:
    motion = dice.choice((0.0, 0.5, 1.0, 2.0, 4.0))
    return Shot(dice.randrange(48, 120), concept, name, motion, fade_out=dice.choice((0, 0, 0, 12)))


def _concept(path: str) -> str:
    return unquote(path.rpartition("/")[2].rpartition("-")[0]).replace("_", " ") or "house"


def _page(name: str) -> bytes:
    title = escape(unquote(name).rpartition("-")[0].replace("_", " ") or name)
    listed = blake2b(name.encode(), digest_size=1).digest()[0] % 2
    source = f"{_PLAYLISTS}{name}/index.m3u8" if listed else f"/films/{name}.mp4"
    mime = MIMES["m3u8" if listed else "mp4"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta property="og:title" content="{title}">'
        f'<meta name="description" content="A film about {title}">'
        f'<video controls><source src="{source}" type="{mime}">'
        f'<track kind="subtitles" srclang="en" src="/films/{name}.vtt"></video></html>'
    ).encode()


@lru_cache(16)
def _playlist(name: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="curation-film-") as folder:
        playlist = write_hls(_written(f"/films/{name}.mp4", Path(folder)), Path(folder) / "hls", segment_s=2.0)
        return {file.name: file.read_bytes() for file in playlist.parent.iterdir()}


def _subtitles(concept: str) -> bytes:
    return (
        f"WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nThis is a {concept}.\n\n"
        f"00:00:02.500 --> 00:00:04.500\nHere you see the {concept} again.\n"
    ).encode()
