"""Pages of WARC files per second and core, against the tools one would otherwise take.

Every peer reads the same fields: images with alt, title, data-image-title, src, srcset, lazy addresses, figcaption and
the link around them; videos, audios, players and media links; Open Graph; JSON-LD; title, h1, language, canonical,
licence, robots. Ours also resolves every URL, recognises players, hashes ids and makes Arrow batches of the rows.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.data import real_data
from bench.harness import OURS, Cost, Row, cpu_seconds
from curation.crawl import ReadLog, warc_batches

_LAZY = ("data-src", "data-original", "data-lazy-src", "data-lazy")
_QUERY = "html,base,title,meta,h1,figure,a,img,video,audio,iframe,embed,object,link,script"


def ours(path: str) -> int:
    """Pages read."""
    log = ReadLog(path)
    for _ in warc_batches(path, log):
        pass
    return log.counts["pages"]


def _fields(tag: str, get: Callable[[str], Any], text: Callable[[], str], rows: list[Any]) -> None:
    """What is read of an element; the same for both peers."""
    if tag == "img":
        urls = [get(name) for name in ("src", "srcset", *_LAZY)]
        rows.append((tag, urls, [get(name) for name in ("alt", "title", "data-image-title", "width", "height")]))
    elif tag in ("video", "audio", "iframe", "embed", "object"):
        rows.append((tag, [get(name) for name in ("src", "data", "poster", "title", "width", "height")]))
    elif tag == "a":
        href = get("href")
        if href and href.partition("?")[0].lower().endswith((".mp4", ".webm", ".mp3", ".m4a", ".mov", ".ogg")):
            rows.append((tag, href, text(), get("title")))
    elif tag == "meta":
        rows.append((tag, get("property") or get("name"), get("content")))
    elif tag == "link":
        rows.append((tag, get("rel"), get("href")))
    elif tag in ("title", "h1"):
        rows.append((tag, text()))
    elif tag in ("html", "base"):
        rows.append((tag, get("lang"), get("href")))
    elif tag == "script" and get("type") == "application/ld+json":
        try:
            rows.append((tag, json.loads(text())))
        except ValueError:
            rows.append((tag, None))


def beautiful_soup(path: str) -> int:
    """warcio and BeautifulSoup, with the fastest of its parsers (lxml)."""
    from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
    from warcio.archiveiterator import ArchiveIterator

    warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)
    names = _QUERY.split(",")
    pages = 0
    with Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream):
            if record.rec_type != "response":
                continue
            soup = BeautifulSoup(record.content_stream().read(), "lxml")
            pages += 1
            rows: list[Any] = []
            for node in soup.find_all(names):
                _fields(node.name, node.get, node.get_text, rows)
                if node.name == "figure":
                    caption = node.find("figcaption")
                    rows.append(("figure", caption and caption.get_text(), len(node.find_all(["img", "video"]))))
                elif node.name == "img" and (link := node.find_parent("a")) is not None:
                    rows.append(("a", link.get("title"), link.get_text()))
    return pages


def resiliparse(path: str) -> int:
    """FastWARC and resiliparse's own tree."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree, NodeType

    wanted = frozenset(_QUERY.split(","))
    pages = 0
    with Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
            body = record.reader.read()
            charset = record.http_charset or detect_encoding(body)
            tree = HTMLTree.parse_from_bytes(body, charset)
            pages += 1
            rows: list[Any] = []
            for node in tree.document:  # its own walk: taking the items of a query's result is far slower
                if node.type is not NodeType.ELEMENT or node.tag not in wanted:
                    continue
                _fields(node.tag, node.getattr, lambda node=node: node.text, rows)
                if node.tag == "figure":
                    caption = node.query_selector("figcaption")
                    rows.append(("figure", caption and caption.text, len(node.query_selector_all("img,video"))))
                elif node.tag == "img":
                    above = node.parent
                    while above is not None and above.tag not in ("a", "body"):
                        above = above.parent
                    if above is not None and above.tag == "a":
                        rows.append(("a", above.getattr("title"), above.text))
    return pages


@contextmanager
def _sides() -> Iterator[dict[str, Cost]]:
    paths = [str(path) for path in real_data("crawl/repackaged-*.warc.gz") if ".wat." not in path.name]
    readers = {OURS: ours, "FastWARC + resiliparse": resiliparse, "warcio + BeautifulSoup": beautiful_soup}
    yield {name: cpu_seconds(partial(_all, read, paths)) for name, read in readers.items()}


def _all(read: Callable[[str], int], paths: list[str]) -> int:
    return sum(read(path) for path in paths)


_GOALS = {"FastWARC + resiliparse": 1.0, "warcio + BeautifulSoup": 3.0}
PAGES = Row("warc-pages", "WARC pages to rows, 406 real pages, one core", "CPU s", _GOALS, _sides)
