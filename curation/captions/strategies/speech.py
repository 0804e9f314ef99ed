"""What is said becomes captions of what is shown, each moved to the moment that it fits best (HowToCaption)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

import numpy as np

from curation.captions.alignment import aligned, window_vectors
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.prompts import Prompt
from curation.captions.samples import Caption, Sample
from curation.captions.strategies.tools import Tools, ask, needed, values_of
from curation.captions.strategies.vectors import frame_vectors, text_vectors
from curation.captions.timed_text import Cue, blocks, sentences
from curation.recipe.captions import ModelCaptioner

# "12s: text", behind the marks of a list or a quotation, but not -12s; possessive, or a line of blanks would take
# quadratic time
_LINE = re.compile(r"[\s>*\-•]*+(?:[0-9]{1,3}[.)]\s++)?\**+(?<!-)([0-9]{1,9})s:(.*)", re.S).fullmatch
_NONE = re.compile(r"\W{0,9}none\W{0,9}", re.I).fullmatch


class SaidCaption(NamedTuple):
    """A caption of what may be seen around a second."""

    second: int
    text: str


def speech(sample: Sample, settings: ModelCaptioner, tools: Tools, prompts: Mapping[str, Prompt]) -> list[Caption]:
    """`speech_caption`: a sentence with the span of its window and its similarity; ordered as they were said.

    Counts (Tools.count) what it leaves out: `unformed` lines of answers, `outside` captions of times that their block
    does not have, `unseen` ones near whose time there is no picture. Repeated ones stand once. [] where nothing is
    said. Raises CaptionFaultError: BAD_FORM where no line of any answer is a caption.
    """
    if sample.modality == "image" or not sample.duration_ms or not sample.cues:
        return []
    said = _said(sample, settings, tools, prompts["speech"])
    return _aligned(sample, settings, tools, said) if said else []


def parse_captions(answer: str) -> tuple[list[SaidCaption], int]:
    """The captions of lines "12s: text", one per sentence, and how many other lines there are; blank ones count not."""
    captions: list[SaidCaption] = []
    unformed = 0
    for line in answer.splitlines():
        found = _LINE(line)
        if found is None:
            unformed += bool(line.strip())
            continue
        second, text = int(found[1]), found[2].strip(" \t*")
        captions += [SaidCaption(second, sentence.text) for sentence in sentences([Cue(0, 1, text)])]
    return captions, unformed


def _said(sample: Sample, settings: ModelCaptioner, tools: Tools, prompt: Prompt) -> list[SaidCaption]:
    values = values_of(sample)
    said: list[SaidCaption] = []
    answers, formed = 0, 0
    for block in blocks(sentences(sample.cues), settings.block_words):
        answer = ask(tools, settings, prompt.fill(values | {"block": block.text()}))
        says_none = _NONE(answer) is not None
        captions, unformed = ([], 0) if says_none else parse_captions(answer)
        answers, formed = answers + 1, formed + (says_none or bool(captions))
        within = [each for each in captions if block.start_ms // 1000 <= each.second <= ceil(block.end_ms / 1000)]
        tools.count("unformed", unformed)
        tools.count("outside", len(captions) - len(within))
        said += within
    if answers and not formed:
        raise CaptionFaultError(Fault.BAD_FORM, f"no line SECONDSs: TEXT in {answers} answers")
    return sorted(dict.fromkeys(said), key=lambda each: each.second)


def _aligned(sample: Sample, settings: ModelCaptioner, tools: Tools, said: list[SaidCaption]) -> list[Caption]:
    embedder = needed(tools.embedder, "embed")
    times = range(0, sample.duration_ms, 1000)
    width = max(1, round(settings.window_seconds))
    vectors = frame_vectors((frame for _, frame in sample.media.frames(times, embedder.size)), embedder)
    starts = np.arange(len(vectors), dtype=np.float64) - width // 2
    seconds = np.array([each.second for each in said], np.float64)
    texts = text_vectors([each.text for each in said], embedder)
    places, scores = aligned([texts], [window_vectors(vectors, width)], seconds, starts, settings.search_seconds)
    captions = []
    for each, place, score in zip(said, places.tolist(), scores.tolist(), strict=True):
        if place >= 0:
            start = (place - width // 2) * 1000
            span = max(start, 0), min(start + width * 1000, sample.duration_ms)
            captions.append(Caption("speech_caption", each.text, *span, score))
    tools.count("unseen", len(said) - len(captions))
    return captions
