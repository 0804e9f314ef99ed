"""What is known of one video, for all samples that are cut of it: read and parsed once."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeVar

from curation.captions.chapters import PART_SOURCES, VideoChapter, video_chapters
from curation.captions.hashtags import weak_labels
from curation.captions.timed_text import Cue, TimedTextError, Word, clean, read_track, text_within
from curation.media.video.info import UNKNOWN
from curation.media.video.languages import place_of

Row = Mapping[str, Any]
T = TypeVar("T")


class CuesByTime:
    """Cues ordered by start, as `clean` leaves them, for one clip after the other: each looks at few of them."""

    def __init__(self, cues: Sequence[Cue]) -> None:
        self._cues = cues
        self._starts = [cue.start_ms for cue in cues]
        self._worded_until = list(accumulate((cue.end_ms if cue.words else 0 for cue in cues), max))

    def within(self, start_ms: int, end_ms: int) -> list[Cue]:
        """The cues that lie in a clip by text_within's rule, half of their length, of cues whose words have times those
        words. Times count from the clip's begin, and lie in the clip.
        """
        # without words, one that began a whole length of the clip before it cannot lie in it by half
        low = min(bisect_left(self._starts, 2 * start_ms - end_ms), bisect_left(self._worded_until, start_ms))
        near = self._cues[low : bisect_left(self._starts, end_ms)]
        return [part for cue in near if (part := _part(cue, start_ms, end_ms)) is not None]


class Film:
    """A row of `videos`, read when something of it is first asked for. Safe to call from threads.

    read: gives the row: title, description, tags, chapters, subtitles, duration_ms.
    """

    def __init__(self, read: Callable[[], Row]) -> None:
        self._read = read
        self._lock = threading.RLock()
        self._known: dict[Hashable, Any] = {}

    @property
    def duration_ms(self) -> int:
        """0: nobody says it."""
        return self._row["duration_ms"] or 0

    @property
    def page(self) -> dict[str, str]:
        """Title and description of its page, as far as they are there."""
        return {name: text for name in ("title", "description") if (text := self._row[name])}

    @property
    def hashtags(self) -> list[str]:
        def told() -> list[str]:
            row = self._row
            return [label.tag for label in weak_labels(row["title"], row["description"], row["tags"])]

        return self._once("hashtags", told)

    def chapters(self, texts: Sequence[Row]) -> list[VideoChapter]:
        """texts: all texts of pairs about the video, each time the same."""

        def told() -> list[VideoChapter]:
            parts = [text for text in texts if not PART_SOURCES.isdisjoint(text["text_sources"])]
            return video_chapters(self._row, parts)

        return self._once("chapters", told)

    def subtitles(self, languages: Sequence[str]) -> tuple[str | None, CuesByTime]:
        """(language or None, cleaned cues) of the first track of speech that has some: in the order of the languages,
        of one language those by hand before those of a machine, those of unknown language last. languages: []: any.
        """
        return self._once(("subtitles", *languages), lambda: self._first(languages))

    def _first(self, languages: Sequence[str]) -> tuple[str | None, CuesByTime]:
        ranked = [
            (place, track["automatic"], number, track["lang"])
            for number, track in enumerate(self._row["subtitles"])
            if track["kind"] != "chapters"
            and (place := place_of(track["lang"], languages) if languages else 0) is not None
        ]
        for _, _, number, lang in sorted(ranked, key=lambda each: each[:3]):
            cues = self._track(number)
            if cues is not None:
                return None if lang == UNKNOWN else lang, cues
        return None, CuesByTime([])

    def _track(self, number: int) -> CuesByTime | None:
        """None: it says nothing, or cannot be read."""

        def told() -> CuesByTime | None:
            track = self._row["subtitles"][number]
            try:
                cues = clean(read_track(track["text"], track["format"]).cues)
            except TimedTextError:
                return None
            return CuesByTime(cues) if cues else None

        return self._once(number, told)

    @property
    def _row(self) -> Row:
        return self._once("row", self._read)

    def _once(self, what: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if what not in self._known:
                self._known[what] = make()
            made: T = self._known[what]
            return made


def _part(cue: Cue, start_ms: int, end_ms: int) -> Cue | None:
    """What of a cue is said in a clip, on the clip's clock."""
    text = text_within([cue], start_ms, end_ms)
    if not text:
        return None
    begin, end, words = cue.start_ms, cue.end_ms, cue.words
    if words:
        ends = [word.start_ms for word in words[1:]] + [end]
        said = [Cue(word.start_ms, over, word.text) for word, over in zip(words, ends, strict=True)]
        held = [place for place, word in enumerate(said) if text_within([word], start_ms, end_ms)]
        if len(held) == len(words):
            text = cue.text
        else:
            begin, end = said[held[0]].start_ms if held[0] else begin, ends[held[-1]]
            words = tuple(words[place] for place in held)
    moved = tuple(Word(max(word.start_ms - start_ms, 0), word.text) for word in words)
    begin = max(begin - start_ms, 0)
    return Cue(begin, max(min(end, end_ms) - start_ms, begin + 1), text, moved)  # a word may have no length
