"""The card's section on exported shards: where the tars of each split are, and what they hold."""

from __future__ import annotations

from typing import Any, Final

from curation.export.webdataset import FOLDER, index_of
from curation.inspect.card_words import Row, count
from curation.inspect.wording import how_many, size
from curation.runner.stage import Manifest
from curation.stages.shard_index import tars_of

_OTHER: Final = "other_modality:"
_LOST: Final = {
    "bytes_gone": "their bytes are gone",
    "bytes_changed": "their bytes are others than they were",
    "no_frames": "no frame of them can be decoded",
}


def shards_section(manifests: dict[str, Manifest]) -> Row | None:
    """None where the recipe exports none."""
    made = manifests.get("shards")
    if made is None:
        return None
    index = index_of(tars_of(made), {})
    splits = [
        {
            "split": split,
            **totals,
            "tars": f"{FOLDER}/{made.context['set']}/{totals['tars']}",
            "samples_of_a_shard": [of(tar["samples"] for tar in index["tars"] if tar["split"] == split)
                                   for of in (min, max)],
        }
        for split, totals in index["splits"].items()
    ]  # fmt: skip
    return {
        "set": made.context["set"],
        **{name: index[name] for name in ("shards", "samples", "images", "videos", "size_bytes")},
        "clips": made.settings["clips"],
        "splits": splits,
        "lost": dict(sorted(made.rejected.items())),
        "other_modality": {name.removeprefix(_OTHER): n for name, n in made.counts.items() if name.startswith(_OTHER)},
    }


def shards_places(section: Row, work: str) -> list[str]:
    """Where each split's tars are, as trainers take it: a pattern of names."""
    return [
        f"{work}/{split['tars']} ({count(split['samples'])} samples, {size(split['size_bytes'])})"
        for split in section["splits"]
    ]


def shards_lines(section: Row) -> list[str]:
    """What is not in them, and why."""
    lines = [f"{how_many(number, 'sample')} could not be exported: {_LOST.get(reason, reason)} (dataset rejections)"
             for reason, number in section["lost"].items()]  # fmt: skip
    lines += [f"{how_many(number, modality)} not exported: shards.modalities does not ask for it"
              for modality, number in section["other_modality"].items()]  # fmt: skip
    return lines


def shards_markdown(card: dict[str, Any]) -> list[str]:
    """The section of card.md."""
    section = card.get("shards")
    if section is None:
        return []
    rows = [
        f"| {split['split']} | `{split['tars']}` | {count(split['shards'])} | {count(split['samples'])} | "
        f"{count(split['images'])} | {count(split['videos'])} | {size(split['size_bytes'])} | "
        f"{' to '.join(dict.fromkeys(map(count, split['samples_of_a_shard'])))} |"
        for split in section["splits"]
    ]
    head = ["split", "tars", "shards", "samples", "images", "clips", "size", "samples of a shard"]
    table = "\n".join([f"| {' | '.join(head)} |", "| :-- | :-- | --: | --: | --: | --: | --: | --: |", *rows])
    how = "as their files" if section["clips"] == "video" else "as frames"
    shards = how_many(section["shards"], "shard")
    words = f"WebDataset tars: {how_many(section['samples'], 'sample')} in {shards}, clips {how}."
    told = "\n".join(f"- {line}" for line in shards_lines(section))
    return ["## Shards", words, *([table] if rows else []), *([told] if told else [])]
