"""The card's section on the manifest: its samples, which text stands for them, and what other sets have of them."""

from __future__ import annotations

from typing import Any

from curation.inspect.card_words import Row, count, escaped, ratio, share
from curation.inspect.wording import how_many
from curation.runner.stage import Manifest

RULES = {
    "best_source": "the pair with the best text source, of several the one with the lowest critical threshold",
    "captions.order": "the caption that captions.choose takes first in its order",
    "captions.score": "the caption that is most like its picture",
}
"""What chose the text that stands for a sample, in words."""
_KEYS = {"url": "URL", "sha256": "bytes (SHA-256)", "phash": "look (perceptual hash)", "text": "text"}
_LEFT_OUT = {
    "without_text": "no text stands for them",
    "not_drawn": "thinned by captions.balance, or without an entry",
}
_KINDS = 10  # in a line
_CHOSEN = "chosen: "
"""How the line begins that a table stands for in card.md."""


def manifest_section(manifests: dict[str, Manifest]) -> Row | None:
    """None where nothing was fetched."""
    made = manifests.get("manifest")
    if made is None:
        return None
    counts, entries = made.counts, manifests.get("entry_probabilities")
    modalities = sorted(name.removeprefix("samples:") for name in counts if name.startswith("samples:"))
    samples, texts = made.rows("manifest"), sum(_of(counts, "texts:").values())
    chosen = _of(counts, "chosen:")
    return {
        "samples": samples,
        "modalities": [
            {"modality": name, "samples": counts[f"samples:{name}"], "val": counts.get(f"val:{name}", 0)}
            for name in modalities
        ],
        "splits": _of(counts, "split:"),
        "val_share": made.settings["val_share"],
        "texts": texts,
        "texts_per_sample": ratio(texts, samples),
        "text_rule": made.settings["text_rule"],
        "kinds": [
            {"kind": kind, "texts": number, "chosen": chosen.get(kind, 0)}
            for kind, number in sorted(_of(counts, "texts:").items(), key=lambda each: (-chosen.get(each[0], 0), each))
        ],
        "licence_known": counts.get("licence_known", 0),
        "left_out": {name: counts.get(name, 0) for name in _LEFT_OUT if counts.get(name)},
        "overlap": [_overlap(found["name"], counts) for found in made.context["sets"]],
        "entries": None if entries is None else entries.rows("entry_probabilities"),
        "entries_held": None if entries is None else entries.counts.get("held", 0),
    }


def _of(counts: dict[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): number for name, number in sorted(counts.items()) if name.startswith(prefix)}


def _overlap(name: str, counts: dict[str, int]) -> Row:
    found = _of(counts, f"overlap:{name}:")
    return {"set": name, "samples": sum(found.values()), "by": found, "removed": counts.get(f"removed:{name}", 0)}


def manifest_lines(section: Row) -> list[str]:
    """What is to be said beside the table of modalities."""
    per_sample = section["texts_per_sample"]
    lines = [
        f"splits: {_listed(section['splits'])}, by source (val_share {section['val_share']:g})",
        f"texts: {count(section['texts'])}, {0 if per_sample is None else per_sample:.2f} per sample; the one that "
        f"stands for it: {RULES.get(section['text_rule'], section['text_rule'])}",
    ]
    kinds = [row for row in section["kinds"] if row["chosen"]]
    if kinds:
        told = ", ".join(f"{row['kind']} {count(row['chosen'])}" for row in kinds[:_KINDS])
        more = f", and {len(kinds) - _KINDS} more kinds" if len(kinds) > _KINDS else ""
        lines.append(f"{_CHOSEN}{told}{more}")
    if section["entries_held"] is not None:
        lines.append(f"entries: {count(section['entries_held'])} in chosen texts, of {count(section['entries'])} known")
    lines.append(f"licences: known of {share(ratio(section['licence_known'], section['samples']))} of the samples")
    if section["left_out"]:
        told = "; ".join(f"{count(number)} ({_LEFT_OUT[name]})" for name, number in section["left_out"].items())
        lines.append(f"samples left out: {told}")
    return lines + [_overlap_line(found) for found in section["overlap"]]


def _overlap_line(found: Row) -> str:
    if not found["samples"]:
        return f"overlap with {found['set']}: none"
    by = ", ".join(f"{count(number)} by their {_KEYS.get(key, key)}" for key, number in found["by"].items())
    taken = "none removed" if not found["removed"] else f"{count(found['removed'])} removed"
    return f"overlap with {found['set']}: {how_many(found['samples'], 'sample')} ({by}), {taken}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count(number)}" for name, number in counts.items()) or "none"


def manifest_markdown(card: dict[str, Any]) -> list[str]:
    """The section of card.md."""
    section = card.get("manifest")
    if section is None:
        return []
    rows = [
        f"| {row['modality']} | {count(row['samples'])} | {count(row['samples'] - row['val'])} | {count(row['val'])} |"
        for row in section["modalities"]
    ]
    table = "\n".join(["| modality | samples | train | val |", "| :-- | --: | --: | --: |", *rows])
    kinds = [f"| {escaped(row['kind'])} | {count(row['texts'])} | {count(row['chosen'])} |" for row in section["kinds"]]
    of_kinds = "\n".join(["| text | texts | chosen |", "| :-- | --: | --: |", *kinds])
    told = "\n".join(f"- {escaped(line)}" for line in manifest_lines(section) if not line.startswith(_CHOSEN))
    words = f"What a training job reads: {how_many(section['samples'], 'sample')}."
    return ["## Manifest", words, table, of_kinds, told]
