"""What `vocab lint` tells of a vocabulary: of its entries alone, and of what they find in texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import numpy as np

from curation.concepts import MatchOptions, Vocabulary
from curation.concepts.lint import HitReport, LintReport, count_hits, lint
from curation.crawl.log import ReadLog
from curation.inspect.texts import check_texts, text_batches, unread


@dataclass(frozen=True)
class VocabularyReport:
    """A vocabulary, what is the matter with it, and what it finds; hits is None, logs empty where no texts were given.

    logs: of every place that texts came from, what could not be read there.
    """

    location: str
    vocabulary: Vocabulary
    options: MatchOptions
    findings: LintReport
    hits: HitReport | None
    logs: list[ReadLog]

    def to_json(self) -> str:
        """Everything: all findings, and every entry that is in a text with its number of texts, most first."""
        vocabulary, findings = self.vocabulary, self.findings
        tree = {
            "vocabulary": {
                "location": self.location, "lang": vocabulary.lang, "definition": vocabulary.definition,
                "options": self.options.to_json(), "entries": len(vocabulary),
                "repeated_left_out": vocabulary.duplicates_dropped, "fingerprint": vocabulary.fingerprint,
            },
            "never_match": [asdict(finding) for finding in findings.unreachable],
            "duplicates": [self._entries(group) for group in findings.duplicates],
            "single_characters": self._entries(findings.single_characters),
            "long": self._entries(findings.long),
            "texts": None if self.hits is None else self._texts(self.hits),
        }  # fmt: skip
        return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"

    def _entries(self, ids: Iterable[int]) -> list[dict[str, Any]]:
        return [{"entry_id": entry_id, "entry": self.vocabulary.entries[entry_id].as_py()} for entry_id in ids]

    def _texts(self, hits: HitReport) -> dict[str, Any]:
        order = np.argsort(-hits.counts, kind="stable")[: hits.entries_hit].tolist()
        return {
            "locations": [log.file for log in self.logs],
            "unreadable": [dict(zip(("location", "rows", "first"), lost, strict=True)) for lost in unread(self.logs)],
            "texts": hits.texts,
            "matched": hits.matched,
            "unmatched_examples": hits.unmatched,
            "entries_hit": hits.entries_hit,
            "most_hit": [asdict(hit) for hit in hits.most],
            "hits": [{**entry, "texts": int(hits.counts[entry["entry_id"]])} for entry in self._entries(order)],
        }


def vocabulary_report(
    location: str, vocabulary: Vocabulary, options: MatchOptions, texts: Sequence[str], *, shown: int
) -> VocabularyReport:
    """Lints a vocabulary read from `location` and, with places that `text_batches` reads, tries it on their texts.

    shown: how many of the entries that most texts hold, and of the texts without any, are told. Raises InputError and
    WorkFolderError for texts that cannot be read.
    """
    for place in texts:
        check_texts(place)
    logs = [ReadLog(place) for place in texts]
    batches = chain.from_iterable(text_batches(log.file, vocabulary.lang, log) for log in logs)
    hits = count_hits(vocabulary, batches, options, shown=shown) if logs else None
    return VocabularyReport(location, vocabulary, options, lint(vocabulary, options), hits, logs)
