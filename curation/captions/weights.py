"""How much a noisy text and a made one should count in training, from three similarities (ALIP).

S_tc, S_ti and S_ci are the cosines of raw text and caption, raw text and image, caption and image. Each has a running
mean H over batches, H <- 0.99 H + 0.01 mean, from 1 on. A row whose text and caption agree more than on average counts
fully in everything; all other weights are exp(2 (S - H)). Missing similarities (NaN) give NaN weights.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOMENTUM: Final = 0.99
SHARPNESS: Final = 2.0
"""Factor in the exponents; the released code has the same for samples and pairs."""


def momentum_mean(similarities: npt.ArrayLike, batch: int, start: float = 1.0) -> float:
    """H after all (N,) similarities in batches of `batch` rows in their order; the last batch may be smaller.

    NaN counts in no mean; a batch of nothing else leaves H as it was.
    """
    values = np.asarray(similarities, np.float64)
    if not len(values):
        return start
    begins = np.arange(0, len(values), batch)
    known = ~np.isnan(values)
    counts = np.add.reduceat(known, begins, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, values, 0.0), begins)
    means = sums[counts > 0] / counts[counts > 0]
    powers = MOMENTUM ** np.arange(len(means) - 1, -1, -1)
    return float(MOMENTUM ** len(means) * start + (1 - MOMENTUM) * (powers * means).sum())


def sample_weights(text_caption: npt.ArrayLike, mean: float) -> Floats:
    """Ws = min(1, exp(2 (S_tc - H_tc))), (N,)."""
    return np.minimum(1.0, _exponentials(text_caption, mean))


def pair_weights(pair: npt.ArrayLike, pair_mean: float, text_caption: npt.ArrayLike, mean: float) -> Floats:
    """W_ti of S_ti and H_ti, or W_ci of S_ci and H_ci, (N,): exp(2 (S - H)) where exp(2 (S_tc - H_tc)) < 1, else 1.

    May exceed 1.
    """
    of_sample, of_pair = _exponentials(text_caption, mean), _exponentials(pair, pair_mean)
    weights = np.where(of_sample < 1, of_pair, 1.0)
    return np.where(np.isnan(of_sample) | np.isnan(of_pair), np.nan, weights)


def _exponentials(similarities: npt.ArrayLike, mean: float) -> Floats:
    return np.asarray(np.exp(SHARPNESS * (np.asarray(similarities, np.float64) - mean)), np.float64)
