"""The figure: differences with their intervals, one panel per pool and opponent."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.effect.settings import SHARES, Setting, percent
from bench.effect.statistics import AGAINST, GROUPS, Difference

mpl.use("Agg")
_COLOURS = {"overall": "#222222", "head": "#0072b2", "tail": "#d55e00"}  # told apart by the colour-blind


def draw(
    found: Mapping[int, list[Difference]], seen: Mapping[int, Mapping[float, float]], setting: Setting, path: Path
) -> None:
    """Writes an SVG that is the same for the same numbers. seen: pool -> tail share -> times a kept pair was seen."""
    from matplotlib import pyplot

    mpl.rcParams.update({"svg.hashsalt": "effect", "svg.fonttype": "none"})
    shown = [size for size in found if found[size]]
    size_inches = (9, 1 + 3 * len(shown))
    figure, axes = pyplot.subplots(len(shown), 2, figsize=size_inches, sharey="row", squeeze=False)
    for row, size in zip(axes, shown, strict=True):
        for panel, against in zip(row, AGAINST, strict=True):
            opponent = "all matched pairs" if against == "matched" else "as many random matched pairs"
            panel.set_title(f"pool of {size:,}: balanced less {opponent}", fontsize=9)
            _panel(panel, [difference for difference in found[size] if difference.against == against], seen[size])
    for panel in axes[-1]:
        panel.set_xlabel("tail share behind t, and how often a balanced pair was seen", fontsize=8)
    for panel in axes[:, 0]:
        panel.set_ylabel("points of macro accuracy")
    axes[0, 0].legend(fontsize=8)
    title = f"Balanced less others at {setting.samples:,} samples seen: mean of seeds, 95% interval"
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _panel(panel: Any, found: list[Difference], seen: Mapping[float, float]) -> None:
    panel.axhline(0, color="#888888", linewidth=0.8)
    panel.grid(axis="y", linewidth=0.3)
    for place, group in enumerate(GROUPS):
        own = [difference for difference in found if difference.group == group]
        at = [SHARES.index(difference.share) + 0.2 * (place - 1) for difference in own]
        widths = [difference.half_width if math.isfinite(difference.half_width) else 0.0 for difference in own]
        means = [difference.mean for difference in own]
        panel.errorbar(at, means, yerr=widths, fmt="o", ms=4, capsize=3, color=_COLOURS[group], label=group)
    labels = [f"{percent(share)}%\nseen {seen[share]:.1f} times" for share in SHARES]
    panel.set_xticks(range(len(SHARES)), labels, fontsize=8)
