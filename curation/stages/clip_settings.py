"""What the clips of a video depend on, beside the video: asked by fetch, which must know whether they are made."""

from __future__ import annotations

from curation.digests import digest
from curation.recipe import Recipe

SCENES_CODE = 1
CLIPS_CODE = 2
"""code_version of the stages scenes and clips."""


def scenes_kind(recipe: Recipe) -> str:
    """Digest of what shots depend on."""
    return digest("scenes", SCENES_CODE, recipe.scenes.model_dump(exclude={"max_seconds"}))[:16]


def clips_kind(recipe: Recipe) -> str | None:
    """Digest of what clips depend on; None: videos are kept whole."""
    if recipe.clips is None:
        return None
    return digest("clips", CLIPS_CODE, scenes_kind(recipe), recipe.clips.of_result())[:16]
