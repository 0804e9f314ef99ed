"""The recipe: one frozen tree of settings, read from YAML. Every field says its unit; every default its reason.

A stage's result depends on its own section, its inputs and nothing else; `runtime` never changes a result.
"""

from curation.recipe.fields import Definition, MatchOption, Modality, ParityVariant, Section
from curation.recipe.filters import Filters
from curation.recipe.inputs import ArchiveInput, Input, TableColumns, TableInput, WarcInput, WatInput
from curation.recipe.loading import load_recipe, load_vocabulary_recipe
from curation.recipe.media import Duplicates, Fetch, ImageSettings
from curation.recipe.network import FetchSettings
from curation.recipe.sections import (
    Balance,
    Card,
    Count,
    Draw,
    Extract,
    Language,
    Match,
    Pairs,
    Rebalance,
    Recipe,
    Runtime,
    Target,
    TextRules,
)

__all__ = [
    "ArchiveInput",
    "Balance",
    "Card",
    "Count",
    "Definition",
    "Draw",
    "Duplicates",
    "Extract",
    "Fetch",
    "FetchSettings",
    "Filters",
    "ImageSettings",
    "Input",
    "Language",
    "Match",
    "MatchOption",
    "Modality",
    "Pairs",
    "ParityVariant",
    "Rebalance",
    "Recipe",
    "Runtime",
    "Section",
    "TableColumns",
    "TableInput",
    "Target",
    "TextRules",
    "WarcInput",
    "WatInput",
    "load_recipe",
    "load_vocabulary_recipe",
]
