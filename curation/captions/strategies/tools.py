"""What strategies have at hand: models, one way to ask, and the words known of a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import ChatModel, Embedder, Picture, Request, Transcriber
from curation.captions.samples import Sample
from curation.errors import StageError
from curation.recipe.captions import ModelCaptioner

Model = TypeVar("Model")


def _uncounted(what: str, number: int) -> None:
    return


@dataclass(frozen=True)
class Tools:
    """The models of one captioner; those that its strategy does not use may be None."""

    chat: ChatModel | None = None
    transcriber: Transcriber | None = None
    embedder: Embedder | None = None
    count: Callable[[str, int], None] = _uncounted
    """Told what was left out of answers, by name and number; from as many threads as run strategies."""


def needed(model: Model | None, task: str) -> Model:
    """The model. Raises StageError where the captioner was given none."""
    if model is None:
        raise StageError(f"a captioner was run without a model of task {task}: name one in captions.models")
    return model


def ask(tools: Tools, settings: ModelCaptioner, *parts: str | Picture) -> str:
    """The answer's text, no white space around it. Raises CaptionFaultError."""
    request = Request(parts, settings.max_tokens, temperature=settings.temperature)
    text = needed(tools.chat, "caption").ask(request).text.strip()
    if not text:
        raise CaptionFaultError(Fault.EMPTY, "the answer is white space")
    return text


def values_of(sample: Sample) -> dict[str, str]:
    """What prompts may name: each list of texts, one per line; each fact; and the subtitles, as running text."""
    values = {name: _told(fact) for name, fact in (sample.facts or {}).items() if fact is not None}
    values |= {name: "\n".join(texts) for name, texts in sample.texts.items()}
    if sample.cues:
        values["subtitles"] = " ".join(" ".join(cue.text.split()) for cue in sample.cues)
    return values


def _told(fact: object) -> str:
    return ", ".join(map(str, fact)) if isinstance(fact, list | tuple) else str(fact)
