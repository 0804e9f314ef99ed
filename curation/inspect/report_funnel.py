"""The report's first sections: the headline numbers, and the funnel from candidates to manifest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curation.inspect.card_clips import piece_words
from curation.inspect.card_media import loss_words
from curation.inspect.card_words import count, losses, ratio, share
from curation.inspect.report_markup import Content, Html, element, joined
from curation.inspect.report_material import Material
from curation.inspect.report_parts import absent, items, section, table, tiles, unfolding
from curation.inspect.svg import meter
from curation.inspect.wording import duration, how_many, size

Row = dict[str, Any]

_LOSSES = 6  # reasons of a step that are seen at once
_STEPS = {
    "texts": "texts about an image, a video or a sound that the archives hold",
    "candidates": "links with a text, as they were found",
    "pairs": "different (media, text) pairs that filters and text rules let pass",
    "matches": "pairs whose text holds an entry of the vocabulary",
    "kept_pairs": "pairs left after balancing",
    "obtained": "pairs whose media could be fetched and decoded",
    "survivors": "pairs left where one copy of a picture stands for all",
    "final_pairs": "pairs left after balancing anew by what survived",
    "samples": "images and clips of these pairs",
    "manifest": "samples to train on",
}
_NAMES: dict[str, str] = {"image": "images", "video": "clips and videos"}


def headline(material: Material) -> Html:
    """The numbers that one looks for first."""
    if not material.has_manifest:
        return _headline_of_pairs(material)
    totals = material.tables.totals()
    every = {name: sum(row[name] for row in totals) for name in totals[0] if name != "modality"} if totals else {}
    if not every or not every["samples"]:
        return absent("The manifest is empty: no sample came through. The funnel says what was lost, and where.")
    made = [(count(every["samples"]), "samples", f"{count(every['val'])} of them held back for validation")]
    made += [
        (count(row["samples"]), _NAMES.get(row["modality"], str(row["modality"])), _of_modality(row)) for row in totals
    ]
    texts = sum(row["texts"] for row in material.tables.kinds)
    number = material.tables.languages_of_texts()
    top = material.tables.facet("text_lang", 1)["values"][0]
    made += [
        (count(texts), "texts", f"{texts / every['samples']:.1f} per sample, one of them chosen"),
        (
            count(number),
            "languages" if number != 1 else "language",
            f"{share(top['samples'] / every['samples'])} of samples in {top['value'] or 'an unknown one'}",
        ),
        (size(every["size_bytes"]), "stored media", f"{size(every['size_bytes'] / every['samples'])} per sample"),
        *_covered(material),
    ]
    return tiles(made)


def _of_modality(row: Row) -> str:
    if row["modality"] == "image":
        return f"{share(ratio(row['matched'], row['samples']))} with an entry in the chosen text"
    return f"{duration(row['duration_ms'] / 1000)} of {how_many(row['sources'], 'video')}"


def _covered(material: Material) -> list[tuple[str, str, str]]:
    """How many entries the set holds."""
    row = material.tables.row(
        "SELECT count(*) FILTER (pool > 0) AS pool, count(*) FILTER (samples > 0) AS covered "
        "FROM (SELECT lang, entry_id, sum(pool) AS pool, sum(samples) AS samples FROM found "
        "GROUP BY lang, entry_id)"
    )
    if not material.tables.has("entry_probabilities") or not row["pool"]:
        return []
    return [(count(row["covered"]), "entries covered", f"of {count(row['pool'])} that the pool holds")]


def _headline_of_pairs(material: Material) -> Html:
    card = material.card
    if card is None:
        rows = material.tables.row("SELECT count(*) AS pairs, count(DISTINCT media_id) AS media FROM kept_pairs")
        return tiles([(count(rows["pairs"]), "kept pairs", f"of {count(rows['media'])} media")])
    steps = {step["step"]: step for step in card["funnel"]}
    kept, pairs, matching = steps["kept_pairs"], steps["pairs"], card["matching"]
    return tiles(
        [
            (count(kept["rows"]), "kept pairs", f"of {count(kept['media'])} media"),
            (count(pairs["rows"]), "pairs in the pool", f"of {count(pairs['media'])} media"),
            (share(matching["matched_share"]), "of pairs match", "their text holds an entry of the vocabulary"),
            (count(matching["matches_per_text"]), "entries per text", "of texts that hold one at least"),
        ]
    )


def funnel(material: Material) -> Html:
    """From candidates to manifest, with what was left out at each step and why."""
    steps = funnel_steps(material)
    lead = (
        "Each step, how much of it is left, and why the rest is not. A step and what it left out add up to the "
        "step before, wherever both count the same things."
    )
    most = max((step["rows"] for step in steps), default=0)
    rows: list[list[Content]] = []
    before: Row | None = None
    for step in steps:
        comparable = before is not None and before["unit"] == step["unit"]
        part = share(ratio(step["rows"], before["rows"])) if before is not None and comparable else ""
        bar = meter([(ratio(step["rows"], most) or 0, 0)], f"{count(step['rows'])} {step['unit']}")
        name = joined(element("b", step["step"]), element("br"), element("span", step["words"], class_="kind"))
        rows.append([name, joined(bar, _lost(step["left_out"])), count(step["rows"]), part])
        before = step
    titles = ["<step", "|left, and what was left out", "count", "of the step before"]
    found = [table(titles, rows, stacked=True)] if rows else []
    if material.card is None and material.has_manifest:
        found.append(absent("Only the manifest is here: the datasets that it was made from are not in this folder."))
    title = f"From candidates to {'manifest' if material.has_manifest else 'kept pairs'}"
    return section("funnel", title, lead, *found, *_clips(material), *_overlaps(material), *_rejections(material))


def funnel_steps(material: Material) -> list[Row]:
    """{step, words, unit, rows, left_out: [(number, words)]} in order, of all that is known."""
    steps = []
    card = material.card
    if card is not None:
        steps += [_step(step["step"], "pairs", step["rows"], losses(step["left_out"])) for step in card["funnel"]]
        media = card.get("media")
        if media is not None:
            not_fetched = [(media["not_fetched"], "of modalities that are not fetched")] if media["not_fetched"] else []
            for place, step in enumerate(media["funnel"][1:]):
                lost = [(number, loss_words(why)) for why, number in step["left_out"].items()]
                steps.append(_step(step["step"], "pairs", step["pairs"], [*lost, *(not_fetched if not place else [])]))
    if material.tables.has("samples"):
        row = material.tables.row("SELECT count(*) AS samples FROM samples")
        steps.append(_step("samples", "samples", row["samples"], []))
    if material.has_manifest:
        row = material.tables.row("SELECT count(*) AS samples FROM manifest")
        steps.append(_step("manifest", "samples", row["samples"], _left_by_manifest(material)))
    return steps


def _step(name: str, unit: str, rows: int, left_out: Sequence[tuple[int, str]]) -> Row:
    return {
        "step": name,
        "words": _STEPS[name],
        "unit": unit,
        "rows": rows,
        "left_out": sorted(left_out, key=lambda loss: (-loss[0], loss[1])),
    }


def _left_by_manifest(material: Material) -> list[tuple[int, str]]:
    told = []
    for name, number in material.tables.counts("manifest").items():
        kind, _, of = name.partition(":")
        words = {"without_text": "no text to stand for it", "not_drawn": "thinned by captions.balance"}.get(name)
        words = f"{of} has it too (manifest.decontaminate)" if kind == "removed" else words
        if words and number:
            told.append((number, words))
    return told


def _lost(left_out: Sequence[tuple[int, str]]) -> Html:
    told = [joined(element("b", f"−{count(number)}"), " ", words) for number, words in left_out]
    if len(told) <= _LOSSES + 1:
        return items(told, "losses") if told else Html("")
    more = unfolding(f"{len(told) - _LOSSES} more reasons", items(told[_LOSSES:], "losses"))
    return joined(items(told[:_LOSSES], "losses"), more)


def _clips(material: Material) -> list[Html]:
    """From videos to clips, where there are some."""
    clips = material.card and material.card.get("clips")
    if not clips:
        return []
    most = max(step["count"] for step in clips["funnel"])
    rows = [
        [
            step["step"],
            joined(
                meter([(ratio(step["count"], most) or 0, 0)], count(step["count"])),
                _lost(
                    sorted(
                        ((number, piece_words(why)) for why, number in step["left_out"].items()),
                        key=lambda loss: (-loss[0], loss[1]),
                    )
                ),
            ),
            count(step["count"]),
        ]
        for step in clips["funnel"]
    ]
    return [
        element("h4", "From videos to clips"),
        table(["<step", "|left, and what was left out", "count"], rows, stacked=True),
    ]


def _overlaps(material: Material) -> list[Html]:
    """Samples that sets have which training must not have seen, by what gave them away."""
    counts = material.tables.counts("manifest")
    found: dict[str, dict[str, int]] = {}
    for name, number in counts.items():
        if name.startswith("overlap:"):
            set_name, _, key_ = name.removeprefix("overlap:").rpartition(":")
            found.setdefault(set_name, {})[key_] = number
    if not found:
        return []
    keys = sorted({key_ for each in found.values() for key_ in each})
    rows = [
        [name, *(count(each.get(key_, 0)) for key_ in keys), count(counts.get(f"removed:{name}", 0))]
        for name, each in sorted(found.items())
    ]
    words = "Samples that other sets have, too (manifest.decontaminate), by the first thing that gave them away."
    heading = element("h4", "Overlap with other sets")
    return [heading, element("p", words, class_="kind"), table(["<set", *keys, "removed"], rows)]


def _rejections(material: Material) -> list[Html]:
    rejected = (material.card or {}).get("rejections")
    if not rejected:
        return []
    rows = [[row["stage"], row["reason"], count(row["rejected"])] for row in rejected]
    number = sum(row["rejected"] for row in rejected)
    return [
        unfolding(
            f"{how_many(number, 'thing')} could not be read or had to be refused (dataset rejections)",
            table(["<stage", "<reason", "number"], rows),
        )
    ]
