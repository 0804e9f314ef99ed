"""Reads a recipe file, and says in one line what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from curation.errors import RecipeError
from curation.recipe.inputs import ArchiveInput
from curation.recipe.sections import Recipe
from curation.recipe.vocabulary import Source, VocabularyRecipe, WordList
from curation.recipe.yaml12 import parse_yaml

PACKAGED = ("demo:", "starter:")
"""Beginnings of the names of vocabularies that come with the package."""

Kind = TypeVar("Kind", bound=BaseModel)


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a YAML recipe; `overrides` are `section.key=value` with YAML values. Relative paths start at the recipe.

    Raises RecipeError with every problem on one line each joined by '; '.
    """
    path = Path(path)
    return _anchored(_validated(path, overrides, Recipe, "recipes/demo.yaml"), path.resolve().parent)


def _validated(path: Path, overrides: Sequence[str], kind: type[Kind], example: str) -> Kind:
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}: give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"{path} holds {type(tree).__name__}, not a mapping of sections: see {example}")
    for override in overrides:
        _override(tree, override)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_one_line(error)}") from None


def _override(tree: dict[str, Any], override: str) -> None:
    dotted, equals, value = override.partition("=")
    keys = dotted.split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {override!r} is not of the form section.key=value")
    node: Any = tree
    for key in keys[:-1]:
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
        if not isinstance(node, dict):
            raise RecipeError(f"--set {override!r}: {key} holds a value, not a section")
    node[keys[-1]] = parse_yaml(value, f"--set {override!r}")


_SAID = {
    "extra_forbidden": "unknown key",
    "missing": "is required",
    "model_type": "give a mapping of settings",
    "model_attributes_type": "give a mapping of settings",
}
_KINDS = {
    ("inputs",): "kind: one of wat, warc or table",
    ("sources",): "kind: one of numbers, wordnet, unigrams, bigrams, titles or list",
    ("captions", "captioners"): "source: one of alt, page, subtitles, chapters, hashtags or model",
    ("captions", "models"): "backend: server or transformers",
}
"""Lists and mappings whose items are of several forms, and what tells them apart."""


def _one_line(error: ValidationError) -> str:
    return "; ".join(_place(item["loc"]) + _said(item) for item in error.errors())


def _said(item: ErrorDetails) -> str:
    known = next((words for where, words in _KINDS.items() if item["loc"][: len(where)] == where), None)
    if item["type"].startswith("union_tag_") and known is not None:
        return f"give {known}"
    return _SAID.get(item["type"], item["msg"].removeprefix("Value error, "))


def _place(loc: tuple[int | str, ...]) -> str:
    """The place as the recipe writes it: without the names that pydantic gives to forms and keys."""
    formed = {len(where) + 1 for where in _KINDS if loc[: len(where)] == where}
    formed |= {2} if loc[:2] == ("balance", "target") else set()
    parts = [str(part) or "''" for at, part in enumerate(loc) if part != "[key]" and at not in formed]
    return ".".join(parts) + ": " if parts else ""


def load_vocabulary_recipe(
    path: str | Path, overrides: Sequence[str] = (), *, inputs: str | Path | None = None
) -> VocabularyRecipe:
    """Reads the recipe of a vocabulary; its relative paths start at `inputs`, or else at the recipe.

    {lang}, {wiki} and {wordnet} in paths become the language, and each of its Wikipedias and of its wordnets; sources
    for which the language has none are left out. Raises RecipeError as `load_recipe` does.
    """
    path = Path(path)
    recipe = _validated(path, overrides, VocabularyRecipe, "metadata/en.yaml")
    if inputs is None:
        return _filled(recipe, path.resolve().parent)
    return _filled(recipe, str(inputs).rstrip("/") if "://" in str(inputs) else Path(inputs).resolve())


def _filled(recipe: VocabularyRecipe, folder: Path | str) -> VocabularyRecipe:
    """The recipe with all placeholders filled in and all local paths absolute."""
    from curation.vocabulary.files import dump_name
    from curation.vocabulary.languages import wikipedia_codes, wordnet_codes

    wikis = recipe.wikis if recipe.wikis is not None else list(wikipedia_codes(recipe.lang))
    codes = {"lang": [recipe.lang], "wiki": wikis, "wordnet": list(wordnet_codes(recipe.lang))}

    def filled(paths: list[str]) -> list[str]:
        for name, values in codes.items():
            # A dump is called zh_yuewiki-..., and its Wikipedia zh-yue.
            written = [dump_name(value) if name == "wiki" else value for value in values]
            paths = [
                path.replace(f"{{{name}}}", value)
                for path in paths
                for value in (written if f"{{{name}}}" in path else [""])
            ]
        return [_absolute(path, folder) for path in paths]

    sources: list[Source] = []
    for source in recipe.sources:
        named = [source.path] if isinstance(source, WordList) else getattr(source, "paths", [])
        places = filled(named)
        if isinstance(source, WordList) and len(places) > 1:
            raise RecipeError(f"the list {source.name} is one file: {source.path} stands for {len(places)} of them")
        if places or not named:
            update: dict[str, Any] = {"path": places[0]} if isinstance(source, WordList) else {"paths": places}
            sources.append(source.model_copy(update=update) if named else source)
    if not sources:
        raise RecipeError(f"none of the recipe's sources has anything for the language {recipe.lang!r}")
    wikipedia = recipe.wikipedia and recipe.wikipedia.model_copy(update={"paths": filled(recipe.wikipedia.paths)})
    old = filled([recipe.extend]) if recipe.extend else []
    if len(old) > 1 or (recipe.extend and not old):
        raise RecipeError(f"extend: {recipe.extend} stands for {len(old)} files: name one")
    update = {"sources": sources, "wikipedia": wikipedia, "wikis": wikis, "extend": old[0] if old else None}
    return recipe.model_copy(update=update)


def _absolute(location: str, folder: Path | str) -> str:
    """A location that means the same everywhere; `folder` is a local one, or a URL."""
    if "://" in location or location.startswith(PACKAGED):
        return location
    if isinstance(folder, str):
        return f"{folder}/{location}"
    try:
        return str(folder / Path(location).expanduser())
    except RuntimeError:
        raise RecipeError(f"{location}: no home folder is known for this ~: give the full path") from None


def _anchored(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with relative local paths made absolute, so that it means the same on every worker."""

    def anchor(location: str) -> str:
        return _absolute(location, folder)

    inputs = []
    for entry in recipe.inputs:
        update: dict[str, Any] = {"paths": [anchor(path) for path in entry.paths]}
        if isinstance(entry, ArchiveInput) and entry.base:
            update["base"] = anchor(entry.base)
        inputs.append(entry.model_copy(update=update))
    vocabularies = {lang: anchor(location) for lang, location in recipe.match.vocabularies.items()}
    match = recipe.match.model_copy(update={"vocabularies": vocabularies})
    pairs = recipe.pairs.model_copy(update={"filters": recipe.pairs.filters.anchored(anchor)})
    sections: dict[str, Any] = {"inputs": inputs, "match": match, "pairs": pairs}
    if recipe.fetch is not None:
        sections["fetch"] = recipe.fetch.model_copy(update={"opt_out": recipe.fetch.opt_out.anchored(anchor)})
    if recipe.captions is not None:
        sections["captions"] = recipe.captions.anchored(anchor)
    sections["manifest"] = recipe.manifest.anchored(anchor)
    return recipe.model_copy(update=sections)
