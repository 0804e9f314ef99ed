"""What is captioned: one image, clip or whole video, with the words known of it so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from curation.captions.models import Frames, Picture, Sound
from curation.captions.timed_text import Cue


class Media(Protocol):
    """A sample's bytes. Everything raises CaptionFaultError(NO_MEDIA) where they are gone or cannot be decoded."""

    def pictures(self, times_ms: Sequence[int], longest_side: int | None = None) -> list[Picture]:
        """The frames shown at these times as JPEG; of an image the image itself, as it is stored, once for all.

        longest_side: pixels to which larger ones are scaled down.
        """
        ...

    def frames(self, times_ms: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Frames]]:
        """(time, (1, height, width, 3) RGB) of the frames shown at these ascending times; of an image, itself."""
        ...

    def sound(self) -> Sound | None:
        """None: it has no sound track."""
        ...


@dataclass(frozen=True)
class Sample:
    """One image, clip, or whole video. Times count from its own begin."""

    sample_id: str
    modality: str
    duration_ms: int
    """0 of images."""
    media: Media
    texts: Mapping[str, Sequence[str]]
    """Words by what said them: alt, title ..., and the captions of captioners before, by their name."""
    cues: Sequence[Cue] = ()
    """Subtitles, or speech by a captioner before, within it."""
    facts: Mapping[str, Any] | None = None
    """What else prompts may name: title and description of the video's page."""


class Caption(NamedTuple):
    """A text about a sample, or a span of it."""

    kind: str
    """brief, detailed, short, difference, speech, alt ...: letters, digits and _."""
    text: str
    start_ms: int | None = None
    """None: all of it."""
    end_ms: int | None = None
    score: float | None = None
    """The captioner's own: a similarity, a probability; none is comparable with another captioner's."""
    lang: str | None = None
    """None: found out later."""
    pair_id: str | None = None
    """Of the final pair whose text it is; None: it is none's."""
    text_media_id: str | None = None
    """Of the media that this text was said about."""
