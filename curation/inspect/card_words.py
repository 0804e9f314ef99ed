"""How the data card puts its numbers, reasons and foreign texts into words, in Markdown and in the terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from curation.inspect.wording import number

Row = dict[str, Any]

NOTHING = "–"
_BIDI = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), None)  # they would turn around what follows
_MARKS = re.compile(r"([\\`*_{}\[\]#|~$])")
_NAME = re.compile(r"[\w.-]+")

LEFT_OUT = {
    "duplicates": "same media and text seen before",
    "placeholder_texts": "texts of placeholder media",
    "rejected_texts": "lost with a rejected row",
    "no_vocabulary": "no vocabulary for their language",
    "unmatched": "no entry of the vocabulary in the text",
    "not_picked": "another text of the media was picked",
    "not_drawn": "thinned: not drawn at t",
    "skipped:empty_text": "empty texts",
    "skipped:bad_url": "URLs that cannot be resolved",
    "skipped:not_http": "URLs that are not http(s)",
    "skipped:no_url": "descriptions of media that are nowhere on their page",
    "skipped:page_limit": "texts beyond what one page may give",
    "other_source": "none of their text sources counts for matching",
}
"""What a count of the funnel means, in words."""

DEFINITIONS = {
    "v1": "an entry matches where it stands between two spaces in the text, which gets spaces around , . ; : ? ! and `",
    "v2": "an entry matches where it stands in the text, which gets spaces around , . ; : ? ! and `; there must be a "
    "space on each side of it that does not end in punctuation or a script without spaces (such as Chinese or Thai)",
}
"""What each of MetaCLIP's definitions says."""

OPTIONS = {
    "spaced_entries": "entries get spaces around their marks as texts do, so that \"St. Louis\" is found",
    "no_space_kana": "kana and hangul count as scripts that write no spaces",
    "nfc": "entries and texts are composed (Unicode NFC) first, so that an accent matches however it is written",
    "case_fold": "entries and texts are case-folded first, so that upper and lower case are the same",
}
"""What each matching option does, by its name in the recipe."""

_FILTERS = {
    "refused": "lists of refusals",
    "consent": "consent",
    "licence": "licence",
    "domain": "domains",
    "classifier": "classifiers",
}
_TEXT_RULES = "text rules"


def plain(text: str | None) -> str:
    """The text on one line: no controls, no line breaks, nothing that turns the writing direction of what follows."""
    if not text:
        return ""
    shown = text.translate(_BIDI)
    return "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") else char for char in shown)


def escaped(text: str | None) -> str:
    """The text as it is, in a Markdown table cell: no markup, no HTML, no end of cell."""
    return _MARKS.sub(r"\\\1", plain(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def name_of(text: str | None) -> str:
    """A name from the crawl as code, so that no host becomes a link; escaped where it is no name."""
    return f"`{text}`" if text and _NAME.fullmatch(text) else escaped(text)


def share(value: float | None) -> str:
    """0.0653 as 6.5%; what is not nothing or all never reads so."""
    if value is None:
        return NOTHING
    if 0 < value < 0.0005:
        return "<0.1%"
    if 0.9995 <= value < 1:
        return ">99.9%"
    return f"{100 * value:.1f}%"


def count(value: float | None) -> str:
    return NOTHING if value is None else number(value)


def ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def threshold_words(card: Row, modality: str) -> str:
    """How the thresholds of a modality came about, in words."""
    thresholds = card["thresholds"]
    how = next(row for row in thresholds["modalities"] if row["modality"] == modality)
    tail, pivot = share(how["tail_share"]), thresholds["pivot"]
    others = any(row["modality"] == modality and row["lang"] != pivot for row in card["balance"])
    if how["how"] == "given":
        follow = f"; other languages follow its tail share of {tail}" if others else f", a tail share of {tail}"
        return f"t = {number(how['given_t'])} given for {pivot}{follow}"
    if how["how"] == "target":
        return f"solved for the target, at a tail share of {tail}"
    rule = "nearest count" if thresholds["other_languages"] == "step" else "between the nearest counts"
    return f"from a tail share of {tail}{' in every language' if others else ''} ({rule})"


def target_words(target: Row) -> str:
    """A target, and what became of it, in words."""
    of = "" if target["modality"] == "all" else f"{target['modality']} "
    wanted = f"{count(target['wanted'])} {of}{target['unit']} wanted"
    if target.get("survival", 1) != 1:
        wanted += f" after losses ({count(target['wanted_before_losses'])} before, {share(target['survival'])} survive)"
    kept = f"{wanted}, {count(target['kept'])} kept"
    reachable = [size for size in (target.get("reachable_below"), target.get("reachable_above")) if size is not None]
    if target["kept"] == target["wanted_before_losses"] or not reachable:
        return kept
    if len(set(reachable)) == 1:
        return f"{kept}; nearest reachable size: {count(reachable[0])}"
    return f"{kept}; nearest reachable sizes: {' and '.join(map(count, reachable))}"


def definition_words(recipe: Row) -> list[str]:
    """The definition of a match that a run used, and each option with its version, in words."""
    definition, options = recipe["definition"], recipe["options"]
    lines = [f"option {name}, version {version}: {OPTIONS[name]}" for name, version in sorted(options.items())]
    none = "no options: case and accents count as they are written, and entries are searched for as they are"
    return [f"MetaCLIP's definition {definition}: {DEFINITIONS[definition]}", *(lines or [none])]


def filter_kind(name: str) -> str | None:
    """Which filters a count filtered:KIND or filtered:KIND:NAME belongs to; None for another count."""
    if not name.startswith("filtered:"):
        return None
    return _FILTERS.get(name.split(":")[1], _TEXT_RULES)


def losses(left_out: Mapping[str, int]) -> list[tuple[int, str]]:
    """(number, what in words) of what a step left out: filters of one kind together, the parts named behind it."""
    kinds: dict[str, dict[str, int]] = {}
    for name, lost in left_out.items():
        kinds.setdefault(filter_kind(name) or name, {})[name] = lost
    order = [*_FILTERS.values(), _TEXT_RULES]
    found = []
    for kind in sorted(kinds, key=lambda kind: order.index(kind) if kind in order else -1):
        words = f"filtered by {kind}{parts_words(kinds[kind])}" if kind in order else reason_words(kind)
        found.append((sum(kinds[kind].values()), words))
    return found


def parts_words(parts: Mapping[str, int]) -> str:
    """": noai 300, robots.txt 20", the largest first; "" for a filter that counts as a whole."""
    named = {name.removeprefix("filtered:"): lost for name, lost in parts.items()}
    named = {name.split(":", 1)[-1] if filter_kind(f"filtered:{name}") != _TEXT_RULES else name: lost
             for name, lost in named.items() if name not in ("licence", "domain")}
    told = ", ".join(f"{name} {count(lost)}" for name, lost in sorted(named.items(), key=lambda item: (-item[1], item)))
    return f": {told}" if told else ""


def reason_words(name: str) -> str:
    """A count of the funnel in words, with its name."""
    return f"{LEFT_OUT[name]} ({name})" if name in LEFT_OUT else name
