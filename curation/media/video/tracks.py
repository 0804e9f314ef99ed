"""Timed texts beside and inside of a video: which of them are wanted, and what became of those.

Chapters are always wanted, subtitles and captions in the languages of the recipe (fetch.video.subtitles); where it has
some, also those of which nobody says the language. What else a page may declare is not: descriptions tell what is seen,
which nothing here reads as such, so that they would pass for speech; metadata is for scripts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from curation.captions.timed_text import TimedTextError, read_track
from curation.media.outcomes import ErrorClass, FetchFaultError, TextTrack, printable
from curation.media.video.info import Subtitle
from curation.media.video.languages import language_of, place_of

if TYPE_CHECKING:
    from curation.captions.timed_text.embedded import EmbeddedTrack
    from curation.media.video.line import Line

MAX_TRACKS: Final = 16
"""Of a video's texts that its pages declare, and of those in its file; a page has one or two for each language."""

_KINDS: Final = ("chapters", "subtitles", "captions")
_FORMATS: Final = frozenset(("vtt", "srt", "ttml", "dfxp", "xml", "ass", "ssa", "json3"))
Texts = tuple[list[Subtitle], list[str]]
"""What came, and what did not with the reason."""


def wanted_tracks(tracks: Iterable[TextTrack], languages: Sequence[str]) -> list[TextTrack]:
    """Those that are asked for, each once, at most MAX_TRACKS: chapters first, then in the order of the languages."""
    ranked = [
        (_KINDS.index(track.kind), place, track)
        for track in dict.fromkeys(tracks)
        if track.kind in _KINDS
        and (place := 0 if track.kind == "chapters" else place_of(language_of(track.lang), languages)) is not None
    ]
    return [track for *_, track in sorted(ranked, key=lambda each: each[:2])[:MAX_TRACKS]]


def beside(line: Line, tracks: Sequence[TextTrack]) -> Texts:
    """What pages declare, asked for like all else that the video needs. What holds no timed text is missing, too."""
    found, missing = list[Subtitle](), list[str]()
    for track in wanted_tracks(tracks, line.video.subtitles):
        language = language_of(track.lang)
        try:
            text = _timed(line.text(track.url)[0])
        except FetchFaultError as fault:
            missing.append(_missing(track.kind, language, str(fault)))
            continue
        ending = urlsplit(track.url).path.rpartition(".")[2].lower()
        found.append(Subtitle(language, False, ending if ending in _FORMATS else "vtt", text, track.kind))
    return found, missing


def inside(tracks: Iterable[EmbeddedTrack], languages: Sequence[str]) -> Texts:
    """What the file itself holds."""
    found, missing = list[Subtitle](), list[str]()
    told = [(language_of(track.lang), track) for track in tracks]
    for language, track in [each for each in told if place_of(each[0], languages) is not None][:MAX_TRACKS]:
        if track.text is None:
            missing.append(_missing("subtitles", language, f"in the file: {track.missing}"))
        else:
            found.append(Subtitle(language, False, "vtt", track.text))
    return found, missing


def _timed(text: str) -> str:
    """The text if it has cues. Raises FetchFaultError."""
    try:
        cues = read_track(text).cues
    except TimedTextError as error:
        raise FetchFaultError(ErrorClass.BAD_RESPONSE, str(error), transient=False) from None
    if not cues:
        raise FetchFaultError(ErrorClass.BAD_RESPONSE, "no cues in it", transient=False)
    return text.replace("\0", "\ufffd")  # as browsers read it


def _missing(kind: str, language: str, why: str) -> str:
    return printable(f"{language}: {why}" if kind == "subtitles" else f"{kind} {language}: {why}")
