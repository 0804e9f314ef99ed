"""What tombstones and receipts in `_forgotten/` tell of media that are gone: which, since when, and what there was."""

from __future__ import annotations

from dataclasses import dataclass

from curation.media.refusals import FOLDER, RECEIPT, Tombstones
from curation.storage import Store


@dataclass(frozen=True)
class Takedown:
    """One `curation forget`. here: of its media those that the folder held; finished_at: ISO 8601.

    Both are None where it was stopped: then the command that finished it has a receipt of its own.
    """

    media_ids: frozenset[str]
    here: int | None
    finished_at: str | None


def takedowns(store: Store) -> list[Takedown]:
    """All of a work folder, in no order. Raises WorkFolderError for a file that is damaged."""
    names = {name for name in store.names(FOLDER) if name.endswith(".json")}
    receipts = {name for name in names if name.startswith(RECEIPT)}
    told = {}
    for name in sorted(receipts):
        receipt = store.read_json(f"{FOLDER}/{name}") or {}
        told[receipt.get("tombstone")] = receipt.get("media_here"), receipt.get("finished_at")
    found = []
    for name in sorted(names - receipts):
        path = f"{FOLDER}/{name}"
        found.append(Takedown(Tombstones.from_json(store.read_json(path)).media_ids, *told.get(path, (None, None))))
    return found
