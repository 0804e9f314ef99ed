"""The card's heart in terminals of several widths, with and without colour and Unicode."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from card_pools import Pool, Row, make_pool, make_recipe, publish
from rich.cells import cell_len
from rich.console import Console

from curation.inspect.card import build_card
from curation.inspect.terminal import print_heart


def card_of(folder: Path, pool: Pool) -> Row:
    recipe = make_recipe(pool)
    return build_card(publish(folder, pool, recipe), recipe)


@pytest.fixture
def card(tmp_path: Path) -> Row:
    pool = make_pool(2, media=300, languages=("en", "zh"), modalities=("image", "video"))
    pool.vocabularies["zh"] = [f"中文词条{number}很长很长很长很长很长很长" for number in range(48)]
    return card_of(tmp_path, pool)


def printed(card: Row, width: int, *, encoding: str = "utf-8", terminal: bool = False) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    print_heart(
        card, Console(file=file, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    )
    file.flush()
    return raw.getvalue().decode(encoding)


def bar(line: str, signs: str) -> int:
    return max((len(run) for run in re.findall(f"[{signs}]+", line)), default=0)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_lines_fit_the_console(card: Row, width: int) -> None:
    text = printed(card, width)
    lines = text.split("Where it lies")[0].splitlines()
    assert max(map(cell_len, lines)) <= min(width, 120)
    assert max(map(cell_len, lines)) >= min(width, 120) - 1
    for step in card["funnel"]:
        assert re.search(rf"{step['step']} +{step['rows']:,} ", text)


@pytest.mark.parametrize("width", [80, 120])
def test_bars_are_in_proportion(card: Row, width: int) -> None:
    lines = printed(card, width).splitlines()
    rows = {step["step"]: step["rows"] for step in card["funnel"]}
    lengths = {step: bar(next(line for line in lines if line.startswith(f"  {step} ")), "█") for step in rows}
    for step, number in rows.items():
        assert abs(lengths[step] - lengths["texts"] * number / rows["texts"]) <= 1
    top = card["top_entries"][0]
    line = next(line for line in lines if f"{top['before']} -> " in line)
    assert abs(bar(line, "█") - bar(line, "█░") * top["after"] / top["before"]) <= 1


def test_parts_of_a_bar_are_told_apart_without_colour(card: Row) -> None:
    text = printed(card, 100)
    assert "\x1b" not in text
    assert {"█", "▒", "░"} <= set(text)
    assert "\x1b[" in printed(card, 100, terminal=True)


def test_a_console_without_unicode_gets_ascii(card: Row) -> None:
    text = printed(card, 80, encoding="ascii")
    assert text.isascii()
    assert {"#", "=", "."} <= set(text)


def test_foreign_texts_do_nothing_but_stand_there(tmp_path: Path) -> None:
    pool = make_pool(1, languages=("en",))
    pool.vocabularies["en"] = ["[red]not red[/red]", "\x1b[31mescape", "tab\tand\nline", "a" * 200, *(["x"] * 44)]
    text = printed(card_of(tmp_path, pool), 80)
    assert "[red]not red[/red]" in text
    assert "\x1b" not in text
    assert "tab and line" in text
    assert f"{'a' * 22}.. " in text


def test_paths_and_notes_are_single_lines(card: Row) -> None:
    card["run"]["work"] = "/a very/" + "long/" * 40 + "folder  with two spaces"
    lines = printed(card, 80).splitlines()
    assert any(f"{card['run']['work']}/card.md" in line for line in lines)
    assert any("curation.inspect.connect(" in line for line in lines)
    assert "note: a <note>" in lines


def test_nothing_kept_is_told_too(tmp_path: Path) -> None:
    text = printed(card_of(tmp_path, Pool({"en": ["cat"]}, {})), 80)
    assert re.search(r"kept_pairs +0 ", text)
    assert "Most frequent" not in text


def test_what_is_small_is_still_seen(card: Row) -> None:
    top = card["top_entries"][0]
    top |= {"before": 1_000_000, "after": 1}
    line = next(line for line in printed(card, 80).splitlines() if "1,000,000 -> 1" in line or "1,000,000 ->" in line)
    assert bar(line, "█") == 1


def test_a_console_that_does_not_wrap_loses_nothing(card: Row) -> None:
    wrapping, other = (Console(file=io.StringIO(), width=80, soft_wrap=soft) for soft in (False, True))
    print_heart(card, wrapping)
    print_heart(card, other)
    assert other.file.getvalue() == wrapping.file.getvalue()  # type: ignore[attr-defined]
    text = other.file.getvalue()  # type: ignore[attr-defined]
    names = {name.rpartition(":")[2] for step in card["funnel"] for name in step["left_out"]}
    assert all(name in text for name in names if name != "domain")
    assert "domains" in text or "domain" not in names


def test_no_modality_is_cut_off_behind_another(tmp_path: Path) -> None:
    languages = tuple(f"l{letter}" for letter in "abcdefghijklmn")
    pool = make_pool(3, media=400, languages=languages, modalities=("image", "image", "image", "video", "audio"))
    text = printed(card_of(tmp_path, pool), 120)
    shown = re.findall(r"^  (image|video|audio) l[a-n] +t =", text, re.MULTILINE)
    assert len(shown) == 10
    assert all(shown.count(modality) >= 3 for modality in ("image", "video", "audio"))
    by_modality = text.split("Pairs by modality")[1].split("\n\n")[0]
    assert all(re.search(rf"^  {name} +\d+ .*-> +\d+$", by_modality, re.MULTILINE) for name in pool.thresholds)
