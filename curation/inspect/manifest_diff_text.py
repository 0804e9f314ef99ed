"""What changed between two manifests, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Final

from rich.cells import cell_len, set_cell_size

from curation.inspect.card_clips import piece_words
from curation.inspect.card_media import ERRORS
from curation.inspect.manifest_diff import Change, Changes, ManifestDiff
from curation.inspect.manifest_reasons import UNTOLD, Lost
from curation.inspect.wording import how_many, quoted

_WORDS: Final = {
    ("forget", "forgotten"): "forgotten there (`curation forget`)",
    ("extract", "other_archive"): "not found, and the archive or table it comes from was not read",
    ("extract", "not_found"): "not found, though the archive or table it comes from was read",
    ("pairs", "placeholder"): "the media has too many different texts: a placeholder",
    ("pairs", "not_told"): "a rule or filter of `pairs` drops all its texts; which one was not looked for",
    ("match", "no_entry"): "no text of it holds an entry of the vocabulary",
    ("balance", "not_drawn"): "matched, but not drawn: its critical threshold is above t",
    ("balance", "lower_threshold"): "matched, but not drawn: its critical threshold is above t, which is lower there",
    ("balance", "other_draw"): "matched, but not drawn: its critical threshold is higher there (counts, pick or seed)",
    ("fetch", "not_asked"): "kept, but not asked for: its modality is not fetched",
    ("fetch", "unknown"): "could not be fetched",
    ("duplicates", "exact"): "another media with the same bytes stands for it",
    ("duplicates", "near"): "another media that shows the same picture stands for it",
    ("scenes", "unknown"): "its video could not be decoded",
    ("clips", "whole_videos"): "videos are not cut into clips there",
    ("clips", "cut_into_clips"): "videos are cut into clips there",
    ("clips", "other_bounds"): "its video was cut at other places",
    ("clips", "no_clip"): "no clip was cut out of its video",
    ("survive", "other_modality"): "its URL was fetched as another modality",
    ("rebalance", "not_drawn"): "fetched, but balanced out by the counts after losses",
    ("chosen_captions", "no_caption"): "no caption stands for it",
    ("balanced_captions", "no_entry"): "its chosen caption holds no entry",
    ("balanced_captions", "not_drawn"): "balanced out by its chosen caption",
    ("manifest", "no_text"): "no text stands for it",
    ("manifest", "other_text"): "is there, with another chosen text, which does not hold the concept",
    ("manifest", "other_entries"): "is there with the same text, in which the concept is not found",
    ("untold", "no_run"): "not told: these are exported files, not a work folder",
    ("untold", "no_record"): "not told: the folder does not have the datasets that say it",
}
_PAGE_WORDS: Final = {
    "refused": "a list of pairs.filters.refusals names it",
    "licence": "its licence is not among pairs.filters.licences",
    "domain": "its domain is not among those that pairs.filters.domains takes",
    "language": "its language is not among pairs.language.keep",
    "classifier": "a classifier of pairs.filters.classifiers refuses it",
    "consent": "a page refuses its use",
}
_LONGEST: Final = 400  # characters of a line about a setting: two long values and its name
_MOST_LINES: Final = 8
"""Changed settings of a stage that are told."""


def reason_words(stage: str, reason: str) -> str:
    """A reason in words."""
    if (stage, reason) in _WORDS:
        return _WORDS[stage, reason]
    safe = quoted(reason)[1:-1]
    kind, _, name = safe.partition(":")
    if stage == "manifest" and kind == "overlap":
        return f"a set of manifest.decontaminate has it by its {name}"
    if stage == "pairs":
        told = _PAGE_WORDS.get(kind)
        return f"{told}{f' ({name})' if name else ''}" if told else f"the rule pairs.rules.{safe} drops it"
    if stage == "fetch":
        return f"could not be fetched: {ERRORS.get(safe, safe)}"
    if stage == "scenes":
        return f"its video could not be cut: {ERRORS.get(safe, safe)}"
    return piece_words(safe) if stage in ("clips", "kept_clips") else safe


def diff_lines(diff: ManifestDiff) -> list[str]:
    """The whole difference."""
    return [
        *_head(diff),
        *_lost_lines("left: A has them, B does not", "B", diff.b, diff.left, diff.settings),
        *_lost_lines("came: B has them, A does not", "A", diff.a, diff.came, diff.settings),
        *(line for changes in diff.changes for line in _changes_lines(changes, diff)),
        *_settings_lines(diff),
        *([""] if diff.notes else []),
        *(f"note: {note}" for note in diff.notes),
    ]


def _head(diff: ManifestDiff) -> Iterator[str]:
    held = "" if diff.concept is None else f" hold {quoted(diff.concept)}"
    for letter, location, samples, whole in (
        ("A", diff.a, diff.samples_a, diff.all_a),
        ("B", diff.b, diff.samples_b, diff.all_b),
    ):
        of_all = f"{samples:,} of {how_many(whole, 'sample')} ({samples / max(whole, 1):.3%}){held}"
        yield f"{letter}  {location}: {how_many(whole, 'sample') if diff.concept is None else of_all}"
    change = diff.samples_b - diff.samples_a
    yield f"from A to B {change:+,}: {diff.only_a:,} left, {diff.only_b:,} came, {diff.both:,} stayed"
    words = {"text": "with another text", "split": "in another split", "bytes": "with other bytes"}
    told = [f"{count:,} {words[what]}" for what, count in diff.changed.items() if count]
    if told:
        yield f"of those that stayed, {', '.join(told)}"


def _lost_lines(
    title: str, letter: str, location: str, lost: Sequence[Lost], settings: Mapping[str, list[str]]
) -> Iterator[str]:
    if not lost:
        return
    yield from ("", f"{title}; why, by the first stage of {letter} that is without them")
    for each in lost:
        stage = "(not told)" if each.stage == UNTOLD else each.stage
        yield f"  {stage:<20}{each.samples:>12,}  {reason_words(each.stage, each.reason)}"
    yield f"  {'in all':<20}{sum(each.samples for each in lost):>12,}"
    asked = next((each for each in lost if each.stage != UNTOLD), None)
    if asked is not None:
        yield f"  for example: curation why {asked.example} --work {quote(location)}"


def _changes_lines(changes: Changes, diff: ManifestDiff) -> Iterator[str]:
    """Losses and gains of one kind, largest first; nothing where nothing changed."""
    rows = [*changes.losses, *changes.gains]
    if not rows:
        return
    values = [_value(change) for change in rows]
    size = max(16, *map(cell_len, values))
    yield ""
    yield f"{'by ' + changes.kind:<{size + 2}}{'A':>11}{'share':>9}{'B':>11}{'share':>9}{'change':>11}"
    for value, change in zip(values, rows, strict=True):
        share_a, share_b = change.a / max(diff.samples_a, 1), change.b / max(diff.samples_b, 1)
        told = set_cell_size(value, size)
        yield f"  {told}{change.a:>11,}{share_a:>9.2%}{change.b:>11,}{share_b:>9.2%}{change.b - change.a:>+11,}"
    if changes.others:
        yield f"  and {changes.others:,} more that changed"


def _value(change: Change) -> str:
    told = "(not known)" if change.value is None else quoted(change.value, 60)[1:-1]
    return told if change.lang is None else f"{told} ({change.lang})"


def _settings_lines(diff: ManifestDiff) -> Iterator[str]:
    if diff.settings:
        yield from ("", "what differs between the two runs")
    for stage, lines in diff.settings.items():
        for line in lines[:_MOST_LINES]:
            yield f"  {stage:<20}{quoted(line, _LONGEST)[1:-1]}"
        if len(lines) > _MOST_LINES:
            yield f"  {'':<20}and {len(lines) - _MOST_LINES:,} more"
