"""Which of a sample's texts a trainer is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from curation.training.plan import key_of, uniform_of

Row = Mapping[str, Any]

CHOSEN: Final = "chosen"
WEIGHTED: Final = "weighted"
_OF_ROWS: Final = ("brief", "detailed")


class TextChoice:
    """The text of a row; the same for the same sample, seed and epoch."""

    def __init__(self, names: Sequence[str], seed: int, epoch: int, gone: frozenset[str] = frozenset()) -> None:
        """names: as Reading.text has them. gone: media whose texts are not to be read."""
        self._names, self._gone, self._key = names, gone, key_of("text", seed, epoch)

    def of(self, row: Row, key: str) -> Row | None:
        """The text, as one of the row's `texts` or, with the entries of the chosen text, as the row itself; None: the
        sample has no such text.
        """
        for name in self._names:
            found = self._named(name, row, key)
            if found is not None and found.get("text"):
                return found
        return None

    def _named(self, name: str, row: Row, key: str) -> Row | None:
        if name == CHOSEN:
            return row
        if name in _OF_ROWS:
            return {**row, "text": row.get(name)}
        texts = [text for text in row.get("texts") or [] if text.get("text_media_id") not in self._gone]
        if name == WEIGHTED:
            return self._drawn(texts, key) or row
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
