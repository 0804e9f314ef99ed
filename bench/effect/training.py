"""Trains one arm and tests it. This module needs torch."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bench.effect.glyphs import names, shapes
from bench.effect.images import Images, render
from bench.effect.model import Model
from bench.effect.pool import TEMPLATES, Ints, Pool, make_pool
from bench.effect.settings import HEAD, TAIL, TEST_IMAGES, Setting
from bench.effect.words import Texts, Words

_WARM_UP = 0.05
"""Share of the steps in which the learning rate rises; it then falls as half a cosine to 0."""


@dataclass(frozen=True, eq=False)
class Task:
    """What all arms of a seed and pool share: images and words of the pool, and the test."""

    setting: Setting
    pool: Pool
    words: Words
    images: Images
    texts: Texts
    test_images: Images
    """(concepts * TEST_IMAGES, px, px), concept by concept."""
    prompts: Texts
    """Every template with every name, concept by concept."""

    @classmethod
    def make(cls, setting: Setting, seed: int, size: int) -> Task:
        vocabulary = names()
        pool, words, drawn = make_pool(vocabulary, size, seed), Words(vocabulary), shapes(vocabulary, setting.px)
        test = np.repeat(np.arange(len(vocabulary)), TEST_IMAGES)
        return cls(
            setting,
            pool,
            words,
            render(drawn, pool.shown, (seed, size), setting.noise),
            words.read(pool.texts),
            render(drawn, test, (seed, 0), setting.noise),
            words.read([template.format(name) for name in vocabulary for template in TEMPLATES]),
        )


def order(rows: Ints, samples: int, seed: int) -> Ints:
    """(samples,) rows as they are seen: all of them in a new order, again and again, cut off at the end."""
    draws = np.random.default_rng([seed, 2])
    epochs = [draws.permutation(rows) for _ in range(-(-samples // len(rows)))]
    return np.concatenate(epochs)[:samples]


def train(task: Task, rows: Ints) -> dict[str, Any]:
    """The result of an arm that holds these rows of the pool; the same on every run on the same machine."""
    setting, started = task.setting, time.monotonic()
    torch.manual_seed(task.pool.seed)
    model = Model(setting, len(task.words)).to(setting.device)
    steps = math.ceil(setting.samples / setting.batch)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=setting.learning_rate, betas=(0.9, 0.98), weight_decay=setting.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    seen, losses = order(rows, setting.samples, task.pool.seed), []
    for step in range(steps):
        loss = model.loss(*_batch(task, seen[step * setting.batch : (step + 1) * setting.batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step >= steps - 50:
            losses.append(loss.item())
    scores = _accuracies(task, model)
    return {
        **summary(scores, task.pool.ranks),
        "loss": float(np.mean(losses)),
        "wall_s": time.monotonic() - started,
        "by_rank": (100 * scores[task.pool.ranks]).tolist(),
    }


def summary(accuracies: npt.NDArray[np.float64], ranks: Ints) -> dict[str, float]:
    """Macro accuracy overall, of the head and of the tail, in percent; accuracies: (concepts,) of 1."""
    by_rank = 100 * accuracies[ranks]
    parts = {"overall": by_rank, "head": by_rank[:HEAD], "tail": by_rank[-TAIL:]}
    return {name: float(part.mean()) for name, part in parts.items()}


def _rate(step: int, steps: int) -> float:
    """Of the learning rate at a step: 0 to 1."""
    warm = max(1, round(_WARM_UP * steps))
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def _batch(task: Task, rows: Ints) -> tuple[Tensor, Tensor, Tensor]:
    arrays = (task.images[rows], *task.texts.take(rows))
    images, words, offsets = (torch.from_numpy(array).to(task.setting.device) for array in arrays)
    return images, words, offsets


@torch.inference_mode()
def _accuracies(task: Task, model: Model) -> npt.NDArray[np.float64]:
    """(concepts,) share of each concept's test images whose nearest concept is their own.

    A concept is the mean of its prompts' unit vectors, made a unit vector again, as in CLIP.
    """
    model.eval()
    device, texts = task.setting.device, task.prompts
    words, offsets = (torch.from_numpy(array).to(device) for array in (texts.values, texts.offsets[:-1]))
    concepts = model.embed_texts(words, offsets).view(-1, len(TEMPLATES), task.setting.embedding).mean(1)
    concepts = torch.nn.functional.normalize(concepts, dim=1)
    nearest = [
        (model.embed_images(torch.from_numpy(part).to(device)) @ concepts.T).argmax(1).cpu().numpy()
        for part in np.array_split(task.test_images, 8)
    ]
    own = np.repeat(np.arange(len(concepts)), TEST_IMAGES)
    return np.asarray((np.concatenate(nearest) == own).reshape(-1, TEST_IMAGES).mean(1))
