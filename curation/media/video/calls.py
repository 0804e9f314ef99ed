"""What is asked of the web for a video, and how it fails, as it goes from one process to another. Imports little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from curation.media.outcomes import ErrorClass, FetchFaultError

READ_BYTES: Final = 64 << 10
"""Bytes of a body that are read at once."""
NO_MEMORY: Final = 3
"""Exit status of the process that reads pages when a page takes more than it may have."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. headers: besides those that we send ourselves (Host, User-Agent, Accept-Encoding, Connection)."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


def fault_from(told: dict[str, Any]) -> FetchFaultError:
    """A fault that came as JSON."""
    return FetchFaultError(
        ErrorClass(told["error"]),
        told["detail"],
        transient=told["transient"],
        retry_after_s=told["retry_after_s"],
    )


def fault_to(fault: FetchFaultError) -> dict[str, Any]:
    """A fault as JSON."""
    return {
        "error": fault.error,
        "detail": fault.detail,
        "transient": fault.transient,
        "retry_after_s": fault.retry_after_s,
    }
