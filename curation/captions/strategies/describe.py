"""One request per prompt, each a kind of caption: of pictures, or of words alone.

With words alone it is what merges earlier captions (MMTrail); with one picture of a clip and its subtitles, title and
description, what Panda-70M asks its question-answering teachers.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Final

import xxhash

from curation.captions.models import Picture
from curation.captions.prompts import Prompt
from curation.captions.samples import Caption, Sample
from curation.captions.strategies.tools import Tools, ask, values_of
from curation.recipe.captions import ModelCaptioner

SINGLE: Final = (0.3, 0.7)
"""Shares of a clip between which its only picture lies (Panda-70M's image captioners)."""


def describe(sample: Sample, settings: ModelCaptioner, tools: Tools, prompts: Mapping[str, Prompt]) -> list[Caption]:
    """One caption per prompt, in their order, of the whole sample.

    [] for words alone where prompts name none that the sample has: there is nothing to tell. Raises CaptionFaultError.
    """
    values = values_of(sample)
    pictures = _pictures(sample, settings) if settings.frames else []
    captions = []
    for kind, prompt in prompts.items():
        if pictures or any(values.get(name, "").strip() for name in prompt.names):
            captions.append(Caption(kind, ask(tools, settings, *pictures, prompt.fill(values))))
    return captions


def picture_times(sample_id: str, duration_ms: int, frames: int) -> list[int]:
    """Ascending times in ms of so many pictures: the middles of equal parts; one alone is drawn by the sample's id.

    Each once: a clip of fewer ms than frames, or an image, whose duration is 0, has fewer.
    """
    if frames == 1:
        draw = (xxhash.xxh3_64_intdigest(sample_id.encode("utf-8", "surrogatepass")) >> 11) * 2.0**-53
        return [int(duration_ms * (SINGLE[0] + (SINGLE[1] - SINGLE[0]) * draw))]
    return sorted({duration_ms * (2 * part + 1) // (2 * frames) for part in range(frames)})


def _pictures(sample: Sample, settings: ModelCaptioner) -> list[Picture]:
    """A picture that is shown again right after itself is sent once: clips may have fewer frames than are asked for."""
    times = picture_times(sample.sample_id, sample.duration_ms, settings.frames)
    return [picture for picture, _ in groupby(sample.media.pictures(times, settings.longest_side))]
