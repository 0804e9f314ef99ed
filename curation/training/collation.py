"""Samples to batches."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np


def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One dict of what the samples have.

    Tensors and numpy arrays of one shape are stacked to a tensor. Of `video`, clips with fewer frames than the longest
    are filled up with zeros, and `frames` says how many each has. All else is a list: texts, keys, pictures of
    different sizes (give Reading a size, or a transform that makes them equal).
    """
    batch: dict[str, Any] = {name: [sample[name] for sample in samples] for name in samples[0]}
    torch = import_module("torch")
    for name, values in tuple(batch.items()):
        if all(isinstance(value, np.ndarray) for value in values):
            values = [torch.from_numpy(value) for value in values]  # noqa: PLW2901
        if not all(isinstance(value, torch.Tensor) for value in values):
            continue
        if name == "video":
            batch["frames"] = torch.tensor([len(value) for value in values])
            values = _filled(values)  # noqa: PLW2901
        if len({(value.shape, value.dtype) for value in values}) == 1:
            batch[name] = torch.stack(values)
    return batch


def _filled(clips: Sequence[Any]) -> list[Any]:
    longest = max(len(clip) for clip in clips)
    return [clip if len(clip) == longest else _longer(clip, longest) for clip in clips]


def _longer(clip: Any, frames: int) -> Any:
    filled = clip.new_zeros((frames, *clip.shape[1:]))
    filled[: len(clip)] = clip
    return filled
