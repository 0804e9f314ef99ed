"""Key frames: a frame is one when it differs from the last that was taken (ShareGPT4Video).

Facts of the released example: candidates every 2 s, vectors of CLIP ViT-L/14-336, taken when their cosine with the key
frame before is below 0.93; the first frame is always one; the last one where the video ends at least one interval
after the key frame before, or where nothing but the first was taken. Single-coloured frames at the begin are passed
over.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curation.captions.models import Frames, Vectors


def key_frames(vectors: Vectors, times_ms: Sequence[int], interval_ms: float, similarity: float) -> list[int]:
    """Ascending places of the key frames among (N, D) unit vectors of candidates at these ascending times.

    The last candidate is the last frame of the video, its time the video's end; it is not compared. [] of none, [0] of
    one.
    """
    last = len(times_ms) - 1
    if last < 1:
        return list(range(last + 1))
    chosen = [0]
    for place in range(1, last):
        cosine = (vectors[chosen[-1]] * vectors[place]).sum(dtype=np.float64)
        if cosine < similarity:
            chosen.append(place)
    if len(chosen) == 1 or times_ms[last] - times_ms[chosen[-1]] >= interval_ms:
        chosen.append(last)
    return chosen


def is_single_colour(frame: Frames) -> bool:
    """Whether all pixels of (..., height, width, 3) have one colour, such as the black before a film."""
    pixels = frame.reshape(-1, frame.shape[-1])
    return bool((pixels == pixels[:1]).all())
