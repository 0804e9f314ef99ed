"""Every recipe under recipes/ loads, says where its numbers come from, and holds the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.recipe import load_recipe
from curation.recipe.filters import Consent
from curation.testing import starter_languages

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def test_the_three_are_there() -> None:
    assert {path.stem for path in RECIPES} >= {"demo", "metaclip-400m", "metaclip-worldwide"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_loads_under_its_own_name(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_demo_reads_the_demo_folder_with_all_starter_lists() -> None:
    recipe = load_recipe(ROOT / "recipes" / "demo.yaml")
    folders = {entry.kind: Path(path).resolve() for entry in recipe.inputs for path in entry.paths}
    assert folders == {"warc": ROOT / "demo-output" / "web" / "warc", "wat": ROOT / "demo-output" / "web"}
    assert recipe.pairs.filters.consent == Consent(), "consent is honoured as by default"
    assert recipe.match.definition == "v2"
    assert recipe.match.vocabularies == {lang: f"demo:{lang}" for lang in starter_languages()}


def test_metaclip_400m_has_the_published_parameters() -> None:
    recipe = load_recipe(ROOT / "recipes" / "metaclip-400m.yaml")
    assert (recipe.extract.variant, recipe.match.definition, recipe.balance.t) == ("v1-wat", "v1", 20_000)
    assert recipe.pairs.language.keep == ["en"]
    assert list(recipe.match.vocabularies) == ["en"]
    assert recipe.draw.texts_per_media == "all"


def test_metaclip_worldwide_has_the_published_parameters() -> None:
    recipe = load_recipe(ROOT / "recipes" / "metaclip-worldwide.yaml")
    assert (recipe.extract.variant, recipe.match.definition, recipe.balance.t) == ("v2", "v2", 170_000)
    assert (recipe.balance.pivot, recipe.balance.other_languages) == ("en", "step")
    assert recipe.draw.texts_per_media == "one"
    assert recipe.match.fallback == "other"
    (entry,) = recipe.inputs
    assert entry.kind == "wat"
    assert entry.base == "https://data.commoncrawl.org/"
    assert entry.paths[0].endswith("wat.paths.gz")
