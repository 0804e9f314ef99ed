"""Recipes in the documentation are recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.recipe import Recipe
from curation.recipe.yaml12 import parse_yaml

ROOT = Path(__file__).resolve().parents[1]
REST = """
name: documented
inputs: [{kind: wat, paths: [wat.paths.gz]}]
match: {vocabularies: {en: "demo:en"}}
"""


@pytest.mark.parametrize("page", ["docs/videos.md", "docs/media.md", "docs/manifest.md"])
def test_the_first_example_of_a_page_is_valid(page: str) -> None:
    lines = (ROOT / page).read_text().split("\n")
    begin = next(number for number, line in enumerate(lines) if line.startswith("    fetch:"))
    end = next(number for number, line in enumerate(lines[begin:], begin) if line and not line.startswith("    "))
    tree = parse_yaml("\n".join(line[4:] for line in lines[begin:end]), page)
    recipe = Recipe.model_validate({**parse_yaml(REST, "rest"), **tree})
    assert recipe.fetch is not None
    if recipe.kept_clips.rules.min_height is not None:
        assert recipe.fetch.video.max_height >= recipe.kept_clips.rules.min_height, "it would keep nothing"
