"""Pages of a MediaWiki export dump, read by byte ranges: XML, plain or in bzip2 of one or of many streams.

The dump is cut at `<page>` and `</page>`, which MediaWiki never writes inside a page (it escapes `<`), and every page
is parsed on its own. So a broken page costs one page, memory is that of one page, and no document type is ever read:
an entity other than XML's own five is an error, and nothing can be expanded. Format:
https://www.mediawiki.org/wiki/Help:Export and https://www.mediawiki.org/xml/export-0.11.xsd
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple
from xml.parsers import expat

from curation.crawl.streams import open_binary
from curation.errors import Reason
from curation.vocabulary.dump_bytes import Chunk, Reject, head_bytes, read_chunks

MAX_PAGE_BYTES = 50 << 20
"""XML bytes above which a page is refused; MediaWiki itself refuses texts over 2 MiB ($wgMaxArticleSize)."""
_PAGE, _PAGE_END, _FOOTER = b"<page>", b"</page>", b"</mediawiki>"
_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|!--|mediawiki\b)")
_TITLE = re.compile(rb"<title>([^<]{0,1024})")
_NAMESPACE = re.compile(rb'<namespace\s[^<>]*?key="(-?\d{1,9})"[^<>]*>([^<]*)')


class Page(NamedTuple):
    """A page of a dump; `text` is the wikitext of its last revision, empty where that was hidden."""

    id: int
    title: str
    namespace: int
    redirect: bool
    text: str


def split(size_bytes: int, target_bytes: int = 64 << 20) -> list[tuple[int, int]]:
    """Byte ranges [start, end) that cover a file, all of them about `target_bytes` long; [(0, 0)] for an empty one."""
    parts = max(round(size_bytes / target_bytes), 1)
    edges = [size_bytes * part // parts for part in range(parts + 1)]
    return list(pairwise(edges))


def namespace_names(location: str) -> dict[int, str]:
    """Names of the namespaces by number, as the dump's header gives them (6 is File, 14 Category); empty without one.

    Raises FileNotFoundError and what else opening and reading raise.
    """
    with open_binary(location) as file:
        found = _NAMESPACE.findall(head_bytes(file, b"</siteinfo>") or b"")
    return {int(number): html.unescape(name.decode("utf-8", "replace")) for number, name in found if name.strip()}


def pages(location: str, start: int, end: int, reject: Reject) -> Iterator[Page]:
    """The pages of the bytes [start, end) of a dump (local path or fsspec URL), in order.

    In bzip2 those whose `<page>` lies in a stream that begins in the range, in plain XML those whose `<page>` begins
    there: any division of a file into ranges gives every page once. A range of a single-stream bzip2 file that does
    not hold byte 0 has none. What cannot be read is rejected, and reading goes on at the next page or stream.
    Raises FileNotFoundError and what else opening and reading raise.
    """
    with open_binary(location) as file:
        head = head_bytes(file, b"<mediawiki")
        if head is not None and not (_ROOT.match(head) and b"<mediawiki" in head):
            if start == 0:
                reject(Reason.NOT_AN_ARCHIVE, offset=0, detail=f"no MediaWiki export: begins with {head[:40]!r}")
            return
        cutter = _Cutter(reject)
        for chunk in read_chunks(file, start, end, reject):
            for offset, data in cutter.cut(chunk):
                page = _parse(data, offset, reject)
                if page is not None:
                    yield page
            if cutter.is_done:
                return


class _Cutter:
    """Cuts pages out of chunks."""

    def __init__(self, reject: Reject) -> None:
        self._reject = reject
        self._buffer = bytearray()
        self._is_open = False  # whether the buffer begins with a page
        self._scanned = 0  # up to where in the buffer the page at hand is known not to end
        self._offset = 0  # of the page at hand, in the file
        self._foreign: int | None = None  # where in the buffer the bytes begin that belong to the next range
        self._has_pages = self._has_footer = False
        self.is_done = False

    def cut(self, chunk: Chunk) -> Iterator[tuple[int, bytes]]:
        """The pages that the chunk completes, each with its offset in the file."""
        if chunk.after_gap:
            self._buffer.clear()
            self._is_open = False
        if chunk.ends:
            self._finish(chunk.offset)
        elif not chunk.owned and self._foreign is None:
            self._foreign = len(self._buffer)
            self.is_done = not self._is_open and not any(self._buffer.endswith(_PAGE[:n]) for n in range(1, 6))
        if self.is_done:
            return
        self._buffer += chunk.data
        while self._open(chunk):
            stop = self._buffer.find(_PAGE_END, self._scanned)
            if stop < 0:
                self._wait()
                return
            page = bytes(self._buffer[: stop + len(_PAGE_END)])
            offset, last = self._offset, page.rfind(_PAGE)
            self._drop(len(page))
            if last:
                self._reject(Reason.BAD_PAGE, offset=offset, detail=f"page {_title(page)!r} has no end")
            if len(page) - last > MAX_PAGE_BYTES:
                self._refuse(page)
            else:
                yield offset, page[last:]

    def _open(self, chunk: Chunk) -> bool:
        """Finds the next page of this range, unless one is open; whether there is one."""
        if self._is_open:
            return True
        at = self._buffer.find(_PAGE)
        if self._foreign is not None and (at >= self._foreign or (at < 0 and len(self._buffer) > self._foreign + 5)):
            self.is_done = True
            return False
        self._has_footer |= at < 0 and _FOOTER in self._buffer
        if at < 0:
            self._drop(len(self._buffer) - len(_FOOTER) + 1)
            return False
        left = len(self._buffer) - at
        self._offset = chunk.offset + (len(chunk.data) - left if chunk.is_exact else 0)
        self._drop(at)
        self._is_open, self._has_pages, self._has_footer = True, True, False
        self._scanned = len(_PAGE)
        return True

    def _wait(self) -> None:
        """Prepares for more of the page at hand; gives it up where it is too large."""
        self._scanned = max(len(self._buffer) - len(_PAGE_END) + 1, len(_PAGE))
        if len(self._buffer) > MAX_PAGE_BYTES:
            self._refuse(self._buffer)
            self._drop(len(self._buffer) - len(_PAGE) + 1)

    def _refuse(self, page: bytes | bytearray) -> None:
        detail = f"page {_title(page)!r} has more than {MAX_PAGE_BYTES} bytes"
        self._reject(Reason.TOO_LARGE, offset=self._offset, detail=detail)

    def _drop(self, size: int) -> None:
        """Forgets the first bytes of the buffer, and the page that was open there."""
        size = max(size, 0)
        del self._buffer[:size]
        self._is_open = False
        if self._foreign is not None:
            self._foreign -= size

    def _finish(self, offset: int) -> None:
        """Says so where a file ends too early."""
        rest = bytes(self._buffer).strip()
        if self._is_open:
            detail = f"the file ends within page {_title(rest)!r}"
        elif self._has_footer or (not self._has_pages and _FOOTER.endswith(rest)):
            return
        else:
            detail = "the file ends without </mediawiki>: pages may be missing"
        self._reject(Reason.TRUNCATED_RECORD, offset=offset, detail=detail)


def _title(page: bytes | bytearray) -> str:
    found = _TITLE.search(page)
    return html.unescape(found[1].decode("utf-8", "replace")) if found else "?"


def _parse(page: bytes, offset: int, reject: Reject) -> Page | None:
    try:
        fields = _Fields().read(page)
        redirect = "redirect" in fields
        return Page(int(fields["id"]), fields["title"], int(fields["ns"]), redirect, fields.get("text", ""))
    except (expat.ExpatError, ValueError) as error:
        problem = str(error)
    except KeyError as error:
        problem = f"it has no {error.args[0]}"
    reject(Reason.BAD_PAGE, offset=offset, detail=f"page {_title(page)!r}: {problem}")
    return None


class _Fields:
    """The elements of one page that are asked for, by name."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._path: list[str] = []
        self._parts: list[str] = []
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.buffer_size = 1 << 16
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def read(self, page: bytes) -> dict[str, str]:
        """Parses a page. Raises ExpatError."""
        self._parser.Parse(page, True)
        self._parser.StartElementHandler = self._parser.EndElementHandler = None  # a circle, else
        return self._fields

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._path.append(name)
        if self._is_field(name):
            self._parts = []
            self._parser.CharacterDataHandler = self._parts.append

    def _end(self, name: str) -> None:
        if self._is_field(name):
            self._fields[name] = "".join(self._parts)
            self._parser.CharacterDataHandler = None
        self._path.pop()

    def _is_field(self, name: str) -> bool:
        if name == "text":
            return len(self._path) == 3 and self._path[1] == "revision"
        return len(self._path) == 2 and name in {"title", "ns", "id", "redirect"}
