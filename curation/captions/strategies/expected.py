"""What a sample will cost, before anything is asked: for the estimate in `plan`."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final, NamedTuple

from curation.captions.strategies.default_prompts import prompts_of
from curation.recipe.captions import ModelCaptioner

SPOKEN_WORDS_PER_S: Final = 269.8 * 11.5 / 1354
"""2.3 words a second: VidChapters-7M's videos with speech have 269.8 sentences of 11.5 words in 1,354 s."""
WORDS_PER_SENTENCE: Final = 11.5
"""VidChapters-7M. Each sentence of a block is preceded by its second, one word more."""
WORDS_PER_TOKEN: Final = 0.75
"""Of English: the rule of thumb of OpenAI's documentation."""


class Expected(NamedTuple):
    """Of one sample. Words that prompts fill in from the sample's own texts are not counted: they are not known yet."""

    requests: int
    pictures: int
    prompt_words: float


def requests_of(settings: ModelCaptioner, duration_ms: int, own_prompts: Mapping[str, str] | None = None) -> Expected:
    """What the strategy asks of a sample of this length, 0 for an image. own_prompts: texts of the recipe's, by kind.

    describe: exact, but for clips of fewer frames than are asked for. differential: at most, each candidate a key frame
    and each answer of max_tokens. speech: of a video in which somebody speaks, at the rate of VidChapters-7M.
    transcribe: one request of sound alone.
    """
    words = {kind: len(text.split()) for kind, text in prompts_of(settings.strategy, own_prompts or {}).items()}
    if settings.strategy == "describe":
        pictures = min(settings.frames, max(duration_ms, 1))
        return Expected(len(words), pictures * len(words), sum(words.values()))
    if settings.strategy == "differential":
        return _differential(settings, duration_ms, words)
    if settings.strategy == "speech":
        spoken = duration_ms / 1000 * SPOKEN_WORDS_PER_S
        requests = ceil(spoken / settings.block_words)
        return Expected(requests, 0, requests * words["speech"] + spoken * (1 + 1 / WORDS_PER_SENTENCE))
    return Expected(1, 0, 0)


def _differential(settings: ModelCaptioner, duration_ms: int, words: Mapping[str, int]) -> Expected:
    pairs = ceil(duration_ms / (settings.key_frame_seconds * 1000))
    if not pairs:
        return Expected(1, 1, words["first_frame"])
    answer = settings.max_tokens * WORDS_PER_TOKEN
    asked = words["first_frame"] + pairs * (words["difference"] + answer) + words["summary"] + (pairs + 1) * answer
    return Expected(pairs + 2, 1 + 2 * pairs, asked)
