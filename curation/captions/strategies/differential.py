"""What changes from key frame to key frame, and a summary of it (ShareGPT4Video).

The first key frame is described. Of each next one and the one before the changes are told, with what was told last
as context. A summary of all that, with times, is the description of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import xxhash

from curation.captions.key_frames import is_single_colour, key_frames
from curation.captions.models import Embedder, Frames, Picture
from curation.captions.prompts import Prompt
from curation.captions.samples import Caption, Sample
from curation.captions.strategies.tools import Tools, ask, needed, values_of
from curation.captions.strategies.vectors import frame_vectors
from curation.recipe.captions import ModelCaptioner

HELD: Final = 16
"""Key frames that are decoded at a time: a long film has thousands."""


def differential(
    sample: Sample, settings: ModelCaptioner, tools: Tools, prompts: Mapping[str, Prompt]
) -> list[Caption]:
    """`frame`, of the first key frame up to the second; a `difference` per pair, from one to the other; `detailed`.

    Images, and clips with one key frame: `detailed` alone, by the prompt first_frame. Raises CaptionFaultError.
    """
    values = values_of(sample)
    keys = [0] if sample.modality == "image" else key_times(sample, settings, needed(tools.embedder, "embed"))
    pictures = _pictures(sample, keys, settings.longest_side)
    before = next(pictures)
    told = ask(tools, settings, before, prompts["first_frame"].fill(values))
    if len(keys) == 1:
        return [Caption("detailed", told)]
    captions = [Caption("frame", told, keys[0], keys[1])]
    for picture, (start, end) in zip(pictures, pairwise(keys), strict=True):
        given = {"previous": told, "from_s": _seconds(start), "to_s": _seconds(end)}
        told = ask(tools, settings, before, picture, prompts["difference"].fill(values | given))
        captions.append(Caption("difference", told, start, end))
        before = picture
    given = {"differences": _notes(captions), "duration_s": _seconds(sample.duration_ms)}
    return [*captions, Caption("detailed", ask(tools, settings, prompts["summary"].fill(values | given)))]


def key_times(sample: Sample, settings: ModelCaptioner, embedder: Embedder) -> list[int]:
    """Ascending times in ms of a clip's key frames, one or more; the last frame counts as shown at the clip's end."""
    interval = max(1, round(settings.key_frame_seconds * 1000))
    times = [*range(0, sample.duration_ms, interval), sample.duration_ms]
    shown = [min(time_ms, max(sample.duration_ms - 1, 0)) for time_ms in times]
    plain: list[bool] = []
    digests: list[bytes] = []

    def watched() -> Iterator[Frames]:
        for _, frame in sample.media.frames(shown, embedder.size):
            plain.append(is_single_colour(frame))
            digests.append(xxhash.xxh3_128_digest(frame.tobytes()))
            yield frame

    vectors = frame_vectors(watched(), embedder)
    first = plain.index(False) if False in plain else 0
    times = times[first : len(vectors)]
    keys = key_frames(vectors[first:], times, interval, settings.key_frame_similarity)
    if times[keys[-1]] - times[keys[0]] < interval and digests[first + keys[-1]] == digests[first]:
        keys = keys[:1]  # a clip of one frame: it was not shown long enough to be seen twice
    return [times[key] for key in keys]


def _pictures(sample: Sample, times_ms: Sequence[int], longest_side: int | None) -> Iterator[Picture]:
    shown = [min(time_ms, max(sample.duration_ms - 1, 0)) for time_ms in times_ms]
    for place in range(0, len(shown), HELD):
        yield from sample.media.pictures(shown[place : place + HELD], longest_side)


def _notes(captions: Sequence[Caption]) -> str:
    first, *others = captions
    lines = [f"At {_seconds(first.start_ms)} s: {_line(first.text)}"]
    lines += [f"From {_seconds(each.start_ms)} s to {_seconds(each.end_ms)} s: {_line(each.text)}" for each in others]
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split())


def _seconds(time_ms: int | None) -> str:
    return f"{(time_ms or 0) / 1000:.1f}"
