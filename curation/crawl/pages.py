"""The JSON of a WAT record, as far as it is needed, in whatever shape it comes.

Records are decoded straight into the structs below, which skips what has no field (msgspec; half the time of orjson
on Common Crawl's records, as nine links in ten are no images and most of a link is not needed). What does not fit,
because the JSON is odd or broken, is decoded once more by the standard library, which also takes escaped lone
surrogates, and turned into the same structs value by value.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from curation.crawl.charsets import is_utf8
from curation.errors import Reason

Tally = Callable[[str], None]
Choose = Callable[[bytes, int, int], list[bytes]]
"""Of block[start:stop], JSON objects joined by BETWEEN_LINKS, those that are wanted; none has its opening LINK."""


class Link(msgspec.Struct, gc=False):
    """A link of a page; what is missing or null is None."""

    path: str = ""
    url: str | None = None
    alt: str | None = None
    title: str | None = None
    data_image_title: str | None = msgspec.field(default=None, name="data-image-title")
    text: str | None = None
    rel: str | None = None


class HeadLink(msgspec.Struct, gc=False):
    """A <link> element."""

    url: str | None = None
    rel: str | None = None


class Meta(msgspec.Struct, gc=False):
    """A <meta> element; also the language of <html>, under the name HTML@/lang."""

    name: str | None = None
    property: str | None = None
    content: str | None = None


class Head(msgspec.Struct, gc=False):
    """The <head>: <base href>, <title>, the <meta> and the <link> elements."""

    base: str | None = msgspec.field(default=None, name="Base")
    title: str | None = msgspec.field(default=None, name="Title")
    metas: list[Meta] = msgspec.field(default_factory=list, name="Metas")
    links: list[HeadLink] = msgspec.field(default_factory=list, name="Link")


class Html(msgspec.Struct, gc=False):
    head: Head = msgspec.field(default_factory=Head, name="Head")
    links: list[Link] = msgspec.field(default_factory=list, name="Links")


class Response(msgspec.Struct, gc=False):
    headers: dict[str, Any] = msgspec.field(default_factory=dict, name="Headers")
    html: Html | None = msgspec.field(default=None, name="HTML-Metadata")


class Payload(msgspec.Struct, gc=False):
    response: Response | None = msgspec.field(default=None, name="HTTP-Response-Metadata")
    warcinfo: dict[str, Any] | None = msgspec.field(default=None, name="WARC-Info-Metadata")


class RecordHeader(msgspec.Struct, gc=False):
    target_uri: str | None = msgspec.field(default=None, name="WARC-Target-URI")


class Envelope(msgspec.Struct, gc=False):
    payload: Payload = msgspec.field(default_factory=Payload, name="Payload-Metadata")
    header: RecordHeader = msgspec.field(default_factory=RecordHeader, name="WARC-Header-Metadata")


class Metadata(msgspec.Struct, gc=False):
    """A WAT record."""

    envelope: Envelope = msgspec.field(default_factory=Envelope, name="Envelope")


class BadJsonError(ValueError):
    """A record's block is no JSON object; `reason` is BAD_JSON or BAD_ENCODING."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


_DECODER = msgspec.json.Decoder(Metadata)
_LINK = b'{"path":"'
_LINKS = b'"Links":[' + _LINK
BETWEEN_LINKS = b"}," + _LINK
_END_OF_LINKS = b'"}]'
_END_AT = _END_OF_LINKS.index(b"]")


def decode_metadata(block: bytes, tally: Tally, keep: Choose | None = None) -> Metadata:
    """A record's block as structs; values of an unexpected type are tallied as odd:NAME and left out.

    keep: chooses the links that are wanted, by their JSON from the value of their path on, before they are decoded.
    Raises BadJsonError where the block is no JSON object in UTF-8.
    """
    if not is_utf8(block):  # the decoder does not look into what it skips
        raise BadJsonError(Reason.BAD_ENCODING, "the block is not UTF-8")
    try:
        return _DECODER.decode(block if keep is None else _with_links(block, keep))
    except (ValueError, RecursionError):
        return _Reshaper(tally).metadata(_load(block))


def _with_links(block: bytes, keep: Choose) -> bytes:
    """The record without the links that nobody wants; unchanged where it is not written as Common Crawl writes it.

    Decoding links is most of the work on a record, and one in ten is wanted. Their texts are JSON strings, so an
    unescaped quote ends a value: what parts two links and what ends their list stand nowhere else.
    """
    start = block.find(_LINKS) + len(_LINKS)
    stop = _end_of_links(block, start)
    if start < len(_LINKS) or stop < 0 or block[stop - 1 : stop] == b"\\":
        return block
    kept = BETWEEN_LINKS.join(keep(block, start, stop + 1))
    before = block[: start - len(_LINK)]
    return b"".join((before, _LINK, kept, block[stop + 1 :]) if kept else (before, block[stop + 2 :]))


def _end_of_links(block: bytes, start: int) -> int:
    """block.find(_END_OF_LINKS, start), in a third of its time: brackets are rare, and found 32 bytes at once."""
    bracket = block.find(b"]", start)
    while bracket >= 0 and not block.endswith(_END_OF_LINKS, start, bracket + 1):
        bracket = block.find(b"]", bracket + 1)
    return bracket - _END_AT


def _load(block: bytes) -> dict[str, Any]:
    try:
        value = json.loads(block)
    except (ValueError, RecursionError) as error:
        raise BadJsonError(Reason.BAD_JSON, str(error)) from None
    if not isinstance(value, dict):
        raise BadJsonError(Reason.BAD_JSON, f"the block holds {type(value).__name__}, not an object")
    return value


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for every lone surrogate, which no UTF-8 can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _sound(value: object) -> object:
    if isinstance(value, str):
        return without_surrogates(value)
    return [_sound(item) for item in value if isinstance(item, str)] if isinstance(value, list) else None


class _Reshaper:
    """Makes the structs from any JSON, leaving out what has the wrong type."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def metadata(self, record: dict[str, Any]) -> Metadata:
        envelope = self._object(record, "Envelope")
        payload = self._object(envelope, "Payload-Metadata")
        header = self._object(envelope, "WARC-Header-Metadata")
        warcinfo = self._object(payload, "WARC-Info-Metadata")
        return Metadata(
            Envelope(
                Payload(self._response(payload), {key: self._text(warcinfo, key) for key in warcinfo}),
                RecordHeader(self._text(header, "WARC-Target-URI")),
            )
        )

    def _response(self, payload: dict[str, Any]) -> Response | None:
        if payload.get("HTTP-Response-Metadata") is None:
            return None
        response = self._object(payload, "HTTP-Response-Metadata")
        headers = {key: _sound(value) for key, value in self._object(response, "Headers").items()}
        if response.get("HTML-Metadata") is None:
            return Response(headers)
        html = self._object(response, "HTML-Metadata")
        head = self._object(html, "Head")
        metas = [
            Meta(*(self._text(meta, key) for key in ("name", "property", "content")))
            for meta in self._objects(head, "Metas")
        ]
        in_head = [HeadLink(self._text(link, "url"), self._text(link, "rel")) for link in self._objects(head, "Link")]
        links = [self._link(link) for link in self._objects(html, "Links")]
        return Response(headers, Html(Head(self._text(head, "Base"), self._text(head, "Title"), metas, in_head), links))

    def _link(self, link: dict[str, Any]) -> Link:
        texts = (self._text(link, key) for key in ("url", "alt", "title", "data-image-title", "text", "rel"))
        return Link(self._text(link, "path") or "", *texts)

    def _object(self, parent: dict[str, Any], key: str) -> dict[str, Any]:
        value = parent.get(key)
        return value if isinstance(value, dict) else self._odd(key, value, {})

    def _objects(self, parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
        value = parent.get(key)
        items = value if isinstance(value, list) else self._odd(key, value, [])
        return [item for item in items if isinstance(item, dict) or self._odd(key, item, False)]

    def _text(self, parent: dict[str, Any], key: str) -> str | None:
        value = parent.get(key)
        return without_surrogates(value) if isinstance(value, str) else self._odd(key, value, None)

    def _odd(self, key: str, value: object, instead: Any) -> Any:
        if value is not None:
            self._tally(f"odd:{key}")
        return instead
