"""Figures of the selection: each draws the answer of the question of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from curation.errors import InputError
from curation.inspect.card_words import share
from curation.inspect.plots.canvas import (
    AFTER,
    BEFORE,
    FAMILY,
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
from curation.inspect.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NOTHING = "no such rows in this run"
_STEPS = (("pairs", BEFORE, "pairs"), ("matched", THIRD, "matched"), ("kept", AFTER, "kept"),
          ("samples", FOURTH, "samples"))  # fmt: skip
_LANGUAGES = len(FAMILY)


@styled
def cumulative_counts(table: pa.Table, title: str = "Matches up to each entry, rarest first") -> Figure:
    """The paper's figure: cumulative matches by rank, in the pool and of kept pairs; a line where counts exceed t."""
    figure, axes = one_axes(8, 3.8, title)
    if not table.num_rows:
        say_nothing_there(axes, _NOTHING)
        return figure
    ranks = floats(table, "rank")
    axes.plot(ranks, floats(table, "cumulative_before"), color=BEFORE, lw=2, label="pool", gid="before")
    axes.plot(ranks, floats(table, "cumulative_after"), color=AFTER, lw=2, label="kept", gid="after")
    above = np.flatnonzero(floats(table, "count_before") > floats(table, "t"))
    if len(above):
        t = number(column(table, "t")[0])
        axes.axvline(ranks[above[0]], color="#555555", lw=1, ls=":", label=f"to the right: more than t = {t} texts")
    _by_rank(axes)
    return figure


@styled
def cumulative_at(table: pa.Table, title: str = "Matches up to each entry, at other thresholds") -> Figure:
    """One curve per t."""
    figure, axes = one_axes(8, 3.8, title)
    if not table.num_rows:
        say_nothing_there(axes, _NOTHING)
        return figure
    steps = floats(table, "t")
    for place, t in enumerate(np.unique(steps)[::-1]):
        chosen = steps == t
        axes.plot(floats(table, "rank")[chosen], floats(table, "cumulative")[chosen], lw=1.8, label=f"t = {number(t)}",
                  color=FAMILY[place % len(FAMILY)], gid=f"t={t:g}")  # fmt: skip
    _by_rank(axes)
    return figure


def _by_rank(axes: Axes) -> None:
    axes.set_xlabel("entries, from the rarest to the most frequent")
    axes.set_ylabel("matches up to this entry")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    thousands(axes.xaxis)
    thousands(axes.yaxis)
    axes.legend(loc="upper left")


@styled
def head_and_tail(table: pa.Table, modality: str = "image") -> Figure:
    """Shares of matches on entries above, at and below t, per language, in the pool and among kept pairs."""
    rows = [row for row in table.to_pylist() if row["modality"] == modality and row["matches_before"]]
    rows.sort(key=lambda row: (-row["matches_before"], row["lang"]))
    figure, axes = one_axes(8, 1.3 + 0.46 * max(len(rows), 2), f"Head and tail, {modality}: share of matches")
    if not rows:
        say_nothing_there(axes, _NOTHING)
        return figure
    for place, row in enumerate(rows):
        for shift, when in ((-0.2, "before"), (0.2, "after")):
            _add_parts(axes, place + shift, row, when)
    name_bars(axes, [f"{row['lang']}, t = {number(row['t'])}" for row in rows])
    axes.set_xlim(0, 1.17)
    axes.set_xticks(np.linspace(0, 1, 6), [f"{part:.0%}" for part in np.linspace(0, 1, 6)])
    legend_below(figure, axes)
    return figure


def _add_parts(axes: Axes, place: float, row: dict[str, Any], when: str) -> None:
    whole = row[f"matches_{when}"]
    head, tail = row[f"above_t_{when}"], row[f"tail_{when}"]
    left = 0.0
    parts = (("entries above t", head, BEFORE), ("exactly t", whole - head - tail, THIRD), ("below t", tail, AFTER))
    for name, matches, colour in parts:
        is_first = not any(patch.get_label() == name for patch in axes.containers)
        axes.barh(place, matches / whole if whole else 0, 0.36, left=left, color=colour,
                  label=name if is_first else f"_{name}")  # fmt: skip
        left += matches / whole if whole else 0
    axes.text(1.01, place, f"{when}: {number(whole)}", va="center", fontsize=7.5)


@styled
def top_entries(table: pa.Table, modality: str = "image") -> Figure:
    """The most frequent entries: texts in the pool, and of them those that are kept."""
    rows = [row for row in table.to_pylist() if row["modality"] == modality]
    figure, axes = one_axes(8, 1.0 + 0.24 * max(len(rows), 4), f"Most frequent entries, {modality}")
    if not rows:
        say_nothing_there(axes, _NOTHING)
        return figure
    places = range(len(rows))
    before, after = [row["before"] for row in rows], [row["after"] for row in rows]
    axes.barh(places, before, 0.75, color=BEFORE, label="pool")
    axes.barh(places, after, 0.75, color=AFTER, label="kept")
    name_bars(axes, [f"{drawn_text(row['entry'], 'see the table', 24)} ({row['lang']})" for row in rows])
    add_bar_texts(axes, before, [f"{number(all_)} → {number(kept)}"
                                         for all_, kept in zip(before, after, strict=True)])  # fmt: skip
    axes.set_xlabel("texts that hold the entry")
    axes.legend(loc="lower right")
    return figure


@styled
def matches_per_text(table: pa.Table, modality: str = "image") -> Figure:
    """How many entries texts hold, as shares of all texts with a match."""
    rows = [row for row in table.to_pylist() if row["modality"] == modality]
    figure, axes = one_axes(8, 3.2, f"Entries per text, {modality}")
    if not rows:
        say_nothing_there(axes, _NOTHING)
        return figure
    places = np.array([row["matches"] for row in rows])
    for shift, name, colour in ((-0.2, "texts", BEFORE), (0.2, "kept", AFTER)):
        values = np.array([row[name] for row in rows])
        mean = (values * places).sum() / max(values.sum(), 1)
        label = f"{'pool' if name == 'texts' else 'kept'}: {number(values.sum())} texts, {mean:.2f} on average"
        axes.bar(places + shift, values / max(values.sum(), 1), 0.38, color=colour, label=label)
    axes.set_xticks(places, [str(place) for place in places])
    axes.set_xlabel("entries in the text (the last bar: as many or more, if there are)")
    axes.set_ylabel("share of texts")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="x", visible=False)
    legend_below(figure, axes)
    return figure


@styled
def breakdown(table: pa.Table, of: str = "language") -> Figure:
    """Pairs, matched, kept and samples per value of a facet; what the folder does not have is left out."""
    everything = table.to_pylist()
    rows = [row for row in everything if not row["others"]]
    steps = [step for step in _STEPS if any(row[step[0]] is not None for row in rows)]
    figure, axes = one_axes(8, 1.2 + 0.4 * max(len(rows), 3), f"By {of}")
    if not steps:
        say_nothing_there(axes, _NOTHING)
        return figure
    places = np.arange(len(rows))
    height = 0.84 / len(steps)
    for turn, (name, colour, label) in enumerate(steps):
        values = [row[name] or 0 for row in rows]
        axes.barh(places + (turn - (len(steps) - 1) / 2) * height, values, height, color=colour, label=label)
    most = [max(row[name] or 0 for name, _, _ in steps) for row in rows]
    first, last = steps[0][0], [name for name, _, _ in steps if name != "samples" or len(steps) == 1][-1]
    add_bar_texts(axes, most, [_told(row, first, last) for row in rows])
    name_bars(axes, [drawn_text(row["value"], "not known" if row["value"] is None else "see the table", 30)
                     for row in rows])  # fmt: skip
    left_out = [f"; {row['others']:,} others: {number(row[first] or 0)} {steps[0][2]}, {_told(row, first, last)}"
                for row in everything if row["others"]]  # fmt: skip
    axes.set_xlabel(f"number{''.join(left_out)}")
    thousands(axes.xaxis)
    legend_below(figure, axes)
    return figure


def _told(row: dict[str, Any], first: str, last: str) -> str:
    if first == last:
        return number(row[first] or 0)
    part = row[last] / row[first] if row[first] else None
    return f"{share(part)} {last}"


@styled
def sizes_at(table: pa.Table, unit: str = "pairs") -> Figure:
    """What would be kept at each t, one line per language; a band where bins leave it open, a dot at the run's t."""
    if unit not in ("pairs", "media"):
        raise InputError(f"unit is {unit!r}: choose pairs or media")
    figure, axes = one_axes(8, 4, f"Kept {unit} at other thresholds")
    langs = _largest(table, unit)
    for place, lang in enumerate(langs):
        chosen = table.filter(pa.array([name == lang for name in column(table, "lang")], pa.bool_()))
        _add_sizes(axes, chosen, unit, FAMILY[place], lang)
    if not langs:
        say_nothing_there(axes, _NOTHING)
        return figure
    left_out = len(set(column(table, "lang"))) - len(langs)
    axes.set_xlabel("t, texts per entry" + (f" (the {len(langs)} largest languages)" if left_out else ""))
    _finish_sizes(axes, unit)
    return figure


@styled
def sizes_following(table: pa.Table) -> Figure:
    """What would be kept in all languages together, by t of the pivot; below it the tail share that follows from t."""
    figure = new_figure(8, 4.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.4])
    if not table.num_rows:
        below.set_axis_off()
        say_nothing_there(above, "the pivot language has no match")
        return figure
    pivot = column(table, "lang")[0]
    above.set_title(f"All languages together, where {pivot} has t and the others follow its tail share")
    _add_sizes(above, table, "pairs", AFTER, "kept pairs")
    _finish_sizes(above, "pairs", legend=False)
    below.plot(floats(table, "t"), floats(table, "tail_share"), color=THIRD, marker="o", ms=3, gid="tail_share")
    below.set_ylabel("tail share")
    below.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    below.set_ylim(0, 1)
    below.set_xlabel(f"t of {pivot}, texts per entry")
    return figure


@styled
def diff_changes(table: pa.Table, kind: str = "concept") -> Figure:
    """Values of one kind that most samples were lost or gained with from A to B: the answer of `diff_changes`."""
    rows = [row for row in table.to_pylist() if row["kind"] == kind]
    figure, axes = one_axes(8, 1.0 + 0.26 * max(len(rows), 3), f"Samples lost and gained from A to B, by {kind}")
    if not rows:
        say_nothing_there(axes, f"the same by {kind}")
        return figure
    changes = [row["change"] for row in rows]
    axes.barh(range(len(rows)), changes, 0.75, color=[AFTER if change > 0 else LOST for change in changes])
    name_bars(axes, [drawn_text(row["value"], "not known" if row["value"] is None else "see the table", 30)
                     + (f" ({row['lang']})" if row["lang"] else "") for row in rows])  # fmt: skip
    most = max(map(abs, changes))
    for place, row in enumerate(rows):
        axes.text(max(row["change"], 0) + most * 0.015, place, f"{number(row['a'])} → {number(row['b'])}", va="center",
                  fontsize=8)  # fmt: skip
    axes.set_xlim(min([*changes, 0]) * 1.05, max([*changes, 0]) + most * 0.28)
    axes.axvline(0, color="#555555", lw=0.8)
    axes.set_xlabel("samples of B less samples of A")
    return figure


def _largest(table: pa.Table, unit: str) -> list[str]:
    """The languages that can be told apart by colour: those with most at their largest t."""
    most: dict[str, int] = {}
    for row in table.to_pylist():
        most[row["lang"]] = max(most.get(row["lang"], 0), row[unit])
    return sorted(most, key=lambda lang: (-most[lang], lang))[:_LANGUAGES]


def _add_sizes(axes: Axes, table: pa.Table, unit: str, colour: str, label: str) -> None:
    ts, sizes = floats(table, "t"), floats(table, unit)
    axes.fill_between(ts, floats(table, f"{unit}_at_least"), floats(table, f"{unit}_at_most"), color=colour, alpha=0.2,
                      lw=0)  # fmt: skip
    axes.plot(ts, sizes, color=colour, lw=1.6, label=label, gid=label)
    now = floats(table, "factor") == 1.0
    axes.plot(ts[now], sizes[now], "o", color=colour, ms=6, gid=f"{label} now")
    for t, size in zip(ts[now], sizes[now], strict=True):
        if label == "kept pairs":
            axes.annotate(f"this run: t = {number(t)}, {number(size)} pairs", (t, size), (8, -12),
                          textcoords="offset points", fontsize=8)  # fmt: skip


def _finish_sizes(axes: Axes, unit: str, *, legend: bool = True) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.set_ylabel(f"kept {unit}")
    axes.set_ylim(bottom=0)
    thousands(axes.yaxis)
    if legend:
        axes.legend(loc="upper left", ncols=2, title="dot: this run's t", title_fontsize=8)


