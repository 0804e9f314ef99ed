"""The card's section on media: from kept pairs to final pairs, and what was lost on the way, per class and cause."""

from __future__ import annotations

from typing import Any

from curation.inspect.card_words import Row, count, escaped, ratio, share
from curation.inspect.wording import size
from curation.runner.stage import Manifest
from curation.schemas import DUPLICATES, FINAL_PAIRS, KEPT_PAIRS, MEDIA, MEDIA_SHARDS, SURVIVORS, VIDEOS
from curation.stages.rebalance import clamped_shares

_LOST = "lost:"

ERRORS = {
    "dns": "no address for the host",
    "connect": "no connection, or one that broke before an answer",
    "tls": "certificate or handshake",
    "timeout": "too slow",
    "http_4xx": "gone or forbidden (HTTP 4xx)",
    "http_5xx": "the host failed (HTTP 5xx)",
    "too_many_requests": "the host asked for patience (HTTP 429)",
    "robots": "X-Robots-Tag or a reservation",
    "too_large": "too large",
    "truncated": "cut short",
    "redirect_loop": "redirects without end",
    "refused_address": "a private or reserved address",
    "bad_url": "no URL that can be asked for",
    "bad_response": "an answer that is none",
    "host_down": "the host was down",
    "deadline": "not done in time",
    "cancelled": "not done when the run stopped",
    "not_an_image": "not an image",
    "undecodable": "an image that cannot be decoded",
    "too_many_pixels": "too many pixels",
    "filtered_size": "too small",
    "filtered_area": "too large an area",
    "filtered_aspect": "too long a shape",
    "refused": "leads to what is refused",
    "opted_out": "opted out",
    "listed": "on a list of refused pictures",
    "forgotten": "forgotten",
    "unsafe": "refused by a hook",
    "hook_failed": "a hook failed on it",
    "not_a_video": "not a video",
    "corrupt_video": "a video that cannot be decoded",
    "no_frames": "a video without a picture",
    "unsupported_codec": "a codec that is not known here, or encrypted",
    "too_long": "too long",
    "broken_times": "its clock begins anew on the way",
    "live_stream": "a stream without an end",
    "video_timeout": "took too long to read",
    "crashed": "ended the process that looked at it",
    "unavailable": "the site does not give the video",
    "no_clips": "no clip of the video is kept",
    "other_modality": "fetched as a video, kept as an image as well",
}
"""What an error class of the ledger means, in words."""


_STEPS = {
    "copies": "another copy and its text stand for the picture",
    "not_drawn": "thinned by the counts that are left",
    "not_fetched": "of modalities that fetch.modalities does not name",
}


def media_section(manifests: dict[str, Manifest]) -> Row | None:
    """None where the recipe fetches nothing.

    lost: pairs by error class. passing: media that failed for passing reasons, which runs ask for again for retry_days.
    """
    if "rebalance" not in manifests:
        return None
    fetch, survive, rebalance = (manifests[name] for name in ("fetch", "survive", "rebalance"))
    counts = survive.counts
    kept = manifests["balance"].rows(KEPT_PAIRS.name) - counts.get("not_fetched", 0)
    lost = {name.removeprefix(_LOST): number for name, number in counts.items() if name.startswith(_LOST)}
    survivors = survive.rows(SURVIVORS.name)
    return {
        "funnel": [
            _step("kept_pairs", kept, counts.get("media_wanted", 0), {}),
            _step("obtained", kept - sum(lost.values()), counts.get("media_ok", 0), lost),
            _step("survivors", survivors, None, {"copies": counts.get("duplicate_pairs", 0)}),
            _step("final_pairs", rebalance.rows(FINAL_PAIRS.name), None,
                  {"not_drawn": rebalance.counts.get("not_drawn", 0)}),
        ],
        "not_fetched": counts.get("not_fetched", 0),
        "passing": fetch.counts.get("transient", 0),
        "retry_days": fetch.settings["retry_days"],
        "ledger": {"media": fetch.rows(MEDIA.name), "ok": fetch.counts.get("ok", 0)},
        "videos": fetch.rows(VIDEOS.name),
        "sources_kept": fetch.settings.get("video", {}).get("keep_source", True),
        "shards": {
            "shards": fetch.rows(MEDIA_SHARDS.name),
            "size_bytes": sum(entry.size_bytes for report in fetch.reports.values() for entry in _tars(report.files)),
        },
        "duplicates": {
            "clusters": manifests["duplicates"].counts.get("clusters", 0),
            "media": manifests["duplicates"].rows(DUPLICATES.name),
        },
        "thresholds": rebalance.context["thresholds"],
        "clamped": clamped_shares(rebalance),
    }  # fmt: skip


def _tars(files: dict[str, list[Any]]) -> list[Any]:
    return files.get("tars", [])


def _step(name: str, pairs: int, media: int | None, left_out: dict[str, int]) -> Row:
    return {"step": name, "pairs": pairs, "media": media, "left_out": {k: n for k, n in left_out.items() if n}}


def told_steps(section: Row) -> list[Row]:
    """The funnel from all kept pairs on: those of modalities that are not fetched are a step of their own."""
    first, *others = section["funnel"]
    if not section["not_fetched"]:
        return [first, *others]
    asked = {**first, "step": "asked for", "left_out": {"not_fetched": section["not_fetched"]}}
    return [_step(first["step"], first["pairs"] + section["not_fetched"], None, {}), asked, *others]


def loss_words(reason: str) -> str:
    """What a step of the funnel left out, in words."""
    return _STEPS.get(reason) or ERRORS.get(reason, reason)


def told_losses(section: Row) -> list[tuple[int, str]]:
    """(pairs, words) of all that was left out, largest first."""
    steps = told_steps(section)
    found = [(number, loss_words(reason)) for step in steps for reason, number in step["left_out"].items()]
    return sorted(found, key=lambda loss: (-loss[0], loss[1]))


def media_lines(section: Row) -> list[str]:
    """What is to be said beside the funnel."""
    shards, copies = section["shards"], section["duplicates"]
    videos = section.get("videos", 0)
    stored = f"{count(section['ledger']['ok'] - videos)} images in {count(shards['shards'])} shards"
    also = f", {count(videos)} videos" if videos else ""
    also += " (removed once their clips were cut)" if videos and not section.get("sources_kept", True) else ""
    lines = [f"stored: {stored} ({size(shards['size_bytes'])}){also}"]
    if copies["clusters"]:
        lines.append(f"copies: {count(copies['media'])} media show {count(copies['clusters'])} pictures")
    if section["passing"] and section.get("retry_days"):
        again, days = count(section["passing"]), f"{section['retry_days']:g}"
        limit = f"up to {days} {'day' if days == '1' else 'days'} after they were first asked for"
        lines.append(f"the same command asks again for {again} media that failed for passing reasons, {limit}")
    return lines


def media_markdown(card: Row) -> list[str]:
    """The section of card.md."""
    section = card.get("media")
    if section is None:
        return []
    rows, before = [], None
    for step in told_steps(section):
        media = "" if step["media"] is None else count(step["media"])
        rows.append(f"| {step['step']} | {count(step['pairs'])} | {media} | {share(ratio(step['pairs'], before))} | |")
        for reason, number in sorted(step["left_out"].items(), key=lambda item: (-item[1], item[0])):
            words = f"−{count(number)} {escaped(loss_words(reason))}"
            rows.append(f"| | | | {share(ratio(number, before))} | {words} |")
        before = step["pairs"]
    clamped = [
        f"{share(part)} of {modality}/{lang}" for modality, langs in sorted(section["clamped"].items())
        for lang, part in sorted(langs.items()) if part > 0
    ]  # fmt: skip
    table = "\n".join(["| step | pairs | media | share | left out |", "| :-- | --: | --: | --: | :-- |", *rows])
    notes = media_lines(section)
    if clamped:
        notes.append(
            f"clamped: {', '.join(clamped)} survivors should by the counts that are left be kept more often than they "
            "were drawn; `curation top-up` draws more"
        )
    return ["## From kept pairs to final pairs", table, "\n".join(f"- {line}" for line in notes)]
