"""The prompts that strategies have of their own, and a recipe's in their place.

Each is made of four parts, as ShareGPT4Video's are: role, skills, constraints, structured input.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from curation.errors import RecipeError

KINDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "describe": ("brief", "detailed"),
        "differential": ("first_frame", "difference", "summary"),
        "speech": ("speech",),
        "transcribe": (),
    }
)
"""Of each strategy its prompts. Those of describe are examples, all others are asked for by these names."""


def default_prompts(strategy: str) -> dict[str, str]:
    """Kind -> text of the strategy's own prompts, in the order in which they are used."""
    folder = files("curation.captions") / "prompt_files"
    return {kind: (folder / f"{kind}.txt").read_text("utf-8") for kind in KINDS[strategy]}


def prompts_of(strategy: str, own: Mapping[str, str]) -> dict[str, str]:
    """Kind -> text with a recipe's own prompts: describe takes them alone, where there are any; others replace theirs.

    Raises RecipeError for a kind that the strategy never asks for.
    """
    if strategy == "describe":
        return dict(own) or default_prompts(strategy)
    if strange := sorted(own.keys() - set(KINDS[strategy])):
        known = ", ".join(KINDS[strategy]) or "none"
        raise RecipeError(f"strategy {strategy} has no prompt {strange[0]}: its prompts are {known}")
    return default_prompts(strategy) | dict(own)
