"""Which vocabulary a text, a Wikipedia and a WordNet belong to: the one place that maps language codes.

A vocabulary language is what a recipe's `match.vocabularies` is keyed by: a label of lid.176, as texts bear them, or
"other". What is merged, and by which rule:

- Chinese (zh) takes the languages of ISO 639-3's macrolanguage zho (wuu, yue, gan, hak, nan, cdo, lzh ...); MetaCLIP 2
  merges zh_classical, zh_min_nan and zh_yue so.
- Another Wikipedia without a label of its own goes to the language that ISO 639-3 has as its macrolanguage (ary to ar,
  fiu-vro to et, ltg to lv, bjn to ms, koi to kv), or that its pages name in their language tag (simple: en-simple,
  be-tarask, roa-tara: nap-x-tara, map-bms: jv-x-bms, nds-nl), or from whose Wikipedia it split (hyw).
- All other labels of lid.176 keep a list of their own, near ones too (bs, hr, sh, sr; no, nn; ar, arz), as each has its
  Wikipedia. What has no label (ab, bat-smg, roa-rup ...) is "other", as with MetaCLIP 2.

The same code can mean two things: als is Alemannic to lid.176 and Wikipedia (it is gsw), Albanian to WordNets (as in
ISO 639-3), so each kind of code has its own function. Letter case, and "_" for "-", never matter. The anniversary site
ten.wikipedia.org is no language, and in no list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from curation.errors import VocabularyError
from curation.vocabulary._language_codes import LANGUAGES, OTHER_WIKIPEDIAS, RENAMED_WIKIPEDIAS

OTHER = "other"
"""The list of all languages that have none of their own."""
_CODE = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,12}){0,3}")


@dataclass(frozen=True)
class _Language:
    name: str
    wikipedias: tuple[str, ...]
    wordnets: tuple[str, ...]
    merged: tuple[str, ...]


def vocabulary_lang(lid_code: str) -> str:
    """The vocabulary language of texts with a label of lid.176, or with such a code of another identifier.

    "other" for what is unknown, and for "" (no language found); a tag's script or region (zh-Hant, pt_BR) is passed
    over. Raises VocabularyError for what is no language code.
    """
    if not lid_code:
        return OTHER
    code = _normal(lid_code)
    return _OF_TEXT.get(code) or _OF_TEXT.get(code.split("-")[0], OTHER)


def vocabulary_langs() -> tuple[str, ...]:
    """All vocabulary languages, sorted, and "other" at the end."""
    return tuple(_LANGUAGES)


def name(lang: str) -> str:
    """English name of a vocabulary language. Raises VocabularyError for what is none."""
    return _language(lang).name


def wikipedia_codes(lang: str) -> tuple[str, ...]:
    """Codes, as in NAME.wikipedia.org and in hourly page views, of the Wikipedias that make a language's list.

    Its main one comes first; MetaCLIP v1's English list is of en alone, without simple. Raises VocabularyError.
    """
    return _language(lang).wikipedias


def wordnet_codes(lang: str) -> tuple[str, ...]:
    """Codes, as in the Open Multilingual Wordnet's file names, of a language's WordNets. Raises VocabularyError."""
    return _language(lang).wordnets


def lang_of_wikipedia(code: str) -> str:
    """The vocabulary language of a Wikipedia's code (or an old one). Raises VocabularyError where there is none."""
    found = _normal(code)
    lang = _OF_WIKIPEDIA.get(RENAMED_WIKIPEDIAS.get(found, found))
    if lang is None:
        raise VocabularyError(f"no Wikipedia is called {_shown(code)}: give its code, such as en or zh-min-nan")
    return lang


def lang_of_wordnet(code: str) -> str:
    """The vocabulary language of a WordNet: of its code (cmn, als), or of the tag in its LMF file (cmn-Hans, sq).

    Raises VocabularyError for a language that has no list of its own: there is no WordNet to be found in "other".
    """
    primary = _normal(code).split("-")[0]
    lang = _OF_WORDNET.get(primary) or _OF_TEXT.get(primary, OTHER)
    if lang == OTHER:
        raise VocabularyError(f"no WordNet language is called {_shown(code)}: give its ISO 639-3 code, such as eng")
    return lang


def _language(lang: str) -> _Language:
    code = _normal(lang)
    found = _LANGUAGES.get(code)
    if found is None and (used := _OF_TEXT.get(code)):
        raise VocabularyError(f"{code} has no vocabulary of its own: its texts use {used}")
    if found is None:
        raise VocabularyError(f"no vocabulary language is called {_shown(lang)}: give a label of lid.176, or other")
    return found


def _normal(code: str) -> str:
    found = code.strip().lower().replace("_", "-") if len(code) <= 40 else ""
    if not _CODE.fullmatch(found):
        raise VocabularyError(f"{_shown(code)} is no language code: give one such as en or zh-min-nan")
    return found


def _shown(code: str) -> str:
    return repr(code[:40])


def _read_table() -> dict[str, _Language]:
    languages: dict[str, _Language] = {}
    for line in LANGUAGES.strip().splitlines():
        code, english, *lists = (column.strip() for column in line.split("|"))
        wikipedias, wordnets, merged = (tuple(column.split()) for column in [*lists, "", ""][:3])
        languages[code] = _Language(english, wikipedias, wordnets, merged)
    return {**languages, OTHER: _Language("Other languages", tuple(OTHER_WIKIPEDIAS.split()), (), ())}


_LANGUAGES = _read_table()
_OF_TEXT = {code: lang for lang, entry in _LANGUAGES.items() for code in (lang, *entry.merged)}
_OF_WIKIPEDIA = {code: lang for lang, entry in _LANGUAGES.items() for code in entry.wikipedias}
_OF_WORDNET = {code: lang for lang, entry in _LANGUAGES.items() for code in entry.wordnets}
