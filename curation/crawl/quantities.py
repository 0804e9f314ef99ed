"""Lengths and times as pages and tables write them."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

MAX_MILLISECONDS = 10**10
"""Longer times (116 days) are mistakes: the longest recordings on platforms last weeks."""

_NUMBER = r"([0-9]{1,12}(?:[.,][0-9]{0,12})?)"
_ISO_DURATION = re.compile(
    r"(?i)(?:P(?:0{1,4}Y)?(?:0{1,2}M)?|(?=T))"  # years and months have no length in seconds
    rf"(?:{_NUMBER}W)?(?:{_NUMBER}D)?T?(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?"
).fullmatch
_CLOCK = re.compile(r"(?:([0-9]{1,9}):)?([0-9]{1,9}):([0-9]{1,2}(?:[.,][0-9]{1,12})?)").fullmatch
_SECONDS = re.compile(_NUMBER).fullmatch
_PIXELS = re.compile(r"\s*([0-9]{1,7})(?:\.[0-9]+)?\s*(?:px|pixels?)?\s*", re.IGNORECASE).fullmatch


def pixels(value: str | None) -> int | None:
    """A declared length in pixels ("640", "640px"); None for percentages, zero and everything else."""
    match = _PIXELS(value) if value else None
    return int(match[1]) or None if match else None


def milliseconds(value: Any, *, per_second: int = 1000) -> int | None:
    """A time: seconds (or, with per_second=1, milliseconds) as a number, H:MM:SS, MM:SS, or ISO 8601 (PT1H2M3.5S).

    None for anything else, also for times below 0 or above MAX_MILLISECONDS. The "T" of ISO 8601 may be absent.
    """
    seconds: float | None = None
    if isinstance(value, str):
        seconds = _read(value.strip(), 1000 / per_second)
    elif isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        seconds = _bounded(value) * per_second / 1000
    if seconds is None or not 0 <= seconds <= MAX_MILLISECONDS / 1000:
        return None
    return round(seconds * 1000)


def _bounded(number: int | float | Decimal) -> float:
    return float(number) if -1 <= number <= MAX_MILLISECONDS else -1.0


def _read(text: str, per_number: float) -> float | None:
    if match := _SECONDS(text):
        return _float(match[1]) / per_number
    if match := _CLOCK(text):
        return sum(_float(part) * size for part, size in zip(match.groups(), (3_600, 60, 1), strict=True))
    if (match := _ISO_DURATION(text)) and any(match.groups()):
        sizes = (604_800, 86_400, 3_600, 60, 1)
        return sum(_float(part) * size for part, size in zip(match.groups(), sizes, strict=True))
    return None


def _float(text: str | None) -> float:
    return float(text.replace(",", ".")) if text else 0.0
