"""What tombstones and receipts in `_forgotten/` tell of media that are gone: which, since when, and what there was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curation.media.refusals import FOLDER, RECEIPT, Tombstones
from curation.storage import Store


@dataclass(frozen=True)
class Takedown:
    """One `curation forget`. taken_out: media that the folder held, at most; finished_at: ISO 8601.

    finished_at is None where it was stopped: the command that finished it has a receipt of its own.
    """

    media_ids: frozenset[str]
    taken_out: int
    finished_at: str | None


def takedowns(store: Store) -> list[Takedown]:
    """All of a work folder, in no order. Raises WorkFolderError for a file that is damaged."""
    names = {name for name in store.names(FOLDER) if name.endswith(".json")}
    receipts = {name for name in names if name.startswith(RECEIPT)}
    told = {}
    for name in sorted(receipts):
        receipt = store.read_json(f"{FOLDER}/{name}")
        told[receipt.get("tombstone")] = receipt
    found = []
    for name in sorted(names - receipts):
        path = f"{FOLDER}/{name}"
        media_ids, receipt = Tombstones.from_json(store.read_json(path)).media_ids, told.get(path, {})
        found.append(Takedown(media_ids, _taken_out(receipt, len(media_ids)), receipt.get("finished_at")))
    return found


def _taken_out(receipt: dict[str, Any], named: int) -> int:
    """Of so many media. A stopped command does not tell it, nor what a folder held without links and ledger."""
    if not receipt:
        return named
    if here := int(receipt.get("media_here", 0)):
        return min(here, named)
    return named if receipt.get("files") or receipt.get("shards") else 0
