"""The lists under metadata/demo, and the words drawn from them."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter

import pytest

from curation.concepts import packaged_folder
from curation.errors import VocabularyError
from curation.testing import starter_entries, starter_languages
from curation.testing.concepts import lexicon

LANGUAGES = starter_languages()


def test_languages_and_sizes() -> None:
    assert set(LANGUAGES) >= {"en", "de", "fr", "es", "ru", "zh", "ja", "tr", "ar", "it"}
    assert len(starter_entries("en")) >= 1500
    assert all(len(starter_entries(lang)) >= 150 for lang in LANGUAGES)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_lists_are_clean(lang: str) -> None:
    content = (packaged_folder("demo") / f"{lang}.txt").read_bytes().decode("utf-8")
    lines = content.split("\n")
    assert lines.pop() == "", "the last line ends in a newline"
    assert all(lines)
    assert lines == [line.strip() for line in lines]
    assert content == unicodedata.normalize("NFC", content)
    assert not [entry for entry, count in Counter(lines).items() if count > 1]
    assert not [entry for entry in lines if re.search(r"\s\s|[\t\r#,]", entry)]


SCRIPTS = {"zh": "[一-鿿]+", "ja": "[぀-ヿ一-鿿ー々]+", "ru": "[а-яё -]+", "ar": "[ء-ي ]+"}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_lists_are_in_native_script_and_case(lang: str) -> None:
    script = SCRIPTS.get(lang)
    if script is not None:
        wrong = [entry for entry in starter_entries(lang) if not re.fullmatch(script, entry)]
    elif lang == "de":  # nouns
        wrong = [entry for entry in starter_entries(lang) if not entry[0].isupper()]
    else:
        proper = re.compile(
            r"German|St\. B|Siamese|Persian|Maine|Japanese|French|Ferris|Christmas|Easter|New Year|Halloween"
            r"|Thanksgiving|Ramadan|Diwali|Hanukkah|Valentine|Noël|Pâques|Navidad|Natale"
        )
        wrong = [entry for entry in starter_entries(lang) if entry != entry.lower() and not proper.search(entry)]
    assert wrong == []


def test_readme_counts_the_entries() -> None:
    readme = (packaged_folder("demo").parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| (\w+)\.txt \|.*\| ([\d,]+) \|", readme)
    counts = {name: int(count.replace(",", "")) for name, count in rows}
    assert counts == {lang: len(starter_entries(lang)) for lang in LANGUAGES}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_noun_has_a_phrase_that_holds_it(lang: str) -> None:
    words, rng = lexicon(lang), random.Random(0)
    for entry in words.draw.items:
        phrase = words.noun_phrase(entry, rng)
        assert phrase.endswith(entry)
        assert "  " not in phrase


@pytest.mark.parametrize(
    ("lang", "entry", "phrase"),
    [
        ("en", "apple", "an apple"),
        ("en", "unicorn", "a unicorn"),
        ("en", "umbrella", "an umbrella"),
        ("en", "water", "water"),
        ("de", "Katze", "eine Katze"),
        ("de", "Blumen", "Blumen"),
        ("fr", "maison", "une maison"),
        ("es", "águila", "un águila"),
        ("it", "squalo", "uno squalo"),
        ("it", "arancia", "un'arancia"),
        ("tr", "kedi", "bir kedi"),
        ("zh", "猫", "猫"),
    ],
)
def test_articles(lang: str, entry: str, phrase: str) -> None:
    seeds = range(20) if lang == "en" else range(1)  # English adds an adjective now and then
    assert phrase in {lexicon(lang).noun_phrase(entry, random.Random(seed)) for seed in seeds}


def test_draws_have_a_head_and_a_tail() -> None:
    draw, rng = lexicon("en").draw, random.Random(1)
    counts = Counter(draw(rng) for _ in range(20_000))
    assert counts.most_common(1)[0][0] == draw.items[0]
    # Zipf's law with exponent 1: the first item has 1 / H(n) of all draws, the tenth a tenth of that.
    harmonic = sum(1 / rank for rank in range(1, len(draw.items) + 1))
    assert counts[draw.items[0]] == pytest.approx(20_000 / harmonic, rel=0.1)
    assert counts[draw.items[9]] == pytest.approx(2_000 / harmonic, rel=0.3)


def test_unknown_language_is_named() -> None:
    with pytest.raises(VocabularyError, match=r"'xx'.*ar, de, en"):
        starter_entries("xx")
