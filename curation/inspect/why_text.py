"""The stories of `why` as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from curation.inspect.story import FilteredText, MediaFacts, MediaStory, Occurrence, PairStory, Refusal
from curation.inspect.wording import clock, how_many, number, quoted

_ALIKE = 20  # texts told that one rule drops for the same reason


def why_lines(story: MediaStory) -> list[str]:
    """The story from top to bottom; texts from the web are quoted, so no line carries control characters."""
    lines = [f"media      {story.media_id}  {story.modality}".rstrip()]
    if story.media_bucket is not None:
        lines[0] += f"  bucket {story.media_bucket}"
    if story.media_url:
        lines.append(f"url        {quoted(story.media_url, 400)}")
    lines += _facts(story.facts)
    lines.append(f"found      {how_many(story.candidates, 'time')} in {how_many(story.archives, 'archive')}"
                 + _listing(story))
    for (place, page), found in groupby(story.occurrences, key=_record):
        lines += [place, *([page] if page else []), *map(_occurrence, found)]
    lines += [_refusal(refusal) for refusal in story.refused]
    lines += _filtered(story.filtered)
    for pair in story.pairs:
        lines += ["", *_pair(pair)]
    untold = story.pairs_in_all - len(story.pairs)
    if untold:
        lines += ["", f"and {how_many(untold, 'more pair')} of this media"]
    return [*lines, *(f"note       {note}" for note in story.notes)]


def _listing(story: MediaStory) -> str:
    shown = len(story.occurrences)
    return f", the first {shown:,} of them:" if 0 < shown < story.candidates else ":" if shown else ""


def _facts(facts: MediaFacts) -> Iterator[str]:
    if facts.platform:
        yield f"platform   {quoted(facts.platform)[1:-1]}, {quoted(facts.platform_id or 'no id')[1:-1]}"
    sides = [f"{side:,}" if side is not None else "?" for side in (facts.width, facts.height)]
    declared = [
        f"{' x '.join(sides)} pixels" if sides != ["?", "?"] else "",
        f"lasts {clock(facts.duration_ms)}" if facts.duration_ms is not None else "",
        f"of {quoted(facts.upload_date)[1:-1]}" if facts.upload_date else "",
        how_many(facts.tracks, "timed text") if facts.tracks else "",
        f"licence {quoted(' or '.join(facts.licences))[1:-1]}" if facts.licences else ""]
    if any(declared):
        yield f"declared   {', '.join(fact for fact in declared if fact)}"


def _span(start_ms: int | None, end_ms: int | None) -> str:
    """from 0:30 to 1:05; "" where the text is about the whole media."""
    ends = (("from", start_ms), ("to", end_ms))
    return " ".join(f"{word} {clock(at)}" for word, at in ends if at is not None)


def _record(found: Occurrence) -> tuple[str, str]:
    """Where a record lies, and what its page says; all texts of one record share both."""
    facts = [
        f"on {quoted(found.page_url, 300)[1:-1]}" if found.page_url else "",
        f"robots {quoted(','.join(found.robots))[1:-1]}" if found.robots else "",
        f"licence {quoted(found.licence)[1:-1]}" if found.licence else ""]
    shown = "  ".join(fact for fact in facts if fact)
    return f"  {found.snapshot}  {found.archive} at {found.record_offset:,}", f"    {shown}" if shown else ""


def _occurrence(found: Occurrence) -> str:
    span = _span(found.start_ms, found.end_ms)
    return (f"    text {found.field_order}  {found.text_source} {quoted(found.text)}"
            + (f", about the part {span}" if span else ""))


def _refusal(refusal: Refusal) -> str:
    times = f" ({refusal.times:,} times)" if refusal.times > 1 else ""
    detail = quoted(refusal.detail or "no detail", 400)[1:-1]
    return f"rejected   by {refusal.stage} as {refusal.reason}{times}: {detail}"


def _filtered(texts: list[FilteredText]) -> Iterator[str]:
    """The texts that made no pair; of many that one reason drops, some."""
    by_reason: dict[tuple[str, str], list[FilteredText]] = {}
    for text in texts:
        reason = drop_words(text)
        by_reason.setdefault((text.rule, reason), []).append(text)
    for (rule, reason), alike in by_reason.items():
        head = "filtered " if rule else "missing  "
        for text in alike[:_ALIKE]:
            times = f" ({how_many(text.occurrences, 'time')})" if text.occurrences > 1 else ""
            lang = f" ({text.lang or 'unknown language'})" if text.lang is not None and rule != "language" else ""
            yield f"{head}  {quoted(text.text)}{lang}{times}: {reason}"
        if len(alike) > _ALIKE:
            yield f"{head}  and {how_many(len(alike) - _ALIKE, 'more text')}: {reason}"


def drop_words(text: FilteredText) -> str:
    """Why a text made no pair, on one line."""
    kind, _, name = text.rule.partition(":")
    evidence = quoted(text.evidence, 400)[1:-1]
    name = quoted(name)[1:-1]
    if kind == "consent" and text.media_wide:
        return f"consent:{name}: a page that shows the media refuses its use, and with it everywhere ({evidence})"
    if kind == "consent":
        return f"consent:{name}: {evidence or 'its page'} refuses its use"
    if kind == "language":
        return f"its language, {text.lang or 'unknown language'}, is not among pairs.language.keep"
    words = {
        "refused": f"the list {name} of pairs.filters.refusals names the media, its page or a domain of theirs",
        "licence": f"its licence, {evidence or 'none that is known'}, is not among pairs.filters.licences",
        "domain": "pairs.filters.domains does not take the domain of its media or page",
        "classifier": f"the classifier {name} of pairs.filters.classifiers refuses it",
        "": f"dropped, it seems, by {evidence}" if evidence else "no rule drops it, yet it made no pair"}
    return words.get(kind, f"the rule pairs.rules.{kind} drops it")


def _pair(pair: PairStory) -> Iterator[str]:
    merged = f", {how_many(pair.occurrences, 'candidate')} merged into it" if pair.occurrences > 1 else ""
    yield f"pair       {pair.pair_id}  from {', '.join(pair.text_sources)}{merged}"
    yield f"  text       {quoted(pair.text, 400)}  ({pair.lang or 'no language'}, score {pair.lang_score:.2f})"
    if _span(pair.start_ms, pair.end_ms):
        yield f"  part       {_span(pair.start_ms, pair.end_ms)} of the media"
    for rule, times in pair.refused.items():
        yield f"  refused    {how_many(times, 'more candidate')}, for what their page says: {quoted(rule)[1:-1]}"
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
