"""The starter vocabularies, read for writing: noun phrases with the right article, drawn with a long tail."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from curation.concepts import packaged_folder, packaged_languages
from curation.errors import VocabularyError

# A list is ordered by grammar: a section runs from the entry named here to the next one's.
_SECTIONS = {
    "en": {"article": "photo", "bare": "water", "adjective": "red"},
    "de": {"m": "Hund", "f": "Katze", "n": "Foto", "bare": "Blumen"},
    "fr": {"m": "chien", "f": "photo", "bare": "fleurs"},
    "es": {"m": "perro", "f": "foto", "bare": "flores"},
    "it": {"m": "cane", "f": "fotografia", "bare": "fiori"},
}
_ARTICLES = {
    "de": {"m": "ein", "f": "eine", "n": "ein"},
    "fr": {"m": "un", "f": "une"},
    "es": {"m": "un", "f": "una"},
    "it": {"m": "un", "f": "una"},
    "tr": {"bare": "bir"},
}
# Written with a vowel, spoken with a consonant.
_SPOKEN_WITH_Y = ("uni", "uku")
_ADJECTIVES = ("red", "blue", "white", "black", "golden", "small", "large", "old", "new", "colorful", "beautiful")

# What the web shows most; the rest of a list follows in a fixed shuffled order.
_HEADS = {
    "en": "dog, cat, house, flower, car, beach, tree, woman, man, horse, mountain, bird, child, sunset, dress, "
    "kitchen, garden, lake, train, cake, boat, street, church, bridge, chair, book, rose, golden retriever, baby",
    "de": "Hund, Haus, Katze, Auto, Garten, Baum, Berg, See, Pferd, Kirche, Blume, Kind",
    "fr": "chien, maison, chat, fleur, plage, voiture, jardin, cheval, château, montagne, gâteau, arbre",
    "es": "perro, casa, gato, playa, flor, coche, iglesia, caballo, montaña, árbol, calle, plaza",
    "it": "cane, casa, gatto, spiaggia, chiesa, mare, giardino, cavallo, piazza, torta, barca, albero",
    "ru": "собака, кошка, дом, машина, цветок, дерево, река, лес, церковь, лошадь, мост, дети",
    "zh": "狗，猫，花，山，房子，孩子，公园，城市，汽车，大海，日落，大熊猫",
    "ja": "犬，猫，花，山，桜，海，家，神社，電車，夕日，庭園，子供",
    "tr": "köpek, kedi, ev, deniz, çiçek, araba, ağaç, cami, dağ, at, çocuk, bahçe",
    "ar": "قطة، كلب، بيت، زهرة، بحر، حصان، شجرة، مسجد، سيارة، جمل، مدينة، طفل",
}
_OTHER_HEAD = 5  # place in the head where that of videos begins
_RECORDED_EXPONENT = 1.15


def starter_languages() -> list[str]:
    """Languages that have a starter vocabulary, sorted."""
    return packaged_languages("demo")


@cache
def starter_entries(lang: str) -> tuple[str, ...]:
    """Entries of a language's starter vocabulary, in file order. Raises VocabularyError where there is none."""
    path = packaged_folder("demo") / f"{lang}.txt"
    if not path.is_file():
        raise VocabularyError(f"no starter vocabulary for {lang!r}: there are {', '.join(starter_languages())}")
    return tuple(path.read_text(encoding="utf-8").splitlines())


class ZipfDraw:
    """Draws items so that the one at rank r (from 1) comes with probability proportional to 1 / r**exponent."""

    def __init__(self, items: Sequence[str], exponent: float) -> None:
        self.items = tuple(items)
        self._cumulative = list(accumulate(1 / rank**exponent for rank in range(1, len(self.items) + 1)))

    def __call__(self, rng: random.Random) -> str:
        return self.items[bisect(self._cumulative, rng.random() * self._cumulative[-1])]


@dataclass(frozen=True)
class Lexicon:
    """One language's entries with what is needed to write sentences around them."""

    lang: str
    section_of: dict[str, str]
    draw: ZipfDraw
    recorded: ZipfDraw
    """What videos and sounds are about: another head than that of images, and a steeper one."""

    def noun_phrase(self, entry: str, rng: random.Random) -> str:
        """The entry with its indefinite article, where it takes one; in English sometimes with an adjective."""
        section = self.section_of[entry]
        if section == "article":
            phrase = f"{rng.choice(_ADJECTIVES)} {entry}" if rng.random() < 0.2 else entry
            return f"{_english_article(phrase)} {phrase}"
        article = _ARTICLES.get(self.lang, {}).get(section, "")
        if self.lang == "it":
            return _italian_phrase(article, entry)
        return f"{article} {entry}".strip()


@cache
def lexicon(lang: str, exponent: float = 1.0) -> Lexicon:
    """The lexicon of a language with a starter vocabulary. Raises VocabularyError for another one."""
    entries = starter_entries(lang)
    section_of = _sections(lang, entries)
    nouns = [entry for entry in entries if section_of[entry] != "adjective"]
    head = [entry.strip() for entry in _HEADS[lang].replace("，", ",").replace("、", ",").replace("،", ",").split(",")]
    missing = sorted(set(head) - set(nouns))
    if missing:
        raise VocabularyError(f"{packaged_folder('demo') / lang}.txt lacks the head concepts {missing}: put them back")
    tail = [entry for entry in nouns if entry not in set(head)]
    random.Random(f"order of {lang}").shuffle(tail)
    recorded = ZipfDraw([*head[_OTHER_HEAD:], *head[:_OTHER_HEAD], *tail], _RECORDED_EXPONENT)
    return Lexicon(lang, section_of, ZipfDraw([*head, *tail], exponent), recorded)


def _sections(lang: str, entries: Sequence[str]) -> dict[str, str]:
    starts = {first: section for section, first in _SECTIONS.get(lang, {"bare": entries[0]}).items()}
    missing = sorted(set(starts) - set(entries))
    if missing:
        raise VocabularyError(f"entries {missing} open sections of {packaged_folder('demo') / lang}.txt: put them back")
    section, section_of = starts[entries[0]], {}
    for entry in entries:
        section = starts.get(entry, section)
        section_of[entry] = section
    return section_of


def _english_article(phrase: str) -> str:
    vowel = phrase[0].lower() in "aeiou" and not phrase.lower().startswith(_SPOKEN_WITH_Y)
    return "an" if vowel else "a"


def _italian_phrase(article: str, entry: str) -> str:
    if article == "una" and entry[0] in "aeiou":
        return f"un'{entry}"
    hard = entry[0] == "z" or (entry[0] == "s" and entry[1] not in "aeiou") or entry[:2] in ("ps", "gn")
    return f"uno {entry}" if article == "un" and hard else f"{article} {entry}".strip()
