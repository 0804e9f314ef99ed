"""match: which vocabulary a text is given to, and what the recipe's options change, in whole runs."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.concepts import MatchOptions, pad, prepare
from curation.concepts import options as options_module
from curation.errors import VocabularyError
from curation.inspect.difference import explain_difference
from curation.inspect.explain import explain
from curation.inspect.explain_text import explain_lines
from curation.inspect.why import why
from curation.pipeline import STAGES
from curation.recipe import Recipe
from curation.runner.catalog import Catalog
from curation.runner.engine import LocalEngine
from curation.runner.progress import Silent
from curation.runner.run import Run, StageOutcome
from curation.runner.stage import Task
from curation.stages.match import Match, match_options, vocabulary_langs
from curation.storage import Store

ENTRIES = ["St. Louis", "café", "Straße", "猫", "カメラ", "never there", "Tokyo, Japan"]
TEXTS = [
    "the arch of St. Louis in the evening",
    "a table in the CAFÉ around the corner",
    unicodedata.normalize("NFD", "an old café by the sea"),
    "the café of my youth",
    "HAUPTSTRASSE and STRASSE",
    "このカメラは新しい",
    "eine Straße in Tokyo, Japan",
    "12 34 56 78",
    "nothing of interest",
]
OPTIONS = ["spaced_entries", "no_space_kana", "nfc", "case_fold"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "entries.txt").write_text("\n".join(ENTRIES))
    rows = ({"url": f"https://img.example/{number}.jpg", "alt": text} for number, text in enumerate(TEXTS))
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def run(folder: Path, work: str = "work", **match: Any) -> dict[str, StageOutcome]:
    entries = str(folder / "entries.txt")
    stages = Run(Store.at(folder / work), recipe(folder, **{"vocabularies": {"other": entries}, **match}), STAGES,
                 LocalEngine, Silent())  # fmt: skip
    return {stage.name: stages.execute(stage) for stage in STAGES}


def recipe(folder: Path, **match: Any) -> Recipe:
    columns = {"media_url": "url", "texts": {"alt": "alt"}}
    return Recipe.model_validate(
        {
            "name": "options",
            "inputs": [{"kind": "table", "paths": [str(folder / "texts.jsonl")], "columns": columns}],
            "pairs": {"media_buckets": 3},
            "match": {"definition": "v2", "fallback": "other", **match},
            "balance": {"tail_share": 0.5},
        }
    )


def catalog(folder: Path, work: str = "work") -> Catalog:
    return Catalog(Store.at(folder / work), STAGES)


def rows(folder: Path, stage: str, dataset: str) -> list[dict[str, Any]]:
    batches = Store.at(folder / "work").batches(catalog(folder).visible(stage).paths(dataset))
    return [row for batch in batches for row in batch.to_pylist()]


def found(folder: Path) -> dict[str, set[str]]:
    """Text -> entries found in it."""
    texts = {row["pair_id"]: row["text"] for row in rows(folder, "pairs", "pairs")}
    matches = {texts[row["pair_id"]]: row["entry_ids"] for row in rows(folder, "match", "matches")}
    return {text: {ENTRIES[entry] for entry in matches.get(text, [])} for text in texts.values()}


def pair_of(folder: Path, text: str) -> str:
    (pair,) = [row["pair_id"] for row in rows(folder, "pairs", "pairs") if row["text"] == text]
    return str(pair)


# options


@pytest.mark.parametrize("names", [[], *([name] for name in OPTIONS), OPTIONS], ids=",".join)
def test_a_run_finds_what_the_definition_says_with_these_options(folder: Path, names: list[str]) -> None:
    run(folder, options=names)
    options = MatchOptions.of(names)  # type: ignore[arg-type]
    assert found(folder) == {
        text: {entry for entry in ENTRIES if pad(entry, "v2", options) in prepare(text, "v2", options)}
        for text in TEXTS
    }


def test_each_option_finds_its_own(folder: Path) -> None:
    seen: dict[str, set[tuple[str, str]]] = {}
    for names in ([], *([name] for name in OPTIONS)):
        run(folder, options=names)
        seen[",".join(names)] = {(text, entry) for text, entries in found(folder).items() for entry in entries}
    plain = seen.pop("")
    assert {name: {entry for _, entry in pairs - plain} for name, pairs in seen.items()} == {
        "spaced_entries": {"St. Louis", "Tokyo, Japan"},
        "no_space_kana": {"カメラ"},
        "nfc": {"café"},
        "case_fold": {"café", "Straße"},
    }
    assert (TEXTS[1], "café") in seen["case_fold"] and (TEXTS[2], "café") in seen["nfc"]
    assert (TEXTS[3], "café") in plain


def test_an_option_redoes_match_and_nothing_before_it(folder: Path) -> None:
    run(folder)
    assert all(outcome.units_done == 0 for outcome in run(folder, options=[]).values())
    changed = run(folder, options=["nfc"])
    assert (changed["extract"].units_done, changed["pairs"].units_done) == (0, 0)
    assert changed["match"].units_done == 3 and changed["draw"].units_done > 0
    assert run(folder)["match"].units_reused == 3


def test_another_version_of_an_option_redoes_match(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, options=["nfc"])
    assert run(folder, options=["nfc"])["match"].units_done == 0
    stored = catalog(folder).visible("match").settings
    monkeypatch.setattr(options_module, "VERSION", 2)
    with pytest.raises(VocabularyError, match="'nfc' version 1"):
        match_options(stored)
    outcomes = run(folder, options=["nfc"])
    assert (outcomes["pairs"].units_done, outcomes["match"].units_done) == (0, 3)
    assert catalog(folder).visible("match").settings["options"] == {"nfc": 2}


def test_settings_without_options_are_what_they_were_before_there_were_any(folder: Path) -> None:
    plain = Match().settings(recipe(folder, vocabularies={"other": "x"}))
    assert "options" not in plain
    both = Match().settings(recipe(folder, vocabularies={"other": "x"}, options=["nfc", "case_fold"]))
    assert both == {**plain, "options": {"nfc": 1, "case_fold": 1}}
    assert match_options(both) == MatchOptions(nfc=True, case_fold=True)
    assert match_options(plain) == MatchOptions()


def test_explain_and_why_go_by_the_options(folder: Path) -> None:
    run(folder)
    assert any("none ever can: it holds '.'" in line for line in explain_lines(explain(catalog(folder), "St. Louis")))
    (pair,) = why(catalog(folder), pair_of(folder, TEXTS[0])).pairs
    assert (pair.entries, pair.prepared) == ([], prepare(TEXTS[0], "v2"))
    run(folder, options=["spaced_entries", "case_fold"])
    story = explain(catalog(folder), "St. Louis")
    assert (story.never, story.entries[0].modalities[0].matched) == (None, 1)
    (pair,) = why(catalog(folder), pair_of(folder, TEXTS[0])).pairs
    assert [entry.entry for entry in pair.entries] == ["St. Louis"]
    (pair,) = why(catalog(folder), pair_of(folder, "nothing of interest")).pairs
    assert pair.prepared == " nothing of interest "
    (pair,) = why(catalog(folder), pair_of(folder, TEXTS[4])).pairs
    assert pair.prepared == " hauptstrasse and strasse "


def test_the_difference_of_two_runs_names_the_option(folder: Path) -> None:
    run(folder)
    run(folder, "with", options=["spaced_entries"])
    found = explain_difference(catalog(folder), catalog(folder, "with"), "St. Louis")
    parts = {part.stage: part for part in found.parts}
    assert parts["match"].gained == 1
    assert parts["match"].changes == ["match.options.spaced_entries: null -> 1"]


# languages

LANGUAGES = st.sampled_from(["en", "de", "xx", "", "other", "zh-Hant"])


def _task(known: list[str], fallback: str | None, everything: bool) -> Task:
    settings = {"fallback": fallback, "all_languages": everything}
    return Task(Store.at("/nowhere"), "v", settings, {"vocabularies": dict.fromkeys(known)})


@given(st.lists(LANGUAGES, max_size=8), st.sets(LANGUAGES.filter(bool), min_size=1), st.booleans(), st.booleans())
def test_a_text_is_given_to_its_languages_vocabulary_else_to_the_fallback(
    langs: list[str], known: set[str], falls_back: bool, everything: bool
) -> None:
    fallback = min(known) if falls_back else None
    chosen = vocabulary_langs(pa.array(langs, pa.string()), _task(sorted(known), fallback, falls_back and everything))
    assert chosen.type == pa.string()
    if falls_back and everything:
        assert chosen.to_pylist() == [fallback] * len(langs)
    else:
        assert chosen.to_pylist() == [lang if lang in known else fallback for lang in langs]


def test_varieties_of_a_language_use_its_vocabulary_unless_they_have_one() -> None:
    langs = pa.array(["zh", "yue", "wuu", "simple", "en", "", "xx"])
    chosen = vocabulary_langs(langs, _task(["zh", "en", "other"], None, everything=False)).to_pylist()
    assert chosen == ["zh", "zh", "zh", None, "en", None, None]
    own = vocabulary_langs(langs, _task(["zh", "yue", "other"], "other", everything=False)).to_pylist()
    assert own == ["zh", "yue", "zh", "other", "other", "other", "other"]


def test_an_unknown_language_goes_to_the_fallback_or_is_counted(folder: Path) -> None:
    entries = {"other": str(folder / "entries.txt"), "en": "demo:en"}
    with_fallback = run(folder, vocabularies=entries)["match"].manifest.counts
    langs = {row["text"]: row["lang"] for row in rows(folder, "pairs", "pairs")}
    strange = {text for text, lang in langs.items() if lang != "en"}
    assert 0 < len(strange) < len(TEXTS)
    matches = {(row["vocabulary_lang"], row["pair_id"]) for row in rows(folder, "match", "matches")}
    assert ("other", pair_of(folder, "このカメラは新しい")) not in matches  # kana asks for spaces without the option
    assert ("other", pair_of(folder, "eine Straße in Tokyo, Japan")) in matches
    assert with_fallback.get("no_vocabulary", 0) == 0
    without = run(folder, vocabularies=entries, fallback=None)["match"].manifest.counts
    assert without["no_vocabulary"] == len(strange)
    (pair,) = why(catalog(folder), pair_of(folder, "eine Straße in Tokyo, Japan")).pairs
    assert pair.vocabulary_lang is None and "match.fallback is not set" in pair.verdict
