"""Types of the recipe's fields, and what all sections share."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler
from pydantic.functional_validators import AfterValidator, BeforeValidator, WrapValidator

ParityVariant = Literal["default", "v1-wat", "v1-warc", "v2"]
Definition = Literal["v1", "v2"]
MatchOption = Literal["spaced_entries", "no_space_kana", "nfc", "case_fold"]
Modality = Literal["image", "video", "audio"]

_LANGUAGE = "[a-z]{2,3}(-[A-Za-z0-9]+)*"
_NO_LANGUAGE = "is no language code such as en or gsw ('' in keep: unknown; other: a vocabulary)"


def _whole(value: Any) -> Any:
    """1e6 is a float to YAML; where a whole number is wanted it is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number_or_modalities(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """One message for the whole field: pydantic's would be one for each form that it could have had."""
    try:
        return handler(value)
    except ValidationError:
        raise ValueError(f"give a number >= 1, or one per modality (image, video, audio), not {value!r:.60}") from None


def spelled(pattern: str, words: str) -> AfterValidator:
    """For strings that a pattern describes as a whole; `words`: what is said of any other."""
    matches = re.compile(pattern).fullmatch

    def check(text: str) -> str:
        if matches(text) is None:
            raise ValueError(words)
        return text

    return AfterValidator(check)


Int = Annotated[int, BeforeValidator(_whole)]
PositiveInt = Annotated[Int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Threshold = Annotated[float, Field(ge=1)]
NumberOrEach = Annotated[
    Threshold | Annotated[dict[Modality, Threshold], Field(min_length=1)], WrapValidator(_number_or_modalities)
]
Name = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0)]
TextLanguage = Annotated[str, spelled(f"({_LANGUAGE})?", _NO_LANGUAGE)]
VocabularyLanguage = Annotated[str, spelled(f"{_LANGUAGE}|other", _NO_LANGUAGE)]


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys, no silent conversion of types, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
