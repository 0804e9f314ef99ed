"""Sections of the report on what the set is made of: languages, texts, domains, licences, link rot, shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curation.inspect.card_captions import captions_lines
from curation.inspect.card_media import loss_words
from curation.inspect.card_words import NOTHING, count, ratio, share
from curation.inspect.report_markup import Content, Html, element, joined, told
from curation.inspect.report_material import Material
from curation.inspect.report_media import text_lengths
from curation.inspect.report_parts import absent, figures, items, not_shown, section, table
from curation.inspect.svg import key, meter
from curation.inspect.wording import how_many, size

Row = dict[str, Any]

_MOST = 15  # values of a facet


def languages(material: Material) -> Html:
    of = "the chosen text" if material.has_manifest else "each pair's text"
    lead = f"The language of {of}, as its source says it or fastText's lid.176 identified it."
    return section("languages", "Languages", lead, _facet(material, "text_lang", "lang", "(unknown)"))


def licences(material: Material) -> Html:
    lead = (
        "As the page names it, for all of it or for this media. Where none is known, nothing was said: that is no "
        "permission."
    )
    return section("licences", "Licences", lead, _facet(material, "licence", "licence", "(none known)"))


def domains(material: Material) -> Html:
    """Hosts of pages, and of the media themselves."""
    lead = (
        "Whose pages the texts come from, and whose servers the media lie on. A set that leans on a few hosts has "
        "their taste."
    )
    if not material.has_manifest:
        return section("domains", "Domains", lead, _facet(material, "page_host", "page_host", "(no page)"))
    hosts = [
        element("div", element("h3", title), _facet(material, facet, None, none))
        for title, facet, none in (("Pages", "page_host", "(no page)"), ("Media", "media_host", "(no host)"))
    ]
    parts = [figures(*hosts)]
    platforms = material.tables.facet("platform", _MOST)
    if any(row["value"] is not None for row in platforms["values"]):
        parts += [element("h4", "Platforms"), _facet(material, "platform", "platform", "(a file)")]
    return section("domains", "Domains", lead, *parts)


def _facet(material: Material, facet: str, of_card: str | None, none: str) -> Html:
    """A table of a facet's values: samples, and what the pool had, where both are known."""
    known = (material.card or {}).get("breakdowns", {}).get(of_card, {"values": [], "others": None})
    in_pool = {row["value"] or None: row for row in known["values"]}
    if not material.has_manifest:
        return _facet_of_pairs(known, none)
    found = material.tables.facet(facet, _MOST)
    every = [*found["values"], *([found["others"]] if found["others"] else [])]
    total = sum(row["samples"] for row in every)
    most = max((row["samples"] for row in found["values"]), default=0)
    rows: list[list[Content]] = []
    for row in every:
        name = f"{row['values']:,} others" if "values" in row else row["value"] or none
        bar = (
            Html("")
            if "values" in row
            else meter(
                [(row["images"] / most, 0), ((row["samples"] - row["images"]) / most, 1)],
                f"{count(row['images'])} images, {count(row['samples'] - row['images'])} others",
            )
        )
        cells: list[Content] = [name, bar, count(row["samples"]), share(ratio(row["samples"], total))]
        pool = in_pool.get(row.get("value")) if "values" not in row else None
        cells += [count(pool["pairs"]) if pool else "", count(pool["kept"]) if pool else ""] if in_pool else []
        rows.append(cells)
    titles = [
        "<",
        "|samples: images, clips" if _has_both(every) else "|samples",
        "number",
        "share",
        *(["pairs in the pool", "kept pairs"] if in_pool else []),
    ]
    keys = [element("ul", key("images", 0, filled=True), key("clips and videos", 1, filled=True), class_="legend")]
    return joined(*(keys if _has_both(every) else []), table(titles, rows))


def _has_both(rows: Sequence[Row]) -> bool:
    images: int = sum(row["images"] for row in rows)
    return bool(0 < images < sum(row["samples"] for row in rows))


def _facet_of_pairs(known: Row, none: str) -> Html:
    rows = [row for row in known["values"] if row["kept"] is not None][:_MOST]
    if not rows:
        return absent("Not known in this folder.")
    most = max(row["pairs"] for row in rows) or 1
    listed = [
        [
            str(row["value"] or none),
            meter(
                [(row["kept"] / most, 0), ((row["pairs"] - row["kept"]) / most, 4)],
                f"{count(row['kept'])} of {count(row['pairs'])} kept",
            ),
            count(row["pairs"]),
            share(ratio(row["matched"], row["pairs"])),
            count(row["kept"]),
            share(ratio(row["kept"], row["matched"])),
        ]
        for row in rows
    ]
    legend = element(
        "ul", key("kept", 0, filled=True), key("not matched or thinned out", 4, filled=True), class_="legend"
    )
    hidden = len(known["values"]) - len(rows) + (known["others"]["values"] if known.get("others") else 0)
    titles = ["<", "|kept, of all pairs", "pairs", "matched", "kept", "of matched"]
    return joined(legend, table(titles, listed), *not_shown(hidden))


def text_sources(material: Material) -> Html:
    """Which fields and captioners said the texts, and whose were chosen."""
    lead = (
        "What said the texts: a field of a page (alt, title, figcaption ...), or a captioner of the recipe. A "
        "sample keeps all its texts; the chosen one stands for it."
    )
    parts: list[Html] = []
    if material.has_manifest:
        kinds = material.tables.kinds
        most = max((row["samples"] for row in kinds), default=1) or 1
        rows = [
            [
                row["label"],
                meter(
                    [(row["chosen"] / most, 0), (max(0, row["samples"] - row["chosen"]) / most, 4)],
                    f"chosen for {count(row['chosen'])} of {count(row['samples'])} samples",
                ),
                count(row["samples"]),
                count(row["texts"]),
                count(row["chosen"]),
            ]
            for row in kinds
        ]
        legend = element(
            "ul", key("chosen", 0, filled=True), key("another text was chosen", 4, filled=True), class_="legend"
        )
        titles = ["<captioner and kind", "|samples that have one", "samples", "texts", "chosen"]
        parts += [legend, table(titles, rows), figures(text_lengths(material))]
    elif (known := (material.card or {}).get("breakdowns", {}).get("text_source")) is not None:
        sources = [{**row, "value": f"{row['modality']}: {row['value']}"} for row in known["values"]]
        parts.append(_facet_of_pairs({"values": sorted(sources, key=lambda row: -row["pairs"])}, ""))
    captions = (material.card or {}).get("captions")
    if captions:
        parts += [element("h4", "What captioners did"), items(captions_lines(captions))]
    return section("texts", "Text sources", lead, *(parts or [absent("Not known in this folder.")]))


def link_rot(material: Material) -> Html | None:
    """What became of the links; None where nothing was fetched."""
    if not material.tables.has("media"):
        return None
    lead = "What became of the media that were asked for. Links die; who fetches later gets fewer."
    losses_ = material.tables.losses()
    made = []
    for modality in sorted({row["modality"] for row in losses_}):
        rows = [row for row in losses_ if row["modality"] == modality]
        asked = sum(row["media"] for row in rows)
        failed = asked - sum(row["media"] for row in rows if row["error"] is None)
        listed = [
            [
                ("obtained" if row["error"] is None else loss_words(row["error"])),
                meter([(row["media"] / asked, 0 if row["error"] is None else 1)], count(row["media"])),
                count(row["media"]),
                share(row["media"] / asked),
            ]
            for row in rows
        ]
        words = f"{share(ratio(failed, asked))} of {count(asked)} were not obtained."
        made.append(
            element(
                "div",
                element("h3", f"{modality.capitalize()}s"),
                element("p", words, class_="kind"),
                table(["<", "|media", "number", "share"], listed),
            )
        )
    return section("links", "Link rot", lead, figures(*made), *_hosts(material), *_again(losses_))


def _hosts(material: Material) -> list[Html]:
    rows = [
        [
            row["host"] or NOTHING,
            count(row["asked"]),
            count(row["failed"]),
            share(row["failed"] / row["asked"]),
            loss_words(row["mostly"]),
        ]
        for row in material.tables.failing_hosts(10)
    ]
    return (
        [element("h4", "Hosts that lost most"), table(["<host", "asked for", "failed", "share", "<mostly"], rows)]
        if rows
        else []
    )


def _again(rows: Sequence[Row]) -> list[Html]:
    again = sum(row["transient"] for row in rows if row["error"] is not None)
    if not again:
        return []
    words = f"{how_many(again, 'media', 'media')} failed for passing reasons: the same `curation run` asks again."
    return [element("p", told(words), class_="kind")]


def shards(material: Material) -> Html | None:
    """The tars that were exported; None where there are none."""
    if not material.tables.has("shards"):
        return None
    rows = [
        [
            row["split"],
            count(row["shards"]),
            count(row["samples"]),
            f"{count(row['least'])} to {count(row['most'])}",
            size(row["size_bytes"]),
        ]
        for row in material.tables.shards()
    ]
    lead = "WebDataset tars: what a trainer streams. Samples are spread over them by a hash."
    return section("shards", "Shards", lead, table(["<split", "tars", "samples", "samples in a tar", "size"], rows))
