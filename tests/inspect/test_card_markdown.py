"""No text from the crawl or the vocabulary breaks out of its table cell, or out of its line in a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from card_pools import STRANGE, Pool, Row, make_pool, make_recipe, publish
from hypothesis import given
from hypothesis import strategies as st

from curation.inspect.card import build_card, write_card
from curation.inspect.card_text import card_markdown
from curation.inspect.card_words import count, escaped, name_of, plain, share

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
        "Rejections",
        "Matching",
        "Thresholds",
        "Head and tail",
        "Sizes at other thresholds",
        "Most frequent entries",
        "By language of the text",
        "By modality",
        "By text source",
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
