"""Which moment of a video a text belongs to: of the windows near where it was said, the most similar (HowToCaption).

Facts of the released code: frames at 1 per second; the vector of a window is the mean of its frames' unit vectors, not
made a unit again, so that a similarity is the mean of those with the frames; a text said at second s may move to any
window of 8 s that begins within 10 s of s; where several models look, their similarities are added. Texts get windows
of their own: two may get the same one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curation.captions.models import Vectors

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def window_vectors(vectors: Vectors, width: int) -> Vectors:
    """(N, D) frames -> (N, D): row i is the mean of the `width` frames from i - width // 2 on.

    Beyond both ends the frames are mirrored, the end itself not said twice. width >= 1. Equal windows get equal bits.
    """
    before = width // 2
    padded = np.pad(vectors, ((before, width - 1 - before), (0, 0)), mode="reflect") if len(vectors) else vectors
    total = np.zeros(vectors.shape, np.float64)
    for shift in range(width):  # in the order of the frames: a running sum would break ties of equal windows
        total += padded[shift : shift + len(vectors)]
    return (total / width).astype(np.float32)


def aligned(
    texts: Sequence[Vectors], windows: Sequence[Vectors], said: Floats, starts: Floats, reach: float
) -> tuple[Places, Floats]:
    """For each of M texts the best of N windows that start within `reach` of where it was said: places, similarities.

    texts, windows: one (M, D) and one (N, D) per model, whose similarities are added. said: (M,), starts: (N,)
    ascending, and reach: of one unit. Of equal windows the one that starts nearest to `said` is taken, then the
    earlier. Place -1, similarity NaN: there is none within reach.
    """
    places, similarities = np.full(len(said), -1, np.int64), np.full(len(said), np.nan)
    firsts = np.searchsorted(starts, said - reach, "left").tolist()
    ends = np.searchsorted(starts, said + reach, "right").tolist()
    for text, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        if first >= end:
            continue
        found = np.zeros(end - first)
        for of_text, of_windows in zip(texts, windows, strict=True):
            # no matrix product: its last bits depend on the row's place, and equal windows are to be equal
            found += (of_windows[first:end] * of_text[text]).sum(axis=1, dtype=np.float64)
        best = np.flatnonzero(found == found.max())
        nearest = best[np.argmin(np.abs(starts[first + best] - said[text]))]  # argmin: the first of equals
        places[text], similarities[text] = first + nearest, found[nearest]
    return places, similarities
