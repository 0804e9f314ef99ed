"""A web page's HTML to what it says about its images, videos and audios.

One query over the parsed tree (selectolax's lexbor, the HTML standard's algorithm), in document order; everything after
it touches only the elements it found. Scripts are not run: what only a script writes into the page is not there.
"""

from __future__ import annotations

from collections.abc import Callable

from selectolax.lexbor import LexborHTMLParser, LexborNode

from curation.crawl.described import described_medium
from curation.crawl.files import file_modality, timed_modality
from curation.crawl.licences import normalise
from curation.crawl.metas import read_metas
from curation.crawl.page import MAX_SHARED_CHARS, MAX_SHARED_MEDIA, MAX_URL_CHARS, Medium, Page, Text, Track
from curation.crawl.quantities import pixels
from curation.crawl.srcset import candidates
from curation.crawl.structured import json_ld, microdata

_QUERY = (
    "html,base,title,meta,h1,figure,a,img,amp-img,video,amp-video,audio,iframe,amp-iframe,embed,object,"
    'link[rel],script[type="application/ld+json" i]'
)
_SHOWN = "img,amp-img,video,amp-video,audio,iframe,amp-iframe,embed,object"
_LAZY = (
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-original-src",
    "data-actualsrc",
    "data-delayed-url",
)
_MOVIES = ("movie", "src", "filename", "url")  # of an <object>'s parameters
_LAZY_SETS = ("data-srcset", "data-lazy-srcset", "data-original-set")
_SPACED = frozenset(("br", "p", "div", "li", "td", "th", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "hr"))
_UNSAID = frozenset(("script", "style", "template", "noscript", "svg"))
_MAX_CLIMB = 64  # levels between an image and the link around it


def read_html(html: bytes, *, largest: bool = True, check: Callable[[], None] = lambda: None) -> Page:
    """What a page (UTF-8) says about its media.

    largest: an image's URL is that of its largest candidate (srcset, <picture>), else its src as written.
    check: called again and again; what it raises ends the reading (a page's time limit).
    """
    return _Reader(html, largest, check).page


class _Reader:
    def __init__(self, html: bytes, largest: bool, check: Callable[[], None]) -> None:
        self.page = Page()
        self._check = check
        self._largest = largest
        self._tree = LexborHTMLParser(html)
        self._metas: list[tuple[str, str]] = []
        self._scripts: list[str] = []
        self._captions: dict[int, tuple[str | None, str | None]] = {}  # of a shown element: its figure's text, licence
        self._links: dict[int, int] = {}  # images by the link around them
        self._licences: list[str] = []
        self._figure_links: set[int] = set()
        check()
        for node in self._tree.css(_QUERY):
            check()
            _TAKE[node.tag](self, node)
        self._finish(b"itemscope" in html)

    def _finish(self, has_microdata: bool) -> None:
        page = self.page
        shown, page.media = page.media, []
        read_metas(self._metas, page)
        self._check()
        described = json_ld(self._scripts, self._odd)
        if has_microdata:
            described += microdata(self._tree, self._odd)
        self._check()
        page.media = shown + page.media
        for item in described:
            medium = described_medium(item)
            (page.media if medium.url else page.unplaced).append(medium)
        if len(set(self._licences)) == 1:  # several: not one for all
            page.licence = self._licences[0]

    def _odd(self, name: str) -> None:
        self.page.odd[name] = self.page.odd.get(name, 0) + 1

    # The document

    def _html(self, node: LexborNode) -> None:
        self.page.lang = self.page.lang or node.attrs.get("lang") or node.attrs.get("xml:lang")

    def _base(self, node: LexborNode) -> None:
        href = node.attrs.get("href")
        if self.page.base is None and href and len(href) <= MAX_URL_CHARS:
            self.page.base = href

    def _title(self, node: LexborNode) -> None:
        parent = node.parent
        if parent is not None and parent.tag in ("head", "body"):  # an SVG's title is no title of the page
            self._page_text("page-title", node)

    def _h1(self, node: LexborNode) -> None:
        self._page_text("h1", node)

    def _page_text(self, source: str, node: LexborNode) -> None:
        if not any(text.source == source for text in self.page.texts) and (said := shared_text(node)):
            self.page.texts.append(Text(source, said))

    def _meta(self, node: LexborNode) -> None:
        attributes = node.attributes
        content = attributes.get("content")
        if content:
            for key in ("property", "name"):
                if name := attributes.get(key):
                    self._metas.append((name, content))
                    return

    def _link(self, node: LexborNode) -> None:
        relations = (node.attrs.get("rel") or "").lower().split()
        if "canonical" in relations and self.page.canonical is None:
            self.page.canonical = node.attrs.get("href")
        self._licence(node, relations)

    def _licence(self, node: LexborNode, relations: list[str]) -> None:
        if "license" in relations and node.mem_id not in self._figure_links:
            licence = normalise(node.attrs.get("href") or "")
            if licence is not None:
                self._licences.append(licence)

    def _script(self, node: LexborNode) -> None:
        self._scripts.append(node.text())

    # What surrounds media

    def _figure(self, node: LexborNode) -> None:
        """A figure's caption and licence, for what it shows; a figure inside another comes later and has its own."""
        captions = node.css("figcaption")
        caption = shared_text(captions[0]) if captions else None
        licence = None
        for link in node.css('a[rel~="license" i]'):
            self._figure_links.add(link.mem_id)
            licence = licence or normalise(link.attrs.get("href") or "")
        shown = node.css(_SHOWN)
        if (caption or licence) and len(shown) <= MAX_SHARED_MEDIA:
            for medium in shown:
                self._captions[medium.mem_id] = caption, licence

    def _a(self, node: LexborNode) -> None:
        attributes = node.attrs
        relations = attributes.get("rel")
        if relations and "license" in relations.lower():
            self._licence(node, relations.lower().split())
        href = attributes.get("href")
        modality = timed_modality(href) if href else None
        if href and modality:
            medium = Medium(modality, href)
            medium.say("link-text", shared_text(node))
            medium.say("link-title", attributes.get("title"))
            self.page.media.append(medium)

    def _around(self, medium: Medium, node: LexborNode) -> None:
        """Adds what the figure and the link around a shown element say of it."""
        caption, medium.licence = self._captions.get(node.mem_id, (None, None))
        medium.say("figcaption", caption)
        above = node.parent
        for _ in range(_MAX_CLIMB):
            if above is None or above.tag == "body":
                return
            if above.tag == "a":
                count = self._links[above.mem_id] = self._links.get(above.mem_id, 0) + 1
                if count <= MAX_SHARED_MEDIA:
                    medium.say("link-text", shared_text(above))
                    medium.say("link-title", above.attrs.get("title"))
                return
            above = above.parent

    # Media

    def _img(self, node: LexborNode) -> None:
        attributes = node.attributes
        url = self._image_url(node, attributes) or ""
        medium = Medium(
            "image", url, width=pixels(attributes.get("width")), height=pixels(attributes.get("height"))
        )
        for source in ("alt", "title", "data-image-title"):
            medium.say(source, attributes.get(source))
        self._around(medium, node)
        self.page.media.append(medium)

    def _image_url(self, node: LexborNode, attributes: dict[str, str | None]) -> str | None:
        src = attributes.get("src")
        if not self._largest:
            return src
        lazy = next((value for name in _LAZY if (value := attributes.get(name))), None)
        best, rank = lazy or src, 1.0
        sets = [attributes.get(name) for name in (*_LAZY_SETS, "srcset")]
        parent = node.parent
        if parent is not None and parent.tag == "picture":
            for source in parent.css("source"):
                sets += [source.attrs.get(name) for name in ("srcset", *_LAZY_SETS)]
        for srcset in sets:
            for url, size in candidates(srcset) if srcset else ():
                if size > rank or not best or best[:5] == "data:":
                    best, rank = url, size
        if not best or best[:5] == "data:":  # a script's own way: what ends like an image is one
            data = (value for name, value in attributes.items() if name[:5] == "data-" and value)
            best = next((value for value in data if file_modality(value) == "image"), best)
        return best

    def _player(self, node: LexborNode) -> None:
        """<video> and <audio>: the first source is the one; the others are the same in another format."""
        attributes = node.attributes
        modality = (node.tag or "").removeprefix("amp-")
        sources, tracks = ([child for child in node.iter() if child.tag == tag] for tag in ("source", "track"))
        urls = [attributes.get("src"), attributes.get("data-src")]
        urls += [source.attrs.get("src") or source.attrs.get("data-src") for source in sources]
        medium = Medium(
            modality,
            next((url for url in urls if url and url[:5] not in ("data:", "blob:")), ""),
            width=pixels(attributes.get("width")),
            height=pixels(attributes.get("height")),
            poster_url=attributes.get("poster") or None,
        )
        for track in tracks:
            kind = (track.attrs.get("kind") or "subtitles").lower()  # the HTML standard's missing value default
            if src := track.attrs.get("src"):
                medium.tracks.append(Track(src, kind, track.attrs.get("srclang")))
        medium.say("title", attributes.get("title"))
        self._around(medium, node)
        (self.page.media if medium.url else self.page.unplaced).append(medium)

    def _frame(self, node: LexborNode) -> None:
        """An <iframe>, where it shows a known player or a media file."""
        attributes = node.attributes
        url = attributes.get("src") or ""
        if not url or url[:6] == "about:":
            url = next((value for name in _LAZY if (value := attributes.get(name))), "")
        self._embedded(node, url, attributes, "iframe-title")

    def _embed(self, node: LexborNode) -> None:
        attributes = node.attributes
        urls = [attributes.get("src") or attributes.get("data")]
        if node.tag == "object":
            parameters = [child.attrs for child in node.iter() if child.tag == "param"]
            urls += [given.get("value") for given in parameters if (given.get("name") or "").lower() in _MOVIES]
        for url in urls:  # they are the same in several ways
            if self._embedded(node, url or "", attributes, "title"):
                return

    def _embedded(self, node: LexborNode, url: str, attributes: dict[str, str | None], source: str) -> bool:
        modality = timed_modality(url)
        if modality is None and source == "title":
            kind = (attributes.get("type") or "").lower().partition("/")[0]
            modality = kind if kind in ("video", "audio") else None
        if not url or modality is None:
            return False
        medium = Medium(
            modality, url, width=pixels(attributes.get("width")), height=pixels(attributes.get("height"))
        )
        medium.say(source, attributes.get("title"))
        self._around(medium, node)
        self.page.media.append(medium)
        return True


_TAKE: dict[str | None, Callable[[_Reader, LexborNode], None]] = {
    "html": _Reader._html,
    "base": _Reader._base,
    "title": _Reader._title,
    "meta": _Reader._meta,
    "h1": _Reader._h1,
    "figure": _Reader._figure,
    "a": _Reader._a,
    "img": _Reader._img,
    "amp-img": _Reader._img,
    "video": _Reader._player,
    "amp-video": _Reader._player,
    "audio": _Reader._player,
    "iframe": _Reader._frame,
    "amp-iframe": _Reader._frame,
    "embed": _Reader._embed,
    "object": _Reader._embed,
    "link": _Reader._link,
    "script": _Reader._script,
}


def shared_text(node: LexborNode) -> str | None:
    """An element's text as it is shown, white space collapsed; None where there is none or it is too long."""
    parts: list[str] = []
    size = 0
    for part in node.traverse(include_text=True):
        tag = part.tag
        if tag == "-text":
            above = part.parent
            if above is None or above.tag in _UNSAID:
                continue
            said = part.text_content or ""
            size += len(said)
            if size > 2 * MAX_SHARED_CHARS:  # with some of it white space
                return None
            parts.append(said)
        elif tag in _SPACED:
            parts.append(" ")
    text = " ".join("".join(parts).split())
    return text if 0 < len(text) <= MAX_SHARED_CHARS else None
