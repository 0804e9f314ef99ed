"""WebVTT (W3C): cues as a browser finds them, and segments of HLS joined.

Read with more patience than the standard has: times with a comma or with fewer digits, and signs < and & that begin no
tag and no reference, are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from typing import Final

from curation.captions.timed_text.arrows import blocks_of, lines_of, time_ms
from curation.captions.timed_text.cues import Cue, Track, timed_words

CLOCK_HZ: Final = 90_000
"""Of MPEG-2 timestamps (RFC 8216, 3.5); they begin anew after 33 bits."""
_ROUND: Final = 1 << 33

_TAG = re.compile(r"</?[A-Za-z][^<>]*+>|</>").sub
_STAMP = re.compile(r"<(?:([0-9]{1,6}):)?([0-5][0-9]):([0-5][0-9])\.([0-9]{3})>")
_SIGNATURE = re.compile(r"[\ufeff \t\r\n]*+WEBVTT(?![^ \t\r\n])").match
_MAP = re.compile(r"^X-TIMESTAMP-MAP=([^\n]{0,200})$", re.M).search
_MPEGTS = re.compile(r"MPEGTS:([0-9]{1,19})(?![0-9])").search
_LOCAL = re.compile(r"LOCAL:([0-9:.]{1,20})").search


def read_webvtt(text: str) -> Track:
    """text: as lines_of gives it. Times as told, less the LOCAL of its X-TIMESTAMP-MAP, if any."""
    cues: list[Cue] = []
    skipped = 0
    shift = -_map_of(text)[1]
    for start, end, payload in _payloads(text):
        begun, ended = max(start + shift, 0), end + shift
        if start < 0 or begun >= ended:
            skipped += 1
        else:
            cues.append(_cue(begun, ended, payload, shift))
    return Track(cues, "vtt", skipped)


def join_segments(texts: Sequence[str]) -> str:
    """The segments of a subtitle playlist as one WebVTT text.

    Its clock begins where the first X-TIMESTAMP-MAP says; a segment without one keeps to the clock of the segment
    before. Cues that several segments repeat stand once, and one that was cut where a segment ends is whole again.
    Segments that are no WebVTT add nothing.
    """
    found: list[tuple[int, int, str]] = []
    latest: dict[str, tuple[int, int]] = {}  # of each text the place of its last cue, and the segment it was in
    for segment, (start, end, payload) in _on_one_clock(texts):
        place, before = latest.get(payload, (0, segment))
        if before < segment and start <= found[place][1]:
            found[place] = found[place][0], max(found[place][1], end), payload
        else:
            place = len(found)
            found.append((start, end, payload))
        latest[payload] = place, segment
    return write_webvtt(found)


def write_webvtt(cues: Iterable[tuple[int, int, str]]) -> str:
    """A text of cues, start, end and payload: lines in WebVTT's markup, none of them empty or with an arrow."""
    told = [f"{webvtt_time(start)} --> {webvtt_time(end)}\n{payload}\n" for start, end, payload in cues]
    return "\n".join(["WEBVTT\n", *told])


def webvtt_time(ms: int) -> str:
    """hh:mm:ss.mmm; hours with more digits where they need them."""
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _on_one_clock(texts: Sequence[str]) -> Iterator[tuple[int, tuple[int, int, str]]]:
    """Number of the segment, and a cue of it as it was sent, times within its text shifted with it."""
    first: int | None = None
    now = shift = 0
    for number, sent in enumerate(texts):
        text = lines_of(sent)
        if not is_webvtt(text):
            continue
        ticks, local = _map_of(text)
        if ticks is not None:
            now = ticks if first is None else now + (ticks - now + _ROUND // 2) % _ROUND - _ROUND // 2
            first = now if first is None else first
            shift = round((now - first) * 1000 / CLOCK_HZ) - local
        for start, end, payload in _payloads(text):
            begun, ended = max(start + shift, 0), end + shift
            if start >= 0 and begun < ended and (said := payload.strip()):
                yield number, (begun, ended, _shifted(said, shift))


def _shifted(payload: str, shift: int) -> str:
    if not shift or "<" not in payload:
        return payload
    return _STAMP.sub(lambda found: f"<{webvtt_time(max(time_ms(found[0][1:]) + shift, 0))}>", payload)


def is_webvtt(text: str) -> bool:
    """Whether a text begins as WebVTT does; empty lines before that are forgiven."""
    return _SIGNATURE(text) is not None


def _map_of(text: str) -> tuple[int | None, int]:
    """MPEGTS (None: there is no map) and LOCAL in milliseconds of a header."""
    end = text.find("\n\n")
    found = _MAP(text, 0, end if end >= 0 else len(text))
    ticks, local = (_MPEGTS(found[1]), _LOCAL(found[1])) if found else (None, None)
    if ticks is None or local is None:
        return None, 0
    return int(ticks[1]) % _ROUND, max(time_ms(local[1]), 0)


def _payloads(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end (-1: unreadable) and what stands below, to the first empty line."""
    for start, end, _, _, body in blocks_of(text):
        cut = 0 if body.startswith("\n") else body.find("\n\n")
        yield start, end, body[:cut] if cut >= 0 else body


def _cue(start: int, end: int, payload: str, shift: int) -> Cue:
    """shift: milliseconds by which times within the payload are moved."""
    times: list[int] = []
    parts = [payload]
    if "<" in payload:
        parts = _STAMP.split(_TAG("", payload.replace("<c>", "").replace("</c>", "")))
        if len(parts) > 1:
            times = [
                (int(hours or 0) * 60 + int(minutes)) * 60_000 + int(seconds + rest) + shift
                for hours, minutes, seconds, rest in zip(*(parts[place::5] for place in range(1, 5)), strict=True)
            ]
            parts = parts[::5]
    if "&" in payload:
        parts = [unescape(part) for part in parts]
    if not times:
        return Cue(start, end, parts[0].strip())
    return Cue(start, end, "".join(parts).strip(), timed_words(zip([start, *times], parts, strict=True), start, end))
