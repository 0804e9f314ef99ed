"""Frames to vectors, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

import numpy as np

from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.models import Embedder, Frames, Vectors

BATCH: Final = 32
"""Frames that are held at a time."""


def frame_vectors(frames: Iterable[Frames], embedder: Embedder) -> Vectors:
    """(N, D) of N frames of shape (1, height, width, 3). Raises CaptionFaultError: there is none; no finite vector."""
    waiting, parts = iter(frames), []
    while batch := list(islice(waiting, BATCH)):
        parts.append(embedder.embed_frames(np.concatenate(batch)))
    if not parts:
        raise CaptionFaultError(Fault.NO_MEDIA, "no frame of it can be shown")
    return _finite(np.concatenate(parts))


def text_vectors(texts: list[str], embedder: Embedder) -> Vectors:
    """(M, D) of M >= 1 texts. Raises CaptionFaultError: no finite vector."""
    return _finite(
        np.concatenate([embedder.embed_texts(texts[place : place + BATCH]) for place in range(0, len(texts), BATCH)])
    )


def _finite(vectors: Vectors) -> Vectors:
    if not np.isfinite(vectors).all():
        raise CaptionFaultError(Fault.MODEL, "the embedder's vectors are not finite: take dtype float32")
    return vectors
