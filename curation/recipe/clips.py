"""Sections of what follows fetched videos: shots to clips, and which clips are kept."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from curation.recipe.clip_rules import ClipRules
from curation.recipe.cutting import Cut
from curation.recipe.fields import Int, Seconds, Section
from curation.recipe.splitting import Split


class Clips(Section):
    """Shots to clips: how a video is split, and how the clips are cut out of it."""

    split: Split = Field(Split(), description="from shots to clips")
    cut: Cut = Field(Cut(), description="from clips to files")
    seconds_per_video: Seconds = Field(
        3600.0, description="wall-clock limit of splitting and cutting a video; what is not cut then failed"
    )

    def of_result(self) -> dict[str, Any]:
        """What the clips depend on."""
        return self.model_dump(exclude={"seconds_per_video": True, "cut": {"process_seconds"}})


class KeptClips(Section):
    """Which clips are kept. Rules read the stored scores, so a changed rule recomputes nothing."""

    rules: ClipRules = Field(ClipRules(), description="which scores a clip must have")
    max_distance: Annotated[Int, Field(ge=0, le=15)] | None = Field(
        3,
        description="bits of 64 in which the perceptual hashes of all key frames of near copies differ at most, of "
        "which the longest clip is kept; null: copies stay",
    )
