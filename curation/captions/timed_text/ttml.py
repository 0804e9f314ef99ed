"""TTML: paragraphs with times, which those of what is around them and of what is in them are relative to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Final

from curation.captions.timed_text.cues import LONGEST_MS, Cue, Track, timed_words

FRAME_RATE: Final = 30
"""Frames per second where ttp:frameRate does not say it (TTML 1, 6.2.4)."""

_CLOCK = re.compile(
    r"(?:([0-9]{1,6}):)?([0-9]{1,3}):([0-9]{2}(?:\.[0-9]{1,9})?)(?::([0-9]{2,6})(?:\.([0-9]{1,6}))?)?"
).fullmatch
_OFFSET = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(h|ms|m|s|f|t|)").fullmatch
_RATIO = re.compile(r"([0-9]{1,6})[ :]([0-9]{1,6})").fullmatch
_WHITE = re.compile(r"[ \t\r\n]+").sub
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0, "ms": 0.001}
_SHOWN = ("p", "span")
_TIMED = ("body", "div", "p", "span")


@dataclass(slots=True)
class _Frame:
    """An element that is open. begin, end: milliseconds; 0 and -1 where they cannot be read."""

    name: str
    begin: float = 0.0
    end: float = inf
    is_sequence: bool = False
    cursor: float = 0.0
    """Where the next child of a sequence begins."""


class TtmlReader:
    """Told of the elements of a document, it has its track."""

    def __init__(self) -> None:
        self._cues: list[Cue] = []
        self._skipped = 0
        self._frames = [_Frame("")]
        self._cue: _Frame | None = None
        self._pieces: list[tuple[int, str]] = []
        self._has_times = False
        """Whether something in the cue has times of its own."""
        self._is_lost = False
        """Whether the paragraph says something at no known time."""
        self._frame_rate = self._tick_rate = Fraction(FRAME_RATE)
        self._sub_frames = 1

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if name == "tt":
            self._read_rates(attributes)
        parent = self._frames[-1]
        frame = self._timed(name, parent, attributes) if name in _TIMED else _Frame(name, parent.begin, parent.end)
        self._frames.append(frame)
        if name == "br":
            self._say("\n")
        elif name in _SHOWN and self._cue is None and frame.end < inf:
            self._cue, self._pieces, self._has_times = frame, [], False
        elif name == "span" and "begin" in attributes:
            self._has_times = True

    def end(self, name: str) -> None:
        """An element ends."""
        frame = self._frames.pop()
        if frame.end < inf:
            self._frames[-1].cursor = max(frame.end, 0)
        if frame is self._cue:
            self._close(round(frame.begin), round(frame.end))
        if name == "p":
            self._skipped += self._is_lost
            self._is_lost = False

    def data(self, text: str) -> None:
        """Text of the element that is open."""
        if self._frames[-1].name in _SHOWN:
            self._say(_WHITE(" ", text))

    def track(self) -> Track:
        """What was told."""
        return Track(self._cues, "ttml", self._skipped)

    def _say(self, text: str) -> None:
        if self._cue is not None:
            self._pieces.append((round(self._frames[-1].begin), text))
        else:
            self._is_lost |= not text.isspace() and self._frames[-1].name in _SHOWN

    def _close(self, start: int, end: int) -> None:
        self._cue = None
        text = "".join(piece for _, piece in self._pieces)
        text = "\n".join(line.strip() for line in text.split("\n")).strip()
        if text and 0 <= start < end:
            words = timed_words(self._pieces, start, end) if self._has_times else ()
            self._cues.append(Cue(start, end, text, words))
        elif text:
            self._skipped += 1

    def _timed(self, name: str, parent: _Frame, attributes: dict[str, str]) -> _Frame:
        origin = parent.cursor if parent.is_sequence else parent.begin
        begin, end, length = (self._milliseconds(attributes.get(key)) for key in ("begin", "end", "dur"))
        if -1.0 in (begin, end, length):
            return _Frame(name, 0.0, -1.0)
        start = origin + (begin or 0.0)
        stop = min(parent.end, inf if end is None else origin + end, inf if length is None else start + length)
        return _Frame(name, start, stop, attributes.get("timeContainer") == "seq", start)

    def _milliseconds(self, text: str | None) -> float | None:
        """None: not said; -1: it cannot be read."""
        if text is None:
            return None
        clock, offset = _CLOCK(text.strip()), _OFFSET(text.strip())
        if clock:
            hours, minutes, seconds, frames, parts = clock.groups("0")
            counted = (int(frames) + Fraction(int(parts), self._sub_frames)) / self._frame_rate
            value = (int(hours) * 60 + int(minutes)) * 60 + float(seconds) + float(counted)
        elif offset:
            rate = {"f": self._frame_rate, "t": self._tick_rate}.get(offset[2], Fraction(1))
            value = float(offset[1]) / float(rate) * _SECONDS.get(offset[2], 1.0)
        else:
            return -1.0
        return 1000 * value if 1000 * value < LONGEST_MS else -1.0

    def _read_rates(self, attributes: dict[str, str]) -> None:
        """TTML 1, 6.2: without frames a tick is a second, with them a part of a frame."""
        rate, ticks, parts = (_positive(attributes.get(key)) for key in ("frameRate", "tickRate", "subFrameRate"))
        ratio = _RATIO(attributes.get("frameRateMultiplier", "").strip())
        times = Fraction(int(ratio[1]), int(ratio[2])) if ratio and int(ratio[1]) and int(ratio[2]) else Fraction(1)
        self._sub_frames = parts or 1
        self._frame_rate = (rate or FRAME_RATE) * times
        self._tick_rate = Fraction(ticks or (self._frame_rate * self._sub_frames if rate else 1))


def _positive(text: str | None) -> int:
    """0: none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0
