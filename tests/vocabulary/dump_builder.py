"""Builds small export dumps and notes rejections."""

from __future__ import annotations

import bz2
from html import escape

from curation.errors import Reason
from curation.vocabulary.dump import Page, pages

HEADER = b"""<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="de">
  <siteinfo><namespaces>
    <namespace key="-1" case="first-letter">Spezial</namespace><namespace key="0" case="first-letter" />
    <namespace key="6" case="first-letter">Datei</namespace><namespace key="14">Kategorie</namespace>
  </namespaces></siteinfo>
"""
FOOTER = b"</mediawiki>\n"


def page_xml(page: Page) -> bytes:
    """A page as MediaWiki writes it."""
    redirect = '<redirect title="X" />' if page.redirect else ""
    return f"""  <page>
    <title>{escape(page.title)}</title>
    <ns>{page.namespace}</ns>
    <id>{page.id}</id>
    {redirect}
    <revision>
      <id>77</id>
      <contributor><username>u</username><id>5</id></contributor>
      <text bytes="3" xml:space="preserve">{escape(page.text)}</text>
    </revision>
  </page>
""".encode()


def multistream(*streams: list[Page]) -> bytes:
    """A dump of one bzip2 stream for the header, one for each list of pages, and one for the footer."""
    bodies = [HEADER, *(b"".join(map(page_xml, stream)) for stream in streams), FOOTER]
    return b"".join(map(bz2.compress, bodies))


def an_article(number: int, text: str = "some text") -> Page:
    return Page(number, f"Title {number}", 0, False, f"{text} {number}")


class Log(list[tuple[Reason, int | None, str]]):
    """Takes rejections."""

    def __call__(self, reason: Reason, *, offset: int | None, detail: str) -> None:
        self.append((reason, offset, detail))

    @property
    def reasons(self) -> list[Reason]:
        return [reason for reason, _, _ in self]


def read(location: str, start: int = 0, end: int = 1 << 40) -> tuple[list[Page], Log]:
    """All pages of a range, and what was rejected."""
    log = Log()
    return list(pages(location, start, end, log)), log
