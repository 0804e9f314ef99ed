"""Ways to get captions out of models, by name.

    prompts = {kind: Prompt.parse(text) for kind, text in prompts_of(settings.strategy, own_texts).items()}
    captions = with_short(run_strategy(sample, settings, Tools(chat=model), prompts))

A strategy is deterministic, given the answers. It knows nothing of journals, retries and threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from curation.captions.prompts import Prompt
from curation.captions.samples import Caption, Sample
from curation.captions.strategies.default_prompts import default_prompts, prompts_of
from curation.captions.strategies.describe import describe
from curation.captions.strategies.differential import differential
from curation.captions.strategies.expected import Expected, requests_of
from curation.captions.strategies.short import before_full_stop, first_sentence, with_short
from curation.captions.strategies.speech import speech
from curation.captions.strategies.tools import Tools
from curation.captions.strategies.transcribe import transcribe
from curation.recipe.captions import ModelCaptioner

Strategy = Callable[[Sample, ModelCaptioner, Tools, Mapping[str, Prompt]], list[Caption]]

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {"describe": describe, "differential": differential, "speech": speech, "transcribe": transcribe}
)
"""By the name that recipes use."""


def run_strategy(
    sample: Sample, settings: ModelCaptioner, tools: Tools, prompts: Mapping[str, Prompt]
) -> list[Caption]:
    """The captions of one sample by the strategy that `settings` names; [] where there is nothing to tell.

    prompts: by the kinds of `prompts_of`. Raises CaptionFaultError where this sample fails, StageError where a model is
    missing.
    """
    return STRATEGIES[settings.strategy](sample, settings, tools, prompts)


__all__ = [
    "STRATEGIES",
    "Expected",
    "Strategy",
    "Tools",
    "before_full_stop",
    "default_prompts",
    "first_sentence",
    "prompts_of",
    "requests_of",
    "run_strategy",
    "with_short",
]
