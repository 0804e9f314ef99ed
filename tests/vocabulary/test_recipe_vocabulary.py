"""Recipes of vocabularies: placeholders filled in, and every mistake told where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from curation.errors import CurationError, RecipeError
from curation.recipe import load_vocabulary_recipe
from curation.recipe.vocabulary import Titles, VocabularyRecipe, WordList, WordNet, source_name

UNIGRAMS = {"kind": "unigrams"}
WIKI = {"paths": ["{wiki}wiki-*.bz2"]}
LIST = {"kind": "list", "name": "tags", "path": "tags.txt"}


def load(folder: Path, *overrides: str, inputs: str | None = None, **tree: Any) -> VocabularyRecipe:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "lang": "en", "sources": [{"kind": "numbers"}], **tree}))
    return load_vocabulary_recipe(path, overrides, inputs=inputs)


@pytest.mark.parametrize("name", ["en.yaml", "worldwide.yaml"])
def test_the_shipped_recipes_load(name: str) -> None:
    recipe = load_vocabulary_recipe(Path(__file__).parents[2] / "metadata" / name)
    assert [source_name(source) for source in recipe.sources] == [
        "numbers", "wordnet", "unigrams", "bigrams", "titles",
    ]  # fmt: skip


def test_wikis_become_files_with_underscores_and_stay_codes_for_views(tmp_path: Path) -> None:
    titles = {"kind": "titles", "paths": ["views/*.gz"]}
    recipe = load(tmp_path, lang="zh", sources=[UNIGRAMS, titles], wikipedia=WIKI)
    files = [Path(path).name for path in recipe.wikipedia.paths]
    assert files[:4] == ["zhwiki-*.bz2", "zh_classicalwiki-*.bz2", "zh_min_nanwiki-*.bz2", "zh_yuewiki-*.bz2"]
    assert recipe.wikis[:4] == ["zh", "zh-classical", "zh-min-nan", "zh-yue"]
    assert len(files) == len(recipe.wikis) == 8


def test_a_wikipedia_whose_dumps_kept_an_old_name(tmp_path: Path) -> None:
    recipe = load(tmp_path, lang="be", sources=[UNIGRAMS], wikipedia=WIKI)
    assert [Path(path).name for path in recipe.wikipedia.paths] == ["bewiki-*.bz2", "be_x_oldwiki-*.bz2"]
    assert recipe.wikis == ["be", "be-tarask"]


def test_chosen_wikis_are_the_only_ones_each_once(tmp_path: Path) -> None:
    recipe = load(tmp_path, wikis=["simple", "en", "simple"], sources=[UNIGRAMS], wikipedia=WIKI)
    assert recipe.wikipedia.paths == [str(tmp_path / "simplewiki-*.bz2"), str(tmp_path / "enwiki-*.bz2")]
    assert recipe.wikis == ["simple", "en"]


def test_every_placeholder_is_filled_everywhere(tmp_path: Path) -> None:
    recipe = load(
        tmp_path, lang="it", extend="old/{lang}.parquet",
        sources=[{**LIST, "path": "{lang}/{lang}.txt"}, {"kind": "titles", "paths": ["{wiki}.gz", "s3://b/{lang}.gz"]},
                 {"kind": "wordnet", "format": "tab", "paths": ["{lang}-{wordnet}.tab"]}],
    )  # fmt: skip
    words, titles, wordnet = recipe.sources
    assert isinstance(words, WordList) and words.path == str(tmp_path / "it/it.txt")
    assert isinstance(titles, Titles) and titles.paths == [str(tmp_path / "it.gz"), "s3://b/it.gz"]
    assert isinstance(wordnet, WordNet)
    assert wordnet.paths == [str(tmp_path / "it-ita.tab"), str(tmp_path / "it-iwn.tab")]
    assert recipe.extend == str(tmp_path / "old/it.parquet")


@pytest.mark.parametrize("lang", ["la", "other"])
def test_a_language_without_wordnet_has_no_such_source(tmp_path: Path, lang: str) -> None:
    wordnet = {"kind": "wordnet", "format": "tab", "paths": ["{wordnet}.tab"]}
    assert [s.kind for s in load(tmp_path, lang=lang, sources=[{"kind": "numbers"}, wordnet]).sources] == ["numbers"]
    with pytest.raises(RecipeError, match=f"none of the recipe's sources has anything for the language '{lang}'"):
        load(tmp_path, lang=lang, sources=[wordnet])


def test_other_has_many_wikipedias(tmp_path: Path) -> None:
    recipe = load(tmp_path, lang="other", sources=[UNIGRAMS], wikipedia=WIKI)
    assert len(recipe.wikipedia.paths) == len(recipe.wikis) > 100
    assert str(tmp_path / "bat_smgwiki-*.bz2") in recipe.wikipedia.paths


def test_paths_start_where_they_are_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for inputs in (str(tmp_path / "data"), None):
        (source,) = load(tmp_path, inputs=inputs, sources=[LIST]).sources
        assert source.path == str(Path(inputs or tmp_path) / "tags.txt")
    assert load(tmp_path, sources=[{**LIST, "path": "/abs/x.txt"}]).sources[0].path == "/abs/x.txt"


BIGRAMS = {"kind": "bigrams", "share_of_unigrams": 0.4}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"sources": [{"kind": "wikipedia"}]},
         "sources.0: give kind: one of numbers, wordnet, unigrams, bigrams, titles or list"),
        ({"sources": [{"name": "x"}]}, "sources.0: give kind: one of numbers"),
        ({"sources": []}, "sources: List should have at least 1 item"),
        ({"sources": None}, "sources: Input should be a valid list"),
        ({"sources": ["numbers"]}, "sources.0: give a mapping of settings"),
        ({"sources": [{"kind": "list", "name": "x"}]}, "sources.0.path: is required"),
        ({"sources": [{"kind": "numbers", "min_score": 3}]}, "sources.0.min_score: unknown key"),
        ({"sources": [BIGRAMS]}, "sources: bigrams are counted in wikipedia.paths: give some"),
        ({"sources": [UNIGRAMS]}, "sources: unigrams are counted in wikipedia.paths: give some"),
        ({"sources": [BIGRAMS], "wikipedia": WIKI}, "sources: share_of_unigrams needs a source of kind unigrams"),
        ({"sources": [BIGRAMS, UNIGRAMS], "wikipedia": WIKI}, "share_of_unigrams needs .* unigrams before bigrams"),
        ({"sources": [{**LIST, "name": "titles"}]}, "a list cannot be called titles, which is a kind"),
        ({"sources": [{**LIST, "name": "a:b"}]}, "'a:b' is no name of a list: give letters, digits, and"),
        ({"sources": [{**LIST, "name": "a b"}]}, "'a b' is no name of a list"),
        ({"sources": [LIST, LIST]}, "sources name tags more than once: keep one, or give lists names of their own"),
        ({"sources": [UNIGRAMS, UNIGRAMS], "wikipedia": WIKI}, "sources name unigrams more than once"),
        ({"sources": [{**UNIGRAMS, "top_share": 1.5}], "wikipedia": WIKI}, "sources.0.top_share: .* less"),
        ({"sources": [{**UNIGRAMS, "top_share": 0}], "wikipedia": WIKI}, "sources.0.top_share: .* greater"),
        ({"sources": [{**UNIGRAMS, "min_score": float("nan")}], "wikipedia": WIKI}, "sources.0.min_score: .*finite"),
        ({"sources": [{**LIST, "max_entries": 0}]}, "sources.0.max_entries: .* greater"),
        ({"sources": [{**LIST, "path": "{wiki}.txt"}], "lang": "zh"}, "the list tags is one file: .* stands for 8"),
        ({"extend": "{wiki}.parquet", "lang": "zh"}, "extend: {wiki}.parquet stands for 8 files: name one"),
        ({"wikis": ["zh_yue"]}, "wikis: 'zh_yue' is no code of a Wikipedia: write it as its address does"),
        ({"wikis": ["../x"]}, "wikis: '../x' is no code of a Wikipedia"),
        ({"wikipedia": {"paths": []}}, "wikipedia.paths: List should have at least 1 item"),
        ({"wikipedia": {**WIKI, "range_mb": 0}}, "wikipedia.range_mb: Input should be greater than or equal to 1"),
        ({"lang": "English"}, "lang: is no language code such as en or gsw"),
        ({"lang": "xx"}, "no vocabulary language is called 'xx'"),
        ({"lang": "gsw"}, "gsw has no vocabulary of its own: its texts use als"),
        ({"match": {}}, "match: unknown key"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line_at_their_place(tmp_path: Path, tree: dict[str, Any], message: str) -> None:
    with pytest.raises(CurationError, match=message) as raised:
        load(tmp_path, **tree)
    assert "\n" not in str(raised.value)


def test_settings_from_the_command_line_win(tmp_path: Path) -> None:
    recipe = load(tmp_path, "wikipedia.range_mb=3", "lang=fr", sources=[UNIGRAMS], wikipedia=WIKI)
    assert (recipe.lang, recipe.wikipedia.range_mb) == ("fr", 3)
    assert recipe.wikipedia.paths == [str(tmp_path / "frwiki-*.bz2")]
    with pytest.raises(RecipeError, match=r"none.yaml: give the path of a YAML file"):
        load_vocabulary_recipe(tmp_path / "none.yaml")
