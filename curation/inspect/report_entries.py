"""The report's section on entries: how matches spread over head and tail, before and after balancing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.inspect.card_words import count, ratio, share, target_words, threshold_words
from curation.inspect.report_markup import Content, Html, element
from curation.inspect.report_material import Material
from curation.inspect.report_parts import absent, figure, figures, items, not_shown, section, table, unfolding
from curation.inspect.svg import Axis, Series, key, line_chart, meter, percent

Row = dict[str, Any]
Counts = npt.NDArray[np.int64]

_POINTS = 120
_TOLD = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
_RANKS = (1, 10, 100, 1000, 10_000, 100_000)
_ROWS = 12
_OF = {"pool": ("the pool", 0), "kept": ("kept pairs", 1), "samples": ("the manifest", 2)}
"""What entries are counted in, its name, and its colour."""


def head_and_tail(material: Material) -> Html:
    """Cumulative shares of matches over entries sorted by count, counts by rank, and head and tail at t."""
    lead = (
        "An entry is a concept of the vocabulary, a match is one entry in one text. Entries with more than t texts are "
        "the head, those with fewer the tail: balancing thins texts that hold head entries alone and keeps the tail."
    )
    modalities = [each for each in material.tables.modalities() if material.is_shown(each)]
    if not modalities:
        return section("entries", "Head and tail", lead, absent("No counts of entries are in this folder."))
    made = [part for modality in modalities for part in _curves(material, modality)]
    return section("entries", "Head and tail", lead, figures(*made), *_balanced(material), *_top_entries(material))


def _curves(material: Material, modality: str) -> list[Html]:
    counts = material.tables.entry_counts(modality)
    known = {name: values for name, values in counts.items() if values.sum() > 0}
    langs = material.tables.languages(modality)
    first = material.tables.entry_counts(modality, langs[0])
    return [_cumulative(modality, known), _by_rank(material, modality, langs[0], first)]


def cumulative_shares(counts: dict[str, Counts], places: Counts) -> dict[str, npt.NDArray[np.float64]]:
    """Share of each count's matches that its first n entries hold, for every n of places."""
    shares = {}
    for name, values in counts.items():
        sums = np.concatenate([[0], np.cumsum(values)])
        shares[name] = sums[places] / max(1, int(sums[-1]))
    return shares


def _cumulative(modality: str, counts: dict[str, Counts]) -> Html:
    entries = len(next(iter(counts.values())))
    tail = np.linspace(0, entries, _POINTS)
    head = entries - np.geomspace(1, max(entries, 1), _POINTS)
    places = np.unique(np.concatenate([tail, head]).round().astype(np.int64))
    shares = cumulative_shares(counts, places)
    series = [
        Series(_OF[name][0], list(zip((places / entries).tolist(), values.tolist(), strict=True)), _OF[name][1])
        for name, values in shares.items()
    ]
    told = np.unique((entries * np.array(_TOLD)).astype(np.int64))
    numbers = cumulative_shares(counts, told)
    rows = [
        [f"{count(place)} ({share(place / entries)})", *(share(float(numbers[name][at])) for name in counts)]
        for at, place in enumerate(told.tolist())
    ]
    words = (
        f"{count(entries)} entries of {modality} texts, the rarest of the pool first: how many of all matches "
        "the entries up to here hold. The flatter the curve, the more a few entries have."
    )
    axes = (
        Axis("entries, from the rarest to the most frequent", write=percent, low=0, high=1),
        Axis("share of matches", write=percent, low=0, high=1),
    )
    label = f"Cumulative share of matches over {count(entries)} entries, {modality}"
    return figure(
        f"Cumulative share of matches: {modality}",
        words,
        line_chart(label, series, *axes),
        _legend(counts),
        table(["<rarest entries", *(_OF[name][0] for name in counts)], rows),
    )


def _legend(counts: dict[str, Counts]) -> list[Html]:
    return [key(_OF[name][0], _OF[name][1]) for name in counts]


def _by_rank(material: Material, modality: str, lang: str, counts: dict[str, Counts]) -> Html:
    found = {name: np.sort(values[values > 0])[::-1] for name, values in counts.items() if values.sum() > 0}
    series = []
    for name, values in found.items():
        ranks = np.unique(np.geomspace(1, len(values), _POINTS).round().astype(np.int64))
        points = list(zip(ranks.tolist(), values[ranks - 1].tolist(), strict=True))
        series.append(Series(_OF[name][0], points, _OF[name][1]))
    longest = max(len(values) for values in found.values())
    legend = _legend(found)
    limits = material.tables.rows("SELECT kept_t AS t FROM limits WHERE modality = ? AND lang = ?", [modality, lang])
    if limits and limits[0]["t"]:
        t = float(limits[0]["t"])
        series.append(Series(f"t = {count(t)}", [(1, t), (longest, t)], 4))
        legend.append(key(f"t = {count(t)}", 4))
    ranks_told = [rank for rank in _RANKS if rank <= longest]
    rows = [
        [count(rank), *(count(int(values[rank - 1])) if rank <= len(values) else "" for values in found.values())]
        for rank in ranks_told
    ]
    words = (
        f"Texts per entry in {lang}, the most frequent first, each curve in its own order. Balancing cuts what "
        "lies above t; an entry stays above it where its texts hold rarer entries, too."
    )
    axes = Axis("rank of the entry", log=True), Axis("texts that hold the entry", log=True)
    label = f"Texts per entry by rank, {modality}, {lang}"
    return figure(
        f"Texts per entry: {modality}, {lang}",
        words,
        line_chart(label, series, *axes),
        legend,
        table(["rank", *(_OF[name][0] for name in found)], rows),
    )


def _balanced(material: Material) -> list[Html]:
    """Head and tail of every language, in bars."""
    rows = [row for row in material.tables.balanced() if material.is_shown(row["modality"])]
    if not rows:
        return []
    known = [name for name in _OF if any(sum(row[f"of_{name}"]) for row in rows)]
    covered = "samples" in known
    listed: list[list[Content]] = [
        [
            f"{row['modality']} {row['lang']}",
            *(count(row[name]) for name in ("t", "entries", "above")),
            *(_split(row[f"of_{name}"]) for name in known),
            *([count(row["covered"])] if covered else []),
        ]
        for row in rows[:_ROWS]
    ]
    parts = (("entries above t", 1), ("at t", 4), ("below t", 0))
    legend = element("ul", *(key(name, place, filled=True) for name, place in parts), class_="legend")
    bars = [f"|matches in {_OF[name][0]}" for name in known]
    titles = ["<", "t", "entries matched", "above t", *bars, *(["entries covered"] if covered else [])]
    heading = element("h4", "Matches of head and tail")
    return [heading, *_rule(material), legend, table(titles, listed), *not_shown(len(rows) - _ROWS)]


def _split(parts: Sequence[int]) -> Html:
    """A bar of matches above, at and below t, and the share of the tail."""
    whole = sum(parts)
    words = ", ".join(
        f"{share(ratio(part, whole))} {side}" for part, side in zip(parts, ("above t", "at t", "below t"), strict=True)
    )
    bar = meter([((ratio(part, whole) or 0), place) for part, place in zip(parts, (1, 4, 0), strict=True)], words)
    return element(
        "div", bar, element("span", f"tail {share(ratio(parts[2], whole))} of {count(whole)}", class_="kind")
    )


def _rule(material: Material) -> list[Html]:
    """How t came about, in words."""
    card = material.card
    if card is None:
        return []
    modalities = [row["modality"] for row in card["thresholds"]["modalities"] if material.is_shown(row["modality"])]
    lines = [f"{modality}: t {threshold_words(card, modality)}" for modality in modalities]
    lines += [f"target: {target_words(target)}" for target in card["thresholds"]["targets"]]
    return [items(lines, "losses")] if lines else []


def _top_entries(material: Material) -> list[Html]:
    rows = material.tables.rows("""
        SELECT modality, lang, entry, pool, kept, samples FROM (
            SELECT *, row_number() OVER (PARTITION BY modality ORDER BY pool DESC, lang, entry_id) AS place FROM found)
        WHERE place <= 12 AND pool > 0 ORDER BY modality, place""")
    parts = []
    for modality in sorted({row["modality"] for row in rows}):
        if not material.is_shown(modality):
            continue
        own = [row for row in rows if row["modality"] == modality]
        listed = [
            [
                row["entry"],
                row["lang"],
                count(row["pool"]),
                count(row["kept"]) if material.tables.has("kept_counts") else "",
                count(row["samples"]) if material.tables.has("entry_probabilities") else "",
            ]
            for row in own
        ]
        parts.append(
            unfolding(
                f"Most frequent entries of {modality} texts",
                table(["<entry", "<language", "texts in the pool", "in kept pairs", "samples"], listed),
            )
        )
    return parts
