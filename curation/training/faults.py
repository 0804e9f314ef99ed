"""Why a sample cannot be used: never silent, raised or counted."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from curation.errors import CurationError, InputError


class Fault(StrEnum):
    """Reasons under which broken samples are counted."""

    TORN_SHARD = "torn_shard"  # it ends, or cannot be read, before the sample
    NO_MEDIA = "no_media"  # neither a picture nor a clip, or the file that holds it is gone
    UNDECODABLE = "undecodable"
    NO_TEXT = "no_text"  # none of the kinds that are asked for
    BAD_TEXT = "bad_text"  # not UTF-8
    NO_JSON = "no_json"  # and something is asked for that only KEY.json says
    BAD_JSON = "bad_json"
    LEFT_OUT = "left_out"  # by a tombstone that came after ranks had agreed on what an epoch keeps
    BAD_ROW = "bad_row"  # JSON, but columns that are missing or of another kind


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


class NoSplitError(InputError):
    """There are samples, but none of the split that is asked for."""


HOSTILE: Final = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What is raised where a row is not as the manifest has it."""


def bad_row(where: str, error: Exception) -> SampleFaultError:
    """The fault of such a row."""
    told = f"there is no {error}" if isinstance(error, KeyError) else str(error)
    return SampleFaultError.of(Fault.BAD_ROW, f"{where}: a row that is not as the manifest has it: {told}")
