"""Paired differences over seeds: means, 95% intervals by Student's t, and what they say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.effect.settings import SHARES, percent

T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t, two-sided 95%, for 1, 2, ... degrees of freedom; 2.776 is that of five seeds."""
GROUPS = ("overall", "head", "tail")
AGAINST = ("matched", "random")

Scores = Mapping[tuple[int, str], Mapping[str, float]]
"""(seed, arm) -> accuracy in percent by group."""


@dataclass(frozen=True)
class Difference:
    """Of a balanced arm and one that it is compared with, in points of accuracy."""

    share: float
    against: str
    group: str
    values: tuple[float, ...]
    """Per seed, balanced less the other."""

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def half_width(self) -> float:
        return half_width(self.values)

    @property
    def verdict(self) -> str:
        return verdict(self.mean, self.half_width)

    def to_json(self) -> dict[str, Any]:
        width = self.half_width
        return {
            "tail_share": self.share,
            "against": self.against,
            "group": self.group,
            "per_seed": [round(value, 3) for value in self.values],
            "mean": round(self.mean, 3),
            "half_width": round(width, 3) if math.isfinite(width) else None,
            "verdict": self.verdict,
        }


def half_width(values: Sequence[float]) -> float:
    """t * sd / sqrt(n), half of the 95% interval of the mean; infinite for fewer than two values.

    Raises ValueError for more values than T_95 knows.
    """
    if len(values) < 2:
        return math.inf
    if len(values) - 1 > len(T_95):
        raise ValueError(f"{len(values)} seeds: T_95 ends at {len(T_95) + 1}, give it more values")
    return T_95[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))


def verdict(mean: float, width: float) -> str:
    """helps where the whole interval lies above 0, hurts where it lies below, else undecided."""
    if mean - width > 0:
        return "helps"
    return "hurts" if mean + width < 0 else "undecided"


def differences(scores: Scores) -> list[Difference]:
    """All comparisons of one pool, over the seeds of which both arms are there."""
    found = []
    for share in SHARES:
        balanced = f"balanced-{percent(share)}"
        for against in AGAINST:
            other = against if against == "matched" else f"random-{percent(share)}"
            seeds = sorted(seed for seed, arm in scores if arm == balanced and (seed, other) in scores)
            for group in GROUPS:
                values = [scores[seed, balanced][group] - scores[seed, other][group] for seed in seeds]
                if values:
                    found.append(Difference(share, against, group, tuple(values)))
    return found
