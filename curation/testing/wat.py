"""Derives WAT files from WARC records, reading HTML the way Common Crawl's extractor (ia-web-commons) does.

What that extractor keeps was read off its output: images with src, alt and title only; anchors when they close, with
at most 128 characters of text; metas that have a content and one of name, property, http-equiv, rel; the page language
as a meta named HTML@/lang; players, videos and embeds as bare URLs; data: URLs cut after their comma; nothing of
JSON-LD, srcset or lazy-loading attributes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser
from typing import Any

from curation.testing.archives import Headers, Record, Stored, digest, info_record, record_id

MAX_TEXT = 128

# Attributes that become links of their own, by tag; video and friends carry no text.
_URL_ATTRIBUTES = {
    "iframe": ("src",), "frame": ("src",), "embed": ("src",), "audio": ("src",), "track": ("src",),
    "source": ("src",), "video": ("src", "poster"), "object": ("codebase", "cdata", "data"),
    "input": ("src", "formaction"), "button": ("formaction",), "q": ("cite",), "blockquote": ("cite",),
    "del": ("cite",), "ins": ("cite",),
    "applet": ("codebase", "cdata"),
}  # fmt: skip
_GLOBAL_ATTRIBUTES = ("background", "data-href", "data-uri")
_ANCHOR_ATTRIBUTES = ("target", "alt", "title", "rel", "hreflang", "type")
_META_ATTRIBUTES = ("name", "rel", "content", "http-equiv", "property")
# Tags whose end parts words of an anchor's text.
_SPACING = frozenset((
    "address", "article", "aside", "blockquote", "br", "button", "caption", "cite", "dd", "details", "div", "dl", "dt",
    "embed", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
    "iframe", "img", "input", "label", "li", "noscript", "object", "ol", "p", "pre", "q", "section", "select",
    "summary", "table", "tbody", "td", "textarea", "tfoot", "th", "thead", "time", "title", "tr", "ul", "video",
))  # fmt: skip
_SPACES = re.compile(r"\s+")
_CSS_URL = re.compile(r"url\s*\(\s*([^)\s]{1,8000}?)\s*\)")


class _Extractor(HTMLParser):
    """Collects Head and Links of HTML-Metadata."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.head: dict[str, Any] = {}
        self.links: list[dict[str, str]] = []
        self._anchors: list[tuple[dict[str, str], str]] = []
        self._open: str | None = None
        self._in_head = False
        self._in_svg = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # Of an attribute given twice the first one counts; one without a value is no attribute here.
        values = {name: value for name, value in reversed(attrs) if value is not None}
        if tag in ("title", "style"):
            self._open = tag
        if tag in ("head", "body"):
            self._in_head = tag == "head"
        if tag == "svg":
            self._in_svg = True
        for name in (name for name in values if name in _GLOBAL_ATTRIBUTES):
            self._link(tag, name, values)
        for name in _URL_ATTRIBUTES.get(tag, ()):
            self._link(tag, name, values)
        self._special(tag, values)

    def _special(self, tag: str, values: dict[str, str]) -> None:
        if tag == "img":
            self._link(tag, "src", values, ("alt", "title"))
            self._link(tag, "longdesc", values)
        elif tag == "a":
            found = _described(tag, "href", values, _ANCHOR_ATTRIBUTES) if "href" in values else {}
            self._anchors.append((found, ""))
        elif tag == "area":
            self._link(tag, "href", values, ("rel",))
        elif tag == "form":
            self._link(tag, "action", values, ("target", "method"))
        elif tag == "meta":
            found = {name: values[name] for name in _META_ATTRIBUTES if name in values}
            if "content" in found and len(found) > 1:
                self._head_entry("Metas", found)
        elif tag == "html":
            for name in (name for name in ("lang", "xml:lang") if name in values):
                self._head_entry("Metas", {"name": f"HTML@/{name}", "content": values[name]})
        elif tag == "base" and "href" in values:
            self.head["Base"] = values["href"]
        elif tag == "link" and "href" in values:
            self._head_entry("Link", _described(tag, "href", values, ("rel", "type")))
        elif tag == "script" and "src" in values:
            self._head_entry("Scripts", _described(tag, "src", values, ("type",)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag in ("a", "title"):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SPACING:
            self._say(" ")
        if tag == self._open:
            self._open = None
        if tag == "head":
            self._in_head = False
        if tag == "svg":
            self._in_svg = False
        if tag == "a" and self._anchors:
            found, said = self._anchors.pop()
            text = clipped(said)
            if found:
                self.links.append(found | {"text": text} if text else found)

    def handle_data(self, data: str) -> None:
        if self._open == "style":
            self.links += [{"path": "STYLE/#text", "href": _short(url.strip("\"'"))} for url in _CSS_URL.findall(data)]
        elif self._open == "title":
            if not self._in_svg and (self._in_head or "Title" not in self.head):
                self.head["Title"] = clipped(" ".join(data.split()))
        elif self.cdata_elem is None:
            self._say(data)

    def _say(self, text: str) -> None:
        """Adds text to every open anchor, white space in it as one space."""
        self._anchors = [(found, _SPACES.sub(" ", said + text)) for found, said in self._anchors]

    def _link(self, tag: str, name: str, values: dict[str, str], also: Iterable[str] = ()) -> None:
        if name in values:
            self.links.append(_described(tag, name, values, also))

    def _head_entry(self, key: str, entry: dict[str, str]) -> None:
        if entry:
            self.head.setdefault(key, []).append(entry)


def _described(tag: str, name: str, values: dict[str, str], also: Iterable[str]) -> dict[str, str]:
    link = {"path": f"{tag.upper()}@/{name}", "url": _short(values[name])}
    return link | {extra: values[extra] for extra in also if extra in values}


def _short(url: str) -> str:
    """The URL; of a data: URL only what precedes the data."""
    return url[: url.find(",") + 1] if url.startswith("data:") else url


def clipped(text: str) -> str:
    """A text as WAT files hold it: trimmed, at most 128 UTF-16 code units, as Java counts them."""
    return text.strip().encode("utf-16-le", "surrogatepass")[: 2 * MAX_TEXT].decode("utf-16-le", "ignore").strip()


def html_metadata(html: str) -> dict[str, Any]:
    """HTML-Metadata of a page: {"Head": {...}, "Links": [...]}, keys as in Common Crawl's WAT files."""
    extractor = _Extractor()
    extractor.feed(html)
    extractor.close()
    return {key: value for key, value in (("Head", extractor.head), ("Links", extractor.links)) if value}


def wat_records(
    stored: Sequence[Stored], warc_name: str, date: str, info: Headers, charset_of: dict[str, str]
) -> list[Record]:
    """The WAT of an archive: a warcinfo and one metadata record per record of the archive.

    charset_of gives the charset of each HTML response by URL; responses without one are no HTML.
    """
    records = [info_record(warc_name.replace(".warc.gz", ".warc.wat.gz"), date, info)]
    for item in stored:
        payload = json.dumps(_envelope(item, warc_name, charset_of), ensure_ascii=False, separators=(",", ":"))
        records.append(_metadata_record(item.record, warc_name, date, payload.encode("utf-8")))
    return records


def _metadata_record(source: Record, warc_name: str, date: str, block: bytes) -> Record:
    fields = dict(source.fields)
    target = fields.get("WARC-Target-URI", warc_name)
    return Record(
        (
            ("WARC-Type", "metadata"),
            ("WARC-Target-URI", target),
            ("WARC-Date", date),
            ("WARC-Record-ID", record_id("wat", warc_name, fields["WARC-Record-ID"])),
            ("WARC-Refers-To", fields["WARC-Record-ID"]),
            ("Content-Type", "application/json"),
        ),
        block,
    )


def _envelope(item: Stored, warc_name: str, charset_of: dict[str, str]) -> dict[str, Any]:
    record = item.record
    signed_crc = item.crc - (1 << 32) if item.crc >= 1 << 31 else item.crc
    payload = {
        "Actual-Content-Length": str(len(record.block)),
        "Trailing-Slop-Length": "4",
        "Block-Digest": digest(record.block),
    }
    return {
        "Container": {
            "Filename": warc_name,
            "Compressed": True,
            "Offset": str(item.offset),
            "Gzip-Metadata": {
                "Deflate-Length": str(item.size),
                "Header-Length": "10",
                "Footer-Length": "8",
                "Inflated-CRC": str(signed_crc),
                "Inflated-Length": str(item.inflated_size),
            },
        },
        "Envelope": {
            "Payload-Metadata": _content(record, charset_of) | payload,
            "Format": "WARC/1.0",
            "WARC-Header-Length": str(len(record.header)),
            "WARC-Header-Metadata": dict(record.all_fields),
        },
    }


def _content(record: Record, charset_of: dict[str, str]) -> dict[str, Any]:
    if record.kind == "warcinfo":
        return {"Actual-Content-Type": "application/warc-fields", "WARC-Info-Metadata": dict(_lines(record.block))}
    if record.kind == "metadata":
        notes = [{"Name": name, "Value": value} for name, value in _lines(record.block)]
        content = {"Metadata-Records": notes}
        return {"Actual-Content-Type": "application/metadata-fields", "WARC-Metadata-Metadata": content}
    head, _, body = record.block.partition(b"\r\n\r\n")
    start, _, fields = head.decode("iso-8859-1").partition("\r\n")
    message: dict[str, Any] = {
        "Headers-Length": str(len(head) + 4),
        "Headers": dict(_lines(fields.encode("utf-8"))),
        "Entity-Length": str(len(body)),
        "Entity-Digest": digest(body),
        "Entity-Trailing-Slop-Length": "0",
    }
    if record.kind == "request":
        method, path, version = start.split(" ", 2)
        message["Request-Message"] = {"Method": method, "Path": path, "Version": version}
        return {"Actual-Content-Type": "application/http; msgtype=request", "HTTP-Request-Metadata": message}
    version, status, reason = start.split(" ", 2)
    message["Response-Message"] = {"Status": status, "Version": version, "Reason": reason}
    charset = charset_of.get(dict(record.fields)["WARC-Target-URI"])
    if charset is not None:
        message["HTML-Metadata"] = html_metadata(body.decode(charset, errors="replace"))
    return {"Actual-Content-Type": "application/http; msgtype=response", "HTTP-Response-Metadata": message}


def _lines(block: bytes) -> list[tuple[str, str]]:
    lines = (line.partition(": ") for line in block.decode("utf-8").split("\r\n") if line)
    return [(name, value) for name, _, value in lines]
