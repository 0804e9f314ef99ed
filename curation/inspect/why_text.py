"""The stories of `why` as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from curation.inspect.why import FilteredText, MediaStory, Occurrence, PairStory, Refusal
from curation.inspect.wording import how_many, number, quoted


def why_lines(story: MediaStory) -> list[str]:
    """The story from top to bottom; texts from the web are quoted, so no line carries control characters."""
    lines = [f"media      {story.media_id}  {story.modality}".rstrip()]
    if story.media_bucket is not None:
        lines[0] += f"  bucket {story.media_bucket}"
    if story.media_url:
        lines.append(f"url        {quoted(story.media_url, 400)}")
    lines.append(f"found      {how_many(story.candidates, 'time')} in {how_many(story.archives, 'archive')}"
                 + _listing(story))
    lines += [line for occurrence in story.occurrences for line in _occurrence(occurrence)]
    lines += [_refusal(refusal) for refusal in story.refused]
    lines += [line for text in story.filtered for line in _filtered(text)]
    for pair in story.pairs:
        lines += ["", *_pair(pair)]
    untold = story.pairs_in_all - len(story.pairs)
    if untold:
        lines += ["", f"and {how_many(untold, 'more pair')} of this media"]
    return [*lines, *(f"note       {note}" for note in story.notes)]


def _listing(story: MediaStory) -> str:
    shown = len(story.occurrences)
    return f", the first {shown:,} of them:" if 0 < shown < story.candidates else ":" if shown else ""


def _occurrence(found: Occurrence) -> Iterator[str]:
    robots = f"  robots {','.join(found.robots)}" if found.robots else ""
    yield (f"  {found.snapshot}  {found.archive} at {found.record_offset:,}, text {found.field_order}  "
           f"{found.text_source} {quoted(found.text)}")
    if found.page_url:
        yield f"    on {quoted(found.page_url, 300)[1:-1]}{robots}"


def _refusal(refusal: Refusal) -> str:
    times = f" ({refusal.times:,} times)" if refusal.times > 1 else ""
    detail = quoted(refusal.detail or "no detail", 400)[1:-1]
    return f"rejected   by {refusal.stage} as {refusal.reason}{times}: {detail}"


def _filtered(text: FilteredText) -> Iterator[str]:
    times = f" ({how_many(text.occurrences, 'time')})" if text.occurrences > 1 else ""
    lang = text.lang or "unknown language"
    if text.rule == "language":
        yield f"filtered   {quoted(text.text)}{times}: its language, {lang}, is not among pairs.language.keep"
    elif text.rule:
        yield f"filtered   {quoted(text.text)} ({lang}){times}: the rule pairs.rules.{text.rule} drops it"
    else:
        yield f"missing    {quoted(text.text)} ({lang}){times}: no rule drops it, yet it made no pair"


def _pair(pair: PairStory) -> Iterator[str]:
    merged = f", {how_many(pair.occurrences, 'candidate')} merged into it" if pair.occurrences > 1 else ""
    yield f"pair       {pair.pair_id}  from {', '.join(pair.text_sources)}{merged}"
    yield f"  text       {quoted(pair.text, 400)}  ({pair.lang or 'no language'}, score {pair.lang_score:.2f})"
    if pair.vocabulary_lang is not None:
        other = "" if pair.vocabulary_lang == pair.lang else f", for a text in {pair.lang or 'an unknown language'}"
        yield f"  vocabulary {pair.vocabulary_lang}{other}: {pair.vocabulary}"
        if not pair.entries:
            yield f"  searched   {quoted(pair.prepared, 400)}"
    for entry in pair.entries:
        p = "" if entry.probability is None else f", p_e {entry.probability:.4g}"
        yield f"  entry      {quoted(entry.entry)}  in {how_many(entry.texts, 'text')}{p}"
    facts = [
        f"keep probability {pair.keep_probability:.4g}" if pair.keep_probability is not None else "",
        f"draw u {pair.u:.4g}" if pair.u is not None else "",
        f"critical threshold {number(pair.critical_threshold)}" if pair.critical_threshold is not None else "",
        f"threshold {number(pair.threshold)}" if pair.threshold is not None else ""]
    if any(facts):
        yield f"  balance    {', '.join(fact for fact in facts if fact)}"
    yield f"  {pair.verdict}"
