"""Entries of wordnets, in the three formats that wordnets are published in.

    wndb   Princeton's `data.noun`, `data.verb`, `data.adj`, `data.adv` (WordNet 1.6 to 3.1; manual page wndb(5WN))
    tab    Open Multilingual Wordnet 1, `wn-data-fra.tab`: synset, TAB, `fra:lemma` or `lemma`, TAB, the lemma
    lmf    WN-LMF XML of the Global WordNet Association, 1.0 and later; one or more lexicons in a file

Each may be gzip or bzip2 by its name. A wordnet has no scores.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias
from xml.parsers import expat

from curation.errors import VocabularyError
from curation.vocabulary.lists import opened, text_lines
from curation.vocabulary.terms import Scored

Format: TypeAlias = Literal["wndb", "tab", "lmf"]

# offset, lexicographer file, type of synset, number of words in hexadecimal, the rest
_SYNSET = re.compile(rb"\d{8} \d\d [nvasr] ([0-9a-fA-F]{2}) (.*)", re.DOTALL)
_LEX_ID = re.compile(rb"[0-9a-fA-F]{1,2}")
_POINTERS = re.compile(rb"\d{3}")
_POSITION = re.compile(r"\((?:a|p|ip)\)$")  # where an adjective stands: attributive, predicative, after its noun
_GAPS = ("GAP!", "PSEUDOGAP!")  # what MultiWordNet (Italian) writes where a language has no word


def read_wordnet(
    locations: Sequence[str], *, format: Format, lang: str, lemmas: Literal["first", "all"] = "first"
) -> list[Scored]:
    """The entries of wordnet files in their order, repeated ones too, each with the score None.

    locations: local paths or fsspec URLs. lang: the language as the files themselves name it ("fra" in a tab file,
    "fr" or "zh-Hans" in LMF; letter case and "_" for "-" do not matter); WNDB files name none. lemmas, for wndb:
    "first" gives MetaCLIP's synset names, the first lemma in lower case up to its first full stop; "all" gives all
    lemmas of all synsets in full and as written, as the other two formats always do. Underscores become spaces.

    With "0" to "99", the distinct synset names of WordNet 3.0 are the 86,654 of MetaCLIP's paper.

    Raises VocabularyError, which names file and line, for a file that cannot be read, is of another format or
    language, or holds no lemma.
    """
    if not locations:
        raise VocabularyError("no wordnet file is given: name at least one")
    entries: list[Scored] = []
    for location in locations:
        if format == "wndb":
            texts = list(_synset_names(location) if lemmas == "first" else _wndb_lemmas(location))
        else:
            texts = list(_tab_lemmas(location, lang)) if format == "tab" else _lmf_lemmas(location, lang)
        spaced = [text.replace("_", " ").strip() for text in texts]
        entries += [(text, None) for text in spaced if text]
        if not texts:
            raise VocabularyError(f"{location} holds no lemma of {lang!r}: is it a wordnet file of format {format}?")
    return entries


def _synset_names(location: str) -> Iterator[str]:
    for words in _synsets(location):
        yield words[0].lower().partition(".")[0]


def _wndb_lemmas(location: str) -> Iterator[str]:
    for words in _synsets(location):
        yield from words


def _synsets(location: str) -> Iterator[list[str]]:
    """The words of every synset of a WNDB file, at least one, without the marks of an adjective's position."""
    with opened(location) as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if text.startswith(b"  ") or not text.strip():  # the licence
                continue
            words = _words(text)
            if words is None:
                where = f"{location}: line {number}"
                raise VocabularyError(f"{where} is no line of a WordNet data file (data.noun ...): fetch it again")
            yield words


def _words(line: bytes) -> list[str] | None:
    synset = _SYNSET.match(line)
    size = 2 * int(synset[1], 16) if synset else 0
    fields = synset[2].split(b" ", size + 1) if synset else []
    # After each word stands its lex_id, and after them all the number of pointers.
    if not size or len(fields) <= size or not _POINTERS.fullmatch(fields[size].strip()):
        return None
    if not all(map(_LEX_ID.fullmatch, fields[1:size:2])):
        return None
    try:
        return [_POSITION.sub("", word.decode()) for word in fields[:size:2]]
    except UnicodeDecodeError:
        return None


def _tab_lemmas(location: str, lang: str) -> Iterator[str]:
    for number, line in enumerate(text_lines(location), 1):
        fields = line.rstrip("\r\n").split("\t")
        if line.startswith("#"):
            if number == 1 and len(fields) > 1:
                _check_language(fields[1], lang, f"{location}: line 1")
            continue
        if not line.strip():
            continue
        if len(fields) < 3:
            where = f"{location}: line {number}"
            raise VocabularyError(f"{where} has {len(fields)} of 3 columns: is it a wn-data-LANG.tab?")
        language, _, kind = fields[1].rpartition(":")
        if kind != "lemma":  # definitions, examples, roots, broken plurals
            continue
        if language:
            _check_language(language, lang, f"{location}: line {number}")
        if fields[2].strip() not in _GAPS:
            yield fields[2]


def _lmf_lemmas(location: str, lang: str) -> list[str]:
    lexicons = _Lexicons(location, lang)
    with opened(location) as file:
        try:
            lexicons.parser.ParseFile(file)
        except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: an encoding that is unknown
            raise VocabularyError(f"{location} is no well-formed XML ({error}): fetch it again") from None
    if not lexicons.chosen:
        named = ", ".join(sorted(lexicons.languages)) or "none"
        raise VocabularyError(f"{location} holds no lexicon of {lang!r} (it has {named}): name one of these")
    return lexicons.lemmas


class _Lexicons:
    """Collects the lemmas with a synset of one language's lexicons while the XML goes by."""

    def __init__(self, location: str, lang: str) -> None:
        self.lemmas: list[str] = []
        self.languages: set[str] = set()
        self.chosen = False
        self._location, self._lang = location, lang
        self._started = self._inside = self._has_synset = False
        self._lemma = ""
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._refuse_entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._started and name != "LexicalResource":
            raise self._error(f"the root is {name[:40]!r}, not LexicalResource: is it WN-LMF?")
        self._started = True
        if name in ("Lexicon", "LexiconExtension"):
            language = attributes.get("language", "")
            self.languages.add(language)
            self._inside = _same_language(language, self._lang)
            self.chosen |= self._inside
        elif name == "LexicalEntry":
            self._lemma, self._has_synset = "", False
        elif name == "Lemma":
            if "writtenForm" not in attributes:
                raise self._error("a Lemma without writtenForm: is it WN-LMF?")
            self._lemma = attributes["writtenForm"]
        elif name == "Sense":
            self._has_synset |= bool(attributes.get("synset"))

    def _end(self, name: str) -> None:
        if name == "LexicalEntry" and self._inside and self._has_synset:
            self.lemmas.append(self._lemma)

    def _refuse_entity(self, *_: object) -> None:
        # Entities that expand to others make gigabytes of one line; WN-LMF needs none.
        raise self._error("it declares entities: take the declarations out")

    def _error(self, complaint: str) -> VocabularyError:
        return VocabularyError(f"{self._location}: line {self.parser.CurrentLineNumber}: {complaint}")


def _check_language(found: str, lang: str, where: str) -> None:
    if not _same_language(found, lang):
        raise VocabularyError(f"{where} is of language {found.strip()[:40]!r}, not {lang!r}: give the file of {lang!r}")


def _same_language(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(lang: str) -> str:
    return lang.strip().lower().replace("_", "-")
