"""The arithmetic of balancing: how far each concept is thinned, and which texts stay.

    counts --thresholds_for--> t per language --entry_probabilities--> p_e --keep_probability--> kept when u < keep
    counts, u --critical_thresholds--> t*: kept at t is `t* <= t`, so one number per pair answers every t

Pure functions over numpy arrays and Arrow columns; nothing is read or written here.
"""

from curation.balance.histogram import BINS, CriticalHistogram, bin_of, lower, upper
from curation.balance.probability import (
    critical_threshold,
    critical_thresholds,
    keep_probabilities,
    keep_probability,
)
from curation.balance.sampling import SALTS, hashes, pair_id, pair_ids, pick_one, uniforms
from curation.balance.shares import Rule, entry_probabilities, tail_share, threshold_for_tail_share
from curation.balance.targets import CANDIDATES, ROUNDS, TOLERANCE, TargetSolution, thresholds_for_target
from curation.balance.thresholds import Thresholds, thresholds_for

__all__ = [
    "BINS",
    "CANDIDATES",
    "ROUNDS",
    "SALTS",
    "TOLERANCE",
    "CriticalHistogram",
    "Rule",
    "TargetSolution",
    "Thresholds",
    "bin_of",
    "critical_threshold",
    "critical_thresholds",
    "entry_probabilities",
    "hashes",
    "keep_probabilities",
    "keep_probability",
    "lower",
    "pair_id",
    "pair_ids",
    "pick_one",
    "tail_share",
    "threshold_for_tail_share",
    "thresholds_for",
    "thresholds_for_target",
    "uniforms",
    "upper",
]
