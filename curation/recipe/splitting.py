"""How the shots of a video become clips: named sets of parameters, each of which a recipe may replace.

    split: {set: panda_paper, max_length_s: 30}

The validated section holds every number that counts, whether the recipe or the set gave it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field
from pydantic.functional_validators import model_validator

from curation.recipe.fields import Seconds, Section, spelled

SplitSet = Literal["panda_paper", "panda_code", "shots", "stride", "chapters", "subtitles"]
Distance = Annotated[float, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0.001)]
Extractor = Annotated[
    str,
    spelled(r"colour_edges|transformers:\S+", "give colour_edges, or transformers:NAME-OR-FOLDER of an image encoder"),
]

_LENGTHS: Final[dict[str, Any]] = {"min_length_s": None, "max_length_s": None}
_PAPER: Final[dict[str, Any]] = {
    "features": "colour_edges",
    "cut_every_s": 5.0,
    "cut_slack_s": 0.0,
    "feature_at": 0.1,
    "transition_above": 1.0,
    "stitch_within": 0.6,
    "stitch_gaps": True,
    "min_length_s": 2.0,
    "still_distance": 0.15,
    "still_at_distance": True,
    "redundant_within": 0.3,
    "max_length_s": 60.0,
    "trim": 0.1,
}
SETS: Final[dict[str, dict[str, Any]]] = {
    "panda_paper": _PAPER,
    "panda_code": _PAPER
    | {
        "cut_slack_s": 2.0,
        "feature_at": 0.05,
        "stitch_gaps": False,
        "min_length_s": 2.5,
        "still_at_distance": False,
    },
    "shots": _LENGTHS | {"min_length_s": 2.0},
    "stride": _LENGTHS | {"stride_s": 10.0, "length_s": 10.0, "min_length_s": 2.0},
    "chapters": _LENGTHS,
    "subtitles": _LENGTHS,
}
"""What each set says of the fields that it knows; it refuses the others. None: that rule is off."""

_NEVER_OFF: Final = frozenset(
    ("features", "cut_slack_s", "feature_at", "stitch_gaps", "still_at_distance", "stride_s", "length_s")
)


class Split(Section):
    """Shots to clips. Distances are Euclidean, between features on the scale of ImageBind-huge (0 to 2).

    Sources: P: Panda-70M's paper, appendix A; R: its released code (lines of the paper's run where it has several).
    They take shots of the content detector with threshold 25 and at least 15 frames.
    """

    set: SplitSet = Field(
        "panda_code",
        description="panda_paper, panda_code: forced cuts, stitched where the picture goes on; shots: as detected; "
        "stride: windows of one length; chapters, subtitles: bounds from the video's texts",
    )
    min_length_s: Seconds | None = Field(
        None,
        description="a clip is this long at least, before it is trimmed; panda_paper 2 (P), panda_code 2.5 (R; its "
        "default is 2), shots and stride 2 (as P), else null: no limit",
    )
    max_length_s: Seconds | None = Field(
        None,
        description="of a longer clip the first so many; panda 60 (P, R; R's default is 1200), else null: no limit",
    )
    features: Extractor | None = Field(
        None, description="panda: colour_edges (built in), or transformers:NAME-OR-FOLDER of an image encoder"
    )
    cut_every_s: Seconds | None = Field(
        None, description="panda: forced cuts, each so long after the last; 5 (P, R); null: none"
    )
    cut_slack_s: Annotated[float, Field(ge=0)] | None = Field(
        None, description="panda: the last piece of a shot may be longer by this; 0 (P), 2 (R)"
    )
    feature_at: Annotated[float, Field(ge=0, lt=0.5)] | None = Field(
        None, description="panda: the two frames of a piece that are looked at, from either end; 0.1 (P), 0.05 (R)"
    )
    transition_above: Distance | None = Field(
        None, description="panda: pieces whose two frames differ by more are dropped; 1.0 (P, R); null: none"
    )
    stitch_within: Distance | None = Field(
        None,
        description="panda: pieces are stitched where the last frame of one differs from the first of the next by this "
        "at most; 0.6 (P, R); null: none",
    )
    stitch_gaps: bool | None = Field(
        None,
        description="panda: also stitch over dropped pieces, which then are part of the clip; true (P, which does not "
        "forbid it), false (R)",
    )
    still_distance: Distance | None = Field(
        None, description="panda: clips whose first and last frame differ by less are dropped; 0.15 (P, R); null: none"
    )
    still_at_distance: bool | None = Field(
        None, description="panda: whether a clip with exactly still_distance counts as still; true (P), false (R)"
    )
    redundant_within: Distance | None = Field(
        None,
        description="panda: clips whose mean feature differs from that of an earlier kept clip by this at most are "
        "dropped; 0.3 (P, R; R's default is off); null: none",
    )
    trim: Annotated[float, Field(gt=0, lt=0.5)] | None = Field(
        None,
        description="panda: share taken off at either end, last of all; 0.1 (P, R; R's default is off); null: none",
    )
    stride_s: Milliseconds | None = Field(
        None, description="stride: from the start of one clip to that of the next; 10"
    )
    length_s: Milliseconds | None = Field(None, description="stride: length of a clip, at most stride_s; 10")

    @model_validator(mode="before")
    @classmethod
    def _with_its_set(cls, data: Any) -> Any:
        """Numbers of the set where the recipe gives none."""
        if not isinstance(data, dict):
            return data
        name = data.get("set", cls.model_fields["set"].default)
        own = SETS.get(name) if isinstance(name, str) else None
        if own is None:
            return data
        strange = [key for key, value in data.items() if key in _FIELDS and key not in own and value is not None]
        if strange:
            raise ValueError(f"{', '.join(strange)}: not of the set {name}, which knows {', '.join(own)}")
        off = [key for key in own if key in _NEVER_OFF and key in data and data[key] is None]
        if off:
            raise ValueError(f"{', '.join(off)}: the set {name} needs a value (its own: {own[off[0]]})")
        return own | data

    @model_validator(mode="after")
    def _something_is_left(self) -> Split:
        low, high = self.min_length_s, self.max_length_s
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_length_s {low:g} is above max_length_s {high:g}: no clip would have both")
        if self.stride_s is not None and self.length_s is not None:
            if self.length_s > self.stride_s:
                raise ValueError(f"length_s {self.length_s:g} is above stride_s {self.stride_s:g}: clips would overlap")
            if low is not None and low > self.length_s:
                raise ValueError(f"min_length_s {low:g} is above length_s {self.length_s:g}: no clip would be left")
        return self


_FIELDS: Final = frozenset(Split.model_fields) - {"set"}
