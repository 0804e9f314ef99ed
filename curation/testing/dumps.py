"""Small inputs of a vocabulary: Wikipedia dumps in multistream bzip2, hourly page views, wordnets in three formats."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

HEADER = b"""<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="de">
  <siteinfo><namespaces>
    <namespace key="-1" case="first-letter">Spezial</namespace><namespace key="0" case="first-letter" />
    <namespace key="6" case="first-letter">Datei</namespace><namespace key="14">Kategorie</namespace>
  </namespaces></siteinfo>
"""
FOOTER = b"</mediawiki>\n"


def article_xml(number: int, text: str, *, namespace: int = 0, redirect: bool = False) -> bytes:
    """A page as MediaWiki writes it, titled "Title NUMBER"."""
    return f"""  <page>
    <title>Title {number}</title>
    <ns>{namespace}</ns>
    <id>{number}</id>
    {'<redirect title="X" />' if redirect else ""}
    <revision>
      <id>77</id>
      <text xml:space="preserve">{escape(text)}</text>
    </revision>
  </page>
""".encode()


def write_dump(path: Path, texts: Iterable[str], *, first: int = 1, wiki: str | None = None) -> Path:
    """A whole dump of one article per text, each in a bzip2 stream of its own, numbered from `first`.

    wiki: how the dump names itself, such as enwiki.
    """
    articles = (article_xml(number, text) for number, text in enumerate(texts, first))
    named = f"<siteinfo><dbname>{wiki}</dbname>".encode()
    header = HEADER.replace(b"<siteinfo>", named) if wiki else HEADER
    return _written(path, b"".join(map(bz2.compress, [header, *articles, FOOTER])))


def write_views(path: Path, views: Mapping[tuple[str, str], int]) -> Path:
    """An hour of page views: (project, title as in the address) -> views."""
    lines = (f"{project} {title} {count} 0\n" for (project, title), count in views.items())
    return _written(path, gzip.compress("".join(lines).encode(), mtime=0))


def write_wndb(path: Path, lemmas: Sequence[str]) -> Path:
    """A data file of WordNet's own, one synset per lemma (blanks are written as "_")."""
    lines = (f"{at:08d} 03 n 01 {lemma.replace(' ', '_')} 0 000 | gloss\n" for at, lemma in enumerate(lemmas))
    return _written(path, ("  1 a licence\n" + "".join(lines)).encode())


def write_tab(path: Path, code: str, lemmas: Sequence[str]) -> Path:
    """A tab file of the Open Multilingual Wordnet; code: the language in it, such as fra."""
    lines = (f"{at:08d}-n\t{code}:lemma\t{lemma}\n" for at, lemma in enumerate(lemmas))
    return _written(path, (f"# a wordnet\t{code}\thttps://example.org\tfree\n" + "".join(lines)).encode())


def _written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
