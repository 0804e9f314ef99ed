"""Reads a recipe file, and says in one line what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curation.errors import RecipeError
from curation.recipe.inputs import ArchiveInput
from curation.recipe.sections import Recipe
from curation.recipe.yaml12 import parse_yaml


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a YAML recipe; `overrides` are `section.key=value` with YAML values. Relative paths start at the recipe.

    Raises RecipeError with every problem on one line each joined by '; '.
    """
    path = Path(path)
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}: give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from None
    if not isinstance(tree, dict):
        raise RecipeError(f"{path} holds {type(tree).__name__}, not a mapping of sections: see recipes/demo.yaml")
    for override in overrides:
        _override(tree, override)
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(f"{path}: {_one_line(error)}") from None
    return _anchored(recipe, path.resolve().parent)


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
    "string_pattern_mismatch": "is no language code such as en or gsw ('' in keep: unknown; other: a vocabulary)",
    "union_tag_not_found": "give kind: wat, kind: warc or kind: table",
    "union_tag_invalid": "give kind: wat, kind: warc or kind: table",
}


def _one_line(error: ValidationError) -> str:
    return "; ".join(
        _place(item["loc"]) + _SAID.get(item["type"], item["msg"].removeprefix("Value error, "))
        for item in error.errors()
    )


def _place(loc: tuple[int | str, ...]) -> str:
    """The place as the recipe writes it: without the names that pydantic gives to forms and keys."""
    formed = loc[:1] == ("inputs",) or loc[:2] == ("balance", "target")
    parts = [str(part) or "''" for at, part in enumerate(loc) if part != "[key]" and not (formed and at == 2)]
    return ".".join(parts) + ": " if parts else ""


def _anchored(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with relative local paths made absolute, so that it means the same on every worker."""

    def anchor(location: str) -> str:
        if "://" in location or location.startswith("demo:"):
            return location
        try:
            return str(folder / Path(location).expanduser())
        except RuntimeError:
            raise RecipeError(f"{location}: no home folder is known for this ~: give the full path") from None

    inputs = []
    for entry in recipe.inputs:
        update: dict[str, Any] = {"paths": [anchor(path) for path in entry.paths]}
        if isinstance(entry, ArchiveInput) and entry.base:
            update["base"] = anchor(entry.base)
        inputs.append(entry.model_copy(update=update))
    vocabularies = {lang: anchor(location) for lang, location in recipe.match.vocabularies.items()}
    match = recipe.match.model_copy(update={"vocabularies": vocabularies})
    pairs = recipe.pairs.model_copy(update={"filters": recipe.pairs.filters.anchored(anchor)})
    return recipe.model_copy(update={"inputs": inputs, "match": match, "pairs": pairs})
