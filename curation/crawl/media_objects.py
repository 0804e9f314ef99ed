"""What schema.org says about an image, a video or a recording, understood from nodes in the shape of JSON-LD."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Literal, TypeVar

import msgspec

from curation.crawl.quantities import milliseconds, pixels

Node = dict[str, Any]
Modality = Literal["image", "video", "audio"]
_T = TypeVar("_T")

_MODALITIES: Mapping[str, Modality] = {
    "imageobject": "image",
    "imageobjectsnapshot": "image",
    "videoobject": "video",
    "videoobjectsnapshot": "video",
    "musicvideoobject": "video",
    "audioobject": "audio",
    "audioobjectsnapshot": "audio",
}
_SAYS_NOTHING = frozenset(("@id", "@type", "@context", "type"))

_URL_KEYS = ("contenturl", "url", "@value", "@id")
_TEXT_KEYS = ("@value", "text", "name")
_NUMBER_KEYS = ("value", "@value", "name")
_LICENCE_KEYS = ("url", "@value", "@id", "name")


class Part(msgspec.Struct, frozen=True):
    """A Clip of a video or recording: one chapter. Times in milliseconds from its start."""

    name: str | None
    start_ms: int
    end_ms: int | None


class MediaObject(msgspec.Struct, kw_only=True):
    """One ImageObject, VideoObject or AudioObject; what is missing, empty or senseless is None.

    thumbnail_url: thumbnailUrl, else thumbnail, else image. name: name, else headline. keywords: a list is joined by
    ", ". parts: the Clips of hasPart that say where they start. upload_date: uploadDate, else datePublished, as
    YYYY-MM-DD or ISO 8601 date and time. licence: URL or text of the object's own `license`. width, height: pixels.
    """

    modality: Modality
    content_url: str | None = None
    embed_url: str | None = None
    url: str | None = None
    thumbnail_url: str | None = None
    name: str | None = None
    description: str | None = None
    caption: str | None = None
    transcript: str | None = None
    keywords: str | None = None
    parts: list[Part] = msgspec.field(default_factory=list)
    duration_ms: int | None = None
    upload_date: str | None = None
    licence: str | None = None
    width: int | None = None
    height: int | None = None


def modality(types: object) -> Modality | None:
    """What kind of media the schema.org types of a node mean: names, prefixed names or IRIs, one or a list."""
    names = (_local_name(kind) for kind in _flat(types) if isinstance(kind, str))
    return next((_MODALITIES[name] for name in names if name in _MODALITIES), None)


class Describer:
    """Understands the nodes of one page. Takes time linear in the page, however often its nodes are referred to."""

    def __init__(
        self,
        targets: Mapping[str, Node],
        clean: Callable[[str], str] = str.strip,
        plain: Callable[[str], str] = str.strip,
    ) -> None:
        """`targets`: nodes by @id. `clean` is for every string, `plain` also for texts that may hold markup.

        The nodes must outlive the describer: it remembers them by their Python identity.
        """
        self._targets = targets
        self._clean = clean
        self._plain = plain
        self._properties: dict[int, Node] = {}
        self._picked: dict[tuple[int, tuple[str, ...]], str] = {}
        self._parts: dict[int, Part | None] = {}

    def media_object(self, node: Node) -> MediaObject | None:
        """What a node says, or None if it is no media object."""
        kind = modality(node.get("@type", node.get("type")))
        if kind is None or is_reference(node):
            return None
        return MediaObject(
            modality=kind,
            content_url=self._first(node, "contenturl"),
            embed_url=self._first(node, "embedurl"),
            url=self._first(node, "url"),
            thumbnail_url=self._first(node, "thumbnailurl", "thumbnail", "image"),
            name=self._text(node, "name", "headline"),
            description=self._markup(node, "description"),
            caption=self._markup(node, "caption"),
            transcript=self._markup(node, "transcript"),
            keywords=", ".join(self._strings(node, "keywords", _TEXT_KEYS)) or None,
            parts=[part for value in _flat(self._of(node).get("haspart")) if (part := self._part(value))],
            duration_ms=self._parsed(node, milliseconds, "duration"),
            upload_date=self._parsed(node, _date, "uploaddate", "datepublished"),
            licence=next(self._strings(node, "license", _LICENCE_KEYS), None),
            width=self._parsed(node, pixels, "width"),
            height=self._parsed(node, pixels, "height"),
        )

    def _of(self, node: Node) -> Node:
        """The properties of a node by local name in lower case (contentURL and schema:contentUrl are contenturl)."""
        known = self._properties.get(id(node))
        if known is None:
            known = self._properties[id(node)] = {}
            for name, value in node.items():
                known.setdefault(_local_name(name), value)
        return known

    def _first(self, node: Node, *names: str) -> str | None:
        return next((url for name in names for url in self._strings(node, name, _URL_KEYS)), None)

    def _text(self, node: Node, *names: str) -> str | None:
        return next((text for name in names for text in self._strings(node, name, _TEXT_KEYS)), None)

    def _markup(self, node: Node, name: str) -> str | None:
        texts = (self._plain(text) for text in self._strings(node, name, _TEXT_KEYS))
        return next((text for text in texts if text), None)

    def _parsed(self, node: Node, parse: Callable[[str], _T | None], *names: str) -> _T | None:
        texts = (text for name in names for text in self._strings(node, name, _NUMBER_KEYS))
        return next((value for text in texts if (value := parse(text)) is not None), None)

    def _strings(self, node: Node, name: str, keys: tuple[str, ...]) -> Iterator[str]:
        """The non-empty strings and numbers of a property; of a node the first property of `keys` that it has."""
        for value in _flat(self._of(node).get(name)):
            text = self._pick(value, keys) if isinstance(value, dict) else self._string(value)
            if text:
                yield text

    def _pick(self, node: Node, keys: tuple[str, ...]) -> str:
        if keys is not _TEXT_KEYS:  # a long text that is referred to a thousand times must not be joined as often
            node = self._target(node)
        at = id(node), keys
        if at not in self._picked:
            properties = self._of(node)
            texts = (self._string(_scalar(properties.get(key))) for key in keys)
            self._picked[at] = next(
                (text for text in texts if text and (keys is _TEXT_KEYS or not text.startswith(("_:", "#")))), ""
            )
        return self._picked[at]

    def _string(self, value: object) -> str:
        if isinstance(value, str):
            return self._clean(value)
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""

    def _target(self, node: Node) -> Node:
        identity = node.get("@id")
        return self._targets.get(identity, node) if isinstance(identity, str) and is_reference(node) else node

    def _part(self, value: object) -> Part | None:
        if not isinstance(value, dict):
            return None
        node = self._target(value)
        if id(node) not in self._parts:
            start = self._parsed(node, milliseconds, "startoffset")
            end = self._parsed(node, milliseconds, "endoffset")
            self._parts[id(node)] = None
            if start is not None:
                end = end if end is not None and end > start else None
                self._parts[id(node)] = Part(self._text(node, "name"), start, end)
        return self._parts[id(node)]


# ------------------------------------------------------------------------------------------- shapes of values

_VOCABULARY = re.compile(r"(?i)\s*(?:(?:https?:)?//(?:www\.)?schema\.org/|schema:)").match


def _local_name(name: str) -> str:
    prefix = _VOCABULARY(name) if ":" in name or "/" in name else None
    return (name[prefix.end() :] if prefix else name).strip().lower()


def is_reference(node: Node) -> bool:
    """Whether a node says nothing but which one it is."""
    return all(key in _SAYS_NOTHING for key in node)


def _flat(value: object) -> Iterator[object]:
    """The single values of a property: lists, @list and @set opened to any depth."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict) and ("@list" in item or "@set" in item):
            stack.append(item.get("@list", item.get("@set")))
        elif item is not None:
            yield item


def _scalar(value: object) -> object:
    """The one value of a property within a value: no search, because many nodes may refer to the same one."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        return value.get("@value", value.get("@id"))
    return value


# -------------------------------------------------------------------------------- dates

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}").fullmatch
_DATE_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9:.,]{2,20} ?(?:[Zz]|[+-][0-9:]{2,8})?)").fullmatch


def _date(text: str) -> str | None:
    try:
        if _DATE(text):
            return date.fromisoformat(text).isoformat()
        if match := _DATE_TIME(text):
            written = f"{match[1]}T{match[2].replace(' ', '').upper()}"
            datetime.fromisoformat(written)
            return written
    except ValueError:
        pass
    return None
