"""schema.org's images, videos and audio in a web page: its JSON-LD and its microdata.

Texts and URLs are those of the page: URLs unresolved, texts neither shortened nor their inner white space changed.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from html.entities import html5
from typing import Any

import msgspec

from curation.crawl.media_objects import Describer, MediaObject, Node, Part, is_reference
from curation.crawl.microdata import microdata
from curation.crawl.pages import Tally

__all__ = ["MediaObject", "Part", "json_ld", "microdata"]

_WORTH_DECODING = ("VideoObject", "ImageObject", "AudioObject")  # every type above contains one


def json_ld(scripts: Iterable[str], tally: Tally) -> list[MediaObject]:
    """The media objects in the JSON-LD scripts of one page (texts of its script elements), in document order.

    A node that consists of @id and @type alone is a reference and gives no object; where it is a value, the first
    fuller node of the page with that @id stands in for it. What JSON a script holds is decoded strictly, else
    leniently: control characters in strings, escapes that JSON does not know, trailing commas, absent values,
    comment or CDATA marks, a byte order mark and several values in a row are accepted. Tallied as odd:json_ld: a
    script with anything else that is not JSON, or nested deeper than the decoders go; objects before the fault count.
    """
    documents = [
        value
        for script in scripts
        if any(name in script for name in _WORTH_DECODING)
        for value in _decoded(script, tally)
    ]
    nodes = _nodes(documents)
    targets: dict[str, Node] = {}
    for node in nodes:
        identity = node.get("@id")
        if isinstance(identity, str) and not is_reference(node):
            targets.setdefault(identity, node)
    describer = Describer(targets, _unescaped, _plain)
    return [found for node in nodes if (found := describer.media_object(node))]


# Marks that stand around JSON in a script: of HTML comments, CDATA sections, JavaScript comments and statements.
_BETWEEN = re.compile(r"(?:[\s\ufeff\x00;,]|<!--|-->|//|/\*|\*/|<!\[CDATA\[|\]\]>)*+").match
_STRING_OR_GAP = re.compile(r'"(?:[^"\\]++|\\.)*+"?|,(?=\s*+[}\]])|:(?=\s*+[,}\]])', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def _decoded(script: str, tally: Tally) -> list[Any]:
    """The JSON values of a script."""
    try:
        return [msgspec.json.decode(script)]
    except RecursionError:
        tally("odd:json_ld")
        return []
    except ValueError:  # also msgspec.DecodeError and UnicodeEncodeError (lone surrogates)
        pass
    values: list[Any] = []
    decode = json.JSONDecoder(strict=False).raw_decode
    mended = _STRING_OR_GAP.sub(_mend, script)
    try:
        at = _end_of_marks(mended, 0)
        while at < len(mended):
            value, at = decode(mended, at)
            values.append(value)
            at = _end_of_marks(mended, at)
    except (ValueError, RecursionError):
        tally("odd:json_ld")
    return values


def _end_of_marks(text: str, at: int) -> int:
    marks = _BETWEEN(text, at)
    return marks.end() if marks else at


def _mend(match: re.Match[str]) -> str:
    token = match[0]
    if token[0] == '"':
        return _ESCAPE.sub(lambda escape: escape[escape[1] not in '"\\/bfnrtu'], token) if "\\" in token else token
    return ":null" if token == ":" else ""


def _nodes(documents: list[Any]) -> list[Node]:
    """Every JSON object in the documents, in document order, without recursion."""
    nodes: list[Node] = []
    stack = documents[::-1]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            nodes.append(value)
            stack.extend(inner for key, inner in reversed(value.items()) if key != "@context")
        elif isinstance(value, list):
            stack.extend(reversed(value))
    return nodes


# Only with the semicolon: "R&D", and "?a=1&copy=2" in a URL, are no entities.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,31}));")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_TAG = re.compile(r"(?i)</?(?:(p|br|hr|div|li|[uo]l|h[1-6]|t[rdh]|table|section|blockquote)\b|[a-z!])[^<>]*>")


def _unescaped(text: str) -> str:
    """A JSON string as text that can be encoded, its HTML entities replaced once."""
    if "&" in text:
        text = _ENTITY.sub(lambda m: html5.get(m[1] + ";", m[0]) if m[1] else html.unescape(m[0]), text)
    return (text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)).strip()


def _plain(text: str) -> str:
    """A text without its tags; those that break lines leave a space."""
    return _TAG.sub(lambda tag: " " if tag[1] else "", text).strip() if "<" in text else text
