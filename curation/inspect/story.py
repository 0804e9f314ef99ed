"""What `why` finds out about a media and its pairs."""

from __future__ import annotations

from dataclasses import dataclass, field

from curation.errors import Reason


@dataclass(frozen=True)
class Occurrence:
    """One candidate: where a text was said about the media. `record_offset` in bytes (rows in a table).

    start_ms, end_ms: the part of the media that the text is about; None: all of it, or not said.
    """

    text: str
    text_source: str
    start_ms: int | None
    end_ms: int | None
    licence: str | None
    page_url: str | None
    robots: list[str]
    snapshot: str
    archive: str
    record_offset: int
    field_order: int


@dataclass(frozen=True)
class MatchedEntry:
    """An entry in the text: texts in the pool that hold it, and p_e at the threshold (None before balance has run)."""

    entry_id: int
    entry: str
    texts: int
    probability: float | None


@dataclass(frozen=True)
class PairStory:
    """One pair from its text to its fate. What a stage that has not run would say is None.

    `prepared` is the text as entries are searched in it; `u` the draw in [0, 1) that is held against keep_probability.
    start_ms, end_ms: the part of the media that the text is about. refused: candidates with this text that a filter of
    `pairs` keeps out for their page, by what it is counted as; they are not among the occurrences.
    """

    pair_id: str
    text: str
    text_sources: list[str]
    lang: str
    lang_score: float
    occurrences: int
    start_ms: int | None
    end_ms: int | None
    vocabulary_lang: str | None
    vocabulary: str
    prepared: str
    entries: list[MatchedEntry]
    u: float | None
    picked: bool | None
    keep_probability: float | None
    critical_threshold: float | None
    threshold: float | None
    kept: bool | None
    verdict: str
    refused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FilteredText:
    """A text of which no pair came, and the rule or filter of `pairs` that drops it: recomputed.

    text: as found, before redaction. rule: as the stage counts it, without `filtered:`; "" where nothing explains it.
    lang: None where a filter refused it before its language was asked. media_wide: the consent of another page, that in
    `evidence`, was refused. evidence: else the file of a site and where it lies, or the licence; "" where the rule says
    it all.
    """

    text: str
    rule: str
    occurrences: int
    lang: str | None = None
    media_wide: bool = False
    evidence: str = ""


@dataclass(frozen=True)
class MediaFacts:
    """What pages say about the media itself, each as first said; `licences`: all that were, sorted. None: not said."""

    platform: str | None = None
    platform_id: str | None = None
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    upload_date: str | None = None
    poster_url: str | None = None
    licences: list[str] = field(default_factory=list)
    tracks: int = 0


@dataclass(frozen=True)
class Refusal:
    """What a stage put among its rejections about this media, and how often; `reason` is a code of errors.Reason."""

    stage: str
    reason: str
    detail: str | None
    times: int


@dataclass(frozen=True)
class MediaStory:
    """What is known about a media. `occurrences` are the first of its `candidates`, `pairs` of its `pairs_in_all`."""

    media_id: str
    media_url: str
    modality: str
    media_bucket: int | None
    candidates: int
    archives: int
    occurrences: list[Occurrence]
    facts: MediaFacts = MediaFacts()
    pairs_in_all: int = 0
    pairs: list[PairStory] = field(default_factory=list)
    filtered: list[FilteredText] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_placeholder(self) -> bool:
        """Whether it was rejected as a whole, for too many distinct texts."""
        return any(refusal.reason == Reason.PLACEHOLDER for refusal in self.refused)
