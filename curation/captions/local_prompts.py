"""Requests in the words of a model of transformers: by its chat template, or, where it has none, as bare text."""

from __future__ import annotations

import io
from collections.abc import Hashable, Mapping, Sequence
from importlib import import_module
from threading import Lock
from typing import Any, Final, NamedTuple

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import Picture, Request
from curation.errors import StageError
from curation.pretrained import Checkpoint

WANTED: Final = "a model that makes text of pictures (BLIP, LLaVA, Qwen-VL ...) or of text"
_SENTENCE_ENDS: Final = (".", "?", "!", ":", "。", "？", "！", "：")


class Prompt(NamedTuple):
    """Of one request. Those of one kind can be answered together."""

    kind: Hashable
    words: Any
    """A conversation for a chat template, or a text."""
    pictures: list[Any]
    request: Request


class Conversation:
    """Models with a chat template; with pictures where they have an image processor too."""

    def __init__(self, checkpoint: Checkpoint, processor: Any) -> None:
        self._checkpoint, self._processor = checkpoint, processor
        self._sees = hasattr(processor, "image_processor")

    def prompt(self, request: Request) -> Prompt:
        """Raises CaptionFaultError; StageError for pictures to a model that has no use for them."""
        pictures = [decoded(part) for part in request.parts if isinstance(part, Picture)]
        if pictures and not self._sees:
            raise StageError(f"{self._checkpoint.name} sees no pictures: set frames to 0, or give it no images")
        words = self._conversation(request, pictures)
        return Prompt((len(pictures), request.max_tokens, request.temperature), words, pictures, request)

    def inputs(self, prompts: Sequence[Prompt]) -> Mapping[str, Any]:
        """Tensors. What looks like the model's own marks in texts stays text."""
        padding: dict[str, Any] = {"processor_kwargs": {"padding": True}} if self._sees else {"padding": True}
        told: Mapping[str, Any] = self._processor.apply_chat_template(
            [prompt.words for prompt in prompts], add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt", sanitize_control_tokens=True, **padding,
        )  # fmt: skip
        return told

    def _conversation(self, request: Request, pictures: list[Any]) -> list[dict[str, Any]]:
        shown = iter(pictures)
        parts = [
            self._text(part) if isinstance(part, str) else {"type": "image", "image": next(shown)}
            for part in request.parts
        ]
        content = parts if self._sees else "".join(part["text"] for part in parts)
        return [{"role": "user", "content": content}]

    def _text(self, text: str) -> dict[str, Any]:
        return {"type": "text", "text": whole(text)}


class Continuation:
    """Models without a chat template: captioners that say what they see (BLIP, BLIP-2), and plain language models.

    A text is what the answer continues ("a photo of"). BLIP knows no more than that: a whole sentence, which ends in a
    mark, is an instruction that it cannot follow, and left out. The answer then holds what it continues.
    """

    def __init__(self, checkpoint: Checkpoint, processor: Any, *, is_blip: bool) -> None:
        self._checkpoint, self._processor, self._is_blip = checkpoint, processor, is_blip
        self._sees = hasattr(processor, "image_processor")
        self._lock = Lock()  # tokenizers hold how they pad

    def prompt(self, request: Request) -> Prompt:
        """Raises CaptionFaultError; StageError for more or fewer pictures than the model takes."""
        pictures = [part for part in request.parts if isinstance(part, Picture)]
        name = self._checkpoint.name
        if self._sees and len(pictures) != 1:
            found = f"{name} describes one picture, not {len(pictures)}"
            raise StageError(f"{found}: set frames to 1, or take another model")
        if pictures and not self._sees:
            raise StageError(f"{name} sees no pictures: set frames to 0, or give it no images")
        texts = [part for part in request.parts if isinstance(part, str)]
        words = "\n".join(whole(text).strip() for text in texts).strip()
        if self._is_blip and words.endswith(_SENTENCE_ENDS):
            words = ""
        kind: tuple[Any, ...] = (request.max_tokens, request.temperature)
        if self._sees:  # BLIP counts places from the left, padding too; BLIP-2 has it between picture and text
            with self._lock:
                kind = (*kind, len(self._processor.tokenizer(words)["input_ids"]))
        return Prompt(kind, words, [decoded(picture) for picture in pictures], request)

    def inputs(self, prompts: Sequence[Prompt]) -> Mapping[str, Any]:
        """Tensors."""
        pictures = {"images": [prompt.pictures[0] for prompt in prompts]} if self._sees else {}
        texts = [prompt.words for prompt in prompts]
        with self._lock:
            told: Mapping[str, Any] = self._processor(text=texts, padding=True, return_tensors="pt", **pictures)
        return told


def whole(text: str) -> str:
    """Without lone surrogates, which tokenizers refuse."""
    return text.encode("utf-8", "replace").decode("utf-8")


def decoded(picture: Picture) -> Any:
    """A picture of PIL, RGB. Raises CaptionFaultError."""
    pil: Any = import_module("PIL.Image")
    try:
        return pil.open(io.BytesIO(picture.data)).convert("RGB")
    except (OSError, ValueError, SyntaxError, pil.DecompressionBombError) as error:
        raise CaptionFaultError(Fault.UNREADABLE, f"a picture cannot be decoded: {error}") from None
