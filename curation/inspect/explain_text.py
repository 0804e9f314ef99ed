"""The stories of `explain` as lines for a terminal."""

from __future__ import annotations

from curation.inspect.difference import Difference, Part
from curation.inspect.explain import ConceptStory, EntryStory, ModalityStory, Sample
from curation.inspect.wording import how_many, number, quoted

_BLAMED = {
    "extract": "not among the candidates",
    "pairs": "dropped by a rule or filter, or another text after redaction",
    "match": "the entry is not found in it, or none of its text sources counts",
    "pick": "another text of its media was picked",
    "count": "the entries' counts differ",
    "thresholds": "the thresholds differ",
    "seed": "another draw",
}


def explain_lines(story: ConceptStory) -> list[str]:
    """One entry's way through a run."""
    if not story.entries:
        lines = [f"{quoted(story.concept)} is in no vocabulary of this run ({', '.join(story.vocabularies)})"]
        lines += [f"  nearest: {lang} {quoted(entry)}" for lang, entry in story.nearest]
        return lines + ([f"and no text could ever match it: {story.never}"] if story.never else [])
    lines = []
    for entry in story.entries:
        lines += [f"{quoted(story.concept)} in vocabulary {entry.vocabulary_lang}: entry {entry.entry_id:,} "
                  f"of {entry.vocabulary_entries:,}", *_entry(entry, story.never), ""]
    return lines[:-1]


def _entry(entry: EntryStory, never: str | None) -> list[str]:
    if not entry.modalities:
        return ["  no text holds it" + (f", and none ever can: {never}" if never else "")]
    lines = [line for modality in entry.modalities for line in _modality(modality)]
    several = len(entry.modalities) > 1
    lines.append(f"  page hosts{' of all modalities' if several else ''} (texts, kept)")
    width = max(len(host.host) for host in entry.hosts) if entry.hosts else 0
    for host in entry.hosts:
        name = quoted(host.host or "(page not known)")[1:-1]
        lines.append(f"    {name:<{max(width, 16)}}  {host.matched:>9,}  {host.kept:>9,}")
    return [*lines, *_samples("kept", entry.kept_samples, several),
            *_samples("not kept", entry.dropped_samples, several)]


def _modality(found: ModalityStory) -> list[str]:
    pooled = f" ({found.counted:,} over all modalities)" if found.counted != found.matched else ""
    return [
        f"  {found.modality}: in {how_many(found.matched, 'text')}{pooled}, "
        f"{found.picked:,} of them picked for their media, {found.kept:,} kept",
        f"    rank {found.rank:,} in its vocabulary; threshold {number(found.threshold)}, "
        f"so by this entry alone a text is kept with probability {found.probability:.4g}"]


def _samples(kind: str, samples: list[Sample], several: bool) -> list[str]:
    lines = [f"  {kind}, for example"] if samples else []
    for text in samples:
        modality = f"{text.modality:<5}  " if several else ""
        needed = number(text.critical_threshold)
        lines.append(f"    {modality}{quoted(text.text)}  needs t >= {needed}  {text.pair_id}")
    return lines


def difference_lines(difference: Difference) -> list[str]:
    """The difference between two runs, stage by stage."""
    a, b = difference.a, difference.b
    lines = [f"{quoted(difference.concept)}: {a.kept:,} texts kept in A, {b.kept:,} in B ({b.kept - a.kept:+,})",
             f"  matched {a.matched:,} and {b.matched:,}, after one text per media {a.picked:,} and {b.picked:,}",
             "  first lost at     kept only in A   kept only in B        net"]
    for part in difference.parts:
        if part.lost or part.gained:
            lines.append(f"  {part.stage:<12}{part.lost:>20,}{part.gained:>17,}{part.net:>+11,}  {_BLAMED[part.stage]}")
            lines += [f"      {quoted(change, 300)[1:-1]}" for change in part.changes]
    lines.append(f"  {'in all':<12}{sum(part.lost for part in difference.parts):>20,}"
                 f"{sum(part.gained for part in difference.parts):>17,}{b.kept - a.kept:>+11,}")
    return lines + _idle(difference.parts)


def _idle(parts: list[Part]) -> list[str]:
    """What else differs between the runs, without any effect on these texts."""
    changes = [change for part in parts if not (part.lost or part.gained) for change in part.changes]
    return [f"  without effect here: {quoted(change, 300)[1:-1]}" for change in changes]
