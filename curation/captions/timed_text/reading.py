"""Timed text of any format that is read here, told by what it is and not by what it is called."""

from __future__ import annotations

import re

from curation.captions.timed_text.arrows import lines_of
from curation.captions.timed_text.cues import Cue, TimedTextError, Track
from curation.captions.timed_text.json3 import read_json3
from curation.captions.timed_text.subrip import read_subrip
from curation.captions.timed_text.substation import read_substation
from curation.captions.timed_text.webvtt import is_webvtt, read_webvtt
from curation.captions.timed_text.xml_cues import read_xml

_SECTION = re.compile(r"\[(?:script info|events|v4\+? styles)\]", re.I).match


def read_track(text: str, format: str | None = None) -> Track:
    """The cues of WebVTT, SubRip, SubStation, TTML, YouTube's json3, srv1, srv2 and srv3, in the order of the text.

    format: what the text is said to be, for the words of an error only. Cues whose times cannot be read, or that have
    no length, are left out and counted. Raises TimedTextError for what is none of these.
    """
    text = lines_of(text)
    if is_webvtt(text):
        return read_webvtt(text)
    if text.startswith("{"):
        return read_json3(text)
    if text.startswith("<"):
        return read_xml(text)
    if _SECTION(text):
        return read_substation(text)
    track = read_subrip(text)
    if not track.cues and not track.skipped:
        said = f"said to be {format}, " if format else ""
        begin = f"begins with {text[:40]!a}" if text else "is empty"
        raise TimedTextError(f"no timed text: {said}it {begin}")
    return track


def read_cues(text: str, format: str | None = None) -> list[Cue]:
    """The cues of `read_track`."""
    return read_track(text, format).cues
