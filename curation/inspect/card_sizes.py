"""Sizes of the selection at other thresholds, read off the histograms of critical thresholds."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from curation.balance import CriticalHistogram, Rule
from curation.balance.thresholds import Scale

FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Multiples of the present threshold; none goes below 1, the smallest threshold there is."""

Row = dict[str, Any]
Thresholds = dict[str, dict[str, float]]  # modality -> language -> t
Histograms = tuple[CriticalHistogram, CriticalHistogram]  # of pairs, of media
Steps = list[tuple[float, float]]  # (multiple of the present threshold, threshold)


class Sizes(Protocol):
    """Where sizes are read: `entry_tables.EntryTables` with a count of what was kept."""

    def counts(self, modality: str) -> dict[str, npt.NDArray[np.int64]]: ...

    def histogram(self, modality: str, lang: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]: ...

    def size(self, dataset: str, modality: str | None = None, lang: str | None = None) -> tuple[int, int]: ...


def sizes_at_other_thresholds(
    tables: Sizes, thresholds: Thresholds, pivot: str, rule: Rule
) -> dict[str, list[Row]]:
    """by_language: each language on its own. whole: the pivot at t, all other languages following by its tail share.

    Between the bins' edges a size is interpolated; at_least and at_most are certain. The present t is counted.
    """
    histograms = {
        modality: {lang: histograms_of(tables, modality, lang) for lang in of_lang}
        for modality, of_lang in thresholds.items()
    }
    return {
        "by_language": [
            row
            for modality, of_lang in thresholds.items()
            for lang, t in of_lang.items()
            for row in sizes_of_language(tables, modality, lang, ladder(t), histograms[modality][lang])
        ],
        "whole": [
            row
            for modality, of_lang in thresholds.items()
            if pivot in of_lang
            for row in sizes_of_all(tables, modality, ladder(of_lang[pivot]), histograms[modality], (pivot, rule))
        ],
    }


def ladder(t: float) -> list[tuple[float, float]]:
    """(factor, threshold) ascending, the present one among them, each threshold once."""
    found = {max(1.0, t * factor): factor for factor in FACTORS}
    found[t] = 1.0
    return sorted((factor, value) for value, factor in found.items())


def histograms_of(tables: Sizes, modality: str, lang: str) -> Histograms:
    bins, pairs, media = tables.histogram(modality, lang)
    return CriticalHistogram.from_bins(bins, pairs), CriticalHistogram.from_bins(bins, media)


def sizes_of_language(tables: Sizes, modality: str, lang: str, steps: Steps, histograms: Histograms) -> list[Row]:
    """A language on its own at each step; at factor 1 what was kept is counted."""
    rows = []
    for factor, at in steps:
        counted = tables.size("kept_pairs", modality, lang) if factor == 1.0 else (None, None)
        row: Row = {"modality": modality, "lang": lang, "factor": factor, "t": at}
        for unit, histogram, known in zip(("pairs", "media"), histograms, counted, strict=True):
            row |= _size(unit, [histogram], [at], known)
        rows.append(row)
    return rows


def sizes_of_all(
    tables: Sizes, modality: str, steps: Steps, histograms: dict[str, Histograms], following: tuple[str, Rule]
) -> list[Row]:
    """All languages of a modality, where the pivot is given t and the others follow its tail share.

    Empty where the pivot has no match. following: (pivot, rule).
    """
    pivot, rule = following
    counts = tables.counts(modality)
    if pivot not in counts:
        return []
    scale = Scale(counts, pivot, rule, by_pivot=True)
    scalars = np.array([at for _, at in steps])
    columns, shares = scale.thresholds(scalars), scale.tail_shares(scalars)
    rows = []
    for place, (factor, at) in enumerate(steps):
        langs = [lang for lang in histograms if lang in columns]
        known = tables.size("kept_pairs", modality)[0] if factor == 1.0 else None
        size = _size("pairs", [histograms[lang][0] for lang in langs], [columns[lang][place] for lang in langs], known)
        rows.append(
            {"modality": modality, "lang": pivot, "factor": factor, "t": at, "tail_share": float(shares[place]), **size}
        )
    return rows


def _size(unit: str, histograms: list[CriticalHistogram], thresholds: list[Any], known: int | None) -> Row:
    if known is not None:
        return {unit: known, f"{unit}_at_least": known, f"{unit}_at_most": known}
    ranges = [histogram.size_range(float(t)) for histogram, t in zip(histograms, thresholds, strict=True)]
    size = sum(histogram.size(float(t)) for histogram, t in zip(histograms, thresholds, strict=True))
    return {
        unit: round(size),
        f"{unit}_at_least": sum(low for low, _ in ranges),
        f"{unit}_at_most": sum(high for _, high in ranges),
    }
