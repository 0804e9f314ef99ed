"""The report's section on other thresholds: how much of the pool, and of the manifest, another t keeps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from curation.balance import CriticalHistogram
from curation.inspect.card_words import count, share
from curation.inspect.report_markup import Content, Html, element
from curation.inspect.report_material import Material
from curation.inspect.report_parts import absent, figure, figures, not_shown, section, table
from curation.inspect.report_tables import LOWER_STEPS, STEPS_PER_OCTAVE
from curation.inspect.svg import Axis, Mark, Series, key, line_chart

Row = dict[str, Any]

_POINTS = 120
_ROWS = 12
_AROUND = (0.1, 0.5, 2.0, 10.0)
_LINES = 4  # languages on one chart


def other_thresholds(material: Material) -> Html:
    """How many pairs, and how many of the manifest's samples, another t would keep."""
    lead = (
        "Every text has a critical threshold: the smallest t that keeps it. So the size at any t is read off, without "
        "drawing again, and the sets of two thresholds contain one another."
    )
    made = []
    if material.tables.has("draw_histograms"):
        made += _kept_at(material)
    if material.has_manifest:
        made += _samples_at(material)
    if not made:
        return section("t", "Sizes at other t", lead, absent("No critical thresholds are in this folder."))
    return section("t", "Sizes at other t", lead, figures(*made), *_ladder(material), *_whole(material))


def _kept_at(material: Material) -> list[Html]:
    """Kept pairs by t, of the largest languages."""
    exact = material.tables.kept_pairs()
    series, marks, legend, rows = [], [], [], []
    for place, (modality, lang, t, histogram) in enumerate(_histograms(material)[:_LINES]):
        name, kept = f"{modality}, {lang}", exact.get((modality, lang), 0)
        grid = np.unique(np.concatenate([np.geomspace(1, max(histogram.largest, t, 2.0), _POINTS), [t]]))
        points = zip(grid.tolist(), histogram.sizes(grid).tolist(), strict=True)
        series.append(Series(name, [(x, y) for x, y in points if y > 0], place))
        marks.append(Mark(t, max(kept, 1), place, f"{name}: {count(kept)} pairs at the present t of {count(t)}"))
        legend.append(key(name, place))
        around = [_size(histogram, t * factor) for factor in _AROUND]
        rows.append([name, count(t), *map(count, (*around[:2], kept, *around[2:]))])
    if not series:
        return []
    words = (
        "Pairs that the pool gives at t, before any fetch. Circles mark the present t. Where a curve is "
        "level, all pairs are kept already."
    )
    chart = line_chart("Kept pairs by t", series, Axis("t", log=True), Axis("kept pairs", log=True), marks)
    titles = ["<", "t", "at t / 10", "at t / 2", "at t", "at 2 t", "at 10 t"]
    return [figure("Kept pairs at other t", words, chart, legend, table(titles, rows))]


def _histograms(material: Material) -> list[tuple[str, str, float, CriticalHistogram]]:
    """(modality, language, present t, critical thresholds of the pool), the largest first."""
    histograms = material.tables.histograms()
    found = []
    for limit in material.tables.rows("SELECT modality, lang, kept_t AS t FROM limits WHERE kept_t IS NOT NULL"):
        bins, pairs, _ = histograms.histogram(limit["modality"], limit["lang"])
        histogram = CriticalHistogram.from_bins(bins, pairs)
        if histogram.total and material.is_shown(limit["modality"]):
            found.append((limit["modality"], limit["lang"], float(limit["t"]), histogram))
    return sorted(found, key=lambda each: (-each[3].total, each[0], each[1]))


def _size(histogram: CriticalHistogram, t: float) -> int | None:
    """None below 1, which is no t."""
    return round(float(histogram.sizes([t])[0])) if t >= 1 else None


def _samples_at(material: Material) -> list[Html]:
    """Samples of the manifest by t, of the largest languages."""
    steps: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row in material.tables.critical():
        steps.setdefault((row["modality"], row["lang"] or "no language"), []).append((row["step"], row["samples"]))
    largest = sorted(steps, key=lambda name: (-sum(n for _, n in steps[name]), name))[:_LINES]
    if not largest:
        return []
    present = {(row["modality"], row["lang"]): row["t"] for row in material.tables.rows("SELECT * FROM limits")}
    series, marks, legend = [], [], []
    for place, name in enumerate(largest):
        t = present.get(name)
        xs = [min(2 ** (step / STEPS_PER_OCTAVE), t or math.inf) for step, _ in steps[name]]
        ys = np.cumsum([samples for _, samples in steps[name]]).tolist()
        end = [(t, ys[-1])] if t and t > xs[-1] else []
        series.append(Series(", ".join(name), [*zip(xs, ys, strict=True), *end], place, steps=True))
        legend.append(key(", ".join(name), place))
        if t:
            marks.append(
                Mark(t, ys[-1], place, f"{', '.join(name)}: {count(ys[-1])} samples at the present t of {count(t)}")
            )
    words = (
        "Samples of this manifest that a smaller t leaves: what a trainer can use without another run, by "
        "filtering critical_threshold <= t. Circles mark the present t."
    )
    axes = Axis("t", log=True, low=1), Axis("samples", low=0)
    return [
        figure(
            "Samples of this manifest at a smaller t", words, line_chart("Samples by t", series, *axes, marks), legend
        )
    ]


def _ladder(material: Material) -> list[Html]:
    """Exact sizes of the manifest at parts of the present t."""
    if not material.has_manifest:
        return []
    rows = material.tables.smaller()
    listed = [
        [
            f"{row['modality']} {row['lang']}",
            count(row["t"]),
            *(_part(row[f"at_{place}"], row["samples"]) for place in range(len(LOWER_STEPS))),
            count(row["samples"]),
        ]
        for row in rows[:_ROWS]
    ]
    if not listed:
        return []
    titles = ["<", "present t", *(f"samples at {step:g} t" for step in LOWER_STEPS), "at t"]
    heading = element("h4", "Samples of this manifest at parts of t")
    below = any(row[f"at_{place}"] is None for row in rows[:_ROWS] for place in range(len(LOWER_STEPS)))
    words = [element("p", "A dash: that part of t would be below 1, and no t is.", class_="kind")] if below else []
    return [heading, *words, table(titles, listed), *not_shown(len(rows) - _ROWS)]


def _part(samples: int | None, whole: int) -> str:
    return count(None) if samples is None else f"{count(samples)} ({share(samples / whole)})"


def _whole(material: Material) -> list[Html]:
    """Kept pairs of all languages together, as the data card has them."""
    rows = ((material.card or {}).get("sizes") or {}).get("whole", [])
    rows = [row for row in rows if material.is_shown(row["modality"])]
    if not rows:
        return []
    pivot = rows[0]["lang"]
    listed = [
        [
            row["modality"],
            _bold(count(row["t"]), row),
            share(row["tail_share"]),
            _bold(count(row["pairs"]), row),
        ]
        for row in rows
    ]
    words = f"Where {pivot} is given t, and each other language the t with the same share of its matches in the tail."
    titles = ["<", f"t of {pivot}", "tail share", "kept pairs"]
    return [element("h4", "All languages together"), element("p", words, class_="kind"), table(titles, listed)]


def _bold(words: str, row: Row) -> Content:
    return element("b", words, " (now)") if row["factor"] == 1 else words
