"""The pool: pairs of a glyph's image and a text, as noisy as a crawl, and its table for the product."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bench.effect.settings import JUNK_SHARE, WRONG_SHARE, ZIPF

Ints = npt.NDArray[np.int64]
TEMPLATES = (
    "{}",
    "a photo of {}",
    "the glyph {}",
    "picture of {} on plain paper",
    "how to write {}",
    "{} drawn by hand",
    "a blurry scan of {}",
    "the sign {} in a free font",
    "close up of {}",
    "{} as seen in print",
    "unicode {} example",
    "print showing {}",
)
"""Captions are made of these, and so are the texts of zero-shot classification: all of them, without fillers."""
FILLERS = (
    "free download",
    "high resolution",
    "best quality",
    "our new collection",
    "see also page two",
    "stock picture",
    "buy it today",
    "from the archive",
)
"""Behind every third caption."""
JUNK = (
    "click here",
    "read more",
    "image not available",
    "logo",
    "untitled",
    "buy now",
    "share on social media",
    "advertisement",
    "thumbnail",
    "skip to content",
    "subscribe to our newsletter",
    "all rights reserved",
    "IMG_{}.jpg",
    "DSC{}.JPG",
    "banner-{}.png",
    "photo {}",
)
"""Texts that name no concept; {} becomes a number."""
HOST = "https://glyphs.example"
_FILLED_SHARE = 1 / 3
_NUMBERS = 10_000
_FILES = 4
_ROW = re.compile(r"/(\d+)\.png$")


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows of a pool; concepts are numbers in the vocabulary."""

    size: int
    seed: int
    ranks: Ints
    """(concepts,) by frequency: ranks[0] is the most frequent concept."""
    said: Ints
    """(size,) the concept that the text names; -1: junk."""
    shown: Ints
    """(size,) the concept in the image."""
    texts: list[str]

    @property
    def counts(self) -> Ints:
        """(concepts,) texts that name each concept."""
        return np.bincount(self.said[self.said >= 0], minlength=len(self.ranks)).astype(np.int64)


def frequencies(concepts: int) -> npt.NDArray[np.float64]:
    """Zipf's shares of the ranks 1, 2, ...: proportional to rank ** -1.2; they sum to 1."""
    weights = np.arange(1, concepts + 1) ** -ZIPF
    return np.asarray(weights / weights.sum())


def make_pool(names: list[str], size: int, seed: int) -> Pool:
    """The pool of a seed. Which concept is frequent changes with the seed, so that no glyph is always in the tail."""
    draws = np.random.default_rng([seed, size])
    ranks = np.random.default_rng([seed, 0]).permutation(len(names))
    shares = frequencies(len(names))
    shown = ranks[draws.choice(len(names), size, p=shares)]
    kind = draws.random(size)
    said = np.where(kind < JUNK_SHARE, -1, shown)
    wrong = np.flatnonzero((kind >= JUNK_SHARE) & (kind < JUNK_SHARE + WRONG_SHARE))
    shown[wrong] = _others(shown[wrong], ranks, shares, draws)
    return Pool(size, seed, ranks, said, shown, _texts(names, said, draws))


def _others(concepts: Ints, ranks: Ints, shares: npt.NDArray[np.float64], draws: np.random.Generator) -> Ints:
    """For each concept another one, by frequency: pictures of frequent things are what is mixed in."""
    others = concepts.copy()
    while len(same := np.flatnonzero(others == concepts)):
        others[same] = ranks[draws.choice(len(ranks), len(same), p=shares)]
    return others


def _texts(names: list[str], said: Ints, draws: np.random.Generator) -> list[str]:
    template = draws.integers(len(TEMPLATES), size=len(said))
    filler = np.where(draws.random(len(said)) < _FILLED_SHARE, draws.integers(len(FILLERS), size=len(said)), -1)
    junk, number = draws.integers(len(JUNK), size=len(said)), draws.integers(_NUMBERS, size=len(said))
    texts = []
    for row, concept in enumerate(said.tolist()):
        if concept < 0:
            texts.append(JUNK[junk[row]].format(f"{number[row]:04d}"))
            continue
        caption = TEMPLATES[template[row]].format(names[concept])
        texts.append(caption if filler[row] < 0 else f"{caption} {FILLERS[filler[row]]}")
    return texts


def write_table(pool: Pool, folder: Path) -> None:
    """The pool as the product reads it: Parquet files with url and alt, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    urls = [f"{HOST}/{pool.seed}/{pool.size}/{row}.png" for row in range(pool.size)]
    for number, part in enumerate(_parts(pool.size)):
        table = pa.table({"url": urls[part], "alt": pool.texts[part]})
        pq.write_table(table, folder / f"{number}.parquet")


def _parts(size: int) -> Iterator[slice]:
    edges = np.linspace(0, size, _FILES + 1).astype(int).tolist()
    return (slice(first, last) for first, last in pairwise(edges))


def row_of(url: str) -> int:
    """The row of a pool that a URL stands for. Raises ValueError for any other URL."""
    found = _ROW.search(url)
    if found is None:
        raise ValueError(f"{url} is no URL of a pool")
    return int(found[1])
