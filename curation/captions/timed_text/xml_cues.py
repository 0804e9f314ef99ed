"""Timed text in XML: TTML (W3C; DFXP before) and what YouTube sends as srv1, srv2 and srv3.

Nothing outside of the text is read, and a text that declares entities is refused: they multiply.
"""

from __future__ import annotations

from typing import Any, Protocol
from xml.parsers import expat

from curation.captions.timed_text.cues import TimedTextError, Track
from curation.captions.timed_text.srv import SrvReader
from curation.captions.timed_text.ttml import TtmlReader


class XmlReader(Protocol):
    """What is told of the elements of a document, names and attributes without namespaces."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def data(self, text: str) -> None: ...

    def track(self) -> Track: ...


def read_xml(text: str) -> Track:
    """text: as lines_of gives it. Of a document that breaks off, what was whole. Raises TimedTextError."""
    document = _Document()
    try:
        document.parse(text)
    except expat.ExpatError as error:
        if document.reader is None or not document.reader.track().cues:
            raise TimedTextError(f"no timed text: malformed XML, {expat.errors.messages[error.code]}") from None
    if document.reader is None:
        raise TimedTextError("no timed text: an XML document without elements")
    return document.reader.track()


class _Document:
    def __init__(self) -> None:
        self.reader: XmlReader | None = None

    def parse(self, text: str) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.EntityDeclHandler = _refuse
        parser.Parse(text.encode(), True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        attributes = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        if self.reader is None:
            self.reader = _reader(name)
        self.reader.start(name, attributes)

    def _end(self, name: str) -> None:
        if self.reader is not None:
            self.reader.end(name.rpartition(":")[2])

    def _data(self, text: str) -> None:
        if self.reader is not None:
            self.reader.data(text)


def _reader(root: str) -> XmlReader:
    if root == "tt":
        return TtmlReader()
    if root in ("timedtext", "transcript"):
        return SrvReader()
    raise TimedTextError(f"no timed text: an XML document of <{root[:40]}>")


def _refuse(*_: Any) -> None:
    raise TimedTextError("no timed text is read from XML that declares entities")
