"""The data card as Markdown (GitHub's dialect: tables)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from curation.inspect.card_captions import captions_markdown
from curation.inspect.card_clips import clips_markdown
from curation.inspect.card_filters import filters_section
from curation.inspect.card_manifest import manifest_markdown
from curation.inspect.card_media import media_markdown
from curation.inspect.card_shards import shards_markdown
from curation.inspect.card_words import (
    Row,
    count,
    definition_words,
    escaped,
    losses,
    name_of,
    ratio,
    share,
    target_words,
    threshold_words,
)
from curation.inspect.wording import duration, listed, number, size

LISTED = 30  # languages in a table; card.json has all
_FACET_TITLES = {
    "modality": "modality",
    "lang": "language of the text",
    "page_lang": "language the page declares",
    "platform": "platform",
    "licence": "licence",
    "text_source": "text source",
    "page_host": "page host",
    "snapshot": "snapshot",
}
_FACET_REMARKS = {
    "lang": "As identified by fastText lid.176, pair by pair; candidates have no language yet.",
    "text_source": "A pair that several fields said counts for each of them.",
    "page_lang": "As its html element says; only candidates know it.",
    "licence": "As the page names it, for all of it or for this media.",
    "page_host": "A pair found on several pages counts for the first of them.",
}
_EMPTY_VALUES = {
    "lang": "(unknown)",
    "page_lang": "(not said)",
    "platform": "(a file)",
    "licence": "(none known)",
    "page_host": "(no page)",
}


def card_markdown(card: Row) -> str:
    """The card of `build_card` as Markdown; texts from the crawl and the vocabulary are escaped."""
    sections = (
        _head,
        _funnel,
        filters_section,
        _rejections,
        _matching,
        _thresholds,
        _balance,
        _sizes,
        clips_markdown,
        media_markdown,
        captions_markdown,
        manifest_markdown,
        shards_markdown,
        _top_entries,
        _breakdowns,
        _published,
        _notes,
        _versions,
        _run,
    )
    return "\n\n".join(part for section in sections for part in section(card)) + "\n"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; titles that begin with < are of left-aligned columns."""
    names = [title.removeprefix("<") for title in titles]
    rule = [":--" if title.startswith("<") else "--:" for title in titles]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, rule, *rows))


def _listed(rows: Sequence[Row], key: Callable[[Row], int]) -> tuple[list[Row], list[str]]:
    """The largest rows, in their own order, and a line that says what is not shown."""
    largest = sorted(range(len(rows)), key=lambda place: (-key(rows[place]), place))[:LISTED]
    hidden = len(rows) - len(largest)
    return [rows[place] for place in sorted(largest)], [f"{hidden:,} smaller ones are in card.json."] if hidden else []


def _head(card: Row) -> list[str]:
    recipe, funnel, matching = card["recipe"], {step["step"]: step for step in card["funnel"]}, card["matching"]
    kept, pairs = funnel["kept_pairs"], funnel["pairs"]
    seed, options = f"seed {recipe['seed']}", listed(sorted(recipe["options"]))
    if recipe["texts_per_media"] == "one":
        seed += ", one text per media"
    return [
        f"# Data card: {escaped(recipe['name'])}",
        f"{count(kept['rows'])} pairs of {count(kept['media'])} media, selected from {count(pairs['rows'])} pairs, "
        f"of which {share(matching['matched_share'])} match the vocabulary.",
        f"Recipe `{recipe['hash']}`, {seed}, matching definition {recipe['definition']}"
        f"{options and f' with {escaped(options)}'}, extraction variant {recipe['variant']}.",
    ]


def _funnel(card: Row) -> list[str]:
    inputs, rows = card["inputs"], []
    before: int | None = None
    for step in card["funnel"]:
        rows.append([step["step"], count(step["rows"]), count(step["media"]), share(ratio(step["rows"], before)), ""])
        rows += [
            ["", "", "", share(ratio(lost, before)), f"−{count(lost)} {escaped(words)}"]
            for lost, words in losses(step["left_out"])
        ]
        before = step["rows"]
    kinds = " and ".join(
        f"{count(kind['files'])} {kind['kind']} ({size(kind['size_bytes'])})" for kind in inputs["by_kind"]
    )
    return [
        "## From files to kept pairs",
        f"Read: {kinds or 'nothing'}; {count(inputs['missing'])} missing. Shares are of the step before; "
        "each step and what was left out before it add up to the step before.",
        _table(["<step", "rows", "media", "share", "<left out"], rows),
    ]


def _rejections(card: Row) -> list[str]:
    rows = [[row["stage"], escaped(row["reason"]), count(row["rejected"])] for row in card["rejections"]]
    if not rows:
        return ["## Rejections", "None."]
    return [
        "## Rejections",
        "One row each in the dataset `rejections`, with file and offset.",
        _table(["<stage", "<reason", "number"], rows),
    ]


def _matching(card: Row) -> list[str]:
    matching = card["matching"]
    shown, more = _listed(matching["vocabularies"], lambda row: row["entries"])
    rows = [
        [
            escaped(row["lang"]),
            count(row["entries"]),
            count(row["never_matched"]),
            share(row["never_matched_share"]),
            count(row["duplicates_dropped"]),
        ]
        for row in shown
    ]
    return [
        "## Matching",
        f"{count(matching['matched_pairs'])} of {count(matching['pairs'])} pairs ({share(matching['matched_share'])}) "
        f"hold at least one entry; {count(matching['matches_per_text'])} entries per matched text, "
        f"{count(matching['entry_matches'])} matches in all. A match is one entry in one text.",
        "\n".join(f"- {escaped(line)}." for line in definition_words(card["recipe"])),
        _table(["<vocabulary", "entries", "never matched", "share", "repeated entries dropped"], rows),
        *more,
    ]


def _thresholds(card: Row) -> list[str]:
    thresholds = card["thresholds"]
    lines = [f"- {row['modality']}: {threshold_words(card, row['modality'])}." for row in thresholds["modalities"]]
    lines += [f"- Target: {target_words(target)}." for target in thresholds["targets"]]
    if len(thresholds["modalities"]) > 1 and not thresholds["pool_modalities"]:
        lines.append("- Each modality is balanced by its own counts: texts of images thin no video.")
    if thresholds["pool_modalities"]:
        lines.append("- Counts of all modalities are pooled: an entry's texts in one thin it in all.")
    return ["## Thresholds", "\n".join(lines)] if lines else ["## Thresholds", "None: nothing matched."]


_BALANCE_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("<modality", "modality", escaped),
    ("<lang", "lang", escaped),
    ("t", "t", count),
    ("entries above t", "entries_above_t", count),
    ("share", "entries_above_t_share", share),
    ("head before", "above_t_share_before", share),
    ("head after", "above_t_share_after", share),
    ("tail before", "tail_share_before", share),
    ("tail after", "tail_share_after", share),
    ("matches per text", "matches_per_text", count),
    ("matched pairs", "matched_pairs", count),
    ("kept pairs", "kept_pairs", count),
    ("share", "kept_share", share),
    ("kept media", "kept_media", count),
)


def _balance(card: Row) -> list[str]:
    shown, more = _listed(card["balance"], lambda row: row["matched_pairs"])
    return [
        "## Head and tail",
        "The head are the entries with more than t texts in the pool, the tail those with fewer than t; what is "
        "neither has exactly t. Shares of head and tail are of all matches, before and after balancing; the share of "
        "entries is of the vocabulary.",
        _table(
            [title for title, _, _ in _BALANCE_COLUMNS],
            [[shown_as(row[name]) for _, name, shown_as in _BALANCE_COLUMNS] for row in shown],
        ),
        *more,
    ]


def _sizes(card: Row) -> list[str]:
    by_language: dict[tuple[str, str], list[Row]] = {}
    for row in card["sizes"]["by_language"]:
        by_language.setdefault((row["modality"], row["lang"]), []).append(row)
    ladders = [
        {"key": key, "rows": rows, "pairs": max(row["pairs"] for row in rows)} for key, rows in by_language.items()
    ]
    shown, more = _listed(ladders, lambda ladder: ladder["pairs"])
    rows = [
        [ladder["key"][0], escaped(ladder["key"][1]), _steps(ladder["rows"], "pairs"), _steps(ladder["rows"], "media")]
        for ladder in shown
    ]
    parts = [
        "## Sizes at other thresholds",
        "Read off the histogram of critical thresholds, without drawing again: exact at the present t (bold), "
        "within a bin of 1.6% of t elsewhere.",
        _table(["<modality", "<lang", "<kept pairs at t", "<kept media at t"], rows),
        *more,
    ]
    whole = card["sizes"]["whole"]
    if whole and len({lang for _, lang in by_language}) > 1:
        pivot = whole[0]["lang"]
        parts += [
            f"All languages together, where {escaped(pivot)} is given t and the others follow its tail share:",
            _table(
                ["<modality", f"t of {escaped(pivot)}", "tail share", "kept pairs"],
                [
                    [row["modality"], count(row["t"]), share(row["tail_share"]), _bold(count(row["pairs"]), row)]
                    for row in whole
                ],
            ),
        ]
    return parts


def _steps(rows: list[Row], unit: str) -> str:
    return ", ".join(_bold(f"{number(row['t'])}: {count(row[unit])}", row) for row in rows)


def _bold(text: str, row: Row) -> str:
    return f"**{text}**" if row["factor"] == 1 else text


def _top_entries(card: Row) -> list[str]:
    rows = [
        [
            row["modality"],
            count(row["rank_before"]),
            escaped(row["entry"]).strip() or "(blank)",
            escaped(row["lang"]),
            count(row["t"]),
            count(row["before"]),
            count(row["after"]),
            share(ratio(row["after"], row["before"])),
            count(row["rank_after"]),
        ]
        for row in card["top_entries"]
    ]
    return [
        "## Most frequent entries",
        "Texts per entry before and after balancing. More than t stay where the texts also hold rarer entries.",
        _table(["<modality", "rank", "<entry", "<lang", "t", "before", "after", "kept", "rank after"], rows),
    ]


def _breakdowns(card: Row) -> list[str]:
    parts = []
    for facet, found in card["breakdowns"].items():
        values = found["values"]
        if all(row["value"] is None for row in values) and facet in ("page_lang", "platform", "licence"):
            parts.append(f"No {_FACET_TITLES[facet]} is known of any candidate.")
            continue
        shown, more = _listed(values, lambda row: row["pairs"] or row["candidates"])
        shown_as = name_of if facet == "page_host" else escaped
        rows = [
            [*_of_modality(row), shown_as(row["value"]) or _EMPTY_VALUES.get(facet, "(none)"), *_steps_of(row)]
            for row in shown
        ]
        if found["others"]:
            rows.append([f"{found['others']['values']:,} others", *_steps_of(found["others"])])
        titles = [f"<{_FACET_TITLES[facet]}", "candidates", "pairs", "matched", "share", "kept", "share of matched"]
        if facet == "page_lang":
            titles, rows = titles[:2], [row[:2] for row in rows]
        parts += [
            f"## By {'modality and ' * (facet == 'text_source')}{_FACET_TITLES[facet]}",
            *([_FACET_REMARKS[facet] + _known(facet, found)] if facet in _FACET_REMARKS else []),
            _table(["<modality", *titles] if facet == "text_source" else titles, rows),
            *more,
        ]
    return parts


def _known(facet: str, found: Row) -> str:
    """Of how many candidates the licence is known."""
    if facet != "licence":
        return ""
    rows = [*found["values"], *([found["others"]] if found["others"] else [])]
    total = sum(row["candidates"] for row in rows)
    unknown = sum(row["candidates"] for row in found["values"] if row["value"] is None)
    return f" {share(ratio(total - unknown, total))} of the candidates have one."


def _of_modality(row: Row) -> list[str]:
    return [row["modality"]] if "modality" in row else []


def _steps_of(row: Row) -> list[str]:
    return [
        count(row["candidates"]),
        count(row["pairs"]),
        count(row["matched"]),
        share(ratio(row["matched"], row["pairs"])),
        count(row["kept"]),
        share(ratio(row["kept"], row["matched"])),
    ]


def _published(card: Row) -> list[str]:
    rows = [
        [
            row["figure"],
            *(share(value) if row["kind"] == "share" else count(value) for value in (row["ours"], row["published"])),
        ]
        for row in card["published"]
    ]
    sources = sorted({row["source"] for row in card["published"]})
    return [
        "## Beside MetaCLIP",
        "English images of this run beside published figures, which come from another pool and another vocabulary "
        f"({'; '.join(map(escaped, sources))}).",
        _table(["<figure", "this run", "published"], rows),
    ]


def _notes(card: Row) -> list[str]:
    return ["## Notes", "\n".join(f"- {escaped(note)}" for note in card["notes"])] if card["notes"] else []


def _versions(card: Row) -> list[str]:
    versions = dict(card["versions"])
    datasets = versions.pop("datasets")
    software = ", ".join(f"{name} {found or 'unknown'}" for name, found in versions.items())
    rows = [[f"`{name}`", f"`{facts['version']}`", str(facts["schema"])] for name, facts in datasets.items()]
    vocabularies = [
        [escaped(row["lang"]), f"`{row['fingerprint']}`", escaped(row["location"])]
        for row in card["matching"]["vocabularies"]
    ]
    return [
        "## Versions",
        f"{software}.",
        _table(["<dataset", "<version", "schema"], rows),
        _table(["<vocabulary", "<fingerprint", "<read from"], vocabularies),
    ]


def _run(card: Row) -> list[str]:
    run = card["run"]
    stages = [
        [
            row["stage"],
            count(row["units"]),
            duration(row["wall_s"]),
            duration(row["cpu_s"]),
            escaped(row["finished_at"]),
        ]
        for row in run["stages"]
    ]
    datasets = [[f"`{row['dataset']}`", count(row["rows"]), size(row["size_bytes"])] for row in run["datasets"]]
    return [
        "## This run",
        f"Work folder: {escaped(run['work'])}. Wall time is of the run that published the stage, "
        "CPU time of all its units.",
        _table(["<stage", "units", "wall time", "CPU time", "<finished"], stages),
        _table(["<dataset", "rows", "size"], datasets),
    ]
