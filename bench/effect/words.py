"""Texts as numbers of words: the words of names, templates, fillers and junk; digits and others are one word each."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from bench.effect.pool import FILLERS, JUNK, TEMPLATES, Ints

_WORD = re.compile(r"[a-z0-9'-]+")
OTHER, NUMBER = 0, 1


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts in CSR: text i holds the words values[offsets[i]:offsets[i + 1]]."""

    values: Ints
    offsets: Ints

    def take(self, rows: Ints) -> tuple[Ints, Ints]:
        """(words, starts) of some texts, as an embedding bag reads them."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        starts = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) - np.repeat(starts - self.offsets[rows], lengths)
        return self.values[places], starts


class Words:
    """Numbers of words; 0 for unknown ones, 1 for unknown ones that hold a digit."""

    def __init__(self, names: list[str]) -> None:
        known = {word for text in (*names, *TEMPLATES, *FILLERS, *JUNK) for word in _WORD.findall(text.lower())}
        self._numbers = {word: number for number, word in enumerate(sorted(known), start=NUMBER + 1)}

    def __len__(self) -> int:
        return len(self._numbers) + NUMBER + 1

    def read(self, texts: list[str]) -> Texts:
        """A text without words becomes one unknown word."""
        numbers = [[self._number(word) for word in _WORD.findall(text.lower())] or [OTHER] for text in texts]
        offsets = np.cumsum([0, *map(len, numbers)])
        return Texts(np.array([number for text in numbers for number in text], np.int64), offsets)

    def _number(self, word: str) -> int:
        return self._numbers.get(word, NUMBER if any(letter.isdigit() for letter in word) else OTHER)
