"""Words that need no model: texts of pairs, of the video's page, subtitles, chapters, hashtags. All about one sample.

Times of a sample count from its own begin; of what lies only partly in it the part that does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from curation.captions.chapters import open_ends
from curation.captions.films import Film
from curation.captions.samples import Caption
from curation.captions.timed_text import Cue, text_within
from curation.crawl.page import TEXT_SOURCES
from curation.recipe.captions import TextsCaptioner

Row = Mapping[str, Any]

_RANK = {source: rank for rank, source in enumerate(TEXT_SOURCES)}
NO_SOURCE = "text"
"""Kind of texts that nobody said where they stand."""
SHARE = 0.5
"""Of the part that a text or chapter is about, or of the clip, whichever is shorter, that has to lie in the other: then
the text is about the clip, too."""


class Words:
    """What is known of a sample, from its row of `samples`, those of `sample_texts` that are about its media, and its
    video (None: it has none).
    """

    def __init__(self, sample: Row, texts: Sequence[Row], video: Film | None) -> None:
        self._texts, self._video = texts, video
        self._start_ms = sample["start_ms"] or 0
        self._end_ms = sample["end_ms"] or 0

    def captions(self, captioner: TextsCaptioner) -> list[Caption]:
        """The captions of one captioner; [] where its source has nothing to say."""
        if captioner.source == "alt":
            return self.alts
        if self._video is None:
            return []
        if captioner.source == "page":
            return [Caption(kind, text) for kind, text in self.page.items()]
        if captioner.source == "hashtags":
            return [Caption("hashtag", tag) for tag in self.hashtags]
        if captioner.source == "chapters":
            return self.chapters
        lang, cues = self.subtitles(captioner.languages)
        text = text_within(cues, 0, self._duration_ms)
        return [Caption("subtitles", text, lang=lang)] if text else []

    @cached_property
    def alts(self) -> list[Caption]:
        """Each text of a pair once, under its best source; those about other parts of the video are left out."""
        found = []
        for text in self._texts:
            sources = sorted(text["text_sources"], key=lambda name: (_RANK.get(name, len(_RANK)), name))
            span = self._span(text["start_ms"], self._end_of(text))
            if span is not None:
                kind = kind_of_source(sources[0]) if sources else NO_SOURCE
                rank = _RANK.get(sources[0], len(_RANK)) if sources else len(_RANK)
                ids = text["pair_id"], text["text_media_id"]
                found.append((rank, *ids, Caption(kind, text["text"], *span, None, text["lang"], *ids)))
        return [caption for *_, caption in sorted(found, key=lambda each: each[:3])]

    @property
    def page(self) -> dict[str, str]:
        """Title and description of the video's page, as far as they are there."""
        return {} if self._video is None else self._video.page

    @property
    def hashtags(self) -> list[str]:
        return [] if self._video is None else self._video.hashtags

    @cached_property
    def chapters(self) -> list[Caption]:
        """Titles of the chapters that it lies in, or that lie in it."""
        every = [] if self._video is None else self._video.chapters(self._texts)
        spans = [(chapter, self._span(chapter.start_ms, chapter.end_ms)) for chapter in every if chapter.title]
        return [Caption("chapter", chapter.title, *span) for chapter, span in spans if span is not None]

    def subtitles(self, languages: Sequence[str]) -> tuple[str | None, list[Cue]]:
        """(language or None, cues on the sample's clock) of Film.subtitles: those that lie in it by half."""
        if self._video is None:
            return None, []
        lang, cues = self._video.subtitles(languages)
        return lang, cues.within(self._start_ms, self._end_ms)

    @property
    def _duration_ms(self) -> int:
        return self._end_ms - self._start_ms

    @cached_property
    def _open_ends(self) -> dict[str, dict[int, int]]:
        """By media that texts were said about."""
        starts: dict[str, list[int]] = {}
        for text in self._texts:
            if text["start_ms"] is not None:
                starts.setdefault(text["text_media_id"], []).append(text["start_ms"])
        last = (self._video.duration_ms if self._video else 0) or self._end_ms
        return {media_id: open_ends(each, last) for media_id, each in starts.items()}

    def _end_of(self, text: Row) -> int:
        """Of the part that a text is about; where nobody says it, the next part of that media begins there."""
        if text["start_ms"] is None or text["end_ms"] is not None:
            return text["end_ms"] or 0
        return self._open_ends[text["text_media_id"]][text["start_ms"]]

    def _span(self, start_ms: int | None, end_ms: int) -> tuple[int | None, int | None] | None:
        """The part of a span of the video that lies in the sample; (None, None): all of it; None: next to nothing."""
        if start_ms is None or self._video is None:
            return None, None
        until = max(end_ms, start_ms)
        begin, end = max(start_ms, self._start_ms), min(until, self._end_ms)
        if end - begin <= 0 or end - begin < SHARE * min(until - start_ms, self._duration_ms):
            return None
        if (begin, end) == (self._start_ms, self._end_ms):
            return None, None
        return begin - self._start_ms, end - self._start_ms


def kind_of_source(source: str) -> str:
    """schema:hasPart -> schema_haspart: what kinds are made of."""
    return "".join(char if char.isalnum() else "_" for char in source.lower())
