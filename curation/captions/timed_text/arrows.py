"""What WebVTT and SubRip have in common: a line with two times and an arrow between them, and the text below it."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ARROW = re.compile(r"-->([^\n]*+)\n?").split
_TIME = re.compile(r"[ \t]*+(?:([0-9]{1,6}):)?([0-5]?[0-9]):([0-5]?[0-9])[.,]([0-9]{1,9})(?![0-9:.,])[ \t]*+")
_BEGIN, _WHOLE = _TIME.match, _TIME.fullmatch

Block = tuple[int, int, str, str, str]
"""Start and end in milliseconds, each -1 where it cannot be read; what stands in the line before and after the arrow;
and all lines from there to the next that has one, as they were sent.
"""


def lines_of(text: str) -> str:
    """The text from its first line that is not empty, with \\n alone between lines and without a byte order mark.

    NUL and lone surrogates become U+FFFD.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.lstrip("\ufeff \t\n")


def time_ms(text: str) -> int:
    """Milliseconds of hh:mm:ss.mmm at the begin of a text, hours optional, with a comma, too; -1: there is none."""
    return _milliseconds(_BEGIN(text))


def blocks_of(text: str) -> Iterator[Block]:
    """All lines with an arrow, in order. text: as lines_of gives it."""
    head, *rest = _ARROW(f"{text}\n")
    before = head[head.rfind("\n") + 1 :]
    for line, body in zip(rest[::2], rest[1::2], strict=True):
        cut = body.rfind("\n") + 1
        yield _milliseconds(_WHOLE(before)), _milliseconds(_BEGIN(line)), before, line, body[:cut]
        before = body[cut:]


def _milliseconds(found: re.Match[str] | None) -> int:
    if found is None:
        return -1
    hours, minutes, seconds, fraction = found.groups()
    if len(fraction) != 3:
        fraction = fraction[:3].ljust(3, "0")
    whole = int(minutes) * 60_000 + int(seconds) * 1000 + int(fraction)
    return whole + int(hours) * 3_600_000 if hours else whole
