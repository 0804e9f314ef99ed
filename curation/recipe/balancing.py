"""Sections of thresholds: what is balanced to."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag
from pydantic.functional_validators import model_validator

from curation.recipe.fields import Modality, NumberOrEach, PositiveInt, Section, Share


class Target(Section):
    """A wanted size of the selection: exactly one of pairs and media."""

    pairs: PositiveInt | None = Field(None, description="pairs to keep")
    media: PositiveInt | None = Field(None, description="media with at least one kept pair")
    survival: Share = Field(
        1.0, description="expected share that outlives download and filters; the target is after it"
    )

    @model_validator(mode="after")
    def _one_unit(self) -> Target:
        if (self.pairs is None) == (self.media is None):
            raise ValueError("give exactly one of pairs and media")
        return self


def _target_form(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "one" if isinstance(value, Target) else None
    forms = (key in get_args(Modality) or isinstance(inner, dict | Target) for key, inner in value.items())
    return "each" if any(forms) else "one"


OneOrEachTarget = Annotated[
    Annotated[Target, Tag("one")] | Annotated[dict[Modality, Target], Field(min_length=1), Tag("each")],
    Discriminator(_target_form, "target", "give pairs: N or media: N, or that per modality (image, video, audio)"),
]


class Balance(Section):
    """Thresholds. Exactly one of t, tail_share and target; without any of them tail_share is 0.06.

    0.06 is MetaCLIP's share of matches on tail entries at t=20k on 400M and at t=170k on 2.5B pairs. A fixed t
    thins nothing on a small crawl.
    """

    t: NumberOrEach | None = Field(None, description="threshold for the pivot language, in texts; one, or per modality")
    tail_share: Share | None = Field(None, description="share of matches that fall on entries with count < t")
    target: OneOrEachTarget | None = Field(None, description="wanted size, overall or per modality")
    pivot: str = Field("en", description="language that t is given for")
    other_languages: Literal["step", "interpolated"] = Field(
        "step", description="how a language's t follows from the tail share: nearest count, or between two counts"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Balance:
        given = [name for name in ("t", "tail_share", "target") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give only one of t, tail_share and target, not {' and '.join(given)}")
        return self


class Rebalance(Balance):
    """Thresholds after losses: at most those of balance. Without t, tail_share and target every survivor stays."""
