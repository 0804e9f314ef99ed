"""A CLIP in small: two towers of four layers each, and a learnt logit scale. This module needs torch."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.effect.settings import Setting

_FIRST_LOGIT_SCALE, _LARGEST_LOGIT_SCALE = 1 / 0.07, 100.0
"""CLIP's (arXiv:2103.00020)."""


class Model(nn.Module):
    """Images (n, px, px) of uint8 and texts as word numbers to unit vectors (n, embedding)."""

    def __init__(self, setting: Setting, words: int) -> None:
        super().__init__()
        self.images = _image_tower(setting)
        self.words = nn.EmbeddingBag(words, setting.text_width, mode="mean")
        self.texts = _text_tower(setting)
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_LOGIT_SCALE)))

    def embed_images(self, images: Tensor) -> Tensor:
        pixels = images.unsqueeze(1).float().div_(127.5).sub_(1)
        return functional.normalize(self.images(pixels), dim=1)

    def embed_texts(self, words: Tensor, offsets: Tensor) -> Tensor:
        """words: numbers of all texts' words in a row; offsets: where each text's begin."""
        return functional.normalize(self.texts(self.words(words, offsets)), dim=1)

    def loss(self, images: Tensor, words: Tensor, offsets: Tensor) -> Tensor:
        """Symmetric cross-entropy: each image's own text among all of the batch, and each text's own image."""
        scale = self.log_scale.exp().clamp(max=_LARGEST_LOGIT_SCALE)
        logits = scale * self.embed_images(images) @ self.embed_texts(words, offsets).T
        own = torch.arange(len(logits), device=logits.device)
        both = functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)
        return cast(Tensor, both / 2)


def _image_tower(setting: Setting) -> nn.Sequential:
    layers: list[nn.Module] = []
    before, side = 1, setting.px
    for number, channels in enumerate(setting.channels):
        size, stride = (5 if number == 0 else 3), (2 if side > 3 else 1)
        layers += [nn.Conv2d(before, channels, size, stride, size // 2), nn.ReLU()]
        before, side = channels, -(-side // stride)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side * side, setting.embedding))


def _text_tower(setting: Setting) -> nn.Sequential:
    """The layers behind the words' vectors, which are the first one."""
    layers: list[nn.Module] = []
    for _ in range(setting.text_layers - 2):
        layers += [nn.Linear(setting.text_width, setting.text_width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(setting.text_width, setting.embedding))
