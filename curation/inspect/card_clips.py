"""The card's section on clips: from videos to kept clips, and why pieces of them are no clips, or clips not kept."""

from __future__ import annotations

from typing import Any

from curation.inspect.card_media import ERRORS
from curation.inspect.card_words import Row, count, escaped, ratio, share
from curation.inspect.wording import size
from curation.recipe import ClipRules
from curation.runner.stage import Manifest
from curation.schemas import CLIP_SHARDS, CLIPS, PIECES, SCENES, VIDEOS

_DROPPED, _REFUSED = "dropped:", "refused:"

WORDS = {
    "transition": "pieces whose ends differ too much",
    "unreadable": "pieces with frames that cannot be read",
    "too_short": "pieces that are too short",
    "still": "pieces in which nothing moves",
    "redundant": "pieces like an earlier clip of their video",
    "beyond_max": "what follows the longest part that a clip may have",
    "trimmed": "begins and ends that were trimmed off",
    "outside": "what lies outside chapters, subtitles or windows",
    "empty_mark": "chapters or subtitles without frames",
    "cut_failed": "clips that could not be cut",
    "cut_late": "clips that were not cut in time",
    "source_gone": "videos whose file is gone",
    "video_timeout": "videos that took too long",
    "crashed": "videos that ended the process that looked at them",
    "not_scored": "clips that could not be scored",
    "copied_video": "clips of copies of a video",
    "duplicate": "near copies of another clip",
}
"""What became of pieces that are no clips, and of clips that are not kept."""


def clips_section(manifests: dict[str, Manifest]) -> Row | None:
    """None where the recipe cuts no clips."""
    if "kept_clips" not in manifests:
        return None
    fetch, scenes, clips, kept = (manifests[name] for name in ("fetch", "scenes", "clips", "kept_clips"))
    return {
        "funnel": [
            _step("videos", fetch.rows(VIDEOS.name), {}),
            _step("pieces", clips.rows(PIECES.name), {}),
            _step("clips", clips.rows(CLIPS.name), _counted(clips, _DROPPED)),
            _step("kept_clips", kept.counts.get("kept", 0), _counted(kept, _REFUSED)),
        ],
        "scenes_failed": scenes.rows(SCENES.name) - scenes.counts.get("ok", 0),
        "split": clips.settings["split"],
        "shards": {
            "shards": clips.rows(CLIP_SHARDS.name),
            "size_bytes": sum(
                entry.size_bytes for report in clips.reports.values() for entry in report.files.get("tars", [])
            ),
        },
        "not_compared": manifests["near_clips"].counts.get("not_compared", 0),
    }


def _step(name: str, number: int, left_out: dict[str, int]) -> Row:
    return {"step": name, "count": number, "left_out": left_out}


def _counted(manifest: Manifest, prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in manifest.counts.items() if name.startswith(prefix) and n}


def told_pieces(section: Row) -> list[tuple[int, str]]:
    """(number, words) of all that was left out, largest first."""
    found = [(number, piece_words(why)) for step in section["funnel"] for why, number in step["left_out"].items()]
    return sorted(found, key=lambda loss: (-loss[0], loss[1]))


def piece_words(why: str) -> str:
    """Why a piece is no clip, or a clip is not kept; others are names of rules."""
    if why in ClipRules.model_fields:
        return f"clips that kept_clips.rules.{why} refuses"
    return WORDS.get(why) or ERRORS.get(why, why)


def clips_lines(section: Row) -> list[str]:
    """What is to be said beside the funnel."""
    shards = section["shards"]
    lines = [f"stored: {count(section['funnel'][2]['count'])} clips in {count(shards['shards'])} shards "
             f"({size(shards['size_bytes'])}), split as {section['split']['set']}"]  # fmt: skip
    if section["scenes_failed"]:
        lines.append(f"{count(section['scenes_failed'])} videos could not be decoded (dataset scenes says why)")
    return lines


def clips_markdown(card: dict[str, Any]) -> list[str]:
    """The section of card.md."""
    section = card.get("clips")
    if section is None:
        return []
    rows = []
    for step in section["funnel"]:
        rows.append(f"| {step['step']} | {count(step['count'])} | | |")
        whole = step["count"] + sum(step["left_out"].values())
        for why, number in sorted(step["left_out"].items(), key=lambda item: (-item[1], item[0])):
            rows.append(f"| | | {share(ratio(number, whole))} | −{count(number)} {escaped(piece_words(why))} |")
    table = "\n".join(["| step | number | share | left out |", "| :-- | --: | --: | :-- |", *rows])
    return ["## From videos to clips", table, "\n".join(f"- {line}" for line in clips_lines(section))]
