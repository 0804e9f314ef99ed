"""The card's section on captions: what every captioner said, what the vocabulary knows of it, and what was chosen."""

from __future__ import annotations

from collections import Counter
from typing import Any

from curation.captions.selection import teacher_order
from curation.inspect.caption_tables import CaptionTables
from curation.inspect.card_words import Row, count, escaped, ratio, share
from curation.inspect.wording import how_many
from curation.runner.stage import Manifest

ALT = "alt"
_DIGITS = 3

FAULTS = {
    "connect": "no connection to the server",
    "timeout": "no whole answer in time",
    "rate_limited": "the server wanted fewer requests",
    "http_4xx": "the server refused the request",
    "http_5xx": "the server failed",
    "garbage": "answers that are none",
    "empty": "empty answers",
    "refusal": "the model refused",
    "endless": "answers without end",
    "bad_form": "answers in another form than asked for",
    "no_media": "bytes that are gone",
    "unreadable": "bytes that cannot be decoded",
    "model": "the model failed",
    "out_of_memory": "the device had too little memory",
}
"""Faults in words."""


LEFT_OUT = {
    "unformed": "lines in another form than asked for",
    "outside": "captions of times that were not told",
    "unseen": "captions without a picture near their time",
}
"""What strategies leave out of answers, in words."""


def captions_section(tables: CaptionTables, manifests: dict[str, Manifest]) -> Row | None:
    """None where the recipe captions nothing."""
    captions, chosen = manifests.get("captions"), manifests.get("chosen_captions")
    if captions is None or chosen is None:
        return None
    samples, balanced = manifests["samples"], manifests.get("balanced_captions")
    entries, scores = tables.entries(), tables.similarities()
    rows = [_kind(label, chosen.counts, entries, scores) for label in _labels(chosen.counts)]
    named = [(label, captions.settings["captioners"][label]["source"]) for label in captions.settings["order"]]
    alts = [name for name, source in named if source == ALT]
    return {
        "samples": _prefixed(samples.counts, "samples:"),
        "kinds": sorted(rows, key=lambda row: (-row["texts"], row["captioner"], row["kind"])),
        "silent": _prefixed(captions.counts, "silent:"),
        "failed": _prefixed(captions.counts, "failed:"),
        "left_out": _prefixed(captions.counts, "left:"),
        "models": _models(captions),
        "coverage": tables.coverage(alts),
        "teachers": _teachers(tables, [name for name, _ in named], chosen.settings["min_score"]),
        "chosen": {
            "rule": chosen.settings["rule"],
            "samples": chosen.rows("chosen_captions"),
            "without": chosen.counts.get("without", 0),
            "matched": chosen.counts.get("chosen_matched", 0),
            "min_score": chosen.settings["min_score"],
            "cutoff": chosen.context.get("cutoff"),
        },
        "balanced": None
        if balanced is None
        else {
            "samples": balanced.rows("balanced_captions"),
            "not_drawn": balanced.counts.get("not_drawn", 0),
            "unmatched": balanced.counts.get("unmatched", 0),
            "thresholds": balanced.context["thresholds"],
        },
    }


def _prefixed(counts: dict[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in sorted(counts.items()) if name.startswith(prefix) and n}


def _labels(counts: dict[str, int]) -> list[str]:
    return [name.removeprefix("texts:") for name in counts if name.startswith("texts:")]


def _kind(
    label: str, counts: dict[str, int], entries: dict[tuple[str, str], int], scores: dict[tuple[str, str], float]
) -> Row:
    captioner, _, kind = label.partition(".")
    texts, matched = counts[f"texts:{label}"], counts.get(f"matched:{label}", 0)
    return {
        "captioner": captioner,
        "kind": kind,
        "texts": texts,
        "matched": matched,
        "matched_share": ratio(matched, texts),
        "matches_per_text": ratio(counts.get(f"entry_matches:{label}", 0), matched),
        "entries": entries.get((captioner, kind), 0),
        "similarity": scores.get((captioner, kind)),
        "chosen": counts.get(f"chosen:{label}", 0),
    }


def _models(captions: Manifest) -> list[Row]:
    """What each model was asked for the captions that are there; cost in the currency of the recipe's prices."""
    rows = []
    captioners = captions.settings["captioners"].items()
    for name, settings in sorted(captions.settings["models"].items()):
        asking = [label for label, each in captioners if each.get("model") == name]
        told = {what: sum(captions.counts.get(f"{what}:{label}", 0) for label in asking)
                for what in ("requests", "prompt_tokens", "answer_tokens")}  # fmt: skip
        if told["requests"]:
            prices = settings.get("price_in", 0.0), settings.get("price_out", 0.0)
            cost = (told["prompt_tokens"] * prices[0] + told["answer_tokens"] * prices[1]) / 1e6
            rows.append({"name": name, "model": settings["model"], **told, "cost": round(cost, 6)})
    return rows


def _teachers(tables: CaptionTables, names: list[str], min_score: float | None) -> list[Row]:
    """Captioners in the order in which they add most samples with a good caption (Panda-70M's greedy choice).

    None where there is no choice: of one captioner, or of no samples.
    """
    well = tables.well_captioned(names, min_score)
    if len(names) < 2 or not len(well):
        return []
    order, covered = teacher_order(well)
    return [{"captioner": names[place], "covered": round(float(part), _DIGITS)}
            for place, part in zip(order.tolist(), covered.tolist(), strict=True)]  # fmt: skip


def captions_lines(section: Row) -> list[str]:
    """What is to be said beside the table."""
    coverage, chosen, balanced = section["coverage"], section["chosen"], section["balanced"]
    lines = [
        f"entries: {count(coverage['alt'])} in alt texts, {count(coverage['captions'])} in other captions, "
        f"{count(coverage['both'])} in both",
        f"chosen: {count(chosen['samples'])} captions by {chosen['rule']}, of "
        f"which {share(ratio(chosen['matched'], chosen['samples']))} hold an entry; "
        f"{how_many(chosen['without'], 'sample')} without one",
    ]
    if balanced is not None:
        lines.append(
            f"balanced by these: {count(balanced['samples'])} samples; {count(balanced['not_drawn'])} thinned, "
            f"{count(balanced['unmatched'])} without an entry"
        )
    for model in section["models"]:
        cost = f", cost {model['cost']:,.2f}" if model["cost"] else ""
        lines.append(
            f"{model['name']}: {count(model['requests'])} answers, {count(model['prompt_tokens'])} tokens asked, "
            f"{count(model['answer_tokens'])} answered{cost}"
        )
    if section["silent"]:
        silent = ", ".join(f"{captioner} of {count(number)}" for captioner, number in section["silent"].items())
        lines.append(f"nothing to say of samples: {silent}")
    if section["left_out"]:
        left = ", ".join(f"{count(number)} {LEFT_OUT.get(what, what)}" for what, number in section["left_out"].items())
        lines.append(f"left out of answers: {left}")
    lines += [f"{captioner} failed: {words}" for captioner, words in failed_words(section["failed"])]
    if section["teachers"]:
        order = ", ".join(f"{each['captioner']} {share(each['covered'])}" for each in section["teachers"])
        good = "a caption" if chosen["min_score"] is None else f"a caption of similarity {chosen['min_score']} or more"
        lines.append(f"samples with {good}, as captioners are added, first the one that adds most: {order}")
    return lines


def failed_words(failed: dict[str, int]) -> list[tuple[str, str]]:
    """(captioner, what went wrong how often), by captioner."""
    told: dict[str, Counter[str]] = {}
    for name, number in failed.items():
        captioner, _, fault = name.partition(".")
        told.setdefault(captioner, Counter())[fault] += number
    return [
        (captioner, ", ".join(f"{count(number)} {FAULTS.get(fault, fault)}" for fault, number in faults.most_common()))
        for captioner, faults in sorted(told.items())
    ]


def captions_markdown(card: dict[str, Any]) -> list[str]:
    """The section of card.md."""
    section = card.get("captions")
    if section is None:
        return []
    titles = "| captioner | kind | texts | matched | share | entries per text | entries | similarity | chosen |"
    rows = [
        f"| {escaped(row['captioner'])} | {escaped(row['kind'])} | {count(row['texts'])} | {count(row['matched'])} "
        f"| {share(row['matched_share'])} | {_number(row['matches_per_text'])} | {count(row['entries'])} "
        f"| {_number(row['similarity'])} | {count(row['chosen'])} |"
        for row in section["kinds"]
    ]
    table = "\n".join([titles, "| :-- | :-- | --: | --: | --: | --: | --: | --: | --: |", *rows])
    samples = ", ".join(f"{count(number)} of {modality}" for modality, number in section["samples"].items())
    told = "\n".join(f"- {escaped(line)}" for line in captions_lines(section))
    return ["## Words for the media", f"Samples: {samples or 'none'}.", table, told]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
