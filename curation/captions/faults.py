"""Why there is no caption: one list for all captioners, models and strategies."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """Codes of the column `error` of captions."""

    CONNECT = "connect"
    """No connection to the server, or it was reset."""
    TIMEOUT = "timeout"
    """No whole answer within the time limit."""
    RATE_LIMITED = "rate_limited"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    GARBAGE = "garbage"
    """An answer that is none by the server's own rules: no JSON, no choices, no text."""
    EMPTY = "empty"
    REFUSAL = "refusal"
    """The model says that it cannot, or will not."""
    ENDLESS = "endless"
    """The answer was cut off at max_tokens or at the limit of bytes, or repeats itself to its end."""
    BAD_FORM = "bad_form"
    """An answer in words, but not in the form that was asked for."""
    NO_MEDIA = "no_media"
    """The sample's bytes are gone."""
    UNREADABLE = "unreadable"
    """Its bytes cannot be decoded."""
    MODEL = "model"
    """The model's own code failed on this sample."""
    OUT_OF_MEMORY = "out_of_memory"
    """The device had too little for this sample alone."""


PASSING = frozenset(
    {Fault.CONNECT, Fault.TIMEOUT, Fault.RATE_LIMITED, Fault.HTTP_5XX, Fault.GARBAGE, Fault.NO_MEDIA,
     Fault.OUT_OF_MEMORY}
)  # fmt: skip
"""What may be over by the next run, which asks again."""
MEDIA = frozenset({Fault.NO_MEDIA, Fault.UNREADABLE})
"""What is of the sample's bytes, not of a model."""
FAILED_IN_A_ROW: Final = 32
"""Requests to one model that fail one after the other, without one answer between them: the run stops."""


class CaptionFaultError(Exception):
    """No caption of one sample by one captioner; becomes a row."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        words = " ".join(detail.split())[:300]
        self.fault, self.detail = fault, "".join(char for char in words if char.isprintable())
