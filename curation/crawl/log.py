"""What one input file gave: counts, and a rejection for everything that could not be read.

The conservation law, the same for archives and tables, over `ReadLog.counts`:

    texts == rows + (sum of all counts named skipped:*) + rejected_texts

- texts           texts that were looked at. In an archive: non-empty texts of media. In a table: cells of the text
                  columns, tags and chapters of every row that could be parsed (see curation.crawl.tables).
- rows            candidate rows handed out, counted from the finished batches.
- skipped:*       texts left out by rule: skipped:bad_url, skipped:not_http, skipped:no_url (described, but nowhere to
                  be found), skipped:page_limit (archives), skipped:empty_text (tables).
- rejected_texts  texts lost with a rejected table row. A rejected WAT record was never looked into, so its texts are
                  on neither side.

Further counts, outside the law: records, pages (WAT), read_rows (tables), odd:* (values of an unexpected shape that
were passed over), rejected:REASON, rejections_not_stored.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from curation.errors import Reason

DETAIL_CHARS = 300
STORED_REJECTIONS = 100_000


@dataclass(frozen=True, slots=True)
class Rejection:
    """One failed or refused thing of an input file; `offset` is in bytes, or the row number in a table."""

    id: str | None
    file: str
    offset: int | None
    reason: Reason
    detail: str | None


class ReadLog:
    """Counts and rejections of one input file."""

    def __init__(self, file: str, *, stored_rejections: int = STORED_REJECTIONS) -> None:
        """`stored_rejections` bounds the memory (a rejection takes about 0.4 kB): what exceeds it is only counted."""
        self.file = file
        self.rejections: list[Rejection] = []
        self.counts: Counter[str] = Counter()
        self._room = stored_rejections

    def reject(
        self, offset: int | None, reason: Reason, detail: str | None, *, id: str | None = None, count: int = 0
    ) -> None:
        """Notes a rejection; `count` is the number of already counted texts that are lost with it."""
        self.tally(f"rejected:{reason.value}")
        self.tally("rejected_texts", count)
        if len(self.rejections) >= self._room:
            self.tally("rejections_not_stored")
            return
        self.rejections.append(Rejection(id, self.file, offset, reason, _one_line(detail)))

    def tally(self, name: str, n: int = 1) -> None:
        """Adds n to a count; a count of zero is not created."""
        if n:
            self.counts[name] += n

    def extend(self, other: ReadLog) -> None:
        """Takes over the counts and rejections of another log of the same file."""
        room = max(self._room - len(self.rejections), 0)
        self.rejections += other.rejections[:room]
        self.counts.update(other.counts)
        self.tally("rejections_not_stored", len(other.rejections[room:]))

    def unaccounted(self) -> int:
        """Texts that the conservation law misses: 0, or rows were lost (positive) or doubled (negative)."""
        skipped = sum(n for name, n in self.counts.items() if name.startswith("skipped:"))
        return self.counts["texts"] - self.counts["rows"] - skipped - self.counts["rejected_texts"]


def _one_line(detail: str | None) -> str | None:
    if detail is None:
        return None
    line = " ".join(detail[: 4 * DETAIL_CHARS].encode("utf-8", "replace").decode("utf-8").split())
    return line if len(line) <= DETAIL_CHARS else line[: DETAIL_CHARS - 3] + "..."
