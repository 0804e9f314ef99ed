"""Top-up: after losses, more pairs are kept until the wanted number is left of them.

What is kept at a higher threshold holds all that is kept at a lower one, so a top-up takes the pairs with the next
critical thresholds, and only their media are fetched. How many are needed follows from the share that survived so far.
It is noted in the work folder for this very target: balance solves for it with that share instead of the expected one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from curation.errors import RecipeError, StageError
from curation.recipe import Recipe, Target
from curation.runner.catalog import Catalog
from curation.stages.thresholds import TOP_UP
from curation.storage import Store

ROUNDS = 3
_ERRORS = 2.0  # standard errors of the binomial that are asked for on top, so that one round mostly does it
_PRIOR = 100.0  # kept ones that a round's own survival must outweigh
_STEEPEST = 4.0  # a round whose survival is lower than all's by more than this says of a fault, not of the web


@dataclass(frozen=True)
class Size:
    """One target and what a run made of it; all in its unit, pairs or media.

    is_all: kept is all that the pool holds. is_cut: more was left, and rebalance took the nearest size it could.
    """

    wanted: int
    kept: int
    final: int
    is_all: bool
    is_cut: bool = False

    @property
    def reached(self) -> bool:
        return self.final >= self.wanted or self.is_cut

    @property
    def survival(self) -> float:
        """Share of what was kept that is left."""
        return self.final / self.kept if self.kept else 0.0


Sizes = dict[str, Size]
"""By modality where the target is one per modality, else under "all"."""


@dataclass(frozen=True)
class TopUp:
    """Sizes before the first top-up and after each."""

    history: tuple[Sizes, ...]

    @property
    def sizes(self) -> Sizes:
        return self.history[-1]

    @property
    def reached(self) -> bool:
        return all(size.reached for size in self.sizes.values())

    def lines(self) -> list[str]:
        """What came of each target, in words."""
        return [_told(scope, size, len(self.history) - 1) for scope, size in self.sizes.items()]


def top_up(run_once: Callable[[], Sizes], store: Store, recipe: Recipe, rounds: int = ROUNDS) -> TopUp:
    """Runs until the target of balance is reached after losses, the pool is exhausted, or `rounds` top-ups are done.

    run_once: brings the work folder up to date with the recipe, and says what `measured` does. Raises RecipeError where
    the recipe has no target that a top-up could reach, StageError where nothing survives.
    """
    check(recipe)
    history = [run_once()]
    while len(history) <= rounds and any(_open(size) for size in history[-1].values()):
        target = recipe.balance.model_dump()["target"]
        known = store.read_json(TOP_UP)
        survival = dict(known["survival"]) if known is not None and known["target"] == target else {}
        for scope, size in history[-1].items():
            if _open(size):
                survival[scope] = size.wanted / _to_keep([sizes[scope] for sizes in history])
        store.put_json(TOP_UP, {"target": target, "survival": survival})
        history.append(run_once())
    return TopUp(tuple(history))


def check(recipe: Recipe) -> None:
    """Raises RecipeError where the final size does not follow from what balance keeps."""
    if recipe.balance.target is None:
        raise RecipeError("a top-up needs a size to reach: give balance.target, such as {pairs: 1000000}")
    if recipe.fetch is None:
        raise RecipeError("a top-up makes good what fetching loses: add the section fetch to the recipe")
    after = recipe.rebalance
    other = after.target is not None and _asked(after.target) != _asked(recipe.balance.target)
    if after.t is not None or after.tail_share is not None or other:
        raise RecipeError(
            "the thresholds of rebalance say how many pairs are left, whatever is fetched: give rebalance.target the "
            "same size as balance.target, or leave t, tail_share and target of rebalance out"
        )


def measured(catalog: Catalog, recipe: Recipe) -> Sizes:
    """The sizes that a run left in the work folder; targets of modalities that are not fetched are left out.

    Raises WorkFolderError where balance or rebalance has not been run, or is outdated.
    """
    balance, rebalance = catalog.visible("balance"), catalog.visible("rebalance")
    each = isinstance(recipe.balance.target, dict)
    fetched = recipe.fetch.modalities if recipe.fetch is not None else []
    found = {}
    for scope, report in balance.context["target"].items():
        if each and scope not in fetched:
            continue
        wanted, prefix = report["wanted"], f"final_{report['unit']}:{scope if each else ''}"
        names = [name for name in rebalance.counts if name.startswith(prefix)]
        cuts = [cut for of, cut in rebalance.context["target"].items() if of == scope or not each]
        found[scope if each else "all"] = Size(
            wanted,
            report["expected"],
            sum(rebalance.counts[name] for name in names),
            report["reachable_above"] < report["wanted_before_losses"],
            any(cut["reachable_above"] >= wanted for cut in cuts),
        )
    return found


def _open(size: Size) -> bool:
    return not size.reached and not size.is_all


def _to_keep(history: Sequence[Size]) -> int:
    """How many to keep so that the target is most likely left of them.

    What is taken next survives as what was taken last: the pairs of heads do not survive as the others, and the more
    is fetched, the more of it are copies. Where little was taken last, it survives as all did.
    """
    last, before = history[-1], history[-2] if len(history) > 1 else history[-1]
    if not last.final:
        raise StageError(
            f"of {last.kept:,} kept none is left, so more would not help: see the counts of survive, and the errors in "
            "media, before topping up"
        )
    taken, left = last.kept - before.kept, last.final - before.final
    survival = min(1.0, max(left + _PRIOR * last.survival, 0.0) / (taken + _PRIOR))
    survival = max(survival, last.survival / _STEEPEST)
    more = (last.wanted - last.final) / survival
    return last.kept + math.ceil(more + _ERRORS * math.sqrt(more * (1 - survival) / survival))


def _asked(target: Any) -> Any:
    """What a target asks for, whatever it expects to survive."""
    if isinstance(target, Target):
        return target.pairs, target.media
    return {modality: _asked(one) for modality, one in target.items()}


def _told(scope: str, size: Size, rounds: int) -> str:
    what = f"{size.final:,} of {size.wanted:,} wanted ({scope}) are left of {size.kept:,} kept"
    if size.reached:
        return f"{what}: reached after {rounds} top-ups" if rounds else f"{what}: no top-up was needed"
    if size.is_all:
        return f"{what}: the pool is exhausted; read more inputs, or ask for less"
    return f"{what} after {rounds} top-ups: run the same command again to go on"
