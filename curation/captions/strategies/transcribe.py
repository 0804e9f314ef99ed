"""Speech recognition, for subtitles where there are none."""

from __future__ import annotations

from collections.abc import Mapping

from curation.captions.prompts import Prompt
from curation.captions.samples import Caption, Sample
from curation.captions.strategies.tools import Tools, needed
from curation.captions.timed_text import Cue, sentences
from curation.recipe.captions import ModelCaptioner


def transcribe(sample: Sample, settings: ModelCaptioner, tools: Tools, prompts: Mapping[str, Prompt]) -> list[Caption]:
    """A `transcript` per sentence, with its span. [] without sound and without words. Raises CaptionFaultError."""
    sound = sample.media.sound()
    if sound is None or not len(sound):
        return []
    last = sample.duration_ms
    spoken = needed(tools.transcriber, "speech").transcribe(sound, None)
    within = [Cue(max(each.start_ms, 0), min(each.end_ms, last), each.text) for each in sorted(spoken)]
    found = sentences([cue for cue in within if cue.start_ms < cue.end_ms])
    return [Caption("transcript", cue.text, min(cue.start_ms, last - 1), min(cue.end_ms, last)) for cue in found]
