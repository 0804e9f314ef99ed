"""Which of a sample's texts a trainer is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from curation.training.plan import key_of, uniform_of

Row = Mapping[str, Any]

CHOSEN: Final = "chosen"
WEIGHTED: Final = "weighted"
OF_ROWS: Final = ("brief", "detailed")
"""Kinds of text that are columns of the manifest."""


def texts_of(row: Row) -> Sequence[Row]:
    """All texts of a sample; a row that lists none (of foreign shards) is itself the one text."""
    return row.get("texts") or (row,)


class TextChoice:
    """The text of a row; the same for the same sample, seed and epoch."""

    def __init__(self, names: Sequence[str], seed: int, epoch: int) -> None:
        """names: as Reading.text has them."""
        self._names, self._key = names, key_of("text", seed, epoch)

    def of(self, row: Row, key: str, left: Sequence[Row] | None = None) -> Row | None:
        """The text, as one of `texts_of(row)` or the row itself; None: the sample has no such text.

        left: those of them that balance has left; None: all. Raises KeyError, TypeError or ValueError for a row whose
        texts are none.
        """
        for name in self._names:
            found = self._named(name, row, key, left)
            if found is not None and found.get("text"):
                return found
        return None

    def _named(self, name: str, row: Row, key: str, left: Sequence[Row] | None) -> Row | None:
        if name == CHOSEN:
            return row if left is None else _chosen(row, left)
        if name in OF_ROWS:
            return {"text": row.get(name)}
        listed = row.get("texts")
        if not listed:
            return row if name == WEIGHTED else None
        texts = listed if left is None else left
        if name == WEIGHTED:
            return self._drawn(texts, key)
        called = ((text, text["captioner"], f"{text['captioner']}.{text['kind']}") for text in texts)
        return next((text for text, *names in called if name in names), None)

    def _drawn(self, texts: Sequence[Row], key: str) -> Row | None:
        """By weight; None where none weighs anything."""
        left = uniform_of(key, self._key) * sum(text["weight"] for text in texts)
        for text in texts:
            left -= text["weight"]
            if left < 0:
                return text
        return next((text for text in reversed(texts) if text["weight"]), None)  # what rounding left over


def _chosen(row: Row, left: Sequence[Row]) -> Row | None:
    """The row, if its text is left; else the first that is left and about all of it, those that weigh nothing last."""
    own = next((text for text in row.get("texts") or () if text.get("text") == row.get("text")), None)
    if own is None or any(text is own for text in left):
        return row
    whole = [text for text in left if text.get("start_ms") is None]
    return next((text for text in whole if text["weight"]), whole[0] if whole else None)
