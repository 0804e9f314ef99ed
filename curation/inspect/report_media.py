"""Sections of the report on the media themselves: sizes of images, lengths of clips, lengths of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curation.inspect.card_words import count, ratio, share
from curation.inspect.report_markup import Html
from curation.inspect.report_material import Material
from curation.inspect.report_parts import absent, figure, figures, section, table, tiles
from curation.inspect.report_tables import BINS_PER_OCTAVE
from curation.inspect.svg import Axis, Bar, Cell, bar_chart, compact, heat_map, key
from curation.inspect.wording import clock, duration

Row = dict[str, Any]


def image_sizes(material: Material) -> Html | None:
    """None where there is no manifest, or no image in it."""
    if not material.has_manifest:
        return None
    sides = material.tables.sides()
    if not sides["images"]:
        return None
    lead = (
        f"{count(sides['images'])} images. The shorter side is what a crop for training has to come from: half of them "
        f"have {count(sides['median_stored'])} pixels or more as they are stored"
    )
    lead += f", {count(sides['median_fetched'])} as they were fetched." if sides["known"] else "."
    made = [_shorter("as stored", sides["stored"])]
    if sides["known"]:
        made.append(_shorter("as fetched", sides["fetched"]))
    made.append(_shapes(material, known=bool(sides["known"])))
    rows = [
        [f"{size} px", share(stored / sides["images"]), share(ratio(fetched, sides["known"]))]
        for size, stored, fetched in sides["at_least"]
    ]
    titles = ["<shorter side at least", "as stored", "as fetched"]
    if not sides["known"]:
        titles, rows = titles[:2], [row[:2] for row in rows]
    return section("images", "Image sizes", lead, figures(*made, table(titles, rows, "Images large enough")))


def _edge(bin: int) -> float:
    return float(2 ** (bin / BINS_PER_OCTAVE))


def _range(bin: int) -> str:
    return f"{compact(_edge(bin))} to {compact(_edge(bin + 1))}"


def _bars(bins: Sequence[Row], unit: str, names: Sequence[str]) -> list[Bar]:
    """names: of what is counted as yes, and as no."""
    return [
        Bar(
            _edge(row["bin"]),
            _edge(row["bin"] + 1),
            [row[part] for part, _ in zip(("yes", "no"), names, strict=False)],
            f"{_range(row['bin'])} {unit}: "
            + ", ".join(f"{count(row[part])} {name}" for part, name in zip(("yes", "no"), names, strict=False)),
        )
        for row in bins
    ]


def _listed(bins: Sequence[Row], unit: str, names: Sequence[str]) -> Html:
    """The same as a table."""
    parts = ("yes", "no")[: len(names)]
    return table([f"<{unit}", *names], [[_range(row["bin"]), *(count(row[part]) for part in parts)] for row in bins])


def _shorter(how: str, bins: Sequence[Row]) -> Html:
    axes = Axis("pixels", log=True), Axis("images", low=0)
    chart = bar_chart(f"Images by shorter side, {how}", _bars(bins, "pixels", ["images"]), *axes)
    numbers = _listed(bins, "pixels", ["images"])
    return figure(f"Shorter side, {how}", "In pixels, by factors of 1.4.", chart, numbers=numbers)


def _shapes(material: Material, *, known: bool) -> Html:
    rows = material.tables.shapes()
    most = max((row["images"] for row in rows), default=1)
    cells = [
        Cell(
            _edge(row["width_bin"]),
            _edge(row["width_bin"] + 1),
            _edge(row["height_bin"]),
            _edge(row["height_bin"] + 1),
            (row["images"] / most) ** 0.5,
            f"about {_edge(row['width_bin']):.0f} × {_edge(row['height_bin']):.0f}: {count(row['images'])} images",
        )
        for row in rows
    ]
    edges = [edge for cell in cells for edge in (cell.left, cell.right, cell.low, cell.high)]
    low, high = min(edges, default=1.0), max(edges, default=2.0)
    axes = [Axis(f"{side}, pixels", log=True, low=low, high=high) for side in ("width", "height")]
    wide, square, tall = _orientation(material)
    words = (
        f"{'As fetched' if known else 'As stored'}; the stronger the colour, the more. {share(wide)} are wider than "
        f"tall, {share(tall)} taller than wide, {share(square)} square."
    )
    return figure("Width and height", words, heat_map("Images by width and height", cells, axes[0], axes[1]))


def _orientation(material: Material) -> tuple[float | None, float | None, float | None]:
    row = material.tables.row("""
        SELECT count(*) AS images, count(*) FILTER (across > down) AS wide, count(*) FILTER (across = down) AS square,
               count(*) FILTER (across < down) AS tall
        FROM (SELECT coalesce(original_width, width) AS across, coalesce(original_height, height) AS down
              FROM manifest WHERE modality = 'image')""")
    wide, square, tall = (ratio(row[name], row["images"]) for name in ("wide", "square", "tall"))
    return wide, square, tall


def clip_lengths(material: Material) -> Html | None:
    """None where there is no manifest, or only images in it."""
    if not material.has_manifest:
        return None
    found = material.tables.lengths()
    if not found["clips"]:
        return None
    lead = "How long the clips (and whole videos) are that one trains on."
    facts = tiles(
        [
            (count(found["clips"]), "clips", f"of {count(found['sources'])} videos"),
            (duration(found["ms"] / 1000), "length in all", f"{_length(found['ms'] / found['clips'])} per clip"),
            (_length(found["median_ms"]), "median length", f"one in ten is longer than {_length(found['long_ms'])}"),
            (share(found["with_sound"] / found["clips"]), "with sound", f"{count(found['fps'])} frames/s, the median"),
        ]
    )
    names = ["with sound", "without"]
    axes = Axis("seconds", log=True), Axis("clips", low=0)
    lengths = figure(
        "Length",
        "In seconds, by factors of 1.4.",
        bar_chart("Clips by length", _bars(found["bins"], "s", names), *axes),
        _keys(names),
        _listed(found["bins"], "seconds", names),
    )
    heights = [
        [f"{row['side']} px", count(row["clips"]), share(row["clips"] / found["clips"])] for row in found["heights"]
    ]
    sizes = table(["<shorter side", "clips", "share"], heights, "Most frequent sizes")
    return section("clips", "Clip lengths", lead, facts, figures(lengths, sizes))


def _length(ms: float | None) -> str:
    """To a tenth of a second, which is as much as a median of lengths tells."""
    return "–" if ms is None else clock(100 * round(ms / 100))


def text_lengths(material: Material) -> Html:
    """A figure on the characters of the chosen texts."""
    bins = material.tables.histogram("length(text)", "len(entry_ids) > 0", "true")
    if not bins:
        return absent("No sample has a text.")
    names = ["hold an entry", "hold none"]
    axes = Axis("characters", log=True), Axis("samples", low=0)
    return figure(
        "Length of the chosen text",
        "In characters, by factors of 1.4. A text encoder reads only the first tokens: CLIP's 77 are some 300 "
        "characters of English.",
        bar_chart("Samples by length of text", _bars(bins, "characters", names), *axes),
        _keys(names),
        _listed(bins, "characters", names),
    )


def _keys(names: Sequence[str]) -> list[Html]:
    return [key(name, place, filled=True) for place, name in enumerate(names)]
