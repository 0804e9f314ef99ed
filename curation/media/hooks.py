"""Hooks: callables of the user's choice that look at every decoded picture: face finders, safety classifiers ...

`package.module:faces` in a recipe is a factory, called with the recipe's options (a dictionary). It gives a callable
that takes a picture, uint8 (height, width, 3) BGR, upright, and gives a list of Finding:

    def faces(options):
        model = load(options["weights"])
        return lambda picture: [Finding("face", score, box) for score, box in model(picture)]
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

import cv2
import numpy as np

from curation.errors import RecipeError
from curation.media.blurring import is_box
from curation.media.image_decoding import Pixels
from curation.media.image_facts import Box, ImageRefusal, RefusedImage
from curation.media.outcomes import printable
from curation.recipe.media import Hook

WHOLE: Final[Box] = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a hook saw: a label, a score (finite; what it means is the hook's) and where, None for the whole picture."""

    label: str
    score: float
    box: Box | None = None


Finder: TypeAlias = Callable[[Pixels], Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Findings:
    """What all hooks saw of one picture.

    rows: as in the column `findings` of the ledger. blur: boxes to blur. unsafe: why the picture is refused, or empty.
    """

    rows: list[dict[str, Any]]
    blur: list[Box]
    unsafe: str


class Hooks:
    """The hooks of a recipe, loaded: `hooks(picture)` runs them in their order."""

    def __init__(self, sections: Sequence[Hook] = ()) -> None:
        """Raises RecipeError for one that cannot be loaded."""
        self._loaded = [(section, load_hook(section)) for section in sections]

    def __bool__(self) -> bool:
        return bool(self._loaded)

    def __call__(self, pixels: Pixels) -> Findings:
        """pixels: upright, (height, width) grey or (height, width, 3) BGR; each hook has a copy to itself.

        Raises RefusedImage (hook_failed) where a hook raises, or gives what is no list of findings.
        """
        found = Findings([], [], "")
        for section, finder in self._loaded:
            picture = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels.copy()
            try:
                rows = [_row(section.name, finding) for finding in finder(np.asarray(picture, np.uint8))]
            except Exception as error:  # whatever a stranger's code raises concerns this picture only
                words = printable(f"{section.name}: {type(error).__name__}: {error}")
                raise RefusedImage(ImageRefusal.HOOK_FAILED, words) from error
            found = _with(found, section, rows)
        return found


def find_hook(section: Hook) -> Callable[[dict[str, Any]], Any]:
    """The factory that a recipe names, not called yet: it may take minutes. Raises RecipeError."""
    module, _, attribute = section.name.partition(":")
    try:
        factory: Any = importlib.import_module(module)
        for name in attribute.split("."):
            factory = getattr(factory, name)
        if not callable(factory):
            raise TypeError(f"it is {factory!r:.60}, which cannot be called with options")
    except Exception as error:  # importing a stranger's code may raise anything
        raise _not_loaded(section, error) from error
    return factory  # type: ignore[no-any-return]


def load_hook(section: Hook) -> Finder:
    """Calls the factory that a recipe names. Raises RecipeError."""
    factory = find_hook(section)
    try:
        finder = factory(dict(section.options))
        if not callable(finder):
            raise TypeError(f"it gives {finder!r:.60}, which cannot be called with a picture")
    except Exception as error:  # as may calling it
        raise _not_loaded(section, error) from error
    return finder  # type: ignore[no-any-return]


def _not_loaded(section: Hook, error: Exception) -> RecipeError:
    return RecipeError(
        f"fetch.hooks: {section.name} cannot be loaded: {printable(f'{type(error).__name__}: {error}')}: install "
        "its package here and on every worker, or correct `name` (package.module:factory) and `options`"
    )


@lru_cache(maxsize=1)
def loaded_hooks(sections: str) -> Hooks | None:
    """The hooks of a recipe (JSON of their sections), loaded once per process; None where there are none."""
    found = [Hook.model_validate(section) for section in json.loads(sections)]
    return Hooks(found) if found else None


def _row(hook: str, finding: Finding) -> dict[str, Any]:
    """A finding as a row. Raises TypeError or ValueError for what is none."""
    if not isinstance(finding, Finding) or not isinstance(finding.label, str):
        raise TypeError(f"{finding!r:.60} is no Finding with a text as its label")
    score = float(finding.score)
    box = None if finding.box is None else tuple(map(float, finding.box))
    if not math.isfinite(score):
        raise ValueError(f"the score of {finding.label} is {score}")
    if box is not None and not is_box(box):
        raise ValueError(f"the box {box} of {finding.label} is no left, top, right, bottom in shares from 0 to 1")
    left, top, right, bottom = box or (None,) * 4
    row = {"hook": hook, "label": printable(finding.label), "score": score}
    return {**row, "left": left, "top": top, "right": right, "bottom": bottom}


def _with(found: Findings, section: Hook, rows: list[dict[str, Any]]) -> Findings:
    """The findings of one hook more, judged by its limits."""
    unsafe, blur = found.unsafe, list(found.blur)
    for row in rows:
        if section.refuse_above is not None and row["score"] > section.refuse_above and not unsafe:
            unsafe = f"{section.name}: {row['label']} {row['score']:.3g} is above {section.refuse_above:g}"
        if section.blur_above is not None and row["score"] > section.blur_above:
            box = row["left"], row["top"], row["right"], row["bottom"]
            blur.append(WHOLE if None in box else box)
    return Findings(found.rows + rows, blur, unsafe)
