"""The report of `vocab lint` as lines for a terminal."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from rich.cells import cell_len, set_cell_size

from curation.concepts.lint import LONG_ENTRY, Finding, Hit, HitReport
from curation.inspect.card_words import ratio, share
from curation.inspect.texts import unread
from curation.inspect.vocabulary import VocabularyReport
from curation.inspect.wording import how_many, quoted

_ENTRY_CELLS = 24
_ENTRY_CHARS = 48


def vocabulary_lines(report: VocabularyReport, *, width: int, shown: int) -> list[str]:
    """The report, with up to `shown` examples of each kind; lines of examples are at most `width` cells wide."""
    vocabulary, findings = report.vocabulary, report.findings
    total = len(vocabulary)
    options = ", ".join(report.options.to_json()) or "none"
    place, lang = quoted(report.location)[1:-1], quoted(vocabulary.lang)[1:-1]
    lines = [
        f"{place}: {how_many(total, 'entry', 'entries')}, language {lang}",
        f"matched by definition {vocabulary.definition}, options: {options}",
    ]
    if vocabulary.duplicates_dropped:
        lines.append(f"entries left out, as they repeat an earlier one exactly: {vocabulary.duplicates_dropped:,}")
    lines += ["", _counted("entries that can never match", len(findings.unreachable), total)]
    lines += _unreachable(findings.unreachable, width, shown)
    doubled = sum(map(len, findings.duplicates))
    lines += ["", _counted("entries equal to another but for case, spacing or composed accents", doubled, total)]
    groups = ([vocabulary.entries[at].as_py() for at in group] for group in findings.duplicates[:shown])
    lines += [_cut(f"  {_equated(group)}", width) for group in groups]
    for name, ids in (
        ("entries of a single character", findings.single_characters),
        (f"entries of more than {LONG_ENTRY} characters", findings.long),
    ):
        lines += ["", _counted(name, len(ids), total)]
        lines += _packed((_quoted(vocabulary.entries[at].as_py()) for at in ids[:shown]), width, "  ")
    return lines + ([] if report.hits is None else _hits(report, report.hits, width, shown))


def _unreachable(findings: Sequence[Finding], width: int, shown: int) -> list[str]:
    """Entries with the same reason and remedy together, most first."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for finding in findings:
        groups[finding.reason, finding.found_with].append(finding.entry)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    lines = []
    for (reason, options), entries in ordered[:shown]:
        remedy = f"found with {' or '.join(options)}" if options else "found with none of the options"
        lines += [f"  {len(entries):,}: {reason}", f"    {remedy}, for example"]
        lines += _packed(map(_quoted, entries[:shown]), width, "    ")
    rest = ordered[shown:]
    return lines + ([f"  and {how_many(len(rest), 'more reason')}"] if rest else [])


def _hits(report: VocabularyReport, hits: HitReport, width: int, shown: int) -> list[str]:
    places = ", ".join(quoted(log.file)[1:-1] for log in report.logs)
    lines = ["", f"tried on {how_many(hits.texts, 'text')} of {places}"]
    for location, rows, first in unread(report.logs):
        place, why = quoted(location)[1:-1], quoted(first)[1:-1]
        lines.append(f"  could not be read in {place}: {how_many(rows, 'row')}; the first: {why}")
    without = hits.texts - hits.matched
    lines += ["", _counted("texts without any entry", without, hits.texts)]
    lines += [_cut(f"  {quoted(text, width)}", width) for text in hits.unmatched]
    never = np.flatnonzero(hits.counts == 0)
    lost = {finding.entry_id for finding in report.findings.unreachable}
    untold = f"; not listed again: the {len(lost):,} that can never match" if lost else ""
    lines += ["", _counted("entries in none of these texts", len(never), len(hits.counts)) + untold]
    possible = [entry_id for entry_id in never[: shown + len(lost)].tolist() if entry_id not in lost][:shown]
    lines += _packed((_quoted(report.vocabulary.entries[at].as_py()) for at in possible), width, "  ")
    lines += ["", _counted("entries in at least one", hits.entries_hit, len(hits.counts))]
    return lines + (_most_hit(hits.most, width) if hits.most else [])


def _most_hit(hits: Sequence[Hit], width: int) -> list[str]:
    rows = [("texts", "share", "entry", "for example")]
    rows += [(f"{hit.texts:,}", share(hit.share), _quoted(hit.entry), quoted(hit.examples[0], width)) for hit in hits]
    wide = [max(cell_len(row[column]) for row in rows) for column in range(3)]
    name = min(_ENTRY_CELLS, wide[2])
    return [
        _cut(f"  {texts:>{wide[0]}}  {part:>{wide[1]}}  {set_cell_size(_cut(entry, name), name)}  {text}", width)
        for texts, part, entry, text in rows
    ]


def _counted(name: str, part: int, whole: int) -> str:
    return f"{name}: {part:,}" + (f" ({share(ratio(part, whole))})" if part else "")


def _equated(entries: Sequence[str]) -> str:
    """Entries with = between; where some look the same, as with composed and with combining accents, as codes."""
    shown = [_quoted(entry) for entry in entries]
    if len({unicodedata.normalize("NFC", form) for form in shown}) < len(shown):
        shown = [form.encode("ascii", "backslashreplace").decode() for form in shown]
    return " = ".join(shown)


def _quoted(entry: str) -> str:
    """Within quotes, those of the entry itself as \\"."""
    start, more = quoted(entry, _ENTRY_CHARS)[1:].rsplit('"', 1)
    return '"' + start.replace('"', '\\"') + '"' + more


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def _packed(items: Iterable[str], width: int, indent: str) -> list[str]:
    """The items one after the other, as many on a line as it holds."""
    lines: list[str] = []
    for item in items:
        if lines and cell_len(lines[-1]) + cell_len(item) + 3 <= width:
            lines[-1] += f", {item}"
        else:
            lines[-1:] = [f"{lines[-1]},"] if lines else []
            lines.append(_cut(f"{indent}{item}", width - 1))  # a comma may follow
    return lines
