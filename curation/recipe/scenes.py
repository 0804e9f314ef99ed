"""The section of videos seen as shots."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from curation.recipe.fields import Int, PositiveInt, Seconds, Section

Positive = Annotated[float, Field(gt=0)]


class Scenes(Section):
    """Videos to shots: where one camera's picture gives way to another's.

    Names and defaults are those of PySceneDetect 0.7.2 but for fades, key_frame_guided, key_frame_threshold and
    max_seconds. Content value: mean change of hue, saturation and brightness between two frames, each of 0 to 255 (hue:
    179).
    """

    detector: Literal["content", "adaptive"] = Field(
        "content",
        description="content: a cut is where the content value reaches threshold; adaptive: where it reaches "
        "adaptive_threshold times the mean of those around it, which leaves out fast camera motion",
    )
    threshold: Positive = Field(27.0, description="content value of a cut (Panda-70M: 25, MMTrail: 30)")
    min_scene_frames: Annotated[Int, Field(ge=0)] = Field(
        15,
        description="frames between cuts, at least; content: of cuts that follow each other sooner, only the last is "
        "one (the filter MERGE); adaptive: only the first",
    )
    adaptive_threshold: Positive = Field(3.0, description="adaptive: times the mean content value around a cut")
    window: PositiveInt = Field(2, description="adaptive: frames before and after a frame that are around it")
    min_content_value: Positive = Field(15.0, description="adaptive: content value of a cut, at least")
    fades: bool = Field(False, description="also cut where the picture comes back from black")
    fade_threshold: Annotated[Int, Field(ge=1, le=255)] = Field(
        12, description="fades: mean of red, green and blue below which a frame is black"
    )
    fade_bias: Annotated[float, Field(ge=-1, le=1)] = Field(
        0.0, description="fades: -1 cuts where black begins, 0 in the middle, 1 where it ends"
    )
    key_frame_guided: bool = Field(
        False,
        description="decode key frames first, and all frames only between two that differ; misses what comes and goes "
        "between two key frames that look alike",
    )
    key_frame_threshold: Positive = Field(
        20.0, description="key_frame_guided: content value above which two neighbouring key frames differ"
    )
    max_seconds: Seconds = Field(3600.0, description="wall-clock limit of a video")
