"""Pages of WARC files per second and core, against the tools one would otherwise take.

    python -m bench.pages FILE.warc.gz ... [--rounds 5] [--out bench/results/pages.json]

Every peer reads the same fields: images with alt, title, data-image-title, src, srcset, lazy addresses, figcaption and
the link around them; videos, audios, players and media links; Open Graph; JSON-LD; title, h1, language, canonical,
licence, robots. Ours also resolves every URL, recognises players, hashes ids and makes Arrow batches of the rows.
Rounds go in turn, so that a busy machine is busy for all; CPU time of one process counts.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
    """warcio and BeautifulSoup, with the faster of its parsers."""
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


PEERS: dict[str, Callable[[str], int]] = {
    "curation": ours,
    "FastWARC + resiliparse": resiliparse,
    "warcio + BeautifulSoup (lxml)": beautiful_soup,
}


def measure(paths: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Pages per CPU second of every peer in every round, after one round that does not count."""
    rates: dict[str, list[float]] = {name: [] for name in PEERS}
    for number in range(rounds + 1):
        for name, read in PEERS.items():
            gc.collect()
            start = time.process_time()
            pages = sum(read(path) for path in paths)
            if number:
                rates[name].append(pages / (time.process_time() - start))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", help="WARC files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rates = measure(arguments.paths, arguments.rounds)
    ratios = {
        name: [own / other for own, other in zip(rates["curation"], found, strict=True)]
        for name, found in rates.items()
    }
    for name, found in rates.items():
        ratio = ratios[name]
        print(
            f"{name:32s} {statistics.median(found):8.1f} pages/s   ours is {statistics.median(ratio):5.2f} times that "
            f"({min(ratio):.2f} to {max(ratio):.2f})"
        )
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        machine = f"{platform.machine()} {platform.system()} Python {platform.python_version()}"
        arguments.out.write_text(json.dumps({"machine": machine, "pages_per_s": rates}, indent=1) + "\n")


if __name__ == "__main__":
    main()
