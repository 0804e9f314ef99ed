"""WAT from HTML, the way Common Crawl's extractor does it: against its real output, and by example."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from archive_reading import read_archive

from curation.testing.wat import html_metadata

PAIRS = ("CC-MAIN-2024-22_whirlwind", "CC-MAIN-2020-34_resiliparse_16pages", "repackaged-readability")


def images(html: dict[str, Any]) -> list[dict[str, str]]:
    return [link for link in html.get("Links", []) if link["path"] == "IMG@/src"]


@pytest.mark.parametrize("name", PAIRS)
def test_real_pages_give_the_links_of_the_real_extractor(name: str, real_data: Path) -> None:
    crawl = real_data / "crawl"
    extracted = {}
    for record in read_archive(crawl / f"{name}.warc.wat.gz"):
        if record.fields["WARC-Type"] == "metadata":
            payload = record.json["Envelope"]["Payload-Metadata"]
            html = payload.get("HTTP-Response-Metadata", {}).get("HTML-Metadata")
            extracted[record.fields["WARC-Refers-To"]] = html
    pages = equal = close = 0
    for record in read_archive(crawl / f"{name}.warc.gz"):
        real = extracted.get(record.fields["WARC-Record-ID"]) if record.fields["WARC-Type"] == "response" else None
        if not real:
            continue
        ours = html_metadata(decoded(record.block))
        pages += 1
        equal += (images(ours), ours["Head"].get("Base")) == (images(real), real["Head"].get("Base"))
        theirs, same = anchors(real), anchors(ours)
        close += (theirs & same).total() >= 0.98 * max(theirs.total(), same.total())
    assert pages
    assert equal >= pages - 1, "one page of readability closes a comment in its own way"
    # Broken markup parts the two lexers: anchors that contain anchors, tags inside attributes.
    assert close >= 0.7 * pages


def anchors(html: dict[str, Any]) -> Counter[str]:
    return Counter(json.dumps(link, sort_keys=True) for link in html.get("Links", []) if link["path"] == "A@/href")


def decoded(block: bytes) -> str:
    head, _, body = block.partition(b"\r\n\r\n")
    named = re.search(rb"charset=[\"']?([\w-]+)", head + body[:4000], re.IGNORECASE)
    try:
        return body.decode(named.group(1).decode() if named else "utf-8", "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


def test_images_keep_src_alt_and_title_only() -> None:
    html = html_metadata('<img src="a.jpg" srcset="b.jpg 2x" alt="" title="T &amp; t" width=3 data-image-title="x">')
    assert html == {"Links": [{"path": "IMG@/src", "url": "a.jpg", "alt": "", "title": "T & t"}]}


def test_images_without_src_are_nothing() -> None:
    assert html_metadata('<img data-src="a.jpg" alt="dog">') == {}


def test_data_urls_lose_their_data() -> None:
    (link,) = html_metadata('<img src="data:image/gif;base64,AAAA" alt="dog">')["Links"]
    assert link["url"] == "data:image/gif;base64,"


def test_anchors_come_when_they_close_with_clipped_text() -> None:
    html = html_metadata(f'<a href="/x" rel="next"><img src="i.png"> <b>one</b><p>two</p>{"w" * 200}</a>')
    image, anchor = html["Links"]
    assert image == {"path": "IMG@/src", "url": "i.png"}
    assert anchor == {"path": "A@/href", "url": "/x", "rel": "next", "text": ("onetwo " + "w" * 200)[:128]}


def test_scripts_and_comments_hold_no_links() -> None:
    assert html_metadata("<script>'<img src=a>'</script><!-- <img src=b> --><noscript><img src=c></noscript>") == {
        "Links": [{"path": "IMG@/src", "url": "c"}]
    }


def test_head() -> None:
    html = html_metadata(
        '<html lang="de"><head><base href="/b/"><title> A\n title </title><meta name="robots" content="noai">'
        '<meta property="og:title" content="O"><meta itemprop="name" content="no"><meta charset="utf-8">'
        '<link rel="license" href="/l"><script src="s.js"></script></head>'
        "<body><svg><title>icon</title></svg></body></html>"
    )
    assert html["Head"] == {
        "Metas": [
            {"name": "HTML@/lang", "content": "de"},
            {"name": "robots", "content": "noai"},
            {"content": "O", "property": "og:title"},
        ],
        "Base": "/b/",
        "Title": "A title",
        "Link": [{"path": "LINK@/href", "url": "/l", "rel": "license"}],
        "Scripts": [{"path": "SCRIPT@/src", "url": "s.js"}],
    }


def test_videos_and_players_are_bare_urls() -> None:
    html = html_metadata('<video src="v.mp4" poster="p.jpg">x</video><iframe src="//p/1" title="t"></iframe>')
    assert html["Links"] == [
        {"path": "VIDEO@/src", "url": "v.mp4"},
        {"path": "VIDEO@/poster", "url": "p.jpg"},
        {"path": "IFRAME@/src", "url": "//p/1"},
    ]
