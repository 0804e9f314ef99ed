"""Pictures and texts as vectors of one space, by models of the CLIP type: CLIP, SigLIP, ALIGN, CLIPSeg ..."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from curation.captions.local_prompts import whole
from curation.captions.models import Frames, Vectors
from curation.media.video.descriptors import ImageEncoder
from curation.pretrained import Checkpoint
from curation.recipe.captions import LocalModel


class LocalEmbedder:
    """A model of transformers. Its vectors of pictures are those of ImageEncoder; products are cosines."""

    def __init__(self, settings: LocalModel) -> None:
        """Raises StageError."""
        checkpoint = Checkpoint(settings.model, "embedder", settings.device, settings.dtype)
        config = checkpoint.part("AutoConfig")
        self._images = ImageEncoder(checkpoint)
        if not hasattr(self._images.model, "get_text_features"):
            raise checkpoint.refuse("a model of pictures and texts, such as CLIP or SigLIP")
        self._tokenizer: Any = checkpoint.part("AutoTokenizer")
        self._context = _context(config, self._tokenizer)
        # SigLIP was trained with its full length of padding, and without a mask
        is_padded = config.model_type.startswith("siglip")
        self._padding = {"padding": "max_length", "return_attention_mask": False} if is_padded else {"padding": True}
        self._batch, self._lock = settings.batch, Lock()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in which it wants frames."""
        return self._images.size

    def embed_frames(self, frames: Frames) -> Vectors:
        """(N, height, width, 3) RGB to (N, D), unit vectors."""
        parts = [frames[start : start + self._batch] for start in range(0, len(frames), self._batch)]
        with self._lock:
            return self._joined([self._images(part) for part in parts])

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """To (N, D), unit vectors. Of a text longer than the model's context (CLIP: 77 tokens), its begin counts."""
        parts = [list(texts[start : start + self._batch]) for start in range(0, len(texts), self._batch)]
        with self._lock:  # tokenizers hold how they cut and pad
            return self._joined([self._embed(part) for part in parts])

    def _embed(self, texts: list[str]) -> Vectors:
        inputs = self._tokenizer(
            [whole(text) for text in texts], truncation=True, max_length=self._context, return_tensors="pt",
            split_special_tokens=True, **self._padding,
        )  # fmt: skip
        return self._images.vectors(self._images.model.get_text_features, **inputs)

    def _joined(self, parts: list[Vectors]) -> Vectors:
        width = getattr(self._images.model.config, "projection_dim", None) or 0
        return np.concatenate(parts) if parts else np.zeros((0, width), np.float32)


def _context(config: Any, tokenizer: Any) -> int:
    """Tokens of a text that the model reads."""
    told = getattr(config.get_text_config(), "max_position_embeddings", None)
    return min(int(told or tokenizer.model_max_length), int(tokenizer.model_max_length))
