"""Why a sample cannot be used: never silent, raised or counted."""

from __future__ import annotations

from enum import StrEnum

from curation.errors import CurationError


class Fault(StrEnum):
    """Reasons under which broken samples are counted."""

    TORN_SHARD = "torn_shard"  # it ends, or cannot be read, before the sample
    NO_MEDIA = "no_media"  # neither a picture nor a clip, or the file that holds it is gone
    UNDECODABLE = "undecodable"
    NO_TEXT = "no_text"  # none of the kinds that are asked for
    BAD_TEXT = "bad_text"  # not UTF-8
    NO_JSON = "no_json"  # and something is asked for that only KEY.json says
    BAD_JSON = "bad_json"


class SampleFaultError(CurationError):
    """A sample is broken; the text says what was found and where. fault: how; None where it was raised in a worker, of
    which torch brings the text alone.
    """

    fault: Fault | None = None

    @classmethod
    def of(cls, fault: Fault | None, detail: str) -> SampleFaultError:
        error = cls(detail)
        error.fault = fault
        return error
