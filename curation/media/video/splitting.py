"""Shots to clips: every frame of a video in exactly one piece, which is kept, or dropped for a reason.

    pieces = split(shots, settings, features)
    [piece for piece in pieces if piece.dropped is None]     # the clips

Which rules apply, and their numbers, is what `settings` say (curation.recipe.splitting). All of them:

- lengths are times, of a piece end_ms - start_ms. Shorter than min_length_s is too short, equal is not.
- "the first so many seconds" end at the last frame that begins within them, so they are never longer, unless one frame
  alone is. That is int(seconds * fps) frames, as in Panda-70M's code, and holds for variable frame rates too.
- what is trimmed is rounded up to whole frames. A clip of which nothing would be left is not trimmed.
- marks (chapters, subtitles) hold the frames whose time lies in them. One that lasts into the next ends there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from math import ceil
from typing import Protocol

import numpy as np
import numpy.typing as npt

from curation.recipe.splitting import Split

Vector = npt.NDArray[np.float32]
Features = Callable[[Sequence[int]], Sequence[Vector | None]]
"""Frame indexes, ascending, to one feature each on the published scale; None: that frame cannot be read."""


class Dropped(StrEnum):
    """Why frames are in no clip. In brackets: what the `value` of such a piece is."""

    TRANSITION = "transition"  # its two frames differ too much (distance)
    UNREADABLE = "unreadable"  # one of its two frames cannot be read
    TOO_SHORT = "too_short"  # (length in seconds)
    STILL = "still"  # nothing changes from its begin to its end (distance)
    REDUNDANT = "redundant"  # as an earlier clip of the video (distance from the nearest)
    BEYOND_MAX = "beyond_max"  # what follows the first max_length_s of a clip (length of the whole in seconds)
    TRIMMED = "trimmed"  # begin and end of a clip (its length before in seconds)
    OUTSIDE = "outside"  # between marks, or between windows
    EMPTY_MARK = "empty_mark"  # a mark that is empty, outside the video, or hidden by another (its length in seconds)


class Shots(Protocol):
    """cuts: first frame of each shot but the first. times_ms: of every frame, increasing. end_ms: of the last."""

    @property
    def cuts(self) -> Sequence[int]: ...
    @property
    def times_ms(self) -> npt.NDArray[np.int64]: ...
    @property
    def end_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Mark:
    """A chapter or subtitle: [start_ms, end_ms) on the clock of the video's frames."""

    start_ms: int
    end_ms: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """Frames [start_frame, end_frame), times [start_ms, end_ms).

    shot: the detected shot it begins in, from 0; shots: how many it has frames of. stitched: forced and detected pieces
    it was made of. mark: index of its mark, None: it has none. dropped: why it is no clip, None: it is one; value: the
    number behind that.
    """

    start_frame: int
    end_frame: int
    start_ms: int
    end_ms: int
    shot: int
    shots: int
    stitched: int = 1
    mark: int | None = None
    dropped: Dropped | None = None
    value: float | None = None


def split(shots: Shots, settings: Split, features: Features, marks: Sequence[Mark] = ()) -> list[Piece]:
    """All pieces of a video, by start: each of its frames is in one of them, and each mark has one at least.

    features is called once by the panda sets and never by the others; marks matter to chapters and subtitles only.
    Raises ValueError where features does not answer for every frame.
    """
    film = _Film.of(shots)
    if settings.set in ("panda_paper", "panda_code"):
        return list(film.told(_panda(film, settings, features)))
    spans = _spans(film, settings, marks)
    return list(film.told(part for span in spans for part in _within_limits(film, span, settings)))


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece before its times and shots are looked up."""

    start: int
    end: int
    dropped: Dropped | None = None
    value: float | None = None
    stitched: int = 1
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class _Film:
    """edges: the time of every frame and the end of the last; starts: first frame of every shot."""

    edges: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, shots: Shots) -> _Film:
        frames = len(shots.times_ms)
        starts = sorted({0, *(int(cut) for cut in shots.cuts if 0 < cut < frames)}) if frames else []
        edges = np.append(np.asarray(shots.times_ms, np.int64), shots.end_ms)
        return cls(edges, np.asarray(starts, np.int64))

    @property
    def frames(self) -> int:
        return len(self.edges) - 1

    def seconds(self, start: int, end: int) -> float:
        return int(self.edges[end] - self.edges[start]) / 1000

    def first(self, start: int, end: int, seconds: float) -> int:
        """The end of the first so many seconds of [start, end): one frame at least."""
        within = int(np.searchsorted(self.edges, self.edges[start] + round(1000 * seconds), side="right")) - 1
        return min(max(within, start + 1), end)

    def at(self, milliseconds: int) -> int:
        """The first frame at or after a time."""
        return int(np.searchsorted(self.edges[:-1], milliseconds))

    def told(self, parts: Iterable[_Part]) -> Iterator[Piece]:
        """The parts as pieces, by start, and the frames between them as pieces outside."""
        after = 0
        for part in sorted(parts, key=lambda part: (part.start, part.end)):
            if after < part.start:
                yield self._piece(_Part(after, part.start, Dropped.OUTSIDE))
            yield self._piece(part)
            after = max(after, part.end)
        if after < self.frames:
            yield self._piece(_Part(after, self.frames, Dropped.OUTSIDE))

    def _piece(self, part: _Part) -> Piece:
        first = int(np.searchsorted(self.starts, part.start, side="right")) - 1
        after = int(np.searchsorted(self.starts, part.end, side="left"))
        times = int(self.edges[part.start]), int(self.edges[part.end])
        shot, shots = max(first, 0), after - first if part.end > part.start else 0
        return Piece(part.start, part.end, *times, shot, shots, part.stitched, part.mark, part.dropped, part.value)


def _spans(film: _Film, settings: Split, marks: Sequence[Mark]) -> Iterator[_Part]:
    """Shots, windows or marks, apart from each other."""
    if settings.set == "shots":
        yield from (_Part(start, end) for start, end in pairwise([*film.starts.tolist(), film.frames]))
    elif settings.stride_s is not None and settings.length_s is not None:
        yield from _windows(film, settings.stride_s, settings.length_s)
    else:
        yield from _marked(film, marks)


def _windows(film: _Film, stride_s: float, length_s: float) -> Iterator[_Part]:
    """The frames of [k * stride, k * stride + length) after the first frame's time, where there are any."""
    begin, stride, length = int(film.edges[0]), round(1000 * stride_s), round(1000 * length_s)
    start = 0
    while start < film.frames:
        start_ms = begin + (int(film.edges[start]) - begin) // stride * stride  # windows without frames are passed over
        end = film.at(start_ms + length)
        if start < end:
            yield _Part(start, end)
        start = film.at(start_ms + stride)


def _marked(film: _Film, marks: Sequence[Mark]) -> Iterator[_Part]:
    """One part for each mark; a mark ends where the next one that has frames begins, at the latest."""
    spans = [(film.at(mark.start_ms), film.at(mark.end_ms), place) for place, mark in enumerate(marks)]
    shown = sorted(span for span in spans if span[0] < span[1])
    begins = [start for start, _, _ in shown[1:]] + [film.frames]
    ends = {place: min(end, begin) for (_, end, place), begin in zip(shown, begins, strict=False)}
    for start, _, place in spans:
        if start < ends.get(place, start):
            yield _Part(start, ends[place], mark=place)
        else:
            length = (marks[place].end_ms - marks[place].start_ms) / 1000
            yield _Part(start, start, Dropped.EMPTY_MARK, length, mark=place)


def _within_limits(film: _Film, part: _Part, settings: Split) -> Iterator[_Part]:
    """A part as it is, or dropped because it is too short, or its first max_length_s and what follows."""
    length = film.seconds(part.start, part.end)
    if part.dropped is not None:
        yield part
    elif settings.min_length_s is not None and length < settings.min_length_s:
        yield _Part(part.start, part.end, Dropped.TOO_SHORT, length, mark=part.mark)
    else:
        end = part.end if settings.max_length_s is None else film.first(part.start, part.end, settings.max_length_s)
        yield _Part(part.start, end, mark=part.mark)
        if end < part.end:
            yield _Part(end, part.end, Dropped.BEYOND_MAX, length, mark=part.mark)


@dataclass(slots=True)
class _Event:
    """Pieces stitched together: frames [start, end), and the features of their two frames each, in order."""

    start: int
    end: int
    vectors: list[Vector] = field(default_factory=list)


def _panda(film: _Film, settings: Split, features: Features) -> list[_Part]:
    """Forced cuts, transitions dropped, stitched; then by length, still, redundancy, cap and trim (R's order)."""
    found, events = _events(_seen(film, settings, features), settings)
    size = len(events[0].vectors[0]) if events else 0
    kept, count = np.empty((len(events), size)), 0  # mean features of the clips
    for event in events:
        mean = np.mean(event.vectors, axis=0, dtype=np.float64)
        dropped, value = _verdict(film, event, settings, np.linalg.norm(kept[:count] - mean, axis=1))
        if dropped is None:
            kept[count], count = mean, count + 1
            found += _shortened(film, event, settings)
        else:
            found.append(_Part(event.start, event.end, dropped, value, len(event.vectors) // 2))
    return found


def _forced(film: _Film, settings: Split) -> Iterator[tuple[int, int]]:
    """The shots, cut every cut_every_s while more than that and the slack remains."""
    every, slack = settings.cut_every_s, settings.cut_slack_s or 0.0
    for first, end in pairwise([*film.starts.tolist(), film.frames]):
        start = first
        while every is not None and film.seconds(start, end) > every + slack and end - start > 1:
            cut = film.first(start, end, every)
            yield start, cut
            start = cut
        if start < end:
            yield start, end


def _seen(film: _Film, settings: Split, features: Features) -> Iterator[tuple[int, int, Vector | None, Vector | None]]:
    """The pieces, each with the features of its two frames, None where one cannot be used."""
    at, spans = settings.feature_at or 0.0, list(_forced(film, settings))
    near = [(start + _share(at, end - start), start + _share(1 - at, end - start)) for start, end in spans]
    near = [(first, min(last, end - 1)) for (first, last), (_, end) in zip(near, spans, strict=True)]
    frames = sorted({frame for two in near for frame in two})
    vectors = dict(zip(frames, features(frames) if frames else (), strict=True))
    usable = {frame: vector for frame, vector in vectors.items() if vector is not None and np.isfinite(vector).all()}
    for (start, end), (first, last) in zip(spans, near, strict=True):
        yield start, end, usable.get(first), usable.get(last)


def _share(share: float, frames: int) -> int:
    """int(share * frames), where 0.1 * 30 is 3 and 0.29 * 100 is 29."""
    return int(share * frames + 1e-9)


def _events(
    pieces: Iterable[tuple[int, int, Vector | None, Vector | None]], settings: Split
) -> tuple[list[_Part], list[_Event]]:
    """What is dropped of the pieces, and the rest stitched together."""
    found: list[_Part] = []
    events: list[_Event] = []
    for start, end, first, last in pieces:
        if first is None or last is None:
            found.append(_Part(start, end, Dropped.UNREADABLE))
            continue
        differ = _distance(first, last)
        if settings.transition_above is not None and differ > settings.transition_above:
            found.append(_Part(start, end, Dropped.TRANSITION, differ))
        elif events and _goes_on(events[-1], start, first, settings):
            while found and found[-1].start >= events[-1].end:  # stitched over: part of the clip
                found.pop()
            events[-1].end = end
            events[-1].vectors += (first, last)
        else:
            events.append(_Event(start, end, [first, last]))
    return found, events


def _goes_on(event: _Event, start: int, first: Vector, settings: Split) -> bool:
    adjacent = settings.stitch_gaps or event.end == start
    within = settings.stitch_within
    return bool(adjacent) and within is not None and _distance(event.vectors[-1], first) <= within


def _verdict(
    film: _Film, event: _Event, settings: Split, from_kept: npt.NDArray[np.float64]
) -> tuple[Dropped | None, float | None]:
    """Why an event is no clip. from_kept: how far it is from each clip before it."""
    length, limit = film.seconds(event.start, event.end), settings.still_distance
    if settings.min_length_s is not None and length < settings.min_length_s:
        return Dropped.TOO_SHORT, length
    moved = _distance(event.vectors[0], event.vectors[-1])
    if limit is not None and (moved < limit or (settings.still_at_distance and moved == limit)):
        return Dropped.STILL, moved
    nearest = float(from_kept.min(initial=np.inf))
    if settings.redundant_within is not None and nearest <= settings.redundant_within:
        return Dropped.REDUNDANT, nearest
    return None, None


def _shortened(film: _Film, event: _Event, settings: Split) -> Iterator[_Part]:
    """A clip and what is cut off it."""
    start, after, length = event.start, event.end, film.seconds(event.start, event.end)
    if settings.max_length_s is not None:
        after = film.first(start, after, settings.max_length_s)
    margin = ceil((settings.trim or 0.0) * int(film.edges[after] - film.edges[start]) - 1e-6)
    begin = int(np.searchsorted(film.edges, film.edges[start] + margin))
    end = int(np.searchsorted(film.edges, film.edges[after] - margin, side="right")) - 1
    if begin >= end:
        begin, end = start, after
    yield _Part(begin, end, stitched=len(event.vectors) // 2)
    for trimmed in ((start, begin), (end, after)):
        if trimmed[0] < trimmed[1]:
            yield _Part(*trimmed, Dropped.TRIMMED, film.seconds(start, after))
    if after < event.end:
        yield _Part(after, event.end, Dropped.BEYOND_MAX, length)


def _distance(one: Vector, other: Vector) -> float:
    return float(np.linalg.norm(np.subtract(one, other, dtype=np.float64)))
