"""YouTube's json3: events with segments, whose times are offsets of the event's."""

from __future__ import annotations

import msgspec

from curation.captions.timed_text.cues import LONGEST_MS, Cue, TimedTextError, Track, Word, timed_words


class _Segment(msgspec.Struct, gc=False):
    utf8: str = ""
    tOffsetMs: int | None = None  # noqa: N815 - as it is sent


class _Event(msgspec.Struct, gc=False):
    tStartMs: int = -1  # noqa: N815
    dDurationMs: int = -1  # noqa: N815
    segs: list[_Segment] = []


class _Document(msgspec.Struct, gc=False):
    events: list[_Event]


class _RawDocument(msgspec.Struct, gc=False):
    events: list[msgspec.Raw]


def read_json3(text: str) -> Track:
    """text: as lines_of gives it. Events that open windows, or add no more than a line's end, are no cues.

    Raises TimedTextError.
    """
    events, skipped = _events(text.encode())
    cues: list[Cue] = []
    for event in events:
        said = "".join([segment.utf8 for segment in event.segs]).strip()
        start, end = event.tStartMs, event.tStartMs + event.dDurationMs
        if not said:
            continue
        if not 0 <= start < end < LONGEST_MS:
            skipped += 1
            continue
        words: tuple[Word, ...] = ()
        if any(segment.tOffsetMs is not None for segment in event.segs):
            words = timed_words(((start + (one.tOffsetMs or 0), one.utf8) for one in event.segs), start, end)
        cues.append(Cue(start, end, said, words))
    return Track(cues, "json3", skipped)


def _events(data: bytes) -> tuple[list[_Event], int]:
    """Those that are such, and how many are none."""
    try:
        return msgspec.json.decode(data, type=_Document).events, 0
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        raw = msgspec.json.decode(data, type=_RawDocument).events
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TimedTextError(f"no timed text: JSON, but not YouTube's json3 ({error})") from None
    found = [event for each in raw if (event := _event(each)) is not None]
    return found, len(raw) - len(found)


def _event(raw: msgspec.Raw) -> _Event | None:
    try:
        return msgspec.json.decode(raw, type=_Event)
    except (msgspec.MsgspecError, RecursionError):
        return None
