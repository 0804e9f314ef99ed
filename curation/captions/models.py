"""What captions are made with: models behind small protocols, so that every strategy works with every back end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]
"""(N, height, width, 3) RGB."""
Vectors = npt.NDArray[np.float32]
"""(N, D), unit vectors."""
Sound = npt.NDArray[np.float32]
"""(samples,) mono at SOUND_RATE, -1 to 1."""

SOUND_RATE = 16_000
"""Samples per second that Whisper hears."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture of a request."""

    data: bytes
    mime: str = "image/jpeg"


@dataclass(frozen=True, slots=True)
class Request:
    """One turn of a conversation. Equal requests are one: their digest is their name."""

    parts: tuple[str | Picture, ...]
    """Texts and pictures in their order."""
    max_tokens: int
    temperature: float = 0.0
    """0: the likeliest answer."""


class Answer(NamedTuple):
    """What a model said. finish is `length` where it was cut off; tokens are None where nobody counted."""

    text: str
    finish: Literal["stop", "length"]
    prompt_tokens: int | None
    answer_tokens: int | None


class Spoken(NamedTuple):
    """What was said, from the sample's begin."""

    start_ms: int
    end_ms: int
    text: str


class ChatModel(Protocol):
    """Pictures and texts to text. `ask` is called from `slots` threads at a time, and blocks."""

    @property
    def slots(self) -> int: ...

    def ask(self, request: Request) -> Answer:
        """A valid answer: not empty, no refusal, not cut off. Raises CaptionFaultError for anything else."""
        ...


class Transcriber(Protocol):
    """Speech to text with times. `transcribe` is called from `slots` threads at a time, and blocks."""

    @property
    def slots(self) -> int: ...

    def transcribe(self, sound: Sound, language: str | None) -> list[Spoken]:
        """language: as ISO 639-1, or None: found out. Raises CaptionFaultError."""
        ...


class Embedder(Protocol):
    """Pictures and texts to vectors of one space; their products are similarities. Safe to call from threads."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in which it wants frames: it sees no more than that."""
        ...

    def embed_frames(self, frames: Frames) -> Vectors: ...

    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


class Spend(NamedTuple):
    """What a captioner's requests took: those that were answered, and tokens where the back end counts them."""

    requests: int
    prompt_tokens: int
    answer_tokens: int
    replayed: int
    """Answers that an earlier attempt had been given."""
