"""YouTube's XML: srv3 (<p t d> with <s t>), srv2 (<text t d>), srv1 (<text start dur>, seconds)."""

from __future__ import annotations

import re
from html import unescape

from curation.captions.timed_text.cues import LONGEST_MS, Cue, Track, timed_words

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?").fullmatch


class SrvReader:
    """Told of the elements of a document, it has its track."""

    def __init__(self) -> None:
        self._cues: list[Cue] = []
        self._skipped = 0
        self._times: tuple[int, int] | None = None
        """Start and end of the cue that is open; (-1, -1): unreadable."""
        self._pieces: list[tuple[int, str]] = []
        self._moment = 0
        self._is_timed = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if name in ("p", "text"):
            self._times = _times(attributes)
            self._moment, self._is_timed, self._pieces = self._times[0], False, []
        elif name == "s" and self._times is not None:
            offset = _milliseconds(attributes.get("t"), 1)
            self._is_timed |= offset >= 0
            self._moment = self._times[0] + max(offset, 0)
        elif name == "br":
            self.data("\n")

    def end(self, name: str) -> None:
        """An element ends."""
        if name not in ("p", "text") or self._times is None:
            return
        (start, end), self._times = self._times, None
        text = "".join(piece for _, piece in self._pieces).strip()
        if text and 0 <= start < end:
            self._cues.append(Cue(start, end, text, timed_words(self._pieces, start, end) if self._is_timed else ()))
        elif text:
            self._skipped += 1

    def data(self, text: str) -> None:
        """Text of the element that is open."""
        if self._times is not None:
            self._pieces.append((self._moment, unescape(text) if "&" in text else text))  # srv1 escapes twice

    def track(self) -> Track:
        """What was told."""
        return Track(self._cues, "srv", self._skipped)


def _times(attributes: dict[str, str]) -> tuple[int, int]:
    start, length = _milliseconds(attributes.get("t"), 1), _milliseconds(attributes.get("d"), 1)
    if "start" in attributes:
        start, length = _milliseconds(attributes["start"], 1000), _milliseconds(attributes.get("dur"), 1000)
    return (start, start + length) if start >= 0 <= length else (-1, -1)


def _milliseconds(text: str | None, unit: int) -> int:
    """-1: none."""
    found = _NUMBER(text.strip()) if text is not None else None
    value = round(float(found[0]) * unit) if found else -1
    return value if value < LONGEST_MS else -1
