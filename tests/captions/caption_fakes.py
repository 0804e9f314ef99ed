"""Models and media of the strategies' tests: they answer what a test wrote down, and remember what they were asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curation.captions.faults import CaptionFaultError
from curation.captions.models import SOUND_RATE, Answer, Frames, Picture, Request, Sound, Spoken, Vectors
from curation.captions.prompts import Prompt
from curation.captions.samples import Caption, Media, Sample
from curation.captions.strategies import Tools, prompts_of, run_strategy
from curation.captions.timed_text import Cue
from curation.recipe.captions import ModelCaptioner

Colour = tuple[int, int, int]


@dataclass
class ScriptedChat:
    """answers: text after text, an exception to raise, or a function of the request."""

    answers: Sequence[str | Exception] | Callable[[Request], str]
    asked: list[Request] = field(default_factory=list)
    slots: int = 1

    def ask(self, request: Request) -> Answer:
        self.asked.append(request)
        said = self.answers(request) if callable(self.answers) else self.answers[len(self.asked) - 1]
        if isinstance(said, Exception):
            raise said
        return Answer(said, "stop", None, None)

    def close(self) -> None: ...


@dataclass
class ScriptedTranscriber:
    spoken: list[Spoken] | CaptionFaultError
    heard: list[int] = field(default_factory=list)
    slots: int = 1

    def transcribe(self, sound: Sound, language: str | None) -> list[Spoken]:
        self.heard.append(len(sound))
        if isinstance(self.spoken, CaptionFaultError):
            raise self.spoken
        return self.spoken

    def close(self) -> None: ...


@dataclass
class ColourEmbedder:
    """A frame's vector is its mean colour, a text's the colour that it names; of unit length."""

    size: tuple[int, int] = (8, 6)
    batches: list[int] = field(default_factory=list)

    def embed_frames(self, frames: Frames) -> Vectors:
        self.batches.append(len(frames))
        return _unit(frames.reshape(len(frames), -1, 3).mean(axis=1))

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return _unit(np.array([[("red" in text), ("green" in text), ("blue" in text)] for text in texts], float) + 1e-6)


def _unit(vectors: np.ndarray[Any, Any]) -> Vectors:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)


@dataclass
class ColouredMedia:
    """Shows one colour after another, each for `each_ms`, with one pixel of a second so that no frame is of one colour.

    plain: times in ms below which frames have one colour. An image where there is one colour and each_ms is 0.
    """

    colours: Sequence[Colour]
    each_ms: int
    plain: int = 0
    track: Sound | None = None
    shown: list[list[int]] = field(default_factory=list)
    longest_sides: list[int | None] = field(default_factory=list)

    def pictures(self, times_ms: Sequence[int], longest_side: int | None = None) -> list[Picture]:
        self.shown.append(list(times_ms))
        self.longest_sides.append(longest_side)
        return [Picture(b"picture %d" % self._place(time_ms)) for time_ms in times_ms]

    def frames(self, times_ms: Sequence[int], size: tuple[int, int]) -> Iterator[tuple[int, Frames]]:
        for time_ms in times_ms:
            frame = np.zeros((1, size[1], size[0], 3), np.uint8)
            frame[:] = self.colours[self._place(time_ms)]
            frame[0, 0, 0] = frame[0, 0, 0] if time_ms < self.plain else 9
            yield time_ms, frame

    def sound(self) -> Sound | None:
        return self.track

    def _place(self, time_ms: int) -> int:
        return min(time_ms // self.each_ms, len(self.colours) - 1) if self.each_ms else 0


RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * SOUND_RATE), np.float32)


def captioner(strategy: str, **settings: Any) -> ModelCaptioner:
    return ModelCaptioner.model_validate(
        {"source": "model", "name": "teacher", "model": "a_model", "strategy": strategy, **settings}
    )


def video(media: Media, duration_ms: int, **more: Any) -> Sample:
    return Sample("a" * 32, "video", duration_ms, media, **{"texts": {}, **more})


def image(media: Media, **more: Any) -> Sample:
    return Sample("b" * 32, "image", 0, media, **{"texts": {}, **more})


def cues(*told: tuple[float, float, str]) -> list[Cue]:
    return [Cue(round(start * 1000), round(end * 1000), text) for start, end, text in told]


@dataclass
class Played:
    """What a strategy did."""

    captions: list[Caption]
    asked: list[Request]
    counts: Counter[str]


def play(
    sample: Sample,
    settings: ModelCaptioner,
    chat: ScriptedChat | None = None,
    own_prompts: dict[str, str] | None = None,
    **models: Any,
) -> Played:
    """Runs a strategy with prompts of its own, or these."""
    counts: Counter[str] = Counter()

    def count(what: str, number: int) -> None:
        counts[what] += number

    texts = prompts_of(settings.strategy, own_prompts or {})
    prompts = {kind: Prompt.parse(text) for kind, text in texts.items()}
    tools = Tools(chat=chat, embedder=models.get("embedder"), transcriber=models.get("transcriber"), count=count)
    captions = run_strategy(sample, settings, tools, prompts)
    return Played(captions, chat.asked if chat else [], +counts)


def words(request: Request) -> str:
    """The request's only text, which stands last."""
    *pictures, text = request.parts
    if not isinstance(text, str) or any(isinstance(part, str) for part in pictures):
        raise TypeError("pictures, then one text")
    return text


def pictures(request: Request) -> list[str]:
    return [part.data.decode() for part in request.parts if isinstance(part, Picture)]
