"""Figures of media and texts: each draws the answer of the question of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from curation.inspect.card_words import share
from curation.inspect.plots.canvas import (
    AFTER,
    BEFORE,
    FOURTH,
    LOST,
    THIRD,
    add_bar_texts,
    column,
    drawn_text,
    floats,
    legend_below,
    name_bars,
    new_figure,
    one_axes,
    say_nothing_there,
    styled,
    thousands,
)
from curation.inspect.wording import how_many, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NOTHING = "no such rows in this run"


@styled
def link_rot(table: pa.Table) -> Figure:
    """What became of URLs: media by error class, what was obtained left out, one panel per modality."""
    modalities = sorted(set(column(table, "modality")))
    lost = {modality: [row for row in table.to_pylist() if row["modality"] == modality and row["error"] is not None]
            for modality in modalities}  # fmt: skip
    bars = sum(max(len(rows), 1) for rows in lost.values())
    figure = new_figure(8, 1.1 * max(len(modalities), 1) + 0.26 * bars)
    if not modalities:
        say_nothing_there(figure.subplots(), _NOTHING)
        return figure
    ratios = [max(len(rows), 1) for rows in lost.values()]
    panels = figure.subplots(len(modalities), 1, squeeze=False, height_ratios=[ratio + 1 for ratio in ratios])[:, 0]
    for axes, modality in zip(panels, modalities, strict=True):
        whole = sum(row["media"] for row in table.to_pylist() if row["modality"] == modality)
        missing = sum(row["media"] for row in lost[modality])
        axes.set_title(f"{modality}: {number(missing)} of {number(whole)} media were lost ({share(missing / whole)})")
        if not missing:
            say_nothing_there(axes, "nothing was lost")
            continue
        _add_losses(axes, lost[modality])
    return figure


def _add_losses(axes: Axes, rows: list[dict[str, object]]) -> None:
    places = range(len(rows))
    lasting = [float(str(row["media"])) - float(str(row["transient"])) for row in rows]
    passing = [float(str(row["transient"])) for row in rows]
    axes.barh(places, lasting, 0.7, color=LOST, label="for good")
    if any(passing):
        axes.barh(places, passing, 0.7, left=lasting, color=THIRD, label="a later run asks again")
        axes.legend(loc="lower right")
    name_bars(axes, [str(row["meaning"]) for row in rows])
    whole = [good + other for good, other in zip(lasting, passing, strict=True)]
    add_bar_texts(axes, whole, [f"{number(media)} ({share(float(str(row['share'])))})"
                                        for media, row in zip(whole, rows, strict=True)])  # fmt: skip
    axes.set_xlabel("media")
    thousands(axes.xaxis)


@styled
def link_rot_by(table: pa.Table) -> Figure:
    """Media obtained and lost per host or snapshot: the answer of link_rot_by_host or link_rot_by_snapshot."""
    of = table.schema.names[0]
    rows = table.to_pylist()
    figure, axes = one_axes(8, 1.2 + 0.26 * max(len(rows), 3), f"Media obtained and lost, by {of}")
    if not rows:
        say_nothing_there(axes, _NOTHING)
        return figure
    shown = [row for row in rows if not row["others"]] or rows
    places = range(len(shown))
    lost = [row["lost"] for row in shown]
    obtained = [row["media"] - row["lost"] for row in shown]
    axes.barh(places, lost, 0.7, color=LOST, label="lost")
    axes.barh(places, obtained, 0.7, left=lost, color=FOURTH, label="obtained")
    name_bars(axes, [drawn_text(row[of], "not known" if row[of] is None else "see the table", 40) for row in shown])
    told = [f"{share(row['lost_share'])} lost" + (f", most: {row['most_common']}" if row["most_common"] else "")
            for row in shown]  # fmt: skip
    add_bar_texts(axes, [row["media"] for row in shown], told)
    others = [row for row in rows if row["others"]]
    more = f"; {how_many(others[0]['others'], 'other')}: {share(others[0]['lost_share'])} lost" if others else ""
    axes.set_xlabel(f"media{more}")
    axes.legend(loc="lower right")
    return figure


@styled
def image_sizes(table: pa.Table) -> Figure:
    """Images by their longest side: as they were on the web, as they are stored, and those of the manifest."""
    figure, axes = one_axes(8, 3.4, "Images by their longest side")
    known = (("fetched", BEFORE, "as fetched"), ("stored", THIRD, "as stored"),
             ("samples", AFTER, "of the manifest, as stored"))  # fmt: skip
    steps = [step for step in known if any(column(table, step[0]))]
    if not steps:
        say_nothing_there(axes, _NOTHING)
        return figure
    places = np.arange(table.num_rows)
    width = 0.84 / len(steps)
    for turn, (name, colour, label) in enumerate(steps):
        values = np.nan_to_num(floats(table, name))
        axes.bar(places + (turn - (len(steps) - 1) / 2) * width, values, width, color=colour, label=label)
    ranges = zip(column(table, "from_px"), column(table, "to_px"), strict=True)
    axes.set_xticks(places, [f"{low:,} to\n{high:,}" for low, high in ranges])
    axes.set_xlabel("longest side, pixels")
    axes.set_ylabel("images")
    thousands(axes.yaxis)
    axes.grid(axis="x", visible=False)
    legend_below(figure, axes)
    return figure


@styled
def clip_lengths(table: pa.Table) -> Figure:
    """Clips by their length: all that were cut, those that are kept, and those of the manifest."""
    figure, axes = one_axes(8, 3.4, "Clips by their length")
    known = (("clips", BEFORE, "cut"), ("kept", AFTER, "kept"), ("samples", FOURTH, "in the manifest"))
    steps = [step for step in known if any(column(table, step[0]))]
    if not steps:
        say_nothing_there(axes, _NOTHING)
        return figure
    starts = floats(table, "from_s")
    width = (starts[1] - starts[0]) if len(starts) > 1 else column(table, "to_s")[0] or 1.0
    for turn, (name, colour, label) in enumerate(steps):
        part = width * 0.9 / len(steps)
        values = np.nan_to_num(floats(table, name))
        axes.bar(starts + width / 2 + (turn - (len(steps) - 1) / 2) * part, values, part, color=colour,
                 label=f"{label}: {number(values.sum())}")  # fmt: skip
    axes.set_xlabel(f"seconds, bins of {number(width)} s" + (
        f"; the last one: {number(starts[-1])} s and more" if column(table, "to_s")[-1] is None else ""))  # fmt: skip
    axes.set_ylabel("clips")
    axes.set_xlim(0, starts[-1] + width)
    thousands(axes.yaxis)
    axes.grid(axis="x", visible=False)
    legend_below(figure, axes)
    return figure


@styled
def score_histograms(histograms: Mapping[str, pa.Table]) -> Figure:
    """Small figures side by side, one per score: clips, and those that are kept."""
    names = list(histograms)
    rows = max(1, -(-len(names) // 3))
    figure = new_figure(8, 0.4 + 1.9 * rows)
    panels = figure.subplots(rows, 3, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        _add_histogram(axes, name, histograms[name])
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _add_histogram(axes: Axes, name: str, table: pa.Table) -> None:
    axes.set_title(name.replace("_", " "))
    if not table.num_rows:
        say_nothing_there(axes, "no clip has it")
        return
    low, high = floats(table, "low"), floats(table, "high")
    width = np.where(high > low, high - low, 1.0)
    axes.bar(low, floats(table, "clips"), width, align="edge", color=BEFORE, label="clips")
    axes.bar(low, floats(table, "kept"), width, align="edge", color=AFTER, label="kept")
    axes.locator_params(axis="x", nbins=4)
    axes.locator_params(axis="y", nbins=4, integer=True)
    axes.grid(axis="x", visible=False)
    if len(low) == 1 and low[0] == high[0]:
        axes.set_xticks([float(low[0] + 0.5)], [number(float(low[0]), 4)])


@styled
def captions_by_kind(table: pa.Table, most: int = 20) -> Figure:
    """Captions per captioner and kind, and how many of them stand for their sample."""
    rows = [row for row in table.to_pylist() if row["captions"]][:most]
    figure, axes = one_axes(8, 1.0 + 0.26 * max(len(rows), 4), "Texts by captioner and kind")
    if not rows:
        say_nothing_there(axes, _NOTHING)
        return figure
    places = range(len(rows))
    captions = [row["captions"] for row in rows]
    axes.barh(places, captions, 0.75, color=BEFORE, label="texts")
    axes.barh(places, [row["chosen"] for row in rows], 0.75, color=AFTER, label="chosen for their sample")
    name_bars(axes, [f"{row['captioner']}.{row['kind']}" for row in rows])
    add_bar_texts(axes, captions, [f"{number(row['captions'])}, {number(row['chosen'])} chosen, "
                                           f"{row['mean_chars']:.0f} characters" for row in rows])  # fmt: skip
    axes.set_xlabel("texts, with their mean length")
    thousands(axes.xaxis)
    axes.legend(loc="lower right")
    return figure


@styled
def texts_per_sample(table: pa.Table) -> Figure:
    """How many texts samples have, as a share of each modality's samples."""
    figure, axes = one_axes(8, 3, "Texts per sample")
    modalities = sorted(set(column(table, "modality")))
    if not modalities:
        say_nothing_there(axes, _NOTHING)
        return figure
    width = 0.84 / len(modalities)
    for turn, modality in enumerate(modalities):
        rows = [row for row in table.to_pylist() if row["modality"] == modality]
        whole = sum(row["samples"] for row in rows)
        places = np.array([row["texts"] for row in rows]) + (turn - (len(modalities) - 1) / 2) * width
        axes.bar(places, [row["samples"] / whole for row in rows], width, color=(AFTER, THIRD, FOURTH)[turn % 3],
                 label=f"{modality}: {how_many(whole, 'sample')}")  # fmt: skip
    every = sorted(set(column(table, "texts")))
    axes.set_xticks(every, [str(texts) for texts in every])
    axes.set_xlabel("texts (the last bar: as many or more, if there are)")
    axes.set_ylabel("share of samples")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="x", visible=False)
    legend_below(figure, axes)
    return figure
