"""The recipe: one frozen tree of settings, read from YAML. Every field says its unit; every default its reason.

A stage's result depends on its own section, its inputs and nothing else; `runtime` never changes a result.
"""

from curation.recipe.balancing import Balance, Rebalance, Target
from curation.recipe.captions import Captions
from curation.recipe.clip_rules import ClipRules, Scores
from curation.recipe.clips import Clips, KeptClips
from curation.recipe.cutting import Cut
from curation.recipe.fields import Definition, MatchOption, Modality, ParityVariant, Section
from curation.recipe.filters import Filters
from curation.recipe.inputs import ArchiveInput, Input, TableColumns, TableInput, WarcInput, WatInput
from curation.recipe.loading import load_recipe, load_vocabulary_recipe
from curation.recipe.manifest import Decontamination, ManifestSection, OverlapKey, Shards
from curation.recipe.media import Duplicates, Fetch, ImageSettings
from curation.recipe.network import FetchSettings
from curation.recipe.scenes import Scenes
from curation.recipe.sections import (
    Card,
    Count,
    Draw,
    Extract,
    Language,
    Match,
    Pairs,
    Recipe,
    Runtime,
    TextRules,
    recipe_hash,
)
from curation.recipe.splitting import Split
from curation.recipe.video import VideoSettings

__all__ = [
    "ArchiveInput",
    "Balance",
    "Captions",
    "Card",
    "ClipRules",
    "Clips",
    "Count",
    "Cut",
    "Decontamination",
    "Definition",
    "Draw",
    "Duplicates",
    "Extract",
    "Fetch",
    "FetchSettings",
    "Filters",
    "ImageSettings",
    "Input",
    "KeptClips",
    "Language",
    "ManifestSection",
    "Match",
    "MatchOption",
    "Modality",
    "OverlapKey",
    "Pairs",
    "ParityVariant",
    "Rebalance",
    "Recipe",
    "Runtime",
    "Scenes",
    "Scores",
    "Section",
    "Shards",
    "Split",
    "TableColumns",
    "TableInput",
    "Target",
    "TextRules",
    "VideoSettings",
    "WarcInput",
    "WatInput",
    "load_recipe",
    "load_vocabulary_recipe",
    "recipe_hash",
]
