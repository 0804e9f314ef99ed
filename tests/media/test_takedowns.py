"""What `_forgotten/` tells of takedowns: media that were there, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.media.refusals import Tombstones
from curation.media.takedowns import takedowns
from curation.storage import Store

NAMED = frozenset({"a" * 24, "b" * 24, "c" * 24})


def _receipt(tombstone: str | None = "_forgotten/1.json", **told: Any) -> dict[str, Any]:
    numbers = {"media_here": 0, "files": 0, "shards": 0}
    return {**numbers, "tombstone": tombstone, "finished_at": "2026-03-05T10:00:00+00:00", **told}


@pytest.mark.parametrize(
    ("receipt", "taken_out", "is_dated"),
    [
        (_receipt(media_here=2, files=9), 2, True),
        (_receipt(), 0, True),  # none of them was ever here
        (_receipt(files=3), 3, True),  # nothing but a manifest told of them
        (_receipt(media_here=5, files=9), 3, True),  # what an earlier takedown had left is of others
        (_receipt(None, media_here=3, files=9), 3, False),  # finished what was stopped
        (_receipt("_forgotten/2.json"), 3, False),
    ],
)
def test_media_that_were_there_count(tmp_path: Path, receipt: dict[str, Any], taken_out: int, is_dated: bool) -> None:
    store = Store.at(tmp_path)
    assert takedowns(store) == []
    store.put_json("_forgotten/1.json", Tombstones(NAMED).to_json())
    store.put_json("_forgotten/receipt-1.json", receipt)
    store.put_json("_forgotten/origins/1.json", [])
    (found,) = takedowns(store)
    assert (found.media_ids, found.taken_out) == (NAMED, taken_out)
    assert found.finished_at == ("2026-03-05T10:00:00+00:00" if is_dated else None)
