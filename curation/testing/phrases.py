"""Sentences of the demo web, by language, from phrases.yaml.

Slots: {x} noun phrase with article ({X} capitalised), {y} a second one, {c} bare entry ({C} capitalised), {s} where or
when ({S} capitalised), {n} and {m} two names, {o} a firm, {k} a code, {d} a year.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from curation.testing.concepts import Lexicon, lexicon, starter_languages

# In these languages an entry without article ("flores", "agua") fits a plain sentence only.
_NEEDS_ARTICLE = ("de", "fr", "es", "it")


@dataclass(frozen=True)
class Phrases:
    """What one language says.

    captions, plain and pairs hold one or two entries; unknown captions hold none and never match; site is (home,
    about, contact, licence, video).
    """

    captions: tuple[str, ...]
    plain: tuple[str, ...]
    pairs: tuple[str, ...]
    unknown: tuple[str, ...]
    scenes: tuple[str, ...]
    body: tuple[str, ...]
    titles: tuple[str, ...]
    names: tuple[str, ...]
    site: tuple[str, ...]


@dataclass(frozen=True)
class Sentence:
    """A text and the entries it was made from (none where its language has no starter vocabulary)."""

    text: str
    concepts: tuple[str, ...] = ()


class Writer:
    """Writes texts of one language, every choice from the given generator; recorded: about what videos are about."""

    def __init__(self, lang: str, rng: random.Random, *, recorded: bool = False) -> None:
        self.lang = lang
        self.phrases = _phrases()[lang]
        self._lexicon: Lexicon | None = lexicon(lang) if lang in starter_languages() else None
        self._recorded = recorded
        self._rng = rng

    def concept(self) -> str:
        """An entry, the head of the list far more often than its tail; empty for a language without vocabulary."""
        if self._lexicon is None:
            return ""
        draw = self._lexicon.recorded if self._recorded else self._lexicon.draw
        return draw(self._rng)

    def caption(self, concept: str) -> Sentence:
        """A sentence about the concept, sometimes together with a second one."""
        roll = self._rng.random()
        kind = "pairs" if roll < 0.2 else "plain" if roll < 0.3 else "captions"
        return self._write(self._choose(kind, concept), concept)

    def unknown(self) -> str:
        """A sentence that holds no entry on purpose: names, firms, codes."""
        return self._write(self._rng.choice(self.phrases.unknown), "").text

    def body(self, concept: str) -> str:
        return self._write(self._choose("body", concept), concept).text

    def title(self, concept: str) -> str:
        return self._write(self._choose("titles", concept), concept).text

    def video(self, concept: str) -> Sentence:
        """The title of a video about the concept."""
        bare = "{x}" in self.phrases.site[4] and not self._takes_article(concept)
        return self._write(self.phrases.titles[0] if bare else self.phrases.site[4], concept)

    def _choose(self, kind: str, concept: str) -> str:
        """A template of the kind that the concept fits; plain sentences and titles fit all."""
        templates: tuple[str, ...] = getattr(self.phrases, kind)
        if not self._takes_article(concept):
            templates = self.phrases.plain if kind in ("captions", "pairs") else tuple(
                template for template in templates if "{x}" not in template
            )
        return self._rng.choice(templates)

    def _takes_article(self, concept: str) -> bool:
        if self.lang not in _NEEDS_ARTICLE or self._lexicon is None:
            return True
        return self._lexicon.section_of[concept] != "bare"

    def _write(self, template: str, concept: str) -> Sentence:
        rng = self._rng
        name, other_name = rng.sample(self.phrases.names, 2)
        second = self._second(concept) if "{y}" in template else ""
        slots = {
            "x": self._phrase(concept),
            "y": self._phrase(second),
            "c": concept,
            "s": rng.choice(self.phrases.scenes),
            "n": name,
            "m": other_name,
            "o": rng.choice(_firms()),
            "k": f"{rng.choice('ABHKTX')}{rng.choice('RLSV')}-{rng.randrange(100, 9900)}",
            "d": str(rng.randrange(1998, 2026)),
        }
        slots["s"] = slots["s"].format(**slots)
        slots |= {slot.upper(): slots[slot][:1].upper() + slots[slot][1:] for slot in "xcs"}
        used = (concept if any(slot in template for slot in ("{x}", "{X}", "{c}", "{C}")) else "", second)
        return Sentence(template.format(**slots), tuple(entry for entry in used if entry))

    def _second(self, concept: str) -> str:
        """Another concept that takes an article like the first one."""
        for _ in range(20):
            second = self.concept()
            if second != concept and self._takes_article(second):
                return second
        return concept

    def _phrase(self, concept: str) -> str:
        if self._lexicon is None or not concept:
            return concept
        return self._lexicon.noun_phrase(concept, self._rng)


def phrase_languages() -> list[str]:
    """Languages the demo web is written in, sorted."""
    return sorted(_phrases())


def _tree() -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("phrases.yaml").read_text(encoding="utf-8"))
    return tree


@cache
def _firms() -> tuple[str, ...]:
    return tuple(_tree()["firms"])


@cache
def _phrases() -> dict[str, Phrases]:
    return {
        lang: Phrases(**{key: tuple(values) for key, values in parts.items()})
        for lang, parts in _tree().items()
        if lang != "firms"
    }
