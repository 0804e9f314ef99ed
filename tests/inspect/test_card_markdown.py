"""No text from the crawl or the vocabulary breaks out of its table cell, or out of its line in a terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from card_pools import STRANGE, Pool, Row, make_pool, make_recipe, publish
from hypothesis import given
from hypothesis import strategies as st

from curation.inspect.card import build_card, write_card
from curation.inspect.card_text import card_markdown
from curation.inspect.card_words import count, escaped, losses, name_of, plain, share
from curation.recipe import Definition, MatchOption

CELLS = re.compile(r"(?<!\\)(?:\\\\)*\|")


@pytest.fixture
def card(tmp_path: Path) -> Row:
    pool = make_pool(2, media=300, modalities=("image", "video"))
    recipe = make_recipe(pool)
    return build_card(publish(tmp_path, pool, recipe), recipe)


def tables(text: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def test_every_row_of_a_table_has_the_cells_of_its_head(card: Row) -> None:
    found = tables(card_markdown(card))
    assert len(found) >= 14
    for table in found:
        assert len({len(CELLS.findall(line)) for line in table}) == 1, table[:3]
        assert re.fullmatch(r"\|( :--| --:| \|)+", table[1])


def test_entries_are_shown_as_text(card: Row) -> None:
    text = card_markdown(card)
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert r"a\|b" in text
    assert r"\`code\`" in text
    assert "line break" in text
    assert r"\*bold\* \_x\_" in text
    assert r"\[link\](http://x)" in text
    assert not set("\x1b\u202e") & set(text)
    assert set(STRANGE) <= {row["entry"] for row in card["top_entries"]}


def test_every_section_is_there_with_its_numbers(card: Row) -> None:
    text = card_markdown(card)
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles == [
        "From files to kept pairs",
        "Filters before any download",
        "Rejections",
        "Matching",
        "Thresholds",
        "Head and tail",
        "Sizes at other thresholds",
        "Most frequent entries",
        "By modality",
        "By modality and text source",
        "By language of the text",
        "By language the page declares",
        "By platform",
        "By licence",
        "By page host",
        "By snapshot",
        "Beside MetaCLIP",
        "Notes",
        "Versions",
        "This run",
    ]
    for step in card["funnel"]:
        assert f"| {step['step']} | {step['rows']:,} |" in text
    assert card["recipe"]["hash"] in text
    assert "arXiv:2309.16671" in text


@pytest.mark.parametrize("definition", get_args(Definition))
@pytest.mark.parametrize("options", [[], ["nfc"], list(get_args(MatchOption))], ids=len)
@pytest.mark.slow
def test_the_definition_and_its_options_are_named(tmp_path: Path, definition: str, options: list[str]) -> None:
    options = [name for name in options if definition == "v2" or name != "no_space_kana"]
    pool = make_pool(2, media=20)
    recipe = make_recipe(pool, match={"vocabularies": {"en": "x"}, "definition": definition, "options": options})
    card = build_card(publish(tmp_path, pool, recipe), recipe)
    assert card["recipe"]["options"] == dict.fromkeys(options, 1)
    text = card_markdown(card)
    lines = [line for line in text.split("\n") if line.startswith(("- option", "- no option"))]
    assert f"- MetaCLIP's definition {definition}: an entry matches where" in text
    assert f"matching definition {definition}{' with ' if options else ','}" in text
    named = [f"- option {escaped(name)}, version 1: " for name in sorted(options)]
    expected = named or ["- no options: case and accents"]
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))


def test_a_card_of_nothing_is_readable(tmp_path: Path) -> None:
    pool = Pool({"en": ["cat"]}, {})
    recipe = make_recipe(pool)
    text = card_markdown(write_card(publish(tmp_path, pool, recipe), recipe))
    assert "0 pairs of 0 media, selected from 0 pairs" in text
    assert "None: nothing matched." in text
    assert "nan" not in text.lower()


def test_long_lists_are_cut_and_say_so(card: Row) -> None:
    row = next(row for row in card["balance"] if row["lang"] == "en")
    card["balance"] = [{**row, "lang": f"x{number}", "matched_pairs": number} for number in range(40)]
    text = card_markdown(card)
    assert "10 smaller ones are in card.json." in text
    assert "| x39 |" in text
    assert "| x9 |" not in text


COUNTS = {
    "duplicates": 9,
    "filtered:min_chars": 1,
    "filtered:drop_urls": 4,
    "filtered:refused:bad|sites": 2,
    "filtered:consent:robots.txt": 3,
    "filtered:consent:noai": 30,
    "filtered:licence": 5,
    "filtered:domain": 6,
    "filtered:classifier:nsfw": 7,
}


def test_filters_of_one_kind_are_one_loss() -> None:
    assert losses(COUNTS) == [
        (9, "same media and text seen before (duplicates)"),
        (2, "filtered by lists of refusals: bad|sites 2"),
        (33, "filtered by consent: noai 30, robots.txt 3"),
        (5, "filtered by licence"),
        (6, "filtered by domains"),
        (7, "filtered by classifiers: nsfw 7"),
        (5, "filtered by text rules: drop_urls 4, min_chars 1"),
    ]


def filters_of(tmp_path: Path, filters: Row, **dropped: int) -> str:
    pool = make_pool(1)
    pool.dropped = {f"filtered:{name}": lost for name, lost in dropped.items()}
    recipe = make_recipe(pool, pairs={"filters": filters})
    return card_markdown(build_card(publish(tmp_path, pool, recipe), recipe)).split("## Rejections")[0]


def test_filters_say_what_they_were_told_and_refused(tmp_path: Path) -> None:
    text = filters_of(
        tmp_path,
        {
            "consent": {"refuse": ["noai"], "site_rules": False, "scope": "page"},
            "licences": ["CC", "MIT"],
            "domains": {"allow": ["a.example"], "deny": ["b.example", "@list.txt"]},
            "refusals": ["/lists/a|b"],
            "classifiers": [{"name": "nsfw", "model": "m.bin", "refuse": ["__label__x"]}],
        },
        **{"consent:noai": 12, "licence": 3, "domain": 4, "refused:csam": 1, "refused:bad": 2, "classifier:nsfw": 5},
    )
    assert "- Consent: 12 candidates refused: noai 12 (honoured: noai; robots.txt and ai.txt are not asked; a" in text
    assert "- Licences: 3 candidates refused (only CC, MIT)." in text
    assert "- Domains: 4 candidates refused (1 allowed and 2 denied in the recipe)." in text
    assert r"- Lists of refusals: 3 candidates refused: bad 2, csam 1 (of /lists/a\|b)." in text
    assert "- Text classifiers: 5 candidates refused: nsfw 5 (nsfw)." in text
    assert "Not used" not in text


def test_filters_that_are_not_used_are_named(tmp_path: Path) -> None:
    text = filters_of(tmp_path / "none", {"consent": {"refuse": [], "site_rules": False}})
    assert "- Not used: consent, licences, domains, lists of refusals, text classifiers." in text
    text = filters_of(tmp_path / "default", {})
    assert "robots.txt and ai.txt for curation, ccbot, of which the archives hold none" in text
    assert "one refusing page keeps a media out wherever it is shown" in text


def test_every_modality_is_said_to_stand_for_itself(card: Row) -> None:
    assert "Each modality is balanced by its own counts" in card_markdown(card)
    card["thresholds"]["pool_modalities"] = True
    assert "Each modality is balanced by its own counts" not in card_markdown(card)


@given(st.text())
def test_an_escaped_text_has_no_live_markup(text: str) -> None:
    shown = escaped(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]#|~$]", shown)
    assert "<" not in shown
    assert ">" not in shown
    assert len(shown.splitlines()) <= 1
    unescaped = re.sub(r"\\(.)", r"\1", shown).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert unescaped == plain(text)


@given(st.text())
def test_a_name_is_code_only_where_it_cannot_end_it(text: str) -> None:
    shown = name_of(text)
    assert shown == escaped(text) or (shown == f"`{text}`" and not set(text) & set("`|\\<> \n"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0, "0.0%"), (1, "100.0%"), (0.5, "50.0%"), (0.0001, "<0.1%"), (0.99999, ">99.9%"), (0.06, "6.0%")],
)
def test_shares_never_hide_a_rest(value: float | None, shown: str) -> None:
    assert share(value) == shown


def test_counts() -> None:
    assert [count(None), count(0), count(1234567), count(2.5)] == ["–", "0", "1,234,567", "2.5"]
